//! A tree of which something keeps certain paths closed.

use super::{ImageFs, Meta, ReadAt};
use crate::image_path::ImagePath;
use std::io;

/// Says what may be looked at.
pub trait Guard {
    /// Whether a physical path may be looked at.
    ///
    /// # Errors
    /// What who looks at it is told where it may not be.
    fn pass(&self, path: &ImagePath) -> io::Result<()>;
}

/// A tree behind a guard.
pub struct GuardedFs<F, G> {
    inner: F,
    guard: G,
}

impl<F: ImageFs, G: Guard> GuardedFs<F, G> {
    /// Puts a guard before a tree.
    pub fn new(inner: F, guard: G) -> Self {
        Self { inner, guard }
    }

    fn behind(&self, path: &ImagePath) -> io::Result<&F> {
        self.guard.pass(path).map(|()| &self.inner)
    }
}

impl<F: ImageFs, G: Guard> ImageFs for GuardedFs<F, G> {
    fn lstat(&self, path: &ImagePath) -> io::Result<Meta> {
        self.behind(path)?.lstat(path)
    }

    fn read_link(&self, path: &ImagePath) -> io::Result<Vec<u8>> {
        self.behind(path)?.read_link(path)
    }

    fn list(&self, path: &ImagePath) -> io::Result<Vec<Vec<u8>>> {
        self.behind(path)?.list(path)
    }

    fn list_with_made(&self, path: &ImagePath) -> io::Result<Vec<Vec<u8>>> {
        self.behind(path)?.list_with_made(path)
    }

    fn is_made(&self, path: &ImagePath) -> bool {
        self.behind(path).is_ok_and(|inner| inner.is_made(path))
    }

    fn open(&self, path: &ImagePath) -> io::Result<Box<dyn ReadAt>> {
        self.behind(path)?.open(path)
    }

    fn xattrs(&self, path: &ImagePath) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        self.behind(path)?.xattrs(path)
    }
}
