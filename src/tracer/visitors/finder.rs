//! The thread that finds visitors, and keeps the log of opened files.

use super::colleagues::Colleagues;
use super::door::Door;
use super::guests::{Finding, Guests, Round};
use super::hush::Hush;
use super::log::Log;
use super::pids::NewPids;
use super::process::{ancestors, name, status, whereabouts};
use super::{REMEDY, Wish};
use crate::image_path::ImagePath;
use crate::sys::{self, Tid};
use crate::tracer::observe::Observer;
use crate::tracer::tracees::Tracees;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often new process IDs are looked for: an engine's `runc init` is there for 30 ms or more.
const BEAT: Duration = Duration::from_millis(5);

/// Whom to look for.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    /// Processes that enter from outside, by a settled wish.
    pub visitors: Wish,
    /// What is let go for `--keep-setuid`, and what it starts.
    pub released: bool,
}

/// How long the command may have to wait for the log to be complete, which it takes less than a
/// second to be, so that it covers who is let go.
const UNTIL_LOGGED: Duration = Duration::from_secs(10);

/// Looking for visitors.
pub struct Visitors {
    door: Arc<Door>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Visitors {
    /// Begins to look for them, if anybody is to be looked for. `main` is the command. Call it on
    /// the thread that traces, and
    /// [`Visitors::finish`] on the same one.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start<T: Tracees + Send + 'static>(
        search: Search,
        main: Tid,
        (hush, colleagues): (Hush, Colleagues),
        observer: &Arc<Mutex<Observer<T>>>,
    ) -> io::Result<Option<Self>> {
        let takes_visitors = search.visitors != Wish::Off;
        if !takes_visitors && !search.released {
            return Ok(None);
        }
        let guests = Guests::new(nix::unistd::getpid().as_raw(), ancestors()).of(main);
        let door = Arc::new(Door::new(sys::own_thread())?);
        let stop = Arc::new(AtomicBool::new(false));
        let mut finder = Finder {
            door: Arc::clone(&door),
            observer: Arc::clone(observer),
            guests: if takes_visitors {
                guests
            } else {
                guests.without_visitors()
            },
            pids: NewPids::new(),
            log: None,
            may_log: true,
            opened: Vec::new(),
            had_unfollowed: false,
            hush,
            colleagues,
            is_ours: false,
        };
        if search.visitors == Wish::Full || search.released {
            finder.begin_log();
        }
        if search.released {
            finder.await_log();
        }
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("visitors".to_owned())
            .spawn(move || {
                while !stopped.load(Ordering::Relaxed) {
                    finder.beat();
                }
                finder.finish();
            })?;
        // After that thread was started, which must not take our wakes.
        sys::accept_wakes()?;
        Ok(Some(Self { door, stop, thread }))
    }

    /// Where the finder's requests arrive.
    pub fn door(&self) -> &Arc<Door> {
        &self.door
    }

    /// Ends the search and the log: files may be opened by us from now on.
    pub fn finish(self) {
        self.stop.store(true, Ordering::Relaxed);
        // Without it nobody is found any more, which the trace has ended for anyway.
        let _ = self.thread.join();
        sys::refuse_wakes();
    }
}

struct Finder<T> {
    door: Arc<Door>,
    observer: Arc<Mutex<Observer<T>>>,
    guests: Guests,
    pids: NewPids,
    /// `None` before the first visitor.
    log: Option<Log>,
    /// False where there can be none, which has been told.
    may_log: bool,
    /// What the log has told and nobody had to know yet.
    opened: Vec<ImagePath>,
    hush: Hush,
    /// Whether anybody was not followed at the last beat.
    had_unfollowed: bool,
    colleagues: Colleagues,
    /// Whether what the log tells next was opened by us, for all that is known.
    is_ours: bool,
}

impl<T: Tracees> Finder<T> {
    fn beat(&mut self) {
        let now = Instant::now();
        for (pid, lineage) in self.door.released() {
            self.guests.on_release(pid, lineage, now);
        }
        for pid in self.pids.next(now) {
            match status(pid) {
                Some(status) => drop(self.guests.on_sight(pid, status, now)),
                None => self.pids.on_absent(pid),
            }
        }
        self.ask(now);
        self.read_log();
        std::thread::sleep(BEAT);
    }

    fn ask(&mut self, now: Instant) {
        let due = self.guests.due(now).into_iter();
        // The looks come first: what has come in after them is newer.
        let round = Round {
            looks: due.map(|pid| (pid, status(pid))).collect(),
            colleagues: self.colleagues.take(),
            answers: self.door.answers(),
        };
        for finding in self.guests.on_round(round, whereabouts, name, now) {
            self.tell(&finding);
        }
        for finding in self.guests.settle(now) {
            self.tell(&finding);
        }
        let (wanted, pace) = self.guests.wanted(now);
        if !wanted.is_empty() && self.log.is_none() && self.may_log {
            self.begin_log();
        }
        self.door.want(wanted, pace);
    }

    fn tell(&self, finding: &Finding) {
        let known = self.door.note_incomplete();
        self.observer()
            .lose_calls("a process that entered the container from outside");
        self.observer().lose(match finding {
            Finding::Missed(name) => format!(
                "a process that entered the container from outside ({}) ended before it \
                 could be followed: {known}; run it as: {REMEDY}",
                match name.as_str() {
                    "" => "it had no time to tell its name",
                    name => name,
                }
            ),
            Finding::Refused(name) => format!(
                "a process that entered the container from outside ({name}) may not be followed: \
                 {known}; run the container with --cap-add SYS_PTRACE, or: {REMEDY}"
            ),
        });
    }

    fn begin_log(&mut self) {
        self.hush.want();
        match Log::start(ImagePath::root()) {
            Ok(log) => {
                self.is_ours = self.hush.hear();
                self.log = Some(log);
            }
            Err(what) => {
                self.may_log = false;
                self.observer().lose(what);
            }
        }
    }

    fn await_log(&mut self) {
        let Some(log) = &self.log else { return };
        let deadline = Instant::now() + UNTIL_LOGGED;
        while !log.is_set() && Instant::now() < deadline {
            std::thread::sleep(BEAT);
        }
        if log.is_complete() {
            self.door.note_logged();
        }
    }

    /// Without visitors nobody is unfollowed without our knowledge, and only what is opened
    /// meanwhile counts.
    ///
    /// As long as everybody was followed from the first moment on, the log is not needed: whoever
    /// else opens files of the container, from the host for instance, is no part of it.
    fn read_log(&mut self) {
        let Some(log) = &mut self.log else { return };
        log.read(self.is_ours, &mut self.opened);
        self.is_ours = self.hush.hear();
        if log.is_complete() {
            self.door.note_logged();
        }
        // What was let go has left its last opens in the queue when it is gone.
        let unfollowed = self.guests.has_released() && self.guests.has_unfollowed();
        let had_unfollowed = std::mem::replace(&mut self.had_unfollowed, unfollowed);
        if !self.door.is_incomplete() && !unfollowed && !had_unfollowed {
            if !self.guests.takes_visitors() {
                self.opened.clear();
                log.forget();
            }
            return;
        }
        if !self.opened.is_empty() {
            let opened = std::mem::take(&mut self.opened);
            let mut observer = self.observer();
            for path in opened {
                observer.on_logged(path);
            }
        }
    }

    fn finish(mut self) {
        // Nobody is heard of any more.
        for finding in self.guests.settle(Instant::now() + UNTIL_LOGGED) {
            self.tell(&finding);
        }
        self.read_log();
        self.hush.finish();
        let Some(log) = self.log.take() else { return };
        let troubles = log.finish();
        if self.door.is_incomplete() || self.guests.has_released() {
            for trouble in troubles {
                self.observer().lose(format!(
                    "{trouble}; what processes opened while they were not followed may be \
                     missing; visitors lose nothing as: {REMEDY}"
                ));
            }
        }
    }

    fn observer(&self) -> MutexGuard<'_, Observer<T>> {
        self.observer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
