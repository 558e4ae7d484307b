//! What an earlier run of the container, or somebody beside it, made or changed before the trace
//! began: told from the image's own files by their times.

use crate::image_fs::{FileKind, FileTime, ImageFs, Meta, walk_in};
use crate::image_path::ImagePath;
use crate::mounts::{Mount, Mounts, Volume};
use crate::packages::Owners;
use crate::recording::Recording;
use std::cell::OnceCell;

/// Whose a path was when the trace began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// Nothing speaks against its being the image's, unchanged.
    Image,
    /// The image's, and changed before the trace began.
    Changed,
    /// Nothing tells that the image has it.
    Unknown,
}

/// The time between the making of the container and the start of the trace, and what it tells.
pub(super) struct Earlier<'a> {
    fs: &'a dyn ImageFs,
    /// `None` where no mark tells when the container was made, or nobody traced.
    window: Option<Window>,
    /// Whether ctimes on the root mount may be used.
    root: bool,
    owners: OnceCell<Owners>,
    /// Why evidence that is there is not used.
    problem: Option<String>,
}

/// Exclusive at both ends.
#[derive(Clone, Copy, Debug)]
struct Window {
    made: FileTime,
    started: FileTime,
}

impl Window {
    fn holds(self, time: FileTime) -> bool {
        self.made < time && time < self.started
    }
}

/// Where Docker marks a container when it makes it; it comes before all other changes, and
/// before volumes are filled.
const MARK: &str = "/.dockerenv";

/// Made by Docker in each container, where the image has none.
const OF_THE_ENGINE: &str = "/etc/mtab";

impl<'a> Earlier<'a> {
    pub(super) fn new(fs: &'a dyn ImageFs, mounts: &Mounts, started: Option<FileTime>) -> Self {
        let made = ImagePath::new(MARK).and_then(|mark| fs.lstat(&mark).ok());
        let window = made.zip(started).map(|(mark, started)| Window {
            made: mark.ctime,
            started,
        });
        Self {
            fs,
            window,
            // Elsewhere the engine copies all files when it makes the container.
            root: window.is_some() && mounts.root_is_layered(),
            owners: OnceCell::new(),
            problem: None,
        }
    }

    /// Evidence that would take a large part of the application away is none: the clock was
    /// set while the image was unpacked, for instance.
    pub(super) fn doubt_clocks(&mut self, recording: &Recording, mounts: &Mounts) {
        if !self.root {
            return;
        }
        let (mut all, mut later) = (0_usize, 0_usize);
        for place in recording.uses.keys() {
            let Ok((end, meta)) = walk_in(self.fs, &place.root, &place.path, true).end else {
                continue;
            };
            let on_root = mounts
                .of(&end)
                .is_some_and(|mount| mount.mount_point.is_root());
            if on_root && meta.kind != FileKind::Directory {
                all += 1;
                later += usize::from(self.judge(&end, &meta) == Whose::Unknown);
            }
        }
        if later * 4 > all {
            self.root = false;
            self.problem = Some(format!(
                "{later} of {all} used paths seem to be younger than the container: the clock may \
                 have been set, so nothing is left out for its age; trace a fresh container"
            ));
        }
    }

    /// Why evidence that is there is not used, as one line.
    pub(super) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Judges a path on the root mount.
    ///
    /// Its ctime tells whether it was touched in the container. A name that a package owns is the
    /// image's; so is one in a directory whose entries have not changed since the image was
    /// built. Directories are never judged: engines make mount points in those of the image.
    pub(super) fn judge(&self, path: &ImagePath, meta: &Meta) -> Whose {
        let Some(window) = self.window.filter(|_| self.root) else {
            return Whose::Image;
        };
        let out_of_question =
            meta.kind == FileKind::Directory || path.as_bytes() == OF_THE_ENGINE.as_bytes();
        if out_of_question || !window.holds(meta.ctime) {
            return Whose::Image;
        }
        let parent = path.parent().and_then(|parent| self.fs.lstat(&parent).ok());
        let name_may_be_new = parent.is_some_and(|parent| window.holds(parent.mtime));
        if name_may_be_new && !self.is_owned(path) {
            return Whose::Unknown;
        }
        Whose::Changed
    }

    fn is_owned(&self, path: &ImagePath) -> bool {
        let owners = self.owners.get_or_init(|| Owners::load(self.fs));
        owners.package_of(path).is_some()
    }

    /// Whether a path on a volume was put there from the image by the engine. It copies
    /// with the times of the image, when the container is made.
    pub(super) fn was_filled(&self, mount: &Mount, meta: &Meta) -> bool {
        match (mount.volume(), self.window) {
            (None, _) | (Some(Volume::Named), None) => false,
            (Some(Volume::Anonymous), None) => true,
            (Some(Volume::Anonymous), Some(window)) => !window.holds(meta.mtime),
            // Others may have filled it, at any time.
            (Some(Volume::Named), Some(window)) => {
                window.holds(meta.ctime) && meta.mtime <= window.made
            }
        }
    }
}
