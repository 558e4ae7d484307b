//! `--seccomp-profile`: an output of its own, made of the system calls that were seen.

use super::Failure;
use super::ship::write_whole;
use crate::exit;
use crate::image_path::ImagePath;
use crate::pack::Output;
use crate::recording::Recording;
use crate::report::seccomp::profile;
use anyhow::Result;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where the profile goes, if one is wanted.
#[derive(Clone, Debug, Default)]
pub struct ProfileFile(Option<PathBuf>);

impl ProfileFile {
    /// Tries it now.
    ///
    /// # Errors
    /// Names it and the remedy.
    pub fn new(wanted: Option<&Path>) -> Result<Self> {
        let Some(path) = wanted else {
            return Ok(Self(None));
        };
        Output::create(path)?;
        Ok(Self(Some(std::path::absolute(path)?)))
    }

    /// The file itself.
    pub fn path(&self) -> Option<&Path> {
        self.0.as_deref()
    }

    /// Where it lies in the image, if it does.
    pub fn own(&self) -> Option<ImagePath> {
        ImagePath::new(self.path()?.as_os_str().as_bytes())
    }

    /// Writes it, and tells what it lacks. Gives how many different things that are.
    ///
    /// # Errors
    /// Names the file and the remedy.
    pub fn write(&self, recording: &Recording) -> Result<usize> {
        let Some(path) = self.path() else {
            return Ok(0);
        };
        let profile = profile(&recording.calls);
        for problem in &profile.problems {
            tracing::warn!("{problem}");
        }
        write_whole(path, &profile.text)?;
        tracing::info!(
            "seccomp profile: {} system calls were seen, in {}; what was not called while it was \
             traced is refused",
            profile.seen,
            path.display()
        );
        Ok(profile.problems.len())
    }

    /// Of inputs that were recorded before: each must have counted system calls.
    ///
    /// # Errors
    /// Names the first that has not.
    pub fn require(&self, input: &Path, counted: bool) -> Result<()> {
        if self.0.is_none() || counted {
            return Ok(());
        }
        let message = format!(
            "no seccomp profile can be made of {}: it holds no system calls; trace with \
             --seccomp-profile",
            input.display()
        );
        Err(Failure::new(exit::USAGE, message).into())
    }
}
