//! The mount table of a container: which file system a path lies on, and whether that one is
//! part of the image.

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

/// `None` for a mount that no path leads to any more.
fn parse_line(line: &[u8]) -> Result<Option<Mount>, &'static str> {
    let mut fields = line.split(|byte| *byte == b' ');
    let id = number(fields.next())?;
    let parent = number(fields.next())?;
    fields.next().ok_or("no device")?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image_fs::MemFs;

    const DOCKER: &[u8] = b"\
700 650 0:50 / / rw,relatime master:1 - overlay overlay rw,lowerdir=/x
701 700 0:53 / /proc rw,nosuid - proc proc rw
702 700 0:54 / /dev rw,nosuid - tmpfs tmpfs rw
703 702 0:55 / /dev/pts rw - devpts devpts rw
704 700 8:1 /var/lib/docker/c/hosts /etc/hosts rw,relatime shared:3 master:4 - ext4 /dev/sda1 rw
705 700 8:1 /my\\040data /srv/a\\040b\\134 rw - ext4 /dev/sda1 rw
";

    fn path(text: &str) -> ImagePath {
        ImagePath::new(text).expect("absolute")
    }

    fn of<'a>(mounts: &'a Mounts, text: &str) -> Option<(&'a str, u64)> {
        mounts
            .of(&path(text))
            .map(|mount| (mount.fs_type.as_str(), mount.id))
    }

    #[test]
    fn the_deepest_covering_mount_wins_by_whole_components() {
        let mounts = Mounts::parse(DOCKER).expect("well formed");
        assert_eq!(of(&mounts, "/etc/passwd"), Some(("overlay", 700)));
        assert_eq!(of(&mounts, "/etc/hosts"), Some(("ext4", 704)));
        assert_eq!(of(&mounts, "/etc/hosts.allow"), Some(("overlay", 700)));
        assert_eq!(of(&mounts, "/dev/pts/0"), Some(("devpts", 703)));
        assert_eq!(of(&mounts, "/devel"), Some(("overlay", 700)));
        assert_eq!(Mounts::none().of(&path("/x")), None);
    }

    #[test]
    fn octal_escapes_are_bytes_of_the_path() {
        let mounts = Mounts::parse(DOCKER).expect("well formed");
        assert_eq!(of(&mounts, "/srv/a b\\/x"), Some(("ext4", 705)));
        let odd = Mounts::parse(b"1 0 0:1 / /caf\xE9\\011x rw - ext4 a rw\n").expect("bytes");
        let inside = ImagePath::new(b"/caf\xE9\tx/f").expect("absolute");
        assert!(odd.of(&inside).is_some());
    }

    #[test]
    fn of_stacked_mounts_the_last_one_is_seen() {
        let mounts = Mounts::parse(
            b"1 1 0:1 / / rw - ext4 a rw\n2 1 0:2 / /m rw - ext4 b rw\n\
              3 2 0:3 / /m/in rw - xfs c rw\n4 2 0:4 / /m rw - tmpfs d rw\n",
        )
        .expect("well formed");
        assert_eq!(of(&mounts, "/m/x"), Some(("tmpfs", 4)));
        assert_eq!(of(&mounts, "/m/in/x"), Some(("tmpfs", 4)), "3 is hidden");
    }

    #[test]
    fn a_mount_number_that_runs_in_a_circle_ends() {
        let mounts = Mounts::parse(
            b"9 9 0:1 / / rw - ext4 a rw\n1 2 0:1 / /a rw - ext4 a rw\n2 1 0:2 / /a rw - xfs b rw\n",
        )
        .expect("well formed");
        assert_eq!(of(&mounts, "/a/x"), Some(("ext4", 9)));
    }

    #[test]
    fn a_line_that_is_no_mount_is_an_error_that_names_it() {
        let error = Mounts::parse(b"1 1 0:1 / / rw - ext4 a rw\n2 1 0:1 / /x rw\n");
        assert_eq!(
            error.expect_err("no separator").to_string(),
            "line 2 of the mount table: no separator"
        );
        assert!(Mounts::parse(b"garbage").is_err());
    }

    #[test]
    fn volumes_are_told_by_where_engines_keep_them() {
        let volume = |root: &str| {
            let line = format!("1 0 8:1 {root} /v rw - ext4 /dev/sda1 rw\n");
            let mounts = Mounts::parse(line.as_bytes()).expect("well formed");
            mounts.iter().next().and_then(Mount::volume)
        };
        let id = "0123456789abcdef".repeat(4);
        let docker = format!("/var/lib/docker/volumes/{id}/_data");
        let podman = format!("/u/.local/share/containers/storage/volumes/{id}/_data");
        for root in [docker, podman, format!("/volumes/{id}/_data")] {
            assert_eq!(volume(&root), Some(Volume::Anonymous), "{root}");
        }
        assert_eq!(
            volume("/var/lib/docker/volumes/data/_data"),
            Some(Volume::Named)
        );
        for root in ["/", "/_data", "/volumes/_data", "/home/volumes/x"] {
            assert_eq!(volume(root), None, "{root}");
        }
    }

    #[test]
    fn a_container_is_told_by_its_root_or_its_mark() {
        let plain = Mounts::parse(b"1 1 8:1 / / rw - ext4 a rw\n").expect("well formed");
        assert!(!plain.in_container(&MemFs::new()));
        assert!(plain.in_container(&MemFs::new().file("/.dockerenv", "")));
        let docker = Mounts::parse(DOCKER).expect("well formed");
        assert!(docker.in_container(&MemFs::new()));
    }
}
