//! Options of `elf`.

use clap::Args;
use std::path::PathBuf;

/// Options of `elf`.
#[derive(Debug, Args)]
pub struct ElfArgs {
    /// The files to look at
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Look in this directory as if it were /
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub root: PathBuf,
}
