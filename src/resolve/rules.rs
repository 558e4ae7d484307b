//! What may not be shipped, whatever asked for it: mounts, files made at run time, our own
//! files, and what the user excluded.

use super::Options;
use crate::image_fs::{FileKind, ImageFs, walk};
use crate::image_path::ImagePath;
use crate::manifest::Exclusion;
use crate::mounts::Mount;
use crate::recording::Recording;

/// What becomes of a path that something asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is shipped as it is.
    Ship,
    /// Another file system is mounted on this directory: it is shipped empty.
    MountPoint {
        /// Whether that file system is a view of the kernel or lies in memory.
        pseudo: bool,
    },
    /// It stays out.
    Out(Exclusion),
}

/// The rules for one run, over physical paths.
pub(super) struct Rules<'a> {
    options: &'a Options,
    recording: &'a Recording,
    in_container: bool,
    /// `include_mounts` made physical.
    wanted_mounts: Vec<ImagePath>,
    kernel: Vec<ImagePath>,
    marks: Vec<ImagePath>,
}

impl<'a> Rules<'a> {
    pub(super) fn new(fs: &dyn ImageFs, recording: &'a Recording, options: &'a Options) -> Self {
        let wanted_mounts = options
            .include_mounts
            .iter()
            .map(|path| walk(fs, path, true).last)
            .collect();
        let paths = |texts: &[&str]| texts.iter().filter_map(ImagePath::new).collect();
        Self {
            options,
            recording,
            in_container: options.mounts.in_container(fs),
            wanted_mounts,
            kernel: paths(&["/proc", "/sys", "/dev", "/var/lib/docker"]),
            marks: paths(&["/.dockerenv", "/run/.containerenv"]),
        }
    }

    /// Judges a physical path. What the user `included` is shipped even if it was made at run
    /// time.
    pub(super) fn judge(&self, path: &ImagePath, kind: FileKind, included: bool) -> Verdict {
        if path.is_root() {
            return Verdict::Ship;
        }
        if self.options.own.iter().any(|own| path.is_at_or_below(own)) {
            return Verdict::Out(Exclusion::Own);
        }
        if let Some(pattern) = self.options.exclude.covering(path) {
            return Verdict::Out(Exclusion::Pattern(pattern.to_owned()));
        }
        if let Some(mount) = self.foreign_mount(path) {
            return if mount.mount_point == *path && kind == FileKind::Directory {
                Verdict::MountPoint {
                    pseudo: mount.is_pseudo(),
                }
            } else {
                Verdict::Out(Exclusion::Mount(mount.fs_type.clone()))
            };
        }
        if self.is_built_in(path) {
            return Verdict::Out(Exclusion::BuiltIn);
        }
        if kind == FileKind::Socket {
            return Verdict::Out(Exclusion::Socket);
        }
        if !included && self.is_created(path) {
            return Verdict::Out(Exclusion::Created);
        }
        Verdict::Ship
    }

    /// The outermost mount on the way to `path` that is no part of the image; `None` where the
    /// path lies on one that is.
    pub(super) fn foreign_mount(&self, path: &ImagePath) -> Option<&Mount> {
        let chain = self.options.mounts.chain(path);
        let shown_by = *chain.last()?;
        if !self.is_foreign(shown_by, path) {
            return None;
        }
        chain
            .into_iter()
            .find(|mount| self.is_foreign(mount, &mount.mount_point))
            .or(Some(shown_by))
    }

    /// In a container the image is the root mount and nothing else: volumes and bind mounts are
    /// the user's data. Outside one an installation is often spread over several disks (`/usr`,
    /// `/home`), so every mount that is not the kernel's own view or memory counts.
    fn is_foreign(&self, mount: &Mount, path: &ImagePath) -> bool {
        let part_of_image =
            mount.mount_point.is_root() || (!self.in_container && !mount.is_pseudo());
        let unlocked = !self.options.builtin_exclusions
            && self
                .kernel
                .iter()
                .any(|place| mount.mount_point.is_at_or_below(place));
        !part_of_image && !unlocked && !self.is_wanted(mount, path)
    }

    fn is_wanted(&self, mount: &Mount, path: &ImagePath) -> bool {
        self.wanted_mounts.iter().any(|wanted| {
            path.is_at_or_below(wanted)
                && self
                    .options
                    .mounts
                    .of(wanted)
                    .is_some_and(|of| of.id == mount.id)
        })
    }

    /// Mounts that the user asked for and that are none.
    pub(super) fn idle_mount_requests(&self) -> impl Iterator<Item = &ImagePath> {
        self.wanted_mounts.iter().filter(|wanted| {
            self.options
                .mounts
                .of(wanted)
                .is_none_or(|mount| mount.mount_point.is_root())
        })
    }

    fn is_built_in(&self, path: &ImagePath) -> bool {
        self.options.builtin_exclusions
            && (self.marks.contains(path)
                || self
                    .kernel
                    .iter()
                    .any(|place| path != place && path.is_at_or_below(place)))
    }

    /// Whether the application made it: itself, or a directory it lies in. What had been there
    /// before is not made by making it again.
    fn is_created(&self, path: &ImagePath) -> bool {
        if self.recording.created.is_empty() {
            return false;
        }
        let mut here = Some(path.clone());
        while let Some(place) = here {
            if self.recording.removed.contains(&place) {
                return false;
            }
            if self.recording.created.contains(&place) {
                return true;
            }
            here = place.parent();
        }
        false
    }
}
