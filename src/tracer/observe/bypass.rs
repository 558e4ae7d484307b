//! Ways past us: calls after which an application uses files that no engine, or not this one,
//! is told of.

use super::Observer;
use crate::sys::Tid;
use crate::tracer::syscall::Call;
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

    /// clone3(2) has its flags in memory, at the begin of a `struct clone_args`.
    pub(super) fn on_spawn(&mut self, tid: Tid, call: &'static Call, args: &[u64; 6]) {
        let mut flags = args[0];
        if call.name == "clone3" {
            let mut word = [0; 8];
            let read = self.tracees.read(tid, args[0], &mut word);
            flags = if read == word.len() {
                u64::from_ne_bytes(word)
            } else {
                0
            };
        }
        self.mounts_differ |= flags & libc::CLONE_NEWNS as u64 != 0;
        if flags & libc::CLONE_UNTRACED as u64 != 0 {
            let program = self.program_of(tid);
            self.lose(format!(
                "what a child of {program} uses that it has started with CLONE_UNTRACED: no \
                 tracer may follow it; name it with --include and --include-exe"
            ));
            self.lose_calls(&format!("a child of {program}"));
        }
    }

    /// A process has one tracer, and those that we follow have us.
    pub(super) fn on_ptrace(&mut self, tid: Tid, args: &[u64; 6]) {
        const TRACEME: u64 = 0;
        const ATTACH: u64 = 16;
        const SEIZE: u64 = 0x4206;
        if matches!(args[0], TRACEME | ATTACH | SEIZE) {
            let program = self.program_of(tid);
            self.lose(format!(
                "what {program} does as a debugger or to be debugged (ptrace): it gets EPERM, since \
                 a process has one tracer; debug the application without micropacker"
            ));
        }
    }
}
