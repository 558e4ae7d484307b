//! The manifest while it grows: every entry with its parents, every exclusion with the
//! directories that must be there all the same.

use super::earlier::Whose;
use super::rules::{Rules, Verdict};
use crate::image_fs::{FileKind, ImageFs, Meta, Walk, is_failure, walk_in};
use crate::image_path::ImagePath;
use crate::manifest::{Entry, Exclusion, Manifest, Reason, Source};
use crate::recording::Loss;
use nix::errno::Errno;
use std::collections::{BTreeMap, HashSet};
use std::mem::{Discriminant, discriminant};

/// A manifest in the making.
pub(super) struct Plan<'a> {
    pub(super) fs: &'a dyn ImageFs,
    rules: Rules<'a>,
    manifest: Manifest,
    losses: BTreeMap<String, u64>,
    /// Which reasons that name a path an entry has: a libc has thousands.
    told: HashSet<(ImagePath, Discriminant<Reason>, ImagePath)>,
}

/// Why something is asked for.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    /// The reason its entry gets.
    pub(super) reason: Reason,
    /// Whether the user named it: then it is shipped even if it was made at run time.
    pub(super) included: bool,
}

impl Wish {
    pub(super) fn because(reason: Reason) -> Self {
        Self {
            reason,
            included: false,
        }
    }

    pub(super) fn included(pattern: &str) -> Self {
        Self {
            reason: Reason::Included(pattern.to_owned()),
            included: true,
        }
    }
}

impl<'a> Plan<'a> {
    pub(super) fn new(fs: &'a dyn ImageFs, rules: Rules<'a>) -> Self {
        Self {
            fs,
            rules,
            manifest: Manifest::default(),
            losses: BTreeMap::new(),
            told: HashSet::new(),
        }
    }

    pub(super) fn rules(&self) -> &Rules<'a> {
        &self.rules
    }

    pub(super) fn contains(&self, path: &ImagePath) -> bool {
        self.manifest.entries.contains_key(path)
    }

    pub(super) fn entries(&self) -> &BTreeMap<ImagePath, Entry> {
        &self.manifest.entries
    }

    /// Walks a path link by link and takes all of it. What it led to, where that is shipped.
    pub(super) fn follow(
        &mut self,
        root: &ImagePath,
        path: &ImagePath,
        follow_last: bool,
        wish: &Wish,
    ) -> Option<(ImagePath, Meta)> {
        let walk = walk_in(self.fs, root, path, follow_last);
        self.take_walk(&walk, &path.rebased(root), wish)
    }

    /// Takes the links, the end, and every directory on the way of a walk. `spelled` names it
    /// where no physical path can.
    pub(super) fn take_walk(
        &mut self,
        walk: &Walk,
        spelled: &ImagePath,
        wish: &Wish,
    ) -> Option<(ImagePath, Meta)> {
        for link in &walk.links {
            if let Ok(meta) = self.fs.lstat(link) {
                let reason = Reason::LinkTo(walk.last.clone());
                let included = wish.included;
                self.take(link, &meta, &Wish { reason, included });
            }
        }
        for left in &walk.left {
            self.keep_directory(left, Reason::ParentOf(walk.last.clone()));
        }
        match &walk.end {
            Ok((end, meta)) => self.take(end, meta, wish).then(|| (end.clone(), *meta)),
            Err(errno) => {
                self.miss(walk, spelled, *errno, wish.included);
                None
            }
        }
    }

    /// Takes one physical path; whether it is shipped.
    pub(super) fn take(&mut self, path: &ImagePath, meta: &Meta, wish: &Wish) -> bool {
        if meta.kind == FileKind::Regular && self.was_unreadable(path) {
            return false;
        }
        match self.rules.judge(path, meta.kind, wish.included) {
            Verdict::Ship => self.enter(path, image_entry(meta), wish.reason.clone()),
            Verdict::MountPoint { pseudo } => {
                let entry = mount_point(path, meta, pseudo);
                self.enter(path, entry, wish.reason.clone());
            }
            Verdict::Out(why) => {
                self.exclude(path, why);
                return false;
            }
        }
        true
    }

    /// Notes that something stays out; the directory it lies in stays.
    pub(super) fn exclude(&mut self, path: &ImagePath, why: Exclusion) {
        if let Some(parent) = path.parent() {
            self.keep_directory(&parent, Reason::ParentOf(path.clone()));
        }
        self.note(path, why);
    }

    /// Notes that something stays out, and nothing more.
    pub(super) fn note(&mut self, path: &ImagePath, why: Exclusion) {
        self.manifest.excluded.entry(path.clone()).or_insert(why);
    }

    /// Takes an entry back whose content cannot be read.
    pub(super) fn withdraw(&mut self, path: &ImagePath, error: &std::io::Error) {
        self.manifest.entries.remove(path);
        self.unreadable(path, error);
    }

    fn was_unreadable(&self, path: &ImagePath) -> bool {
        let known = self.manifest.excluded.get(path);
        matches!(known, Some(Exclusion::Unreadable(_)))
    }

    /// Notes what could not be read, and that the image lacks it. Where the machine failed there
    /// is to be no image.
    pub(super) fn unreadable(&mut self, path: &ImagePath, error: &std::io::Error) {
        let text = error.to_string();
        if is_failure(error) {
            self.manifest.failures.insert(path.clone(), text.clone());
        } else {
            self.lose(format!(
                "{path} cannot be read: {text}: run micropacker as a user that may read it"
            ));
        }
        self.manifest
            .excluded
            .insert(path.clone(), Exclusion::Unreadable(text));
    }

    /// What is found out in more than one place and happened once.
    pub(super) fn lose_once(&mut self, what: &str) {
        self.losses.entry(what.to_owned()).or_insert(1);
    }

    pub(super) fn lose(&mut self, what: String) {
        *self.losses.entry(what).or_default() += 1;
    }

    /// Tells the user something that may be worth knowing.
    pub(super) fn hint(&mut self, what: String) {
        self.manifest.hints.push(what);
    }

    /// Ships this directory without its content, or the nearest one above it that may be.
    pub(super) fn keep_directory(&mut self, directory: &ImagePath, reason: Reason) {
        let mut here = Some(directory.clone());
        while let Some(place) = here {
            if self.contains(&place) {
                return self.add_reason(&place, reason);
            }
            if let Ok(meta) = self.fs.lstat(&place)
                && meta.kind == FileKind::Directory
            {
                match self.rules.judge(&place, meta.kind, false) {
                    Verdict::Ship => return self.enter(&place, image_entry(&meta), reason),
                    Verdict::MountPoint { pseudo } => {
                        return self.enter(&place, mount_point(&place, &meta, pseudo), reason);
                    }
                    Verdict::Out(_) => {}
                }
            }
            here = place.parent();
        }
    }

    /// A directory that every image has: from the image where it is there, else made.
    pub(super) fn ensure_directory(&mut self, path: &ImagePath, mode: u32) {
        let walk = walk_in(self.fs, &ImagePath::root(), path, true);
        let judged = self.rules.judge(&walk.last, FileKind::Directory, false);
        let there = match walk.end {
            Ok((_, meta)) if meta.kind != FileKind::Directory => return,
            Ok(_) => judged != Verdict::Out(Exclusion::Created),
            Err(Errno::ENOENT) => false,
            Err(_) => return,
        };
        let user_refused = matches!(judged, Verdict::Out(Exclusion::Pattern(_) | Exclusion::Own));
        if there || user_refused {
            self.take_walk(&walk, path, &Wish::because(Reason::Always));
            if !self.rules.in_container() {
                self.forget_time(&walk.last);
            }
        } else {
            let mut made = path;
            if !walk.links.is_empty() {
                self.take_walk(&walk, path, &Wish::because(Reason::Always));
                made = &walk.last;
            }
            self.enter(made, made_directory(mode, 0, 0), Reason::Always);
        }
    }

    /// Outside of containers everybody writes there, so that its time would make each run's bytes
    /// differ and tells nothing.
    fn forget_time(&mut self, path: &ImagePath) {
        if let Some(entry) = self.manifest.entries.get_mut(path)
            && let Some(meta) = entry.meta.take_if(|meta| meta.kind == FileKind::Directory)
        {
            entry.source = Source::EmptyDirectory {
                mode: meta.mode,
                uid: meta.uid,
                gid: meta.gid,
            };
        }
    }

    /// Adds a file of our own making, unless the image has one there or something forbids it.
    pub(super) fn make_file(&mut self, path: &ImagePath, content: Vec<u8>, reason: Reason) {
        let verdict = self.rules.judge(path, FileKind::Regular, false);
        if verdict != Verdict::Ship || self.contains(path) {
            return;
        }
        let entry = Entry {
            kind: FileKind::Regular,
            meta: None,
            source: Source::Bytes {
                mode: 0o644,
                content,
            },
            reasons: Vec::new(),
        };
        self.enter(path, entry, reason);
    }

    fn miss(&mut self, walk: &Walk, spelled: &ImagePath, errno: Errno, included: bool) {
        self.keep_directory(&walk.deepest, Reason::ParentOf(walk.last.clone()));
        match self.rules.judge(&walk.last, FileKind::Regular, included) {
            Verdict::Out(why) => self.note(&walk.last, why),
            _ if matches!(errno, Errno::ENOENT | Errno::ELOOP) => {
                self.note(&walk.last, Exclusion::Vanished);
            }
            // A file is where a directory was: it is there, what lay below it is not.
            _ if errno == Errno::ENOTDIR => {
                let gone = match walk.links.as_slice() {
                    [] => spelled,
                    _ => &walk.last,
                };
                self.note(gone, Exclusion::Vanished);
            }
            _ => self.unreadable(&walk.last, &errno.into()),
        }
    }

    fn enter(&mut self, path: &ImagePath, entry: Entry, reason: Reason) {
        if self.contains(path) {
            return self.add_reason(path, reason);
        }
        self.insert(path.clone(), entry, reason);
        let mut child = path.clone();
        while let Some(parent) = child.parent() {
            if self.contains(&parent) {
                break;
            }
            let entry = self.parent_entry(&parent);
            self.insert(parent.clone(), entry, Reason::ParentOf(child));
            child = parent;
        }
    }

    fn insert(&mut self, path: ImagePath, entry: Entry, reason: Reason) {
        self.manifest.entries.insert(path.clone(), entry);
        self.add_reason(&path, reason);
    }

    /// One example is enough of why a directory or a symlink is there; of other reasons each
    /// one counts.
    pub(super) fn add_reason(&mut self, path: &ImagePath, reason: Reason) {
        let Some(entry) = self.manifest.entries.get_mut(path) else {
            return;
        };
        let kind = discriminant(&reason);
        let known = match &reason {
            Reason::ParentOf(_) | Reason::LinkTo(_) => entry
                .reasons
                .iter()
                .any(|other| discriminant(other) == kind),
            Reason::LoaderOf(of)
            | Reason::InterpreterOf(of)
            | Reason::NeededBy(of)
            | Reason::ListedIn(of) => !self.told.insert((path.clone(), kind, of.clone())),
            _ => entry.reasons.contains(&reason),
        };
        if !known {
            entry.reasons.push(reason);
        }
    }

    fn parent_entry(&mut self, path: &ImagePath) -> Entry {
        match self.fs.lstat(path) {
            Ok(meta) if meta.kind == FileKind::Directory => match self.rules.foreign_mount(path) {
                Some(mount) => mount_point(path, &meta, mount.is_pseudo()),
                None => image_entry(&meta),
            },
            _ => made_directory(0o755, 0, 0),
        }
    }

    /// The finished manifest, `losses` of the recording first.
    pub(super) fn finish(mut self, losses: impl IntoIterator<Item = Loss>) -> Manifest {
        let entries = &self.manifest.entries;
        self.manifest.excluded.retain(|path, why| {
            matches!(why, Exclusion::ListedOnly | Exclusion::Unreadable(_))
                || !entries.contains_key(path)
        });
        self.manifest.losses.extend(losses);
        self.manifest.mounts = self.rules.mounts();
        let shipped = self.manifest.entries.iter();
        self.manifest.changed_before = shipped
            .filter(|(_, entry)| entry.kind != FileKind::Directory && entry.source == Source::Image)
            .filter(|(path, _)| self.rules.whose(path) == Whose::Changed)
            .map(|(path, _)| path.clone())
            .collect();
        let own = self.losses.into_iter();
        self.manifest
            .losses
            .extend(own.map(|(what, count)| Loss { what, count }));
        self.manifest
    }
}

fn image_entry(meta: &Meta) -> Entry {
    Entry {
        kind: meta.kind,
        meta: Some(*meta),
        source: Source::Image,
        reasons: Vec::new(),
    }
}

fn made_directory(mode: u32, uid: u32, gid: u32) -> Entry {
    Entry {
        kind: FileKind::Directory,
        meta: None,
        source: Source::EmptyDirectory { mode, uid, gid },
        reasons: Vec::new(),
    }
}

/// The directory below a mount cannot be seen. An engine fills a new volume with the image's
/// directory, its owner and mode, so those of a mounted disk are the best guess; those of a
/// tmpfs or of `/proc` tell nothing.
fn mount_point(path: &ImagePath, meta: &Meta, pseudo: bool) -> Entry {
    match path.as_bytes() {
        b"/tmp" | b"/var/tmp" => made_directory(0o1777, 0, 0),
        _ if pseudo => made_directory(0o755, 0, 0),
        _ => made_directory(meta.mode, meta.uid, meta.gid),
    }
}
