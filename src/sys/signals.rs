//! Signals: taking over all of them, passing them on, and giving the application exactly what it
//! would have had.
//!
//! Masks are the kernel's own words: a C library's functions leave out the real-time signals that
//! it keeps for itself, and musl's are not those of the application's.

use super::Tid;
use nix::errno::Errno;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// A set of signals as the kernel has it: bit N-1 is signal N.
type Mask = u64;

const ALL: Mask = Mask::MAX;

const fn only(signal: i32) -> Mask {
    match signal {
        1..=64 => 1 << (signal - 1),
        _ => 0,
    }
}

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

/// Makes a write beyond the file size limit fail with EFBIG and nothing else (setrlimit(2)). For
/// processes that start no command: it would inherit that.
pub fn ignore_size_limit_signal() {
    set_disposition(libc::SIGXFSZ, true);
}

/// How signals were handled before [`take_over_signals`].
pub struct SavedSignals {
    mask: Mask,
    sigchld_ignored: bool,
}

/// Blocks every signal for this and all later threads, so that [`wait_signal`] gets them, and
/// makes ended children wait for us even where SIGCHLD was ignored.
pub fn take_over_signals() -> SavedSignals {
    let sigchld_ignored = is_ignored(libc::SIGCHLD);
    if sigchld_ignored {
        set_disposition(libc::SIGCHLD, false);
    }
    // musl unblocks two real-time signals when the first thread is made: that must be over.
    let _ = std::thread::Builder::new()
        .spawn(|| ())
        .map(JoinHandle::join);
    SavedSignals {
        mask: change_mask(libc::SIG_SETMASK, ALL),
        sigchld_ignored,
    }
}

/// rt_sigprocmask(2) for this thread; gives the mask as it was.
fn change_mask(how: i32, mask: Mask) -> Mask {
    let mut before: Mask = 0;
    // SAFETY: both are live words of the size that is named.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            how,
            &raw const mask,
            &raw mut before,
            size_of::<Mask>(),
        )
    };
    before
}

/// In the child before exec: mask and dispositions as micropacker itself was given them.
pub fn reset_for_child(saved: &SavedSignals) {
    restore_sigpipe();
    set_disposition(libc::SIGCHLD, saved.sigchld_ignored);
    change_mask(libc::SIG_SETMASK, saved.mask);
}

/// Before exec: SIGPIPE as micropacker itself was given it.
pub fn restore_sigpipe() {
    set_disposition(libc::SIGPIPE, SIGPIPE_WAS_IGNORED.load(Ordering::Relaxed));
}

/// A signal that was sent to us, with all that came along (sigaction(2), "siginfo_t").
#[derive(Clone, Copy)]
pub struct Received {
    /// Its number.
    pub signal: i32,
    /// The kernel itself sent it: a terminal's Ctrl-C, a hangup.
    pub from_kernel: bool,
    /// Who sent it, where a process did; 0 for one outside of our PID namespace.
    pub sender: Tid,
    info: libc::siginfo_t,
}

impl Received {
    fn new(info: libc::siginfo_t) -> Self {
        Self {
            signal: info.si_signo,
            from_kernel: info.si_code == libc::SI_KERNEL,
            // SAFETY: the kernel fills the whole union; where this member has no meaning it is
            // still a number.
            sender: unsafe { info.si_pid() },
            info,
        }
    }

    /// Sends it on to another process: with its value and its sender where the kernel lets us,
    /// which is for all but kill(2) and tgkill(2) (rt_sigqueueinfo(2)); those arrive as ours.
    ///
    /// # Errors
    /// As [`send_signal`].
    pub fn pass_on(&self, pid: Tid) -> nix::Result<()> {
        if self.info.si_code >= 0 || self.info.si_code == libc::SI_TKILL {
            return send_signal(pid, self.signal);
        }
        let info = &raw const self.info;
        // SAFETY: the information is a live value of the type that the kernel copies.
        let result = unsafe { libc::syscall(libc::SYS_rt_sigqueueinfo, pid, self.signal, info) };
        Errno::result(result).map(drop)
    }
}

/// Waits for any blocked signal but SIGCHLD, which is left to waitpid(2). `None` after `timeout`.
pub fn wait_signal(timeout: Option<Duration>) -> Option<Received> {
    take(ALL & !only(libc::SIGCHLD), timeout)
}

/// Takes this blocked signal if it is there.
pub fn take_pending(signal: i32) -> Option<Received> {
    take(only(signal), Some(Duration::ZERO))
}

/// Whether this blocked signal is there; it stays (rt_sigpending(2)).
pub fn is_pending(signal: i32) -> bool {
    let mut pending: Mask = 0;
    // SAFETY: a live word of the size that is named.
    unsafe { libc::syscall(libc::SYS_rt_sigpending, &raw mut pending, size_of::<Mask>()) };
    pending & only(signal) != 0
}

/// rt_sigtimedwait(2).
fn take(signals: Mask, timeout: Option<Duration>) -> Option<Received> {
    let limit = timeout.map(|timeout| libc::timespec {
        tv_sec: timeout.as_secs() as _,
        tv_nsec: timeout.subsec_nanos().into(),
    });
    let limit = limit
        .as_ref()
        .map_or(std::ptr::null(), |limit| &raw const *limit);
    // SAFETY: set and limit are live, or the limit is null, which means to wait; an all-zero
    // siginfo is a valid value, which the kernel fills in.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let signal = libc::syscall(
            libc::SYS_rt_sigtimedwait,
            &raw const signals,
            &raw mut info,
            limit,
            size_of::<Mask>(),
        );
        (signal > 0).then(|| Received::new(info))
    }
}

/// A stop of this whole process that is about to come. Dropping it calls the stop off.
#[must_use = "dropping it calls the stop off"]
pub struct ComingStop {
    signal: i32,
}

impl ComingStop {
    /// Makes ready to stop by this job control signal. From now on a SIGCONT calls the stop off,
    /// as it would for a process that is stopped already; that cannot be had for SIGSTOP.
    pub fn prepare(signal: i32) -> Self {
        if signal != libc::SIGSTOP {
            // Blocked, it waits; SIGCONT discards it (signal(7)).
            signal_self(signal);
        }
        Self { signal }
    }

    /// Stops, if nothing has called it off, and comes back with SIGCONT.
    pub fn stop(self) {
        if self.signal == libc::SIGSTOP {
            signal_self(libc::SIGSTOP);
            return;
        }
        set_disposition(self.signal, false);
        change_mask(libc::SIG_UNBLOCK, only(self.signal));
        change_mask(libc::SIG_BLOCK, only(self.signal));
    }
}

impl Drop for ComingStop {
    fn drop(&mut self) {
        let _ = take_pending(self.signal);
    }
}

/// Sends a signal to this thread alone.
fn signal_self(signal: i32) {
    // SAFETY: plain numbers; the kernel checks them.
    unsafe { libc::syscall(libc::SYS_tkill, own_thread(), signal) };
}

/// Ends this process by a signal, without a core file, as the application was: a shell that
/// started us asks whether a keyboard's signal ended us, to end its script as well. Comes back
/// where the kernel does not let us, as PID 1.
pub fn end_by(signal: i32) {
    use nix::sys::resource::{Resource, setrlimit};
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    set_disposition(signal, false);
    signal_self(signal);
    change_mask(libc::SIG_UNBLOCK, only(signal));
}

/// kill(2), real-time signals included.
///
/// # Errors
/// ESRCH when there is no such process.
pub fn send_signal(pid: Tid, signal: i32) -> nix::Result<()> {
    // SAFETY: plain numbers; the kernel checks them.
    Errno::result(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// This thread's ID. The C library's own may be wrong, see [`super::fork_unseen`].
pub fn own_thread() -> Tid {
    // SAFETY: no arguments, and it never fails.
    unsafe { libc::syscall(libc::SYS_gettid) as Tid }
}

/// The signal that a tracee has stopped for, before it gets it (PTRACE_GETSIGINFO).
///
/// # Errors
/// ESRCH when it was killed meanwhile, EINVAL in a stop for no signal.
pub fn signal_of_stop(tid: Tid) -> nix::Result<Received> {
    nix::sys::ptrace::getsiginfo(nix::unistd::Pid::from_raw(tid)).map(Received::new)
}

/// Whether a thread is one of this process's.
pub fn is_thread_of(leader: Tid, tid: Tid) -> bool {
    // SAFETY: plain numbers; signal 0 sends nothing.
    let found = unsafe { libc::syscall(libc::SYS_tgkill, leader, tid, 0) };
    found == 0 || Errno::last() != Errno::ESRCH
}

/// Whether this thread is the first of its process: tgkill(2) with no signal finds a thread only
/// under its own process.
pub fn leads_a_process(tid: Tid) -> bool {
    is_thread_of(tid, tid)
}
