//! The tree as it was when the trace began, read from what was kept and from what is there still.

use super::Past;
use crate::byte_string::ByteString;
use crate::image_fs::{FileKind, ImageFs, Meta, ReadAt};
use crate::image_path::ImagePath;
use crate::recording::{Body, Original, Recording};
use nix::errno::Errno;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;

/// A view of a tree before the changes that a recording tells of: what was removed is there,
/// what was changed is as it was, what was renamed is at its old place.
///
/// What was made since can still be looked at by its name where nothing was, since the user may
/// have asked for it, but no directory lists it; see [`ImageFs::is_made`].
pub struct Before<'a> {
    now: &'a dyn ImageFs,
    /// The spool: its files are named by their numbers.
    saved: &'a dyn ImageFs,
    originals: &'a BTreeMap<ImagePath, Original>,
    past: Past,
    /// Originals that had several names, by inode: a change through one of them changed all.
    linked: HashMap<(u64, u64), &'a Original>,
    /// The names of originals in each directory.
    names: HashMap<ImagePath, Vec<&'a [u8]>>,
}

/// Where the answer to a question about a path is.
enum Found<'a> {
    Kept(&'a Original),
    /// It is here now, as it was.
    Here(ImagePath, Meta),
    /// It is here now, and its inode was changed through another of its names.
    Linked(ImagePath, &'a Original),
    /// It was made since.
    Made(Meta),
}

impl<'a> Before<'a> {
    /// The tree `now`, before what `recording` tells. `saved` holds the spool's files.
    pub fn new(now: &'a dyn ImageFs, saved: &'a dyn ImageFs, recording: &'a Recording) -> Self {
        let mut linked: HashMap<(u64, u64), &Original> = HashMap::new();
        let mut names: HashMap<ImagePath, Vec<&[u8]>> = HashMap::new();
        for original in recording.originals.values() {
            if original.has_links() {
                let known = linked
                    .entry((original.meta.dev, original.meta.ino))
                    .or_insert(original);
                if known.body == Body::InPlace {
                    *known = original;
                }
            }
            if let (Some(parent), Some(name)) = (original.path.parent(), original.path.file_name())
            {
                names.entry(parent).or_default().push(name);
            }
        }
        Self {
            now,
            saved,
            originals: &recording.originals,
            past: Past::of(recording),
            linked,
            names,
        }
    }

    fn find(&self, path: &ImagePath) -> io::Result<Found<'a>> {
        if let Some(original) = self.originals.get(path) {
            return match original.body {
                Body::Unsaved(_) => {
                    let here = self.past.now_of(self.now, path);
                    let here = here.unwrap_or_else(|| path.clone());
                    let meta = self.now.lstat(&here)?;
                    Ok(Found::Here(here, meta))
                }
                // Somebody else may have removed it: then it is as gone as any such file.
                Body::InPlace if self.whole(original).body == Body::InPlace => {
                    let here = self.past.now_of(self.now, path).ok_or(Errno::ENOENT)?;
                    self.now.lstat(&here)?;
                    Ok(Found::Kept(original))
                }
                _ => Ok(Found::Kept(original)),
            };
        }
        let Some(here) = self.past.now_of(self.now, path) else {
            return self.now.lstat(path).map(Found::Made);
        };
        match self.now.lstat(&here) {
            Ok(meta) => Ok(match self.linked.get(&(meta.dev, meta.ino)) {
                Some(original) if original.meta.kind == meta.kind => Found::Linked(here, original),
                _ => Found::Here(here, meta),
            }),
            // Its directory was moved away, and another one is in its place.
            Err(_) if here != *path => self.now.lstat(path).map(Found::Made),
            Err(error) => Err(error),
        }
    }

    /// Where the content of an original is known from: another name of the same file may have been
    /// changed after this one was kept.
    fn whole(&self, original: &'a Original) -> &'a Original {
        let inode = (original.meta.dev, original.meta.ino);
        match self.linked.get(&inode) {
            Some(last) if original.has_links() && original.body == Body::InPlace => last,
            _ => original,
        }
    }

    /// The names that are in a directory now and were in it then.
    fn remaining(&self, path: &ImagePath) -> io::Result<Vec<Vec<u8>>> {
        let Some(here) = self.past.now_of(self.now, path) else {
            return match self.originals.contains_key(path) {
                true => Ok(Vec::new()),
                false => Err(Errno::ENOENT.into()),
            };
        };
        let names = match self.now.list(&here) {
            Ok(names) => names,
            Err(_) if self.originals.contains_key(path) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let was_there = |name: &Vec<u8>| match (here.join(name), path.join(name)) {
            (Some(now), Some(then)) => self.past.is_from(self.now, &now, &then),
            _ => false,
        };
        Ok(names.into_iter().filter(was_there).collect())
    }
}

impl ImageFs for Before<'_> {
    fn lstat(&self, path: &ImagePath) -> io::Result<Meta> {
        Ok(match self.find(path)? {
            Found::Kept(original) | Found::Linked(_, original) => original.meta,
            Found::Here(_, meta) | Found::Made(meta) => meta,
        })
    }

    fn read_link(&self, path: &ImagePath) -> io::Result<Vec<u8>> {
        match self.find(path)? {
            Found::Kept(original) => match &original.body {
                Body::Target(target) => Ok(target.clone()),
                _ => Err(Errno::EINVAL.into()),
            },
            Found::Here(here, _) | Found::Linked(here, _) => self.now.read_link(&here),
            Found::Made(_) => self.now.read_link(path),
        }
    }

    fn list(&self, path: &ImagePath) -> io::Result<Vec<Vec<u8>>> {
        if self.originals.is_empty() && self.past.is_untouched() {
            return self.now.list(path);
        }
        match self.find(path)? {
            Found::Made(_) => return self.now.list(path),
            Found::Kept(original) if original.meta.kind != FileKind::Directory => {
                return Err(Errno::ENOTDIR.into());
            }
            _ => {}
        }
        let mut names: BTreeSet<Vec<u8>> = self.remaining(path)?.into_iter().collect();
        let kept = self.names.get(path).into_iter().flatten();
        names.extend(kept.map(|name| name.to_vec()));
        Ok(names.into_iter().collect())
    }

    fn list_with_made(&self, path: &ImagePath) -> io::Result<Vec<Vec<u8>>> {
        let mut names: BTreeSet<Vec<u8>> = self.list(path)?.into_iter().collect();
        if let Ok(now) = self.now.list(path) {
            names.extend(now);
        }
        Ok(names.into_iter().collect())
    }

    fn is_made(&self, path: &ImagePath) -> bool {
        if self.originals.contains_key(path) {
            return false;
        }
        match self.past.now_of(self.now, path) {
            Some(here) if here == *path => false,
            Some(here) => self.now.lstat(&here).is_err(),
            None => true,
        }
    }

    fn open(&self, path: &ImagePath) -> io::Result<Box<dyn ReadAt>> {
        let (original, here) = match self.find(path)? {
            Found::Kept(original) => (original, None),
            Found::Linked(here, original) => (original, Some(here)),
            Found::Here(here, _) => return self.now.open(&here),
            Found::Made(_) => return self.now.open(path),
        };
        match self.whole(original).body {
            Body::Saved { file, length } => {
                let bytes = ImagePath::root().join(file.to_string());
                let bytes = self.saved.open(&bytes.ok_or(Errno::EINVAL)?)?;
                if bytes.len() != length {
                    return Err(io::Error::other("its saved original was damaged"));
                }
                Ok(bytes)
            }
            Body::InPlace | Body::Unsaved(_) => {
                let here = here.or_else(|| self.past.now_of(self.now, path));
                self.now.open(&here.ok_or(Errno::ENOENT)?)
            }
            Body::None | Body::Target(_) => Err(Errno::EINVAL.into()),
        }
    }

    fn xattrs(&self, path: &ImagePath) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let original = match self.find(path)? {
            Found::Kept(original) | Found::Linked(_, original) => original,
            Found::Here(here, _) => return self.now.xattrs(&here),
            Found::Made(_) => return self.now.xattrs(path),
        };
        let bytes = |(ByteString(name), ByteString(value)): &(ByteString, ByteString)| {
            (name.clone(), value.clone())
        };
        Ok(original.xattrs.iter().map(bytes).collect())
    }
}
