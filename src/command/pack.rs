//! `micropacker pack`: the ancestor's packer, and what a journal is for.

use super::artifacts::Traced;
use super::image::ImageWish;
use super::journal::{Recovered, apply_to_files, is_journal, recover};
use super::profile::ProfileFile;
use super::select::{compression, merged, mounts, name_of, options, shape};
use super::ship::{Outputs, ship, tell_secrets, write_whole};
use super::summary::tell_summary;
use super::user::include_tables;
use super::{Failure, current_directory, one_line, start_logging, variable};
use crate::byte_string::ByteString;
use crate::cli::PackArgs;
use crate::exit;
use crate::image_fs::HostFs;
use crate::image_path::ImagePath;
use crate::journal::Shape;
use crate::mounts::Mounts;
use crate::pack::Output;
use crate::pack::output::survive_size_limit;
use crate::packages::{Owners, packages_text};
use crate::past::Before;
use crate::recording::Recording;
use crate::report::Report;
use crate::resolve::{add_interpreter, from_list};
use anyhow::Result;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Packs what the lists name and the journals hold.
pub fn run(args: &PackArgs) -> Result<ExitCode> {
    start_logging(&args.log);
    survive_size_limit();
    if !args.root.is_dir() {
        let message = format!("--root {} is no directory", args.root.display());
        return Err(Failure::new(exit::USAGE, message).into());
    }
    let (found, lists): (Vec<_>, Vec<_>) =
        args.input.iter().cloned().partition(|it| is_journal(it));
    let profile = ProfileFile::new(args.profile.seccomp_profile.as_deref())?;
    let journals = [args.journal.clone(), found].concat();
    let Recovered {
        recorder,
        header,
        own,
    } = recover(&journals, &profile)?;
    let now = Shape {
        compress: name_of(args.image.compress),
        ..shape(&args.select, &[], args.tag.as_deref()).map_err(usage)?
    };
    let then = header.as_ref().map(|header| header.shape.clone());
    let mut shape = merged(then.unwrap_or_default(), now);
    let image = image_wish(args, &shape)?;
    include_tables(&mut shape, &image, &args.root);
    let outputs = Outputs {
        rootfs: args.output.clone(),
        artifacts: args.artifacts.clone(),
        tag: shape.tag.clone(),
        keep_env: shape.keep_env.clone(),
        hurry: Arc::default(),
        ahead: Default::default(),
        image,
    };
    // What was mounted while it was traced, not what is mounted now.
    let mounts = match &header {
        Some(header) => Mounts::parse(&header.mounts.0)?,
        None => mounts(&args.root)?,
    };
    let mut options = options(&shape, mounts).map_err(usage)?;
    options.builtin_exclusions = args.unrestricted != Some(true);
    options.own = outputs.own(&args.root, &journals);
    options.own.extend(own);
    outputs.check()?;
    if let Some(packages) = &args.packages {
        Output::create(packages)?;
    }
    let fs = HostFs::new(&args.root);
    let mut recording = recorder.finish();
    let mut directory = PathBuf::new();
    if let (Some(header), Some(journal)) = (&header, journals.last()) {
        recording.context = header.command.context();
        tell_secrets(&header.command.secrets);
        (directory, options.started) = apply_to_files(&mut recording, header, journal, &args.root);
        options
            .own
            .extend(ImagePath::new(directory.as_os_str().as_bytes()));
    }
    let mut has_lists = false;
    for list in &lists {
        has_lists |= add_list(&fs, list, &args.root, &profile, &mut recording)?;
    }
    if has_lists || args.elf != crate::cli::DEFAULT_ELF {
        add_elf_interpreter(&fs, args, &mut recording)?;
    }
    let traced = Traced {
        is_awaited: true,
        ..Traced::default()
    };
    let saved = HostFs::new(&directory);
    let before = Before::new(&fs, &saved, &recording);
    let mut shipped = ship(&before, &args.root, &recording, options, &outputs, &traced)?;
    shipped.lost += profile.write(&recording)?;
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

/// What the command line says of the image, and else what the traced run was told.
fn image_wish(args: &PackArgs, shape: &Shape) -> Result<ImageWish> {
    let now = ImageWish::new(&args.image)?;
    let text = now
        .text
        .or_else(|| shape.image_config.clone().map(|ByteString(text)| text));
    let changes = [shape.change.clone(), now.changes].concat();
    Ok(ImageWish {
        compression: compression(shape),
        ..ImageWish::of(text, changes, "of the journal")?
    })
}

fn usage(error: anyhow::Error) -> anyhow::Error {
    Failure::new(exit::USAGE, one_line(&error)).into()
}

/// Adds what a file names. Whether it is a list: a report knows of each program what it needs.
fn add_list(
    fs: &HostFs,
    list: &Path,
    root: &Path,
    profile: &ProfileFile,
    recording: &mut Recording,
) -> Result<bool> {
    let text = read_input(list)?;
    if Report::is_one(&text) {
        let report = Report::read(&text)
            .map_err(|error| Failure::new(exit::USAGE, format!("{}: {error}", list.display())))?;
        profile.require(list, !report.recording.calls.is_empty())?;
        report.add_to(recording);
        return Ok(false);
    }
    profile.require(list, false)?;
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
    Ok(true)
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
