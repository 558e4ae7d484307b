//! The ptrace loop: a thin layer between waitpid(2) and the task table.

use super::threads::ProcThreads;
use super::{Choice, Engine};
use crate::sys::{self, StopInfo, SyscallEntry, Tid};
use crate::tracer::observe::Observer;
use crate::tracer::stop::{End, Stop};
use crate::tracer::syscall::Table;
use crate::tracer::task::{Action, Notice, TaskTable};
use crate::tracer::tracees::Tracees;
use crate::tracer::visible::{Next, Threads, Visibility};
use nix::errno::Errno;
use std::sync::{Mutex, PoisonError};

/// A thread in a stop. Resuming consumes it, so it can be neither resumed twice nor forgotten.
#[must_use = "a stopped thread must be resumed"]
struct Stopped {
    tid: Tid,
    /// Whether its next system call is to stop it, whatever the filter says.
    to_syscall: bool,
}

impl Stopped {
    /// Carries out an action. A thread that was killed meanwhile is reported by waitpid(2).
    fn act(self, action: Action) -> nix::Result<()> {
        let result = match action {
            Action::Gone => Ok(()),
            Action::Listen => sys::listen(self.tid),
            Action::Resume(signal) if self.to_syscall => sys::resume_to_syscall(self.tid, signal),
            Action::Resume(signal) => sys::resume(self.tid, signal),
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

/// Who is told how the threads fare.
pub trait Watcher {
    /// A thread has come to life or ended.
    fn on_change(&mut self, tid: Tid, lives: bool);
    /// A thread has stopped with its process by this job control signal.
    fn on_stopped(&mut self, tid: Tid, signal: i32);
}

/// Follows the command and all its descendants until none is left.
pub struct Follower<'a, T> {
    engine: Engine,
    tasks: TaskTable,
    table: Table,
    observer: &'a Mutex<Observer<T>>,
    watcher: &'a mut dyn Watcher,
    ran: bool,
    /// `None` where we may look at every process, whatever it does.
    visibility: Option<Visibility>,
    threads: ProcThreads,
}

impl<'a, T: Tracees> Follower<'a, T> {
    /// Follows `main`, which has been seized, and everything it starts.
    pub fn new(
        main: Tid,
        choice: &Choice,
        observer: &'a Mutex<Observer<T>>,
        watcher: &'a mut dyn Watcher,
    ) -> Self {
        Self {
            engine: choice.engine,
            tasks: match sys::is_init() {
                true => TaskTable::new(main).with_main_as_init(),
                false => TaskTable::new(main),
            },
            table: Table::new(),
            observer,
            watcher,
            ran: false,
            visibility: choice.keep_visible.then(Visibility::default),
            threads: ProcThreads::new(main),
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
        let (stop, message) = match Stop::decode(status) {
            stop if !stop.has_message() => (stop, 0),
            // Killed meanwhile: whom it started shows up by itself.
            stop => match sys::event_message(tid) {
                Ok(message) => (stop, message),
                Err(_) => (Stop::Other, 0),
            },
        };
        let (action, notice) = self.tasks.on_stop(tid, stop, message);
        match notice {
            Some(Notice::Call) => self.on_call(tid, stop),
            Some(Notice::Born(parent)) => {
                self.observer().on_start(tid, parent);
                self.watcher.on_change(tid, true);
            }
            Some(Notice::Program(former)) => {
                self.ran = true;
                self.on_program(tid, former);
                if former != tid {
                    self.watcher.on_change(former, false);
                }
            }
            Some(Notice::Ended) => {
                self.observer().on_end(tid);
                self.watcher.on_change(tid, false);
                if let Some(visibility) = &mut self.visibility {
                    visibility.forget(tid);
                }
            }
            None => {}
        }
        let watched = |visibility: &Visibility| visibility.is_watched(tid);
        let stopped = Stopped {
            tid,
            to_syscall: self.engine == Engine::SyscallStop
                || self.visibility.as_ref().is_some_and(watched),
        };
        stopped.act(action)?;
        if let Stop::Group(signal) = stop {
            self.watcher.on_stopped(tid, signal);
        }
        Ok(())
    }

    fn on_program(&mut self, tid: Tid, former: Tid) {
        if let Some(visibility) = &mut self.visibility
            && !self.threads.is_visible(tid)
        {
            return visibility.hidden_program(tid, former);
        }
        self.observer().on_exec(tid, former);
    }

    fn on_call(&mut self, tid: Tid, stop: Stop) {
        // Killed meanwhile: nothing to look at.
        let Ok(info) = sys::syscall_info(tid) else {
            return;
        };
        if stop == Stop::Syscall
            && let Some(visibility) = &mut self.visibility
        {
            match visibility.on_stop(tid, info, &mut self.threads) {
                Ok(Next::NotOurs) => {}
                Ok(Next::GoOn) | Err(_) => return,
                Ok(Next::Visible) => return self.observer().on_start(tid, None),
                Ok(Next::VisibleProgram(former)) => return self.observer().on_exec(tid, former),
                Ok(Next::Hidden) => return self.observer().on_hidden(tid),
                Ok(Next::HiddenProgram(former)) => {
                    self.observer().on_hidden(tid);
                    return self.observer().on_exec(tid, former);
                }
            }
        }
        if let StopInfo::Entry(entry) = info {
            self.on_entry(tid, &entry);
        }
    }

    fn on_entry(&mut self, tid: Tid, entry: &SyscallEntry) {
        let Some(call) = self.table.call(entry.arch, entry.number) else {
            return;
        };
        match &mut self.visibility {
            Some(visibility) if call.hides_the_caller() => {
                visibility.before_hiding(tid);
                self.observer().before_hiding(tid);
            }
            _ => self.observer().on_call(tid, call, &entry.args),
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
