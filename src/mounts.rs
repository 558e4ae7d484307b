//! Mount tables: which file system a path lies on, whether that one is part of the image, and
//! where one mount namespace shows a file of another.

#[cfg(test)]
mod tests;

use crate::image_fs::ImageFs;
use crate::image_path::ImagePath;
use thiserror::Error;

/// One line of a mountinfo file (proc_pid_mountinfo(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Unique while the mount lives.
    pub id: u64,
    /// The mount it sits on; its own number at the top of the tree.
    pub parent: u64,
    /// The file system: the numbers of its device, which are its own even where there is none.
    pub device: Vec<u8>,
    /// The directory of the file system that is seen here: not `/` for a bind mount.
    pub root: Vec<u8>,
    /// Where it is mounted, physical.
    pub mount_point: ImagePath,
    /// `ext4`, `overlay`, `tmpfs`, …
    pub fs_type: String,
}

/// A line of mountinfo that does not follow proc_pid_mountinfo(5).
#[derive(Debug, Error, PartialEq, Eq)]
#[error("line {line} of the mount table: {what}")]
pub struct MountsError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: &'static str,
}

/// All mounts of a mount namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mounts {
    mounts: Vec<Mount>,
}

/// File systems that hold no files of an image: the kernel's own views, and memory.
const PSEUDO: [&str; 30] = [
    "autofs",
    "binder",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fuse.gvfsd-fuse",
    "fuse.lxcfs",
    "fuse.portal",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nfsd",
    "nsfs",
    "pipefs",
    "proc",
    "pstore",
    "ramfs",
    "resctrl",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "sysfs",
    "tmpfs",
    "tracefs",
];

/// Root file systems that only container engines make.
const LAYERED: [&str; 4] = ["overlay", "aufs", "fuse.fuse-overlayfs", "fuse.overlayfs"];

/// A volume of a container engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Volume {
    /// Made for one container: its name is 64 hexadecimal digits.
    Anonymous,
    /// Named by the user.
    Named,
}

impl Mount {
    /// Whether it is a volume: Docker and podman keep each one in `volumes/NAME/_data`.
    pub fn volume(&self) -> Option<Volume> {
        let mut parts = self.root.rsplit(|byte| *byte == b'/');
        let (data, name, volumes) = (parts.next()?, parts.next()?, parts.next()?);
        if (data, volumes) != (b"_data", b"volumes") {
            return None;
        }
        let hexadecimal = name.iter().all(u8::is_ascii_hexdigit);
        Some(if name.len() == 64 && hexadecimal {
            Volume::Anonymous
        } else {
            Volume::Named
        })
    }

    /// Whether files on it are the kernel's or lie in memory, so that no image holds them.
    pub fn is_pseudo(&self) -> bool {
        PSEUDO.contains(&self.fs_type.as_str())
    }

    /// Whether a process serves it (FUSE).
    pub fn is_served(&self) -> bool {
        matches!(self.fs_type.as_str(), "fuse" | "fuseblk") || self.fs_type.starts_with("fuse.")
    }
}

impl Mounts {
    /// A tree without mounts: everything is part of the image.
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads the text of `/proc/PID/mountinfo`.
    ///
    /// # Errors
    /// The first line that proc_pid_mountinfo(5) does not allow.
    pub fn parse(mountinfo: &[u8]) -> Result<Self, MountsError> {
        let mut mounts = Vec::new();
        for (index, line) in mountinfo.split(|byte| *byte == b'\n').enumerate() {
            if line.is_empty() {
                continue;
            }
            let mount = parse_line(line).map_err(|what| MountsError {
                line: index + 1,
                what,
            })?;
            mounts.extend(mount);
        }
        Ok(Self { mounts })
    }

    /// The mount that shows the file at a physical path; `None` where the table covers it by
    /// nothing, as in a chroot.
    pub fn of(&self, physical: &ImagePath) -> Option<&Mount> {
        self.chain(physical).last().copied()
    }

    /// The mounts that a walk to a physical path crosses, the root mount first.
    ///
    /// This is how the kernel finds its way: from the mount it stands on it crosses to a child
    /// of that mount. A mount that another one hides is never met, wherever it stands in the
    /// table.
    pub fn chain(&self, physical: &ImagePath) -> Vec<&Mount> {
        let covering: Vec<&Mount> = self
            .mounts
            .iter()
            .filter(|mount| physical.is_at_or_below(&mount.mount_point))
            .collect();
        let mut chain: Vec<&Mount> = Vec::new();
        while chain.len() < covering.len() {
            let crossed = covering
                .iter()
                .filter(|mount| match chain.last() {
                    Some(current) => mount.parent == current.id && mount.id != current.id,
                    None => self.is_top(mount),
                })
                .rev()
                .min_by_key(|mount| mount.mount_point.as_bytes().len());
            match crossed {
                Some(mount) => chain.push(mount),
                None => break,
            }
        }
        chain
    }

    /// Where these mounts show what `theirs`, the table of another mount namespace, show at a
    /// physical path. `None` where they do not: a tmpfs of that namespace's own, for instance.
    pub fn showing(&self, theirs: &Mounts, physical: &ImagePath) -> Option<ImagePath> {
        let mount = theirs.of(physical)?;
        let rest = below(physical.as_bytes(), mount.mount_point.as_bytes())?;
        let wanted = joined(&mount.root, rest);
        let here = |ours: &Mount| {
            let rest = below(&wanted, &ours.root)?;
            let path = ImagePath::new(joined(ours.mount_point.as_bytes(), rest))?;
            // Another mount may hide it.
            (self.of(&path)?.id == ours.id).then_some(path)
        };
        self.mounts
            .iter()
            .filter(|ours| ours.device == mount.device)
            .filter_map(here)
            .min_by_key(|path| path.as_bytes().len())
    }

    /// Whether the mount it sits on is out of sight.
    fn is_top(&self, mount: &Mount) -> bool {
        mount.parent == mount.id || !self.mounts.iter().any(|other| other.id == mount.parent)
    }

    /// All mounts, in the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = &Mount> {
        self.mounts.iter()
    }

    /// Whether the root's layers tell image and container apart: a file that the container did
    /// not change keeps the ctime that it got when the image was unpacked.
    pub fn root_is_layered(&self) -> bool {
        self.of(&ImagePath::root())
            .is_some_and(|root| LAYERED.contains(&root.fs_type.as_str()))
    }

    /// Whether this table is that of a container: its root is one that container engines make,
    /// or an engine left its mark. Engines with the vfs or btrfs driver have an ordinary root.
    pub fn in_container(&self, fs: &dyn ImageFs) -> bool {
        self.root_is_layered()
            || ["/.dockerenv", "/run/.containerenv"]
                .iter()
                .filter_map(ImagePath::new)
                .any(|mark| fs.lstat(&mark).is_ok())
    }
}

/// What is left of a path below a directory: nothing, or it begins with a slash.
fn below<'a>(path: &'a [u8], directory: &[u8]) -> Option<&'a [u8]> {
    let directory = directory.strip_suffix(b"/").unwrap_or(directory);
    let rest = path.strip_prefix(directory)?;
    match rest {
        b"/" => Some(b""),
        [] | [b'/', ..] => Some(rest),
        _ => None,
    }
}

fn joined(directory: &[u8], rest: &[u8]) -> Vec<u8> {
    let directory = directory.strip_suffix(b"/").unwrap_or(directory);
    match [directory, rest].concat() {
        path if path.is_empty() => b"/".to_vec(),
        path => path,
    }
}

/// `None` for a mount that no path leads to any more.
fn parse_line(line: &[u8]) -> Result<Option<Mount>, &'static str> {
    let mut fields = line.split(|byte| *byte == b' ');
    let id = number(fields.next())?;
    let parent = number(fields.next())?;
    let device = fields.next().ok_or("no device")?.to_vec();
    let root = unescape(fields.next().ok_or("no root")?);
    let mount_point = unescape(fields.next().ok_or("no mount point")?);
    fields.next().ok_or("no options")?;
    fields
        .by_ref()
        .find(|field| *field == b"-")
        .ok_or("no separator")?;
    let fs_type = unescape(fields.next().ok_or("no file system type")?);
    if mount_point.ends_with(b"//deleted") {
        return Ok(None);
    }
    Ok(Some(Mount {
        id,
        parent,
        device,
        root,
        mount_point: ImagePath::new(mount_point).ok_or("mount point is not absolute")?,
        fs_type: String::from_utf8(fs_type).map_err(|_| "file system type is not a name")?,
    }))
}

fn number(field: Option<&[u8]>) -> Result<u64, &'static str> {
    field
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(|digits| digits.parse().ok())
        .ok_or("no mount number")
}

/// Undoes the kernel's octal escapes of space, tab, newline and backslash.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, tail @ ..] = rest {
        rest = tail;
        let escaped = match (first, tail) {
            (
                b'\\',
                [
                    a @ b'0'..=b'3',
                    b @ b'0'..=b'7',
                    c @ b'0'..=b'7',
                    after @ ..,
                ],
            ) => {
                rest = after;
                Some((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'))
            }
            _ => None,
        };
        bytes.push(escaped.unwrap_or(*first));
    }
    bytes
}
