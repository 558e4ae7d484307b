//! One file a subcommand: turns arguments into calls, and errors into messages and exit codes.

mod elf;
mod find;
mod pack;
mod run;
mod ship;

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
        Some(Command::Pack(args)) => pack::run(&args),
        Some(Command::Elf(args)) => elf::run(&args),
    };
    result.unwrap_or_else(|error| {
        tracing::error!("{error:#}");
        let failure = error.downcast_ref::<Failure>();
        ExitCode::from(failure.map_or(exit::OUTPUT, |failure| failure.status))
    })
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
