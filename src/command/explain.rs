//! `micropacker explain`: why a path is in an image, or is not.

use super::Failure;
use super::artifacts::REPORT;
use crate::cli::ExplainArgs;
use crate::exit;
use crate::image_path::ImagePath;
use crate::report::Report;
use crate::report::explain::{Explanation, Index};
use crate::report::words;
use anyhow::Result;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;

/// Exit status when a path is not in the image.
const NOT_KEPT: u8 = 1;

/// Explains each path on standard output.
pub fn run(args: &ExplainArgs) -> Result<ExitCode> {
    let report = load(&args.report)?;
    let index = Index::new(&report);
    let mut explanations = Vec::new();
    for path in &args.paths {
        let path = ImagePath::root()
            .join(path.as_bytes())
            .ok_or_else(|| Failure::new(exit::USAGE, format!("{} is no path", path.display())))?;
        explanations.push(index.explain(&path));
    }
    let mut out = std::io::stdout().lock();
    if args.json {
        serde_json::to_writer(&mut out, &explanations)?;
        writeln!(out)?;
    } else {
        for explanation in &explanations {
            print(explanation, &mut out)?;
        }
    }
    let all_kept = explanations.iter().all(|one| one.kept);
    Ok(ExitCode::from(if all_kept { 0 } else { NOT_KEPT }))
}

/// Reads a report, or that in a directory of artifacts.
pub fn load(file: &Path) -> Result<Report> {
    let inside = file.join(REPORT);
    let file = if file.is_dir() { &inside } else { file };
    let wrong = |error: &dyn std::fmt::Display| {
        Failure::new(
            exit::USAGE,
            format!("cannot read {}: {error}", file.display()),
        )
    };
    let text = std::fs::read(file).map_err(|error| wrong(&error))?;
    Ok(Report::read(&text).map_err(|error| wrong(&error))?)
}

fn print(explanation: &Explanation, out: &mut dyn Write) -> std::io::Result<()> {
    let Explanation { path, entry, .. } = explanation;
    let is = if explanation.kept {
        "kept"
    } else {
        "not in the image"
    };
    write!(out, "{path}: {is}")?;
    if path != entry {
        write!(out, ", as {entry}")?;
    }
    if let Some(package) = &explanation.package {
        write!(out, ", of package {package}")?;
    }
    writeln!(out)?;
    for (depth, step) in explanation.chain.iter().enumerate() {
        let indent = "  ".repeat(depth + 1);
        let reason = words::reason(&step.reason);
        match depth {
            0 => writeln!(out, "{indent}{reason}")?,
            _ => writeln!(out, "{indent}{}: {reason}", step.path)?,
        }
    }
    for ancestor in &explanation.started_by {
        let indent = "  ".repeat(explanation.chain.len() + 1);
        match &ancestor.program {
            Some(program) => {
                writeln!(
                    out,
                    "{indent}started by {program} (process {})",
                    ancestor.pid
                )?;
            }
            None => writeln!(out, "{indent}started by process {}", ancestor.pid)?,
        }
    }
    match explanation.other_reasons {
        0 => {}
        1 => writeln!(out, "  and for another reason")?,
        many => writeln!(out, "  and for {many} other reasons")?,
    }
    if let Some(why) = &explanation.excluded {
        writeln!(out, "  {}", words::exclusion(why))?;
    }
    match &explanation.remedy {
        Some(remedy) => writeln!(out, "  {remedy}"),
        None => Ok(()),
    }
}
