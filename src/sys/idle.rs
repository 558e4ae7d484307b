//! Work that takes only what nobody else wants (sched(7), ioprio_set(2)).

/// `IOPRIO_WHO_PROCESS`: a thread, by its ID; 0 is the calling one.
const WHO_THREAD: libc::c_int = 1;
/// `IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0)`.
const IDLE_CLASS: libc::c_int = 3 << 13;

/// From now on the calling thread, and those that it starts, run and read when nothing else does.
/// There is no way back without privileges. What the kernel refuses is done without.
pub fn work_when_idle() {
    let priority = 0_i32;
    let this_thread = 0;
    // SAFETY: the kernel reads one sched_param, a lone int, from the address. The C library's own
    // function is none on musl.
    unsafe {
        libc::syscall(
            libc::SYS_sched_setscheduler,
            this_thread,
            libc::SCHED_IDLE,
            &raw const priority,
        );
    }
    // SAFETY: the call takes numbers alone.
    unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_THREAD, this_thread, IDLE_CLASS) };
}
