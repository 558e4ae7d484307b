//! The log of opened files: watching all directories of the image's file system.
//!
//! The queue is emptied on the finder's beat and never waited for: a reader that sleeps in
//! read(2) is woken by each open of the application, which costs it five times as much.

use super::opens::{EVENTS, Opens};
use crate::image_path::ImagePath;
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A log that is being written.
pub struct Log {
    shared: Arc<Shared>,
    opens: Opens,
    buffer: Vec<u8>,
}

/// Between the reader and the thread that sets the watches.
struct Shared {
    inotify: Inotify,
    /// Locked while a watch is added, so that its events are never read before its name is here.
    directories: Mutex<HashMap<i32, ImagePath>>,
    /// What went wrong: each line a loss.
    troubles: Mutex<BTreeSet<String>>,
    is_complete: AtomicBool,
    is_set: AtomicBool,
    is_closed: AtomicBool,
}

/// Room for a thousand records or more.
const BUFFER: usize = 64 * 1024;

impl Log {
    /// Begins it, for all below `root` on its file system. The watches are set on a thread of their own, first those on the directories
    /// that every program start touches.
    ///
    /// # Errors
    /// The loss that this is, in words.
    pub fn start(root: ImagePath) -> Result<Self, String> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)
            .map_err(|errno| trouble(errno, "fs.inotify.max_user_instances"))?;
        let shared = Arc::new(Shared {
            inotify,
            directories: Mutex::default(),
            troubles: Mutex::default(),
            is_complete: AtomicBool::new(false),
            is_set: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
        });
        let watching = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("watches".to_owned())
            .spawn(move || {
                watching.watch_all(root);
                watching.is_set.store(true, Ordering::Relaxed);
            })
            .map_err(|error| format!("the log of opened files: {error}"))?;
        Ok(Self {
            shared,
            opens: Opens::default(),
            buffer: vec![0; BUFFER],
        })
    }

    /// Adds each file that was opened for the first time since the log began to `opened`; none
    /// of those that were opened by us.
    pub fn read(&mut self, is_ours: bool, opened: &mut Vec<ImagePath>) {
        while let Ok(length @ 1..) =
            nix::unistd::read(self.shared.inotify.as_fd(), &mut self.buffer)
        {
            let records = self.buffer.get(..length).unwrap_or_default();
            let directories = lock(&self.shared.directories);
            self.opens.take(records, is_ours, &directories, opened);
        }
    }

    /// Begins anew: what was told is told again when it is opened again.
    pub fn forget(&mut self) {
        self.opens.forget();
    }

    /// Whether all directories are watched by now.
    pub fn is_complete(&self) -> bool {
        self.shared.is_complete.load(Ordering::Relaxed)
    }

    /// Whether no watch will be added any more.
    pub fn is_set(&self) -> bool {
        self.shared.is_set.load(Ordering::Relaxed)
    }

    /// Ends it. Gives what may be missing in it, a line each.
    pub fn finish(self) -> Vec<String> {
        self.shared.is_closed.store(true, Ordering::Relaxed);
        let mut troubles = std::mem::take(&mut *lock(&self.shared.troubles));
        if self.opens.overflowed {
            troubles.insert(
                "the log of opened files: files were opened faster than it could be read \
                 (fs.inotify.max_queued_events)"
                    .to_owned(),
            );
        }
        troubles.into_iter().collect()
    }
}

impl Shared {
    fn watch_all(&self, root: ImagePath) {
        for directory in first_directories() {
            if directory.is_at_or_below(&root) && !self.watch(&directory) {
                return;
            }
        }
        let Ok(device) = fs::symlink_metadata(root.as_path()).map(|meta| meta.dev()) else {
            return;
        };
        let mut pending = vec![root];
        while let Some(directory) = pending.pop() {
            if self.is_closed.load(Ordering::Relaxed) || !self.watch(&directory) {
                return;
            }
            pending.extend(self.directories_in(&directory, device));
        }
        self.is_complete.store(true, Ordering::Relaxed);
    }

    /// False when no watch can be had any more.
    fn watch(&self, directory: &ImagePath) -> bool {
        let flags = AddWatchFlags::from_bits_retain(EVENTS) | AddWatchFlags::IN_ONLYDIR;
        let mut directories = lock(&self.directories);
        match self.inotify.add_watch(directory.as_path(), flags) {
            Ok(watch) => {
                directories.insert(watch.as_raw(), directory.clone());
                true
            }
            Err(errno @ (Errno::ENOSPC | Errno::ENOMEM)) => {
                let line = trouble(errno, "fs.inotify.max_user_watches");
                lock(&self.troubles).insert(line);
                false
            }
            Err(errno) => {
                self.on_unwatched(errno);
                true
            }
        }
    }

    /// The directories in this one that lie on the same file system.
    fn directories_in(&self, directory: &ImagePath, device: u64) -> Vec<ImagePath> {
        let entries = match fs::read_dir(directory.as_path()) {
            Ok(entries) => entries,
            Err(error) => {
                self.on_unwatched(Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)));
                return Vec::new();
            }
        };
        let on_device = |entry: &fs::DirEntry| -> io::Result<bool> {
            Ok(entry.file_type()?.is_dir() && entry.metadata()?.dev() == device)
        };
        entries
            .flatten()
            .filter(|entry| on_device(entry).unwrap_or(false))
            .filter_map(|entry| directory.join(entry.file_name().into_vec()))
            .collect()
    }

    fn on_unwatched(&self, errno: Errno) {
        // What was removed meanwhile holds nothing that could be opened.
        if !matches!(errno, Errno::ENOENT | Errno::ENOTDIR) {
            let line = "the log of opened files: some directories may not be watched by \
                        micropacker's user";
            lock(&self.troubles).insert(format!("{line}: {}", errno.desc()));
        }
    }
}

/// Programs, libraries and their configuration: the links among them are the same directories.
fn first_directories() -> Vec<ImagePath> {
    const ALWAYS: [&str; 10] = [
        "/bin",
        "/sbin",
        "/usr/bin",
        "/usr/sbin",
        "/usr/local/bin",
        "/etc",
        "/lib",
        "/lib64",
        "/usr/lib",
        "/usr/local/lib",
    ];
    let libraries = ["/lib", "/usr/lib"].iter().flat_map(|lib| {
        ["x86_64-linux-gnu", "aarch64-linux-gnu"].map(|machine| format!("{lib}/{machine}"))
    });
    let paths = ALWAYS.map(str::to_owned).into_iter().chain(libraries);
    paths
        .filter_map(|path| fs::canonicalize(path).ok())
        .filter_map(|path| ImagePath::new(path.into_os_string().into_vec()))
        .collect()
}

fn trouble(errno: Errno, setting: &str) -> String {
    format!(
        "the log of opened files: {}: not all directories can be watched; raise {setting} on the \
         host",
        errno.desc()
    )
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_opened_anywhere_below_are_told() {
        let home = tempfile::tempdir().expect("a directory");
        let home = home.path().canonicalize().expect("there");
        let deep = home.join("a/b/c");
        fs::create_dir_all(&deep).expect("made");
        fs::write(deep.join("file"), "").expect("written");
        let root = ImagePath::new(home.into_os_string().into_vec()).expect("absolute");
        let mut log = Log::start(root.clone()).expect("started");
        while !log.is_complete() {
            std::thread::yield_now();
        }
        let mut opened = Vec::new();
        fs::read(deep.join("file")).expect("read");
        log.read(true, &mut opened);
        assert!(opened.is_empty(), "it was us");
        fs::read(deep.join("file")).expect("read");
        fs::write(deep.join("new"), "").expect("written");
        log.read(false, &mut opened);
        assert_eq!(opened, [root.join("a/b/c/file").expect("a path")]);
        assert!(log.finish().is_empty());
    }
}
