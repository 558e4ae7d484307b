//! Reading a journal back, however its writer ended: every intact line counts, the others are
//! told by their numbers.

use super::{FORMAT, Header, Line};
use crate::event::Event;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{self, BufRead};
use thiserror::Error;

/// Why a file gives no recording.
#[derive(Debug, Error)]
pub enum JournalError {
    /// It could not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// There is not one intact line of a journal in it.
    #[error("it is no journal of micropacker, or nothing of it is intact")]
    NoJournal,
    /// Its writer was killed within the first line.
    #[error(
        "it ends within its first line: the run was killed before anything was recorded; trace \
         again"
    )]
    OnlyBegun,
    /// It was written in a form that is not known here.
    #[error(
        "it is a journal of format {format}, written by micropacker {micropacker}; this one reads \
         format {FORMAT}: use that version"
    )]
    Format {
        /// The journal's format.
        format: u64,
        /// Who wrote it.
        micropacker: String,
    },
}

/// What a journal tells of a recording, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A run began: what was made before it was there already.
    Run,
    /// Something was seen.
    Event(Event),
}

/// What a journal holds, but for the events.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// What the last run began with. `None` where that line is damaged.
    pub header: Option<Header>,
    /// How many runs began in it: more than one where a container was started again.
    pub runs: u64,
    /// How many events were read.
    pub events: u64,
    /// The command's exit status, where the last run came to its end.
    pub status: Option<u8>,
    /// Whether the last run's outputs were written.
    pub is_packed: bool,
    /// Whether the file ends within a line: that is what was being written at the end.
    pub is_torn: bool,
    /// The numbers of lines whose checksum is wrong, counted from 1, without a torn last one.
    pub damaged: Vec<u64>,
    /// The numbers of intact lines that a newer micropacker wrote and this one does not
    /// understand, by what they call themselves.
    pub unknown: BTreeMap<String, Vec<u64>>,
}

/// Whether a file that begins so is a journal: its first line begins a run.
pub fn looks_like_journal(beginning: &[u8]) -> bool {
    let (sum, rest) = beginning.split_at(beginning.len().min(8));
    sum.len() == 8 && sum.iter().all(u8::is_ascii_hexdigit) && rest.starts_with(b" {\"run\":{")
}

/// Reads a journal from its beginning; `take` gets what was seen in its order.
///
/// # Errors
/// [`JournalError`]; `take` may have been given events by then.
pub fn read(
    journal: &mut dyn BufRead,
    take: &mut dyn FnMut(Seen),
) -> Result<Contents, JournalError> {
    let mut contents = Contents::default();
    let mut number = 0;
    let mut line = Vec::new();
    let mut is_begun = false;
    loop {
        line.clear();
        if journal.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        number += 1;
        let is_whole = line.pop_if(|byte| *byte == b'\n').is_some();
        match intact(&line) {
            Some(text) => contents.take_line(text, number, take)?,
            None if !is_whole => {
                contents.is_torn = true;
                is_begun = number == 1 && looks_like_journal(&line);
            }
            // What ends a torn line before a run goes on.
            None if line.is_empty() => {}
            None => contents.damaged.push(number),
        }
    }
    match contents.is_empty() {
        true if is_begun => Err(JournalError::OnlyBegun),
        true => Err(JournalError::NoJournal),
        false => Ok(contents),
    }
}

/// The text of a line whose checksum is right.
fn intact(line: &[u8]) -> Option<&[u8]> {
    let (sum, rest) = line.split_at_checked(8)?;
    let text = rest.strip_prefix(b" ")?;
    let sum = u32::from_str_radix(std::str::from_utf8(sum).ok()?, 16).ok()?;
    (sum == crc32fast::hash(text)).then_some(text)
}

impl Contents {
    fn is_empty(&self) -> bool {
        self.header.is_none() && self.events == 0 && self.status.is_none() && !self.is_packed
    }

    fn take_line(
        &mut self,
        text: &[u8],
        number: u64,
        take: &mut dyn FnMut(Seen),
    ) -> Result<(), JournalError> {
        match serde_json::from_slice(text) {
            Ok(Line::Event(event)) => {
                self.events += 1;
                take(Seen::Event(event));
            }
            Ok(Line::Run(header)) if header.format == FORMAT => {
                self.runs += 1;
                take(Seen::Run);
                self.header = Some(*header);
                (self.status, self.is_packed) = (None, false);
            }
            Ok(Line::End { status }) => self.status = Some(status),
            Ok(Line::Packed {}) => self.is_packed = true,
            Ok(Line::Run(_)) | Err(_) => {
                let value: Value = serde_json::from_slice(text).unwrap_or_default();
                known_format(&value)?;
                self.unknown
                    .entry(name_of(&value))
                    .or_default()
                    .push(number);
            }
        }
        Ok(())
    }
}

fn known_format(line: &Value) -> Result<(), JournalError> {
    match line["run"]["format"].as_u64() {
        Some(format) if format != u64::from(FORMAT) => Err(JournalError::Format {
            format,
            micropacker: match &line["run"]["micropacker"] {
                Value::String(version) => version.clone(),
                _ => "of an unknown version".to_owned(),
            },
        }),
        _ => Ok(()),
    }
}

/// `event moved`: the names by which a line says what it is.
fn name_of(line: &Value) -> String {
    let first = |value: &Value| value.as_object()?.keys().next().cloned();
    let Some(kind) = first(line) else {
        return "nothing that has a name".to_owned();
    };
    match first(&line[&kind]) {
        Some(event) if kind == "event" => format!("event {event}"),
        _ => kind,
    }
}
