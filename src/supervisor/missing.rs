//! What was asked for and was not there, written down: what an image lacks is among it.

use crate::image_path::ImagePath;
use crate::recording::{Access, Origin, Place};
use serde::Serialize;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// A file with a JSON object a line, of the form of `uses` in a report (docs/report.md).
#[derive(Debug)]
pub struct Missing {
    file: File,
    told: HashMap<Place, Access>,
    failed: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "ImagePath::is_root")]
    root: &'a ImagePath,
    path: &'a ImagePath,
    access: Access,
    first: &'a Origin,
}

impl Missing {
    /// Makes the file, or empties it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: File::create(path)?,
            told: HashMap::new(),
            failed: false,
        })
    }

    /// Writes a path down, each way of asking for it once; at once, since nobody may live to do so
    /// later.
    pub fn note(&mut self, place: &Place, access: Access, origin: &Origin) {
        let told = self.told.entry(place.clone()).or_default();
        if *told != Access::default() && told.covers(access) {
            return;
        }
        *told |= access;
        let line = Line {
            root: &place.root,
            path: &place.path,
            access,
            first: origin,
        };
        let written = serde_json::to_vec(&line)
            .map_err(io::Error::other)
            .and_then(|line| self.file.write_all(&[line.as_slice(), b"\n"].concat()));
        if let Err(error) = written
            && !std::mem::replace(&mut self.failed, true)
        {
            tracing::warn!("what is missing cannot be written down: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_of_asking_is_written_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("missing");
        let mut missing = Missing::create(&file).expect("made");
        let place = Place::at(ImagePath::new("/etc/x").expect("absolute"));
        let origin = Origin {
            pid: 7,
            program: None,
            call: "openat".into(),
        };
        for access in [Access::PROBE, Access::OPEN, Access::OPEN, Access::PROBE] {
            missing.note(&place, access, &origin);
        }
        let text = std::fs::read_to_string(&file).expect("text");
        let first = r#"{"path":"/etc/x","access":["probe"],"first":{"pid":7,"program":null,"call":"openat"}}"#;
        assert_eq!(text.lines().count(), 2);
        assert_eq!(text.lines().next(), Some(first));
    }
}
