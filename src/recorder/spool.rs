//! The originals of changed files: their metadata, and copies of their content in a directory
//! beside the output.

use super::copy::copy;
use crate::byte_string::ByteString;
use crate::image_fs::{FileKind, HostFs, ImageFs, Meta};
use crate::image_path::ImagePath;
use crate::recording::{Body, Level, Original};
use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// How many directories of earlier runs may be in the way.
const MAX_ATTEMPTS: u32 = 1000;

/// What can be shipped, by its physical path: of nothing else the original is kept.
pub type Interest = Box<dyn Fn(&ImagePath, FileKind) -> bool + Send>;

/// Keeps originals. Each is kept before it is changed for the first time.
pub struct Spool {
    place: PathBuf,
    /// `None` until the first file is saved.
    directory: Option<PathBuf>,
    /// Bytes that copies may take; `None` for half of what is free when the first one is made.
    limit: Option<u64>,
    used: u64,
    next: u64,
    fs: HostFs,
    interest: Interest,
    /// Originals that have several names, by inode: what was changed by one name must not be
    /// taken for the original of another.
    linked: HashMap<(u64, u64), Original>,
}

impl Spool {
    /// Copies go into a directory `place`, which is made when there is one, or beside it where
    /// there is something already; [`free_place`] finds one where there is nothing.
    pub fn new(place: PathBuf, limit: Option<u64>, interest: Interest) -> Self {
        Self {
            place,
            directory: None,
            limit,
            used: 0,
            next: 0,
            fs: HostFs::new("/"),
            interest,
            linked: HashMap::new(),
        }
    }

    /// Goes on with the copies of an earlier run, which are in this directory and have numbers
    /// below `next`.
    pub fn resume(&mut self, directory: PathBuf, next: u64) {
        self.next = next;
        if directory.is_dir() {
            self.limit = self.limit.or_else(|| half_of_the_free_space(&directory));
            self.directory = Some(directory);
        } else {
            self.place = directory;
        }
    }

    /// Sees this directory as `/`.
    #[cfg(test)]
    pub fn rooted(mut self, root: &Path) -> Self {
        self.fs = HostFs::new(root);
        self
    }

    /// Where the copies are; `None` while there is none.
    pub fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// Keeps what is at the path `now`, and was at `then` when the trace began. `None` where
    /// it is not the image's, or is gone.
    pub fn keep(&mut self, then: &ImagePath, now: &ImagePath, level: Level) -> Option<Original> {
        let meta = self.fs.lstat(now).ok()?;
        if !(self.interest)(then, meta.kind) {
            return None;
        }
        let inode = (meta.dev, meta.ino);
        let mut original = match self.linked.get(&inode) {
            Some(known) if known.meta.kind == meta.kind => Original {
                path: then.clone(),
                ..known.clone()
            },
            _ => self.original(then, now, &meta),
        };
        if level == Level::Whole && original.body == Body::InPlace {
            original.body = self.save(then, now);
        }
        if original.has_links() {
            self.linked.insert(inode, original.clone());
        }
        Some(original)
    }

    /// With its content where it is.
    fn original(&self, then: &ImagePath, now: &ImagePath, meta: &Meta) -> Original {
        let xattrs = self.fs.xattrs(now).unwrap_or_default();
        let bytes = |(name, value)| (ByteString(name), ByteString(value));
        Original {
            path: then.clone(),
            meta: *meta,
            xattrs: xattrs.into_iter().map(bytes).collect(),
            body: match meta.kind {
                FileKind::Regular => Body::InPlace,
                FileKind::Symlink => match self.fs.read_link(now) {
                    Ok(target) => Body::Target(target),
                    Err(error) => Body::Unsaved(error.to_string()),
                },
                _ => Body::None,
            },
        }
    }

    fn save(&mut self, then: &ImagePath, now: &ImagePath) -> Body {
        match self.try_save(now) {
            Ok((file, length)) => Body::Saved { file, length },
            Err(why) => {
                tracing::warn!("{then} is changed, and shipped as it is at the end: {why}");
                Body::Unsaved(why)
            }
        }
    }

    fn try_save(&mut self, now: &ImagePath) -> Result<(u64, u64), String> {
        let mut from = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(self.fs.host_path(now))
            .map_err(|error| format!("it cannot be read: {error}"))?;
        let (mut to, path) = self.file()?;
        let room = self.limit.unwrap_or(u64::MAX).saturating_sub(self.used);
        let unsaved = |error: io::Error| {
            let remedy = match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; free some space",
                _ => "",
            };
            format!("its original cannot be saved: {error}{remedy}")
        };
        let copied = copy(&mut from, &mut to, room).and_then(|copied| {
            let length = to.metadata()?.len();
            Ok(copied.map(|copied| (copied, length)))
        });
        match copied {
            Ok(Some((copied, length))) => {
                self.used += copied;
                self.next += 1;
                Ok((self.next - 1, length))
            }
            other => {
                let _ = fs::remove_file(&path);
                Err(match other {
                    Err(error) => unsaved(error),
                    Ok(_) => format!(
                        "the originals of changed files would need more than {} bytes in {}: raise \
                         --originals-limit",
                        self.limit.unwrap_or(u64::MAX),
                        path.parent().unwrap_or(&self.place).display()
                    ),
                })
            }
        }
    }

    /// The next file of the spool.
    fn file(&mut self) -> Result<(File, PathBuf), String> {
        let failed = |place: &Path, error: io::Error| {
            format!(
                "its original cannot be saved in {}: {error}; choose another place for the output",
                place.display()
            )
        };
        if self.directory.is_none() {
            let made = make(&self.place).map_err(|error| failed(&self.place, error))?;
            if self.limit.is_none() {
                self.limit = half_of_the_free_space(&made);
            }
            self.directory = Some(made);
        }
        let directory = self.directory.as_deref().unwrap_or(&self.place);
        let path = directory.join(self.next.to_string());
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| failed(directory, error))?;
        Ok((file, path))
    }
}

/// `place`, or a name like it that is free now: what an earlier run left is left alone.
pub fn free_place(place: &Path) -> PathBuf {
    for attempt in 1..MAX_ATTEMPTS {
        let name = numbered(place, attempt);
        if fs::symlink_metadata(&name).is_err() {
            return name;
        }
    }
    place.to_owned()
}

fn numbered(place: &Path, attempt: u32) -> PathBuf {
    let mut name = place.as_os_str().to_owned();
    if attempt > 1 {
        name.push(format!(".{attempt}"));
    }
    name.into()
}

/// Makes the directory; one that an earlier run left is left alone.
fn make(place: &Path) -> io::Result<PathBuf> {
    for attempt in 1..MAX_ATTEMPTS {
        let name = numbered(place, attempt);
        match DirBuilder::new().mode(0o700).create(&name) {
            Ok(()) => return Ok(name),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

fn half_of_the_free_space(directory: &Path) -> Option<u64> {
    let told = nix::sys::statvfs::statvfs(directory.as_os_str().as_bytes()).ok()?;
    Some(told.blocks_available().saturating_mul(told.fragment_size()) / 2)
}

/// Removes the copies: the outputs hold what was needed of them.
///
/// # Errors
/// What remove_dir_all says; no directory at all is none.
pub fn remove(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests;
