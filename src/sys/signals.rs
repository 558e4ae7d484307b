//! Signals: taking over all of them, and giving the application exactly what it would have had.

use super::Tid;
use nix::errno::Errno;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Whether SIGPIPE was ignored when the process started. Rust's runtime ignores it before
/// `main`, so it is looked up before the runtime starts.
static SIGPIPE_WAS_IGNORED: AtomicBool = AtomicBool::new(false);

extern "C" fn note_sigpipe() {
    SIGPIPE_WAS_IGNORED.store(is_ignored(libc::SIGPIPE), Ordering::Relaxed);
}

#[used]
// SAFETY: the loader calls each pointer of this section once, before `main`; the function
// needs nothing that is set up later.
#[unsafe(link_section = ".init_array")]
static NOTE_SIGPIPE: extern "C" fn() = note_sigpipe;

fn is_ignored(signal: i32) -> bool {
    // SAFETY: an all-zero sigaction is a valid value, and the kernel only writes to it.
    unsafe {
        let mut current: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut current) == 0
            && current.sa_sigaction == libc::SIG_IGN
    }
}

fn set_disposition(signal: i32, ignore: bool) {
    let action = if ignore { libc::SIG_IGN } else { libc::SIG_DFL };
    // SAFETY: both dispositions are always valid and involve no handler.
    unsafe { libc::signal(signal, action) };
}

/// How signals were handled before [`take_over_signals`].
pub struct SavedSignals {
    mask: libc::sigset_t,
    sigchld_ignored: bool,
}

/// Blocks every signal for this and all later threads, so that [`wait_signal`] gets them, and
/// makes ended children wait for us even where SIGCHLD was ignored.
pub fn take_over_signals() -> SavedSignals {
    let sigchld_ignored = is_ignored(libc::SIGCHLD);
    if sigchld_ignored {
        set_disposition(libc::SIGCHLD, false);
    }
    SavedSignals {
        mask: block_all(),
        sigchld_ignored,
    }
}

/// Blocks every signal that can be blocked; gives the mask as it was.
pub fn block_all() -> libc::sigset_t {
    // SAFETY: both sets are live locals; sigfillset makes `all` valid before it is read.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        before
    }
}

/// In the child before exec: mask and dispositions as micropacker itself was given them.
pub fn reset_for_child(saved: &SavedSignals) {
    set_disposition(libc::SIGPIPE, SIGPIPE_WAS_IGNORED.load(Ordering::Relaxed));
    set_disposition(libc::SIGCHLD, saved.sigchld_ignored);
    // SAFETY: the mask was filled in by the kernel.
    unsafe {
        libc::pthread_sigmask(
            libc::SIG_SETMASK,
            &raw const saved.mask,
            std::ptr::null_mut(),
        )
    };
}

/// Waits for a blocked signal: its number, and whether the kernel itself sent it (a terminal's
/// Ctrl-C, which the whole foreground group has received already). `None` after `timeout`.
pub fn wait_signal(timeout: Option<Duration>) -> Option<(i32, bool)> {
    // SAFETY: all three are live locals of the right type; a null timeout means to wait.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        // Left to waitpid(2), which is woken by it without taking it.
        libc::sigdelset(&raw mut all, libc::SIGCHLD);
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let limit = timeout.map(|timeout| libc::timespec {
            tv_sec: timeout.as_secs() as _,
            tv_nsec: timeout.subsec_nanos().into(),
        });
        let limit = limit
            .as_ref()
            .map_or(std::ptr::null(), |limit| &raw const *limit);
        let signal = libc::sigtimedwait(&raw const all, &raw mut info, limit);
        (signal > 0).then_some((signal, info.si_code == libc::SI_KERNEL))
    }
}

/// kill(2), real-time signals included.
///
/// # Errors
/// ESRCH when there is no such process.
pub fn send_signal(pid: Tid, signal: i32) -> nix::Result<()> {
    // SAFETY: plain numbers; the kernel checks them.
    if unsafe { libc::kill(pid, signal) } == -1 {
        return Err(Errno::last());
    }
    Ok(())
}
