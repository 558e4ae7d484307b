//! Where a path starts: the roots of processes, and the links of `/proc` that lead elsewhere.

use super::{AT_FDCWD, Observer};
use crate::image_fs::{FileKind, walk_in};
use crate::image_path::ImagePath;
use crate::recording::Place;
use crate::sys::Tid;
use crate::tracer::memory::read_path;
use crate::tracer::syscall::{Base, Call, PathArgument};
use crate::tracer::tracees::{Link, NoLink, Tracees};

impl<T: Tracees> Observer<T> {
    /// Where a relative path starts. The current directory of a process that may not be looked at
    /// is the one that it was last seen to enter.
    pub(super) fn directory(&mut self, tid: Tid, link: Link) -> Result<ImagePath, NoLink> {
        match self.tracees.link(tid, link) {
            Err(NoLink::Forbidden) if link == Link::Cwd => {
                self.cwds.of(tid).cloned().ok_or(NoLink::Forbidden)
            }
            found => found,
        }
    }

    /// A process makes this its current directory, if that is allowed.
    pub(super) fn on_enter(&mut self, tid: Tid, place: &Place) {
        if !self.cwds.tracks(tid) {
            return;
        }
        let walk = walk_in(&*self.fs, &place.root, &place.path, true);
        if let Ok((directory, meta)) = walk.end
            && meta.kind == FileKind::Directory
        {
            self.cwds.remember(tid, directory);
        }
    }

    /// The tracee's root directory where it is not ours.
    pub(super) fn root_of(&mut self, tid: Tid) -> Option<ImagePath> {
        if !self.roots_differ {
            return None;
        }
        self.tracees
            .link(tid, Link::Root)
            .ok()
            .filter(|root| !root.is_root())
    }

    /// `/proc/self/fd/3`, `/proc/42/cwd/x`, `/dev/fd/3`: what lies behind the tracee's own links.
    pub(super) fn through_proc(&mut self, tid: Tid, path: &[u8]) -> Option<Place> {
        let (tid, rest) = if let Some(rest) = path.strip_prefix(b"/dev/fd/") {
            (tid, [b"fd/", rest].concat())
        } else {
            let rest = path.strip_prefix(b"/proc/")?;
            let slash = rest.iter().position(|byte| *byte == b'/')?;
            let (who, rest) = (&rest[..slash], &rest[slash + 1..]);
            let who = match who {
                b"self" | b"thread-self" => tid,
                number => std::str::from_utf8(number).ok()?.parse().ok()?,
            };
            (who, rest.to_vec())
        };
        let (name, rest) = split_first(&rest);
        let (link, rest) = match name {
            b"exe" => (Link::Program, rest),
            b"cwd" => (Link::Cwd, rest),
            b"root" => (Link::Root, rest),
            b"fd" => {
                let (number, rest) = split_first(rest);
                (
                    Link::Fd(std::str::from_utf8(number).ok()?.parse().ok()?),
                    rest,
                )
            }
            _ => return None,
        };
        let target = self.tracees.link(tid, link).ok()?;
        target.join(rest).map(Place::at)
    }

    /// The path of a rare call, where it has one: without a look at what is known.
    pub(super) fn locate(
        &mut self,
        tid: Tid,
        call: &'static Call,
        argument: &PathArgument,
        args: &[u64; 6],
    ) -> Option<Place> {
        let address = args[usize::from(argument.path)];
        let tracees = &mut self.tracees;
        let mut path = Vec::new();
        if !read_path(address, &mut path, |at, buffer| {
            tracees.read(tid, at, buffer)
        }) {
            if address != 0 && self.tracees.is_refused(tid) {
                self.lose_hidden(tid, call, "paths");
            }
            return None;
        }
        let fd = base_of(argument, args);
        if path.is_empty() {
            let file = self.tracees.link(tid, Link::Fd(fd)).ok()?;
            return self.here(tid, file).map(Place::at);
        }
        if self.is_elsewhere(tid) {
            let (_, end) = self.locate_elsewhere(tid, call, (fd, &path), false)?;
            return end.map(Place::at);
        }
        let root = self.root_of(tid);
        if path[0] == b'/' {
            let elsewhere = self.through_proc(tid, &path);
            return elsewhere.or_else(|| placed(root, None, &path));
        }
        let link = if fd == AT_FDCWD {
            Link::Cwd
        } else {
            Link::Fd(fd)
        };
        match self.directory(tid, link) {
            Ok(directory) => placed(root, Some(&directory), &path),
            Err(NoLink::Nothing) => None,
            Err(NoLink::Forbidden) => {
                self.lose_hidden(tid, call, "relative paths");
                None
            }
        }
    }

    pub(super) fn exists(&mut self, place: &Place, follow: bool) -> bool {
        if place.root.is_root() {
            return self.tracees.exists(place.path.as_bytes(), follow);
        }
        walk_in(&*self.fs, &place.root, &place.path, follow)
            .end
            .is_ok()
    }
}

/// The descriptor that a relative path starts from, or AT_FDCWD.
pub(super) fn base_of(argument: &PathArgument, args: &[u64; 6]) -> i32 {
    match argument.base {
        Base::Cwd => AT_FDCWD,
        Base::Fd(index) => args[usize::from(index)] as i32,
    }
}

/// A path of a process with this root, absolute or below a directory.
pub(super) fn placed(
    root: Option<ImagePath>,
    directory: Option<&ImagePath>,
    path: &[u8],
) -> Option<Place> {
    match (root, directory) {
        (None, None) => ImagePath::new(path).map(Place::at),
        (None, Some(directory)) => directory.join(path).map(Place::at),
        (Some(root), None) => ImagePath::new(path).map(|path| Place { root, path }),
        (Some(root), Some(directory)) => within(&root, directory)
            .and_then(|directory| directory.join(path).map(|path| Place { root, path })),
    }
}

/// A directory as a process with this root sees it.
pub(super) fn within(root: &ImagePath, directory: &ImagePath) -> Option<ImagePath> {
    let rest = directory.as_bytes().strip_prefix(root.as_bytes())?;
    ImagePath::new([b"/", rest].concat())
}

/// The first component of a relative path, and what follows its slash.
fn split_first(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().position(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (path, &[]),
    }
}
