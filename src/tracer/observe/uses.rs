//! Telling what was used, by paths that mean the same when the trace has ended.

use super::Observer;
use super::intent::Intent;
use crate::event::Event;
use crate::image_fs::{Walk, walk_in};
use crate::image_path::ImagePath;
use crate::recording::{Access, Origin, Place};
use crate::sys::Tid;
use crate::tracer::syscall::Call;
use crate::tracer::tracees::{Link, NoLink, Tracees};

/// How a symlink on the way is used.
const LOOK: Access = Access::PROBE.with(Access::NO_FOLLOW);

impl<T: Tracees> Observer<T> {
    /// Notes a path that is not known yet. True when it is there and was there before us: the
    /// next use of it tells nothing new.
    pub(super) fn on_place(
        &mut self,
        tid: Tid,
        call: &'static Call,
        place: Place,
        intent: Intent,
    ) -> bool {
        let follow = !intent.access.contains(Access::NO_FOLLOW);
        if !self.exists(&place, follow) {
            if intent.creates {
                self.on_creation(tid, call, &place, follow);
            } else if self.keeper.wants_absent() {
                let origin = self.origin(tid, call);
                self.keeper.absent(&place, intent.access, origin);
            }
            return false;
        }
        let level = intent.level();
        if level.is_none() && self.past().is_untouched() {
            self.tell_use(tid, call, place, intent.access);
            return true;
        }
        let walk = walk_in(&*self.fs, &place.root, &place.path, follow);
        let then = self.tell_walk(tid, call, place, &walk, intent.access);
        if let (Some(level), Ok((now, meta))) = (level, &walk.end) {
            self.before_change(then.as_ref(), (now, meta), level, intent.removes);
        }
        then.is_some()
    }

    pub(super) fn on_descriptor(&mut self, tid: Tid, call: &'static Call, fd: i32, access: Access) {
        let path = match self.tracees.link(tid, Link::Fd(fd)) {
            Ok(path) => path,
            Err(NoLink::Nothing) => return,
            Err(NoLink::Forbidden) => {
                let what = match access.contains(Access::CHANGE) {
                    true => "originals of files that it holds open, and changes of them,",
                    false => "directories",
                };
                return self.lose_hidden(tid, call, what);
            }
        };
        let Some(path) = self.here(tid, path) else {
            return;
        };
        if !path.as_bytes().starts_with(b"/proc/") {
            let intent = Intent::of_use(access);
            self.on_spelled(tid, call, None, None, path.as_bytes(), intent);
        }
    }

    /// Where what is at this path now was when the trace began; `None` where it was made since.
    pub(super) fn then_of(&self, now: &ImagePath) -> Option<ImagePath> {
        self.past().then_of(&*self.fs, now)
    }

    /// Tells that a place was used, links on the way included: as it was spelled, unless something
    /// on the way was made or renamed since the trace began, so that the spelling would lead
    /// elsewhere in the image. Where what it leads to was then; `None` where that was made since.
    pub(super) fn tell_walk(
        &mut self,
        tid: Tid,
        call: &'static Call,
        place: Place,
        walk: &Walk,
        access: Access,
    ) -> Option<ImagePath> {
        let Ok((end, _)) = &walk.end else {
            // The kernel finds what we may not look at.
            let spelled = place.path.rebased(&place.root);
            self.tell_use(tid, call, place, access);
            return Some(spelled);
        };
        let then = self.then_of(end);
        let in_place = |path: &ImagePath| self.then_of(path).as_ref() == Some(path);
        if then.as_ref() == Some(end) && walk.links.iter().all(in_place) {
            self.tell_use(tid, call, place, access);
            return then;
        }
        self.tell_links(tid, call, walk);
        if let Some(then) = &then {
            self.tell_once(tid, call, then, access);
        }
        then
    }

    /// Tells the links and the directory on the way to a name that is not there.
    pub(super) fn tell_way(&mut self, tid: Tid, call: &'static Call, walk: &Walk) {
        self.tell_links(tid, call, walk);
        let parent = walk.last.parent().and_then(|parent| self.then_of(&parent));
        if let Some(parent) = parent {
            self.tell_once(tid, call, &parent, Access::ENTER);
        }
    }

    fn tell_links(&mut self, tid: Tid, call: &'static Call, walk: &Walk) {
        for link in &walk.links {
            if let Some(then) = self.then_of(link) {
                self.tell_once(tid, call, &then, LOOK);
            }
        }
        for left in &walk.left {
            if let Some(then) = self.then_of(left) {
                self.tell_once(tid, call, &then, Access::ENTER);
            }
        }
    }

    fn tell_once(&mut self, tid: Tid, call: &'static Call, then: &ImagePath, access: Access) {
        let told = self.told.get(then);
        if !told.is_some_and(|told| told.covers(access)) {
            *self.told.entry(then.clone()).or_default() |= access;
            self.tell_use(tid, call, Place::at(then.clone()), access);
        }
    }

    fn tell_use(&mut self, tid: Tid, call: &'static Call, place: Place, access: Access) {
        let origin = self.origin(tid, call);
        self.introduce(tid);
        (self.emit)(Event::Used {
            place,
            access,
            origin,
        });
    }

    pub(super) fn origin(&mut self, tid: Tid, call: &'static Call) -> Origin {
        Origin {
            pid: tid,
            program: self.runs_now(tid),
            call: call.name.into(),
        }
    }
}
