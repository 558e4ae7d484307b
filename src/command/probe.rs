//! `micropacker probe`: what `build` has done beside an application.

use super::Failure;
use crate::build::PLACE;
use crate::build::probe::{Finding, census, make, wait_for_ports};
use crate::build::requests;
use crate::cli::ProbeArgs;
use crate::exit;
use anyhow::Result;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// Exit status when nothing listens, or a request got no answer.
const NOTHING: u8 = 1;

/// Prints each finding as a JSON object on a line.
pub fn run(args: &ProbeArgs) -> Result<ExitCode> {
    let mut is_fine = true;
    if !args.listen.is_empty() {
        let found = wait_for_ports(&ports(&args.listen)?, Duration::from_secs(args.timeout));
        is_fine &= !found.is_empty();
        tell(&Finding::Listening(found))?;
    }
    if let Some(file) = &args.http {
        let wrong = |why: String| Failure::new(exit::USAGE, format!("{} {why}", file.display()));
        let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
        for request in requests::parse(&text).map_err(wrong)? {
            let answer = make(&request, args.port);
            is_fine &= matches!(
                answer,
                Finding::Answer {
                    status: Some(_),
                    ..
                }
            );
            tell(&answer)?;
        }
    }
    if args.files {
        tell(&Finding::Files(census(Path::new("/"), Path::new(PLACE))))?;
    }
    Ok(ExitCode::from(if is_fine { 0 } else { NOTHING }))
}

/// Ports that are named; none for any.
fn ports(words: &[String]) -> Result<BTreeSet<u16>> {
    if words.iter().any(|word| word == "any") {
        return Ok(BTreeSet::new());
    }
    let ports = words.iter().map(|word| {
        word.parse().map_err(|_| {
            Failure::new(exit::USAGE, format!("--listen {word}: give a port, or any")).into()
        })
    });
    ports.collect()
}

fn tell(finding: &Finding) -> Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, finding)?;
    writeln!(out)?;
    out.flush()?;
    Ok(())
}
