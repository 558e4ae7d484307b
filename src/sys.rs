//! The only `unsafe` code: the system calls that neither std nor nix offers in the form that a
//! tracer needs. Each wrapper is as thin as it can be and safe to call with any argument.

mod capabilities;
mod clone;
mod descriptors;
mod idle;
mod ids;
mod memory;
mod ptrace;
mod registers;
mod seccomp;
mod signals;
mod terminal;
mod wake;
mod write_back;

pub use capabilities::{may_set_ids, raise_permitted_capabilities};
pub use clone::clone_file;
pub use descriptors::{close_streams_as_at_start, let_go_of_inherited, let_go_of_standard_error};
pub use idle::work_when_idle;
pub use ids::{become_user, with_real_ids};
pub use ptrace::{
    Message, OPTIONS, StopInfo, SyscallEntry, WaitStatus, close_all_but, detach, event_message,
    exit_now, fork, fork_unseen, has_gone_on, has_news, interrupt, is_child, listen, own_fd,
    permit_tracer, resume, resume_to_syscall, seize, seize_guest, seize_to_the_end,
    set_signal_mask, signal_mask, spare_exit_stop, syscall_info, wait_any, wait_as_parent,
    wait_for,
};
pub use registers::{
    Registers, registers, set_number, set_registers, skip_call, to_call_again, to_prctl_again,
    to_prctl_instead,
};
pub use seccomp::{
    Filter, FilterMode, Instruction, Listener, Notification, install_filter, probe_in_child,
};
pub use signals::{
    ComingStop, Received, SavedSignals, end_by, ignore_size_limit_signal, is_pending, is_thread_of,
    leads_a_process, own_thread, reset_for_child, restore_sigpipe, send_signal, signal_of_stop,
    take_over_signals, take_pending, wait_signal,
};
pub use terminal::{Session, columns, is_init};
pub use wake::{WakeTimer, accept_wakes, refuse_wakes};
pub use write_back::start_write_back;

/// A thread ID as the kernel gives it (gettid(2)).
pub type Tid = i32;
