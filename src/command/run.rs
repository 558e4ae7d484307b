//! `micropacker run`: trace, resolve, pack.

use super::image::ImageWish;
use super::ship::{Outputs, Shipped, options, ship};
use super::start::{Startable, environment, manner};
use super::summary::{summary, tell_summary};
use super::tell::Traced as Facts;
use super::{Failure, current_directory, one_line, start_logging};
use crate::cli::{RunArgs, VisitorsName};
use crate::exit;
use crate::image_fs::HostFs;
use crate::recording::{Context as RunContext, Recording};
use crate::resolve::Options;
use crate::supervisor::control::PackNow;
use crate::supervisor::control::protocol::Packed;
use crate::supervisor::{Request, Traced, end_like, supervise, supervise_inverted};
use crate::tracer::visitors;
use anyhow::{Result, bail};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Runs the command to its end and writes the outputs. Gives the application's exit status.
pub fn run(args: &RunArgs) -> Result<ExitCode> {
    start_logging(&args.log);
    let image = ImageWish::new(&args.image)?;
    let command = command_of(args, &image);
    let Some(startable) = Startable::find(&command)? else {
        return Err(Failure::new(
            exit::USAGE,
            "no command to trace: give one behind '--', as in 'micropacker -- /entrypoint.sh', or \
             the image's own with --image-config",
        )
        .into());
    };
    let packer = Arc::new(Packer::new(args, image)?);
    let request = Request {
        command: startable.command.clone(),
        context: context(&command)?,
        manner: manner(&args.engine),
        visitors: match args.visitors {
            VisitorsName::Auto => visitors::Wish::Auto,
            VisitorsName::Full => visitors::Wish::Full,
            VisitorsName::Off => visitors::Wish::Off,
        },
        stop_timeout: args.stop_timeout.map(Duration::from_secs),
        pack: pack_now(&packer),
        outputs: packer.absolute_outputs(),
        kept: packer.outputs.descriptors(),
    };
    if args.inverted {
        let error = supervise_inverted(request, |traced| {
            if let Err(error) = conclude(args, &packer, &traced) {
                tracing::error!("{}", one_line(&error));
            }
        });
        return Err(startable.failure(&error).into());
    }
    let traced = supervise(request).map_err(|error| startable.failure(&error))?;
    conclude(args, &packer, &traced)?;
    end_like(traced.end);
    Ok(ExitCode::from(traced.end.exit_status()))
}

/// Writes the outputs and tells of them.
fn conclude(args: &RunArgs, packer: &Packer, traced: &Traced) -> Result<()> {
    let losses = traced.recording.losses.iter();
    tracing::debug!(
        "{} paths used, {} programs started, {} names made, {} losses; resolving",
        traced.recording.uses.len(),
        traced.recording.execs.len(),
        traced.recording.created.len(),
        losses.map(|loss| loss.count).sum::<u64>()
    );
    let facts = packer.traced(Some(traced.choice.engine.to_string()));
    let packed = packer.pack(&traced.recording, &facts);
    tell_waiting(traced, packer, &packed);
    let packed = packed?;
    tell_summary(&packer.outputs, &packed, &traced.recording, &facts);
    if args.strict && packed.lost > 0 {
        return Err(Failure::new(
            exit::OUTPUT,
            format!(
                "the outputs are written and may lack files: {} different losses were told; \
                 without --strict that is no failure",
                packed.lost
            ),
        )
        .into());
    }
    Ok(())
}

/// The command behind `--`, or else what a container of the image starts.
fn command_of(args: &RunArgs, image: &ImageWish) -> Vec<OsString> {
    match &image.original {
        Some(original) if args.command.is_empty() => {
            let words = original.entrypoint.iter().chain(&original.cmd);
            words.cloned().map(OsString::from_vec).collect()
        }
        _ => args.command.clone(),
    }
}

/// Writes the outputs, as often as it is asked to.
struct Packer {
    outputs: Outputs,
    options: Options,
    /// When the command was about to be started.
    start: Instant,
    /// Whose turn it is: the temporary files have the same names each time.
    turn: Mutex<()>,
}

impl Packer {
    fn new(args: &RunArgs, image: ImageWish) -> Result<Self> {
        let options = options(&args.select, Path::new("/"))
            .map_err(|error| Failure::new(exit::USAGE, one_line(&error)))?;
        let outputs = Outputs {
            rootfs: args.output.clone(),
            artifacts: args.artifacts.clone(),
            tag: args.tag.clone(),
            keep_env: args.keep_env.clone(),
            image,
        };
        outputs.check()?;
        Ok(Self {
            outputs,
            options,
            start: Instant::now(),
            turn: Mutex::default(),
        })
    }

    fn absolute_outputs(&self) -> Vec<PathBuf> {
        let files = self.outputs.files().into_iter();
        files
            .map(|file| std::path::absolute(&file).unwrap_or(file))
            .collect()
    }

    fn traced(&self, engine: Option<String>) -> Facts {
        Facts {
            engine,
            lasted: Some(self.start.elapsed()),
        }
    }

    fn pack(&self, recording: &Recording, traced: &Facts) -> Result<Shipped> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let fs = HostFs::new("/");
        ship(&fs, recording, self.options.clone(), &self.outputs, traced)
    }

    fn pack_early(&self, recording: &Recording) -> Result<Packed> {
        if !self.outputs.rootfs_is_a_file() {
            bail!(
                "{} is no regular file: it is written once, at the end",
                self.outputs.rootfs.display()
            );
        }
        let shipped = self.pack(recording, &self.traced(None))?;
        Ok(self.packed(&shipped))
    }

    fn packed(&self, shipped: &Shipped) -> Packed {
        Packed {
            summary: summary(&self.outputs, shipped),
            entries: shipped.layer.entries,
            bytes: shipped.layer.content_bytes,
        }
    }
}

fn pack_now(packer: &Arc<Packer>) -> PackNow {
    let packer = Arc::clone(packer);
    Arc::new(move |recording| {
        packer
            .pack_early(recording)
            .map_err(|error| one_line(&error))
    })
}

fn tell_waiting(traced: &Traced, packer: &Packer, packed: &Result<Shipped>) {
    let outcome = packed.as_ref().map(|shipped| packer.packed(shipped));
    traced.control.tell_outputs(outcome.map_err(one_line));
}

fn context(command: &[OsString]) -> Result<RunContext> {
    Ok(RunContext {
        argv: command
            .iter()
            .map(|argument| argument.as_bytes().to_vec())
            .collect(),
        env: environment(),
        cwd: Some(current_directory()?),
        uid: nix::unistd::geteuid().as_raw(),
        gid: nix::unistd::getegid().as_raw(),
    })
}
