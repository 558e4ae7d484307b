//! The report: what one run kept and left out, and why, as data that is saved and loaded again.
//! docs/report.md is its description.

use crate::byte_string::ByteString;
use crate::image_fs::FileKind;
use crate::image_path::ImagePath;
use crate::manifest::{Exclusion, MountFate, Reason};
use crate::recording::{Access, Call, Endpoint, Exec, Loss, Origin, Outcome, Process};
use serde::{Deserialize, Serialize};

/// The version of the form. It grows when a reader of the one before would read something
/// wrong; fields are added without that.
pub const SCHEMA: u32 = 1;

/// One run, or one `pack`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`] of who wrote it.
    pub schema: u32,
    /// Who wrote it: `micropacker 0.1.0`.
    pub tool: String,
    /// What was traced; `None` where nothing was run.
    #[serde(default)]
    pub command: Option<Started>,
    /// How it was traced.
    #[serde(default)]
    pub engine: Option<String>,
    /// From the start of the command to the writing of the outputs; left out with
    /// SOURCE_DATE_EPOCH, so that the bytes are the same again.
    #[serde(default)]
    pub milliseconds: Option<u64>,
    /// What was made.
    pub image: Image,
    /// What is in the image, parents before their children.
    pub entries: Vec<Item>,
    /// What was used and is not in the image.
    #[serde(default)]
    pub excluded: Vec<LeftOut>,
    /// Every mount that the application saw, in the order of the mount table.
    #[serde(default)]
    pub mounts: Vec<MountItem>,
    /// The system's packages of which files are kept.
    #[serde(default)]
    pub packages: Vec<PackageItem>,
    /// The system's packages of which nothing is kept.
    #[serde(default)]
    pub packages_dropped: Vec<PackageItem>,
    /// Packages of language runtimes of which files are kept.
    #[serde(default)]
    pub languages: Vec<LanguageItem>,
    /// What could not be seen, followed or packed.
    #[serde(default)]
    pub losses: Vec<Loss>,
    /// What was seen, so that it can be packed again.
    #[serde(default)]
    pub recording: Recorded,
}

/// What the command was started with. Variables that look like secrets are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// The command and its arguments.
    pub argv: Vec<ByteString>,
    /// `NAME=value`.
    pub env: Vec<ByteString>,
    /// The current directory.
    pub cwd: Option<ImagePath>,
    /// Effective user ID.
    pub uid: u32,
    /// Effective group ID.
    pub gid: u32,
}

/// The image as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Its name, or that of its tarball.
    pub name: String,
    /// SHA-256 of the root file system's tarball.
    pub layer_sha256: String,
    /// Length of that tarball.
    pub tar_bytes: u64,
    /// Bytes of regular files, hard links counted once.
    pub bytes: u64,
    /// Name and version of the distribution its packages are from.
    pub distribution: String,
    /// All packages that were installed.
    pub packages_before: u64,
    /// Bytes that they take, as their makers counted them.
    pub bytes_before: u64,
}

/// An entry of the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Its path.
    pub path: ImagePath,
    /// What it is.
    pub kind: FileKind,
    /// Bytes of a regular file.
    #[serde(default)]
    pub size: u64,
    /// Of a regular file's content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Twelve permission bits, as octal digits.
    pub mode: String,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Where a symlink leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<ByteString>,
    /// Index of the package that owns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<usize>,
    /// Why it is there: at least one, the first found first.
    pub reasons: Vec<Reason>,
}

/// Something that was used and is not in the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Its path.
    pub path: ImagePath,
    /// Why not.
    pub why: Exclusion,
}

/// A mount, and what became of the files on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountItem {
    /// Where it is mounted.
    pub mount_point: ImagePath,
    /// `ext4`, `overlay`, `tmpfs`.
    pub fs_type: String,
    /// The directory or file of that file system that is seen there.
    pub root: ByteString,
    /// What was decided.
    pub fate: MountFate,
}

/// A package of the system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageItem {
    /// `apk`, `dpkg` or `rpm`.
    pub manager: String,
    /// As the manager names it.
    pub name: String,
    /// With epoch and revision.
    pub version: String,
    /// The manager's name of the architecture.
    pub arch: String,
    /// How many entries of the image it owns, directories not counted.
    pub files: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// Bytes of all its files, as its maker counted them.
    pub bytes_before: u64,
}

/// A package of a language runtime.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LanguageItem {
    /// `java`, `node`, `python` or `ruby`.
    pub ecosystem: String,
    /// With Maven's group in front.
    pub name: String,
    /// As its ecosystem writes it.
    pub version: String,
    /// The file that told.
    pub metadata: ImagePath,
}

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// Each used path.
    pub uses: Vec<UsedPath>,
    /// Each distinct program start.
    pub execs: Vec<Exec>,
    /// What the application made.
    pub created: Vec<ImagePath>,
    /// Who used something first, and who started them.
    #[serde(default)]
    pub processes: Vec<ProcessItem>,
    /// The system calls that were made, where they were counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<CallItem>,
    /// The ports that were served.
    #[serde(default)]
    pub ports: Vec<PortItem>,
    /// What could not be seen.
    pub losses: Vec<Loss>,
}

/// A process or thread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessItem {
    /// Its ID.
    pub pid: i32,
    /// Who started it, and what it ran.
    #[serde(flatten)]
    pub process: Process,
}

/// A system call, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallItem {
    /// Its convention and name.
    #[serde(flatten)]
    pub call: Call,
    /// Whether it was ever more than refused.
    pub outcome: Outcome,
}

/// A port that was served, and by whom first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortItem {
    /// Its protocol, number and address.
    #[serde(flatten)]
    pub endpoint: Endpoint,
    /// Who began to listen, or bound a datagram socket.
    pub first: Origin,
}

/// A path as a process spelled it, how it was used, and by whom first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedPath {
    /// The root directory of the process.
    #[serde(
        default = "ImagePath::root",
        skip_serializing_if = "ImagePath::is_root"
    )]
    pub root: ImagePath,
    /// The path below that root.
    pub path: ImagePath,
    /// Every way it was used.
    pub access: Access,
    /// The first use.
    pub first: Origin,
}
