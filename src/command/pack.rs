//! `micropacker pack`: the ancestor's packer.

use super::artifacts::Traced;
use super::image::ImageWish;
use super::ship::{Outputs, options, ship, write_whole};
use super::summary::tell_summary;
use super::{Failure, current_directory, one_line, start_logging, variable};
use crate::cli::PackArgs;
use crate::exit;
use crate::image_fs::HostFs;
use crate::image_path::ImagePath;
use crate::pack::Output;
use crate::packages::{Owners, packages_text};
use crate::recording::Recording;
use crate::report::Report;
use crate::resolve::{Options, add_interpreter, from_list};
use anyhow::Result;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;

/// Packs what the lists name.
pub fn run(args: &PackArgs) -> Result<ExitCode> {
    start_logging(&args.log);
    if !args.root.is_dir() {
        let message = format!("--root {} is no directory", args.root.display());
        return Err(Failure::new(exit::USAGE, message).into());
    }
    let outputs = Outputs {
        rootfs: args.output.clone(),
        artifacts: args.artifacts.clone(),
        tag: args.tag.clone(),
        keep_env: Vec::new(),
        image: ImageWish::new(&args.image)?,
    };
    let options = Options {
        builtin_exclusions: args.unrestricted != Some(true),
        ..options(&args.select, &args.root)
            .map_err(|error| Failure::new(exit::USAGE, one_line(&error)))?
    };
    outputs.check()?;
    if let Some(packages) = &args.packages {
        Output::create(packages)?;
    }
    let fs = HostFs::new(&args.root);
    let mut recording = Recording::default();
    for list in &args.input {
        add_list(&fs, list, &args.root, &mut recording)?;
    }
    add_elf_interpreter(&fs, args, &mut recording)?;
    let traced = Traced::default();
    let shipped = ship(&fs, &args.root, &recording, options, &outputs, &traced)?;
    if let Some(file) = &args.packages {
        let owners = Owners::load(&fs);
        for problem in owners.problems() {
            tracing::warn!("{problem}");
        }
        write_whole(file, &packages_text(&shipped.manifest, &owners))?;
    }
    tell_summary(&outputs, &shipped, &recording, &traced);
    Ok(ExitCode::SUCCESS)
}

fn add_list(fs: &HostFs, list: &Path, root: &Path, recording: &mut Recording) -> Result<()> {
    let text = read_input(list)?;
    if Report::is_one(&text) {
        let report = Report::read(&text)
            .map_err(|error| Failure::new(exit::USAGE, format!("{}: {error}", list.display())))?;
        report.add_to(recording);
        return Ok(());
    }
    let cwd = if root == Path::new("/") {
        current_directory()?
    } else {
        ImagePath::root()
    };
    let path = variable("PATH").unwrap_or_default();
    let (listed, report) = from_list(fs, &text, &path, &cwd);
    if !report.missing.is_empty() {
        tracing::warn!(
            "{}: {} of {} lines name nothing that is there (-d shows them)",
            list.display(),
            report.missing.len(),
            report.taken + report.missing.len()
        );
    }
    for line in &report.missing {
        tracing::trace!("names nothing: {}", line.escape_ascii());
    }
    for (place, used) in listed.uses {
        recording.uses.entry(place).or_insert(used);
    }
    recording.losses.extend(listed.losses);
    Ok(())
}

fn read_input(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).map_err(|error| {
        let message = format!("cannot read the list {}: {error}", file.display());
        Failure::new(exit::USAGE, message).into()
    })
}

/// `-x`: the default, `/bin/sh`, may be missing where there is no shell; what was asked for may
/// not.
fn add_elf_interpreter(fs: &HostFs, args: &PackArgs, recording: &mut Recording) -> Result<()> {
    let given = args.elf != crate::cli::DEFAULT_ELF;
    let program = ImagePath::new(args.elf.as_bytes()).ok_or_else(|| {
        Failure::new(
            exit::USAGE,
            format!("-x {}: give an absolute path", args.elf.display()),
        )
    })?;
    match add_interpreter(fs, &program, recording) {
        Err(error) if given => {
            Err(Failure::new(exit::USAGE, format!("-x {program}: {error}")).into())
        }
        _ => Ok(()),
    }
}
