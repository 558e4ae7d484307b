//! The ptrace loop: a thin layer between waitpid(2) and the task table.

use super::Engine;
use crate::sys::{self, StopInfo, Tid};
use crate::tracer::observe::Observer;
use crate::tracer::stop::{End, Stop};
use crate::tracer::syscall::Table;
use crate::tracer::task::{Action, Notice, TaskTable};
use crate::tracer::tracees::Tracees;
use nix::errno::Errno;
use std::sync::{Mutex, PoisonError};

/// A thread in a stop. Resuming consumes it, so it can be neither resumed twice nor forgotten.
#[must_use = "a stopped thread must be resumed"]
struct Stopped {
    tid: Tid,
    engine: Engine,
}

impl Stopped {
    /// Carries out an action. A thread that was killed meanwhile is reported by waitpid(2).
    fn act(self, action: Action) -> nix::Result<()> {
        let result = match (action, self.engine) {
            (Action::Gone, _) => Ok(()),
            (Action::Listen, _) => sys::listen(self.tid),
            (Action::Resume(signal), Engine::SyscallStop) => {
                sys::resume_to_syscall(self.tid, signal)
            }
            (Action::Resume(signal), _) => sys::resume(self.tid, signal),
        };
        match result {
            Err(Errno::ESRCH) => Ok(()),
            other => other,
        }
    }
}

/// How the whole trace ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How the command ended.
    pub end: End,
    /// Whether it ever ran: false when execve(2) failed.
    pub ran: bool,
}

/// Follows the command and all its descendants until none is left.
pub struct Follower<'a, T> {
    engine: Engine,
    tasks: TaskTable,
    table: Table,
    observer: &'a Mutex<Observer<T>>,
    /// Told of each change of who is alive: thread, whether it lives now.
    on_change: Box<dyn FnMut(Tid, bool) + 'a>,
    ran: bool,
}

impl<'a, T: Tracees> Follower<'a, T> {
    /// Follows `main`, which has been seized, and everything it starts.
    pub fn new(
        main: Tid,
        engine: Engine,
        observer: &'a Mutex<Observer<T>>,
        on_change: impl FnMut(Tid, bool) + 'a,
    ) -> Self {
        Self {
            engine,
            tasks: TaskTable::new(main),
            table: Table::new(),
            observer,
            on_change: Box::new(on_change),
            ran: false,
        }
    }

    /// Runs until the command and all its descendants have ended.
    ///
    /// # Errors
    /// What waitpid(2) or ptrace(2) said that no rule of theirs explains.
    pub fn run(mut self) -> nix::Result<Outcome> {
        while !self.tasks.is_empty() {
            match sys::wait_any(true) {
                Ok(Some((tid, status))) => self.on_status(tid, status)?,
                Ok(None) => {}
                Err(Errno::ECHILD) => break,
                Err(error) => return Err(error),
            }
            if self.tasks.is_empty() {
                self.take_late_stops()?;
            }
        }
        Ok(Outcome {
            end: self.tasks.main_end().unwrap_or(End::Killed(libc::SIGKILL)),
            ran: self.ran,
        })
    }

    /// A child whose parent was killed before its fork event could be told may have yet to show
    /// its first stop: while such tracees exist, waiting goes on.
    fn take_late_stops(&mut self) -> nix::Result<()> {
        while self.tasks.is_empty() && has_unseen_tracee() {
            match sys::wait_any(true) {
                Ok(Some((tid, status))) => self.on_status(tid, status)?,
                Ok(None) | Err(Errno::ECHILD) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn on_status(&mut self, tid: Tid, status: sys::WaitStatus) -> nix::Result<()> {
        let stop = Stop::decode(status);
        let message = if stop.has_message() {
            sys::event_message(tid).unwrap_or_default()
        } else {
            0
        };
        let (action, notice) = self.tasks.on_stop(tid, stop, message);
        let stopped = Stopped {
            tid,
            engine: self.engine,
        };
        match notice {
            Some(Notice::Call) => self.on_call(tid),
            Some(Notice::Born(_)) => {
                self.observer().on_start(tid);
                (self.on_change)(tid, true);
            }
            Some(Notice::Program(former)) => {
                self.ran = true;
                self.observer().on_exec(tid, former);
                if former != tid {
                    (self.on_change)(former, false);
                }
            }
            Some(Notice::Ended) => {
                self.observer().on_end(tid);
                (self.on_change)(tid, false);
            }
            None => {}
        }
        stopped.act(action)
    }

    fn on_call(&mut self, tid: Tid) {
        // Killed meanwhile, or on its way out of a call: nothing to look at.
        let Ok(StopInfo::Entry(entry)) = sys::syscall_info(tid) else {
            return;
        };
        if let Some(call) = self.table.call(entry.arch, entry.number) {
            self.observer().on_call(tid, call, &entry.args);
        }
    }

    fn observer(&self) -> std::sync::MutexGuard<'a, Observer<T>> {
        self.observer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether `/proc` shows a living process that we trace.
fn has_unseen_tracee() -> bool {
    let own = std::process::id().to_string();
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return false;
    };
    processes.flatten().any(|entry| {
        let Ok(status) = std::fs::read_to_string(entry.path().join("status")) else {
            return false;
        };
        let field = |name: &str| {
            status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .map(str::trim)
        };
        field("TracerPid:") == Some(&own)
    })
}
