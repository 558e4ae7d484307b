//! What was seen while the application ran: plain data, saved, loaded and merged.

mod call;
mod endpoint;
mod original;
mod process;

use crate::byte_string;
use crate::image_fs::FileTime;
use crate::image_path::ImagePath;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::BitOrAssign;

pub use call::{Call, Calls, Outcome};
pub use endpoint::{Endpoint, Protocol};
pub use original::{Body, Level, Original};
pub use process::{Introduced, Process, Processes};

/// In which ways a path was used, as a set.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(into = "Vec<Way>", from = "Vec<Way>")]
pub struct Access(u8);

/// One way, by its name in JSON.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Way {
    Probe,
    Open,
    Exec,
    List,
    Enter,
    Change,
    NoFollow,
    Write,
}

const WAYS: [(Access, Way); 8] = [
    (Access::PROBE, Way::Probe),
    (Access::OPEN, Way::Open),
    (Access::EXEC, Way::Exec),
    (Access::LIST, Way::List),
    (Access::ENTER, Way::Enter),
    (Access::CHANGE, Way::Change),
    (Access::NO_FOLLOW, Way::NoFollow),
    (Access::WRITE, Way::Write),
];

impl From<Access> for Vec<Way> {
    fn from(access: Access) -> Self {
        let ways = WAYS.into_iter().filter(|(one, _)| access.contains(*one));
        ways.map(|(_, way)| way).collect()
    }
}

impl From<Vec<Way>> for Access {
    fn from(ways: Vec<Way>) -> Self {
        let named = |way: &Way| WAYS[*way as usize].0;
        ways.iter()
            .fold(Self::default(), |all, way| all.with(named(way)))
    }
}

impl Access {
    /// Only looked at: stat, access, readlink, getxattr, statfs.
    pub const PROBE: Self = Self(1);
    /// Opened.
    pub const OPEN: Self = Self(2);
    /// Executed.
    pub const EXEC: Self = Self(4);
    /// A directory whose names were read (getdents).
    pub const LIST: Self = Self(8);
    /// Made the current or the root directory.
    pub const ENTER: Self = Self(16);
    /// Changed, or opened so that it could be: metadata at least.
    pub const CHANGE: Self = Self(32);
    /// The call does not follow a symlink at the end of the path (lstat, readlink, O_NOFOLLOW).
    pub const NO_FOLLOW: Self = Self(64);
    /// Its content was changed, or it was opened so that it could be.
    pub const WRITE: Self = Self(128);

    /// Whether all of `other` is in this set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether `other` adds nothing: each of its ways is known, and a link that it follows has
    /// been followed before.
    pub fn covers(self, other: Self) -> bool {
        let follows_more = self.contains(Self::NO_FOLLOW) && !other.contains(Self::NO_FOLLOW);
        self.contains(other.without(Self::NO_FOLLOW)) && !follows_more
    }

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This set without `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// Adds another use of the same path. A link that was followed once counts as followed:
/// `NO_FOLLOW` stays only while every use has it.
impl BitOrAssign for Access {
    fn bitor_assign(&mut self, other: Self) {
        let both_stay = self.0 & other.0 & Self::NO_FOLLOW.0;
        let kinds = (self.0 | other.0) & !Self::NO_FOLLOW.0;
        self.0 = kinds
            | if self.0 & !Self::NO_FOLLOW.0 == 0 {
                other.0 & Self::NO_FOLLOW.0
            } else {
                both_stay
            };
    }
}

/// A path as a process spelled it: absolute, its symlinks not yet followed, seen from the
/// root directory of that process.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The root directory of the process: `/`, or where chroot(2) put it.
    pub root: ImagePath,
    /// The path below that root; may hold `..` and symlinks.
    pub path: ImagePath,
}

impl Place {
    /// A path of a process whose root is `/`.
    pub fn at(path: ImagePath) -> Self {
        Self {
            root: ImagePath::root(),
            path,
        }
    }
}

/// Who used a path first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Thread ID, as the tracer sees it.
    pub pid: i32,
    /// The program it ran, where that could be read.
    pub program: Option<ImagePath>,
    /// The system call, `openat` for instance.
    pub call: Cow<'static, str>,
}

/// How a path was used, and by whom first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// Every way it was used.
    pub access: Access,
    /// The first use.
    pub first: Origin,
}

/// One program start: what the kernel opens by itself is known only from here.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Exec {
    /// The process's root directory.
    pub root: ImagePath,
    /// The binary that runs now, physical, seen from `/`: for a script its last interpreter.
    pub program: ImagePath,
    /// What execve(2) was given, made absolute below `root`: differs from `program` for a
    /// script or a symlink. `None` where it could not be read.
    pub file: Option<ImagePath>,
    /// The current directory, below `root`: a relative `#!` interpreter starts there.
    pub cwd: Option<ImagePath>,
    /// PATH of the new program.
    #[serde(with = "byte_string::option")]
    pub path: Option<Vec<u8>>,
    /// LD_LIBRARY_PATH of the new program.
    #[serde(with = "byte_string::option")]
    pub ld_library_path: Option<Vec<u8>>,
    /// LD_PRELOAD of the new program.
    #[serde(with = "byte_string::option")]
    pub ld_preload: Option<Vec<u8>>,
}

/// Something that could not be read or followed; it reaches the report and standard error.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Loss {
    /// What was lost, where, and what to do, as one line.
    pub what: String,
    /// How often.
    pub count: u64,
}

/// What the traced command was started with: the source of the image configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// The command and its arguments.
    pub argv: Vec<Vec<u8>>,
    /// `NAME=value`, in the order of the environment.
    pub env: Vec<Vec<u8>>,
    /// The current directory.
    pub cwd: Option<ImagePath>,
    /// Effective user ID.
    pub uid: u32,
    /// Effective group ID.
    pub gid: u32,
    /// When the trace began, by the clock that file systems use for their times.
    pub began: Option<FileTime>,
}

/// Everything that was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// The traced command.
    pub context: Context,
    /// Each path that a call used and that was there at that moment.
    pub uses: BTreeMap<Place, Use>,
    /// Each distinct program start.
    pub execs: BTreeSet<Exec>,
    /// What the application made where nothing had been, by its name in the directory as that was
    /// called when the trace began; what lies below such a directory was made too.
    pub created: BTreeSet<ImagePath>,
    /// What was there before the application changed it, by its physical path when the trace
    /// began. What is in here is the image's, whatever is in `created`.
    pub originals: BTreeMap<ImagePath, Original>,
    /// Where an original may be now that was renamed or linked, under each of its names: the call
    /// may have failed, so only a look at the inode tells which of them it is.
    pub moved: BTreeMap<ImagePath, BTreeSet<ImagePath>>,
    /// Who used something first, and who started them.
    pub processes: Processes,
    /// The system calls that were made; none where they were not counted.
    pub calls: Calls,
    /// Ports that were served, and who began to.
    pub endpoints: BTreeMap<Endpoint, Origin>,
    /// What could not be seen.
    pub losses: BTreeSet<Loss>,
}

impl Recording {
    /// Adds what another run saw, in another container of the same image perhaps. What both tell
    /// of stays as it is known here; how a path was used is put together.
    pub fn merge(&mut self, other: Self) {
        // Named one by one, so that none is forgotten.
        let Self {
            context,
            uses,
            execs,
            created,
            originals,
            moved,
            processes,
            calls,
            endpoints,
            losses,
        } = other;
        if self.context.argv.is_empty() {
            self.context = context;
        }
        for (place, used) in uses {
            let known = self.uses.entry(place);
            known
                .and_modify(|known| known.access |= used.access)
                .or_insert(used);
        }
        self.execs.extend(execs);
        self.created.extend(created);
        for (path, original) in originals {
            self.originals.entry(path).or_insert(original);
        }
        for (from, places) in moved {
            self.moved.entry(from).or_default().extend(places);
        }
        for (pid, process) in processes.iter() {
            self.processes.add(pid, process.clone());
        }
        for (call, outcome) in calls.iter() {
            self.calls.note(call.clone(), outcome);
        }
        for (endpoint, first) in endpoints {
            self.endpoints.entry(endpoint).or_insert(first);
        }
        self.losses.extend(losses);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_followed_once_counts_as_followed() {
        let look = Access::PROBE.with(Access::NO_FOLLOW);
        let mut access = Access::default();
        access |= look;
        assert_eq!(access, look);
        assert!(access.covers(look) && !access.covers(Access::PROBE));
        access |= Access::OPEN;
        assert_eq!(access, Access::PROBE.with(Access::OPEN));
        assert!(access.covers(look));
        access |= look;
        assert!(!access.contains(Access::NO_FOLLOW));
    }
}
