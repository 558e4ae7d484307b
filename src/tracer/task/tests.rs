//! Played stops, in the order of life and in others.

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

#[test]
fn the_trace_does_not_wait_for_visitors_nor_for_what_they_start() {
    let mut table = table();
    table.admit(50, Lineage::Visitor);
    table.on_stop(50, Stop::Spawned, 51);
    table.on_stop(52, Stop::Trap, 0);
    table.inherit(52, 50);
    assert_eq!(table.lineage(52), Lineage::Visitor);
    table.on_stop(50, Stop::Spawned, 52);
    assert_eq!(table.visitors(), [50, 51, 52]);
    assert_eq!(table.lineage(MAIN), Lineage::Command);
    table.on_stop(MAIN, Stop::Ended(End::Exited(0)), 0);
    assert!(table.is_empty());
    table.on_stop(51, Stop::Ended(End::Exited(0)), 0);
    table.dismiss(50);
    table.on_stop(52, Stop::Exec, 52);
    assert_eq!(table.visitors(), [52]);
    assert!(table.is_empty());
}

#[test]
fn the_engines_own_program_becomes_a_visitor_with_the_next_one() {
    let mut table = table();
    table.admit(50, Lineage::Visitor);
    table.on_runtime(50);
    table.on_stop(50, Stop::Spawned, 51);
    assert_eq!(table.lineage(51), Lineage::Runtime);
    table.on_stop(50, Stop::Exec, 50);
    assert_eq!(table.lineage(50), Lineage::Visitor);
    table.on_runtime(MAIN);
    assert_eq!(table.lineage(MAIN), Lineage::Command);
    assert!(!table.is_empty());
}

#[test]
fn a_process_that_is_admitted_again_counts_once() {
    let mut table = table();
    table.admit(50, Lineage::Visitor);
    table.admit(50, Lineage::Visitor);
    table.on_stop(50, Stop::Ended(End::Exited(0)), 0);
    table.on_stop(MAIN, Stop::Ended(End::Exited(0)), 0);
    assert!(table.is_empty());
    assert!(!table.has_visitors());
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

#[test]
fn the_trace_waits_for_what_was_let_go_until_it_ends_or_is_followed_again() {
    let mut table = TaskTable::new(MAIN);
    table.on_stop(MAIN, Stop::Syscall, 0);
    table.release(MAIN, MAIN);
    assert!(!table.contains(MAIN) && !table.is_empty());
    let ended = table.on_stop(MAIN, Stop::Ended(End::Exited(3)), 0);
    assert_eq!(ended, (Action::Gone, Some(Notice::Ended)));
    assert!(table.is_empty());
    assert_eq!(table.main_end(), Some(End::Exited(3)));

    let mut table = TaskTable::new(MAIN);
    table.release(MAIN, MAIN);
    table.admit(MAIN, Lineage::Command);
    assert!(table.contains(MAIN) && !table.has_released());
}

#[test]
fn the_trace_does_not_wait_for_a_visitor_that_was_let_go() {
    let mut table = TaskTable::new(MAIN);
    table.admit(50, Lineage::Visitor);
    table.release(50, 50);
    table.on_stop(MAIN, Stop::Ended(End::Exited(0)), 0);
    assert!(table.is_empty());
}

#[test]
fn who_was_let_go_before_its_parent_told_of_it_is_not_brought_back() {
    let mut table = TaskTable::new(MAIN);
    table.on_stop(11, Stop::Trap, 0);
    table.release(11, MAIN);
    table.on_stop(MAIN, Stop::Spawned, 11);
    assert!(!table.contains(11));
}
