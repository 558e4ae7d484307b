//! Journals as `pack` reads them: put together, and made to hold for the files that are packed.

use super::Failure;
use super::copies::Copies;
use super::profile::ProfileFile;
use super::select::mount_table;
use crate::byte_string::ByteString;
use crate::exit;
use crate::image_fs::{FileTime, HostFs};
use crate::image_path::ImagePath;
use crate::journal::{Contents, Header, Seen, container_of, looks_like_journal, read};
use crate::past::settle;
use crate::recorder::{Recorder, is_in};
use crate::recording::Recording;
use anyhow::Result;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What journals hold, put together.
#[derive(Default)]
pub struct Recovered {
    /// Everything that was seen.
    pub recording: Recording,
    /// What the last of them began with.
    pub header: Option<Header>,
    /// Micropacker's own files, of all of them.
    pub own: Vec<ImagePath>,
    /// Where the copies of changed files are.
    pub copies: Copies,
    /// When the last trace began, where that tells something of the files that are packed.
    pub started: Option<FileTime>,
}

/// What was seen in one container: journals of the same one follow each other.
#[derive(Default)]
struct Container {
    seen: Recording,
    header: Option<Header>,
}

/// Reads journals, and tells what is not intact in them. `note` hears of each the command that it
/// traced.
///
/// # Errors
/// Names the first that is none, or cannot be read.
pub fn recover(
    files: &[PathBuf],
    root: &Path,
    profile: &ProfileFile,
    mut note: impl FnMut(&Path, Vec<Vec<u8>>),
) -> Result<Recovered> {
    let mut recovered = Recovered::default();
    let mut container = Container::default();
    for file in files {
        let failed = |error: &dyn std::fmt::Display| {
            let message = format!("cannot take the journal {}: {error}", file.display());
            Failure::new(exit::USAGE, message)
        };
        let opened = File::open(file).map_err(|error| failed(&error))?;
        let mut reader = BufReader::with_capacity(1 << 20, opened);
        let mut recorder = Recorder::default();
        let mut take = |seen| match seen {
            Seen::Run => recorder.begin_run(),
            Seen::Event(event) => recorder.record(event),
        };
        let contents = read(&mut reader, &mut take).map_err(|error| failed(&error))?;
        tell(file, &contents);
        let mut seen = recorder.finish();
        profile.require(file, !seen.calls.is_empty())?;
        let header = contents.header;
        let directory = header.as_ref().map(|header| copies(header, file));
        recovered
            .copies
            .add(directory.unwrap_or_default(), &mut seen);
        if let Some(header) = &header {
            note(file, header.command.context().argv);
            recovered.own.extend(header.own.iter().cloned());
        }
        if !container.goes_on(header.as_ref()) {
            recovered.add(std::mem::take(&mut container), root);
        }
        container.add(seen, header);
    }
    recovered.add(container, root);
    Ok(recovered)
}

impl Container {
    fn goes_on(&self, header: Option<&Header>) -> bool {
        match (&self.header, header) {
            (Some(before), Some(now)) => before.container == now.container,
            _ => false,
        }
    }

    /// Adds a later run in the same container: what it found changed is no original, nor is what
    /// the runs before made.
    fn add(&mut self, mut seen: Recording, header: Option<Header>) {
        let created = &self.seen.created;
        seen.originals.retain(|path, _| !is_in(created, path));
        self.seen.merge(seen);
        self.header = header.or(self.header.take());
    }
}

impl Recovered {
    /// Adds another container. What the last one tells of a changed file counts: it is the
    /// likeliest to be the one that is packed.
    fn add(&mut self, container: Container, root: &Path) {
        let Container { mut seen, header } = container;
        let is_here = header.as_ref().is_none_or(|header| is_here(header, root));
        if !is_here {
            let has_copy = |file| self.copies.has(file);
            settle(&mut seen, &HostFs::new(root), &has_copy);
        }
        self.copies.forget_missing(&mut seen);
        let is_told_again = |path: &ImagePath| seen.originals.contains_key(path);
        let known = &mut self.recording;
        known.originals.retain(|path, _| !is_told_again(path));
        known.moved.retain(|path, _| !is_told_again(path));
        known.merge(seen);
        if let Some(header) = header {
            known.context = header.command.context();
            known.context.began = known.context.began.filter(|_| is_here);
            self.started = header.started.filter(|_| is_here);
            self.header = Some(header);
        }
    }
}

/// Whether the files that are packed are those of the container that was traced.
fn is_here(header: &Header, root: &Path) -> bool {
    let here = mount_table().ok().and_then(|table| container_of(&table));
    root == Path::new("/") && here == header.container
}

/// Where the copies of changed files are: beside the journal, which may have been brought here
/// from elsewhere, or where they were made.
fn copies(header: &Header, journal: &Path) -> PathBuf {
    let made = header.originals.as_ref();
    let made = made.map(|ByteString(bytes)| PathBuf::from(OsStr::from_bytes(bytes)));
    let made = made.unwrap_or_default();
    let beside = made.file_name().map(|name| journal.with_file_name(name));
    beside.filter(|beside| beside.is_dir()).unwrap_or(made)
}

/// Whether an input of `pack` is a journal.
pub fn is_journal(file: &Path) -> bool {
    let mut beginning = Vec::new();
    let read = File::open(file).and_then(|file| file.take(64).read_to_end(&mut beginning));
    read.is_ok() && looks_like_journal(&beginning)
}

fn tell(file: &Path, contents: &Contents) {
    let file = file.display();
    let end = match contents.status {
        Some(status) => format!("its command ended with status {status}"),
        None => "it does not come to the end of its run".to_owned(),
    };
    let runs = match contents.runs {
        0 | 1 => String::new(),
        runs => format!(" of {runs} runs"),
    };
    tracing::info!("{file}: {} events{runs}; {end}", contents.events);
    if contents.is_torn {
        tracing::warn!("{file}: its last line is torn: what was being written then is lost");
    }
    if !contents.damaged.is_empty() {
        tracing::warn!(
            "{file}: {} lines are damaged and lost: {}",
            contents.damaged.len(),
            ranges(&contents.damaged)
        );
    }
    for (name, lines) in &contents.unknown {
        tracing::warn!(
            "{file}: '{name}' on {} lines is not known to this version and passed over: {}; use \
             the version that wrote it",
            lines.len(),
            ranges(lines)
        );
    }
    if contents.header.is_none() {
        tracing::warn!(
            "{file}: the line that tells of the command is damaged: its image has no ENTRYPOINT, \
             ENV, WORKDIR and USER, and the options of that run have to be given again"
        );
    }
}

/// `3, 7-9`; only the first of very many.
fn ranges(numbers: &[u64]) -> String {
    const SHOWN: usize = 10;
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => ranges.push((*number, *number)),
        }
    }
    let shown = ranges
        .iter()
        .take(SHOWN)
        .map(|(first, last)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        });
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if ranges.len() > SHOWN {
        text.push_str(", …");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::journal::header;
    use super::*;
    use crate::image_fs::{ImageFs, MemFs};
    use crate::journal::Shape;
    use crate::recording::{Body, Context, Original};

    #[test]
    fn line_numbers_are_told_in_ranges() {
        assert_eq!(ranges(&[3]), "3");
        assert_eq!(ranges(&[3, 7, 8, 9, 11]), "3, 7-9, 11");
        let many: Vec<u64> = (0..40).map(|number| number * 2).collect();
        assert!(ranges(&many).ends_with("18, …"));
    }

    /// A container in which this file was changed, after its copy was made as the number 3.
    fn container(name: &str, path: &ImagePath, copies: &mut Copies, spool: &Path) -> Container {
        let mut header = header(&Context::default(), Shape::default(), spool, None).expect("read");
        header.container = Some(name.to_owned());
        let original = Original {
            path: path.clone(),
            meta: MemFs::new().file("/x", "").lstat(path).expect("there"),
            xattrs: Vec::new(),
            body: Body::Saved { file: 3, length: 0 },
        };
        let mut seen = Recording::default();
        seen.originals.insert(path.clone(), original);
        copies.add(spool.to_owned(), &mut seen);
        let header = Some(header);
        Container { seen, header }
    }

    #[test]
    fn of_several_containers_the_last_ones_copy_counts() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let root = home.path().join("root");
        let path = ImagePath::new("/x").expect("absolute");
        let mut recovered = Recovered::default();
        std::fs::create_dir(&root).expect("made");
        std::fs::write(root.join("x"), "changed").expect("written");
        for name in ["a", "b"] {
            let spool = home.path().join(name);
            std::fs::create_dir(&spool).expect("made");
            std::fs::write(spool.join("3"), name).expect("written");
            let one = container(name, &path, &mut recovered.copies, &spool);
            recovered.add(one, &root);
        }
        let Body::Saved { file, .. } = recovered.recording.originals[&path].body else {
            panic!("no copy");
        };
        let copy = ImagePath::root().join(file.to_string()).expect("a name");
        assert_eq!(recovered.copies.read(&copy, 9).expect("read"), b"b");
        assert!(recovered.recording.losses.is_empty());
        std::fs::remove_file(home.path().join("b/3")).expect("removed");
        recovered.copies.forget_missing(&mut recovered.recording);
        let loss = recovered.recording.losses.first().expect("told");
        assert!(loss.what.contains("/x") && loss.what.contains("/b is not there"));
    }

    #[test]
    fn what_an_earlier_run_of_the_same_container_changed_or_made_is_no_original() {
        let path = ImagePath::new("/x").expect("absolute");
        let mut copies = Copies::default();
        let spool = Path::new("/none");
        let mut first = container("a", &path, &mut copies, spool);
        let later = container("a", &path, &mut copies, spool);
        assert!(first.goes_on(later.header.as_ref()));
        first.add(later.seen.clone(), later.header);
        let body = Body::Saved { file: 3, length: 0 };
        assert_eq!(first.seen.originals[&path].body, body);
        first.seen.originals.clear();
        first.seen.created.insert(path);
        first.add(later.seen, None);
        assert!(first.seen.originals.is_empty());
        let other = container(
            "b",
            &ImagePath::new("/x").expect("absolute"),
            &mut copies,
            spool,
        );
        assert!(!first.goes_on(other.header.as_ref()));
    }
}
