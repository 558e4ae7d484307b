//! Processes that were already running when we began to follow them, and files that only a log
//! tells of.

use super::Observer;
use crate::event::Event;
use crate::image_path::ImagePath;
use crate::recording::{Access, Origin, Place};
use crate::sys::Tid;
use crate::tracer::tracees::{Link, Tracees};
use crate::tracer::visitors::REMEDY;

impl<T: Tracees> Observer<T> {
    /// A process is followed from now on that ran before: what it runs, has mapped and holds open
    /// counts as used. False when its program is none of the image's, so that nothing of it is.
    pub fn on_arrival(&mut self, tid: Tid) -> bool {
        if !self.tracees.runs_what_is_seen(tid) {
            return false;
        }
        self.on_exec(tid, tid);
        self.on_holdings(tid);
        true
    }

    pub(super) fn on_holdings(&mut self, tid: Tid) {
        for (call, path) in self.tracees.holdings(tid) {
            self.on_held(tid, call, path);
        }
    }

    /// Its root directory may be another than ours.
    pub fn note_root(&mut self, tid: Tid) {
        let root = self.tracees.link(tid, Link::Root);
        self.roots_differ |= root.is_ok_and(|root| !root.is_root());
    }

    /// A visitor was followed only some time after it had started its program; what is known of
    /// that time.
    pub fn on_late_arrival(&mut self, tid: Tid, known: &str) {
        let program = self.program_of(tid);
        self.lose(format!(
            "what {program}, which entered the container from outside, did before it was \
             followed: {known}; run it as: {REMEDY}"
        ));
        self.lose_calls(&program);
    }

    /// Somebody has opened this file, by its physical path: it may have been anybody.
    pub fn on_logged(&mut self, path: ImagePath) {
        let known = self.known.get(path.as_bytes());
        if known.is_some_and(|known| known.access.covers(Access::OPEN))
            || !self.tracees.exists(path.as_bytes(), false)
        {
            return;
        }
        let Some(then) = self.then_of(&path) else {
            return;
        };
        self.know(path.as_bytes(), Access::OPEN);
        (self.emit)(Event::Used {
            place: Place::at(then),
            access: Access::OPEN,
            origin: Origin {
                pid: 0,
                program: None,
                call: "inotify".into(),
            },
        });
    }

    fn on_held(&mut self, tid: Tid, call: &'static str, path: ImagePath) {
        let kernels = [&b"/proc/"[..], b"/dev/", b"/sys/"];
        if kernels
            .iter()
            .any(|place| path.as_bytes().starts_with(place))
        {
            return;
        }
        let Some(path) = self.then_of(&path) else {
            return;
        };
        let access = if call == "cwd" {
            Access::ENTER
        } else {
            Access::OPEN
        };
        let program = self.runs_now(tid);
        self.introduce(tid);
        (self.emit)(Event::Used {
            place: Place::at(path),
            access,
            origin: Origin {
                pid: tid,
                program,
                call: call.into(),
            },
        });
    }

    /// What execve(2) was given, where that was not seen: the kernel leaves it with the program.
    pub(super) fn executed(&mut self, tid: Tid) -> Option<ImagePath> {
        let name = self.tracees.executed(tid)?;
        // The descriptor of an execveat(2), which is closed by now.
        if name.starts_with(b"/dev/fd/") || name.is_empty() {
            return None;
        }
        if name.starts_with(b"/") {
            return ImagePath::new(name);
        }
        self.tracees.link(tid, Link::Cwd).ok()?.join(name)
    }
}
