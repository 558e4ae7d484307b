//! Reading an image's file system behind a trait, so that all pure logic is tested in memory.

mod guarded;
mod host;
mod mem;
mod walk;

use crate::image_path::ImagePath;
use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use std::io;

pub use guarded::{Guard, GuardedFs};
pub use host::HostFs;
pub use mem::MemFs;
pub use walk::{Walk, walk, walk_in};

/// What a directory entry is (inode(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the names say it all")]
pub enum FileKind {
    Regular,
    Directory,
    Symlink,
    Fifo,
    Socket,
    CharDevice,
    BlockDevice,
}

/// An instant of the file's own clock: seconds and nanoseconds since the epoch.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub struct FileTime {
    /// Seconds since the epoch, negative before it.
    pub seconds: i64,
    /// Nanoseconds within the second.
    pub nanoseconds: u32,
}

/// What lstat(2) tells of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// The type of the entry.
    pub kind: FileKind,
    /// The low twelve bits of st_mode: permissions, set-user-ID, set-group-ID, sticky.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Length in bytes; of a symlink, that of its target.
    pub size: u64,
    /// Bytes allocated on disk: less than `size` for a sparse file.
    pub allocated: u64,
    /// Last change of the content.
    pub mtime: FileTime,
    /// Last change of content or metadata; cannot be set by programs.
    pub ctime: FileTime,
    /// Device that holds the entry.
    pub dev: u64,
    /// Inode number on that device.
    pub ino: u64,
    /// Number of hard links.
    pub nlink: u64,
    /// Device number (major, minor) of a device node.
    pub rdev: (u32, u32),
}

/// What tells that a file still holds the bytes that were read of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Device that holds it.
    pub dev: u64,
    /// Inode number on that device.
    pub ino: u64,
    /// Length in bytes.
    pub size: u64,
    /// Last change of the content.
    pub mtime: FileTime,
    /// Last change of content or metadata.
    pub ctime: FileTime,
}

impl Stamp {
    /// Of what lstat(2) or fstat(2) told.
    pub fn of(meta: &Meta) -> Self {
        Self {
            dev: meta.dev,
            ino: meta.ino,
            size: meta.size,
            mtime: meta.mtime,
            ctime: meta.ctime,
        }
    }
}

/// Random access to a file's bytes.
pub trait ReadAt {
    /// Length in bytes when it was opened.
    fn len(&self) -> u64;

    /// Whether it held no byte when it was opened.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads up to `buffer.len()` bytes at `offset`; short only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// The runs of data as (offset, length), in order, holes left out (lseek(2), SEEK_DATA).
    /// One run over everything where holes cannot be told.
    fn data_runs(&self) -> io::Result<Vec<(u64, u64)>>;

    /// What fstat(2) told of it when it was opened; `None` where it cannot change.
    fn stamp(&self) -> Option<Stamp> {
        None
    }

    /// Whether it is what it was when it was opened.
    fn is_unchanged(&self) -> io::Result<bool> {
        Ok(true)
    }

    /// Up to `length` bytes from `offset`, fewer where the file ends.
    fn bytes_at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let available = self.len().saturating_sub(offset).min(length as u64);
        let mut buffer = vec![0; usize::try_from(available).map_err(io::Error::other)?];
        let read = self.read_at(&mut buffer, offset)?;
        buffer.truncate(read);
        Ok(buffer)
    }
}

/// A tree of files. Paths given to it are *physical*: no component but the last may be a
/// symlink. [`walk`] makes a physical path from any other; nothing here follows a symlink.
pub trait ImageFs {
    /// lstat(2).
    fn lstat(&self, path: &ImagePath) -> io::Result<Meta>;
    /// readlink(2), of any length.
    fn read_link(&self, path: &ImagePath) -> io::Result<Vec<u8>>;
    /// The names in a directory, without `.` and `..`, sorted by bytes.
    fn list(&self, path: &ImagePath) -> io::Result<Vec<Vec<u8>>>;
    /// The names that [`Self::list`] gives, and those that were made since the time that this tree
    /// shows ([`Self::is_made`]).
    fn list_with_made(&self, path: &ImagePath) -> io::Result<Vec<Vec<u8>>> {
        self.list(path)
    }
    /// Whether what is at this path was made since the time that this tree shows: it can be looked
    /// at by its name, and no directory lists it. In a tree that shows the present nothing is.
    fn is_made(&self, _path: &ImagePath) -> bool {
        false
    }
    /// Opens a regular file for reading.
    fn open(&self, path: &ImagePath) -> io::Result<Box<dyn ReadAt>>;
    /// Extended attributes of the entry itself, sorted by name; empty where there are none.
    fn xattrs(&self, path: &ImagePath) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>>;

    /// The whole content of a small file. Fails with `FileTooLarge` beyond `limit` bytes.
    fn read(&self, path: &ImagePath, limit: u64) -> io::Result<Vec<u8>> {
        let file = self.open(path)?;
        if file.len() > limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        file.bytes_at(0, usize::try_from(limit).map_err(io::Error::other)?)
    }
}

/// Whether an error says nothing of the file, but that a disk, or micropacker's limits, failed.
pub fn is_failure(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw),
        Some(
            Errno::EIO
                | Errno::EREMOTEIO
                | Errno::EUCLEAN
                | Errno::EBADMSG
                | Errno::ESTALE
                | Errno::EMFILE
                | Errno::ENFILE
                | Errno::ENOMEM
        )
    )
}
