//! `micropacker build`: from an image to its verified micro image, on the host.

use super::{Failure, start_logging};
use crate::build::{
    self, Exercise, Interrupt, Readiness, RunOptions, Trouble, Wish, micro_name, requests,
    split_words,
};
use crate::cli::{BuildArgs, SelectArgs};
use crate::report::Report;
use anyhow::{Context, Result};
use clap::ValueEnum;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// Exit status when the micro image does not do what the original does.
const UNVERIFIED: u8 = 1;

/// Goes the whole way and prints the summary.
pub fn run(args: &BuildArgs) -> Result<ExitCode> {
    start_logging(&args.log);
    let interrupt = Interrupt::watch().context("cannot take signals")?;
    let summary = wish(args)
        .and_then(|wish| build::build(&wish, &interrupt))
        .map_err(|trouble| Failure::new(trouble.status, trouble))?;
    let mut out = std::io::stdout().lock();
    if args.json {
        serde_json::to_writer(&mut out, &summary)?;
        writeln!(out)?;
    } else {
        out.write_all(summary.table().as_bytes())?;
    }
    tracing::info!("{}", summary.verdict());
    Ok(ExitCode::from(if summary.verified {
        0
    } else {
        UNVERIFIED
    }))
}

/// What the command line asks for, checked as far as it can be without an engine.
fn wish(args: &BuildArgs) -> Result<Wish, Trouble> {
    let tag = match &args.tag {
        Some(tag) => tag.clone(),
        None => micro_name(OsStr::new(&args.image)).ok_or_else(|| {
            Trouble::usage(format!(
                "{} is no name: name the micro image with --tag",
                args.image
            ))
        })?,
    };
    crate::pack::full_tag(&tag).map_err(|error| Trouble::usage(error.to_string()))?;
    let readiness = args.ready.as_deref().map(Readiness::parse).transpose();
    let (mut shaping, files) = shaping(&args.select)?;
    for instruction in &args.change {
        crate::pack::change(&mut crate::pack::ImageConfig::default(), instruction)
            .map_err(|error| Trouble::usage(format!("--change: {error}")))?;
        shaping.extend(["--change".into(), instruction.into()]);
    }
    Ok(Wish {
        image: args.image.clone(),
        tag,
        artifacts: args.artifacts.clone(),
        engine: args.engine.clone(),
        engine_options: args.engine_option.clone(),
        run: RunOptions::parse(&args.run).map_err(Trouble::usage)?,
        tracing: args.trace_option.clone(),
        shaping,
        files,
        readiness: readiness.map_err(|why| Trouble::usage(format!("--ready: {why}")))?,
        ready_limit: Duration::from_secs(args.ready_timeout),
        ports: args.port.clone(),
        stop_seconds: args.stop_timeout,
        exercise: exercise(args)?,
        same_output: args.same_output,
        baseline: args.baseline,
        merged: merged(args)?,
        fixes: if args.fix { args.fix_rounds } else { 0 },
    })
}

fn exercise(args: &BuildArgs) -> Result<Exercise, Trouble> {
    let mut exercise = Exercise {
        scripts: args.exercise.clone(),
        ..Exercise::default()
    };
    for file in &args.http {
        let text = String::from_utf8(read(file)?)
            .map_err(|_| Trouble::usage(format!("{} is no text", file.display())))?;
        let requests = requests::parse(&text)
            .map_err(|why| Trouble::usage(format!("{} {why}", file.display())))?;
        exercise.requests.extend(requests);
    }
    for command in &args.exec {
        let words = split_words(command);
        let words = words.map_err(|why| Trouble::usage(format!("--exec: {why}")))?;
        exercise.commands.push(words);
    }
    Ok(exercise)
}

fn merged(args: &BuildArgs) -> Result<Vec<Vec<u8>>, Trouble> {
    let reports = args.merge.iter().map(|file| {
        let text = read(file)?;
        match Report::read(&text) {
            Ok(_) => Ok(text),
            Err(error) => Err(Trouble::usage(format!("{}: {error}", file.display()))),
        }
    });
    reports.collect()
}

fn read(file: &Path) -> Result<Vec<u8>, Trouble> {
    fs::read(file)
        .map_err(|error| Trouble::usage(format!("cannot read {}: {error}", file.display())))
}

/// The options that choose files, as the micropacker in the container takes them, and the files
/// that they name.
#[allow(clippy::type_complexity, reason = "a name would say no more")]
fn shaping(select: &SelectArgs) -> Result<(Vec<OsString>, Vec<(String, Vec<u8>)>), Trouble> {
    let mut words = Vec::new();
    let mut files = Vec::new();
    let mut add = |option: &str, value: &OsStr| {
        let mut word = OsString::from(option);
        word.push("=");
        word.push(value);
        words.push(word);
    };
    for pattern in &select.include {
        add("--include", pattern);
    }
    for (number, file) in select.include_from.iter().enumerate() {
        let name = format!("include-{number}");
        add("--include-from", OsStr::new(&build::brought(&name)));
        files.push((name, read(file)?));
    }
    for pattern in &select.exclude {
        add("--exclude", pattern);
    }
    for program in &select.include_exe {
        add("--include-exe", program);
    }
    for preset in &select.preset {
        add("--preset", &name_of(preset));
    }
    for mount in &select.include_mount {
        add("--include-mount", mount);
    }
    add("--listed", &name_of(&select.listed));
    add("--probed", &name_of(&select.probed));
    add(
        "--keep-package-metadata",
        &name_of(&select.keep_package_metadata),
    );
    if select.include_shell {
        words.push("--include-shell".into());
    }
    Ok((words, files))
}

fn name_of(value: &impl ValueEnum) -> OsString {
    let name = value
        .to_possible_value()
        .map(|value| value.get_name().to_owned());
    name.unwrap_or_default().into()
}
