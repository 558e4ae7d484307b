//! Being the application's parent, PID 1 where need be: start it, pass signals on, reap, decide
//! when the trace is over.

pub mod control;
mod follow;
mod signals;
pub mod stop_policy;
mod witness;

use crate::recorder::RecorderThread;
use crate::recorder::journal::Journal;
use crate::recording::{Context, Recording};
use crate::sys;
use crate::tracer::engine::{Choice, Wish};
use crate::tracer::launch::{Command, LaunchError};
use crate::tracer::stop::End;
use crate::tracer::visitors;
use control::{About, Control, PackNow, Session};
use follow::Started;
use nix::errno::Errno;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// What to trace, and how.
pub struct Request {
    /// The command.
    pub command: Command,
    /// What it is started with, for the recording.
    pub context: Context,
    /// Where what is seen is written down while it runs.
    pub journal: Option<Journal>,
    /// How it is traced.
    pub manner: Manner,
    /// What is done about processes that enter from outside.
    pub visitors: visitors::Wish,
    /// How long the application may take to end once it was told to.
    pub stop_timeout: Option<Duration>,
    /// Set when a stop signal comes after the trace: whoever writes the outputs then may hurry.
    pub hurry: Arc<AtomicBool>,
    /// Writes the outputs from what was seen so far, while the trace goes on.
    pub pack: PackNow,
    /// Which files that makes, for those who ask.
    pub outputs: Vec<PathBuf>,
}

/// How a command is traced.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    /// Which engine.
    pub wish: Wish,
    /// The application may use io_uring, through which files are opened unseen.
    pub allow_io_uring: bool,
}

/// A finished trace.
pub struct Traced {
    /// How the command ended.
    pub end: End,
    /// What was seen.
    pub recording: Recording,
    /// How it was traced.
    pub choice: Choice,
    /// Those who asked to be told when the outputs are written.
    pub control: Control,
}

/// Why there is no trace.
#[derive(Debug, thiserror::Error)]
pub enum SuperviseError {
    /// The engine that was asked for cannot work here.
    #[error("{0}")]
    Engine(String),
    /// The command could not be started as a tracee.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// execve(2) of the command failed.
    #[error("{}", .0.desc())]
    Exec(Errno),
    /// A thread of ours could not be started or failed.
    #[error("micropacker ran out of resources: {0}")]
    Resources(String),
    /// ptrace(2) or waitpid(2) failed in a way that no rule explains.
    #[error("tracing failed: {0}")]
    Trace(Errno),
}

/// Runs the command to its end under trace. Call it before another thread is started.
///
/// # Errors
/// When it could not be started or followed; it is not running any more then.
pub fn supervise(request: Request) -> Result<Traced, SuperviseError> {
    let started = Started::new(&request.command, request.manner)?;
    let argv = request.context.argv.clone();
    let (recorder, mut emitter) =
        RecorderThread::start(request.context, request.journal).map_err(resources)?;
    let choice = started.choice().clone();
    let (hush, pack) = (visitors::Hush::default(), request.pack);
    let hushed = hush.clone();
    let control = Control::start(About {
        recorder: recorder.handle(),
        engine: choice.engine,
        argv,
        main: started.pid(),
        outputs: request.outputs,
        pack: Arc::new(move |recording| hushed.during(|| pack(recording))),
    });
    let end = started.follow(
        (request.stop_timeout, request.hurry),
        (request.visitors, hush),
        move |event| emitter.emit(event),
        |tid, lives| control.on_change(tid, lives),
    )?;
    control.on_end_of_trace();
    let recording = recorder
        .finish(end.exit_status())
        .ok_or_else(|| SuperviseError::Resources("the recorder failed".to_owned()))?;
    Ok(Traced {
        end,
        recording,
        choice,
        control,
    })
}

/// Ends this process as a shell expects of one that a key of its terminal has ended; see
/// [`sys::end_by`].
pub fn end_like(end: End) {
    if let End::Killed(signal @ (libc::SIGINT | libc::SIGQUIT)) = end {
        sys::end_by(signal);
    }
}

/// Runs the command to its end under trace; what it uses goes to the supervisor that was joined.
/// Call it before another thread is started.
///
/// # Errors
/// As [`supervise`].
pub fn join(command: &Command, manner: Manner, session: Session) -> Result<End, SuperviseError> {
    let started = match Started::new(command, manner) {
        Ok(started) => started,
        Err(error) => {
            session.abandon();
            return Err(error);
        }
    };
    let (mut emitter, telling) = session.start().map_err(resources)?;
    let end = started.follow(
        (None, Arc::default()),
        (visitors::Wish::Off, visitors::Hush::default()),
        move |event| emitter.emit(event),
        |_, _| {},
    );
    telling.finish();
    end
}

fn resources(error: std::io::Error) -> SuperviseError {
    SuperviseError::Resources(error.to_string())
}
