//! Options of the subcommands that read reports.

use clap::Args;
use std::ffi::OsString;
use std::path::PathBuf;

/// Options of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// Print one JSON array
    #[arg(long)]
    pub json: bool,
    /// A report.json, or the directory that it is in
    #[arg(value_name = "REPORT")]
    pub report: PathBuf,
    /// Paths in the image
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<OsString>,
}

/// Options of `diff`.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// A report.json, or the directory that it is in
    #[arg(value_name = "REPORT")]
    pub first: PathBuf,
    /// Another one
    #[arg(value_name = "REPORT")]
    pub second: PathBuf,
}
