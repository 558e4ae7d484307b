//! Calls that change, make, rename or remove something: what was there when the trace began is
//! kept before they take effect.

use super::Observer;
use crate::event::Event;
use crate::image_fs::{FileKind, Meta, Walk, walk_in};
use crate::image_path::ImagePath;
use crate::recording::{Access, Level, Origin, Original, Place};
use crate::sys::Tid;
use crate::tracer::syscall::{Call, Deed, Follow, PathArgument};
use crate::tracer::tracees::Tracees;
use nix::errno::Errno;

/// Who keeps originals. The tracee waits meanwhile.
pub trait Keeper {
    /// Keeps what is at the path `now`, and was at `then` when the trace began. `None` where it is
    /// not the image's.
    fn keep(&mut self, then: &ImagePath, now: &ImagePath, level: Level) -> Option<Original>;
    /// Returns when all that was told until now is recorded.
    fn settle(&mut self);
    /// Whether to be told of what is asked for and is not there.
    fn wants_absent(&self) -> bool {
        false
    }
    /// Something was asked for that is not there.
    fn absent(&mut self, _place: &Place, _access: Access, _origin: Origin) {}
}

/// Keeps nothing.
pub(super) struct Nothing;

impl Keeper for Nothing {
    fn keep(&mut self, _: &ImagePath, _: &ImagePath, _: Level) -> Option<Original> {
        None
    }

    fn settle(&mut self) {}
}

const LOOKED_AT: Access = Access::PROBE.with(Access::NO_FOLLOW);
const RENAMED: Access = Access::CHANGE.with(Access::NO_FOLLOW);

impl<T: Tracees> Observer<T> {
    /// Something that is there is about to be changed; `then` tells where it was when the trace
    /// began, if it was there.
    pub(super) fn before_change(
        &mut self,
        then: Option<&ImagePath>,
        (now, meta): (&ImagePath, &Meta),
        level: Level,
        removes: bool,
    ) {
        if let Some(then) = then {
            self.keep(then, (now, meta), level);
        }
        if removes {
            self.keep_parent(now);
            if then.is_some() || leads_on(meta) {
                self.upheavals += 1;
            }
        }
    }

    /// A name is about to be made that is not there.
    pub(super) fn on_creation(
        &mut self,
        tid: Tid,
        call: &'static Call,
        place: &Place,
        follow: bool,
    ) {
        let walk = walk_in(&*self.fs, &place.root, &place.path, follow);
        if is_missing(&walk) {
            self.make(tid, call, &walk);
        }
    }

    fn make(&mut self, tid: Tid, call: &'static Call, walk: &Walk) {
        self.tell_way(tid, call, walk);
        self.keep_parent(&walk.last);
        self.tell_made(&walk.last);
    }

    pub(super) fn on_rename(
        &mut self,
        tid: Tid,
        call: &'static Call,
        [from, to]: &[PathArgument; 2],
        flags: u64,
        args: &[u64; 6],
    ) {
        let (Some(from), Some(to)) = (
            self.locate(tid, call, from, args),
            self.locate(tid, call, to, args),
        ) else {
            return;
        };
        let source = walk_in(&*self.fs, &from.root, &from.path, false);
        let target = walk_in(&*self.fs, &to.root, &to.path, false);
        let Ok((old, meta)) = &source.end else {
            return;
        };
        let moved = self.tell_walk(tid, call, from, &source, RENAMED);
        let new = &target.last;
        let replaced = match &target.end {
            Ok((_, there)) => {
                let then = self.tell_walk(tid, call, to, &target, RENAMED);
                if (there.dev, there.ino) == (meta.dev, meta.ino) {
                    // Two names of one file: nothing happens.
                    return;
                }
                Some((then, *there))
            }
            Err(_) if is_missing(&target) => {
                self.tell_way(tid, call, &target);
                None
            }
            Err(_) => return,
        };
        self.keep_parent(old);
        self.keep_parent(new);
        if moved.is_some() || leads_on(meta) {
            self.upheavals += 1;
        }
        let forth = self.shift(meta, old, new);
        if flags & u64::from(libc::RENAME_EXCHANGE) != 0 {
            let Some((other, there)) = replaced else {
                return;
            };
            let back = self.shift(&there, new, old);
            self.upheavals += 1;
            self.relocate(moved.as_ref(), (old, meta), new);
            self.relocate(other.as_ref(), (new, &there), old);
            self.tell_shift(forth);
            self.tell_shift(back);
            return;
        }
        if let Some((Some(then), there)) = replaced {
            self.keep(&then, (new, &there), Level::Whole);
            // It stays where it is should the call fail.
            self.tell_moved(&then, new);
            self.upheavals += 1;
        }
        self.relocate(moved.as_ref(), (old, meta), new);
        self.tell_shift(forth);
    }

    pub(super) fn on_link(
        &mut self,
        tid: Tid,
        call: &'static Call,
        [from, to]: &[PathArgument; 2],
        args: &[u64; 6],
    ) {
        let Some(target) = self.locate(tid, call, to, args) else {
            return;
        };
        let target_walk = walk_in(&*self.fs, &target.root, &target.path, false);
        // One that was never there (O_TMPFILE) has no path.
        if let Some(source) = self.locate(tid, call, from, args) {
            let follow = match from.deed {
                Deed::Use(_, Follow::AtFollow(flags)) => {
                    args[usize::from(flags)] & libc::AT_SYMLINK_FOLLOW as u64 != 0
                }
                _ => false,
            };
            let walk = walk_in(&*self.fs, &source.root, &source.path, follow);
            if let Ok((now, meta)) = &walk.end {
                let access = match follow {
                    true => Access::PROBE,
                    false => LOOKED_AT,
                };
                let then = self.tell_walk(tid, call, source, &walk, access);
                if is_missing(&target_walk) {
                    self.relocate(then.as_ref(), (now, meta), &target_walk.last);
                }
            }
        }
        if is_missing(&target_walk) {
            self.make(tid, call, &target_walk);
        } else {
            self.tell_walk(tid, call, target, &target_walk, LOOKED_AT);
        }
    }

    /// Something may be found under another name from now on.
    fn relocate(
        &mut self,
        then: Option<&ImagePath>,
        (old, meta): (&ImagePath, &Meta),
        new: &ImagePath,
    ) {
        if let Some(then) = then {
            // Overlayfs may give it another inode, which would not be known again.
            let linked = meta.kind != FileKind::Directory && meta.nlink > 1;
            let level = if linked { Level::Whole } else { Level::Meta };
            self.keep(then, (old, meta), level);
            self.tell_moved(then, old);
            self.tell_moved(then, new);
        }
        self.tell_made(new);
    }

    fn shift(&self, meta: &Meta, from: &ImagePath, to: &ImagePath) -> Vec<(ImagePath, ImagePath)> {
        match meta.kind {
            FileKind::Directory => self.past().shift(from, to),
            _ => Vec::new(),
        }
    }

    fn tell_shift(&mut self, shift: Vec<(ImagePath, ImagePath)>) {
        for (then, now) in shift {
            self.tell_moved(&then, &now);
        }
    }

    fn tell_made(&mut self, now: &ImagePath) {
        if self.then_of(now).is_none() {
            return;
        }
        let made = self.past().made(&*self.fs, now);
        if let Some(made) = made {
            (self.emit)(Event::Created(made));
        }
    }

    fn tell_moved(&mut self, then: &ImagePath, now: &ImagePath) {
        if self.past().moved(then, now) {
            (self.emit)(Event::Moved {
                from: then.clone(),
                to: now.clone(),
            });
        }
    }

    /// The time of a directory changes with the names in it.
    fn keep_parent(&mut self, now: &ImagePath) {
        let Some(parent) = now.parent() else { return };
        let Some(then) = self.then_of(&parent) else {
            return;
        };
        // A name that is made and removed over and over costs no more than this.
        let kept = self.past().has_metadata(&then);
        if !kept && let Ok(meta) = self.fs.lstat(&parent) {
            self.keep(&then, (&parent, &meta), Level::Meta);
        }
    }

    fn keep(&mut self, then: &ImagePath, (now, meta): (&ImagePath, &Meta), level: Level) {
        if !self.past().has_to_keep(then, meta, level) {
            return;
        }
        let Some(original) = self.keeper.keep(then, now, level) else {
            return self.past().disregard(then);
        };
        self.past().note(&original);
        let loss = original.loss();
        (self.emit)(Event::Kept(original));
        if let Some(loss) = loss {
            (self.emit)(Event::Lost(loss));
        }
        self.keeper.settle();
    }
}

/// Whether a name can be made where a walk ended.
fn is_missing(walk: &Walk) -> bool {
    walk.end == Err(Errno::ENOENT)
}

/// Whether paths may lead through it.
fn leads_on(meta: &Meta) -> bool {
    matches!(meta.kind, FileKind::Directory | FileKind::Symlink)
}
