//! Remembers what lstat and readlink told: thousands of paths share their first components.

use crate::image_fs::{ImageFs, Meta, ReadAt};
use crate::image_path::ImagePath;
use nix::errno::Errno;
use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::Hash;
use std::io;

type Memory<T> = RefCell<HashMap<ImagePath, Result<T, Errno>>>;

/// A view of another file system that asks it once for each path.
pub(super) struct CachedFs<'a> {
    fs: &'a dyn ImageFs,
    metas: Memory<Meta>,
    links: Memory<Vec<u8>>,
    made: RefCell<HashMap<ImagePath, bool>>,
}

impl<'a> CachedFs<'a> {
    pub(super) fn new(fs: &'a dyn ImageFs) -> Self {
        Self {
            fs,
            metas: RefCell::default(),
            links: RefCell::default(),
            made: RefCell::default(),
        }
    }
}

fn remembered<K: Clone + Eq + Hash, T: Clone>(
    memory: &RefCell<HashMap<K, Result<T, Errno>>>,
    key: &K,
    ask: impl FnOnce() -> io::Result<T>,
) -> io::Result<T> {
    if let Some(known) = memory.borrow().get(key) {
        return known.clone().map_err(io::Error::from);
    }
    let told = ask().map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw));
    memory.borrow_mut().insert(key.clone(), told.clone());
    told.map_err(io::Error::from)
}

impl ImageFs for CachedFs<'_> {
    fn lstat(&self, path: &ImagePath) -> io::Result<Meta> {
        remembered(&self.metas, path, || self.fs.lstat(path))
    }

    fn read_link(&self, path: &ImagePath) -> io::Result<Vec<u8>> {
        remembered(&self.links, path, || self.fs.read_link(path))
    }

    fn list(&self, path: &ImagePath) -> io::Result<Vec<Vec<u8>>> {
        self.fs.list(path)
    }

    fn list_with_made(&self, path: &ImagePath) -> io::Result<Vec<Vec<u8>>> {
        self.fs.list_with_made(path)
    }

    fn is_made(&self, path: &ImagePath) -> bool {
        if let Some(known) = self.made.borrow().get(path) {
            return *known;
        }
        let is_made = self.fs.is_made(path);
        self.made.borrow_mut().insert(path.clone(), is_made);
        is_made
    }

    fn open(&self, path: &ImagePath) -> io::Result<Box<dyn ReadAt>> {
        self.fs.open(path)
    }

    fn xattrs(&self, path: &ImagePath) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        self.fs.xattrs(path)
    }
}

/// A file system as a process sees it whose root directory is `root` (chroot(2)).
pub(super) struct Chrooted<'a> {
    pub(super) fs: &'a dyn ImageFs,
    pub(super) root: ImagePath,
}

impl ImageFs for Chrooted<'_> {
    fn lstat(&self, path: &ImagePath) -> io::Result<Meta> {
        self.fs.lstat(&path.rebased(&self.root))
    }

    fn read_link(&self, path: &ImagePath) -> io::Result<Vec<u8>> {
        self.fs.read_link(&path.rebased(&self.root))
    }

    fn list(&self, path: &ImagePath) -> io::Result<Vec<Vec<u8>>> {
        self.fs.list(&path.rebased(&self.root))
    }

    fn list_with_made(&self, path: &ImagePath) -> io::Result<Vec<Vec<u8>>> {
        self.fs.list_with_made(&path.rebased(&self.root))
    }

    fn is_made(&self, path: &ImagePath) -> bool {
        self.fs.is_made(&path.rebased(&self.root))
    }

    fn open(&self, path: &ImagePath) -> io::Result<Box<dyn ReadAt>> {
        self.fs.open(&path.rebased(&self.root))
    }

    fn xattrs(&self, path: &ImagePath) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        self.fs.xattrs(&path.rebased(&self.root))
    }
}

/// `physical` as seen from a root directory it lies in; `None` outside of it.
pub(super) fn seen_from(root: &ImagePath, physical: &ImagePath) -> Option<ImagePath> {
    if root.is_root() {
        return Some(physical.clone());
    }
    let below = physical.as_bytes().strip_prefix(root.as_bytes())?;
    match below {
        [] => Some(ImagePath::root()),
        [b'/', ..] => ImagePath::new(below),
        _ => None,
    }
}
