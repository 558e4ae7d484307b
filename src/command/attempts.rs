//! A second attempt at the outputs, where an entry did not stay what it was when it was resolved.
//!
//! Others than the application may remove or change a file between two looks at it: a temporary
//! file of a process that nobody followed, which only the log of opened files names.

use super::progress::Progress;
use super::ship::{Artifacts, Outputs};
use super::told::check_failures;
use crate::image_fs::ImageFs;
use crate::manifest::Manifest;
use crate::pack::{LayerSummary, PackError};
use crate::recording::Recording;
use crate::resolve::{Options, resolve};
use anyhow::Result;

/// Whether another attempt may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// What does not hold still is packed again.
    First,
    /// A file that is written to all the time is packed as it is.
    Last,
}

impl Attempt {
    /// Whether what was written is to be kept.
    ///
    /// # Errors
    /// Names a file that was changed while it was packed, where it may be packed again.
    pub fn accept(self, layer: &LayerSummary) -> Result<()> {
        match layer.changed.first() {
            Some(path) if self == Self::First => Err(PackError::Changed(path.clone()).into()),
            _ => Ok(()),
        }
    }
}

/// Writes what one manifest says.
pub type Write =
    dyn Fn(&dyn ImageFs, &Recording, &Manifest, &Outputs, Attempt) -> Result<Artifacts>;

/// Plans the image and writes it; both once more, from the tree as it is then, where an entry
/// vanished or changed in between. What went to a stream cannot be taken back: there is one
/// attempt. Gives the plan that was written, or could not be.
pub fn resolve_and_write(
    fs: &dyn ImageFs,
    recording: &Recording,
    options: &Options,
    outputs: &Outputs,
    progress: &Progress,
    write: &Write,
) -> (Manifest, Result<Artifacts>) {
    let attempt = |which| {
        progress.resolving(recording.uses.len());
        let manifest = resolve(fs, recording, options);
        progress.packing(&manifest);
        let watched = progress.watch(fs);
        let written = check_failures(&manifest)
            .and_then(|()| write(&watched, recording, &manifest, outputs, which));
        (manifest, written)
    };
    if !outputs.rootfs_is_a_file() {
        return attempt(Attempt::Last);
    }
    match attempt(Attempt::First) {
        (_, Err(error)) if is_change(&error) => {
            tracing::debug!("{}; packing again", super::one_line(&error));
            attempt(Attempt::Last)
        }
        done => done,
    }
}

fn is_change(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<PackError>();
    error.is_some_and(PackError::is_change)
}

#[cfg(test)]
mod tests;
