//! `micropacker pack`: the ancestor's packer, and what a journal is for.

use super::artifacts::Traced;
use super::image::ImageWish;
use super::inputs::Inputs;
use super::profile::ProfileFile;
use super::recover::{Recovered, is_journal};
use super::select::{compression, merged, mounts, name_of, options, shape};
use super::ship::{Outputs, ship, tell_secrets, write_whole};
use super::summary::tell_summary;
use super::user::include_tables;
use super::{Failure, one_line, start_logging};
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
use crate::resolve::add_interpreter;
use anyhow::Result;
use std::os::unix::ffi::OsStrExt;
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
    let mut inputs = Inputs::new(&args.root, &profile);
    let Recovered {
        mut recording,
        header,
        own,
        copies,
        started,
    } = inputs.journals(&journals)?;
    let now = Shape {
        compress: name_of(args.image.compress),
        ..shape(&args.select, &[], args.tag.as_deref()).map_err(usage)?
    };
    let then = header.as_ref().map(|header| header.shape.clone());
    let mut shape = merged(then.unwrap_or_default(), now);
    let image = image_wish(args, &shape)?;
    include_tables(&mut shape, &image, &args.root);
    let starts_as_told = image.tells_command();
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
    options.own.extend(copies.directories());
    options.started = started;
    outputs.check()?;
    if let Some(packages) = &args.packages {
        Output::create(packages)?;
    }
    let fs = HostFs::new(&args.root);
    if let Some(header) = &header {
        tell_secrets(&header.command.secrets);
    }
    let mut has_lists = false;
    for list in &lists {
        has_lists |= inputs.add(list, &mut recording)?;
    }
    if !starts_as_told {
        inputs.tell_commands(&recording);
    }
    if has_lists || args.elf != crate::cli::DEFAULT_ELF {
        add_elf_interpreter(&fs, args, &mut recording)?;
    }
    let traced = Traced {
        is_awaited: true,
        ..Traced::default()
    };
    let before = Before::new(&fs, &copies, &recording);
    inputs.tell_strangers(&before);
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
