//! From the tree as it is to the tree as it was when the trace began: which path is which file's,
//! after the application has made, renamed, linked and removed some.
//!
//! Two kinds of paths are told apart throughout. A path *now* is where something is at this
//! moment; a path *then* is where it was when the trace began.

mod before;
mod elsewhere;
#[cfg(test)]
mod tests;

use crate::image_fs::{FileKind, FileTime, ImageFs, Meta};
use crate::image_path::ImagePath;
use crate::recording::{Level, Original, Recording};
use std::collections::{BTreeMap, HashMap, HashSet};

pub use before::Before;
pub use elsewhere::settle;

/// The first size at which names that are gone again are dropped.
const FIRST_SWEEP: usize = 4096;

/// What has happened to the tree since the trace began. It is told of each call before that takes
/// effect, and the call may fail: where it matters, a look at the inode decides.
#[derive(Debug)]
pub struct Past {
    /// What was made where nothing was, by the path then of its directory and its name in it:
    /// that stays the same wherever the directory is moved. What lies below was made too, unless
    /// it was moved there.
    created: HashSet<ImagePath>,
    sweep_at: usize,
    /// What is kept, by path then; no identity where it is nobody's to be kept.
    kept: HashMap<ImagePath, (Level, Option<Identity>)>,
    /// Paths now at which an original may be that was somewhere else, or that may be gone.
    places: HashMap<ImagePath, Vec<ImagePath>>,
    /// The same from the other side: where each of them may be.
    homes: BTreeMap<ImagePath, Vec<ImagePath>>,
}

impl Default for Past {
    fn default() -> Self {
        Self {
            created: HashSet::new(),
            sweep_at: FIRST_SWEEP,
            kept: HashMap::new(),
            places: HashMap::new(),
            homes: BTreeMap::new(),
        }
    }
}

/// What tells a file from others, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    kind: FileKind,
    dev: u64,
    ino: u64,
    size: u64,
    mtime: FileTime,
}

impl Identity {
    fn of(meta: &Meta) -> Self {
        Self {
            kind: meta.kind,
            dev: meta.dev,
            ino: meta.ino,
            size: meta.size,
            mtime: meta.mtime,
        }
    }

    fn is(&self, meta: &Meta) -> bool {
        (self.kind, self.dev, self.ino) == (meta.kind, meta.dev, meta.ino)
    }

    /// Overlayfs gives a hard-linked file of a lower layer another inode when it is renamed.
    fn is_like(&self, meta: &Meta) -> bool {
        self.kind != FileKind::Directory
            && (self.kind, self.size, self.mtime) == (meta.kind, meta.size, meta.mtime)
    }
}

impl Past {
    /// What a recording tells.
    pub fn of(recording: &Recording) -> Self {
        let mut past = Self {
            created: recording.created.iter().cloned().collect(),
            ..Self::default()
        };
        for original in recording.originals.values() {
            past.note(original);
        }
        for (then, places) in &recording.moved {
            for now in places {
                past.moved(then, now);
            }
        }
        past
    }

    /// Whether every path is what it was: nothing was made or moved.
    pub fn is_untouched(&self) -> bool {
        self.created.is_empty() && self.places.is_empty()
    }

    /// Whether more has to be kept of what was at this path then, before what is like `meta` is
    /// changed to this extent. Not where that has taken its place.
    pub fn has_to_keep(&self, then: &ImagePath, meta: &Meta, level: Level) -> bool {
        match self.kept.get(then) {
            None => true,
            Some((_, None)) => false,
            Some((known, Some(identity))) => {
                *known < level && (identity.is(meta) || identity.is_like(meta))
            }
        }
    }

    /// Whether the metadata of what was at this path then is kept, or need not be.
    pub fn has_metadata(&self, then: &ImagePath) -> bool {
        self.kept.contains_key(then)
    }

    /// Whether anything is kept of what was at this path then.
    pub fn is_kept(&self, then: &ImagePath) -> bool {
        let kept = self.kept.get(then);
        kept.is_some_and(|(_, identity)| identity.is_some())
    }

    /// This much of an original is kept now.
    pub fn note(&mut self, original: &Original) {
        let level = original.level();
        let identity = Some(Identity::of(&original.meta));
        let known = self
            .kept
            .entry(original.path.clone())
            .or_insert((level, identity));
        known.0 = known.0.max(level);
    }

    /// What was at this path then is not the image's: nothing of it has to be kept.
    pub fn disregard(&mut self, then: &ImagePath) {
        self.kept
            .entry(then.clone())
            .or_insert((Level::Whole, None));
    }

    /// Something is made at this path, or gets its name. Gives what [`Recording::created`] calls
    /// it; `None` where its directory was made too.
    pub fn made(&mut self, fs: &dyn ImageFs, now: &ImagePath) -> Option<ImagePath> {
        let directory = self.then_of(fs, &now.parent()?)?;
        let made = directory.join(now.file_name()?)?;
        self.add_made(fs, made.clone());
        Some(made)
    }

    /// Something has this name in [`Recording::created`].
    ///
    /// A daemon that makes and removes temporary files for ever must not fill the memory: names
    /// that are gone are dropped each time the set has doubled.
    pub fn add_made(&mut self, fs: &dyn ImageFs, made: ImagePath) {
        if self.created.len() >= self.sweep_at {
            let there = |path: &&ImagePath| {
                let directory = path.parent().and_then(|above| self.now_of(fs, &above));
                let now = directory.and_then(|above| above.join(path.file_name()?));
                now.is_some_and(|now| fs.lstat(&now).is_ok())
            };
            self.created = self.created.iter().filter(there).cloned().collect();
            self.sweep_at = (self.created.len() * 2).max(FIRST_SWEEP);
        }
        self.created.insert(made);
    }

    /// An original that was at `then` may be at `now` from now on. Whether that is news; it is
    /// none of what is nobody's to be kept.
    pub fn moved(&mut self, then: &ImagePath, now: &ImagePath) -> bool {
        let homes = self.homes.get(then);
        if !self.is_kept(then) || homes.is_some_and(|homes| homes.contains(now)) {
            return false;
        }
        self.homes
            .entry(then.clone())
            .or_default()
            .push(now.clone());
        self.places
            .entry(now.clone())
            .or_default()
            .push(then.clone());
        true
    }

    /// Originals, by path then, that were moved below a directory which is being renamed, and
    /// where they will be.
    pub fn shift(&self, from: &ImagePath, to: &ImagePath) -> Vec<(ImagePath, ImagePath)> {
        let mut moved = Vec::new();
        for (place, dwellers) in &self.places {
            if place != from
                && place.is_at_or_below(from)
                && let Some(place) = below(place, from, to)
            {
                moved.extend(dwellers.iter().map(|then| (then.clone(), place.clone())));
            }
        }
        moved.sort_unstable();
        moved
    }

    /// Where what is at this path was when the trace began; `None` where it was made since.
    pub fn then_of(&self, fs: &dyn ImageFs, now: &ImagePath) -> Option<ImagePath> {
        if self.is_untouched() {
            return Some(now.clone());
        }
        let mut here = ImagePath::root();
        let mut then = Some(ImagePath::root());
        for name in now.components() {
            let dweller = match self.places.is_empty() {
                true => None,
                false => {
                    here = here.join(name)?;
                    self.dweller(fs, &here)
                }
            };
            then = match dweller {
                Some(dweller) => Some(dweller.clone()),
                None => then
                    .and_then(|then| then.join(name))
                    .filter(|then| !self.created.contains(then)),
            };
        }
        then
    }

    /// Where what was at this path when the trace began is now, if it is there still. Gives the
    /// same path for one that was never there.
    pub fn now_of(&self, fs: &dyn ImageFs, then: &ImagePath) -> Option<ImagePath> {
        if self.is_untouched() {
            return Some(then.clone());
        }
        if let Some(homes) = self.homes.get(then) {
            return self.home(fs, then, homes).cloned();
        }
        let (Some(parent), Some(name)) = (then.parent(), then.file_name()) else {
            return Some(then.clone());
        };
        let here = self.now_of(fs, &parent)?.join(name)?;
        let is_there = match self.dweller(fs, &here) {
            Some(dweller) => dweller == then,
            None => !self.created.contains(then),
        };
        is_there.then_some(here)
    }

    /// Whether what is at this path now is what was at that path then; only for a child of a
    /// directory that is.
    fn is_from(&self, fs: &dyn ImageFs, now: &ImagePath, then: &ImagePath) -> bool {
        match self.dweller(fs, now) {
            Some(dweller) => dweller == then,
            None => !self.created.contains(then) && !self.homes.contains_key(then),
        }
    }

    fn home<'a>(
        &self,
        fs: &dyn ImageFs,
        then: &ImagePath,
        homes: &'a [ImagePath],
    ) -> Option<&'a ImagePath> {
        let (_, identity) = self.kept.get(then)?;
        let identity = (*identity)?;
        let found: Vec<(&ImagePath, Meta)> = homes
            .iter()
            .rev()
            .filter_map(|home| Some((home, fs.lstat(home).ok()?)))
            .collect();
        let same = found.iter().find(|(_, meta)| identity.is(meta));
        let alike = || found.iter().find(|(_, meta)| identity.is_like(meta));
        same.or_else(alike).map(|(home, _)| *home)
    }

    /// The original, by its path then, that was moved to this path and is there.
    fn dweller(&self, fs: &dyn ImageFs, now: &ImagePath) -> Option<&ImagePath> {
        let dwellers = self.places.get(now)?;
        let meta = fs.lstat(now).ok()?;
        let identity = |then: &ImagePath| self.kept.get(then).and_then(|(_, identity)| *identity);
        let is = |then: &&ImagePath| identity(then).is_some_and(|identity| identity.is(&meta));
        let is_like =
            |then: &&ImagePath| identity(then).is_some_and(|identity| identity.is_like(&meta));
        let latest_first = || dwellers.iter().rev();
        latest_first()
            .find(is)
            .or_else(|| latest_first().find(is_like))
    }
}

/// `path`, which is at or below `from`, as it is called below `to`.
fn below(path: &ImagePath, from: &ImagePath, to: &ImagePath) -> Option<ImagePath> {
    let rest = path.as_bytes().strip_prefix(from.as_bytes())?;
    to.join(rest.strip_prefix(b"/").unwrap_or(rest))
}
