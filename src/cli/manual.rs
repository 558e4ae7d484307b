//! Options of the subcommands that tell of the command line itself.

use clap::Args;
use std::path::PathBuf;

/// Options of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// Options of `man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// The subcommand; without one, micropacker itself
    #[arg(value_name = "SUBCOMMAND")]
    pub subcommand: Option<String>,
    /// Write all pages into this directory
    #[arg(long, value_name = "DIR", conflicts_with = "subcommand")]
    pub all: Option<PathBuf>,
}
