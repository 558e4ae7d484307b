//! Path lookups by seccomp user notification (seccomp_unotify(2)): the caller waits in the
//! kernel, we look, and it goes on.

use crate::sys::Listener;
use crate::tracer::observe::Observer;
use crate::tracer::syscall::Table;
use crate::tracer::tracees::Tracees;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};

/// Answers notifications until no process is left that could send one. Its error is what the
/// kernel said when it refused to give more of them.
///
/// # Errors
/// A listener that fails leaves the tracees without answers: the caller must end the trace.
pub fn serve<T: Tracees>(listener: &Listener, observer: &Mutex<Observer<T>>) -> nix::Result<()> {
    let table = Table::new();
    loop {
        let Some(notification) = listener.receive()? else {
            if is_deserted(listener) {
                return Ok(());
            }
            continue;
        };
        if let Some(call) = table.call(notification.arch, notification.number) {
            observer
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .on_call(notification.tid, call, &notification.args);
        }
        // Whoever was interrupted or killed meanwhile needs no answer.
        let _ = listener.let_go(notification.id);
    }
}

fn is_deserted(listener: &Listener) -> bool {
    let mut polled = [PollFd::new(listener.fd().as_fd(), PollFlags::POLLIN)];
    poll(&mut polled, PollTimeout::ZERO).is_ok()
        && polled[0]
            .revents()
            .is_some_and(|events| events.contains(PollFlags::POLLHUP))
}
