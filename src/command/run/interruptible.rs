//! A tree that nobody reads any further once they have to stop.

use crate::image_fs::{ImageFs, Meta, ReadAt, Stamp};
use crate::image_path::ImagePath;
use nix::errno::Errno;
use std::io;
use std::sync::Arc;

/// Whether to stop.
pub(super) type Stopped = Arc<dyn Fn() -> bool + Send + Sync>;

/// The same tree, until it says so: then every look fails with ECANCELED.
pub(super) struct Interruptible<'a> {
    pub(super) fs: &'a dyn ImageFs,
    pub(super) stopped: Stopped,
}

impl Interruptible<'_> {
    fn go_on(&self) -> io::Result<()> {
        go_on(&self.stopped)
    }
}

fn go_on(stopped: &Stopped) -> io::Result<()> {
    match stopped() {
        true => Err(Errno::ECANCELED.into()),
        false => Ok(()),
    }
}

impl ImageFs for Interruptible<'_> {
    fn lstat(&self, path: &ImagePath) -> io::Result<Meta> {
        self.go_on()?;
        self.fs.lstat(path)
    }

    fn read_link(&self, path: &ImagePath) -> io::Result<Vec<u8>> {
        self.go_on()?;
        self.fs.read_link(path)
    }

    fn list(&self, path: &ImagePath) -> io::Result<Vec<Vec<u8>>> {
        self.go_on()?;
        self.fs.list(path)
    }

    fn list_with_made(&self, path: &ImagePath) -> io::Result<Vec<Vec<u8>>> {
        self.go_on()?;
        self.fs.list_with_made(path)
    }

    fn is_made(&self, path: &ImagePath) -> bool {
        self.fs.is_made(path)
    }

    fn open(&self, path: &ImagePath) -> io::Result<Box<dyn ReadAt>> {
        self.go_on()?;
        Ok(Box::new(InterruptibleFile {
            file: self.fs.open(path)?,
            stopped: Arc::clone(&self.stopped),
        }))
    }

    fn xattrs(&self, path: &ImagePath) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        self.go_on()?;
        self.fs.xattrs(path)
    }
}

struct InterruptibleFile {
    file: Box<dyn ReadAt>,
    stopped: Stopped,
}

impl ReadAt for InterruptibleFile {
    fn len(&self) -> u64 {
        self.file.len()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        go_on(&self.stopped)?;
        self.file.read_at(buffer, offset)
    }

    fn data_runs(&self) -> io::Result<Vec<(u64, u64)>> {
        go_on(&self.stopped)?;
        self.file.data_runs()
    }

    fn stamp(&self) -> Option<Stamp> {
        self.file.stamp()
    }

    fn is_unchanged(&self) -> io::Result<bool> {
        self.file.is_unchanged()
    }
}
