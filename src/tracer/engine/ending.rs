//! The end of a command that was not started by its tracer but started it: nobody waits for the
//! tracer then, and where the command is PID 1 the kernel ends it as well. So the last thread of
//! the command is held at its exit stop (ptrace(2), PTRACE_O_TRACEEXIT), which comes even after a
//! SIGKILL from outside, until everything is written.

use super::follow::{Follower, Stopped};
use crate::sys::{self, Message, Tid};
use crate::tracer::stop::{End, Stop};
use crate::tracer::task::{Action, Lineage};
use crate::tracer::tracees::Tracees;
use std::collections::BTreeSet;
use std::fs;

/// What is known of the command's own threads.
pub(super) struct Ending {
    main: Tid,
    is_init: bool,
    threads: BTreeSet<Tid>,
    /// Those that were let go from their exit stop: they can start nothing any more.
    passed: BTreeSet<Tid>,
    held: Option<(Stopped, End)>,
}

impl Ending {
    fn new(main: Tid) -> Self {
        Self {
            main,
            is_init: main == 1,
            threads: BTreeSet::from([main]),
            passed: BTreeSet::new(),
            held: None,
        }
    }

    /// Whether a thread at its exit stop is the last one: the end of the others is on its way.
    fn is_last(&mut self, tid: Tid) -> bool {
        self.passed.insert(tid);
        let others = match fs::read_dir(format!("/proc/{}/task", self.main)) {
            Ok(tasks) => tasks
                .flatten()
                .filter_map(|task| task.file_name().to_str()?.parse().ok())
                .collect(),
            Err(_) => self.threads.clone(),
        };
        !others
            .into_iter()
            .any(|other| !self.passed.contains(&other) && lives(self.main, other))
    }

    /// Whether a signal would change nothing: the command ignores it, or is PID 1, which gets none
    /// that it has no handler for (pid_namespaces(7)).
    fn is_vain(&self, signal: i32) -> bool {
        let status = fs::read_to_string(format!("/proc/{}/status", self.main));
        status.is_ok_and(|status| {
            has_signal(&status, "SigIgn:", signal)
                || (self.is_init && !has_signal(&status, "SigCgt:", signal))
        })
    }
}

/// Neither a zombie nor dead (proc_pid_stat(5)).
fn lives(main: Tid, tid: Tid) -> bool {
    let stat = fs::read(format!("/proc/{main}/task/{tid}/stat"));
    let state = stat.ok().and_then(|stat| state_of(&stat));
    state.is_some_and(|state| !b"ZXx".contains(&state))
}

/// The state stands behind the name, which may hold anything.
fn state_of(stat: &[u8]) -> Option<u8> {
    let name_ends = stat.iter().rposition(|byte| *byte == b')')?;
    stat.get(name_ends + 2).copied()
}

/// Whether a signal is in one of the sets of proc_pid_status(5).
fn has_signal(status: &str, set: &str, signal: i32) -> bool {
    let line = status.lines().find_map(|line| line.strip_prefix(set));
    line.and_then(|line| u64::from_str_radix(line.trim(), 16).ok())
        .is_some_and(|set| (1..=64).contains(&signal) && set >> (signal - 1) & 1 == 1)
}

impl<T: Tracees> Follower<'_, T> {
    /// The command, `main`, was seized to its end: [`Follower::follow`] comes back while its last
    /// thread is held there.
    #[must_use]
    pub fn to_its_end(mut self, main: Tid) -> Self {
        self.ending = Some(Ending::new(main));
        self
    }

    /// How the command ends that is held at its exit stop.
    pub(super) fn held(&self) -> Option<End> {
        let ending = self.ending.as_ref()?;
        ending.held.as_ref().map(|(_, end)| *end)
    }

    /// Lets the held command end. As PID 1 it takes us along.
    ///
    /// # Errors
    /// Those of ptrace(2).
    pub fn let_main_end(&mut self) -> nix::Result<()> {
        let held = self.ending.as_mut().and_then(|ending| ending.held.take());
        held.map_or(Ok(()), |(stopped, _)| stopped.act(Action::Resume(0)))
    }

    /// Whether nobody else lives whom the trace would wait for.
    pub fn main_is_alone(&self) -> bool {
        let Some(ending) = &self.ending else {
            return false;
        };
        let is_other = |tid: &Tid| {
            !ending.threads.contains(tid) && self.tasks.lineage(*tid) == Lineage::Command
        };
        !self.tasks.live().any(|tid| is_other(&tid))
    }

    /// Kills all that are followed but the command itself, as the end of PID 1 will: nobody
    /// changes or serves files any more while these are packed.
    pub fn kill_others(&self) {
        let Some(ending) = &self.ending else { return };
        for tid in self.tasks.live() {
            if !ending.threads.contains(&tid) && sys::leads_a_process(tid) {
                let _ = sys::send_signal(tid, libc::SIGKILL);
            }
        }
    }

    /// Notes what a stop means for the command's end. Gives what is to be done in place of
    /// `action`.
    pub(super) fn note_for_end(
        &mut self,
        tid: Tid,
        stop: Stop,
        born: bool,
        action: Action,
    ) -> Action {
        let Some(ending) = &mut self.ending else {
            return action;
        };
        if born && tid != ending.main {
            if sys::is_thread_of(ending.main, tid) {
                ending.threads.insert(tid);
            } else if sys::leads_a_process(tid) {
                // Each of them would stop once more for nothing.
                let _ = sys::spare_exit_stop(tid);
            }
        }
        if !ending.threads.contains(&tid) {
            return action;
        }
        match stop {
            Stop::Ended(_) => {
                ending.threads.remove(&tid);
                ending.passed.remove(&tid);
            }
            // All others are gone, and whoever called execve(2) is the leader now.
            Stop::Exec => {
                ending.threads = BTreeSet::from([tid]);
                ending.passed.clear();
            }
            Stop::Signal(signal) => return self.on_signal_to_main(tid, signal, action),
            _ => {}
        }
        action
    }

    fn on_signal_to_main(&mut self, tid: Tid, signal: i32, action: Action) -> Action {
        let Some(ending) = &self.ending else {
            return action;
        };
        let Ok(received) = sys::signal_of_stop(tid) else {
            return action;
        };
        match signal {
            // A tracer sees, and would deliver, what the kernel keeps from PID 1.
            libc::SIGSTOP if ending.is_init && received.sender != 0 => Action::Resume(0),
            libc::SIGTERM | libc::SIGINT | libc::SIGQUIT
                if !received.from_kernel && ending.is_vain(signal) =>
            {
                self.watcher.on_vain_stop(signal);
                action
            }
            _ => action,
        }
    }

    /// Takes a stopped thread that is not to be resumed: the last one at its exit stop, and one
    /// that was killed meanwhile and has gone on to its exit stop, which resuming it now would let
    /// pass unseen. Between this look and the resumption nothing can be done about that.
    pub(super) fn hold(
        &mut self,
        stopped: Stopped,
        stop: Stop,
        message: Message,
    ) -> Option<Stopped> {
        let Some(ending) = &mut self.ending else {
            return Some(stopped);
        };
        let tid = stopped.tid();
        if !ending.threads.contains(&tid) {
            return Some(stopped);
        }
        if stop == Stop::Exiting && ending.is_last(tid) {
            let end = match Stop::decode(message as sys::WaitStatus) {
                Stop::Ended(end) => end,
                _ => End::Killed(libc::SIGKILL),
            };
            ending.held = Some((stopped, end));
            return None;
        }
        // On its way there any request is refused; once it is there, waitid(2) tells. What is killed
        // after the first look does not get there before we are done, unless we are preempted.
        if sys::event_message(tid).is_err() || sys::has_news(tid) {
            stopped.was_superseded();
            return None;
        }
        Some(stopped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_found_in_their_sets() {
        let status =
            "SigBlk:\t0000000000000000\nSigIgn:\t0000000000004000\nSigCgt:\t8000000000000002\n";
        assert!(has_signal(status, "SigIgn:", libc::SIGTERM));
        assert!(!has_signal(status, "SigIgn:", libc::SIGINT));
        assert!(has_signal(status, "SigCgt:", libc::SIGINT));
        assert!(has_signal(status, "SigCgt:", 64));
        assert!(!has_signal(status, "SigCgt:", 0));
        assert!(!has_signal("", "SigCgt:", 1));
    }

    #[test]
    fn a_state_stands_behind_any_name() {
        assert_eq!(state_of(b"7 (a) Z) S 1"), Some(b'S'));
        assert_eq!(state_of(b"7 (a"), None);
        assert_eq!(state_of(b"7 (a)"), None);
    }

    #[test]
    fn a_thread_is_the_last_when_all_others_have_passed_or_are_gone() {
        let own = std::process::id() as Tid;
        let mut ending = Ending::new(own);
        let tids = || -> BTreeSet<Tid> {
            let tasks = fs::read_dir("/proc/self/task").expect("readable").flatten();
            tasks
                .filter_map(|task| task.file_name().to_str()?.parse().ok())
                .collect()
        };
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let other = std::thread::spawn(move || {
            tell.send(sys::own_thread()).expect("received");
            let _ = ended.recv();
        });
        let other_tid = told.recv().expect("a thread ID");
        // Other tests run in this process.
        ending.passed = tids();
        ending.passed.remove(&other_tid);
        assert!(!ending.is_last(own));
        ending.passed.insert(other_tid);
        ending.passed.extend(tids());
        drop(end);
        other.join().expect("ended");
        assert!(lives(own, own) && !lives(own, other_tid));
    }
}
