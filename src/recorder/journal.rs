//! Writing the journal while it runs: before a batch of events counts as recorded it has been
//! handed to the kernel, and a thread of its own brings that to the disk about once a second.

use crate::byte_string::ByteString;
use crate::event::Event;
use crate::journal::{Contents, Header, JournalError, Line, Seen, read, write_line};
use crate::recording::Body;
use crossbeam_channel::{Receiver, Sender, bounded};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Seek, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What a power failure may cost at most, and how long syncing takes.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);
/// Journals that were moved aside in one place.
const MAX_ASIDE: u32 = 10_000;

/// A journal that is written.
pub struct Journal {
    file: Arc<Flock<File>>,
    path: PathBuf,
    /// What could not be written yet: it is tried again with whatever comes next.
    pending: Vec<u8>,
    is_failing: bool,
    sync: Option<Sender<()>>,
    earlier: Vec<Event>,
    originals: Option<(PathBuf, u64)>,
}

/// What becomes of a journal once its recording is used or useless.
pub struct Keeper {
    file: Arc<Flock<File>>,
    path: PathBuf,
    is_named: bool,
    is_continued: bool,
}

impl Journal {
    /// Opens the journal at `path` for a run that begins so; `is_named` where the user chose the
    /// place. An unfinished one of the same command in the same container goes on, any other one
    /// that lies there is moved aside.
    ///
    /// # Errors
    /// Why it cannot be opened. What cannot be written is told, and tried again.
    pub fn open(path: &Path, is_named: bool, header: &Header) -> io::Result<(Self, Keeper)> {
        let (file, path, found) = claim(path, header)?;
        let Found {
            events: earlier,
            is_torn,
            originals,
        } = found.unwrap_or_default();
        let mut header = header.clone();
        if let Some(directory) = &originals {
            header.originals = Some(directory.clone());
        }
        let next = earlier
            .iter()
            .filter_map(saved)
            .max()
            .map_or(0, |last| last + 1);
        let is_continued = !earlier.is_empty();
        let mut pending = Vec::new();
        if is_torn {
            pending.push(b'\n');
        }
        write_line(&Line::Run(Box::new(header)), &mut pending)?;
        let keeper = Keeper {
            file: Arc::clone(&file),
            path: path.clone(),
            is_named,
            is_continued,
        };
        let mut journal = Self {
            file,
            path,
            pending,
            is_failing: false,
            sync: None,
            earlier,
            originals: originals.map(|directory| (path_of(directory), next)),
        };
        journal.flush();
        Ok((journal, keeper))
    }

    /// What the earlier runs that it continues saw.
    pub fn take_earlier(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.earlier)
    }

    /// Where the earlier runs that it continues kept originals, and the first number that none of
    /// these has.
    pub fn originals(&self) -> Option<(PathBuf, u64)> {
        self.originals.clone()
    }

    /// The descriptor that it is written through.
    pub fn descriptor(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// Starts the thread that brings to the disk what was written.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start_syncing(&mut self) -> io::Result<()> {
        let (sync, asked) = bounded(1);
        let (file, path) = (Arc::clone(&self.file), self.path.clone());
        std::thread::Builder::new()
            .name("journal-sync".to_owned())
            .spawn(move || sync_all(&file, &path, &asked))?;
        self.sync = Some(sync);
        self.ask_to_sync();
        Ok(())
    }

    /// Writes what was seen.
    pub fn write_events(&mut self, events: &[Event]) {
        for event in events {
            self.add(&Line::Event(event.clone()));
        }
        self.flush();
    }

    /// Writes that all has ended.
    pub fn write_end(&mut self, status: u8) {
        self.add(&Line::End { status });
        self.flush();
    }

    fn add(&mut self, line: &Line) {
        // Each line of ours has a form in JSON.
        let _ = write_line(line, &mut self.pending);
    }

    fn flush(&mut self) {
        let mut written = 0;
        while let Some(rest) = self.pending.get(written..).filter(|rest| !rest.is_empty()) {
            match (&**self.file).write(rest) {
                Ok(0) => self.fail(&io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    written += count;
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => self.fail(&error),
            }
            break;
        }
        self.pending.drain(..written);
        if self.pending.is_empty() && self.is_failing {
            self.is_failing = false;
            tracing::info!("the journal {} is complete again", self.path.display());
        }
        if written > 0 {
            self.ask_to_sync();
        }
    }

    fn fail(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.is_failing, true) {
            tracing::warn!("{}", failure(&self.path, error));
        }
    }

    fn ask_to_sync(&self) {
        if let Some(sync) = &self.sync {
            // One that is asked already syncs this too.
            let _ = sync.try_send(());
        }
    }
}

/// The journal's failure in a line. The trace goes on.
pub fn failure(path: &Path, error: &io::Error) -> String {
    let remedy = match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOSPC | Errno::EDQUOT) => "free some space, and it is written after all",
        Some(Errno::EFBIG) => "raise the file size limit (ulimit -f)",
        _ => "choose another place with --journal FILE",
    };
    format!(
        "cannot write the journal {}: {error}; the trace goes on, and its outputs are written at \
         the end, but what was seen is lost if it is killed: {remedy}",
        path.display()
    )
}

fn sync_all(file: &File, path: &Path, asked: &Receiver<()>) {
    let is_failing = AtomicBool::new(false);
    // Its name has to last as well.
    let directory = path
        .parent()
        .map(|parent| match parent.as_os_str().is_empty() {
            true => Path::new("."),
            false => parent,
        });
    if let Some(Ok(directory)) = directory.map(File::open) {
        let _ = directory.sync_all();
    }
    for () in asked {
        if let Err(error) = file.sync_data()
            && !is_failing.swap(true, Ordering::Relaxed)
        {
            tracing::warn!("{}", failure(path, &error));
        }
        std::thread::sleep(SYNC_INTERVAL);
    }
}

impl Keeper {
    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The outputs are there: a journal that the user named says so, another one is not needed
    /// any more.
    pub fn outputs_written(self) {
        if !self.is_named {
            self.remove();
            return;
        }
        let mut text = Vec::new();
        let written = write_line(&Line::Packed {}, &mut text)
            .map_err(io::Error::from)
            .and_then(|()| (&**self.file).write_all(&text));
        if let Err(error) = written {
            tracing::warn!("{}", failure(&self.path, &error));
        }
    }

    /// The command could not be run, so there is nothing in it.
    pub fn nothing_ran(self) {
        if !self.is_continued {
            self.remove();
        }
    }

    fn remove(self) {
        if let Err(error) = fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!("cannot remove the journal {}: {error}", self.path.display());
        }
    }
}

/// What an earlier run left.
#[derive(Default)]
struct Found {
    events: Vec<Event>,
    is_torn: bool,
    originals: Option<ByteString>,
}

/// The number of a copy.
fn saved(event: &Event) -> Option<u64> {
    match event {
        Event::Kept(original) => match original.body {
            Body::Saved { file, .. } => Some(file),
            _ => None,
        },
        _ => None,
    }
}

fn path_of(ByteString(bytes): ByteString) -> PathBuf {
    OsString::from_vec(bytes).into()
}

type Claimed = (Arc<Flock<File>>, PathBuf, Option<Found>);

/// Opens and locks a journal of our own at `path`, or, where a running micropacker writes there,
/// beside it.
fn claim(path: &Path, header: &Header) -> io::Result<Claimed> {
    let mut path = path.to_owned();
    loop {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        let file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => file,
            Err((_, Errno::EWOULDBLOCK)) => {
                let beside = free_name(&path)?;
                tracing::warn!(
                    "another micropacker writes the journal {}: this one's is {}",
                    path.display(),
                    beside.display()
                );
                path = beside;
                continue;
            }
            Err((_, errno)) => return Err(errno.into()),
        };
        // Its owner may have removed or renamed it in between.
        let opened = file.metadata()?;
        match fs::metadata(&path) {
            Ok(now) if (now.dev(), now.ino()) == (opened.dev(), opened.ino()) => {}
            _ => continue,
        }
        if opened.len() == 0 {
            return Ok((Arc::new(file), path, None));
        }
        let mut events = Vec::new();
        let contents = contents(&file, &mut events)?;
        if let Some(contents) = contents.filter(|contents| goes_on(contents, header)) {
            tracing::info!(
                "the journal {} holds {} events of a run of this container that did not finish: \
                 its recording goes on",
                path.display(),
                contents.events
            );
            let found = Found {
                events,
                is_torn: contents.is_torn,
                originals: contents.header.and_then(|header| header.originals),
            };
            return Ok((Arc::new(file), path, Some(found)));
        }
        let aside = free_name(&path)?;
        fs::rename(&path, &aside)?;
        tracing::warn!(
            "an earlier journal lies at {}: it is {} now",
            path.display(),
            aside.display()
        );
    }
}

/// `None` for a file that is no journal, or not one that can be read here.
fn contents(mut file: &File, events: &mut Vec<Event>) -> io::Result<Option<Contents>> {
    file.rewind()?;
    let mut take = |seen| {
        if let Seen::Event(event) = seen {
            events.push(event);
        }
    };
    match read(&mut BufReader::new(file), &mut take) {
        Ok(contents) => Ok(Some(contents)),
        Err(JournalError::Io(error)) => Err(error),
        Err(_) => Ok(None),
    }
}

/// Whether a run that begins so is one more of the same container, after one whose outputs were
/// not written. Elsewhere nothing tells whether the files are still those that were seen.
fn goes_on(contents: &Contents, header: &Header) -> bool {
    let same = |found: &Header| {
        header.container.is_some()
            && found.container == header.container
            && found.command.argv == header.command.argv
    };
    !contents.is_packed && contents.header.as_ref().is_some_and(same)
}

/// `NAME.1`, or the first number that is free.
fn free_name(path: &Path) -> io::Result<PathBuf> {
    for number in 1..MAX_ASIDE {
        let mut name = OsString::from(path);
        name.push(format!(".{number}"));
        match fs::symlink_metadata(&name) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(name.into()),
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("too many earlier journals lie beside it"))
}

#[cfg(test)]
mod tests;
