//! Before and after, for people and for programs.

use super::probe::Census;
use crate::report::Report;
use crate::report::model::Item;
use crate::report::text::size;
use serde::Serialize;
use std::fmt::Write;

/// What a build led to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// The original image, as the user called it.
    pub image: String,
    /// The name of the micro image.
    pub tag: String,
    /// Its ID; `null` where it is not verified, and so not there.
    pub id: Option<String>,
    /// Whether it does what the original does.
    pub verified: bool,
    /// What it does otherwise.
    pub differences: Vec<String>,
    /// What it asked for, did not find, and the original has.
    pub missing: Vec<String>,
    /// How often it was packed again with such files.
    pub fixes: u32,
    /// The engine and its version.
    pub engine: String,
    /// How calls were traced.
    pub tracer: Option<String>,
    /// Warnings of the trace.
    pub warnings: Vec<String>,
    /// The exit status of the original, and of the micro image too where that is verified.
    pub exit: i32,
    /// The original.
    pub original: Side,
    /// The micro image.
    pub micro: Side,
    /// How long the exercise took, in seconds: untraced (with `--baseline`), traced, and with the
    /// micro image.
    pub seconds: Seconds,
    /// Where the outputs are.
    pub artifacts: String,
}

/// What an image holds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Side {
    /// As the engine counts it.
    pub bytes: u64,
    /// Without directories.
    pub files: u64,
    /// Of the system.
    pub packages: u64,
    /// Files that are set-user-ID or set-group-ID.
    pub set_id: u64,
}

/// Times of one exercise.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Seconds {
    /// Of the original image.
    pub untraced: Option<f64>,
    /// Of it under trace.
    pub traced: f64,
    /// Of the micro image.
    pub micro: Option<f64>,
}

impl Side {
    /// The original: what the engine and a look into it say, and what the report knows.
    pub fn original(bytes: u64, census: Census, report: &Report) -> Self {
        Self {
            bytes,
            files: census.files,
            packages: report.image.packages_before,
            set_id: census.set_id,
        }
    }

    /// The micro image.
    pub fn micro(bytes: u64, report: &Report) -> Self {
        let files = report.entries.iter().filter(|entry| !is_directory(entry));
        Self {
            bytes,
            files: files.count() as u64,
            packages: report.packages.len() as u64,
            set_id: report
                .entries
                .iter()
                .filter(|entry| has_set_id(entry))
                .count() as u64,
        }
    }
}

fn is_directory(entry: &Item) -> bool {
    entry.kind == crate::image_fs::FileKind::Directory
}

fn has_set_id(entry: &Item) -> bool {
    let mode = u32::from_str_radix(&entry.mode, 8).unwrap_or_default();
    entry.kind == crate::image_fs::FileKind::Regular && mode & 0o6000 != 0
}

impl Summary {
    /// One JSON object on a line.
    pub fn json(&self) -> Vec<u8> {
        // Numbers, strings and lists of them: it cannot fail.
        let mut text = serde_json::to_vec(self).unwrap_or_default();
        text.push(b'\n');
        text
    }

    /// A small table.
    pub fn table(&self) -> String {
        let mut text = String::new();
        let mut row = |what: &str, before: String, after: String, more: String| {
            let line = format!("{what:<21}{before:>13}{after:>13}{more}");
            let _ = writeln!(text, "{}", line.trim_end());
        };
        let (original, micro) = (&self.original, &self.micro);
        row("", "original".into(), "micro".into(), String::new());
        let ratio = original.bytes as f64 / micro.bytes.max(1) as f64;
        let ratio = format!("   {ratio:.1} times smaller");
        row("size", size(original.bytes), size(micro.bytes), ratio);
        let mut count = |what: &str, before: u64, after: u64| {
            row(what, before.to_string(), after.to_string(), String::new());
        };
        count("files", original.files, micro.files);
        count("packages", original.packages, micro.packages);
        count("set-ID programs", original.set_id, micro.set_id);
        let seconds =
            |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
        let traced = format!("   {:.2} traced", self.seconds.traced);
        row(
            "exercise, seconds",
            seconds(self.seconds.untraced),
            seconds(self.seconds.micro),
            traced,
        );
        text
    }

    /// The closing line.
    pub fn verdict(&self) -> String {
        let Self {
            tag,
            image,
            artifacts,
            ..
        } = self;
        match (self.verified, self.fixes) {
            (true, 0) => format!("{tag}: verified against {image}; artifacts in {artifacts}"),
            (true, _) => format!(
                "{tag}: verified against {image}, with what it lacked added; artifacts in {artifacts}"
            ),
            (false, _) => format!(
                "{tag}: does not do what {image} does, and is not there; artifacts in {artifacts}"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_before_and_after() {
        let summary = Summary {
            original: Side {
                bytes: 132_300_000,
                files: 3721,
                packages: 92,
                set_id: 9,
            },
            micro: Side {
                bytes: 10_000_000,
                files: 32,
                packages: 7,
                set_id: 0,
            },
            seconds: Seconds {
                untraced: None,
                traced: 0.456,
                micro: Some(0.4),
            },
            ..Summary::default()
        };
        let expected = [
            "                          original        micro",
            "size                      132.3 MB      10.0 MB   13.2 times smaller",
            "files                         3721           32",
            "packages                        92            7",
            "set-ID programs                  9            0",
            "exercise, seconds                -         0.40   0.46 traced",
            "",
        ];
        assert_eq!(summary.table(), expected.join("\n"));
    }

    #[test]
    fn the_verdict_says_whether_the_image_is_there() {
        let mut summary = Summary {
            image: "app".into(),
            tag: "app-micro".into(),
            artifacts: "out".into(),
            ..Summary::default()
        };
        assert!(summary.verdict().contains("is not there"));
        summary.verified = true;
        assert_eq!(
            summary.verdict(),
            "app-micro: verified against app; artifacts in out"
        );
    }
}
