//! Who started whom, told of those that are the first to use something.

use super::Observer;
use crate::event::Event;
use crate::image_path::ImagePath;
use crate::recording::Introduced;
use crate::sys::Tid;
use crate::tracer::tracees::{Link, Tracees};
use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;

/// What is known of the threads, and what was told.
pub(super) struct Family {
    parents: HashMap<Tid, Tid>,
    told: HashMap<Tid, Option<Tid>>,
    /// Micropacker, which the command's process runs before it becomes the command.
    own: Option<ImagePath>,
}

impl Default for Family {
    fn default() -> Self {
        let own = std::env::current_exe().ok();
        Self {
            parents: HashMap::new(),
            told: HashMap::new(),
            own: own.and_then(|own| ImagePath::new(own.as_os_str().as_bytes())),
        }
    }
}

impl<T: Tracees> Observer<T> {
    /// A thread has started another one.
    pub fn on_child(&mut self, child: Tid, parent: Tid) {
        // An ID that had been another's.
        if self.family.parents.insert(child, parent).is_some() {
            self.family.told.remove(&child);
        }
    }

    /// Before something is told that a thread is the first to use: who it is, and who those are
    /// that it descends from.
    pub(super) fn introduce(&mut self, tid: Tid) {
        let mut next = Some(tid);
        while let Some(pid) = next {
            let parent = self.family.parents.get(&pid).copied();
            if self.family.told.insert(pid, parent) == Some(parent) {
                return;
            }
            self.tell_process(pid, parent);
            next = parent;
        }
    }

    /// One that was introduced runs another program.
    pub(super) fn introduce_program(&mut self, tid: Tid) {
        if let Some(parent) = self.family.told.get(&tid).copied() {
            self.tell_process(tid, parent);
        }
    }

    /// The program of one that has ended cannot be asked for.
    fn tell_process(&mut self, pid: Tid, parent: Option<Tid>) {
        let program = match self.runs.get(&pid) {
            Some(program) => program.clone(),
            None => {
                let program = self.tracees.link(pid, Link::Program).ok();
                program.map(|program| self.then_of(&program).unwrap_or(program))
            }
        };
        let program = program.filter(|program| Some(program) != self.family.own.as_ref());
        (self.emit)(Event::Introduced(Introduced {
            pid,
            parent,
            program,
        }));
    }
}
