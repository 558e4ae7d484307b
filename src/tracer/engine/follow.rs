//! The ptrace loop: a thin layer between waitpid(2) and the task table.

use super::admit::Admission;
use super::ending::Ending;
use super::threads::ProcThreads;
use super::{Choice, Engine};
use crate::sys::{self, StopInfo, SyscallEntry, Tid};
use crate::tracer::census::Census;
use crate::tracer::filter::OURS;
use crate::tracer::observe::{AtStake, Observer};
use crate::tracer::stop::{End, Stop};
use crate::tracer::syscall::Table;
use crate::tracer::task::{Action, Lineage, Notice, TaskTable};
use crate::tracer::tracees::Tracees;
use crate::tracer::visible::{Next, Threads, Visibility};
use crate::tracer::visitors::Door;
use nix::errno::Errno;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A thread in a stop. Resuming consumes it, so it can be neither resumed twice nor forgotten.
#[must_use = "a stopped thread must be resumed"]
pub(super) struct Stopped {
    tid: Tid,
    /// Whether its next system call is to stop it, whatever the filter says.
    to_syscall: bool,
}

impl Stopped {
    pub(super) fn tid(&self) -> Tid {
        self.tid
    }

    /// It has stopped anew, which waitpid(2) will tell: the earlier stop needs nothing any more.
    pub(super) fn was_superseded(self) {}

    /// Carries out an action. A thread that was killed meanwhile is reported by waitpid(2).
    pub(super) fn act(self, action: Action) -> nix::Result<()> {
        let result = match action {
            Action::Gone => Ok(()),
            Action::Listen => sys::listen(self.tid),
            Action::Resume(signal) if self.to_syscall => sys::resume_to_syscall(self.tid, signal),
            Action::Resume(signal) => sys::resume(self.tid, signal),
        };
        unless_killed(result)
    }

    /// Lets it go on without us, delivering the signal that it stopped for.
    fn let_go(self, action: Action) -> nix::Result<()> {
        let signal = match action {
            Action::Gone => return Ok(()),
            Action::Listen => 0,
            Action::Resume(signal) => signal,
        };
        unless_killed(sys::detach(self.tid, signal))
    }
}

pub(super) fn unless_killed(result: nix::Result<()>) -> nix::Result<()> {
    match result {
        Err(Errno::ESRCH) => Ok(()),
        other => other,
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

/// Why following pauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// The command ends so, and is held until [`Follower::let_main_end`].
    MainEnds(End),
    /// All have ended.
    Over(Outcome),
}

/// Who is told how the threads fare.
pub trait Watcher {
    /// A thread has come to life or ended.
    fn on_change(&mut self, tid: Tid, lives: bool);
    /// A thread has stopped with its process by this job control signal.
    fn on_stopped(&mut self, tid: Tid, signal: i32);
    /// The command, followed to its end, was told to stop by a signal that changes nothing for it.
    fn on_vain_stop(&mut self, _signal: i32) {}
}

/// Follows the command and all its descendants until none is left.
pub struct Follower<'a, T> {
    engine: Engine,
    pub(super) tasks: TaskTable,
    table: Table,
    /// `None` where system calls are not counted.
    pub(super) census: Option<Census>,
    observer: &'a Mutex<Observer<T>>,
    pub(super) watcher: &'a mut dyn Watcher,
    pub(super) ran: bool,
    /// Whether programs that would gain nothing under trace are let go.
    releases_gains: bool,
    /// `None` where we may look at every process, whatever it does.
    pub(super) visibility: Option<Visibility>,
    threads: ProcThreads,
    /// `None` where nobody from outside is followed.
    pub(super) admission: Option<Admission>,
    /// `None` where the command's end is nothing special.
    pub(super) ending: Option<Ending>,
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
            census: choice.counts_calls.then(Census::default),
            observer,
            watcher,
            ran: false,
            releases_gains: choice.releases_gains,
            visibility: choice.keep_visible.then(Visibility::default),
            threads: ProcThreads::new(main),
            admission: None,
            ending: None,
        }
    }

    /// Follows too whoever is announced here.
    #[must_use]
    pub fn with_visitors(mut self, door: Option<Arc<Door>>) -> Self {
        self.admission = door.map(Admission::new);
        self
    }

    /// Runs until the command and all its descendants have ended.
    ///
    /// # Errors
    /// What waitpid(2) or ptrace(2) said that no rule of theirs explains.
    pub fn run(mut self) -> nix::Result<Outcome> {
        loop {
            match self.follow()? {
                Pause::MainEnds(_) => self.let_main_end()?,
                Pause::Over(outcome) => return Ok(outcome),
            }
        }
    }

    /// Follows until there is something to be done about it.
    ///
    /// # Errors
    /// As [`Follower::run`].
    pub fn follow(&mut self) -> nix::Result<Pause> {
        while !self.tasks.is_empty() {
            if let Some(end) = self.held() {
                return Ok(Pause::MainEnds(end));
            }
            match sys::wait_any(true) {
                Ok(Some((tid, status))) => self.on_status(tid, status)?,
                Ok(None) => self.on_wake(),
                Err(Errno::ECHILD) if self.tasks.has_released() => {
                    std::thread::sleep(Duration::from_millis(1));
                    self.on_wake();
                }
                Err(Errno::ECHILD) => break,
                Err(error) => return Err(error),
            }
            if self.tasks.is_empty() {
                self.take_late_stops()?;
            }
        }
        self.part_from_visitors()?;
        Ok(Pause::Over(Outcome {
            end: self.tasks.main_end().unwrap_or(End::Killed(libc::SIGKILL)),
            ran: self.ran,
        }))
    }

    /// Whether the command has begun to run.
    pub fn ran(&self) -> bool {
        self.ran
    }

    /// A child whose parent was killed before its fork event could be told may have yet to show
    /// its first stop: while such tracees exist, waiting goes on.
    fn take_late_stops(&mut self) -> nix::Result<()> {
        while self.tasks.is_empty() && has_unseen_tracee(&self.tasks) {
            match sys::wait_any(true) {
                Ok(Some((tid, status))) => self.on_status(tid, status)?,
                Ok(None) => {}
                Err(Errno::ECHILD) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(super) fn on_status(&mut self, tid: Tid, status: sys::WaitStatus) -> nix::Result<()> {
        let (stop, message) = match Stop::decode(status) {
            stop if !stop.has_message() => (stop, 0),
            // Killed meanwhile: whom it started shows up by itself.
            stop => match sys::event_message(tid) {
                Ok(message) => (stop, message),
                Err(_) => (Stop::Other, 0),
            },
        };
        let (action, notice) = self.tasks.on_stop(tid, stop, message);
        if notice == Some(Notice::Born(None)) && self.tasks.has_visitors() {
            self.inherit_from_starter(tid);
        }
        let born = matches!(notice, Some(Notice::Born(_)));
        let action = self.note_for_end(tid, stop, born, action);
        let lineage = self.tasks.lineage(tid);
        if lineage != Lineage::Command && !self.on_visitors_stop(tid, stop) {
            return self.dismiss(tid, action);
        }
        if lineage == Lineage::Command {
            self.on_return(tid, stop);
        }
        if lineage != Lineage::Command && stop == Stop::Spawned {
            // It may have been taken for the command's when it stopped before this was told.
            self.watcher.on_change(message as Tid, false);
        }
        if stop == Stop::Spawned {
            self.observer().on_child(message as Tid, tid);
        }
        let mut at_stake = None;
        match notice {
            Some(Notice::Call) => at_stake = self.on_call(tid, stop),
            Some(Notice::Born(parent)) => {
                self.observer().on_start(tid, parent);
                if lineage == Lineage::Command {
                    self.watcher.on_change(tid, true);
                }
            }
            Some(Notice::Program(former)) => {
                self.ran |= lineage == Lineage::Command;
                self.on_program(tid, former);
                if former != tid {
                    self.watcher.on_change(former, false);
                }
            }
            Some(Notice::Ended) => {
                self.count_end(tid);
                self.observer().on_end(tid);
                self.watcher.on_change(tid, false);
                self.no_longer_released(tid);
                if let Some(visibility) = &mut self.visibility {
                    visibility.forget(tid);
                }
            }
            None => {}
        }
        if let Some(at_stake) = at_stake {
            return self.release(tid, at_stake);
        }
        if self.lets_go(tid) {
            return self.dismiss(tid, action);
        }
        let to_syscall = match self.tasks.lineage(tid) {
            Lineage::Command => self.engine == Engine::SyscallStop,
            // No filter stops it.
            Lineage::Visitor => true,
            Lineage::Runtime => false,
        };
        let stopped = Stopped {
            tid,
            to_syscall: to_syscall || self.is_watched(tid),
        };
        let Some(stopped) = self.hold(stopped, stop, message) else {
            return Ok(());
        };
        stopped.act(action)?;
        if let Stop::Group(signal) = stop {
            self.watcher.on_stopped(tid, signal);
        }
        Ok(())
    }

    fn dismiss(&mut self, tid: Tid, action: Action) -> nix::Result<()> {
        self.tasks.dismiss(tid);
        self.observer().on_end(tid);
        let stopped = Stopped {
            tid,
            to_syscall: false,
        };
        stopped.let_go(action)
    }

    /// Whether a call is being slipped into what a thread does.
    pub(super) fn is_watched(&self, tid: Tid) -> bool {
        let visibility = self.visibility.as_ref();
        visibility.is_some_and(|visibility| visibility.is_watched(tid))
    }

    fn on_program(&mut self, tid: Tid, former: Tid) {
        if let Some(visibility) = &mut self.visibility
            && !self.threads.is_visible(tid)
        {
            return visibility.hidden_program(tid, former);
        }
        self.observer().on_exec(tid, former);
    }

    /// Gives the program that the thread is to be let go for.
    fn on_call(&mut self, tid: Tid, stop: Stop) -> Option<AtStake> {
        // Killed meanwhile: nothing to look at.
        let info = sys::syscall_info(tid).ok()?;
        if stop == Stop::Syscall
            && let Some(visibility) = &mut self.visibility
        {
            let next = visibility.on_stop(tid, info, &mut self.threads);
            if next != Ok(Next::NotOurs) {
                self.on_visibility(tid, next.ok()?);
                return None;
            }
        }
        self.count(tid, info);
        match info {
            // A filter of the application's own has asked for a tracer, and there would be none.
            StopInfo::Entry(entry) if entry.told.is_some_and(|told| told != OURS) => {
                let _ = sys::skip_call(tid, -i64::from(libc::ENOSYS));
                None
            }
            StopInfo::Entry(entry) if self.carries_out(tid, &entry) => None,
            StopInfo::Entry(entry) => self.on_entry(tid, &entry),
            _ => None,
        }
    }

    fn on_visibility(&self, tid: Tid, next: Next) {
        match next {
            // What is lost by a hidden one is told when it is: often nothing.
            Next::NotOurs | Next::GoOn | Next::Hidden => {}
            Next::Visible => self.observer().on_start(tid, None),
            Next::VisibleProgram(former) => self.observer().on_exec(tid, former),
            Next::HiddenProgram(former) => self.observer().on_hidden_exec(tid, former),
        }
    }

    fn on_entry(&mut self, tid: Tid, entry: &SyscallEntry) -> Option<AtStake> {
        let call = self.table.call(entry.arch, entry.number)?;
        match &mut self.visibility {
            Some(visibility) if call.hides_the_caller() => {
                visibility.before_hiding(tid);
                self.observer().before_hiding(tid);
                None
            }
            _ => {
                self.observer().on_call(tid, call, &entry.args);
                let executes = self.releases_gains && call.executes() && self.may_release(tid);
                executes.then(|| self.observer().at_stake(tid)).flatten()
            }
        }
    }

    pub(super) fn observer(&self) -> std::sync::MutexGuard<'a, Observer<T>> {
        self.observer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether `/proc` shows a living process that we trace and have not heard of.
fn has_unseen_tracee(known: &TaskTable) -> bool {
    let own = std::process::id().to_string();
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return false;
    };
    processes.flatten().any(|entry| {
        let pid = entry.file_name().to_str().and_then(|pid| pid.parse().ok());
        if pid.is_none_or(|pid| known.contains(pid)) {
            return false;
        }
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
