//! Counting system calls at their stops, from the ptrace loop's side.

use super::follow::Follower;
use crate::event::Event;
use crate::sys::{StopInfo, Tid};
use crate::tracer::task::Lineage;
use crate::tracer::tracees::Tracees;

impl<T: Tracees> Follower<'_, T> {
    /// A system call stop that is the thread's own doing. What our own code does in the command's
    /// place before it becomes the command does not count.
    pub(super) fn count(&mut self, tid: Tid, info: StopInfo) {
        let Some(census) = &mut self.census else {
            return;
        };
        if !self.ran && self.tasks.lineage(tid) == Lineage::Command {
            return;
        }
        let event = match info {
            StopInfo::Entry(entry) => census.on_entry(tid, entry.arch, entry.number),
            StopInfo::Exit(result) => census.on_exit(tid, result),
            StopInfo::Other => None,
        };
        self.tell_called(event);
    }

    /// A thread has ended.
    pub(super) fn count_end(&mut self, tid: Tid) {
        let event = self.census.as_mut().and_then(|census| census.on_end(tid));
        self.tell_called(event);
    }

    fn tell_called(&self, event: Option<Event>) {
        if let Some(event) = event {
            self.observer().on_called(event);
        }
    }
}
