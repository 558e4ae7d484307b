//! Processes with mounts of their own: what they use lies where we see the same file system.

use super::places::within;
use super::{AT_FDCWD, Intent, Observer};
use crate::event::Event;
use crate::image_path::ImagePath;
use crate::recording::{Access, Place};
use crate::sys::Tid;
use crate::tracer::syscall::{Base, Call, Deed, Follow, PathArgument};
use crate::tracer::tracees::{Link, NoLink, Tracees};

impl<T: Tracees> Observer<T> {
    /// A thread is about to change its root directory or its mounts.
    pub(super) fn on_namespace(&mut self, tid: Tid, call: &'static Call, args: &[u64; 6]) {
        self.roots_differ = true;
        match call.name {
            "chroot" => {
                let argument = PathArgument {
                    base: Base::Cwd,
                    path: 0,
                    deed: Deed::Use(Access::ENTER, Follow::Yes),
                };
                self.on_path_argument(tid, call, &argument, args);
            }
            "unshare" => self.mounts_differ |= args[0] & libc::CLONE_NEWNS as u64 != 0,
            // The descriptor may be one of a mount namespace, or of a process that has one.
            "setns" => {
                self.mounts_differ |= args[1] == 0 || args[1] & libc::CLONE_NEWNS as u64 != 0;
            }
            _ => {}
        }
    }

    /// Whether a thread has mounts of its own.
    pub(super) fn is_elsewhere(&mut self, tid: Tid) -> bool {
        if !self.mounts_differ {
            return false;
        }
        let elsewhere = self.tracees.is_elsewhere(tid);
        if elsewhere.is_none() {
            let program = self.program_of(tid);
            self.lose(format!(
                "files that {program} reaches, perhaps through mounts of its own: it may not be \
                 looked at, and they are looked up as the container sees them; run the container \
                 with --cap-add SYS_PTRACE"
            ));
        }
        elsewhere == Some(true)
    }

    /// Where we see what a link of a thread in `/proc` leads to. `None` on mounts that we do not
    /// see, which are no part of the image.
    pub(super) fn here(&mut self, tid: Tid, target: ImagePath) -> Option<ImagePath> {
        if self.is_elsewhere(tid) {
            self.tracees.seen_here(tid, &target)
        } else {
            Some(target)
        }
    }

    pub(super) fn on_path_elsewhere(
        &mut self,
        tid: Tid,
        call: &'static Call,
        fd: i32,
        path: &[u8],
        intent: Intent,
    ) {
        let Ok(root) = self.tracees.link(tid, Link::Root) else {
            return self.lose_hidden(tid, call, "paths");
        };
        let link = if fd == AT_FDCWD {
            Link::Cwd
        } else {
            Link::Fd(fd)
        };
        // As the thread would spell it from its own root.
        let spelled = if let Some(place) = self.through_proc(tid, path) {
            within(&root, &place.path)
        } else if path[0] == b'/' {
            ImagePath::new(path)
        } else {
            match self.tracees.link(tid, link) {
                Ok(directory) => {
                    within(&root, &directory).and_then(|directory| directory.join(path))
                }
                Err(NoLink::Nothing) => None,
                Err(NoLink::Forbidden) => return self.lose_hidden(tid, call, "relative paths"),
            }
        };
        let follow = !intent.access.contains(Access::NO_FOLLOW);
        let Some(Ok(walk)) = spelled.map(|spelled| self.tracees.walk(tid, &spelled, follow)) else {
            return;
        };
        let mut seen = |path: &ImagePath| {
            let path = path.rebased(&root);
            self.tracees.seen_here(tid, &path)
        };
        let links: Vec<ImagePath> = walk.links.iter().filter_map(&mut seen).collect();
        let (end, missing) = match &walk.end {
            Ok((end, _)) => (seen(end), None),
            Err(_) => (None, seen(&walk.deepest).zip(walk.last.file_name())),
        };
        for link in links {
            self.on_seen(tid, call, link, Access::PROBE.with(Access::NO_FOLLOW));
        }
        if let Some(end) = end {
            if intent.access.contains(Access::EXEC) {
                self.asked.insert(tid, Place::at(end.clone()));
            }
            if intent.removes && !self.created.contains(&end) {
                (self.emit)(Event::Removed(end.clone()));
            }
            self.on_seen(tid, call, end, intent.access);
        } else if let Some((directory, name)) = missing.filter(|_| intent.creates) {
            let made = directory.join(name);
            self.on_seen(tid, call, directory, Access::ENTER);
            if let Some(made) = made.filter(|made| !self.created.contains(made)) {
                (self.emit)(Event::Created(made.clone()));
                self.created.insert(made, &*self.fs);
            }
        }
    }

    /// A physical path that is there.
    fn on_seen(&mut self, tid: Tid, call: &'static Call, path: ImagePath, access: Access) {
        let known = self.known.get(path.as_bytes());
        if known.is_some_and(|known| known.covers(access)) || self.created.contains(&path) {
            return;
        }
        *self.known.entry(path.as_bytes().to_vec()).or_default() |= access;
        self.tell_use(tid, call, Place::at(path), access);
    }
}
