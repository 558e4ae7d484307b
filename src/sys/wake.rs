//! Interrupting the thread that waits for tracees.

use super::Tid;
use nix::errno::Errno;
use std::time::Duration;

extern "C" fn do_nothing(_: i32) {}

/// From now on a [`WakeTimer`] of this thread interrupts its [`super::wait_any`]. The signal is
/// SIGCHLD, which nobody else wants; stops of tracees do not send it any more.
///
/// # Errors
/// Those of sigaction(2).
pub fn accept_wakes() -> nix::Result<()> {
    // SAFETY: an all-zero sigaction is a valid value; the handler touches nothing, so it may run
    // at any moment.
    let result = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = do_nothing as extern "C" fn(i32) as libc::sighandler_t;
        action.sa_flags = libc::SA_NOCLDSTOP;
        libc::sigaction(libc::SIGCHLD, &raw const action, std::ptr::null_mut())
    };
    if result == -1 {
        return Err(Errno::last());
    }
    mask_sigchld(libc::SIG_UNBLOCK);
    Ok(())
}

/// Undoes [`accept_wakes`] for this thread: no call of it is interrupted any more.
pub fn refuse_wakes() {
    mask_sigchld(libc::SIG_BLOCK);
}

fn mask_sigchld(how: i32) {
    // SAFETY: the set is a live local that sigemptyset makes valid.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        libc::pthread_sigmask(how, &raw const set, std::ptr::null_mut());
    }
}

/// Wakes a thread again and again: one wake alone may come between two of its waits.
pub struct WakeTimer {
    /// The kernel's number of it (timer_create(2)); libc hides it.
    id: libc::c_int,
}

impl WakeTimer {
    /// For a thread of ours that calls [`accept_wakes`].
    ///
    /// # Errors
    /// Those of timer_create(2).
    pub fn new(thread: Tid) -> nix::Result<Self> {
        let mut id = 0;
        // SAFETY: an all-zero sigevent is a valid value; the kernel reads it and writes one
        // number, both live locals.
        let result = unsafe {
            let mut event: libc::sigevent = std::mem::zeroed();
            event.sigev_notify = libc::SIGEV_THREAD_ID;
            event.sigev_signo = libc::SIGCHLD;
            event.sigev_notify_thread_id = thread;
            libc::syscall(
                libc::SYS_timer_create,
                libc::CLOCK_MONOTONIC,
                &raw const event,
                &raw mut id,
            )
        };
        if result == -1 {
            return Err(Errno::last());
        }
        Ok(Self { id })
    }

    /// Wakes the thread each time so much time has passed; zero: not any more.
    pub fn set(&self, interval: Duration) {
        // The kernel's own layout, whose members are 64 bits wide on the targets of this program.
        let time = [interval.as_secs(), interval.subsec_nanos().into()];
        let times = [time, time];
        // SAFETY: `times` is a live local of the size of a `struct itimerspec`.
        unsafe {
            libc::syscall(
                libc::SYS_timer_settime,
                self.id,
                0,
                times.as_ptr(),
                std::ptr::null_mut::<libc::c_void>(),
            )
        };
    }
}

impl Drop for WakeTimer {
    fn drop(&mut self) {
        // SAFETY: a plain number; the kernel checks it.
        unsafe { libc::syscall(libc::SYS_timer_delete, self.id) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_interrupted_as_long_as_wakes_are_accepted() {
        let mut child = std::process::Command::new("sleep")
            .arg("1000")
            .spawn()
            .expect("started");
        let waiter = std::thread::spawn(|| {
            accept_wakes().expect("accepted");
            let timer = WakeTimer::new(nix::unistd::gettid().as_raw()).expect("a timer");
            timer.set(Duration::from_millis(1));
            // Until it ends it has nothing to tell.
            let mut status = 0;
            // SAFETY: `status` is a live local.
            let result = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL) };
            let interrupted = result == -1 && Errno::last() == Errno::EINTR;
            refuse_wakes();
            interrupted || result > 0
        });
        assert!(waiter.join().expect("ended"));
        child.kill().expect("killed");
        let _ = child.wait();
    }
}
