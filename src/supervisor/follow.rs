//! Tracing a command to its end, whoever records it.

use super::keeping::Keeping;
use super::signals::SignalThread;
use super::witness::Witness;
use super::{Manner, SuperviseError, resources};
use crate::event::Event;
use crate::image_fs::HostFs;
use crate::sys::{self, Listener, SavedSignals, Session, Tid};
use crate::tracer::datagrams;
use crate::tracer::engine::{self, Choice, Engine, Follower, Outcome, Watcher, Wish};
use crate::tracer::gains::Hindrance;
use crate::tracer::launch::{Command, Launched, NotRun, Seizable, launch};
use crate::tracer::observe::Observer;
use crate::tracer::served::{Served, SparedFs};
use crate::tracer::stop::End;
use crate::tracer::tracees::ProcTracees;
use crate::tracer::visitors::{self, Search, Visitors};
use nix::errno::Errno;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What is settled before a command is started.
pub struct Ground {
    /// How it will be traced.
    pub choice: Choice,
    /// Signals as it will find them.
    pub signals: SavedSignals,
    /// Where it will stand.
    pub session: Session,
}

impl Ground {
    /// Takes over our signals and our place. Call it before another thread is started.
    pub fn prepare(manner: Manner) -> Result<Self, SuperviseError> {
        // A tracer that was started from a file it may not read is not dumpable, its child would
        // inherit that, and could not be seized.
        let _ = nix::sys::prctl::set_dumpable(true);
        // Before the probes, which wait for children: SIGCHLD may be ignored.
        let signals = sys::take_over_signals();
        Ok(Self {
            choice: choose(manner)?,
            signals,
            session: Session::take_place(),
        })
    }
}

/// A command that is traced and waits for its tracer to be ready.
pub struct Started {
    launched: Launched,
    choice: Choice,
    witness: Option<Witness>,
    /// Whether we stop when it stops.
    stops_along: bool,
}

impl Started {
    /// Starts it. Call it before another thread is started.
    pub fn new(command: &Command, manner: Manner) -> Result<Self, SuperviseError> {
        let Ground {
            choice,
            signals,
            session,
        } = Ground::prepare(manner)?;
        let launched = launch(command, &choice, &signals, &session)?;
        // The terminal is the application's now.
        let shares_group = matches!(session, Session::Ours);
        drop(session);
        let witness = if shares_group { Witness::start() } else { None };
        raise_own_file_limit();
        Ok(Self {
            launched,
            choice,
            witness,
            stops_along: shares_group,
        })
    }

    /// One that another process has started.
    pub fn by_another(seizable: Seizable, choice: Choice) -> Result<Self, SuperviseError> {
        let launched = seizable.attach(&choice)?;
        raise_own_file_limit();
        Ok(Self {
            launched,
            choice,
            witness: None,
            stops_along: false,
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
        (stop_timeout, hurry): (Option<Duration>, Option<Arc<AtomicBool>>),
        (wish, ties): (visitors::Wish, (visitors::Hush, visitors::Colleagues)),
        keeping: Keeping,
        emit: impl FnMut(Event) + Send + 'static,
        on_change: impl FnMut(Tid, bool),
    ) -> Result<End, SuperviseError> {
        let observer = observe(&self.choice, keeping, emit);
        let signals = SignalThread::start(
            self.launched.pid,
            stop_timeout,
            self.witness.take(),
            self.stops_along,
            hurry,
        )
        .map_err(resources)?;
        if let Some(listener) = self.launched.listener.take() {
            answer(listener, &observer).map_err(resources)?;
        }
        let main = self.launched.pid;
        let search = Search {
            visitors: wish.settled(),
            released: self.choice.releases_gains,
        };
        let visitors = Visitors::start(search, main, ties, &observer).map_err(resources)?;
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
            let not_run = self.launched.not_run();
            return Err(not_run.unwrap_or(NotRun::Exec(Errno::ECHILD)).into());
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

/// Decides how to trace here. Call it before another thread is started.
pub fn choose(manner: Manner) -> Result<Choice, SuperviseError> {
    let wish = match (manner.count_calls, manner.wish) {
        (true, Wish::Only(engine)) if engine != Engine::SyscallStop => {
            return Err(SuperviseError::Engine(format!(
                "a seccomp profile is made of all system calls, and --engine {} sees some of \
                 them only: leave --engine out",
                engine.name()
            )));
        }
        (true, _) => Wish::Only(Engine::SyscallStop),
        (false, wish) => wish,
    };
    let mut choice = Choice {
        allow_io_uring: manner.allow_io_uring,
        counts_calls: manner.count_calls,
        ..engine::choose(engine::probe(), wish, manner.keep_setuid)
            .map_err(SuperviseError::Engine)?
    };
    if manner.count_calls && manner.wish == Wish::Auto {
        choice.step_down =
            Some("every system call stops for the seccomp profile, which is slower".to_owned());
    }
    if let Some(step_down) = &choice.step_down {
        tracing::warn!("{step_down}");
    }
    Ok(choice)
}

/// Who turns calls into events, which go to `emit`.
pub fn observe(
    choice: &Choice,
    Keeping { past, keeper }: Keeping,
    emit: impl FnMut(Event) + Send + 'static,
) -> Arc<Mutex<Observer<ProcTracees>>> {
    let served = Served::new();
    let observer = Observer::new(
        ProcTracees::sparing(served.clone()),
        Box::new(SparedFs::new(HostFs::new("/"), served)),
        Box::new(emit),
    );
    let observer = observer.hindering(Hindrance {
        no_new_privs: choice.set_no_new_privs,
        ptrace: choice.keep_visible,
    });
    let observer = observer.keeping(past, keeper).counting(choice.counts_calls);
    let observer = Arc::new(Mutex::new(match choice.engine {
        Engine::SyscallStop => observer.without_filter(),
        _ => observer,
    }));
    if let Err(error) = datagrams::watch(&observer) {
        tracing::warn!("UDP ports will not be guessed for the image: {error}");
    }
    observer
}

/// Answers the notifications of the filter, on a thread of its own.
pub fn answer(
    listener: Listener,
    observer: &Arc<Mutex<Observer<ProcTracees>>>,
) -> std::io::Result<()> {
    let observer = Arc::clone(observer);
    let serve = move || {
        if let Err(error) = engine::serve(&listener, &observer) {
            // Without answers every path call of the application would fail: better to end it at
            // once and say why than to make an image of half a run.
            tracing::error!("the seccomp listener failed: {error}; ending the trace");
            sys::exit_now(i32::from(crate::exit::OUTPUT));
        }
    };
    let thread = std::thread::Builder::new().name("notify".to_owned());
    thread.spawn(serve).map(drop)
}

/// One open file per tracee: as many as the hard limit allows. The application was started
/// before, so its own limits stay as they were.
pub fn raise_own_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard.min(4096), hard);
    }
}
