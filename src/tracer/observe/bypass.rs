//! Ways past us: calls after which an application uses files that no engine, or not this one,
//! is told of.

use super::Observer;
use crate::sys::Tid;
use crate::tracer::tracees::Tracees;

impl<T: Tracees> Observer<T> {
    /// A second listener is refused by the kernel (EBUSY) while ours is there, and what it
    /// answers never reaches a filter's ptrace stop. Only plain system call stops see all.
    pub(super) fn on_seccomp(&mut self, args: &[u64; 6]) {
        const SET_MODE_FILTER: u64 = 1;
        const NEW_LISTENER: u64 = 1 << 3;
        let wants_listener = args[0] == SET_MODE_FILTER && args[1] & NEW_LISTENER != 0;
        if wants_listener && self.behind_filter {
            self.lose(
                "calls that a seccomp listener of the application's own answers, if it gets one: \
                 the kernel refuses it (EBUSY) while micropacker has one; trace it with --engine \
                 syscall"
                    .to_owned(),
            );
        }
    }

    /// The kernel opens for a ring by itself (IORING_OP_OPENAT and its like). A filter refuses
    /// rings unless they are allowed; a mere stop cannot.
    pub(super) fn on_io_uring(&mut self, tid: Tid) {
        let program = self.program_of(tid);
        let remedy = if self.behind_filter {
            "leave --allow-io-uring out, and it is told that there is none"
        } else {
            "with --engine notify or seccomp it is told that there is none"
        };
        self.lose(format!(
            "files that {program} opens through io_uring: no tracer is told of them; {remedy}"
        ));
    }
}
