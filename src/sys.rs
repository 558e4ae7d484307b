//! The only `unsafe` code: the system calls that neither std nor nix offers in the form that a
//! tracer needs. Each wrapper is as thin as it can be and safe to call with any argument.

mod capabilities;
mod ids;
mod memory;
mod ptrace;
mod registers;
mod seccomp;
mod signals;
mod terminal;
mod wake;
mod write_back;

pub use capabilities::raise_permitted_capabilities;
pub use ids::with_real_ids;
pub use ptrace::{
    Message, OPTIONS, StopInfo, SyscallEntry, WaitStatus, close_all_but, detach, event_message,
    exit_now, fork, has_news, interrupt, is_child, listen, own_fd, resume, resume_to_syscall,
    seize, seize_guest, set_signal_mask, signal_mask, syscall_info, wait_any, wait_for,
};
pub use registers::{
    Registers, registers, set_number, set_registers, to_call_again, to_prctl_again,
    to_prctl_instead,
};
pub use seccomp::{
    Filter, FilterMode, Instruction, Listener, Notification, install_filter, probe_in_child,
};
pub use signals::{
    ComingStop, Received, SavedSignals, end_by, ignore_size_limit_signal, leads_a_process,
    reset_for_child, send_signal, take_over_signals, take_pending, wait_signal,
};
pub use terminal::{Session, is_init};
pub use wake::{WakeTimer, accept_wakes, refuse_wakes};
pub use write_back::start_write_back;

/// A thread ID as the kernel gives it (gettid(2)).
pub type Tid = i32;
