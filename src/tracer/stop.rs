//! A wait status of a tracee, decoded once (ptrace(2), "Stopped states").

use crate::sys::WaitStatus;

/// Why waitpid(2) reported a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It ended.
    Ended(End),
    /// Before or after a system call.
    Syscall,
    /// The seccomp filter stopped it before a system call.
    Seccomp,
    /// It started a child or a thread; the message is the new ID.
    Spawned,
    /// It runs a new program; the message is the thread ID it had before.
    Exec,
    /// A signal is about to be delivered to it; any number up to 64.
    Signal(i32),
    /// It stopped with its whole thread group by this signal.
    Group(i32),
    /// The stop that follows PTRACE_SEIZE of a new child, or a group's continuation.
    Trap,
    /// It is about to end (PTRACE_O_TRACEEXIT); the message is its wait status.
    Exiting,
    /// Another event, of which nothing follows.
    Other,
}

/// How a process or thread ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// exit(2) with this code.
    Exited(i32),
    /// By this signal.
    Killed(i32),
}

impl End {
    /// As a shell tells it: the code, or 128 and the signal's number.
    pub fn exit_status(self) -> u8 {
        let status = match self {
            End::Exited(code) => code,
            End::Killed(signal) => 128 + signal,
        };
        (status & 0xff) as u8
    }
}

/// PTRACE_O_TRACESYSGOOD marks system call stops so.
const SYSCALL_TRAP: i32 = libc::SIGTRAP | 0x80;

impl Stop {
    /// Decodes a status of waitpid(2) under the options of [`crate::sys::OPTIONS`].
    pub fn decode(status: WaitStatus) -> Self {
        if libc::WIFEXITED(status) {
            return Self::Ended(End::Exited(libc::WEXITSTATUS(status)));
        }
        if libc::WIFSIGNALED(status) {
            return Self::Ended(End::Killed(libc::WTERMSIG(status)));
        }
        if !libc::WIFSTOPPED(status) {
            return Self::Other;
        }
        let signal = libc::WSTOPSIG(status);
        match (status >> 16) & 0xff {
            0 if signal == SYSCALL_TRAP => Self::Syscall,
            0 => Self::Signal(signal),
            libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK | libc::PTRACE_EVENT_CLONE => {
                Self::Spawned
            }
            libc::PTRACE_EVENT_EXEC => Self::Exec,
            libc::PTRACE_EVENT_SECCOMP => Self::Seccomp,
            libc::PTRACE_EVENT_EXIT => Self::Exiting,
            libc::PTRACE_EVENT_STOP if signal != libc::SIGTRAP => Self::Group(signal),
            libc::PTRACE_EVENT_STOP => Self::Trap,
            _ => Self::Other,
        }
    }

    /// Whether PTRACE_GETEVENTMSG has something to tell.
    pub fn has_message(self) -> bool {
        matches!(self, Self::Spawned | Self::Exec | Self::Exiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stopped(signal: i32, event: i32) -> Stop {
        Stop::decode((event << 16) | (signal << 8) | 0x7f)
    }

    #[test]
    fn ends_keep_code_and_signal() {
        assert_eq!(Stop::decode(3 << 8), Stop::Ended(End::Exited(3)));
        assert_eq!(Stop::decode(9), Stop::Ended(End::Killed(9)));
        assert_eq!(Stop::decode(0x80 | 11), Stop::Ended(End::Killed(11)));
        assert_eq!(End::Killed(15).exit_status(), 143);
        assert_eq!(End::Exited(255).exit_status(), 255);
    }

    #[test]
    fn real_time_signals_survive() {
        assert_eq!(stopped(64, 0), Stop::Signal(64));
        assert_eq!(stopped(libc::SIGTRAP, 0), Stop::Signal(libc::SIGTRAP));
    }

    #[test]
    fn syscall_stops_are_no_signals() {
        assert_eq!(stopped(SYSCALL_TRAP, 0), Stop::Syscall);
    }

    #[test]
    fn a_group_stop_is_told_from_the_first_trap() {
        let event = libc::PTRACE_EVENT_STOP;
        assert_eq!(stopped(libc::SIGTSTP, event), Stop::Group(libc::SIGTSTP));
        assert_eq!(stopped(libc::SIGTRAP, event), Stop::Trap);
    }
}
