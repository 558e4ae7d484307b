//! Being the application's parent, PID 1 where need be: start it, pass signals on, reap, decide
//! when the trace is over.

mod background;
pub mod control;
mod follow;
mod foreground;
#[cfg(test)]
mod history;
mod inverted;
mod keeping;
mod missing;
mod signals;
pub mod stop_policy;
mod witness;

use crate::recorder::journal::Journal;
use crate::recorder::spool::Spool;
use crate::recorder::{RecorderHandle, RecorderThread};
use crate::recording::{Context, Original, Recording};
use crate::sys;
use crate::tracer::engine::{Choice, Wish};
use crate::tracer::launch::{Command, LaunchError, NotRun};
use crate::tracer::stop::End;
use crate::tracer::visitors;
use control::{About, Control, PackNow};
use follow::Started;
pub use foreground::join;
pub use inverted::supervise_inverted;
use keeping::Originals;
pub use missing::Missing;
use nix::errno::Errno;
use std::collections::BTreeSet;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
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
    /// Where originals of changed files go.
    pub spool: Arc<Mutex<Spool>>,
    /// What is kept there already.
    pub originals: Vec<Original>,
    /// Writes the outputs from what was seen so far, while the trace goes on.
    pub pack: PackNow,
    /// What is to be begun together with the trace.
    pub meanwhile: Option<Meanwhile>,
    /// Which files that makes, for those who ask.
    pub outputs: Vec<PathBuf>,
    /// Where what is asked for and is not there is written down.
    pub missing: Option<Missing>,
    /// Inherited descriptors that it needs.
    pub kept: BTreeSet<RawFd>,
}

/// Begins something that goes on while the trace does, on a thread of its own.
pub type Meanwhile = Box<dyn FnOnce(RecorderHandle, visitors::Hush) + Send>;

/// How a command is traced.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    /// Which engine.
    pub wish: Wish,
    /// The application may use io_uring, through which files are opened unseen.
    pub allow_io_uring: bool,
    /// Set-user-ID programs and file capabilities have their effect, if need be untraced.
    pub keep_setuid: bool,
    /// All system calls are counted, which needs their stops.
    pub count_calls: bool,
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
    /// The command could not take on its user.
    #[error("the user and group IDs cannot be set: {}", .0.desc())]
    User(Errno),
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

impl From<NotRun> for SuperviseError {
    fn from(not_run: NotRun) -> Self {
        match not_run {
            NotRun::User(errno) => Self::User(errno),
            NotRun::Exec(errno) => Self::Exec(errno),
        }
    }
}

/// Runs the command to its end under trace. Call it before another thread is started.
///
/// # Errors
/// When it could not be started or followed; it is not running any more then.
pub fn supervise(request: Request) -> Result<Traced, SuperviseError> {
    let started = Started::new(&request.command, request.manner)?;
    let_go(&request.kept);
    let argv = request.context.argv.clone();
    let (recorder, mut emitter) =
        RecorderThread::start(request.context, request.journal).map_err(resources)?;
    let choice = started.choice().clone();
    let (hush, pack) = (visitors::Hush::default(), request.pack);
    let hushed = hush.clone();
    let originals =
        Originals::new(request.spool, recorder.handle(), request.originals).noting(request.missing);
    let colleagues = visitors::Colleagues::default();
    let announced = colleagues.clone();
    let control = Control::start(About {
        recorder: recorder.handle(),
        originals: originals.clone(),
        engine: choice.engine,
        counts_calls: choice.counts_calls,
        argv,
        main: started.pid(),
        stopped_by: std::process::id() as sys::Tid,
        hurry: Arc::clone(&request.hurry),
        outputs: request.outputs,
        pack: Arc::new(move |recording| hushed.during(|| pack(recording))),
        greet: Box::new(move |pid| announced.announce(pid)),
    });
    if let Some(meanwhile) = request.meanwhile {
        meanwhile(recorder.handle(), hush.clone());
    }
    let end = started.follow(
        (request.stop_timeout, Some(request.hurry)),
        (request.visitors, (hush, colleagues)),
        originals.keeping(),
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

/// What the command has inherited is its own from now on.
fn let_go(kept: &BTreeSet<RawFd>) {
    if let Err(error) = sys::let_go_of_inherited(kept) {
        tracing::warn!(
            "the application's descriptors stay open in micropacker too: {error}; whoever reads \
             its output sees the end of it when micropacker ends"
        );
    }
}

fn resources(error: std::io::Error) -> SuperviseError {
    SuperviseError::Resources(error.to_string())
}
