//! `micropacker run`: trace, resolve, pack.

use super::journal::{begin, remedy};
use super::select::{mounts, options, shape};
use super::ship::{Outputs, Shipped, ship, summary};
use super::start::{Startable, environment, manner};
use super::{Failure, current_directory, one_line, start_logging};
use crate::cli::{RunArgs, VisitorsName};
use crate::exit;
use crate::image_fs::HostFs;
use crate::recorder::journal::Keeper;
use crate::recording::{Context as RunContext, Recording};
use crate::resolve::Options;
use crate::supervisor::control::PackNow;
use crate::supervisor::control::protocol::Packed;
use crate::supervisor::{Request, SuperviseError, Traced, end_like, supervise};
use crate::tracer::visitors;
use anyhow::{Result, bail};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Runs the command to its end and writes the outputs. Gives the application's exit status.
pub fn run(args: &RunArgs) -> Result<ExitCode> {
    start_logging(&args.log);
    let Some(startable) = Startable::find(&args.command)? else {
        return Err(Failure::new(
            exit::USAGE,
            "no command to trace: give one behind '--', as in 'micropacker -- /entrypoint.sh'",
        )
        .into());
    };
    let shape = shape(&args.select, &args.keep_env, args.tag.as_deref()).map_err(usage)?;
    let mut options = options(&shape, mounts(Path::new("/"))?).map_err(usage)?;
    let outputs = Outputs {
        rootfs: args.output.clone(),
        artifacts: args.artifacts.clone(),
        tag: args.tag.clone(),
        keep_env: args.keep_env.clone(),
        hurry: Arc::default(),
    };
    outputs.check()?;
    let context = context(&args.command)?;
    let (journal, keeper) = begin(args.journal.as_deref(), &outputs, &context, shape)?.unzip();
    let ours: Vec<PathBuf> = keeper.iter().map(|it| it.path().to_owned()).collect();
    options.own = outputs.own(Path::new("/"), &ours);
    let packer = Arc::new(Packer {
        outputs,
        options,
        turn: Mutex::default(),
    });
    let supervised = supervise(Request {
        command: startable.command.clone(),
        context,
        journal,
        manner: manner(&args.engine),
        visitors: match args.visitors {
            VisitorsName::Auto => visitors::Wish::Auto,
            VisitorsName::Full => visitors::Wish::Full,
            VisitorsName::Off => visitors::Wish::Off,
        },
        stop_timeout: args.stop_timeout.map(Duration::from_secs),
        hurry: Arc::clone(&packer.outputs.hurry),
        pack: pack_now(&packer),
        outputs: packer.absolute_outputs(),
    });
    let traced = match supervised {
        Ok(traced) => traced,
        Err(error) => {
            keep_after(&error, keeper, &packer.outputs);
            return Err(startable.failure(&error).into());
        }
    };
    tracing::debug!(
        "{} paths used, {} programs started, {} names made; resolving",
        traced.recording.uses.len(),
        traced.recording.execs.len(),
        traced.recording.created.len()
    );
    let packed = packer.pack(&traced.recording);
    tell_waiting(&traced, &packer, &packed);
    match (keeper, &packed) {
        (Some(keeper), Ok(_)) => keeper.outputs_written(),
        (Some(keeper), Err(_)) => tracing::warn!("{}", remedy(&keeper, &packer.outputs)),
        (None, _) => {}
    }
    tracing::info!(
        "{}; traced by {}",
        summary(&packer.outputs, &packed?),
        traced.choice.engine
    );
    end_like(traced.end);
    Ok(ExitCode::from(traced.end.exit_status()))
}

/// A trace that failed may have recorded something before.
fn keep_after(error: &SuperviseError, keeper: Option<Keeper>, outputs: &Outputs) {
    match (error, keeper) {
        (SuperviseError::Trace(_), Some(keeper)) => {
            tracing::warn!("{}", remedy(&keeper, outputs));
        }
        (_, Some(keeper)) => keeper.nothing_ran(),
        (_, None) => {}
    }
}

fn usage(error: anyhow::Error) -> anyhow::Error {
    Failure::new(exit::USAGE, one_line(&error)).into()
}

/// Writes the outputs, as often as it is asked to.
struct Packer {
    outputs: Outputs,
    options: Options,
    /// Whose turn it is: the temporary files have the same names each time.
    turn: Mutex<()>,
}

impl Packer {
    fn absolute_outputs(&self) -> Vec<PathBuf> {
        let files = self.outputs.files().into_iter();
        files
            .map(|file| std::path::absolute(&file).unwrap_or(file))
            .collect()
    }

    fn pack(&self, recording: &Recording) -> Result<Shipped> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let fs = HostFs::new("/");
        ship(&fs, recording, self.options.clone(), &self.outputs)
    }

    fn pack_early(&self, recording: &Recording) -> Result<Packed> {
        if !self.outputs.rootfs_is_a_file() {
            bail!(
                "{} is no regular file: it is written once, at the end",
                self.outputs.rootfs.display()
            );
        }
        Ok(self.packed(&self.pack(recording)?))
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
