//! Work that takes only what nobody else wants (setpriority(2), ioprio_set(2)).

/// `IOPRIO_WHO_PROCESS`: a thread, by its ID; 0 is the calling one.
const WHO_THREAD: libc::c_int = 1;
/// `IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0)`.
const IDLE_CLASS: libc::c_int = 3 << 13;

/// The lowest there is.
const NICEST: libc::c_int = 19;

/// From now on the calling thread, and those that it starts, run and read when hardly anything
/// else does. There is no way back without privileges, so not by SCHED_IDLE: whoever waits for the
/// thread to stop would wait for a machine that is busy. What the kernel refuses is done without.
pub fn work_when_idle() {
    let this_thread = 0;
    // SAFETY: the call takes numbers alone.
    unsafe { libc::setpriority(libc::PRIO_PROCESS as _, this_thread, NICEST) };
    // SAFETY: the call takes numbers alone.
    unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_THREAD, 0, IDLE_CLASS) };
}
