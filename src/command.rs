//! One file a subcommand: turns arguments into calls, and errors into messages and exit codes.

mod artifacts;
mod attempts;
mod build;
mod copies;
mod ctl;
mod decided;
mod diff;
mod elf;
mod exec;
mod explain;
mod file_list;
mod find;
mod image;
mod inputs;
mod journal;
mod manual;
mod pack;
mod passes;
mod probe;
mod profile;
mod progress;
mod recover;
mod run;
mod select;
mod ship;
mod start;
mod summary;
mod told;
mod user;
mod whole;

use crate::cli::{Cli, Command, LogArgs, LogFormat};
use crate::exit;
use crate::image_path::ImagePath;
use crate::logging::{self, Detail};
use anyhow::{Context, Result};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::process::ExitCode;

/// An error of micropacker's own with the exit status that CLI.md gives it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Failure {
    status: u8,
    message: String,
}

impl Failure {
    fn new(status: u8, message: impl ToString) -> Self {
        Self {
            status,
            message: message.to_string(),
        }
    }
}

/// Carries out a parsed command line.
pub fn dispatch(cli: Cli) -> ExitCode {
    let result = match cli.command {
        None => run::run(&cli.run),
        Some(Command::Run(args)) => run::run(&args),
        Some(Command::Build(args)) => build::run(&args),
        Some(Command::Exec(args)) => exec::run(&args),
        Some(Command::Ctl(args)) => ctl::run(&args),
        Some(Command::Pack(args)) => pack::run(&args),
        Some(Command::Image(args)) => image::run(&args),
        Some(Command::Probe(args)) => {
            logging::start(Detail::Normal, false);
            probe::run(&args)
        }
        Some(Command::Elf(args)) => {
            logging::start(Detail::Normal, false);
            elf::run(&args)
        }
        Some(Command::Explain(args)) => {
            logging::start(Detail::Normal, false);
            explain::run(&args)
        }
        Some(Command::Diff(args)) => {
            logging::start(Detail::Normal, false);
            diff::run(&args)
        }
        Some(Command::Completions(args)) => {
            logging::start(Detail::Normal, false);
            manual::completions(&args)
        }
        Some(Command::Man(args)) => {
            logging::start(Detail::Normal, false);
            manual::man(&args)
        }
    };
    result.unwrap_or_else(|error| {
        tracing::error!("{}", one_line(&error));
        let failure = error.downcast_ref::<Failure>();
        ExitCode::from(failure.map_or(exit::OUTPUT, |failure| failure.status))
    })
}

/// An error and its causes on one line. Many an error's text holds that of its cause already:
/// it is not said twice.
fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if cause.contains(&line) {
            line = cause;
        } else if !line.contains(&cause) {
            line = format!("{line}: {cause}");
        }
    }
    line
}

fn start_logging(log: &LogArgs) {
    let detail = if log.debug == Some(true) {
        Detail::Debug
    } else if log.verbose {
        Detail::Verbose
    } else if log.quiet {
        Detail::Quiet
    } else {
        Detail::Normal
    };
    logging::start(detail, log.log_format == LogFormat::Json);
}

fn current_directory() -> Result<ImagePath> {
    let cwd = std::env::current_dir()
        .context("the current directory is gone: cd to one that is there")?;
    Ok(ImagePath::new(cwd.as_os_str().as_bytes()).unwrap_or_else(ImagePath::root))
}

fn variable(name: &str) -> Option<Vec<u8>> {
    std::env::var_os(name).map(OsStringExt::into_vec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let cause = std::io::Error::from_raw_os_error(libc::ENOENT);
        let told = anyhow::Error::new(Failure::new(exit::OUTPUT, &cause)).context("cannot write x");
        let expected = "cannot write x: No such file or directory (os error 2)";
        assert_eq!(one_line(&told), expected);
        let wrapped = anyhow::Error::new(cause).context(expected);
        assert_eq!(one_line(&wrapped), expected);
        let repeated = anyhow::anyhow!(expected).context("cannot write x");
        assert_eq!(one_line(&repeated), expected);
    }
}
