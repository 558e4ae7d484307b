//! The command line: parse, run, exit.

use clap::Parser;
use micropacker::cli::Cli;
use micropacker::command;
use std::process::ExitCode;

fn main() -> ExitCode {
    command::dispatch(Cli::parse())
}
