//! Whether a micro image does what its original does, and what it lacks when it does not.

use super::again::{ASKED, Again, WISHES, additions, text_of, wishes};
use super::exercise::differences;
use super::outputs::REPORT;
use super::site::PLACE;
use super::summary::{Side, Summary};
use super::trial::{Ran, Role, Stumble, show};
use super::{Building, OUT, Trouble};
use crate::report::Report;
use nix::sys::signal::Signal;
use std::ffi::OsString;

/// How many missing files are named one by one.
const NAMED: usize = 20;

/// What one run did otherwise than another, and perhaps printed.
pub fn compare(original: &Ran, other: &Ran, same_output: bool) -> Vec<String> {
    let mut found = differences(&original.outcomes, &other.outcomes);
    if !end_alike(original, other) {
        found.push(format!(
            "it ended with status {} instead of {}",
            other.exit, original.exit
        ));
    }
    if same_output && original.stdout != other.stdout {
        found.push(first_difference(&original.stdout, &other.stdout));
    }
    found
}

/// PID 1 is shielded from signals that it has no handler for, so that an application without one
/// is killed in the end (pid_namespaces(7)); traced it is no PID 1, and the stop signal ends it.
fn end_alike(one: &Ran, other: &Ran) -> bool {
    const KILLED: i32 = 128 + Signal::SIGKILL as i32;
    let (traced, untraced) = match (one.is_traced, other.is_traced) {
        (true, false) => (one, other),
        (false, true) => (other, one),
        _ => return one.exit == other.exit,
    };
    let are_stopped = traced.is_stopped && untraced.is_stopped;
    one.exit == other.exit || (are_stopped && untraced.exit == KILLED && traced.exit > 128)
}

/// The first line of an output that is another one.
fn first_difference(original: &[u8], other: &[u8]) -> String {
    let lines = |text| <[u8]>::split(text, |byte| *byte == b'\n');
    let (mut original, mut other) = (lines(original), lines(other));
    let mut number = 1;
    loop {
        let pair = (original.next(), other.next());
        if pair.0 != pair.1 || pair.0.is_none() {
            let shown = |line: Option<&[u8]>| match line {
                Some(line) => format!("{:?}", String::from_utf8_lossy(line)),
                None => "nothing".to_owned(),
            };
            return format!(
                "line {number} of its output is {} instead of {}",
                shown(pair.1),
                shown(pair.0)
            );
        }
        number += 1;
    }
}

/// What a failing micro image lacks: reports to pack with the first, and what that brings.
struct Lack {
    reports: Vec<String>,
    missing: Vec<String>,
}

impl Building<'_> {
    /// Loads the image and has it do the same; what it lacks is added as often as it may be.
    ///
    /// # Errors
    /// When there is no verdict.
    pub(super) fn verify(
        &mut self,
        expected: &Ran,
        mut report: Report,
        summary: &mut Summary,
    ) -> Result<(), Trouble> {
        let mut reports = Vec::new();
        loop {
            let id = self.load()?;
            self.site.loaded(&id);
            let bytes = self.site.image_bytes(&id)?;
            summary.micro = Side::micro(bytes, &report);
            tracing::info!("the micro image");
            let (differences, log) = self.try_out(&id, expected, summary)?;
            self.outputs.keep("micro.log", &log);
            summary.differences = differences;
            if summary.differences.is_empty() {
                summary.verified = true;
                summary.id = Some(id);
                return Ok(());
            }
            show(&log);
            for difference in &summary.differences {
                tracing::warn!("the micro image fails: {difference}");
            }
            let may_fix = self.wish.fixes > summary.fixes;
            let Some(lack) = self.lack(&id, &reports, &report, may_fix)? else {
                let then = match may_fix {
                    true => "nor does that use more when it is traced again",
                    false => "with --fix that is traced once more",
                };
                let name = &self.original.name;
                tracing::warn!("it looked for nothing that {name} has and it has not; {then}");
                return Ok(());
            };
            tell(&lack.missing, may_fix);
            summary.missing.extend(lack.missing);
            reports = lack.reports;
            if summary.fixes == self.wish.fixes {
                return Ok(());
            }
            summary.fixes += 1;
            report = self.take_again(&reports)?;
        }
    }

    /// Runs the micro image once. What it does otherwise, and what it printed.
    fn try_out(
        &self,
        id: &str,
        expected: &Ran,
        summary: &mut Summary,
    ) -> Result<(Vec<String>, Vec<u8>), Trouble> {
        match self.terms.run(&self.site, &Role::Micro(id.to_owned())) {
            Err(Stumble::Trouble(trouble)) => Err(trouble),
            Err(Stumble::Fault(why, log)) => Ok((vec![why], log)),
            Ok(ran) => {
                self.site.remove(&ran.id);
                summary.seconds.micro = Some(ran.used.as_secs_f64());
                let same_output = self.wish.same_output;
                Ok((compare(expected, &ran, same_output), ran.log))
            }
        }
    }

    /// What the failing image lacks: of the files that it asked for and did not find those that the
    /// original has. Where there are none, and `may_trace`, what the original uses when it is
    /// traced again. `None` when that is nothing either.
    fn lack(
        &self,
        id: &str,
        reports: &[String],
        report: &Report,
        may_trace: bool,
    ) -> Result<Option<Lack>, Trouble> {
        tracing::info!("the micro image, traced: what does it look for?");
        self.ask(id)?;
        let container = self.again_with_one_more(reports).make()?;
        let asked = self
            .outputs
            .read_once(&self.site, &container, ASKED, WISHES);
        if let Some(asked) = wishes(&asked.unwrap_or_default()) {
            let lack = self.added(&container, &text_of(&asked)?, reports, report)?;
            if lack.is_some() {
                return Ok(lack);
            }
        }
        self.site.remove(&container);
        if !may_trace {
            return Ok(None);
        }
        // Who lists a directory asks for no name that is not there, as Python does.
        tracing::info!("the original, traced again: does it use more than before?");
        let ran = self.original(&self.traced(ASKED))?;
        let used = self.outputs.read_once(&self.site, &ran.id, ASKED, REPORT)?;
        self.site.remove(&ran.id);
        let container = self.again_with_one_more(reports).make()?;
        self.added(&container, &used, reports, report)
    }

    /// Runs the failing image under trace; what it asks for is written down.
    fn ask(&self, id: &str) -> Result<(), Trouble> {
        let wish_list = format!("{PLACE}/{ASKED}/{WISHES}");
        let words = [
            "-o",
            "/dev/null",
            "--journal",
            "none",
            "--missing",
            &wish_list,
        ];
        let mut words: Vec<OsString> = words.map(Into::into).into();
        words.extend_from_slice(&self.wish.tracing);
        words.extend([
            "--stop-timeout".into(),
            self.wish.stop_seconds.to_string().into(),
        ]);
        match self
            .terms
            .run(&self.site, &Role::Asked(id.to_owned(), words))
        {
            Err(Stumble::Trouble(trouble)) => return Err(trouble),
            // That is what it is run for.
            Err(Stumble::Fault(..)) => {}
            Ok(ran) => self.site.remove(&ran.id),
        }
        Ok(())
    }

    /// What one more report brings into the image, packed in a container that was made for that.
    fn added(
        &self,
        container: &str,
        one_more: &[u8],
        reports: &[String],
        report: &Report,
    ) -> Result<Option<Lack>, Trouble> {
        let again = self.again_with_one_more(reports);
        self.site
            .bring(container, &name_of(reports.len()), one_more)?;
        again.pack(container)?;
        let packed = self
            .outputs
            .read_once(&self.site, container, super::again::AGAIN, REPORT)?;
        self.site.remove(container);
        let packed =
            Report::read(&packed).map_err(|error| Trouble::output(format!("{REPORT}: {error}")))?;
        let missing = additions(report, &packed);
        Ok((!missing.is_empty()).then(|| Lack {
            reports: again.reports[self.first_reports()..].to_vec(),
            missing: missing.iter().map(ToString::to_string).collect(),
        }))
    }

    /// Takes over what was packed again.
    fn take_again(&self, reports: &[String]) -> Result<Report, Trouble> {
        let container = self.again(reports).make()?;
        let report = self
            .outputs
            .take(&self.site, &container, super::again::AGAIN)?;
        self.site.remove(&container);
        Ok(report)
    }

    fn first_reports(&self) -> usize {
        self.wish.merged.len() + 1
    }

    /// Packing the traced run, what was merged with it, and these reports.
    fn again(&self, reports: &[String]) -> Again<'_> {
        let merged = (0..self.wish.merged.len()).map(|number| format!("merged-{number}.json"));
        Again {
            site: &self.site,
            image: &self.original.id,
            options: self.shaping(),
            reports: std::iter::once(format!("../{OUT}/{REPORT}"))
                .chain(merged)
                .chain(reports.iter().cloned())
                .collect(),
        }
    }

    fn again_with_one_more(&self, reports: &[String]) -> Again<'_> {
        let mut again = self.again(reports);
        again.reports.push(name_of(reports.len()));
        again
    }

    pub(super) fn merge(&self) -> Result<Report, Trouble> {
        self.again(&[]).run(&self.outputs)
    }
}

/// The name among what is brought along of a report on what an image lacks.
fn name_of(number: usize) -> String {
    format!("asked-{number}.json")
}

/// Names what is missing, as options that bring it in.
fn tell(missing: &[String], is_added: bool) {
    let what = match is_added {
        true => "it lacks what the original has; it is added",
        false => "it lacks what the original has; --fix adds it, and so do",
    };
    tracing::warn!("{what}:");
    for path in missing.iter().take(NAMED) {
        tracing::warn!("  --include {path}");
    }
    if missing.len() > NAMED {
        let more = missing.len() - NAMED;
        tracing::warn!("  and {more} more, in the summary of --json");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_exit_status_is_a_difference() {
        let original = Ran::default();
        let other = Ran {
            exit: 3,
            ..Ran::default()
        };
        assert!(compare(&original, &Ran::default(), true).is_empty());
        assert_eq!(
            compare(&original, &other, true),
            ["it ended with status 3 instead of 0"]
        );
    }

    #[test]
    fn who_has_no_handler_for_the_stop_signal_is_killed_only_as_pid_1() {
        let ran = |exit, is_traced, is_stopped| Ran {
            exit,
            is_traced,
            is_stopped,
            ..Ran::default()
        };
        let (traced, micro) = (ran(143, true, true), ran(137, false, true));
        assert!(end_alike(&traced, &micro) && end_alike(&micro, &traced));
        // Killed for its memory, for instance.
        assert!(!end_alike(&traced, &ran(137, false, false)));
        assert!(!end_alike(&ran(0, true, true), &micro));
        assert!(!end_alike(&traced, &ran(139, false, true)));
        assert!(!end_alike(&ran(143, false, true), &micro));
    }

    #[test]
    fn another_output_is_a_difference_where_that_is_asked() {
        let printed = |text: &str| Ran {
            stdout: text.into(),
            ..Ran::default()
        };
        let (original, other) = (printed("a\nb\n"), printed("a\nc\n"));
        assert!(compare(&original, &other, false).is_empty());
        let said = r#"line 2 of its output is "c" instead of "b""#;
        assert_eq!(compare(&original, &other, true), [said]);
        let less = compare(&original, &printed("a\nb"), true);
        assert_eq!(less, [r#"line 3 of its output is nothing instead of """#]);
    }
}
