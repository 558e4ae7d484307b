//! `micropacker diff`: what two runs kept differently.

use super::explain::load;
use crate::cli::DiffArgs;
use crate::report::diff::{Changed, Difference, One, by_kind};
use crate::report::text::size;
use anyhow::Result;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// Exit status when the reports differ.
const DIFFERENT: u8 = 1;

/// Compares on standard output.
pub fn run(args: &DiffArgs) -> Result<ExitCode> {
    let difference = Difference::between(&load(&args.first)?, &load(&args.second)?);
    let mut out = std::io::stdout().lock();
    if args.json {
        serde_json::to_writer(&mut out, &difference)?;
        writeln!(out)?;
    } else {
        print_alone(&args.first, &difference.only_first, &mut out)?;
        print_alone(&args.second, &difference.only_second, &mut out)?;
        print_changed(&difference.changed, &mut out)?;
    }
    let status = if difference.is_empty() { 0 } else { DIFFERENT };
    Ok(ExitCode::from(status))
}

fn print_alone(report: &Path, entries: &[One], out: &mut dyn Write) -> std::io::Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let bytes = entries.iter().map(|one| one.size).sum();
    writeln!(
        out,
        "only in {}: {} entries, {}",
        report.display(),
        entries.len(),
        size(bytes)
    )?;
    for (kind, of, bytes) in by_kind(entries) {
        writeln!(out, "  {kind}: {} entries, {}", of.len(), size(bytes))?;
        for one in of {
            writeln!(out, "    {}, {}: {}", one.path, size(one.size), one.reason)?;
        }
    }
    Ok(())
}

fn print_changed(entries: &[Changed], out: &mut dyn Write) -> std::io::Result<()> {
    if !entries.is_empty() {
        writeln!(out, "changed: {} entries", entries.len())?;
    }
    for one in entries {
        let what = one.what.join(", ");
        match one.sizes {
            (first, second) if first == second => writeln!(out, "    {}: {what}", one.path)?,
            (first, second) => writeln!(
                out,
                "    {}: {what}, from {} to {}",
                one.path,
                size(first),
                size(second)
            )?,
        }
    }
    Ok(())
}
