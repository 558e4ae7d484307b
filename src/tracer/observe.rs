//! From a system call to the paths it uses: what every engine feeds, and where a path that is
//! known already ends without a word to anybody.

mod bypass;
mod changes;
mod counting;
mod cwds;
mod elsewhere;
mod exec;
mod family;
mod gaining;
mod intent;
mod places;
mod ports;
mod sockets;
#[cfg(test)]
mod tests;
mod uses;
mod visitors;

use super::gains::Hindrance;
use super::memory::read_path;
use super::syscall::{Base, Call, Deed, PathArgument, Shape};
use super::tracees::{Link, NoLink, Tracees};
use crate::event::Event;
use crate::image_fs::ImageFs;
use crate::image_path::ImagePath;
use crate::past::Past;
use crate::recording::{Access, Exec, Loss, Place};
use crate::sys::Tid;
pub use changes::Keeper;
use changes::Nothing;
use cwds::Cwds;
use family::Family;
pub use gaining::AtStake;
use intent::Intent;
use places::{base_of, placed, within};
pub use ports::Datagram;
use ports::Ports;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Decides what each call uses. One thread at a time feeds it.
pub struct Observer<T> {
    tracees: T,
    fs: Box<dyn ImageFs + Send>,
    emit: Box<dyn FnMut(Event) + Send>,
    /// Paths as they were spelled, relative ones behind their directory, and how they were used.
    known: HashMap<Vec<u8>, Known>,
    /// What was told of paths by where they were when the trace began.
    told: HashMap<ImagePath, Access>,
    /// How often something was renamed or removed that a known path may lead through or to: what
    /// was known before is looked at again.
    upheavals: u32,
    past: Arc<Mutex<Past>>,
    keeper: Box<dyn Keeper + Send>,
    /// What each thread has asked to execute last.
    asked: HashMap<Tid, Place>,
    /// What each thread runs, where somebody had to be told.
    runs: HashMap<Tid, Option<ImagePath>>,
    programs: HashSet<Exec>,
    cwds: Cwds,
    family: Family,
    ports: Ports,
    /// Whether any process may have a root directory of its own.
    roots_differ: bool,
    /// Whether any process may have mounts of its own.
    mounts_differ: bool,
    /// Whether a seccomp filter decides which calls reach us.
    behind_filter: bool,
    /// Whether all system calls are counted.
    counts_calls: bool,
    hindrance: Hindrance,
    path: Vec<u8>,
    key: Vec<u8>,
}

/// How a path was used that is known.
#[derive(Clone, Copy, Default)]
struct Known {
    access: Access,
    /// [`Observer::upheavals`] when it was last looked at.
    upheavals: u32,
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
            told: HashMap::new(),
            upheavals: 0,
            past: Arc::default(),
            keeper: Box::new(Nothing),
            asked: HashMap::new(),
            runs: HashMap::new(),
            programs: HashSet::new(),
            cwds: Cwds::default(),
            family: Family::default(),
            ports: Ports::default(),
            roots_differ: false,
            mounts_differ: false,
            behind_filter: true,
            counts_calls: false,
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

    /// Originals are given to `keeper` before they change. `past` is shared with others who are
    /// told of changes.
    #[must_use]
    pub fn keeping(mut self, past: Arc<Mutex<Past>>, keeper: Box<dyn Keeper + Send>) -> Self {
        self.past = past;
        self.keeper = keeper;
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
        // A child that may not be looked at would have no name.
        let program = parent.and_then(|parent| self.runs.get(&parent)).cloned();
        if let Some(program) = program {
            self.runs.entry(tid).or_insert(program);
        }
    }

    /// A thread makes a call after which it may not be looked at any more: its current directory
    /// is asked for while that is still allowed.
    pub fn before_hiding(&mut self, tid: Tid) {
        if let Ok(cwd) = self.tracees.link(tid, Link::Cwd) {
            self.cwds.remember(tid, cwd);
        }
        self.runs_now(tid);
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
            Shape::Rename(names, flags) => {
                let flags = flags.map_or(0, |flags| args[usize::from(flags)]);
                self.on_rename(tid, call, &names, flags, args);
            }
            Shape::Link(names) => self.on_link(tid, call, &names, args),
            Shape::Address(deed) => {
                self.on_address(tid, call, deed, args[0] as i32, (args[1], args[2]));
            }
            Shape::Listen => self.on_listen(tid, call, args[0] as i32),
            Shape::Socketcall => self.on_socketcall(tid, call, args),
            Shape::Namespace => self.on_namespace(tid, call, args),
            Shape::Seccomp => self.on_seccomp(args),
            Shape::IoUring => self.on_io_uring(tid),
            Shape::Spawn => self.on_spawn(tid, call, args),
            Shape::Ptrace => self.on_ptrace(tid, args),
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
            self.on_path(tid, call, base_of(argument, args), &path, intent);
        } else if let (0, Base::Fd(_), Deed::Use(access, _)) =
            (address, argument.base, argument.deed)
            && access.contains(Access::CHANGE)
        {
            // utimensat(2): without a path it changes the open file.
            self.on_descriptor(tid, call, base_of(argument, args), access);
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
            if intent.empty_is_descriptor && intent.level().is_some() {
                self.on_descriptor(tid, call, fd, intent.access);
            }
            return;
        }
        if self.is_elsewhere(tid) {
            return self.on_path_elsewhere(tid, call, fd, path, intent);
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
            && self.known.get(&self.key).is_some_and(|known| {
                known.upheavals == self.upheavals && known.access.covers(intent.access)
            });
        let executes = intent.access.contains(Access::EXEC);
        let enters_unseen = intent.access.contains(Access::ENTER) && self.cwds.tracks(tid);
        if known && !executes && !enters_unseen {
            return;
        }
        let place = placed(root, directory, path);
        let Some(place) = place else { return };
        if intent.access.contains(Access::ENTER) && call.name != "chroot" {
            self.on_enter(tid, &place);
        }
        if executes {
            self.asked.insert(tid, place.clone());
        }
        if !known && self.on_place(tid, call, place, intent) {
            let key = std::mem::take(&mut self.key);
            self.know(&key, intent.access);
            self.key = key;
        }
    }

    fn know(&mut self, key: &[u8], access: Access) {
        let upheavals = self.upheavals;
        let known = self.known.entry(key.to_vec()).or_default();
        if known.upheavals != upheavals {
            *known = Known {
                access: Access::default(),
                upheavals,
            };
        }
        known.access |= access;
    }

    fn past(&self) -> MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn runs_now(&mut self, tid: Tid) -> Option<ImagePath> {
        if let Some(known) = self.runs.get(&tid) {
            return known.clone();
        }
        let program = self.tracees.link(tid, Link::Program).ok();
        let program = program.map(|program| self.then_of(&program).unwrap_or(program));
        self.runs.insert(tid, program.clone());
        program
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
