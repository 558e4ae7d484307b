//! The real file system, from `/` or from any directory that holds an unpacked image.

use super::{FileKind, FileTime, ImageFs, Meta, ReadAt, Stamp};
use crate::image_path::ImagePath;
use nix::unistd::Whence;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

/// Files of this machine below a root directory.
#[derive(Clone, Debug)]
pub struct HostFs {
    root: PathBuf,
}

impl HostFs {
    /// Sees `root` as `/`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where a path of the image lies on this machine.
    pub fn host_path(&self, path: &ImagePath) -> PathBuf {
        let relative = path.as_bytes().strip_prefix(b"/").unwrap_or_default();
        if relative.is_empty() {
            return self.root.clone();
        }
        self.root.join(OsStr::from_bytes(relative))
    }
}

impl ImageFs for HostFs {
    fn lstat(&self, path: &ImagePath) -> io::Result<Meta> {
        fs::symlink_metadata(self.host_path(path)).map(|metadata| meta(&metadata))
    }

    fn read_link(&self, path: &ImagePath) -> io::Result<Vec<u8>> {
        fs::read_link(self.host_path(path)).map(|target| target.into_os_string().into_vec())
    }

    fn list(&self, path: &ImagePath) -> io::Result<Vec<Vec<u8>>> {
        let mut names = fs::read_dir(self.host_path(path))?
            .map(|entry| entry.map(|entry| entry.file_name().into_vec()))
            .collect::<io::Result<Vec<_>>>()?;
        names.sort_unstable();
        Ok(names)
    }

    fn open(&self, path: &ImagePath) -> io::Result<Box<dyn ReadAt>> {
        // O_NONBLOCK: a FIFO that took the file's place must not hang the packer.
        let file = fs::OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open(self.host_path(path))?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a regular file",
            ));
        }
        Ok(Box::new(HostFile {
            stamp: Stamp::of(&meta(&metadata)),
            file,
        }))
    }

    fn xattrs(&self, path: &ImagePath) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let host = self.host_path(path);
        let names = match xattr::list(&host) {
            Ok(names) => names,
            Err(error) if unsupported(&error) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut found = Vec::new();
        for name in names {
            if let Some(value) = xattr::get(&host, &name)? {
                found.push((name.into_vec(), value));
            }
        }
        found.sort_unstable();
        Ok(found)
    }
}

fn unsupported(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EOPNOTSUPP)
}

struct HostFile {
    file: File,
    stamp: Stamp,
}

impl ReadAt for HostFile {
    fn len(&self) -> u64 {
        self.stamp.size
    }

    fn stamp(&self) -> Option<Stamp> {
        Some(self.stamp)
    }

    fn is_unchanged(&self) -> io::Result<bool> {
        let metadata = self.file.metadata()?;
        Ok(Stamp::of(&meta(&metadata)) == self.stamp)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self
                .file
                .read_at(&mut buffer[filled..], offset + filled as u64)
            {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn data_runs(&self) -> io::Result<Vec<(u64, u64)>> {
        let mut runs = Vec::new();
        let mut position = 0;
        while position < self.stamp.size {
            let Some(start) = self.seek(position, Whence::SeekData)? else {
                break;
            };
            let end = self
                .seek(start, Whence::SeekHole)?
                .unwrap_or(self.stamp.size)
                .min(self.stamp.size);
            if end <= start {
                break;
            }
            runs.push((start, end - start));
            position = end;
        }
        Ok(runs)
    }
}

impl HostFile {
    /// `None` past the last data, as lseek(2) says with ENXIO.
    fn seek(&self, offset: u64, whence: Whence) -> io::Result<Option<u64>> {
        let offset = i64::try_from(offset).map_err(io::Error::other)?;
        match nix::unistd::lseek(&self.file, offset, whence) {
            Ok(found) => Ok(u64::try_from(found).ok()),
            Err(nix::errno::Errno::ENXIO) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

fn meta(metadata: &fs::Metadata) -> Meta {
    let kind = metadata.file_type();
    Meta {
        kind: if kind.is_dir() {
            FileKind::Directory
        } else if kind.is_symlink() {
            FileKind::Symlink
        } else if kind.is_fifo() {
            FileKind::Fifo
        } else if kind.is_socket() {
            FileKind::Socket
        } else if kind.is_char_device() {
            FileKind::CharDevice
        } else if kind.is_block_device() {
            FileKind::BlockDevice
        } else {
            FileKind::Regular
        },
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
        size: metadata.size(),
        allocated: metadata.blocks() * 512,
        mtime: file_time(metadata.mtime(), metadata.mtime_nsec()),
        ctime: file_time(metadata.ctime(), metadata.ctime_nsec()),
        dev: metadata.dev(),
        ino: metadata.ino(),
        nlink: metadata.nlink(),
        rdev: (
            libc::major(metadata.rdev()) as u32,
            libc::minor(metadata.rdev()) as u32,
        ),
    }
}

fn file_time(seconds: i64, nanoseconds: i64) -> FileTime {
    FileTime {
        seconds,
        nanoseconds: u32::try_from(nanoseconds).unwrap_or(0),
    }
}
