//! Between the thread that finds visitors and the one that traces: whom to follow, and what came
//! of it.

use crate::sys::{Tid, WakeTimer};
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
    wanted: Vec<Tid>,
    pace: Duration,
    answers: Vec<(Tid, Answer)>,
}

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
    pub fn want(&self, tids: Vec<Tid>, pace: Duration) {
        let mut state = self.state();
        let pace = if tids.is_empty() {
            Duration::ZERO
        } else {
            pace
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
    pub fn wanted(&self) -> Vec<Tid> {
        self.state().wanted.clone()
    }

    /// For the tracer: what came of it. Nobody wants it any more.
    pub fn answer(&self, tid: Tid, answer: Answer) {
        let mut state = self.state();
        state.wanted.retain(|wanted| *wanted != tid);
        state.answers.push((tid, answer));
    }

    /// Some visitor was not followed from its first moment: the log of opened files is needed.
    /// Gives what is known of it, for a message.
    pub fn note_incomplete(&self) -> &'static str {
        self.incomplete.store(true, Ordering::Relaxed);
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
