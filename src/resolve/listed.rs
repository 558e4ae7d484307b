//! Directories whose names the application read: which of them must show the same names again.

use super::plan::{Plan, Wish};
use super::rules::Verdict;
use crate::image_fs::{FileKind, ImageFs, Meta};
use crate::image_path::ImagePath;
use crate::manifest::{Exclusion, Reason};
use crate::packages::Owners;

/// Beyond this many entries a directory is data or a library, not something to be shown.
const MAX_ENTRIES: usize = 1000;

/// Beyond this many bytes of files directly in it as well.
const MAX_BYTES: u64 = 64 << 20;

/// Directories of the Filesystem Hierarchy Standard, and of every distribution: they belong to
/// the system even where no package claims them. Parents of those that packages share, too.
const SYSTEM: &str = "/ /bin /boot /dev /etc /home /lib /lib32 /lib64 /libx32 /media /mnt /opt \
    /proc /root /run /sbin /srv /sys /usr /var \
    /usr/bin /usr/games /usr/include /usr/lib /usr/lib32 /usr/lib64 /usr/libexec /usr/libx32 \
    /usr/local /usr/sbin /usr/share /usr/src \
    /usr/local/bin /usr/local/etc /usr/local/games /usr/local/include /usr/local/lib \
    /usr/local/lib64 /usr/local/libexec /usr/local/man /usr/local/sbin /usr/local/share \
    /usr/local/src /usr/share/doc /usr/share/fonts /usr/share/info /usr/share/locale \
    /usr/share/man /usr/share/zoneinfo /etc/opt /etc/ssl /etc/ssl/certs \
    /var/backups /var/cache /var/lib /var/local /var/lock /var/log /var/mail /var/opt /var/run \
    /var/spool";

/// Directories for what comes and goes.
const SCRATCH: [&str; 5] = ["/tmp", "/var/tmp", "/run", "/var/run", "/dev/shm"];

/// What rpm puts files into: without its database readable, all of it counts as owned.
const DISTRIBUTION: [&str; 9] = [
    "/bin",
    "/boot",
    "/etc",
    "/lib",
    "/lib32",
    "/lib64",
    "/sbin",
    "/usr",
    "/var/lib/rpm",
];

/// Directories that hold modules of a language runtime, by name.
const MODULE_DIRECTORIES: [&[u8]; 8] = [
    b"site-packages",
    b"dist-packages",
    b"lib-dynload",
    b"node_modules",
    b"gems",
    b"site_ruby",
    b"vendor_ruby",
    b"perl5",
];

/// A runtime that searches directories for modules: what the name of its program begins with,
/// how its module files end, and what marks a directory in it as a module.
struct Runtime {
    program: &'static [u8],
    endings: &'static [&'static [u8]],
    marks: &'static [&'static [u8]],
}

const RUNTIMES: [Runtime; 6] = [
    Runtime {
        program: b"python",
        endings: &[
            b".py",
            b".pyc",
            b".pyi",
            b".pth",
            b".dist-info",
            b".egg-info",
        ],
        marks: &[b"__init__.py", b"__init__.pyc", b"__pycache__"],
    },
    Runtime {
        program: b"pypy",
        endings: &[b".py", b".pyc"],
        marks: &[b"__init__.py"],
    },
    Runtime {
        program: b"ruby",
        endings: &[b".rb", b".gemspec"],
        marks: &[],
    },
    Runtime {
        program: b"node",
        endings: &[b".js", b".mjs", b".cjs", b".node"],
        marks: &[b"package.json"],
    },
    Runtime {
        program: b"perl",
        endings: &[b".pm", b".pl"],
        marks: &[],
    },
    Runtime {
        program: b"php",
        endings: &[b".php", b".phar"],
        marks: &[],
    },
];

/// A listed directory, physical, and the program that listed it.
pub(super) struct Listing<'a> {
    pub directory: &'a ImagePath,
    pub program: Option<&'a ImagePath>,
}

/// Takes the entries directly in a listed directory: files with their content, directories
/// empty, symlinks with what they lead to.
pub(super) fn take_entries(plan: &mut Plan, directory: &ImagePath) {
    let Some(names) = names(plan, directory) else {
        return;
    };
    let wish = Wish::because(Reason::ListedIn(directory.clone()));
    for child in names.iter().filter_map(|name| directory.join(name)) {
        plan.follow(&ImagePath::root(), &child, true, &wish);
    }
}

/// Notes that names in this directory were seen and are not shipped, if any are not.
pub(super) fn note_left_out(plan: &mut Plan, directory: &ImagePath) {
    let Some(names) = names(plan, directory) else {
        return;
    };
    let is_left_out = |child: ImagePath| {
        let kind = plan.fs.lstat(&child).map(|meta| meta.kind);
        !plan.contains(&child)
            && kind.is_ok_and(|kind| plan.rules().judge(&child, kind, false) == Verdict::Ship)
    };
    let mut children = names.iter().filter_map(|name| directory.join(name));
    if children.any(is_left_out) {
        plan.note(directory, Exclusion::ListedOnly);
    }
}

fn names(plan: &mut Plan, directory: &ImagePath) -> Option<Vec<Vec<u8>>> {
    let shown = plan.rules().judge(directory, FileKind::Directory, false) == Verdict::Ship;
    let built_in = matches!(directory.as_bytes(), b"/proc" | b"/sys" | b"/dev");
    if !shown || built_in {
        return None;
    }
    plan.fs
        .list(directory)
        .inspect_err(|error| plan.unreadable(directory, error))
        .ok()
}

/// Whether the application may expect to see its own names in this directory again
/// (`--listed auto`).
pub(super) fn is_applications_own(fs: &dyn ImageFs, owners: &Owners, listing: &Listing) -> bool {
    let directory = listing.directory;
    let Ok(meta) = fs.lstat(directory) else {
        return false;
    };
    let is_others = is_system(directory)
        || is_scratch(directory, &meta)
        || owners.package_of(directory).is_some()
        || (owners.has_unread_database() && is_distributions(directory))
        || is_huge_or_modules(fs, listing);
    !is_others
}

fn is_system(directory: &ImagePath) -> bool {
    let path = directory.as_bytes();
    SYSTEM
        .split_ascii_whitespace()
        .any(|place| place.as_bytes() == path)
}

fn is_scratch(directory: &ImagePath, meta: &Meta) -> bool {
    let sticky_for_all = meta.mode & 0o1002 == 0o1002;
    sticky_for_all || is_below_any(directory, &SCRATCH)
}

fn is_distributions(directory: &ImagePath) -> bool {
    is_below_any(directory, &DISTRIBUTION) && !is_below_any(directory, &["/usr/local"])
}

fn is_below_any(path: &ImagePath, places: &[&str]) -> bool {
    places
        .iter()
        .filter_map(ImagePath::new)
        .any(|place| path.is_at_or_below(&place))
}

fn is_huge_or_modules(fs: &dyn ImageFs, listing: &Listing) -> bool {
    let directory = listing.directory;
    let name = directory.file_name().unwrap_or_default();
    if MODULE_DIRECTORIES.contains(&name) {
        return true;
    }
    let Ok(names) = fs.list(directory) else {
        return false;
    };
    if names.len() > MAX_ENTRIES {
        return true;
    }
    let children = || names.iter().filter_map(|name| directory.join(name));
    let files = children()
        .filter_map(|child| fs.lstat(&child).ok())
        .filter(|meta| meta.kind == FileKind::Regular);
    let bytes = files.fold(0_u64, |sum, meta| sum.saturating_add(meta.size));
    bytes > MAX_BYTES
        || RUNTIMES
            .iter()
            .filter(|runtime| runtime.may_be(listing.program))
            .any(|runtime| runtime.has_modules(fs, directory, &names))
}

impl Runtime {
    /// Of a program that is not known every runtime is suspected.
    fn may_be(&self, program: Option<&ImagePath>) -> bool {
        program
            .and_then(ImagePath::file_name)
            .is_none_or(|name| name.starts_with(self.program))
    }

    fn has_modules(&self, fs: &dyn ImageFs, directory: &ImagePath, names: &[Vec<u8>]) -> bool {
        let is_module = |name: &[u8]| {
            self.marks.contains(&name)
                || name == b"lib-dynload"
                || self.endings.iter().any(|ending| name.ends_with(ending))
        };
        let holds_mark = |name: &[u8]| {
            directory.join(name).is_some_and(|child| {
                self.marks
                    .iter()
                    .filter_map(|mark| child.join(mark))
                    .any(|mark| fs.lstat(&mark).is_ok())
            })
        };
        names.iter().any(|name| is_module(name) || holds_mark(name))
    }
}
