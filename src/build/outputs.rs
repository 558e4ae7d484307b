//! The outputs on this machine: each has its name there only when it is whole.

use super::site::Site;
use super::trouble::Trouble;
use crate::report::Report;
use std::fs;
use std::path::{Path, PathBuf};

/// What is loaded.
pub const IMAGE: &str = "image.tar";
/// What tells of the image.
pub const REPORT: &str = "report.json";

/// The directory for the outputs, and one below it for what is not whole yet.
pub struct Outputs {
    directory: PathBuf,
    fresh: PathBuf,
    /// What was not there, the innermost first.
    made: Vec<PathBuf>,
}

impl Outputs {
    /// Makes the directory.
    ///
    /// # Errors
    /// Names it.
    pub fn new(directory: &Path) -> Result<Self, Trouble> {
        let fresh = directory.join(format!(".fresh.{}", std::process::id()));
        let above = directory.ancestors().filter(|one| *one != Path::new(""));
        let made = above.take_while(|one| !one.exists()).map(Path::to_owned);
        let made = made.collect();
        fs::create_dir_all(&fresh).map_err(|error| {
            Trouble::output(format!(
                "cannot make {}: {error}; give --artifacts a directory that can be written",
                fresh.display()
            ))
        })?;
        Ok(Self {
            directory: directory.to_owned(),
            fresh,
            made,
        })
    }

    /// Takes a directory of the volume over, through a container.
    ///
    /// # Errors
    /// When there are no whole outputs in there, or they cannot be written here.
    pub fn take(&self, site: &Site, id: &str, from: &str) -> Result<Report, Trouble> {
        site.fetch(id, from, &self.fresh)?;
        let path = self.fresh.join(REPORT);
        let report = read_report(&path)?;
        let cannot = |path: &Path, error| {
            Trouble::output(format!("cannot write {}: {error}", path.display()))
        };
        let entries = fs::read_dir(&self.fresh).map_err(|error| cannot(&self.fresh, error))?;
        for entry in entries.flatten() {
            let target = self.directory.join(entry.file_name());
            fs::rename(entry.path(), &target).map_err(|error| cannot(&target, error))?;
        }
        Ok(report)
    }

    /// A file among the outputs.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// A file that is read and thrown away.
    ///
    /// # Errors
    /// When it is not there.
    pub fn read_once(
        &self,
        site: &Site,
        id: &str,
        from: &str,
        name: &str,
    ) -> Result<Vec<u8>, Trouble> {
        let inside = self.fresh.join(from);
        let cannot = |error| Trouble::output(format!("cannot read {name}: {error}"));
        fs::create_dir_all(&inside).map_err(cannot)?;
        site.fetch(id, from, &inside)?;
        let content = fs::read(inside.join(name)).map_err(cannot);
        let _ = fs::remove_dir_all(&inside);
        content
    }

    /// Writes what tells of the build beside the outputs.
    pub fn keep(&self, name: &str, text: &[u8]) {
        let path = self.path(name);
        if let Err(error) = fs::write(&path, text) {
            tracing::warn!("cannot write {}: {error}", path.display());
        }
    }
}

impl Drop for Outputs {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.fresh);
        for directory in &self.made {
            // It fails where something came of it.
            let _ = fs::remove_dir(directory);
        }
    }
}

/// Reads a report.
///
/// # Errors
/// Names the file.
pub fn read_report(path: &Path) -> Result<Report, Trouble> {
    let wrong = |error: &dyn std::fmt::Display| {
        Trouble::output(format!("cannot read {}: {error}", path.display()))
    };
    let text = fs::read(path).map_err(|error| wrong(&error))?;
    Report::read(&text).map_err(|error| wrong(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_directories_in_which_nothing_came_to_be_are_removed() {
        let place = tempfile::tempdir().expect("a directory");
        let outer = place.path().join("a");
        drop(Outputs::new(&outer.join("b/c")).expect("made"));
        assert!(!outer.exists());
        assert!(place.path().exists());
        let outputs = Outputs::new(&outer.join("b/c")).expect("made");
        outputs.keep("x.log", b"x");
        drop(outputs);
        let names = fs::read_dir(outer.join("b/c")).expect("it is there");
        assert_eq!(names.count(), 1);
    }
}
