//! `micropacker run`: trace, resolve, pack.

mod ahead;
mod interruptible;
mod saved;

use super::artifacts::Traced as Facts;
use super::image::ImageWish;
use super::journal::{begin, header, remedy};
use super::profile::ProfileFile;
use super::select::{mounts, name_of, options, shape};
use super::ship::{Outputs, Shipped, ship};
use super::start::{Startable, environment, manner};
use super::summary::{summary, tell_summary};
use super::user::{User, include_tables};
use super::{Failure, current_directory, one_line, start_logging};
use crate::byte_string::ByteString;
use crate::cli::{RunArgs, VisitorsName};
use crate::exit;
use crate::image_fs::{FileTime, HostFs, ImageFs};
use crate::image_path::ImagePath;
use crate::journal::{Header, Shape};
use crate::past::Before;
use crate::recorder::journal::{Journal, Keeper};
use crate::recorder::spool::{self, Spool};
use crate::recording::{Context as RunContext, Level, Original, Recording};
use crate::resolve::Options;
use crate::supervisor::control::PackNow;
use crate::supervisor::control::protocol::Packed;
use crate::supervisor::{
    Manner, Missing, Request, SuperviseError, Traced, end_like, supervise, supervise_inverted,
};
use crate::tracer::visitors;
use ahead::PackingAhead;
use anyhow::{Result, bail};
use saved::{place_of_originals, spool_for};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Runs the command to its end and writes the outputs. Gives the application's exit status.
pub fn run(args: &RunArgs) -> Result<ExitCode> {
    start_logging(&args.log);
    let image = ImageWish::new(&args.image.image)?;
    let command = command_of(args, &image);
    let Some(mut startable) = Startable::find(&command)? else {
        return Err(Failure::new(
            exit::USAGE,
            "no command to trace: give one behind '--', as in 'micropacker -- /entrypoint.sh', or \
             the image's own with --image-config",
        )
        .into());
    };
    let mut context = context(&command)?;
    if let Some(user) = User::settle(args.image.user.as_deref(), &image)? {
        user.prepare(&mut startable, &mut context)?;
    }
    let mut shape = Shape {
        image_config: image.text.clone().map(ByteString),
        change: image.changes.clone(),
        compress: name_of(args.image.image.compress),
        ..shape(&args.select, &args.keep_env, args.tag.as_deref()).map_err(usage)?
    };
    include_tables(&mut shape, &image, Path::new("/"));
    let (packer, originals, journal) = Packer::new(args, image, &context, shape)?;
    let packer = Arc::new(packer);
    let mut kept = packer.outputs.descriptors();
    kept.extend(journal.as_ref().map(Journal::descriptor));
    let missing = args.missing.as_deref().map(note_missing).transpose()?;
    let request = Request {
        missing,
        command: startable.command.clone(),
        context,
        journal,
        manner: Manner {
            count_calls: packer.profile.path().is_some(),
            ..manner(&args.engine)
        },
        visitors: match args.visitors {
            VisitorsName::Auto => visitors::Wish::Auto,
            VisitorsName::Full => visitors::Wish::Full,
            VisitorsName::Off => visitors::Wish::Off,
        },
        stop_timeout: args.stop_timeout.map(Duration::from_secs),
        hurry: Arc::clone(&packer.outputs.hurry),
        spool: Arc::clone(&packer.spool),
        originals,
        pack: pack_now(&packer),
        meanwhile: args.pack_ahead.then(|| packer.meanwhile()),
        outputs: packer.absolute_outputs(),
        kept,
    };
    if args.inverted {
        let error = supervise_inverted(request, |traced| {
            if let Err(error) = conclude(args, &packer, &traced) {
                tracing::error!("{}", one_line(&error));
            }
        });
        packer.give_up(&error);
        return Err(startable.failure(&error).into());
    }
    let traced = supervise(request).map_err(|error| {
        packer.give_up(&error);
        startable.failure(&error)
    })?;
    conclude(args, &packer, &traced)?;
    end_like(traced.end);
    Ok(ExitCode::from(traced.end.exit_status()))
}

/// `--missing`.
fn note_missing(file: &Path) -> Result<Missing> {
    Missing::create(file).map_err(|error| {
        let message = format!(
            "cannot write --missing {}: {error}; name a file in a directory that is there and can \
             be written to",
            file.display()
        );
        Failure::new(exit::OUTPUT, message).into()
    })
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
    if let Some(ahead) = packer.ahead.finish() {
        packer.outputs.go_on_from(ahead);
    }
    let facts = packer.traced(Some(traced.choice.engine.to_string()));
    let packed = packer.pack(&traced.recording, &facts);
    packer.discard_originals(packed.is_ok());
    packer.keep_journal(packed.is_ok());
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

fn usage(error: anyhow::Error) -> anyhow::Error {
    Failure::new(exit::USAGE, one_line(&error)).into()
}

/// Writes the outputs, as often as it is asked to.
struct Packer {
    outputs: Outputs,
    profile: ProfileFile,
    options: Options,
    /// When the command was about to be started.
    start: Instant,
    /// The originals of what was changed.
    spool: Arc<Mutex<Spool>>,
    /// The journal, until it is decided what becomes of it.
    keeper: Mutex<Option<Keeper>>,
    /// What is packed while the application runs.
    ahead: PackingAhead,
    /// Whose turn it is: the temporary files have the same names each time.
    turn: Mutex<()>,
}

impl Packer {
    /// With the originals of what trying the outputs changes, and the journal.
    fn new(
        args: &RunArgs,
        image: ImageWish,
        context: &RunContext,
        shape: Shape,
    ) -> Result<(Self, Vec<Original>, Option<Journal>)> {
        let mut options = options(&shape, mounts(Path::new("/"))?).map_err(usage)?;
        options.started = Some(file_system_time()?);
        let outputs = Outputs {
            rootfs: args.output.clone(),
            artifacts: args.artifacts.clone(),
            tag: args.tag.clone(),
            keep_env: args.keep_env.clone(),
            hurry: Arc::default(),
            ahead: Mutex::default(),
            image,
        };
        let profile = ProfileFile::new(args.profile.seccomp_profile.as_deref())?;
        let place = place_of_originals(&outputs);
        let mut spool = spool_for(args, &outputs, &options, &place);
        let directories = outputs.directories().into_iter();
        let originals = directories
            .filter_map(|directory| spool.keep(&directory, &directory, Level::Meta))
            .collect();
        outputs.check()?;
        let header: Header = header(context, shape, &place, options.started)?;
        let (journal, keeper) = begin(args.journal.as_deref(), &outputs, header)?.unzip();
        if let Some((directory, next)) = journal.as_ref().and_then(Journal::originals) {
            spool.resume(directory, next);
        }
        let ours: Vec<PathBuf> = keeper.iter().map(|it| it.path().to_owned()).collect();
        options.own = outputs.own(Path::new("/"), &ours);
        options.own.extend(profile.own());
        let packer = Self {
            spool: Arc::new(Mutex::new(spool)),
            outputs,
            profile,
            options,
            keeper: Mutex::new(keeper),
            start: Instant::now(),
            ahead: PackingAhead::default(),
            turn: Mutex::default(),
        };
        Ok((packer, originals, journal))
    }

    fn absolute_outputs(&self) -> Vec<PathBuf> {
        let profile = self.profile.path().map(Path::to_owned);
        let files = self.outputs.files().into_iter().chain(profile);
        files
            .map(|file| std::path::absolute(&file).unwrap_or(file))
            .collect()
    }

    fn traced(&self, engine: Option<String>) -> Facts {
        Facts {
            is_awaited: engine.is_some(),
            engine,
            lasted: Some(self.start.elapsed()),
        }
    }

    fn pack(&self, recording: &Recording, traced: &Facts) -> Result<Shipped> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut shipped = self.over(recording, |fs, options| {
            ship(
                fs,
                Path::new("/"),
                recording,
                options,
                &self.outputs,
                traced,
            )
        })?;
        shipped.lost += self.profile.write(recording)?;
        Ok(shipped)
    }

    /// Does something over the tree as it was when the trace began.
    fn over<R>(&self, recording: &Recording, work: impl FnOnce(&dyn ImageFs, Options) -> R) -> R {
        let originals = self.originals().unwrap_or_default();
        let mut options = self.options.clone();
        options
            .own
            .extend(ImagePath::new(originals.as_os_str().as_bytes()));
        options.own.extend(self.ahead.files());
        let (now, saved) = (HostFs::new("/"), HostFs::new(originals));
        let before = Before::new(&now, &saved, recording);
        work(&before, options)
    }

    fn originals(&self) -> Option<PathBuf> {
        let spool = self.spool.lock().unwrap_or_else(PoisonError::into_inner);
        spool.directory().map(Path::to_owned)
    }

    /// The outputs hold what was needed of them; where there are none the copies stay.
    fn discard_originals(&self, packed: bool) {
        let Some(directory) = self.originals() else {
            return;
        };
        if !packed {
            tracing::warn!(
                "the originals of changed files are left in {}",
                directory.display()
            );
        } else if let Err(error) = spool::remove(&directory) {
            tracing::warn!("{} cannot be removed: {error}", directory.display());
        }
    }

    /// Of a run that was packed or was not.
    fn keep_journal(&self, packed: bool) {
        match self.take_keeper() {
            Some(keeper) if packed => keeper.outputs_written(),
            Some(keeper) => tracing::warn!("{}", remedy(&keeper, &self.outputs)),
            None => {}
        }
    }

    /// A trace that failed may have recorded something before.
    fn give_up(&self, error: &SuperviseError) {
        let has_run = matches!(error, SuperviseError::Trace(_));
        match self.take_keeper() {
            Some(keeper) if has_run => {
                self.discard_originals(false);
                tracing::warn!("{}", remedy(&keeper, &self.outputs));
                return;
            }
            Some(keeper) => keeper.nothing_ran(),
            None => {}
        }
        self.discard_originals(true);
    }

    fn take_keeper(&self) -> Option<Keeper> {
        let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        keeper.take()
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

/// By the clock that file systems take their times from.
fn file_system_time() -> Result<FileTime> {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_REALTIME_COARSE)?;
    Ok(FileTime {
        seconds: now.tv_sec(),
        nanoseconds: u32::try_from(now.tv_nsec())?,
    })
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
        began: now(),
    })
}

/// File systems take their times from the same clock, at most a tick behind it: what changed
/// before has no later time.
fn now() -> Option<FileTime> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let since = since.ok()?;
    Some(FileTime {
        seconds: i64::try_from(since.as_secs()).ok()?,
        nanoseconds: since.subsec_nanos(),
    })
}
