//! Mount namespaces of tracees (mount_namespaces(7)): where we see what they see.

use super::credentials::as_tracee;
use crate::image_path::ImagePath;
use crate::mounts::Mounts;
use crate::sys::Tid;
use std::collections::HashMap;
use std::fs;
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
        let own = fs::metadata("/proc/thread-self/ns/mnt").ok()?;
        Some(namespace_of(tid)? != own.ino())
    }

    /// Where we see what a thread's namespace shows at this path.
    pub fn seen_here(&mut self, tid: Tid, path: &ImagePath) -> Option<ImagePath> {
        let namespace = namespace_of(tid)?;
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

fn namespace_of(tid: Tid) -> Option<u64> {
    let namespace = as_tracee(tid, || fs::metadata(format!("/proc/{tid}/ns/mnt")));
    namespace.ok().map(|meta| meta.ino())
}
