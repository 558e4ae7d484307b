//! From a system call to the paths it uses: what every engine feeds, and where a path that is
//! known already ends without a word to anybody.

mod bypass;
mod created;
mod cwds;
mod exec;
mod intent;
mod places;
mod sockets;
#[cfg(test)]
mod tests;
mod visitors;

use super::gains::Hindrance;
use super::memory::read_path;
use super::served::NOT_OURS;
use super::syscall::{Base, Call, Deed, Follow, PathArgument, Shape};
use super::tracees::{Link, NoLink, Tracees};
use crate::event::Event;
use crate::image_fs::ImageFs;
use crate::image_path::ImagePath;
use crate::recording::{Access, Exec, Loss, Origin, Place};
use crate::sys::Tid;
use created::Created;
use cwds::Cwds;
use intent::Intent;
use places::within;
use std::collections::{HashMap, HashSet};

/// Decides what each call uses. One thread at a time feeds it.
pub struct Observer<T> {
    tracees: T,
    fs: Box<dyn ImageFs + Send>,
    emit: Box<dyn FnMut(Event) + Send>,
    /// Paths as they were spelled, relative ones behind their directory, and how they were used.
    known: HashMap<Vec<u8>, Access>,
    created: Created,
    /// What each thread has asked to execute last.
    asked: HashMap<Tid, Place>,
    /// What each thread runs, where somebody had to be told.
    runs: HashMap<Tid, Option<ImagePath>>,
    programs: HashSet<Exec>,
    cwds: Cwds,
    /// Whether any process may have a root directory of its own.
    roots_differ: bool,
    /// Whether a seccomp filter decides which calls reach us.
    behind_filter: bool,
    hindrance: Hindrance,
    path: Vec<u8>,
    key: Vec<u8>,
}

/// `AT_FDCWD`, as the low half of an argument holds it.
const AT_FDCWD: i32 = libc::AT_FDCWD;

impl<T: Tracees> Observer<T> {
    /// Looks files up in `fs` and tells each new fact to `emit`.
    pub fn new(
        tracees: T,
        fs: Box<dyn ImageFs + Send>,
        emit: Box<dyn FnMut(Event) + Send>,
    ) -> Self {
        Self {
            tracees,
            fs,
            emit,
            known: HashMap::new(),
            created: Created::default(),
            asked: HashMap::new(),
            runs: HashMap::new(),
            programs: HashSet::new(),
            cwds: Cwds::default(),
            roots_differ: false,
            behind_filter: true,
            hindrance: Hindrance::default(),
            path: Vec::new(),
            key: Vec::new(),
        }
    }

    /// Every call reaches us by itself, without a filter.
    #[must_use]
    pub fn without_filter(mut self) -> Self {
        self.behind_filter = false;
        self
    }

    /// Programs may gain less than they would untraced.
    #[must_use]
    pub fn hindering(mut self, hindrance: Hindrance) -> Self {
        self.hindrance = hindrance;
        self
    }

    /// Tells nothing from now on, and lets go of whoever it told.
    pub fn close(&mut self) {
        self.emit = Box::new(|_| {});
    }

    /// A thread is stopped for the first time; who started it, where that is known.
    pub fn on_start(&mut self, tid: Tid, parent: Option<Tid>) {
        self.tracees.on_start(tid);
        self.cwds.inherit(tid, parent);
    }

    /// A thread makes a call after which it may not be looked at any more: its current directory
    /// is asked for while that is still allowed.
    pub fn before_hiding(&mut self, tid: Tid) {
        if let Ok(cwd) = self.tracees.link(tid, Link::Cwd) {
            self.cwds.remember(tid, cwd);
        }
    }

    /// A thread has ended.
    pub fn on_end(&mut self, tid: Tid) {
        self.tracees.on_end(tid);
        self.asked.remove(&tid);
        self.runs.remove(&tid);
        self.cwds.forget(tid);
    }

    /// A thread is about to make this call.
    pub fn on_call(&mut self, tid: Tid, call: &'static Call, args: &[u64; 6]) {
        match call.shape {
            Shape::Paths(paths) => {
                for argument in paths {
                    self.on_path_argument(tid, call, argument, args);
                }
            }
            Shape::Mounts(paths) => {
                for argument in paths {
                    self.on_path_argument(tid, call, argument, args);
                }
                self.tracees.on_mounting();
            }
            Shape::Descriptor(access) => self.on_descriptor(tid, call, args[0] as i32, access),
            Shape::Address(deed) => self.on_address(tid, call, deed, args[1], args[2]),
            Shape::Socketcall => self.on_socketcall(tid, call, args),
            Shape::Namespace => self.on_namespace(tid, call, args),
            Shape::Seccomp => self.on_seccomp(args),
            Shape::IoUring => self.on_io_uring(tid),
            // The ptrace loop sees to these.
            Shape::Identity | Shape::Prctl => {}
        }
    }

    fn on_path_argument(
        &mut self,
        tid: Tid,
        call: &'static Call,
        argument: &PathArgument,
        args: &[u64; 6],
    ) {
        let mut path = std::mem::take(&mut self.path);
        let address = args[usize::from(argument.path)];
        let tracees = &mut self.tracees;
        if read_path(address, &mut path, |at, buffer| {
            tracees.read(tid, at, buffer)
        }) {
            let intent = self.intent(tid, argument.deed, args);
            let fd = match argument.base {
                Base::Cwd => AT_FDCWD,
                Base::Fd(index) => args[usize::from(index)] as i32,
            };
            self.on_path(tid, call, fd, &path, intent);
        } else if address != 0 && self.tracees.is_refused(tid) {
            self.lose_hidden(tid, call, "paths");
        }
        self.path = path;
    }

    fn on_path(&mut self, tid: Tid, call: &'static Call, fd: i32, path: &[u8], intent: Intent) {
        if path.is_empty() {
            if intent.access.contains(Access::EXEC) && intent.empty_is_descriptor {
                self.asked.remove(&tid);
            }
            return;
        }
        let root = self.root_of(tid);
        if path[0] == b'/' {
            if let Some(place) = self.through_proc(tid, path) {
                self.on_place(tid, call, place, intent);
            } else if !path.starts_with(b"/proc/") {
                self.on_spelled(tid, call, root, None, path, intent);
            }
            return;
        }
        let link = if fd == AT_FDCWD {
            Link::Cwd
        } else {
            Link::Fd(fd)
        };
        match self.directory(tid, link) {
            Ok(directory) => self.on_spelled(tid, call, root, Some(&directory), path, intent),
            // A descriptor that is not open, or a directory that is gone: the call fails.
            Err(NoLink::Nothing) => {}
            Err(NoLink::Forbidden) => self.lose_hidden(tid, call, "relative paths"),
        }
    }

    /// The hot path: whoever is known leaves here.
    fn on_spelled(
        &mut self,
        tid: Tid,
        call: &'static Call,
        root: Option<ImagePath>,
        directory: Option<&ImagePath>,
        path: &[u8],
        intent: Intent,
    ) {
        self.key.clear();
        if let Some(root) = &root {
            self.key.extend_from_slice(root.as_bytes());
            self.key.push(0);
        }
        if let Some(directory) = directory {
            self.key.extend_from_slice(directory.as_bytes());
            self.key.push(b'/');
        }
        self.key.extend_from_slice(path);
        let known = !intent.removes
            && self
                .known
                .get(&self.key)
                .is_some_and(|known| known.covers(intent.access));
        let executes = intent.access.contains(Access::EXEC);
        let enters_unseen = intent.access.contains(Access::ENTER) && self.cwds.tracks(tid);
        if known && !executes && !enters_unseen {
            return;
        }
        let place = match (root, directory) {
            (None, None) => ImagePath::new(path).map(Place::at),
            (None, Some(directory)) => directory.join(path).map(Place::at),
            (Some(root), None) => ImagePath::new(path).map(|path| Place { root, path }),
            (Some(root), Some(directory)) => within(&root, directory)
                .and_then(|directory| directory.join(path).map(|path| Place { root, path })),
        };
        let Some(place) = place else { return };
        if intent.access.contains(Access::ENTER) && call.name != "chroot" {
            self.on_enter(tid, &place);
        }
        if executes {
            self.asked.insert(tid, place.clone());
        }
        if !known && self.on_place(tid, call, place, intent) {
            *self.known.entry(self.key.clone()).or_default() |= intent.access;
        }
    }

    /// Notes a path that is not known yet. True when it is there and was there before us: the
    /// next use of it tells nothing new.
    fn on_place(&mut self, tid: Tid, call: &'static Call, place: Place, intent: Intent) -> bool {
        let follow = !intent.access.contains(Access::NO_FOLLOW);
        if !self.exists(&place, follow) {
            if intent.creates {
                self.on_creation(tid, call, place, intent.access);
            }
            return false;
        }
        if !intent.removes && self.created.is_empty() {
            self.tell_use(tid, call, place, intent.access);
            return true;
        }
        let walk = crate::image_fs::walk_in(&*self.fs, &place.root, &place.path, follow);
        let created = walk
            .end
            .as_ref()
            .is_ok_and(|(path, _)| self.created.contains(path));
        if intent.removes && !created && walk.end.is_ok() {
            (self.emit)(Event::Removed(walk.last));
        }
        // What is made and used over and over must not fill the memory, nor the recording.
        if created && walk.links.is_empty() {
            return false;
        }
        self.tell_use(tid, call, place, intent.access);
        !created
    }

    fn on_creation(&mut self, tid: Tid, call: &'static Call, place: Place, access: Access) {
        let follow = !access.contains(Access::NO_FOLLOW);
        let walk = crate::image_fs::walk_in(&*self.fs, &place.root, &place.path, follow);
        if walk.end.is_ok() || self.created.contains(&walk.last) || walk.end == Err(NOT_OURS) {
            return;
        }
        // The directories and links on the way had to be there.
        let parent = walk.last.parent();
        if walk.links.is_empty() {
            if let Some(parent) = parent.filter(|parent| !self.created.contains(parent)) {
                let seen = self.known.entry(parent.as_bytes().to_vec()).or_default();
                if !seen.covers(Access::ENTER) {
                    *seen |= Access::ENTER;
                    self.tell_use(tid, call, Place::at(parent), Access::ENTER);
                }
            }
        } else {
            self.tell_use(tid, call, place, access);
        }
        (self.emit)(Event::Created(walk.last.clone()));
        self.created.insert(walk.last, &*self.fs);
    }

    fn on_descriptor(&mut self, tid: Tid, call: &'static Call, fd: i32, access: Access) {
        let directory = match self.tracees.link(tid, Link::Fd(fd)) {
            Ok(directory) => directory,
            Err(NoLink::Nothing) => return,
            Err(NoLink::Forbidden) => return self.lose_hidden(tid, call, "directories"),
        };
        if !directory.as_bytes().starts_with(b"/proc/") {
            self.on_spelled(
                tid,
                call,
                None,
                None,
                directory.as_bytes(),
                Intent {
                    access,
                    creates: false,
                    removes: false,
                    empty_is_descriptor: false,
                },
            );
        }
    }

    fn on_namespace(&mut self, tid: Tid, call: &'static Call, args: &[u64; 6]) {
        self.roots_differ = true;
        let new_mounts = match call.name {
            "chroot" => {
                let argument = PathArgument {
                    base: Base::Cwd,
                    path: 0,
                    deed: Deed::Use(Access::ENTER, Follow::Yes),
                };
                self.on_path_argument(tid, call, &argument, args);
                false
            }
            "unshare" => args[0] & libc::CLONE_NEWNS as u64 != 0,
            "setns" => args[1] == 0 || args[1] & libc::CLONE_NEWNS as u64 != 0,
            _ => false,
        };
        if new_mounts {
            let program = self.program_of(tid);
            self.lose(format!(
                "files that {program} reaches through mounts of its own ({}): they are looked \
                 up as the container sees them",
                call.name
            ));
        }
    }

    fn tell_use(&mut self, tid: Tid, call: &'static Call, place: Place, access: Access) {
        let program = self.runs_now(tid);
        (self.emit)(Event::Used {
            place,
            access,
            origin: Origin {
                pid: tid,
                program,
                call: call.name.into(),
            },
        });
    }

    fn runs_now(&mut self, tid: Tid) -> Option<ImagePath> {
        let tracees = &mut self.tracees;
        self.runs
            .entry(tid)
            .or_insert_with(|| tracees.link(tid, Link::Program).ok())
            .clone()
    }

    /// For messages: equal ones are counted, so they name programs, not processes.
    fn program_of(&mut self, tid: Tid) -> String {
        self.runs_now(tid)
            .map_or_else(|| "an unknown program".to_owned(), |path| path.to_string())
    }

    fn lose_hidden(&mut self, tid: Tid, call: &'static Call, what: &str) {
        let program = self.program_of(tid);
        self.lose(format!(
            "{what} of {program} ({call}): it may not be looked at; run the container with \
             --cap-add SYS_PTRACE",
            call = call.name
        ));
    }

    /// Something cannot be seen: what, where, and what to do.
    pub fn lose(&mut self, what: String) {
        (self.emit)(Event::Lost(Loss { what, count: 1 }));
    }
}
