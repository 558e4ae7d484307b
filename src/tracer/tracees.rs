//! What can be asked about a tracee: its memory, and where its directories are. Behind a trait,
//! so that deciding what a call uses is tested without a process.

use super::credentials::as_tracee;
use super::gains::Privileges;
use super::holdings;
use super::memory::Memories;
use super::namespaces::{Namespaces, files_of};
use super::network::{Socket, socket_of};
use super::served::{Served, SparedFs};
use crate::image_fs::{HostFs, Walk, walk};
use crate::image_path::ImagePath;
use crate::sys::Tid;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::AccessFlags;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;

/// A tracee's own links in `/proc/TID`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// The current directory.
    Cwd,
    /// The root directory.
    Root,
    /// The program it runs.
    Program,
    /// An open descriptor.
    Fd(i32),
}

/// Why a link leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoLink {
    /// It is no path (a socket), is deleted, or there is no such link.
    Nothing,
    /// It may not be looked at.
    Forbidden,
}

/// Tracees, and the files as we see them.
pub trait Tracees {
    /// Reads memory, as [`Memories::read`].
    fn read(&mut self, tid: Tid, address: u64, buffer: &mut [u8]) -> usize;
    /// Whether its memory may not be looked at, so that reading gave nothing.
    fn is_refused(&self, tid: Tid) -> bool;
    /// Where a link of the tracee leads, as we see it.
    ///
    /// # Errors
    /// Why it leads nowhere.
    fn link(&mut self, tid: Tid, link: Link) -> Result<ImagePath, NoLink>;
    /// The environment of the program it runs, `NAME=value` each closed by NUL.
    fn environment(&mut self, tid: Tid) -> io::Result<Vec<u8>>;
    /// Whether there is something at this absolute path; a symlink at its end is followed or not.
    fn exists(&mut self, path: &[u8], follow: bool) -> bool;
    /// What the process may do now; `None` when it has ended.
    fn privileges(&mut self, tid: Tid) -> Option<Privileges>;
    /// Whether set-user-ID bits and file capabilities count where this program lies (mount(8),
    /// `nosuid`).
    fn may_gain(&mut self, program: &ImagePath) -> bool;
    /// A new thread is stopped: the time to prepare for reading its memory.
    fn on_start(&mut self, tid: Tid);
    /// The mounts will be others in a moment.
    fn on_mounting(&mut self) {}
    /// A thread ended.
    fn on_end(&mut self, tid: Tid);
    /// Whether its program is the file that we see under that name.
    fn runs_what_is_seen(&mut self, tid: Tid) -> bool;
    /// What it has mapped, holds open and is in, each with a word in place of a call's name.
    fn holdings(&mut self, tid: Tid) -> Vec<(&'static str, ImagePath)>;
    /// The file that it was told to execute, as it was spelled.
    fn executed(&mut self, tid: Tid) -> Option<Vec<u8>>;
    /// The socket behind a descriptor of it.
    ///
    /// # Errors
    /// [`NoLink::Nothing`] for one that has no ports, or none in our network.
    fn socket(&mut self, _: Tid, _: i32) -> Result<Socket, NoLink> {
        Err(NoLink::Nothing)
    }
    /// Whether it has a mount namespace of its own (mount_namespaces(7)): its links lead to where
    /// that one shows their targets. `None` when that cannot be told.
    fn is_elsewhere(&mut self, _: Tid) -> Option<bool> {
        Some(false)
    }
    /// Walks a path as the thread does, from its own root directory in its own mounts; the result
    /// is seen from there.
    ///
    /// # Errors
    /// When its root directory may not be looked at.
    fn walk(&mut self, _: Tid, _: &ImagePath, _: bool) -> io::Result<Walk> {
        Err(io::ErrorKind::Unsupported.into())
    }
    /// Where we see what its mount namespace shows at this physical path, counted from the root
    /// of that namespace. `None` where we do not.
    fn seen_here(&mut self, _: Tid, path: &ImagePath) -> Option<ImagePath> {
        Some(path.clone())
    }
}

/// Real tracees.
#[derive(Default)]
pub struct ProcTracees {
    memories: Memories,
    namespaces: Namespaces,
    served: Served,
}

impl ProcTracees {
    /// Never looks at file systems that the tracees themselves serve.
    pub fn sparing(served: Served) -> Self {
        Self {
            served,
            ..Self::default()
        }
    }
}

/// What the kernel appends to the name of a file that is gone (proc_pid_fd(5)).
const DELETED: &[u8] = b" (deleted)";

impl Tracees for ProcTracees {
    fn read(&mut self, tid: Tid, address: u64, buffer: &mut [u8]) -> usize {
        self.memories.read(tid, address, buffer)
    }

    fn is_refused(&self, tid: Tid) -> bool {
        self.memories.is_refused(tid)
    }

    fn link(&mut self, tid: Tid, link: Link) -> Result<ImagePath, NoLink> {
        let path = match link {
            Link::Cwd => format!("/proc/{tid}/cwd"),
            Link::Root => format!("/proc/{tid}/root"),
            Link::Program => format!("/proc/{tid}/exe"),
            Link::Fd(fd) => format!("/proc/{tid}/fd/{fd}"),
        };
        let target =
            as_tracee(tid, || fs::read_link(&path)).map_err(|error| match error.kind() {
                io::ErrorKind::PermissionDenied => NoLink::Forbidden,
                _ => NoLink::Nothing,
            })?;
        let target = ImagePath::new(target.into_os_string().into_vec()).ok_or(NoLink::Nothing)?;
        // A file may really be named so: only one that is not there has been deleted.
        let gone = target.as_bytes().ends_with(DELETED) && !self.exists(target.as_bytes(), false);
        if gone {
            Err(NoLink::Nothing)
        } else {
            Ok(target)
        }
    }

    fn environment(&mut self, tid: Tid) -> io::Result<Vec<u8>> {
        as_tracee(tid, || fs::read(format!("/proc/{tid}/environ")))
    }

    fn exists(&mut self, path: &[u8], follow: bool) -> bool {
        if self.served.are_there() {
            // A link may lead there: it is looked at step by step.
            let fs = SparedFs::new(HostFs::new("/"), self.served.clone());
            return ImagePath::new(path).is_some_and(|path| walk(&fs, &path, follow).end.is_ok());
        }
        let flags = if follow {
            AtFlags::empty()
        } else {
            AtFlags::AT_SYMLINK_NOFOLLOW
        };
        nix::unistd::faccessat(AT_FDCWD, path, AccessFlags::F_OK, flags).is_ok()
    }

    fn privileges(&mut self, tid: Tid) -> Option<Privileges> {
        let status = fs::read_to_string(format!("/proc/{tid}/status")).ok()?;
        let field = |name: &str, index: usize| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().nth(index)
        };
        let bits = |name: &str| u64::from_str_radix(field(name, 0)?, 16).ok();
        Some(Privileges {
            euid: field("Uid:", 1)?.parse().ok()?,
            egid: field("Gid:", 1)?.parse().ok()?,
            permitted: bits("CapPrm:")?,
            bounding: bits("CapBnd:")?,
            no_new_privs: field("NoNewPrivs:", 0)? == "1",
        })
    }

    fn may_gain(&mut self, program: &ImagePath) -> bool {
        use nix::sys::statvfs::{FsFlags, statvfs};
        if self.served.holds(program) {
            return false;
        }
        statvfs(program.as_bytes()).is_ok_and(|fs| !fs.flags().contains(FsFlags::ST_NOSUID))
    }

    fn on_start(&mut self, tid: Tid) {
        self.memories.open(tid);
    }

    fn on_mounting(&mut self) {
        self.served.expect();
    }

    fn on_end(&mut self, tid: Tid) {
        self.memories.forget(tid);
    }

    fn runs_what_is_seen(&mut self, tid: Tid) -> bool {
        holdings::runs_what_is_seen(tid)
    }

    fn holdings(&mut self, tid: Tid) -> Vec<(&'static str, ImagePath)> {
        holdings::holdings(tid)
    }

    fn executed(&mut self, tid: Tid) -> Option<Vec<u8>> {
        let memories = &mut self.memories;
        holdings::executed(tid, |at, buffer| memories.read(tid, at, buffer))
    }

    fn socket(&mut self, tid: Tid, fd: i32) -> Result<Socket, NoLink> {
        socket_of(tid, fd)
    }

    fn is_elsewhere(&mut self, tid: Tid) -> Option<bool> {
        self.namespaces.is_elsewhere(tid)
    }

    fn walk(&mut self, tid: Tid, path: &ImagePath, follow: bool) -> io::Result<Walk> {
        let served = &self.served;
        as_tracee(tid, || {
            let fs = files_of(tid, served.clone())?;
            Ok(walk(&fs, path, follow))
        })
    }

    fn seen_here(&mut self, tid: Tid, path: &ImagePath) -> Option<ImagePath> {
        self.namespaces.seen_here(tid, path)
    }
}
