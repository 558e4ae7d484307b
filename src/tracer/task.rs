//! Which threads are followed, and what each stop asks for: a pure state machine.

#[cfg(test)]
mod tests;

use super::stop::{End, Stop};
use crate::sys::{Message, Tid};
use std::collections::{BTreeMap, BTreeSet};

/// How a stopped thread is to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Resume, delivering this signal (0: none).
    Resume(i32),
    /// Stay stopped with the group, and hear of its continuation (PTRACE_LISTEN).
    Listen,
    /// It has ended: there is nothing to resume.
    Gone,
}

/// What the rest of the tracer has to know of a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A thread is seen for the first time; its parent, where that is known already.
    Born(Option<Tid>),
    /// It is about to make, or has made, a system call.
    Call,
    /// It runs a new program; the thread ID under which it called execve(2).
    Program(Tid),
    /// It has ended.
    Ended,
}

/// Where a thread comes from; what it starts comes from there too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lineage {
    /// The command.
    #[default]
    Command,
    /// A process that has entered from outside.
    Visitor,
    /// Such a process as long as it runs a program that is none of the image's: the container
    /// engine's own. With its next program it becomes a visitor.
    Runtime,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Task {
    parent: Option<Tid>,
    /// Whether one of its own stops was seen: its parent may have told of it before.
    seen: bool,
    lineage: Lineage,
}

/// All threads that are followed.
#[derive(Debug)]
pub struct TaskTable {
    tasks: BTreeMap<Tid, Task>,
    /// Threads whose end was reported before their parent's fork event.
    ended_early: BTreeSet<Tid>,
    main: Tid,
    main_end: Option<End>,
    /// Whether the kernel would not let anybody inside stop the command.
    main_is_init: bool,
    /// How many of the tasks are none of the command's.
    visitors: usize,
    /// Processes of the command that run without us and that the trace waits for.
    released: BTreeSet<Tid>,
}

impl TaskTable {
    /// Follows the command's process.
    pub fn new(main: Tid) -> Self {
        Self {
            tasks: BTreeMap::from([(main, Task::default())]),
            ended_early: BTreeSet::new(),
            main,
            main_end: None,
            visitors: 0,
            released: BTreeSet::new(),
            main_is_init: false,
        }
    }

    /// The command stands in the place of PID 1, which cannot be stopped from inside its PID
    /// namespace (pid_namespaces(7)), and which nobody would let go on.
    pub fn with_main_as_init(mut self) -> Self {
        self.main_is_init = true;
        self
    }

    /// Follows a process that was not followed from birth. The trace waits for its end only if it
    /// is the command's.
    pub fn admit(&mut self, tid: Tid, lineage: Lineage) {
        self.remove(tid);
        self.released.remove(&tid);
        let task = Task {
            seen: true,
            lineage,
            ..Task::default()
        };
        self.tasks.insert(tid, task);
        self.visitors += usize::from(lineage != Lineage::Command);
    }

    /// A thread is about to execute a program without us, under its leader's ID. The trace waits
    /// for the end of that if it is the command's.
    pub fn release(&mut self, tid: Tid, leader: Tid) {
        if self.lineage(tid) == Lineage::Command {
            self.released.insert(leader);
        }
        let task = self.remove(tid);
        if tid != self.main && task.is_some_and(|task| task.parent.is_none()) {
            // Its parent has yet to tell of it, and must not bring it back.
            self.ended_early.insert(tid);
        }
    }

    /// Whether the trace waits for processes that run without us.
    pub fn has_released(&self) -> bool {
        !self.released.is_empty()
    }

    /// Such a process has ended, which nobody else will tell.
    pub fn forget_released(&mut self, pid: Tid) {
        self.released.remove(&pid);
    }

    /// Processes that run without us and that the trace waits for.
    pub fn released(&self) -> Vec<Tid> {
        self.released.iter().copied().collect()
    }

    /// Does not follow a thread any more.
    pub fn dismiss(&mut self, tid: Tid) {
        self.remove(tid);
    }

    /// Where a thread that is followed comes from.
    pub fn lineage(&self, tid: Tid) -> Lineage {
        if self.visitors == 0 {
            return Lineage::Command;
        }
        self.tasks
            .get(&tid)
            .map(|task| task.lineage)
            .unwrap_or_default()
    }

    /// A visitor runs a program that is none of the image's.
    pub fn on_runtime(&mut self, tid: Tid) {
        if let Some(task) = self.tasks.get_mut(&tid)
            && task.lineage == Lineage::Visitor
        {
            task.lineage = Lineage::Runtime;
        }
    }

    /// All threads that come from outside.
    pub fn visitors(&self) -> Vec<Tid> {
        let comes_from_outside = |task: &Task| task.lineage != Lineage::Command;
        self.tasks
            .iter()
            .filter(|(_, task)| comes_from_outside(task))
            .map(|(tid, _)| *tid)
            .collect()
    }

    /// Whether any thread that comes from outside is followed.
    pub fn has_visitors(&self) -> bool {
        self.visitors > 0
    }

    /// Whether this thread is followed.
    pub fn contains(&self, tid: Tid) -> bool {
        self.tasks.contains_key(&tid)
    }

    /// The command's process.
    pub fn main(&self) -> Tid {
        self.main
    }

    /// How the command itself ended, once it has.
    pub fn main_end(&self) -> Option<End> {
        self.main_end
    }

    /// Whether nothing is left that the trace waits for.
    pub fn is_empty(&self) -> bool {
        self.tasks.len() == self.visitors && self.released.is_empty()
    }

    /// The threads that are followed now.
    pub fn live(&self) -> impl Iterator<Item = Tid> {
        self.tasks.keys().copied()
    }

    /// Who started this thread, where that was seen.
    pub fn parent(&self, tid: Tid) -> Option<Tid> {
        self.tasks.get(&tid)?.parent
    }

    /// Takes in one stop. Stops of different threads may come in any order: a child's first stop
    /// before its parent's fork event, an end in any state (ptrace(2), "Death under ptrace").
    pub fn on_stop(&mut self, tid: Tid, stop: Stop, message: Message) -> (Action, Option<Notice>) {
        if let Stop::Ended(end) = stop {
            return self.on_end(tid, end);
        }
        let task = self.tasks.entry(tid).or_default();
        let first = (!task.seen).then_some(Notice::Born(task.parent));
        task.seen = true;
        match stop {
            Stop::Spawned => {
                self.on_spawned(tid, message as Tid);
                (Action::Resume(0), first)
            }
            Stop::Exec => (Action::Resume(0), Some(self.on_exec(tid, message as Tid))),
            Stop::Syscall | Stop::Seccomp => (Action::Resume(0), Some(Notice::Call)),
            Stop::Signal(libc::SIGSTOP) if tid == self.main && self.main_is_init => {
                (Action::Resume(0), first)
            }
            Stop::Signal(signal) => (Action::Resume(signal), first),
            Stop::Group(_) => (Action::Listen, first),
            Stop::Trap | Stop::Exiting | Stop::Other | Stop::Ended(_) => (Action::Resume(0), first),
        }
    }

    fn on_end(&mut self, tid: Tid, end: End) -> (Action, Option<Notice>) {
        if tid == self.main {
            self.main_end = Some(end);
        }
        let task = self.remove(tid);
        if self.released.remove(&tid) {
            return (Action::Gone, Some(Notice::Ended));
        }
        if tid != self.main && task.is_none_or(|task| task.parent.is_none()) {
            // Its parent has yet to tell of it; or it is an orphan that we reap as PID 1.
            self.ended_early.insert(tid);
        }
        (Action::Gone, task.map(|_| Notice::Ended))
    }

    fn on_spawned(&mut self, parent: Tid, child: Tid) {
        if self.ended_early.remove(&child) {
            return;
        }
        self.tasks.entry(child).or_default().parent = Some(parent);
        self.inherit(child, parent);
    }

    /// A thread comes from where another one comes from. Who has stopped before its parent told
    /// of it must know that before it goes on.
    pub fn inherit(&mut self, child: Tid, parent: Tid) {
        let lineage = self.lineage(parent);
        if lineage != Lineage::Command
            && let Some(task) = self.tasks.get_mut(&child)
            && task.lineage == Lineage::Command
        {
            task.lineage = lineage;
            self.visitors += 1;
        }
    }

    /// The thread that called execve(2) goes on under its leader's ID; its own is gone without
    /// another word.
    fn on_exec(&mut self, tid: Tid, former: Tid) -> Notice {
        if former != tid {
            self.remove(former);
        }
        if self.lineage(tid) == Lineage::Runtime
            && let Some(task) = self.tasks.get_mut(&tid)
        {
            task.lineage = Lineage::Visitor;
        }
        Notice::Program(former)
    }

    fn remove(&mut self, tid: Tid) -> Option<Task> {
        let task = self.tasks.remove(&tid);
        if task.is_some_and(|task| task.lineage != Lineage::Command) {
            self.visitors -= 1;
        }
        task
    }
}
