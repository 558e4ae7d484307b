//! What `pack` is given: lists, journals and reports, put together.

use super::profile::ProfileFile;
use super::recover::{Recovered, recover};
use super::{Failure, current_directory, variable};
use crate::exit;
use crate::image_fs::{FileKind, HostFs, ImageFs};
use crate::image_path::ImagePath;
use crate::manifest::Reason;
use crate::recording::Recording;
use crate::report::Report;
use crate::report::model::Item;
use crate::resolve::from_list;
use anyhow::Result;
use std::fs;
use std::path::{Path, PathBuf};

/// Where inputs are read over, and what they have to hold.
pub struct Inputs<'a> {
    /// The tree that is packed.
    pub root: &'a Path,
    /// Each input must hold what it is made of.
    pub profile: &'a ProfileFile,
    /// The commands that were traced, and which input told of each.
    commands: Vec<(PathBuf, Vec<Vec<u8>>)>,
    /// The files of the images that reports tell of.
    reported: Vec<(PathBuf, Vec<Item>)>,
}

impl<'a> Inputs<'a> {
    /// None yet.
    pub fn new(root: &'a Path, profile: &'a ProfileFile) -> Self {
        Self {
            root,
            profile,
            commands: Vec::new(),
            reported: Vec::new(),
        }
    }

    /// Reads all journals.
    ///
    /// # Errors
    /// Names the first that is none, or cannot be read.
    pub fn journals(&mut self, files: &[PathBuf]) -> Result<Recovered> {
        let note = |file: &Path, argv: Vec<Vec<u8>>| self.commands.push((file.to_owned(), argv));
        recover(files, self.root, self.profile, note)
    }

    /// Adds what a file that is no journal names. Whether it is a list: a report knows of each
    /// program what it needs.
    ///
    /// # Errors
    /// When it cannot be read, or is a report that we do not know.
    pub fn add(&mut self, file: &Path, recording: &mut Recording) -> Result<bool> {
        let text = fs::read(file).map_err(|error| {
            let message = format!("cannot read the list {}: {error}", file.display());
            Failure::new(exit::USAGE, message)
        })?;
        let fs = HostFs::new(self.root);
        if Report::is_one(&text) {
            let report = Report::read(&text).map_err(|error| {
                Failure::new(exit::USAGE, format!("{}: {error}", file.display()))
            })?;
            self.profile
                .require(file, !report.recording.calls.is_empty())?;
            self.reported.push((file.to_owned(), files_of(&report)));
            let seen = report.into_recording();
            self.commands
                .push((file.to_owned(), seen.context.argv.clone()));
            recording.merge(seen);
            return Ok(false);
        }
        self.profile.require(file, false)?;
        let cwd = match self.root == Path::new("/") {
            true => current_directory()?,
            false => ImagePath::root(),
        };
        let path = variable("PATH").unwrap_or_default();
        let (listed, told) = from_list(&fs, &text, &path, &cwd);
        if !told.missing.is_empty() {
            tracing::warn!(
                "{}: {} of {} lines name nothing that is there (-d shows them)",
                file.display(),
                told.missing.len(),
                told.taken + told.missing.len()
            );
        }
        for line in &told.missing {
            tracing::trace!("names nothing: {}", line.escape_ascii());
        }
        for (place, used) in listed.uses {
            recording.uses.entry(place).or_insert(used);
        }
        recording.losses.extend(listed.losses);
        Ok(true)
    }

    /// Tells of inputs that traced another command than the one that the image starts.
    pub fn tell_commands(&self, recording: &Recording) {
        let started = &recording.context.argv;
        for (file, argv) in &self.commands {
            if !argv.is_empty() && argv != started {
                tracing::warn!(
                    "{}: it traced '{}', and the image starts '{}': --image-config or --change \
                     'ENTRYPOINT …' tells what it is to start",
                    file.display(),
                    words(argv),
                    words(started)
                );
            }
        }
    }

    /// Tells of files of a report's image that the tree has not, or has others for: it is another
    /// image's, or something has changed them.
    pub fn tell_strangers(&self, fs: &dyn ImageFs) {
        for (report, files) in &self.reported {
            let mut strangers = files.iter().filter(|item| !is_here(item, fs));
            let Some(first) = strangers.next() else {
                continue;
            };
            tracing::warn!(
                "{}: {} of {} files of its image are not here, or not the same, {} for instance: \
                 is it a report of another image? What is here is packed",
                report.display(),
                strangers.count() + 1,
                files.len(),
                first.path
            );
        }
    }
}

fn words(argv: &[Vec<u8>]) -> String {
    let words: Vec<String> = argv
        .iter()
        .map(|word| word.escape_ascii().to_string())
        .collect();
    words.join(" ")
}

/// Files and symlinks but those that we made.
fn files_of(report: &Report) -> Vec<Item> {
    let is_of_image = |item: &&Item| {
        matches!(item.kind, FileKind::Regular | FileKind::Symlink)
            && item.reasons != [Reason::PackageMetadata]
    };
    report.entries.iter().filter(is_of_image).cloned().collect()
}

fn is_here(item: &Item, fs: &dyn ImageFs) -> bool {
    let Ok(meta) = fs.lstat(&item.path) else {
        return false;
    };
    meta.kind == item.kind
        && match item.kind {
            FileKind::Symlink => {
                let target = fs.read_link(&item.path).ok();
                target.as_deref() == item.target.as_ref().map(|target| target.0.as_slice())
            }
            _ => meta.size == item.size,
        }
}
