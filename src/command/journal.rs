//! The journal as `run` begins it and as `pack` reads it.

use super::Failure;
use super::profile::ProfileFile;
use super::select::mount_table;
use super::ship::Outputs;
use crate::byte_string::ByteString;
use crate::event::Event;
use crate::exit;
use crate::image_fs::{FileTime, HostFs};
use crate::image_path::ImagePath;
use crate::journal::{
    Contents, FORMAT, Header, Seen, Shape, Start, container_of, looks_like_journal, read,
};
use crate::pack::config::sift_secrets;
use crate::past::settle;
use crate::recorder::Recorder;
use crate::recorder::journal::{Journal, Keeper, failure};
use crate::recording::{Body, Context as RunContext, Original, Recording};
use anyhow::Result;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What `--journal` takes for "none".
const NONE: &str = "none";

/// Opens the journal of a run where it is wanted.
///
/// # Errors
/// When it cannot be opened at a place that the user chose.
pub fn begin(
    wanted: Option<&Path>,
    outputs: &Outputs,
    mut header: Header,
) -> Result<Option<(Journal, Keeper)>> {
    let (path, is_named) = match wanted {
        Some(path) if path == NONE => return Ok(None),
        Some(path) => (path.to_owned(), true),
        None => match default_place(outputs) {
            Some(path) => (path, false),
            None => return Ok(None),
        },
    };
    // Where we pack may be elsewhere by then.
    let path = std::path::absolute(&path).unwrap_or(path);
    header.own = outputs.own(Path::new("/"), std::slice::from_ref(&path));
    match Journal::open(&path, is_named, &header) {
        Ok(opened) => Ok(Some(opened)),
        Err(error) if is_named => {
            let message = format!(
                "cannot open the journal {}: {error}; choose another place, or --journal none",
                path.display()
            );
            Err(Failure::new(exit::OUTPUT, message).into())
        }
        Err(error) => {
            tracing::warn!("{}", failure(&path, &error));
            Ok(None)
        }
    }
}

/// `OUTPUT.journal`; none beside a stream or a device.
fn default_place(outputs: &Outputs) -> Option<PathBuf> {
    if !outputs.rootfs_is_a_file() {
        return None;
    }
    let mut name = OsString::from(outputs.rootfs.file_name()?);
    name.push(".journal");
    Some(outputs.rootfs.with_file_name(name))
}

/// What a run begins with, but for where it is written.
///
/// # Errors
/// When the mount table cannot be read.
pub fn header(
    context: &RunContext,
    shape: Shape,
    originals: &Path,
    started: Option<FileTime>,
) -> Result<Header> {
    let keep = |name: &str| shape.keep_env.iter().any(|kept| kept == name);
    let (env, secrets) = sift_secrets(&context.env, &keep);
    let sifted = RunContext {
        env,
        ..context.clone()
    };
    let mounts = mount_table()?;
    Ok(Header {
        format: FORMAT,
        micropacker: env!("CARGO_PKG_VERSION").to_owned(),
        container: container_of(&mounts),
        command: Start::new(&sifted, secrets),
        mounts: ByteString(mounts),
        originals: Some(ByteString(originals.as_os_str().as_bytes().to_vec())),
        started,
        own: Vec::new(),
        shape,
    })
}

/// What journals hold, put together.
pub struct Recovered {
    /// Everything that was seen.
    pub recorder: Recorder,
    /// What the last of them began with.
    pub header: Option<Header>,
    /// Micropacker's own files, of all of them.
    pub own: Vec<ImagePath>,
}

/// Reads journals, and tells what is not intact in them.
///
/// # Errors
/// Names the first that is none, or cannot be read.
pub fn recover(files: &[PathBuf], profile: &ProfileFile) -> Result<Recovered> {
    let mut recovered = Recovered {
        recorder: Recorder::default(),
        header: None,
        own: Vec::new(),
    };
    for file in files {
        let failed = |error: &dyn std::fmt::Display| {
            let message = format!("cannot take the journal {}: {error}", file.display());
            Failure::new(exit::USAGE, message)
        };
        let opened = File::open(file).map_err(|error| failed(&error))?;
        let mut reader = BufReader::with_capacity(1 << 20, opened);
        let is_last = Some(file) == files.last();
        let mut counted = false;
        let mut take = |seen| match seen {
            Seen::Run => recovered.recorder.begin_run(),
            Seen::Event(event @ Event::Called { .. }) => {
                counted = true;
                recovered.recorder.record(event);
            }
            Seen::Event(event) if is_last => recovered.recorder.record(event),
            Seen::Event(event) => recovered.recorder.record(without_copies(event)),
        };
        let contents = read(&mut reader, &mut take).map_err(|error| failed(&error))?;
        tell(file, &contents);
        profile.require(file, counted)?;
        if let Some(header) = contents.header {
            recovered.own.extend(header.own.iter().cloned());
            recovered.header = Some(header);
        }
    }
    Ok(recovered)
}

/// Copies are known by their numbers, and those of one journal alone.
fn without_copies(event: Event) -> Event {
    match event {
        Event::Kept(mut original) => {
            forget_copy(&mut original, "only the last journal's copies are taken");
            Event::Kept(original)
        }
        other => other,
    }
}

fn forget_copy(original: &mut Original, why: &str) {
    if matches!(original.body, Body::Saved { .. }) {
        original.body = Body::Unsaved(why.to_owned());
    }
}

/// Makes of what was recorded what holds for the files that are packed now. Gives the directory of
/// the copies of changed files, and when the trace began where that tells something of them.
pub fn apply_to_files(
    recording: &mut Recording,
    header: &Header,
    journal: &Path,
    root: &Path,
) -> (PathBuf, Option<FileTime>) {
    let here = mount_table().ok().and_then(|table| container_of(&table));
    let is_here = root == Path::new("/") && here == header.container;
    let directory = copies(header, journal);
    if !is_here {
        recording.context.began = None;
        let has_copy = |file: u64| directory.join(file.to_string()).exists();
        settle(recording, &HostFs::new(root), &has_copy);
    }
    if !directory.is_dir() {
        let why = format!("its copy in {} is not there", directory.display());
        for original in recording.originals.values_mut() {
            forget_copy(original, &why);
        }
    }
    (directory, header.started.filter(|_| is_here))
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

/// The words that pack what a journal holds.
pub fn remedy(keeper: &Keeper, outputs: &Outputs) -> String {
    let artifacts = outputs.artifacts.as_ref();
    let artifacts = artifacts.map(|directory| format!(" --artifacts {}", directory.display()));
    format!(
        "the recording is safe in {path}: when the cause is removed, 'micropacker pack --journal \
         {path} -o {output}{artifacts}' writes the outputs",
        path = keeper.path().display(),
        output = outputs.rootfs.display(),
        artifacts = artifacts.as_deref().unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_numbers_are_told_in_ranges() {
        assert_eq!(ranges(&[3]), "3");
        assert_eq!(ranges(&[3, 7, 8, 9, 11]), "3, 7-9, 11");
        let many: Vec<u64> = (0..40).map(|number| number * 2).collect();
        assert!(ranges(&many).ends_with("18, …"));
    }

    #[test]
    fn the_journal_lies_beside_a_regular_output_only() {
        let outputs = |rootfs: &str| Outputs {
            ahead: Default::default(),
            rootfs: rootfs.into(),
            artifacts: None,
            tag: None,
            keep_env: Vec::new(),
            hurry: Default::default(),
            image: Default::default(),
        };
        let place = default_place(&outputs("/out/x.tar"));
        assert_eq!(place.as_deref(), Some(Path::new("/out/x.tar.journal")));
        for stream in ["-", "/dev/null"] {
            assert_eq!(default_place(&outputs(stream)), None);
        }
    }
}
