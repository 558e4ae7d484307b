//! The option for a seccomp profile.

use clap::Args;
use std::path::PathBuf;

/// What else is made of a trace.
#[derive(Debug, Args)]
pub struct ProfileArgs {
    /// Write a seccomp profile of the system calls that are seen, for --security-opt seccomp=FILE; all calls stop, which is slower
    #[arg(long, value_name = "FILE", env = "MICROPACKER_SECCOMP_PROFILE")]
    pub seccomp_profile: Option<PathBuf>,
}
