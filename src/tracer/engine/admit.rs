//! Following processes that have entered from outside, from the ptrace loop's side.

use super::follow::Follower;
use super::release::Released;
use crate::sys::{self, Tid};
use crate::tracer::credentials::{ids_of, own_ids};
use crate::tracer::stop::Stop;
use crate::tracer::task::Lineage;
use crate::tracer::tracees::Tracees;
use crate::tracer::visitors::{Answer, Door, Whereabouts, starter, whereabouts};
use nix::errno::Errno;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the loop keeps for them.
pub(super) struct Admission {
    pub(super) door: Arc<Door>,
    /// Seized, and not stopped yet for the first time.
    arriving: HashSet<Tid>,
    /// Running without us for a while.
    pub(super) released: HashMap<Tid, Released>,
    /// Whether they are being let go, since the trace has ended.
    leaves: bool,
}

impl Admission {
    pub(super) fn new(door: Arc<Door>) -> Self {
        Self {
            door,
            arriving: HashSet::new(),
            released: HashMap::new(),
            leaves: false,
        }
    }
}

/// How long they may take to stop or die when the trace has ended.
const PARTING: Duration = Duration::from_secs(2);

impl<T: Tracees> Follower<'_, T> {
    /// Somebody woke us: there may be processes to follow.
    pub(super) fn on_wake(&mut self) {
        let Some(admission) = &self.admission else {
            return;
        };
        for (pid, lineage) in admission.door.wanted() {
            if self.may_be_seized(pid) && seize(pid, lineage).is_ok() {
                self.on_seized(pid, lineage);
            }
        }
        self.forget_ended();
    }

    fn on_seized(&mut self, pid: Tid, lineage: Lineage) {
        self.tasks.admit(pid, lineage);
        self.no_longer_released(pid);
        if let Some(admission) = &mut self.admission {
            admission.arriving.insert(pid);
            admission.door.answer(pid, Answer::Followed);
        }
        if lineage == Lineage::Command {
            self.watcher.on_change(pid, true);
        }
    }

    /// Before the first stop of a process that was let go, or that such a one has started, is
    /// looked at. Whoever executes is followed from the first instruction of the new program on.
    pub(super) fn on_return(&mut self, tid: Tid, stop: Stop) {
        let Some(admission) = &mut self.admission else {
            return;
        };
        if admission.arriving.remove(&tid) && !matches!(stop, Stop::Ended(_) | Stop::Exec) {
            self.observer().note_root(tid);
            self.observer().on_return(tid);
        }
    }

    /// Before a stop of a visitor is looked at: false when it is not to be followed.
    pub(super) fn on_visitors_stop(&mut self, tid: Tid, stop: Stop) -> bool {
        let Some(admission) = &mut self.admission else {
            return true;
        };
        let arrives = admission.arriving.remove(&tid);
        if matches!(stop, Stop::Ended(_)) || !(arrives || stop == Stop::Exec) {
            return true;
        }
        // Its own mounts may have been hidden from the finder, and micropacker traces by itself.
        if matches!(whereabouts(tid), Whereabouts::Elsewhere | Whereabouts::Ours) {
            admission.door.answer(tid, Answer::LetGo);
            return false;
        }
        let door = Arc::clone(&admission.door);
        self.observer().note_root(tid);
        if !arrives || stop == Stop::Exec {
            return true;
        }
        if self.observer().on_arrival(tid) {
            let known = door.note_incomplete();
            self.observer().on_late_arrival(tid, known);
        } else {
            self.tasks.on_runtime(tid);
        }
        true
    }

    /// A thread has stopped before its parent's fork event: whether it comes from outside decides
    /// how it is resumed.
    pub(super) fn inherit_from_starter(&mut self, tid: Tid) {
        if let Some(starter) = starter(tid) {
            self.tasks.inherit(tid, starter);
        }
    }

    /// Whether a visitor in a stop is to be let go now. One that makes a call that was slipped in
    /// has to finish it first.
    pub(super) fn lets_go(&self, tid: Tid) -> bool {
        self.admission
            .as_ref()
            .is_some_and(|admission| admission.leaves)
            && self.tasks.lineage(tid) != Lineage::Command
            && !self.is_watched(tid)
    }

    /// The trace has ended. The end of PID 1 is the end of everybody in its container, at once;
    /// whoever entered another one goes on without us.
    pub(super) fn part_from_visitors(&mut self) -> nix::Result<()> {
        let Some(admission) = &mut self.admission else {
            return Ok(());
        };
        admission.leaves = true;
        let kills = std::process::id() == 1;
        for tid in self.tasks.visitors() {
            // Whoever has ended meanwhile is reported as such.
            let _ = if kills {
                sys::send_signal(tid, libc::SIGKILL)
            } else {
                sys::interrupt(tid)
            };
        }
        let deadline = Instant::now() + PARTING;
        while self.tasks.has_visitors() && Instant::now() < deadline {
            match sys::wait_any(false) {
                Ok(Some((tid, status))) => self.on_status(tid, status)?,
                Ok(None) => std::thread::sleep(Duration::from_millis(1)),
                Err(Errno::ECHILD) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Seizes a process by its leader alone. Its other threads, if it has any already, are not:
/// were one of them in execve(2), which waits until each traced thread is reaped, then our
/// PTRACE_SEIZE of it would wait for that execve in turn, and nobody would reap (ptrace(2), and
/// `cred_guard_mutex` in the kernel). Threads that it starts from now on are followed.
fn seize(pid: Tid, lineage: Lineage) -> nix::Result<()> {
    let seize = match lineage {
        Lineage::Command => sys::seize,
        _ => sys::seize_guest,
    };
    match seize(pid) {
        // The kernel compares our real IDs with those of the process.
        Err(Errno::EPERM) => {
            let (uid, gid) = ids_of(pid)
                .filter(|ids| *ids != own_ids())
                .ok_or(Errno::EPERM)?;
            sys::with_real_ids(uid.as_raw(), gid.as_raw(), || seize(pid))??;
        }
        other => other?,
    }
    // It runs on: only from a stop can it be resumed to its next call.
    sys::interrupt(pid)
}
