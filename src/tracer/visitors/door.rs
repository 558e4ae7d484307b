//! Between the thread that finds visitors and the one that traces: whom to follow, and what came
//! of it.

use crate::sys::{Tid, WakeTimer};
use crate::tracer::task::Lineage;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What came of trying to follow a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is followed.
    Followed,
    /// It is none that should be followed.
    LetGo,
}

/// The requests of one thread and the answers of another.
pub struct Door {
    timer: WakeTimer,
    state: Mutex<State>,
    incomplete: AtomicBool,
    logged: AtomicBool,
}

#[derive(Default)]
struct State {
    wanted: Vec<(Tid, Lineage)>,
    pace: Duration,
    answers: Vec<(Tid, Answer)>,
    /// Processes that run without the tracer from now on.
    released: Vec<(Tid, Lineage)>,
    /// Those whose end the tracer waits for, which only looking again and again can tell.
    awaited: HashSet<Tid>,
}

/// How often the tracer looks whether somebody has ended.
const WAITING: Duration = Duration::from_millis(10);

impl Door {
    /// `tracer` is the thread that traces; it calls [`crate::sys::accept_wakes`].
    ///
    /// # Errors
    /// Those of timer_create(2).
    pub fn new(tracer: Tid) -> nix::Result<Self> {
        Ok(Self {
            timer: WakeTimer::new(tracer)?,
            state: Mutex::default(),
            incomplete: AtomicBool::new(false),
            logged: AtomicBool::new(false),
        })
    }

    /// Asks the tracer to follow these and nobody else, and to try it at this pace.
    pub fn want(&self, tids: Vec<(Tid, Lineage)>, pace: Duration) {
        let mut state = self.state();
        let pace = match (tids.is_empty(), state.awaited.is_empty()) {
            (false, true) => pace,
            (false, false) => pace.min(WAITING),
            (true, false) => WAITING,
            (true, true) => Duration::ZERO,
        };
        if pace != state.pace {
            self.timer.set(pace);
            state.pace = pace;
        }
        state.wanted = tids;
    }

    /// What came of it since the last time.
    pub fn answers(&self) -> Vec<(Tid, Answer)> {
        std::mem::take(&mut self.state().answers)
    }

    /// For the tracer: whom to follow.
    pub fn wanted(&self) -> Vec<(Tid, Lineage)> {
        self.state().wanted.clone()
    }

    /// For the tracer: a process runs without it from now on; it is to be wanted again.
    pub fn release(&self, pid: Tid, lineage: Lineage) {
        let mut state = self.state();
        state.released.push((pid, lineage));
        if lineage == Lineage::Command {
            state.awaited.insert(pid);
        }
    }

    /// For the tracer: it needs not be waited for any more.
    pub fn no_longer_await(&self, pid: Tid) {
        self.state().awaited.remove(&pid);
    }

    /// Who runs without the tracer since the last time.
    pub fn released(&self) -> Vec<(Tid, Lineage)> {
        std::mem::take(&mut self.state().released)
    }

    /// For the tracer: what came of it. Nobody wants it any more.
    pub fn answer(&self, tid: Tid, answer: Answer) {
        let mut state = self.state();
        state.wanted.retain(|(wanted, _)| *wanted != tid);
        state.answers.push((tid, answer));
    }

    /// Some visitor was not followed from its first moment: the log of opened files is needed.
    /// Gives what is known of it, for a message.
    pub fn note_incomplete(&self) -> &'static str {
        self.incomplete.store(true, Ordering::Relaxed);
        self.known()
    }

    /// What is known of those that are not followed, for a message.
    pub fn known(&self) -> &'static str {
        if self.logged.load(Ordering::Relaxed) {
            "what it opened is taken from a log, what it only looked at is not known"
        } else {
            "what it used then may be missing"
        }
    }

    /// The log sees every file that is opened.
    pub fn note_logged(&self) {
        self.logged.store(true, Ordering::Relaxed);
    }

    /// Whether that was ever the case.
    pub fn is_incomplete(&self) -> bool {
        self.incomplete.load(Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
