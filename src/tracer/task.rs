//! Which threads are followed, and what each stop asks for: a pure state machine.

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

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Task {
    parent: Option<Tid>,
    /// Whether one of its own stops was seen: its parent may have told of it before.
    seen: bool,
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
}

impl TaskTable {
    /// Follows the command's process.
    pub fn new(main: Tid) -> Self {
        Self {
            tasks: BTreeMap::from([(main, Task::default())]),
            ended_early: BTreeSet::new(),
            main,
            main_end: None,
            main_is_init: false,
        }
    }

    /// The command stands in the place of PID 1, which cannot be stopped from inside its PID
    /// namespace (pid_namespaces(7)), and which nobody would let go on.
    pub fn with_main_as_init(mut self) -> Self {
        self.main_is_init = true;
        self
    }

    /// How the command itself ended, once it has.
    pub fn main_end(&self) -> Option<End> {
        self.main_end
    }

    /// Whether nothing is left to follow.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
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
            Stop::Trap | Stop::Other | Stop::Ended(_) => (Action::Resume(0), first),
        }
    }

    fn on_end(&mut self, tid: Tid, end: End) -> (Action, Option<Notice>) {
        if tid == self.main {
            self.main_end = Some(end);
        }
        let task = self.tasks.remove(&tid);
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
    }

    /// The thread that called execve(2) goes on under its leader's ID; its own is gone without
    /// another word.
    fn on_exec(&mut self, tid: Tid, former: Tid) -> Notice {
        if former != tid {
            self.tasks.remove(&former);
        }
        Notice::Program(former)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAIN: Tid = 10;

    fn table() -> TaskTable {
        TaskTable::new(MAIN)
    }

    #[test]
    fn a_childs_first_stop_may_precede_the_fork_event() {
        let mut table = table();
        let (action, notice) = table.on_stop(11, Stop::Trap, 0);
        assert_eq!(
            (action, notice),
            (Action::Resume(0), Some(Notice::Born(None)))
        );
        table.on_stop(MAIN, Stop::Spawned, 11);
        assert_eq!(table.parent(11), Some(MAIN));
    }

    #[test]
    fn a_birth_is_told_once_whichever_stop_comes_first() {
        let mut table = table();
        table.on_stop(MAIN, Stop::Spawned, 11);
        let (_, notice) = table.on_stop(11, Stop::Trap, 0);
        assert_eq!(notice, Some(Notice::Born(Some(MAIN))));
        let (_, notice) = table.on_stop(11, Stop::Trap, 0);
        assert_eq!(notice, None);
    }

    #[test]
    fn a_child_that_died_before_its_fork_event_is_not_waited_for() {
        let mut table = table();
        table.on_stop(11, Stop::Ended(End::Killed(9)), 0);
        table.on_stop(MAIN, Stop::Spawned, 11);
        table.on_stop(MAIN, Stop::Ended(End::Exited(0)), 0);
        assert!(table.is_empty());
    }

    #[test]
    fn exec_by_another_thread_drops_its_old_id() {
        let mut table = table();
        table.on_stop(MAIN, Stop::Spawned, 12);
        table.on_stop(12, Stop::Trap, 0);
        let (_, notice) = table.on_stop(MAIN, Stop::Exec, 12);
        assert_eq!(notice, Some(Notice::Program(12)));
        assert_eq!(table.live().collect::<Vec<_>>(), [MAIN]);
    }

    #[test]
    fn signals_are_delivered_and_group_stops_listened_to() {
        let mut table = table();
        let (action, _) = table.on_stop(MAIN, Stop::Signal(64), 0);
        assert_eq!(action, Action::Resume(64));
        let (action, _) = table.on_stop(MAIN, Stop::Group(libc::SIGTSTP), 0);
        assert_eq!(action, Action::Listen);
        let (action, _) = table.on_stop(MAIN, Stop::Trap, 0);
        assert_eq!(action, Action::Resume(0));
    }

    #[test]
    fn the_command_in_place_of_pid_1_is_not_stopped() {
        let mut table = table().with_main_as_init();
        table.on_stop(MAIN, Stop::Spawned, 11);
        for (tid, delivered) in [(MAIN, 0), (11, libc::SIGSTOP)] {
            let (action, _) = table.on_stop(tid, Stop::Signal(libc::SIGSTOP), 0);
            assert_eq!(action, Action::Resume(delivered));
        }
    }

    #[test]
    fn the_commands_end_is_kept_while_others_live_on() {
        let mut table = table();
        table.on_stop(MAIN, Stop::Spawned, 11);
        table.on_stop(MAIN, Stop::Ended(End::Exited(3)), 0);
        assert_eq!(table.main_end(), Some(End::Exited(3)));
        assert!(!table.is_empty());
        table.on_stop(11, Stop::Ended(End::Exited(0)), 0);
        assert!(table.is_empty());
    }

    #[test]
    fn ends_of_processes_that_are_not_followed_change_nothing() {
        let mut table = table();
        let (action, notice) = table.on_stop(99, Stop::Ended(End::Exited(0)), 0);
        assert_eq!((action, notice), (Action::Gone, None));
        assert_eq!(table.live().collect::<Vec<_>>(), [MAIN]);
    }

    /// The stops of a main process, two children and a thread, in the order of each one's life.
    fn lives() -> Vec<Vec<(Tid, Stop, Message)>> {
        let end = Stop::Ended(End::Exited(0));
        vec![
            vec![
                (MAIN, Stop::Exec, MAIN as Message),
                (MAIN, Stop::Spawned, 11),
                (MAIN, Stop::Spawned, 12),
                (MAIN, Stop::Spawned, 13),
                (MAIN, end, 0),
            ],
            vec![(11, Stop::Trap, 0), (11, Stop::Seccomp, 0), (11, end, 0)],
            vec![(12, Stop::Trap, 0), (12, Stop::Signal(34), 0), (12, end, 0)],
            vec![(13, end, 0)],
        ]
    }

    proptest! {
        #[test]
        fn any_interleaving_resumes_each_stop_once_and_ends_empty(
            picks in proptest::collection::vec(0usize..4, 64)) {
            let mut table = table();
            let mut lives = lives();
            let mut picks = picks.into_iter().chain((0..4).cycle());
            while lives.iter().any(|life| !life.is_empty()) {
                let life = &mut lives[picks.next().expect("endless")];
                if life.is_empty() {
                    continue;
                }
                let (tid, stop, message) = life.remove(0);
                let (action, _) = table.on_stop(tid, stop, message);
                prop_assert_eq!(matches!(stop, Stop::Ended(_)), action == Action::Gone);
            }
            prop_assert!(table.is_empty());
            prop_assert_eq!(table.main_end(), Some(End::Exited(0)));
        }
    }
}
