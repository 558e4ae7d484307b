//! What each call is taken to use, over tracees and files that exist only here.

mod family;
mod gaining;
mod hidden;
mod ports;
mod visitors;

use super::*;
use crate::image_fs::{MemFs, walk};
use crate::tracer::gains::Privileges;
use crate::tracer::network::Socket;
use crate::tracer::syscall::CALLS;
use std::io;
use std::sync::mpsc::{Receiver, channel};

const TID: Tid = 5;
const CWD: u64 = libc::AT_FDCWD as u32 as u64;
const MAPPED: u64 = 0x1_0000;

/// One tracee: its memory from [`MAPPED`] on, and its links.
struct FakeTracee {
    memory: Vec<u8>,
    links: Vec<(Link, &'static str)>,
    sockets: Vec<(i32, Socket)>,
    environment: Vec<u8>,
    forbidden: bool,
    holdings: Vec<(&'static str, &'static str)>,
    executed: Option<&'static str>,
    fs: MemFs,
}

impl Tracees for FakeTracee {
    fn read(&mut self, _: Tid, address: u64, buffer: &mut [u8]) -> usize {
        let start = address
            .checked_sub(MAPPED)
            .map_or(usize::MAX, |start| start as usize);
        let rest = self.memory.get(start..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        length
    }

    fn link(&mut self, _: Tid, link: Link) -> Result<ImagePath, NoLink> {
        if self.forbidden {
            return Err(NoLink::Forbidden);
        }
        let found = self.links.iter().find(|(known, _)| *known == link);
        let (_, target) = found.ok_or(NoLink::Nothing)?;
        ImagePath::new(target).ok_or(NoLink::Nothing)
    }

    fn socket(&mut self, _: Tid, fd: i32) -> Result<Socket, NoLink> {
        let found = self.sockets.iter().find(|(known, _)| *known == fd);
        match found {
            _ if self.forbidden => Err(NoLink::Forbidden),
            found => found.map(|(_, socket)| *socket).ok_or(NoLink::Nothing),
        }
    }

    fn is_refused(&self, _: Tid) -> bool {
        self.forbidden
    }

    fn environment(&mut self, _: Tid) -> io::Result<Vec<u8>> {
        Ok(self.environment.clone())
    }

    fn exists(&mut self, path: &[u8], follow: bool) -> bool {
        ImagePath::new(path).is_some_and(|path| walk(&self.fs, &path, follow).end.is_ok())
    }

    fn privileges(&mut self, _: Tid) -> Option<Privileges> {
        // Nothing of root's.
        Some(Privileges {
            euid: 1000,
            ..Privileges::default()
        })
    }

    fn may_gain(&mut self, _: &ImagePath) -> bool {
        true
    }

    fn on_start(&mut self, _: Tid) {}

    fn on_end(&mut self, _: Tid) {}

    fn runs_what_is_seen(&mut self, _: Tid) -> bool {
        !self.holdings.is_empty()
    }

    fn holdings(&mut self, _: Tid) -> Vec<(&'static str, ImagePath)> {
        let holdings = self.holdings.iter();
        holdings
            .filter_map(|(call, path)| Some((*call, ImagePath::new(path)?)))
            .collect()
    }

    fn executed(&mut self, _: Tid) -> Option<Vec<u8>> {
        self.executed.map(|name| name.as_bytes().to_vec())
    }
}

struct Scene {
    observer: Observer<FakeTracee>,
    events: Receiver<Event>,
}

impl Scene {
    fn new(fs: MemFs) -> Self {
        let (sender, events) = channel();
        let tracee = FakeTracee {
            memory: Vec::new(),
            links: vec![(Link::Cwd, "/yard"), (Link::Program, "/bin/app")],
            sockets: Vec::new(),
            environment: Vec::new(),
            forbidden: false,
            holdings: Vec::new(),
            executed: None,
            fs: fs.clone(),
        };
        let emit = move |event| sender.send(event).expect("received");
        Self {
            observer: Observer::new(tracee, Box::new(fs), Box::new(emit)),
            events,
        }
    }

    fn linked(mut self, link: Link, target: &'static str) -> Self {
        self.observer
            .tracees
            .links
            .retain(|(known, _)| *known != link);
        self.observer.tracees.links.push((link, target));
        self
    }

    /// Puts bytes into the tracee's memory.
    fn put(&mut self, bytes: &[u8]) -> u64 {
        let address = MAPPED + self.observer.tracees.memory.len() as u64;
        self.observer.tracees.memory.extend_from_slice(bytes);
        address
    }

    fn path(&mut self, path: &str) -> u64 {
        self.put(&[path.as_bytes(), b"\0"].concat())
    }

    /// Makes a call; gives what was told, one line each.
    fn call(&mut self, name: &str, args: &[u64]) -> Vec<String> {
        let call = CALLS.iter().find(|call| call.name == name).expect("a call");
        let mut all = [0; 6];
        all[..args.len()].copy_from_slice(args);
        self.observer.on_call(TID, call, &all);
        self.told()
    }

    fn told(&mut self) -> Vec<String> {
        self.events
            .try_iter()
            .filter(|event| !matches!(event, Event::Introduced(_)))
            .map(|event| match event {
                Event::Used { place, .. } if place.root.is_root() => format!("used {}", place.path),
                Event::Used { place, .. } => format!("used {} in {}", place.path, place.root),
                Event::Created(path) => format!("created {path}"),
                Event::Kept(original) => format!("kept {}", original.path),
                Event::Moved { from, to } => format!("moved {from} to {to}"),
                Event::Introduced(_) => unreachable!("it is filtered out"),
                Event::Called { call, .. } => format!("called {}", call.name),
                Event::Listened { endpoint, .. } => format!("served {endpoint}"),
                Event::Lost(loss) => format!("lost {}", loss.what),
                Event::Started(exec) => format!("started {}", exec.program),
            })
            .collect()
    }

    /// openat(2) of a path, below the current directory.
    fn open(&mut self, path: &str, flags: i32) -> Vec<String> {
        let path = self.path(path);
        self.call("openat", &[CWD, path, flags as u64])
    }
}

fn files() -> MemFs {
    MemFs::new()
        .file("/etc/conf", "")
        .file("/yard/data", "")
        .file("/other/data", "")
        .symlink("/link", "/etc")
        .directory("/tmp")
}

#[test]
fn a_path_is_told_once() {
    let mut scene = Scene::new(files());
    assert_eq!(scene.open("/etc/conf", libc::O_RDONLY), ["used /etc/conf"]);
    assert!(scene.open("/etc/conf", libc::O_RDONLY).is_empty());
}

#[test]
fn another_way_of_use_is_told() {
    let mut scene = Scene::new(files());
    let path = scene.path("/etc/conf");
    assert_eq!(scene.call("access", &[path, 0]), ["used /etc/conf"]);
    assert_eq!(scene.open("/etc/conf", libc::O_RDONLY), ["used /etc/conf"]);
    assert!(scene.call("access", &[path, 0]).is_empty());
}

#[test]
fn what_is_not_there_is_not_used() {
    let mut scene = Scene::new(files());
    assert!(scene.open("/etc/none", libc::O_RDONLY).is_empty());
}

#[test]
fn relative_paths_start_at_the_current_directory_or_the_descriptor() {
    let mut scene = Scene::new(files()).linked(Link::Fd(7), "/other");
    assert_eq!(scene.open("data", libc::O_RDONLY), ["used /yard/data"]);
    let path = scene.path("data");
    assert_eq!(scene.call("openat", &[7, path, 0]), ["used /other/data"]);
    assert!(scene.call("openat", &[8, path, 0]).is_empty());
}

#[test]
fn null_and_garbage_are_no_path() {
    let mut scene = Scene::new(files());
    assert!(scene.call("statx", &[CWD, 0, 0]).is_empty());
    assert!(scene.call("access", &[8, 0]).is_empty());
    assert!(scene.call("access", &[u64::MAX, 0]).is_empty());
}

#[test]
fn an_empty_path_names_the_descriptor_that_was_opened_before() {
    let mut scene = Scene::new(files()).linked(Link::Fd(3), "/etc/conf");
    let empty = scene.path("");
    let flags = libc::AT_EMPTY_PATH as u64;
    assert!(scene.call("newfstatat", &[3, empty, 0, flags]).is_empty());
}

#[test]
fn a_made_file_is_created_and_its_directory_used() {
    let mut scene = Scene::new(files());
    let told = scene.open("/tmp/new", libc::O_CREAT | libc::O_WRONLY);
    assert_eq!(told, ["used /tmp", "created /tmp/new"]);
}

#[test]
fn making_what_is_there_uses_it() {
    let mut scene = Scene::new(files());
    let path = scene.path("/etc");
    assert_eq!(scene.call("mkdir", &[path, 0o755]), ["used /etc"]);
}

#[test]
fn renaming_takes_one_name_away_and_makes_another() {
    let mut scene = Scene::new(files());
    let (from, to) = (scene.path("/etc/conf"), scene.path("/etc/old"));
    let told = scene.call("rename", &[from, to]);
    assert_eq!(told, ["used /etc/conf", "used /etc", "created /etc/old"]);
}

#[test]
fn removing_through_a_link_names_the_physical_path() {
    let mut scene = Scene::new(files());
    let path = scene.path("/link/conf");
    assert_eq!(scene.call("unlink", &[path]), ["used /link/conf"]);
}

#[test]
fn what_was_made_is_not_told_as_used() {
    // The file is there when it is looked at, as after its creation.
    let mut scene = Scene::new(files().file("/tmp/new", ""));
    let made = ImagePath::new("/tmp/new").expect("absolute");
    scene.observer.past().made(&MemFs::new(), &made);
    assert!(scene.open("/tmp/new", libc::O_RDONLY).is_empty());
    let path = scene.path("/tmp/new");
    assert!(scene.call("unlink", &[path]).is_empty());
}

#[test]
fn listing_names_the_directory_of_the_descriptor() {
    let mut scene = Scene::new(files()).linked(Link::Fd(4), "/etc");
    assert_eq!(scene.call("getdents64", &[4]), ["used /etc"]);
    assert!(scene.call("getdents64", &[4]).is_empty());
}

#[test]
fn socket_addresses_end_at_their_length_or_nul_and_abstract_ones_are_none() {
    let mut scene = Scene::new(files());
    let family = (libc::AF_UNIX as u16).to_ne_bytes();
    let unended = scene.put(&[&family[..], b"/etc/config"].concat());
    assert_eq!(
        scene.call("connect", &[3, unended, 2 + 9]),
        ["used /etc/conf"]
    );
    let abstract_one = scene.put(&[&family[..], b"\0/etc/conf"].concat());
    assert!(scene.call("connect", &[3, abstract_one, 12]).is_empty());
    let inet = scene.put(&[&(libc::AF_INET as u16).to_ne_bytes()[..], b"/etc/conf"].concat());
    assert!(scene.call("connect", &[3, inet, 11]).is_empty());
}

#[test]
fn own_links_in_proc_lead_to_what_lies_behind() {
    let mut scene = Scene::new(files()).linked(Link::Fd(3), "/etc");
    assert_eq!(scene.open("/proc/self/fd/3/conf", 0), ["used /etc/conf"]);
    assert_eq!(
        scene.open("/proc/thread-self/cwd/data", 0),
        ["used /yard/data"]
    );
    assert_eq!(scene.open("/dev/fd/3", 0), ["used /etc"]);
    assert!(scene.open("/proc/self/status", 0).is_empty());
}

#[test]
fn a_chroot_is_the_root_of_its_paths() {
    let fs = files()
        .file("/jail/etc/inner", "")
        .symlink("/jail/l", "/etc/inner");
    let mut scene = Scene::new(fs)
        .linked(Link::Root, "/jail")
        .linked(Link::Cwd, "/jail/etc");
    // Until some process changes its root, all have ours.
    assert_eq!(scene.open("/etc/conf", 0), ["used /etc/conf"]);
    let path = scene.path("/jail");
    scene.call("chroot", &[path]);
    assert_eq!(scene.open("/l", 0), ["used /l in /jail"]);
    assert_eq!(scene.open("inner", 0), ["used /etc/inner in /jail"]);
    assert!(scene.open("/yard/data", 0).is_empty());
}

#[test]
fn openat2_reads_its_flags_from_memory() {
    let mut scene = Scene::new(files());
    let path = scene.path("/tmp/new");
    let how = scene.put(&((libc::O_CREAT | libc::O_WRONLY) as u64).to_ne_bytes());
    let told = scene.call("openat2", &[CWD, path, how, 24]);
    assert_eq!(told, ["used /tmp", "created /tmp/new"]);
}

#[test]
fn socketcall_unpacks_bind_and_connect() {
    let mut scene = Scene::new(files());
    let family = (libc::AF_UNIX as u16).to_ne_bytes();
    let address = scene.put(&[&family[..], b"/etc/conf\0"].concat());
    let words = [3u32, address as u32, 12].map(u32::to_ne_bytes).concat();
    let arguments = scene.put(&words);
    assert_eq!(
        scene.call("socketcall", &[3, arguments]),
        ["used /etc/conf"]
    );
    assert!(scene.call("socketcall", &[1, arguments]).is_empty());
}

#[test]
fn a_program_start_tells_what_was_asked_for_and_its_environment() {
    let fs = files().program("/yard/run.sh", "#!/bin/app");
    let mut scene = Scene::new(fs);
    scene.observer.tracees.environment = b"A=1\0PATH=/bin\0LD_PRELOAD=x.so\0".to_vec();
    let path = scene.path("run.sh");
    assert_eq!(scene.call("execve", &[path]), ["used /yard/run.sh"]);
    scene.observer.on_exec(TID, TID);
    let mut events = scene.events.try_iter();
    let Some(Event::Started(exec)) = events.find(|event| matches!(event, Event::Started(_))) else {
        panic!("no start");
    };
    assert_eq!(exec.program.to_string(), "/bin/app");
    assert_eq!(
        exec.file.map(|file| file.to_string()),
        Some("/yard/run.sh".to_owned())
    );
    assert_eq!(exec.path.as_deref(), Some(&b"/bin"[..]));
    assert_eq!(exec.ld_preload.as_deref(), Some(&b"x.so"[..]));
    assert_eq!(exec.ld_library_path, None);
    // The same start once more tells nothing.
    scene.call("execve", &[path]);
    scene.observer.on_exec(TID, TID);
    assert!(scene.told().is_empty());
}

#[test]
fn ways_past_us_are_told() {
    let mut scene = Scene::new(files());
    let told = scene.call("seccomp", &[1, 1 << 3]);
    assert!(told[0].starts_with("lost calls that a seccomp listener"));
    assert!(scene.call("seccomp", &[1, 0]).is_empty());
    let told = scene.call("io_uring_setup", &[8]);
    assert!(told[0].starts_with("lost files that /bin/app opens through io_uring"));
    scene.observer.behind_filter = false;
    assert!(scene.call("seccomp", &[1, 1 << 3]).is_empty());
    assert_eq!(scene.call("io_uring_setup", &[8]).len(), 1);
}
