//! When micropacker itself opens files of the image while the trace goes on, to write the
//! outputs: the log would take its opens for somebody's.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Shared by whoever writes outputs and the log's reader.
#[derive(Clone, Default)]
pub struct Hush(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    /// Who is at work.
    workers: usize,
    /// Whether a log is being read.
    is_read: bool,
    /// Whether its reader has taken in all that was opened before the work began.
    heard: bool,
    /// Whether somebody works who gives way to a log.
    is_yielding: bool,
    /// Whether a log was wanted: such work is over for good.
    is_wanted: bool,
}

/// Work that gives way to a log, until it is dropped.
pub struct Yielding(Hush);

impl Drop for Yielding {
    fn drop(&mut self) {
        self.0.state().is_yielding = false;
        self.0.0.1.notify_all();
    }
}

impl Hush {
    /// Does work whose opens do not count.
    pub fn during<R>(&self, work: impl FnOnce() -> R) -> R {
        let mut state = self.state();
        state.workers += 1;
        while state.is_read && !state.heard {
            state = self.wait(state);
        }
        drop(state);
        let result = work();
        self.state().workers -= 1;
        result
    }

    /// Begins work that gives way to a log: whoever does it looks at [`Self::is_wanted`] often, and
    /// ends it then. `None` once there is a log, or was one.
    pub fn begin_yielding(&self) -> Option<Yielding> {
        let mut state = self.state();
        if state.is_wanted {
            return None;
        }
        state.is_yielding = true;
        Some(Yielding(self.clone()))
    }

    /// Whether a log is wanted, or was.
    pub fn is_wanted(&self) -> bool {
        self.state().is_wanted
    }

    /// For who is about to begin a log: waits until those who give way have done so.
    pub fn want(&self) {
        let mut state = self.state();
        state.is_wanted = true;
        while state.is_yielding {
            state = self.wait(state);
        }
    }

    /// For the reader, each time it has read everything: true when what it reads next is not to
    /// be taken in.
    pub fn hear(&self) -> bool {
        let mut state = self.state();
        state.is_read = true;
        state.heard = state.workers > 0;
        self.0.1.notify_all();
        state.heard
    }

    /// For the reader: nothing is read any more.
    pub fn finish(&self) {
        self.state().is_read = false;
        self.0.1.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.0.1.wait(state).unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn without_a_log_nobody_waits() {
        let hush = Hush::default();
        assert_eq!(hush.during(|| 3), 3);
        hush.hear();
        hush.finish();
        assert_eq!(hush.during(|| 4), 4);
    }

    #[test]
    fn a_log_waits_until_others_have_given_way_and_they_never_begin_again() {
        let hush = Hush::default();
        drop(hush.begin_yielding().expect("no log"));
        let yielding = hush.begin_yielding().expect("no log");
        let log = hush.clone();
        let thread = std::thread::spawn(move || log.want());
        while !hush.is_wanted() {
            std::thread::yield_now();
        }
        assert!(!thread.is_finished(), "it did not wait");
        drop(yielding);
        thread.join().expect("ended");
        assert!(hush.begin_yielding().is_none());
    }

    #[test]
    fn work_begins_when_all_before_it_was_read_and_what_follows_its_end_counts() {
        let hush = Hush::default();
        assert!(!hush.hear(), "nobody is at work");
        let worker = hush.clone();
        let (begin, begun) = channel();
        let (end, ended) = channel::<()>();
        let thread = std::thread::spawn(move || {
            worker.during(|| {
                begin.send(()).expect("received");
                ended.recv().expect("sent");
            });
        });
        while !hush.hear() {
            assert!(begun.try_recv().is_err(), "it did not wait");
        }
        begun.recv().expect("sent");
        assert!(hush.hear());
        end.send(()).expect("received");
        thread.join().expect("ended");
        assert!(!hush.hear());
    }
}
