//! Namespaces of tracees: where we see what they see (mount_namespaces(7)), and whose network they
//! are in (network_namespaces(7)).

use super::credentials::as_tracee;
use super::served::{NOT_OURS, Served};
use crate::image_fs::{Guard, GuardedFs, HostFs};
use crate::image_path::ImagePath;
use crate::mounts::{Mount, Mounts};
use crate::sys::Tid;
use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;

/// The mount tables of namespaces that are not ours.
#[derive(Default)]
pub struct Namespaces {
    /// By their inode numbers. A process whose root directory is a mere directory of one sees
    /// only the mounts below it, so what another one saw before has to serve for it.
    tables: HashMap<u64, Mounts>,
}

impl Namespaces {
    /// Whether a thread has mounts of its own. `None` when that cannot be told.
    pub fn is_elsewhere(&self, tid: Tid) -> Option<bool> {
        Some(namespace_of(tid, MOUNTS)? != own(MOUNTS)?)
    }

    /// Where we see what a thread's namespace shows at this path.
    pub fn seen_here(&mut self, tid: Tid, path: &ImagePath) -> Option<ImagePath> {
        let namespace = namespace_of(tid, MOUNTS)?;
        let look = |name: &str| format!("/proc/{tid}/{name}");
        let root = as_tracee(tid, || fs::read_link(look("root"))).ok()?;
        if root.as_os_str().as_bytes() == b"/" {
            // The mounts change at any time, and nobody tells.
            let table = as_tracee(tid, || fs::read(look("mountinfo"))).ok()?;
            self.tables.insert(namespace, Mounts::parse(&table).ok()?);
        }
        let ours = Mounts::parse(&fs::read("/proc/thread-self/mountinfo").ok()?).ok()?;
        ours.showing(self.tables.get(&namespace)?, path)
    }
}

/// Names of namespaces in `/proc/PID/ns`.
const MOUNTS: &str = "mnt";
const NETWORK: &str = "net";

fn namespace_of(tid: Tid, kind: &str) -> Option<u64> {
    let namespace = as_tracee(tid, || fs::metadata(format!("/proc/{tid}/ns/{kind}")));
    namespace.ok().map(|meta| meta.ino())
}

fn own(kind: &str) -> Option<u64> {
    let own = fs::metadata(format!("/proc/thread-self/ns/{kind}"));
    own.ok().map(|meta| meta.ino())
}

/// Whether a thread is in our network. Where that cannot be told it is: few have one of their own.
pub fn shares_network(tid: Tid) -> bool {
    let theirs = namespace_of(tid, NETWORK);
    theirs.is_none() || theirs == own(NETWORK)
}

/// The files of a thread with mounts of its own, from its root directory, but for those that a
/// process serves and that are no part of the image: it may be waiting for us.
pub type TheirFs = GuardedFs<HostFs, Theirs>;

/// Where a thread sees what is served.
pub struct Theirs {
    theirs: Mounts,
    ours: Mounts,
    served: Served,
}

/// The files as the thread sees them.
///
/// # Errors
/// When it may not be looked at.
pub fn files_of(tid: Tid, served: Served) -> io::Result<TheirFs> {
    let table = |path: String| -> io::Result<Mounts> {
        Mounts::parse(&fs::read(path)?).map_err(io::Error::other)
    };
    // The dot: the link itself is none that a walk may find.
    let root = format!("/proc/{tid}/root");
    fs::read_link(&root)?;
    let guard = Theirs {
        theirs: table(format!("/proc/{tid}/mountinfo"))?,
        ours: table("/proc/thread-self/mountinfo".to_owned())?,
        served,
    };
    Ok(GuardedFs::new(HostFs::new(root + "/."), guard))
}

impl Guard for Theirs {
    fn pass(&self, path: &ImagePath) -> io::Result<()> {
        let mount = self.theirs.of(path);
        let spared = mount.is_some_and(Mount::is_served) && {
            let here = self.ours.showing(&self.theirs, path);
            here.is_none_or(|here| self.served.holds(&here))
        };
        if spared {
            return Err(NOT_OURS.into());
        }
        Ok(())
    }
}
