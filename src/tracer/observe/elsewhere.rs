//! Processes with mounts of their own: what they use lies where we see the same file system.

use super::places::within;
use super::{AT_FDCWD, Intent, Observer};
use crate::image_path::ImagePath;
use crate::recording::Access;
use crate::sys::Tid;
use crate::tracer::syscall::{Base, Call, Deed, Follow, PathArgument};
use crate::tracer::tracees::{Link, NoLink, Tracees};
use nix::errno::Errno;

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

    /// A path of a thread with mounts of its own: what it leads to, and the links on the way, are
    /// noted by the paths at which we see them.
    pub(super) fn on_path_elsewhere(
        &mut self,
        tid: Tid,
        call: &'static Call,
        fd: i32,
        path: &[u8],
        intent: Intent,
    ) {
        let follow = !intent.access.contains(Access::NO_FOLLOW);
        let Some((links, end)) = self.locate_elsewhere(tid, call, (fd, path), follow) else {
            return;
        };
        let look = Intent::of_use(Access::PROBE.with(Access::NO_FOLLOW));
        for link in links {
            self.on_spelled(tid, call, None, None, link.as_bytes(), look);
        }
        if let Some(end) = end {
            self.on_spelled(tid, call, None, None, end.as_bytes(), intent);
        }
    }

    /// Where we see the links on the way, and what a path leads to or would make.
    pub(super) fn locate_elsewhere(
        &mut self,
        tid: Tid,
        call: &'static Call,
        (fd, path): (i32, &[u8]),
        follow: bool,
    ) -> Option<(Vec<ImagePath>, Option<ImagePath>)> {
        let link = if fd == AT_FDCWD {
            Link::Cwd
        } else {
            Link::Fd(fd)
        };
        let is_relative = !path.starts_with(b"/");
        let directory = is_relative.then(|| self.tracees.link(tid, link));
        let root = match (self.tracees.link(tid, Link::Root), &directory) {
            (Err(NoLink::Forbidden), _) | (_, Some(Err(NoLink::Forbidden))) => {
                self.lose_hidden(tid, call, "paths");
                return None;
            }
            (root, _) => root.ok()?,
        };
        // As the thread would spell it from its own root.
        let spelled = match (directory, self.through_proc(tid, path)) {
            (Some(directory), _) => within(&root, &directory.ok()?)?.join(path)?,
            (None, Some(place)) => within(&root, &place.path)?,
            (None, None) => ImagePath::new(path)?,
        };
        let walk = self.tracees.walk(tid, &spelled, follow).ok()?;
        let mut seen = |path: &ImagePath| self.tracees.seen_here(tid, &path.rebased(&root));
        let links = walk.links.iter().filter_map(&mut seen).collect();
        let end = match &walk.end {
            Ok((end, _)) => seen(end),
            Err(Errno::ENOENT) => {
                let directory = walk.last.parent().as_ref().and_then(seen);
                directory
                    .zip(walk.last.file_name())
                    .and_then(|(directory, name)| directory.join(name))
            }
            Err(_) => None,
        };
        Some((links, end))
    }
}
