//! Options of `build` and of `probe`, which it uses.

use super::{LogArgs, SelectArgs};
use clap::Args;
use std::ffi::OsString;
use std::path::PathBuf;

/// Options of `build`.
#[derive(Debug, Args)]
pub struct BuildArgs {
    /// The image; it is pulled when it is not there
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// Name of the micro image
    #[arg(long, value_name = "NAME")]
    pub tag: Option<String>,
    /// Write the outputs into this directory
    #[arg(long, value_name = "DIR", default_value = "micropacker-out")]
    pub artifacts: PathBuf,
    /// The command line of the container engine: docker, podman or a path
    #[arg(long, value_name = "PROGRAM", env = "MICROPACKER_CONTAINER_ENGINE")]
    pub engine: Option<OsString>,
    /// An option of the engine that stands before its subcommand
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
    pub engine_option: Vec<OsString>,
    /// When the application is ready: health, port, log:TEXT, after:SECONDS or end
    #[arg(long, value_name = "HOW", value_parser = readiness)]
    pub ready: Option<String>,
    /// How long it may take to get ready
    #[arg(long, value_name = "SECONDS", default_value = "60")]
    pub ready_timeout: u64,
    /// A TCP port that the application listens on
    #[arg(long, value_name = "PORT")]
    pub port: Vec<u16>,
    /// Use the application by this command of the host's shell
    #[arg(long, value_name = "COMMAND")]
    pub exercise: Vec<OsString>,
    /// Use the application by this command in its container
    #[arg(long, value_name = "COMMAND")]
    pub exec: Vec<OsString>,
    /// Make the HTTP requests of this list, or of this OpenAPI description
    #[arg(long, value_name = "FILE")]
    pub http: Vec<PathBuf>,
    /// How long the application may take to end: 10, or what --stop-timeout behind -- says
    #[arg(long, value_name = "SECONDS")]
    pub stop_timeout: Option<u64>,
    /// The micro image must print the same on standard output
    #[arg(long)]
    pub same_output: bool,
    /// Run the original untraced first, and compare with that
    #[arg(long)]
    pub baseline: bool,
    /// Pack what this report tells of too
    #[arg(long, value_name = "REPORT")]
    pub merge: Vec<PathBuf>,
    /// Add what the micro image looks for and lacks, and try again
    #[arg(long)]
    pub fix: bool,
    /// How often to do so
    #[arg(long, value_name = "N", default_value = "3")]
    pub fix_rounds: u32,
    /// An option of run for the traced container
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
    pub trace_option: Vec<OsString>,
    /// Change the image's configuration by this instruction of a Dockerfile
    #[arg(long, value_name = "INSTRUCTION")]
    pub change: Vec<String>,
    /// Print the summary as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    #[allow(missing_docs, reason = "its own type tells")]
    pub select: SelectArgs,
    #[command(flatten)]
    #[allow(missing_docs, reason = "its own type tells")]
    pub log: LogArgs,
    /// Options of docker run; behind a second --, what replaces the image's CMD
    #[arg(last = true, value_name = "RUN_OPTION")]
    pub run: Vec<OsString>,
}

/// `build` reads it; here only its form is looked at.
fn readiness(text: &str) -> Result<String, String> {
    let (how, value) = text.split_once(':').unwrap_or((text, ""));
    match (how, value.is_empty()) {
        ("health" | "port" | "end", true) | ("log" | "after", false) => Ok(text.to_owned()),
        _ => Err("choose health, port, log:TEXT, after:SECONDS or end".to_owned()),
    }
}

/// Options of `probe`.
#[derive(Debug, Args)]
pub struct ProbeArgs {
    /// Wait until this TCP port listens, or any
    #[arg(long, value_name = "PORT|any")]
    pub listen: Vec<String>,
    /// How long to wait
    #[arg(long, value_name = "SECONDS", default_value = "60")]
    pub timeout: u64,
    /// Make the HTTP requests of this list
    #[arg(long, value_name = "FILE")]
    pub http: Option<PathBuf>,
    /// Where the list names no port
    #[arg(long, value_name = "PORT", default_value = "80")]
    pub port: u16,
    /// Count the files of the root file system
    #[arg(long)]
    pub files: bool,
}
