//! A file that gets its final name only when it is complete.

use crate::sys;
use crossbeam_channel::bounded;
use nix::errno::Errno;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const BUFFER: usize = 256 * 1024;
/// After so many bytes the disk is asked to begin, so that the end need not wait for all of them.
const WRITE_BACK: u64 = 16 << 20;
/// Enough of the final name to recognise it, and room for what is put around it (NAME_MAX).
const NAME_IN_TEMPORARY: usize = 200;
/// Temporary files that killed runs of the same process ID left, PID 1 for instance.
const MAX_ATTEMPTS: u32 = 1000;

/// An output could not be written: one line with the file, the system's words and the remedy.
#[derive(Debug)]
pub struct OutputError {
    path: PathBuf,
    source: io::Error,
}

impl OutputError {
    fn new(path: &Path, source: io::Error) -> Self {
        Self {
            path: path.to_owned(),
            source,
        }
    }

    fn remedy(&self) -> &'static str {
        match self.source.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ENOSPC | Errno::EDQUOT) => "free some space, or choose another place",
            Some(Errno::EFBIG) => "raise the file size limit (ulimit -f), or choose another place",
            Some(Errno::EACCES | Errno::EPERM) => {
                "choose a directory that this user may write to, or run as another user"
            }
            Some(Errno::EROFS) => "choose a place on a writable volume (docker run -v DIR:/out)",
            Some(Errno::ENOENT | Errno::ENOTDIR) => "create the directory first",
            Some(Errno::EISDIR) => "name a file in it",
            Some(Errno::EPIPE) => "its reader has gone",
            Some(Errno::ENAMETOOLONG) => "choose a shorter name",
            _ => "choose another place",
        }
    }
}

impl fmt::Display for OutputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, source } = self;
        let remedy = self.remedy();
        match path
            .to_str()
            .filter(|text| !text.contains(char::is_control))
        {
            Some(path) => write!(f, "cannot write {path}: {source}; {remedy}"),
            None => write!(f, "cannot write {path:?}: {source}; {remedy}"),
        }
    }
}

impl std::error::Error for OutputError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// A file that would grow beyond the size limit (ulimit -f) becomes an error that can be told
/// (EFBIG) instead of the end of the process by SIGXFSZ.
pub fn survive_size_limit() {
    sys::ignore_size_limit_signal();
}

/// A buffered file under a temporary name, `.NAME.PID.tmp` beside the final one.
///
/// [`Output::commit`] gives it its final name; dropping it without that removes it. A device, a
/// FIFO or a standard stream (`-`, `/dev/stdout`, `/dev/fd/N`) has no second name: it is written
/// straight into.
#[derive(Debug)]
pub struct Output {
    writer: Option<BufWriter<File>>,
    /// As the user named it.
    named: PathBuf,
    /// Where it is now.
    temporary: PathBuf,
    /// Where it goes; `None` when written straight into.
    target: Option<PathBuf>,
    /// Bytes since the disk was last asked to begin.
    unsent: u64,
}

impl Output {
    /// Creates the temporary file, with the permissions that the umask leaves of 0666.
    ///
    /// # Errors
    /// [`OutputError`] when `path` is a directory, or its directory is missing or not writable.
    pub fn create(path: &Path) -> Result<Self, OutputError> {
        Self::open(path).map_err(|error| OutputError::new(path, error))
    }

    fn open(path: &Path) -> io::Result<Self> {
        if let Some(file) = straight(path)? {
            return Ok(Self {
                writer: Some(BufWriter::with_capacity(BUFFER, file)),
                named: path.to_owned(),
                temporary: path.to_owned(),
                target: None,
                unsent: 0,
            });
        }
        // Renaming onto a symlink would replace the link, not the file it leads to.
        let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let name = match target.file_name() {
            Some(name) if !path.as_os_str().as_bytes().ends_with(b"/") => name.to_owned(),
            _ => return Err(Errno::EISDIR.into()),
        };
        let (temporary, file) = create_temporary(&target, &name)?;
        Ok(Self {
            writer: Some(BufWriter::with_capacity(BUFFER, file)),
            named: path.to_owned(),
            temporary,
            target: Some(target),
            unsent: 0,
        })
    }

    /// Where the bytes are until [`Output::commit`]; the path itself when written straight
    /// into.
    pub fn temporary_path(&self) -> &Path {
        &self.temporary
    }

    /// Whether what was written can be gone back to.
    pub fn is_seekable(&self) -> bool {
        self.target.is_some()
    }

    /// Goes back to this length: what was written behind it is thrown away.
    ///
    /// # Errors
    /// [`OutputError`]
    pub fn cut(&mut self, length: u64) -> Result<(), OutputError> {
        let cut = match &mut self.writer {
            Some(writer) => writer
                .seek(SeekFrom::Start(length))
                .and_then(|_| writer.get_ref().set_len(length)),
            None => Err(Errno::EBADF.into()),
        };
        cut.map_err(|error| OutputError::new(&self.named, error))
    }

    /// Reads what has been written at this offset, all that fits into `buffer`.
    ///
    /// # Errors
    /// [`OutputError`]
    pub fn read_back(&self, buffer: &mut [u8], offset: u64) -> Result<(), OutputError> {
        let read = match &self.writer {
            Some(writer) => writer.get_ref().read_exact_at(buffer, offset),
            None => Err(Errno::EBADF.into()),
        };
        read.map_err(|error| OutputError::new(&self.named, error))
    }

    /// Brings everything to the disk, then gives the file its name, then brings that to the
    /// disk.
    ///
    /// # Errors
    /// [`OutputError`]; the file then does not have its final name, unless only the last step
    /// failed.
    pub fn commit(self) -> Result<(), OutputError> {
        self.commit_unless(&AtomicBool::new(false))
    }

    /// The same, but from when on `hurried` is set the disk is not waited for any more: the file
    /// is whole, and may be lost with the machine's power.
    ///
    /// # Errors
    /// As [`Output::commit`].
    pub fn commit_unless(mut self, hurried: &AtomicBool) -> Result<(), OutputError> {
        self.finish(hurried)
            .map_err(|error| OutputError::new(&self.named, error))
    }

    fn finish(&mut self, hurried: &AtomicBool) -> io::Result<()> {
        let Some(mut writer) = self.writer.take() else {
            return Ok(());
        };
        writer.flush()?;
        let Some(target) = self.target.clone() else {
            return Ok(());
        };
        let (file, _) = writer.into_parts();
        sync_unless(file, hurried)?;
        fs::rename(&self.temporary, &target)?;
        self.target = None;
        match hurried.load(Ordering::Relaxed) {
            true => Ok(()),
            false => sync_directory(&target),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match &mut self.writer {
            Some(writer) => writer.write(bytes),
            None => Ok(0),
        }
        .map_err(|error| named(&self.named, error))?;
        self.unsent += written as u64;
        if self.unsent >= WRITE_BACK && self.target.is_some() {
            self.unsent = 0;
            if let Some(writer) = &self.writer {
                sys::start_write_back(writer.get_ref());
            }
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.writer {
            Some(writer) => writer.flush(),
            None => Ok(()),
        }
        .map_err(|error| named(&self.named, error))
    }
}

impl Seek for Output {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match &mut self.writer {
            Some(writer) => writer.seek(to),
            None => Err(Errno::EBADF.into()),
        }
        .map_err(|error| named(&self.named, error))
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            // What was not committed is thrown away, so the buffer need not reach the disk.
            let _ = writer.into_parts();
        }
        if self.target.is_some() {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// fsync(2) on a thread of its own, since nothing ends one that waits for a slow disk.
fn sync_unless(file: File, hurried: &AtomicBool) -> io::Result<()> {
    const BEAT: Duration = Duration::from_millis(20);
    if hurried.load(Ordering::Relaxed) {
        return Ok(());
    }
    let file = Arc::new(file);
    let (done, synced) = bounded(1);
    let theirs = Arc::clone(&file);
    let thread = std::thread::Builder::new()
        .name("sync".to_owned())
        .spawn(move || drop(done.send(theirs.sync_all())));
    if thread.is_err() {
        return file.sync_all();
    }
    while !hurried.load(Ordering::Relaxed) {
        if let Ok(result) = synced.recv_timeout(BEAT) {
            return result;
        }
    }
    Ok(())
}

/// Whoever writes through `dyn Write` sees an [`io::Error`] whose message is complete.
fn named(path: &Path, error: io::Error) -> io::Error {
    match error.kind() {
        // `write_all` repeats these by their kind.
        io::ErrorKind::Interrupted => error,
        kind => io::Error::new(kind, OutputError::new(path, error)),
    }
}

/// The open file where `path` is to be written straight into; `None` for a regular file or
/// none yet.
fn straight(path: &Path) -> io::Result<Option<File>> {
    if path == "-" || path == "/dev/stdout" {
        return Ok(Some(io::stdout().as_fd().try_clone_to_owned()?.into()));
    }
    let is_descriptor = path.starts_with("/dev/fd") || path.starts_with("/proc/self/fd");
    let special = match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => return Err(Errno::EISDIR.into()),
        Ok(metadata) => is_descriptor || path == "/dev/stderr" || !metadata.is_file(),
        Err(_) => false,
    };
    if !special {
        return Ok(None);
    }
    let file = OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_NOCTTY | libc::O_CLOEXEC)
        .open(path)?;
    Ok(Some(file))
}

fn create_temporary(target: &Path, name: &OsStr) -> io::Result<(PathBuf, File)> {
    let kept = name.as_bytes().iter().copied().take(NAME_IN_TEMPORARY);
    let mut stem = vec![b'.'];
    stem.extend(kept);
    stem.extend(format!(".{}", std::process::id()).into_bytes());
    let mut attempt = 0;
    loop {
        let mut name = stem.clone();
        if attempt > 0 {
            name.extend(format!(".{attempt}").into_bytes());
        }
        name.extend(b".tmp");
        let path = target.with_file_name(OsString::from_vec(name));
        match OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
        {
            Ok(file) => return Ok((path, file)),
            Err(error)
                if error.kind() == io::ErrorKind::AlreadyExists && attempt < MAX_ATTEMPTS =>
            {
                attempt += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Makes a rename last (fsync(2)). A directory that may be written but not read cannot be
/// synced, and some file systems cannot sync directories; the file itself is safe then.
fn sync_directory(file: &Path) -> io::Result<()> {
    let directory = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    match synced {
        Err(error)
            if matches!(
                error.raw_os_error().map(Errno::from_raw),
                Some(Errno::EACCES | Errno::EINVAL | Errno::EOPNOTSUPP | Errno::EROFS)
            ) =>
        {
            Ok(())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests;
