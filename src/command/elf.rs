//! `micropacker elf`: what the dynamic loader would find.

use super::Failure;
use crate::cli::ElfArgs;
use crate::elf::{Loader, LoaderEnv, describe};
use crate::image_fs::HostFs;
use crate::image_path::ImagePath;
use anyhow::Result;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

/// Exit status when a file cannot be read as ELF, or misses a library.
const UNEXPLAINED: u8 = 1;

/// Describes each file on standard output. Fails at the end if a library is missing anywhere.
pub fn run(args: &ElfArgs) -> Result<ExitCode> {
    let fs = HostFs::new(&args.root);
    let cwd = super::current_directory()?;
    let env = LoaderEnv {
        ld_library_path: super::variable("LD_LIBRARY_PATH"),
        ld_preload: super::variable("LD_PRELOAD"),
    };
    let mut loader = Loader::new(&fs);
    let mut out = std::io::stdout().lock();
    let mut complete = true;
    for file in &args.files {
        let path = cwd
            .join(file.as_os_str().as_bytes())
            .unwrap_or_else(ImagePath::root);
        let closure = loader
            .closure(&path, None, &env)
            .map_err(|error| Failure::new(UNEXPLAINED, format!("{}: {error}", file.display())))?;
        complete &= closure.missing.is_empty();
        if args.files.len() > 1 {
            writeln!(out, "{path}:")?;
        }
        describe(&closure, &path, &mut out)?;
    }
    Ok(if complete {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(UNEXPLAINED)
    })
}
