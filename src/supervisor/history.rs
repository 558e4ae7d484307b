//! Random changes of a real tree, each told to the observer before it is made: the view of the
//! past shows the tree as it was, and leads every use to what was used.

mod caller;

use super::keeping::{Keeping, Originals};
use crate::image_fs::{FileKind, FileTime, HostFs, ImageFs, walk};
use crate::image_path::ImagePath;
use crate::past::Before;
use crate::recorder::RecorderThread;
use crate::recorder::spool::Spool;
use crate::recording::Context;
use crate::sys::Tid;
use crate::tracer::observe::Observer;
use crate::tracer::syscall::CALLS;
use caller::{Caller, MAPPED};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

/// Whose calls they are.
const TID: Tid = 5;
const CWD: u64 = libc::AT_FDCWD as u32 as u64;
/// Something that is there in the beginning.
#[derive(Clone, Debug)]
enum Node {
    /// Its content is its path.
    File,
    Directory,
    Symlink(String),
    HardLink(String),
}

#[derive(Clone, Debug)]
enum Op {
    Read(String),
    Write(String),
    /// Moves the new file over an old one, as those do who write a file in one step.
    Replace(String),
    Truncate(String),
    Chmod(String),
    Touch(String),
    Unlink(String),
    Rmdir(String),
    Mkdir(String),
    Symlink(String, String),
    Link(String, String),
    Rename(String, String),
    Exchange(String, String),
}

const NAMES: [&str; 3] = ["a", "b", "c"];

fn any_path() -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(&NAMES[..]), 1..4)
        .prop_map(|names| format!("/{}", names.join("/")))
}

/// Relative and without `..`, which would lead out of the scratch directory.
fn any_target() -> impl Strategy<Value = String> {
    any_path().prop_map(|path| path[1..].to_owned())
}

fn any_node() -> impl Strategy<Value = Node> {
    prop_oneof![
        4 => Just(Node::File),
        3 => Just(Node::Directory),
        1 => any_target().prop_map(Node::Symlink),
        1 => any_path().prop_map(Node::HardLink),
    ]
}

fn any_op() -> impl Strategy<Value = Op> {
    let two = || (any_path(), any_path());
    prop_oneof![
        3 => any_path().prop_map(Op::Read),
        3 => any_path().prop_map(Op::Write),
        1 => any_path().prop_map(Op::Replace),
        1 => any_path().prop_map(Op::Truncate),
        1 => any_path().prop_map(Op::Chmod),
        1 => any_path().prop_map(Op::Touch),
        2 => any_path().prop_map(Op::Unlink),
        1 => any_path().prop_map(Op::Rmdir),
        1 => any_path().prop_map(Op::Mkdir),
        1 => (any_target(), any_path()).prop_map(|(to, at)| Op::Symlink(to, at)),
        1 => two().prop_map(|(from, to)| Op::Link(from, to)),
        4 => two().prop_map(|(from, to)| Op::Rename(from, to)),
        1 => two().prop_map(|(from, to)| Op::Exchange(from, to)),
    ]
}

struct World {
    home: TempDir,
    memory: Arc<Mutex<Vec<u8>>>,
    observer: Observer<Caller>,
    spool: Arc<Mutex<Spool>>,
    recorder: RecorderThread,
    /// Files that were read as they were in the beginning, by their path then.
    read: Vec<ImagePath>,
}

/// What can be seen of an entry: no two differ that an application could tell apart.
#[derive(Debug, PartialEq)]
struct Look {
    kind: FileKind,
    mode: u32,
    mtime: FileTime,
    content: Vec<u8>,
    inode: Option<u64>,
}

fn image(path: &str) -> ImagePath {
    ImagePath::new(path).expect("absolute")
}

fn snapshot(fs: &dyn ImageFs) -> BTreeMap<ImagePath, Look> {
    let mut looks = BTreeMap::new();
    let mut pending = vec![ImagePath::root()];
    while let Some(path) = pending.pop() {
        let meta = fs.lstat(&path).expect("listed, so there");
        assert!(!fs.is_made(&path), "{path}");
        let content = match meta.kind {
            FileKind::Regular => fs.read(&path, 1000).expect("a file"),
            FileKind::Symlink => fs.read_link(&path).expect("a symlink"),
            _ => {
                let names = fs.list(&path).expect("a directory");
                pending.extend(names.iter().filter_map(|name| path.join(name)));
                names.join(&b'/')
            }
        };
        let look = Look {
            kind: meta.kind,
            mode: meta.mode,
            mtime: meta.mtime,
            content,
            inode: (meta.kind == FileKind::Regular && meta.nlink > 1).then_some(meta.ino),
        };
        looks.insert(path, look);
    }
    looks
}

impl World {
    fn new(nodes: &[(String, Node)]) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let root = home.path().join("root");
        fs::create_dir(&root).expect("mkdir");
        for (path, node) in nodes {
            let place = root.join(&path[1..]);
            // What does not fit is left out.
            let _ = match node {
                Node::File => File::create_new(&place).and_then(|_| fs::write(&place, path)),
                Node::Directory => fs::create_dir(&place),
                Node::Symlink(target) => symlink(target, &place),
                Node::HardLink(target) => fs::hard_link(root.join(&target[1..]), &place),
            };
        }
        for (number, path) in snapshot(&HostFs::new(&root)).keys().enumerate() {
            let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1001 * number as u64);
            let place = HostFs::new(&root).host_path(path);
            if !place.is_symlink() {
                let file = File::open(place).expect("opened");
                file.set_modified(time).expect("a time");
            }
        }
        let spool = Spool::new(home.path().join("spool"), None, Box::new(|_, _| true));
        let spool = Arc::new(Mutex::new(spool.rooted(&root)));
        let (recorder, mut emitter) =
            RecorderThread::start(Context::default(), None).expect("started");
        let originals = Originals::new(Arc::clone(&spool), recorder.handle(), Vec::new());
        let Keeping { past, keeper } = originals.keeping();
        let memory = Arc::default();
        let caller = Caller {
            memory: Arc::clone(&memory),
            fs: HostFs::new(&root),
        };
        let emit = Box::new(move |event| emitter.emit(event));
        let observer = Observer::new(caller, Box::new(HostFs::new(&root)), emit);
        Self {
            home,
            memory,
            observer: observer.keeping(past, keeper),
            spool,
            recorder,
            read: Vec::new(),
        }
    }

    fn fs(&self) -> HostFs {
        HostFs::new(self.home.path().join("root"))
    }

    fn place(&self, path: &str) -> PathBuf {
        self.fs().host_path(&image(path))
    }

    /// Puts a path into the caller's memory.
    fn path(&self, path: &str) -> u64 {
        let mut memory = self.memory.lock().expect("whole");
        let address = MAPPED + memory.len() as u64;
        memory.extend_from_slice(path.as_bytes());
        memory.push(0);
        address
    }

    fn call(&mut self, name: &str, paths: &[&str], rest: &[u64]) {
        let mut args: Vec<u64> = paths.iter().map(|path| self.path(path)).collect();
        args.extend(rest);
        let call = CALLS.iter().find(|call| call.name == name).expect("a call");
        args.resize(6, 0);
        let args: [u64; 6] = args.try_into().expect("six");
        self.observer.on_call(TID, call, &args);
    }

    /// Tells the observer, then does it, unless it is one of the calls that fail.
    fn carry_out(&mut self, op: &Op, fails: bool) {
        let at = |path: &str| self.place(path);
        let write = (libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC) as u64;
        match op {
            Op::Read(path) => {
                let place = at(path);
                self.call("open", &[path], &[libc::O_RDONLY as u64]);
                self.read
                    .extend(fs::read(place).ok().and_then(ImagePath::new));
            }
            Op::Write(path) => {
                let place = at(path);
                self.call("open", &[path], &[write]);
                let _ = (!fails).then(|| fs::write(place, "written"));
            }
            Op::Replace(path) => {
                let (new, place) = (at("/new"), at(path));
                self.call("open", &["/new"], &[write]);
                let _ = fs::write(&new, "replaced");
                self.call("rename", &["/new", path], &[]);
                let _ = (!fails).then(|| fs::rename(&new, place));
                self.call("unlink", &["/new"], &[]);
                let _ = fs::remove_file(new);
            }
            Op::Truncate(path) => {
                let place = at(path);
                self.call("truncate", &[path], &[0]);
                let _ = (!fails).then(|| nix::unistd::truncate(&place, 0));
            }
            Op::Chmod(path) => {
                let place = at(path);
                self.call("chmod", &[path], &[0o700]);
                let _ = (!fails).then(|| fs::set_permissions(place, Permissions::from_mode(0o700)));
            }
            Op::Touch(path) => {
                let place = at(path);
                self.call("utimes", &[path], &[]);
                let _ = (!fails).then(|| File::open(place)?.set_modified(SystemTime::now()));
            }
            Op::Unlink(path) => {
                let place = at(path);
                self.call("unlink", &[path], &[]);
                let _ = (!fails).then(|| fs::remove_file(place));
            }
            Op::Rmdir(path) => {
                let place = at(path);
                self.call("rmdir", &[path], &[]);
                let _ = (!fails).then(|| fs::remove_dir(place));
            }
            Op::Mkdir(path) => {
                let place = at(path);
                self.call("mkdir", &[path], &[0o755]);
                let _ = (!fails).then(|| fs::create_dir(place));
            }
            Op::Symlink(target, path) => {
                let place = at(path);
                self.call("symlink", &[target, path], &[]);
                let _ = (!fails).then(|| symlink(target, place));
            }
            Op::Link(from, to) => {
                let (old, new) = (at(from), at(to));
                self.call("link", &[from, to], &[]);
                let _ = (!fails).then(|| fs::hard_link(old, new));
            }
            Op::Rename(from, to) => {
                let (old, new) = (at(from), at(to));
                self.call("rename", &[from, to], &[]);
                let _ = (!fails).then(|| fs::rename(old, new));
            }
            Op::Exchange(from, to) => {
                let (old, new) = (at(from), at(to));
                let flags = u64::from(libc::RENAME_EXCHANGE);
                let (old_path, new_path) = (self.path(from), self.path(to));
                self.call("renameat2", &[], &[CWD, old_path, CWD, new_path, flags]);
                let _ = (!fails).then(|| self.exchange(&old, &new));
            }
        }
    }

    /// renameat2(2) with RENAME_EXCHANGE, which not every C library has.
    fn exchange(&self, old: &Path, new: &Path) -> io::Result<()> {
        let physical = |path: &Path| path.parent()?.canonicalize().ok();
        let inside = physical(old).is_some_and(|at| at.starts_with(new))
            || physical(new).is_some_and(|at| at.starts_with(old));
        // Of two names of one file the kernel exchanges nothing.
        let inode = |path: &Path| path.symlink_metadata().map(|meta| meta.ino()).ok();
        if inside
            || inode(old) == inode(new)
            || old.symlink_metadata().is_err()
            || new.symlink_metadata().is_err()
        {
            return Ok(());
        }
        let between = self.home.path().join("between");
        fs::rename(old, &between)?;
        fs::rename(new, old)?;
        fs::rename(between, new)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn the_past_stays_what_it_was(
        nodes in proptest::collection::vec((any_path(), any_node()), 0..25),
        ops in proptest::collection::vec((any_op(), proptest::bool::weighted(0.1)), 0..25),
    ) {
        let mut world = World::new(&nodes);
        let then = snapshot(&world.fs());
        for (op, fails) in &ops {
            world.carry_out(op, *fails);
        }
        let World { home, mut observer, spool, recorder, read, .. } = world;
        observer.close();
        let recording = recorder.finish(0).expect("a recording");
        prop_assert!(recording.losses.is_empty(), "{:?}", recording.losses);
        let spool = spool.lock().expect("whole");
        let saved = HostFs::new(spool.directory().unwrap_or(home.path()));
        let fs = HostFs::new(home.path().join("root"));
        let before = Before::new(&fs, &saved, &recording);
        prop_assert_eq!(snapshot(&before), then);
        let ends: Vec<_> = recording
            .uses
            .keys()
            .filter_map(|place| walk(&before, &place.path, true).end.ok())
            .map(|(end, meta)| (end, (meta.dev, meta.ino)))
            .collect();
        for path in &read {
            // It may have got its content through a symlink, and of the names of one file any may
            // have been used.
            let (path, meta) = walk(&before, path, true).end.expect("was there");
            let inode = (meta.dev, meta.ino);
            let is_it = |(end, found): &(ImagePath, (u64, u64))| *end == path || *found == inode;
            prop_assert!(ends.iter().any(is_it), "{} was read: {:?}", path, recording.uses);
        }
    }
}
