//! Tracing a command to its end, whoever records it.

use super::signals::SignalThread;
use super::witness::Witness;
use super::{Manner, SuperviseError, resources};
use crate::event::Event;
use crate::image_fs::HostFs;
use crate::sys::{self, Session, Tid};
use crate::tracer::engine::{self, Choice, Engine, Follower, Outcome, Watcher};
use crate::tracer::gains::Hindrance;
use crate::tracer::launch::{Command, Launched, launch};
use crate::tracer::observe::Observer;
use crate::tracer::stop::End;
use crate::tracer::tracees::ProcTracees;
use crate::tracer::visitors::{self, Visitors};
use nix::errno::Errno;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A command that is traced and waits for its tracer to be ready.
pub struct Started {
    launched: Launched,
    choice: Choice,
    witness: Option<Witness>,
}

impl Started {
    /// Starts it. Call it before another thread is started.
    pub fn new(command: &Command, manner: Manner) -> Result<Self, SuperviseError> {
        // A tracer that was started from a file it may not read is not dumpable, its child would
        // inherit that, and could not be seized.
        let _ = nix::sys::prctl::set_dumpable(true);
        let choice = Choice {
            allow_io_uring: manner.allow_io_uring,
            ..engine::choose(engine::probe(), manner.wish).map_err(SuperviseError::Engine)?
        };
        if let Some(step_down) = &choice.step_down {
            tracing::warn!("{step_down}");
        }
        let saved = sys::take_over_signals();
        let session = Session::take_place();
        let launched = launch(command, &choice, &saved, &session)?;
        // The terminal is the application's now.
        let shares_group = matches!(session, Session::Ours);
        drop(session);
        let witness = if shares_group { Witness::start() } else { None };
        raise_own_file_limit();
        Ok(Self {
            launched,
            choice,
            witness,
        })
    }

    /// Its process.
    pub fn pid(&self) -> Tid {
        self.launched.pid
    }

    /// How it is traced.
    pub fn choice(&self) -> &Choice {
        &self.choice
    }

    /// Lets it run and follows it and its descendants until all have ended. Events go to `emit`,
    /// which is dropped at the end, changes of who is alive to `on_change`.
    pub fn follow(
        mut self,
        (stop_timeout, hurry): (Option<Duration>, Arc<AtomicBool>),
        (wish, hush): (visitors::Wish, visitors::Hush),
        emit: impl FnMut(Event) + Send + 'static,
        on_change: impl FnMut(Tid, bool),
    ) -> Result<End, SuperviseError> {
        let observer = Observer::new(
            ProcTracees::default(),
            Box::new(HostFs::new("/")),
            Box::new(emit),
        );
        let observer = observer.hindering(Hindrance {
            no_new_privs: self.choice.set_no_new_privs,
            ptrace: self.choice.keep_visible,
        });
        let observer = Arc::new(Mutex::new(match self.choice.engine {
            Engine::SyscallStop => observer.without_filter(),
            _ => observer,
        }));
        let signals =
            SignalThread::start(self.launched.pid, stop_timeout, self.witness.take(), hurry)
                .map_err(resources)?;
        if let Some(listener) = self.launched.listener.take() {
            let observer = Arc::clone(&observer);
            std::thread::Builder::new()
                .name("notify".to_owned())
                .spawn(move || {
                    if let Err(error) = engine::serve(&listener, &observer) {
                        // Without answers every path call of the application would fail: better
                        // to end it at once and say why than to make an image of half a run.
                        tracing::error!("the seccomp listener failed: {error}; ending the trace");
                        sys::exit_now(i32::from(crate::exit::OUTPUT));
                    }
                })
                .map_err(resources)?;
        }
        let visitors = Visitors::start(wish, hush, &observer).map_err(resources)?;
        self.launched.go();
        let mut watchers = Watchers { signals, on_change };
        let follower = Follower::new(self.launched.pid, &self.choice, &observer, &mut watchers);
        let door = visitors
            .as_ref()
            .map(|visitors| Arc::clone(visitors.door()));
        let outcome = follower.with_visitors(door).run();
        if let Some(visitors) = visitors {
            visitors.finish();
        }
        let Outcome { end, ran } = outcome.map_err(SuperviseError::Trace)?;
        watchers.signals.close();
        // A signal may have ended it before it could run the command.
        if !ran && let End::Exited(_) = end {
            let errno = self.launched.exec_error().unwrap_or(Errno::ECHILD);
            return Err(SuperviseError::Exec(errno));
        }
        // The notification thread may wait for ever on a listener that nobody uses any more, so
        // it is not joined; without an emitter it can tell nothing.
        observer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .close();
        Ok(end)
    }
}

/// Who hears of the application's threads: the signal thread, and whoever counts them.
struct Watchers<F> {
    signals: SignalThread,
    on_change: F,
}

impl<F: FnMut(Tid, bool)> Watcher for Watchers<F> {
    fn on_change(&mut self, tid: Tid, lives: bool) {
        self.signals.on_change(tid, lives);
        (self.on_change)(tid, lives);
    }

    fn on_stopped(&mut self, tid: Tid, signal: i32) {
        self.signals.on_stopped(tid, signal);
    }
}

/// One open file per tracee: as many as the hard limit allows. The application was started
/// before, so its own limits stay as they were.
fn raise_own_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard.min(4096), hard);
    }
}
