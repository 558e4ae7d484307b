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

/// How many seconds an application has to end where nobody says: what engines give it.
const STOP: u64 = 10;

/// Goes the whole way and prints the summary.
pub fn run(args: &BuildArgs) -> Result<ExitCode> {
    start_logging(&args.log);
    let interrupt = Interrupt::watch().context("cannot take signals")?;
    let summary = wish(args)
        .and_then(|wish| build::build(&wish, &interrupt))
        .map_err(|trouble| Failure::new(trouble.status, trouble))?;
    let mut out = std::io::stdout().lock();
    if args.json {
        out.write_all(&summary.json())?;
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
    let Shaping {
        words: mut shaping,
        files,
    } = shaping(&args.select)?;
    for instruction in &args.change {
        crate::pack::change(&mut crate::pack::ImageConfig::default(), instruction)
            .map_err(|error| Trouble::usage(format!("--change: {error}")))?;
        shaping.extend(["--change".into(), instruction.into()]);
    }
    let run = RunOptions::parse(&args.run).map_err(Trouble::usage)?;
    Ok(Wish {
        image: args.image.clone(),
        tag,
        artifacts: args.artifacts.clone(),
        engine: args.engine.clone(),
        engine_options: args.engine_option.clone(),
        stop_seconds: args.stop_timeout.or(run.stop_seconds).unwrap_or(STOP),
        run,
        tracing: args.trace_option.clone(),
        shaping,
        files,
        readiness: readiness.map_err(|why| Trouble::usage(format!("--ready: {why}")))?,
        ready_limit: Duration::from_secs(args.ready_timeout),
        ports: args.port.clone(),
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

/// Words for the micropacker in the container, and the files that they name.
#[derive(Debug, Default)]
struct Shaping {
    words: Vec<OsString>,
    files: Vec<(String, Vec<u8>)>,
}

impl Shaping {
    fn add(&mut self, option: &str, value: &OsStr) {
        let mut word = OsString::from(option);
        word.push("=");
        word.push(value);
        self.words.push(word);
    }
}

/// The options that choose files. Each field is named, so that none is forgotten.
fn shaping(select: &SelectArgs) -> Result<Shaping, Trouble> {
    let SelectArgs {
        include,
        include_from,
        exclude,
        include_exe,
        include_shell,
        preset,
        include_mount,
        listed,
        probed,
        keep_package_metadata,
    } = select;
    let mut shaping = Shaping::default();
    let lists = [
        ("--include", include),
        ("--exclude", exclude),
        ("--include-exe", include_exe),
        ("--include-mount", include_mount),
    ];
    for (option, values) in lists {
        for value in values {
            shaping.add(option, value);
        }
    }
    for (number, file) in include_from.iter().enumerate() {
        let name = format!("include-{number}");
        shaping.add("--include-from", OsStr::new(&build::brought(&name)));
        shaping.files.push((name, read(file)?));
    }
    if *include_shell {
        shaping.words.push("--include-shell".into());
    }
    for preset in preset {
        shaping.add("--preset", &name_of(preset));
    }
    shaping.add("--listed", &name_of(listed));
    shaping.add("--probed", &name_of(probed));
    shaping.add("--keep-package-metadata", &name_of(keep_package_metadata));
    Ok(shaping)
}

fn name_of(value: &impl ValueEnum) -> OsString {
    let name = value
        .to_possible_value()
        .map(|value| value.get_name().to_owned());
    name.unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::{Args, Parser};

    /// Every option that chooses files, with a value that is not its default.
    fn unusual() -> Vec<OsString> {
        let definition = SelectArgs::augment_args(clap::Command::new("choose"));
        let words = definition.get_arguments().map(|option| {
            let long = option.get_long().expect("a long name");
            let values = option.get_possible_values();
            let default = option.get_default_values().first();
            let other = values
                .iter()
                .rfind(|value| default.is_none_or(|default| *default != *value.get_name()));
            match (other, option.get_action().takes_values()) {
                (_, false) => format!("--{long}"),
                (Some(value), true) => format!("--{long}={}", value.get_name()),
                (None, true) => format!("--{long}=/dev/null"),
            }
        });
        words.map(OsString::from).collect()
    }

    fn parsed(words: &[&str], more: &[OsString], last: &[&str]) -> Command {
        let words = words.iter().map(OsString::from);
        let last = last.iter().map(OsString::from);
        let cli = Cli::try_parse_from(words.chain(more.iter().cloned()).chain(last));
        cli.expect("it is understood")
            .command
            .expect("a subcommand")
    }

    #[test]
    fn each_option_that_chooses_files_reaches_the_container() {
        let Command::Build(given) = parsed(&["micropacker", "build", "app"], &unusual(), &[])
        else {
            panic!("not build");
        };
        let shaping = shaping(&given.select).expect("what shapes the image");
        let brought = build::brought("include-0");
        assert_eq!(shaping.files, [("include-0".to_owned(), Vec::new())]);
        let expected = format!("{:?}", given.select);
        let expected = expected.replacen(
            r#"include_from: ["/dev/null"]"#,
            &format!("include_from: [{brought:?}]"),
            1,
        );
        let Command::Run(run) = parsed(&["micropacker", "run"], &shaping.words, &["--", "x"])
        else {
            panic!("not run");
        };
        assert_eq!(format!("{:?}", run.select), expected);
        let Command::Pack(pack) = parsed(&["micropacker", "pack", "-i", "x"], &shaping.words, &[])
        else {
            panic!("not pack");
        };
        assert_eq!(format!("{:?}", pack.select), expected);
    }
}
