//! Packing again, in a new container of the original image: several runs together, or with what a
//! failing micro image asked for.

use super::call::Call;
use super::outputs::Outputs;
use super::site::{BROUGHT, PLACE, Site};
use super::trial::last_word;
use super::trouble::Trouble;
use crate::image_path::ImagePath;
use crate::manifest::Reason;
use crate::report::Report;
use crate::report::model::{SCHEMA, UsedPath};
use std::collections::BTreeSet;
use std::ffi::OsString;

/// The directory of the volume that these outputs go to.
pub const AGAIN: &str = "again";
/// The directory of the volume in which a failing micro image's wishes are.
pub const ASKED: &str = "asked";
/// The file in it.
pub const WISHES: &str = "missing.jsonl";

/// What is packed together: reports by the name they have among what is brought along.
pub struct Again<'a> {
    /// Where it happens.
    pub site: &'a Site,
    /// ID of the original image.
    pub image: &'a str,
    /// Options of `pack` beside inputs and outputs.
    pub options: Vec<OsString>,
    /// Names of reports, below [`BROUGHT`].
    pub reports: Vec<String>,
}

impl Again<'_> {
    /// A container that can bring files in and out, and will pack when it is started.
    ///
    /// # Errors
    /// What the engine says.
    pub fn make(&self) -> Result<String, Trouble> {
        let mut words: Vec<OsString> = vec!["--network".into(), "none".into()];
        words.extend(self.site.own_options());
        words.extend([self.image.into(), "pack".into()]);
        for report in &self.reports {
            words.extend(["-i".into(), format!("{BROUGHT}/{report}").into()]);
        }
        let place = format!("{PLACE}/{AGAIN}");
        words.extend(["-o".into(), format!("{place}/rootfs.tar").into()]);
        words.extend(["--artifacts".into(), place.into()]);
        words.extend_from_slice(&self.options);
        self.site.create(&words)
    }

    /// Packs in that container.
    ///
    /// # Errors
    /// With what micropacker says in there.
    pub fn pack(&self, id: &str) -> Result<(), Trouble> {
        let engine = &self.site.engine;
        let call = Call {
            limit: None,
            ..engine.call(["start", "--attach", id])
        };
        let done = engine.make(call)?;
        match done.code() {
            0 => Ok(()),
            _ => {
                let log = [done.stdout.as_slice(), &done.stderr].concat();
                let why = last_word(&log).unwrap_or_else(|| done.complaint());
                Err(Trouble::output(format!("packing again failed: {why}")))
            }
        }
    }

    /// Packs, and takes the outputs over.
    ///
    /// # Errors
    /// As [`Self::pack`], and when the outputs cannot be written here.
    pub fn run(&self, outputs: &Outputs) -> Result<Report, Trouble> {
        let id = self.make()?;
        self.pack(&id)?;
        let report = outputs.take(self.site, &id, AGAIN)?;
        self.site.remove(&id);
        Ok(report)
    }
}

/// What a failing run asked for and did not find, as a report of a run that used just that; `None`
/// when there is nothing.
pub fn wishes(lines: &[u8]) -> Option<Report> {
    let lines = lines.split(|byte| *byte == b'\n');
    let uses: Vec<UsedPath> = lines
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect();
    if uses.is_empty() {
        return None;
    }
    let mut report = Report {
        schema: SCHEMA,
        tool: concat!("micropacker ", env!("CARGO_PKG_VERSION")).to_owned(),
        ..Report::default()
    };
    report.recording.uses = uses;
    Some(report)
}

/// A report as a file.
///
/// # Errors
/// When it cannot be put into words.
pub fn text_of(report: &Report) -> Result<Vec<u8>, Trouble> {
    let mut text = Vec::new();
    report
        .write(&mut text)
        .map_err(|error| Trouble::output(format!("cannot write a report: {error}")))?;
    Ok(text)
}

/// What the second report has in its image and the first has not: what was asked for itself, not
/// what that brings along.
pub fn additions(before: &Report, after: &Report) -> Vec<ImagePath> {
    let had: BTreeSet<&ImagePath> = before.entries.iter().map(|entry| &entry.path).collect();
    let new = after
        .entries
        .iter()
        .filter(|entry| !had.contains(&entry.path));
    let asked = new.filter(|entry| {
        let mut reasons = entry.reasons.iter();
        reasons.any(|reason| matches!(reason, Reason::Used { .. } | Reason::Executed))
    });
    asked.map(|entry| entry.path.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_become_a_report_that_pack_reads() {
        let line = br#"{"path":"/etc/x","access":["open"],"first":{"pid":7,"program":null,"call":"openat"}}"#;
        let lines = [line.as_slice(), b"\n{\"path\":\"torn"].concat();
        let report = wishes(&lines).expect("a wish");
        let text = text_of(&report).expect("text");
        assert!(Report::is_one(&text));
        let read = Report::read(&text).expect("a report");
        assert_eq!(read.recording.uses, report.recording.uses);
        assert_eq!(read.recording.uses.len(), 1);
        assert!(wishes(b"\n").is_none());
    }

    #[test]
    fn what_was_asked_for_is_named_and_not_what_it_brings() {
        let report = |entries: &str| {
            let text = format!(
                r#"{{"schema":1,"tool":"","image":{{"name":"","layer_sha256":"","tar_bytes":0,"bytes":0,
                "distribution":"","packages_before":0,"bytes_before":0}},"entries":[{entries}]}}"#
            );
            Report::read(text.as_bytes()).expect("a report")
        };
        let entry = |path: &str, reason: &str| {
            format!(
                r#"{{"path":"{path}","kind":"regular","mode":"0644","uid":0,"gid":0,"reasons":[{reason}]}}"#
            )
        };
        let used = r#"{"used":{"access":["open"],"first":{"pid":1,"program":null,"call":"open"}}}"#;
        let before = report(&entry("/a", used));
        let after = [
            entry("/a", used),
            entry("/b", used),
            entry("/lib/l", r#"{"needed-by":"/b"}"#),
        ];
        let after = report(&after.join(","));
        let added: Vec<String> = additions(&before, &after)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(added, ["/b"]);
    }
}
