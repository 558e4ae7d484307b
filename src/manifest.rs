//! What will be shipped and, for every entry, why: plain data between resolver and packer.

use crate::image_fs::{FileKind, Meta};
use crate::image_path::ImagePath;
use crate::recording::{Access, Loss, Origin};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Why an entry is shipped. The chain of reasons ends at [`Reason::Used`] or at something the
/// user or the format asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// A process used it.
    Used {
        /// In which ways.
        access: Access,
        /// Who first.
        first: Origin,
    },
    /// Program that was started.
    Executed,
    /// Directory that holds this entry.
    ParentOf(ImagePath),
    /// Symlink that leads, or led, to this path.
    LinkTo(ImagePath),
    /// PT_INTERP of this ELF file.
    LoaderOf(ImagePath),
    /// `#!` interpreter of this script.
    InterpreterOf(ImagePath),
    /// DT_NEEDED, or found along its closure, by this ELF file.
    NeededBy(ImagePath),
    /// Entry of this directory, which the application listed.
    ListedIn(ImagePath),
    /// Named by the user, by this pattern or list.
    Included(String),
    /// Every image has it, `/tmp` for instance.
    Always,
    /// Tells scanners which packages the image holds files of.
    PackageMetadata,
}

impl Reason {
    /// The other path that it stands for, if any.
    pub fn of(&self) -> Option<&ImagePath> {
        match self {
            Self::ParentOf(of)
            | Self::LinkTo(of)
            | Self::LoaderOf(of)
            | Self::InterpreterOf(of)
            | Self::NeededBy(of)
            | Self::ListedIn(of) => Some(of),
            Self::Used { .. }
            | Self::Executed
            | Self::Included(_)
            | Self::Always
            | Self::PackageMetadata => None,
        }
    }
}

/// Where an entry's metadata and bytes come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The path of the same name in the image.
    Image,
    /// Made by us: an empty directory of this mode and owner.
    EmptyDirectory {
        /// Twelve permission bits.
        mode: u32,
        /// Numeric owner.
        uid: u32,
        /// Numeric group.
        gid: u32,
    },
    /// Made by us: a file of root with this content.
    Bytes {
        /// Twelve permission bits.
        mode: u32,
        /// All of it.
        content: Vec<u8>,
    },
}

/// One entry of the image to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: FileKind,
    /// What lstat told when it was resolved; `None` for what we make ourselves.
    pub meta: Option<Meta>,
    /// Where its bytes come from.
    pub source: Source,
    /// At least one, the first found first.
    pub reasons: Vec<Reason>,
}

/// Something that was used and is not shipped, and why not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exclusion {
    /// Lies on a mount that is not part of the image; the file system type.
    Mount(String),
    /// Made by the application while it ran.
    Created,
    /// Was there when it was used and is gone now.
    Vanished,
    /// Belongs to the kernel or to the container engine, as what lies in `/proc` does.
    BuiltIn,
    /// Sockets cannot be shipped.
    Socket,
    /// Named by the user, by this pattern.
    Pattern(String),
    /// Micropacker itself or one of its outputs.
    Own,
    /// In the container before the trace began, and nothing tells that it is the image's.
    Earlier,
    /// Listed by name only, in a directory that is not the application's own.
    ListedOnly,
    /// Looked at only, and `--probed skip` was asked for.
    ProbedOnly,
    /// Could not be read: the error.
    Unreadable(String),
}

/// What becomes of the files on a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MountFate {
    /// They are part of the image: the root, and outside of containers every disk.
    Image,
    /// The user asked for them.
    Included,
    /// A volume without a name, which the engine filled from the image: they are the image's,
    /// but for those that were changed since.
    Prefilled,
    /// A volume with a name: those are the image's that were copied into it when the container
    /// was made, the others are the user's.
    NamedVolume,
    /// The engine writes it for each container: `/etc/hosts`, `/etc/hostname`,
    /// `/etc/resolv.conf`.
    Engine,
    /// The kernel's own view, or memory: left out.
    Pseudo,
    /// The user's data: left out.
    Foreign,
}

/// A mount that the application saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountDecision {
    /// Where it is mounted, physical.
    pub mount_point: ImagePath,
    /// `ext4`, `overlay`, `tmpfs`, …
    pub fs_type: String,
    /// The directory or file of that file system that is seen here.
    pub root: Vec<u8>,
    /// What was decided.
    pub fate: MountFate,
}

/// The plan of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// By physical path: parents sort before their children.
    pub entries: BTreeMap<ImagePath, Entry>,
    /// By physical path where one is known, else as it was spelled.
    pub excluded: BTreeMap<ImagePath, Exclusion>,
    /// What could not be read because a disk failed, or the machine's limits were reached: the
    /// error. An image without it would be incomplete, so none is written.
    pub failures: BTreeMap<ImagePath, String>,
    /// What could not be seen or resolved; carried on from the recording, and added to.
    pub losses: Vec<Loss>,
    /// What the user might want to add, a line each.
    pub hints: Vec<String>,
    /// Every mount, in the order of the mount table.
    pub mounts: Vec<MountDecision>,
    /// Shipped files of the image that an earlier run of the container, or somebody beside it,
    /// had changed when the trace began.
    pub changed_before: BTreeSet<ImagePath>,
}

impl Manifest {
    /// Bytes of regular files, hard links counted once.
    pub fn content_size(&self) -> u64 {
        let mut seen = BTreeSet::new();
        let size = |entry: &Entry| match (&entry.source, &entry.meta) {
            (Source::Bytes { content, .. }, _) => content.len() as u64,
            (_, Some(meta))
                if meta.kind == FileKind::Regular
                    && (meta.nlink < 2 || seen.insert((meta.dev, meta.ino))) =>
            {
                meta.size
            }
            _ => 0,
        };
        self.entries.values().map(size).sum()
    }
}
