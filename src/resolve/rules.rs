//! What may not be shipped, whatever asked for it: mounts, files made at run time, our own
//! files, and what the user excluded.

use super::Options;
use super::earlier::{Earlier, Whose};
use crate::image_fs::{FileKind, ImageFs, walk};
use crate::image_path::ImagePath;
use crate::manifest::{Exclusion, MountDecision, MountFate};
use crate::mounts::{Mount, Volume};
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
    fs: &'a dyn ImageFs,
    options: &'a Options,
    in_container: bool,
    /// `include_mounts` made physical.
    wanted_mounts: Vec<ImagePath>,
    kernel: Vec<ImagePath>,
    marks: Vec<ImagePath>,
    earlier: Earlier<'a>,
}

/// Files that engines write for each container and mount over the image's.
const OF_THE_ENGINE: [&str; 3] = ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"];

impl<'a> Rules<'a> {
    pub(super) fn new(fs: &'a dyn ImageFs, options: &'a Options) -> Self {
        let wanted_mounts = options
            .include_mounts
            .iter()
            .map(|path| walk(fs, path, true).last)
            .collect();
        let paths = |texts: &[&str]| texts.iter().filter_map(ImagePath::new).collect();
        Self {
            fs,
            options,
            in_container: options.mounts.in_container(fs),
            wanted_mounts,
            kernel: paths(&["/proc", "/sys", "/dev", "/var/lib/docker"]),
            marks: paths(&["/.dockerenv", "/run/.containerenv"]),
            earlier: Earlier::new(fs, &options.mounts, options.started),
        }
    }

    /// Looks whether what tells the age of files can be believed.
    pub(super) fn doubt_clocks(&mut self, recording: &Recording) {
        self.earlier.doubt_clocks(recording, &self.options.mounts);
    }

    /// Whether the tree is that of a container.
    pub(super) fn in_container(&self) -> bool {
        self.in_container
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
        if !included && self.fs.is_made(path) {
            return Verdict::Out(Exclusion::Created);
        }
        if !included && self.whose(path) == Whose::Unknown {
            return Verdict::Out(Exclusion::Earlier);
        }
        Verdict::Ship
    }

    /// What a path that may be shipped was before the trace began. What was removed and made
    /// again is younger than all that.
    pub(super) fn whose(&self, path: &ImagePath) -> Whose {
        let on_root = self
            .options
            .mounts
            .of(path)
            .is_some_and(|mount| mount.mount_point.is_root());
        match self.fs.lstat(path) {
            Ok(meta) if on_root => self.earlier.judge(path, &meta),
            _ => Whose::Image,
        }
    }

    /// Why what is known of the time before the trace is not used.
    pub(super) fn problem(&self) -> Option<&str> {
        self.earlier.problem()
    }

    /// What becomes of each mount.
    pub(super) fn mounts(&self) -> Vec<MountDecision> {
        let mounts = self.options.mounts.iter();
        mounts
            .map(|mount| MountDecision {
                mount_point: mount.mount_point.clone(),
                fs_type: mount.fs_type.clone(),
                root: mount.root.clone(),
                fate: self.fate(mount),
            })
            .collect()
    }

    fn fate(&self, mount: &Mount) -> MountFate {
        let place = &mount.mount_point;
        let of_the_engine = OF_THE_ENGINE
            .iter()
            .any(|file| file.as_bytes() == place.as_bytes());
        let wanted = self.wanted_mounts.iter();
        let mut wanted = wanted.filter_map(|path| self.options.mounts.of(path));
        if wanted.any(|of| of.id == mount.id) {
            return MountFate::Included;
        }
        match mount.volume() {
            _ if self.is_part_of_image(mount) => MountFate::Image,
            _ if mount.is_pseudo() => MountFate::Pseudo,
            _ if of_the_engine => MountFate::Engine,
            Some(Volume::Anonymous) => MountFate::Prefilled,
            Some(Volume::Named) => MountFate::NamedVolume,
            None => MountFate::Foreign,
        }
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

    /// In a container the image is the root mount, and what the engine copied from it into
    /// volumes: bind mounts and what else lies on volumes are the user's data.
    fn is_foreign(&self, mount: &Mount, path: &ImagePath) -> bool {
        !self.is_part_of_image(mount)
            && !self.is_wanted(mount, path)
            && !self.was_filled(mount, path)
    }

    /// Outside a container an installation is often spread over several disks (`/usr`,
    /// `/home`), so every mount that is not the kernel's own view or memory counts.
    fn is_part_of_image(&self, mount: &Mount) -> bool {
        let unlocked = !self.options.builtin_exclusions
            && self
                .kernel
                .iter()
                .any(|place| mount.mount_point.is_at_or_below(place));
        mount.mount_point.is_root() || (!self.in_container && !mount.is_pseudo()) || unlocked
    }

    fn was_filled(&self, mount: &Mount, path: &ImagePath) -> bool {
        mount.volume().is_some()
            && self
                .fs
                .lstat(path)
                .is_ok_and(|meta| self.earlier.was_filled(mount, &meta))
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
}
