//! Letting a process go that executes a program which would gain nothing under trace, and taking
//! it back: `--keep-setuid`, from the ptrace loop's side.
//!
//! The kernel asks at execve(2) whether the calling thread is traced, so that one alone is let go;
//! its siblings end by that execve. Until each of them is reaped, the process must not be seized:
//! PTRACE_SEIZE would wait for the execve (`cred_guard_mutex`), the execve for the siblings, and
//! these for us.

use super::follow::Follower;
use crate::sys::{self, Tid};
use crate::tracer::credentials::as_tracee;
use crate::tracer::gains::Privileges;
use crate::tracer::observe::AtStake;
use crate::tracer::tracees::{ProcTracees, Tracees};
use crate::tracer::visitors::status;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

/// A process that was let go.
pub(super) struct Released {
    before: State,
    since: Instant,
}

/// What an execve(2) of such a program changes.
#[derive(PartialEq, Eq)]
struct State {
    /// Device and inode of the program; `None` where that may not be looked at.
    program: Option<(u64, u64)>,
    privileges: Option<Privileges>,
}

/// After this time an execve(2) of which nothing shows has failed. If it has not, and the process
/// is followed again before it has begun, the program gains nothing, which is told then.
const PATIENCE: Duration = Duration::from_secs(1);

impl State {
    fn of(pid: Tid) -> Self {
        let program = as_tracee(pid, || fs::metadata(format!("/proc/{pid}/exe")));
        Self {
            program: program.ok().map(|meta| (meta.dev(), meta.ino())),
            privileges: ProcTracees::default().privileges(pid),
        }
    }
}

impl<T: Tracees> Follower<'_, T> {
    /// Whether a thread may run without us: the command of an inverted trace may not, since its
    /// end could not be held until the outputs are written. It is told then that it gains nothing.
    pub(super) fn may_release(&self, tid: Tid) -> bool {
        self.ending.is_none() || !sys::is_thread_of(self.tasks.main(), tid)
    }

    /// Lets a thread go that is stopped before its execve(2).
    pub(super) fn release(&mut self, tid: Tid, at_stake: AtStake) -> nix::Result<()> {
        let leader = status(tid).map_or(tid, |status| status.leader);
        let lineage = self.tasks.lineage(tid);
        if let Some(admission) = &mut self.admission {
            let known = admission.door.known();
            let released = Released {
                before: State::of(leader),
                since: Instant::now(),
            };
            admission.released.insert(leader, released);
            admission.door.release(leader, lineage);
            self.observer().on_release(tid, at_stake, known);
        }
        self.tasks.release(tid, leader);
        if let Some(visibility) = &mut self.visibility {
            visibility.forget(tid);
        }
        if tid != leader {
            self.watcher.on_change(tid, false);
        }
        super::follow::unless_killed(sys::detach(tid, 0))
    }

    /// Whether a process may be seized now.
    pub(super) fn may_be_seized(&mut self, pid: Tid) -> bool {
        let released = self.admission.as_ref().map(|it| &it.released);
        let Some(released) = released.and_then(|released| released.get(&pid)) else {
            return true;
        };
        if released.since.elapsed() < PATIENCE && State::of(pid) == released.before {
            return false;
        }
        // The leader of former times is gone without a word if another thread has executed.
        if self.tasks.contains(pid) && status(pid).is_some_and(|status| status.tracer == 0) {
            self.tasks.dismiss(pid);
            self.observer().on_end(pid);
        }
        let threads = fs::read_dir(format!("/proc/{pid}/task"));
        !threads.into_iter().flatten().flatten().any(|thread| {
            let tid = thread.file_name().to_str().and_then(|tid| tid.parse().ok());
            tid.is_some_and(|tid| self.tasks.contains(tid))
        })
    }

    /// Notes who has ended of those that were let go. waitpid(2) tells it of our own children
    /// alone.
    pub(super) fn forget_ended(&mut self) {
        for pid in self.tasks.released() {
            if sys::is_child(pid) || status(pid).is_some_and(|status| status.runs) {
                continue;
            }
            // Another thread may have executed and ended under its ID.
            self.tasks.dismiss(pid);
            self.observer().on_end(pid);
            self.tasks.forget_released(pid);
            self.no_longer_released(pid);
            self.watcher.on_change(pid, false);
        }
    }

    /// A process that was let go is followed again, or has ended.
    pub(super) fn no_longer_released(&mut self, pid: Tid) {
        if let Some(admission) = &mut self.admission
            && admission.released.remove(&pid).is_some()
        {
            admission.door.no_longer_await(pid);
        }
    }
}
