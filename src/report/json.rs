//! The report as JSON: an entry a line, so that line-wise tools are of use too.

use super::model::{Recorded, Report, SCHEMA};
use serde::Serialize;
use std::io::{self, Write};
use thiserror::Error;

/// Why a text is no report that we can read.
#[derive(Debug, Error)]
pub enum ReportError {
    /// It is something else.
    #[error("it is no report of micropacker's: {0}")]
    Other(serde_json::Error),
    /// It is newer than we are.
    #[error("it is a report of form {0}, and this micropacker knows {SCHEMA}: use the newer one")]
    Newer(u32),
}

/// How each report begins.
const BEGINNING: &[u8] = b"{\"schema\":";

impl Report {
    /// Writes it, deterministic.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let Recorded {
            uses,
            execs,
            created,
            processes,
            calls,
            ports,
            losses,
        } = &self.recording;
        out.write_all(BEGINNING)?;
        write!(out, "{}", self.schema)?;
        field(out, "tool", &self.tool)?;
        field(out, "command", &self.command)?;
        field(out, "engine", &self.engine)?;
        field(out, "milliseconds", &self.milliseconds)?;
        field(out, "image", &self.image)?;
        list(out, ",\n", "entries", &self.entries)?;
        list(out, ",\n", "excluded", &self.excluded)?;
        list(out, ",\n", "mounts", &self.mounts)?;
        list(out, ",\n", "packages", &self.packages)?;
        list(out, ",\n", "packages_dropped", &self.packages_dropped)?;
        list(out, ",\n", "languages", &self.languages)?;
        list(out, ",\n", "losses", &self.losses)?;
        out.write_all(b",\n\"recording\":{")?;
        list(out, "\n", "uses", uses)?;
        list(out, ",\n", "execs", execs)?;
        list(out, ",\n", "created", created)?;
        list(out, ",\n", "processes", processes)?;
        if !calls.is_empty() {
            list(out, ",\n", "calls", calls)?;
        }
        list(out, ",\n", "ports", ports)?;
        list(out, ",\n", "losses", losses)?;
        out.write_all(b"}}\n")
    }

    /// Reads one; fields that are not known are passed over.
    ///
    /// # Errors
    /// [`ReportError`].
    pub fn read(text: &[u8]) -> Result<Self, ReportError> {
        #[derive(serde::Deserialize)]
        struct Form {
            schema: u32,
        }
        let form: Form = serde_json::from_slice(text).map_err(ReportError::Other)?;
        if form.schema > SCHEMA {
            return Err(ReportError::Newer(form.schema));
        }
        serde_json::from_slice(text).map_err(ReportError::Other)
    }

    /// Whether a text begins as a report does, however it was formatted since: no path that a
    /// list could name does.
    pub fn is_one(text: &[u8]) -> bool {
        let mut dense = text.iter().filter(|byte| !byte.is_ascii_whitespace());
        BEGINNING.iter().all(|byte| dense.next() == Some(byte))
    }
}

fn field(out: &mut dyn Write, name: &str, value: &impl Serialize) -> io::Result<()> {
    write!(out, ",\n\"{name}\":")?;
    serde_json::to_writer(out, value).map_err(Into::into)
}

fn list<T: Serialize>(
    out: &mut dyn Write,
    before: &str,
    name: &str,
    items: &[T],
) -> io::Result<()> {
    write!(out, "{before}\"{name}\":[")?;
    for (index, item) in items.iter().enumerate() {
        out.write_all(if index == 0 { b"\n" } else { b",\n" })?;
        serde_json::to_writer(&mut *out, item)?;
    }
    out.write_all(b"]")
}
