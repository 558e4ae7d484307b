//! Being the application's parent, PID 1 where need be: start it, pass signals on, reap, decide
//! when the trace is over.

mod signals;
pub mod stop_policy;

use crate::event::Event;
use crate::image_fs::HostFs;
use crate::recorder::RecorderThread;
use crate::recording::{Context, Recording};
use crate::sys;
use crate::tracer::engine::{self, Choice, Engine, Follower, Outcome, Wish};
use crate::tracer::launch::{Command, LaunchError, launch};
use crate::tracer::observe::Observer;
use crate::tracer::stop::End;
use crate::tracer::tracees::ProcTracees;
use crate::tracer::visitors::{self, Visitors};
use nix::errno::Errno;
use signals::SignalThread;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What to trace, and how.
pub struct Request {
    /// The command.
    pub command: Command,
    /// What it is started with, for the recording.
    pub context: Context,
    /// Which engine.
    pub wish: Wish,
    /// What is done about processes that enter from outside.
    pub visitors: visitors::Wish,
    /// How long the application may take to end once it was told to.
    pub stop_timeout: Option<Duration>,
}

/// A finished trace.
pub struct Traced {
    /// How the command ended.
    pub end: End,
    /// What was seen.
    pub recording: Recording,
    /// How it was traced.
    pub choice: Choice,
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
    // A tracer that was started from a file it may not read is not dumpable, its child would
    // inherit that, and could not be seized.
    let _ = nix::sys::prctl::set_dumpable(true);
    let choice = engine::choose(engine::probe(), request.wish).map_err(SuperviseError::Engine)?;
    if let Some(step_down) = &choice.step_down {
        tracing::warn!("{step_down}");
    }
    let saved = sys::take_over_signals();
    let mut launched = launch(&request.command, &choice, &saved)?;
    raise_own_file_limit();

    let (recorder, mut emitter) = RecorderThread::start(request.context).map_err(resources)?;
    let emit = move |event: Event| emitter.emit(event);
    let observer = Observer::new(
        ProcTracees::default(),
        Box::new(HostFs::new("/")),
        Box::new(emit),
    );
    let observer = Arc::new(Mutex::new(match choice.engine {
        Engine::SyscallStop => observer.without_filter(),
        _ => observer,
    }));
    let signals = SignalThread::start(launched.pid, request.stop_timeout).map_err(resources)?;
    if let Some(listener) = launched.listener.take() {
        let observer = Arc::clone(&observer);
        std::thread::Builder::new()
            .name("notify".to_owned())
            .spawn(move || {
                if let Err(error) = engine::serve(&listener, &observer) {
                    // Without answers every path call of the application would fail: better to
                    // end it at once and say why than to make an image of half a run.
                    tracing::error!("the seccomp listener failed: {error}; ending the trace");
                    sys::exit_now(i32::from(crate::exit::OUTPUT));
                }
            })
            .map_err(resources)?;
    }
    let visitors = Visitors::start(request.visitors, &observer).map_err(resources)?;
    launched.go();
    let follower = Follower::new(launched.pid, &choice, &observer, |tid, lives| {
        signals.on_change(tid, lives);
    });
    let door = visitors
        .as_ref()
        .map(|visitors| Arc::clone(visitors.door()));
    let outcome = follower.with_visitors(door).run();
    if let Some(visitors) = visitors {
        visitors.finish();
    }
    let Outcome { end, ran } = outcome.map_err(SuperviseError::Trace)?;
    if !ran {
        let errno = launched.exec_error().unwrap_or(Errno::ECHILD);
        return Err(SuperviseError::Exec(errno));
    }
    // The notification thread may wait for ever on a listener that nobody uses any more, so it
    // is not joined; without an emitter it can tell nothing.
    observer
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .close();
    let recording = recorder
        .finish()
        .ok_or_else(|| SuperviseError::Resources("the recorder failed".to_owned()))?;
    Ok(Traced {
        end,
        recording,
        choice,
    })
}

fn resources(error: std::io::Error) -> SuperviseError {
    SuperviseError::Resources(error.to_string())
}

/// One open file per tracee: as many as the hard limit allows. The application was started
/// before, so its own limits stay as they were.
fn raise_own_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard.min(4096), hard);
    }
}
