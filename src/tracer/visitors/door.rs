//! Between the thread that finds visitors and the one that traces: whom to follow, and what came
//! of it.

use crate::sys::{self, Tid};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What came of trying to follow a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is followed.
    Followed,
    /// The kernel does not permit it yet.
    Refused,
    /// It is none that should be followed.
    LetGo,
}

/// The requests of one thread and the answers of another.
pub struct Door {
    tracer: Tid,
    state: Mutex<State>,
    incomplete: AtomicBool,
    logged: AtomicBool,
}

#[derive(Default)]
struct State {
    asked: Vec<Tid>,
    answers: Vec<(Tid, Answer)>,
}

impl Door {
    /// `tracer` is the thread that traces; it has called [`sys::accept_wakes`].
    pub fn new(tracer: Tid) -> Self {
        Self {
            tracer,
            state: Mutex::default(),
            incomplete: AtomicBool::new(false),
            logged: AtomicBool::new(false),
        }
    }

    /// Asks the tracer to follow these, and wakes it. What it has not taken up yet is forgotten:
    /// who still waits is asked for again.
    pub fn ask(&self, tids: Vec<Tid>) {
        self.state().asked = tids;
        sys::wake(self.tracer);
    }

    /// What came of it since the last time.
    pub fn answers(&self) -> Vec<(Tid, Answer)> {
        std::mem::take(&mut self.state().answers)
    }

    /// For the tracer: whom to follow.
    pub fn asked(&self) -> Vec<Tid> {
        std::mem::take(&mut self.state().asked)
    }

    /// For the tracer: what came of it.
    pub fn answer(&self, tid: Tid, answer: Answer) {
        self.state().answers.push((tid, answer));
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
