//! `--pack-ahead`: writing the outputs while the application runs, so that little is left to do
//! when it has ended.
//!
//! A thread that gives way to everything else waits until nothing new is used, and brings the
//! outputs, under their temporary names, to what was seen by then. At the end it is told to stop,
//! and the outputs go on from wherever it has come to.

use super::Packer;
use super::interruptible::{Interruptible, Stopped};
use crate::image_path::ImagePath;
use crate::pack::{Ahead, Output, PackError, work_when_idle};
use crate::recorder::{Recorder, RecorderHandle};
use crate::recording::Recording;
use crate::resolve::resolve;
use crate::supervisor::Meanwhile;
use crate::tracer::visitors::Hush;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often somebody looks whether something new was used.
const BEAT: Duration = Duration::from_millis(250);
/// How long nothing new must have been used.
const QUIET: Duration = Duration::from_secs(2);
/// How long an application may go on using new files before what it has used is packed anyway.
const PATIENCE: Duration = Duration::from_secs(30);

/// The thread that packs ahead, if there is one.
#[derive(Default)]
pub(super) struct PackingAhead {
    at_work: Mutex<Option<AtWork>>,
    /// Its temporary files: ours, not the application's.
    files: Mutex<Vec<ImagePath>>,
}

struct AtWork {
    stop: Arc<AtomicBool>,
    /// Dropped, it ends a wait.
    wake: Sender<()>,
    thread: JoinHandle<Option<Ahead>>,
}

impl PackingAhead {
    /// The files that are written ahead.
    pub(super) fn files(&self) -> Vec<ImagePath> {
        lock(&self.files).clone()
    }

    /// Ends it. What it has written, where that is of use.
    pub(super) fn finish(&self) -> Option<Ahead> {
        let AtWork { stop, wake, thread } = lock(&self.at_work).take()?;
        stop.store(true, Ordering::Relaxed);
        drop(wake);
        let ahead = thread.join().ok()??;
        let is_there = |path: &&std::path::Path| path.exists();
        let files = ahead.temporary_paths();
        (files.iter().filter(|path| is_there(path)).count() == files.len()).then_some(ahead)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Packer {
    /// To be started with the trace.
    pub(super) fn meanwhile(self: &Arc<Self>) -> Meanwhile {
        let packer = Arc::clone(self);
        Box::new(move |recorder, hush| {
            let stop = Arc::new(AtomicBool::new(false));
            let (wake, woken) = channel();
            let (stopping, working) = (Arc::clone(&stop), Arc::clone(&packer));
            let thread = std::thread::Builder::new()
                .name("ahead".to_owned())
                .spawn(move || {
                    work_when_idle();
                    working.pack_ahead(&recorder, &hush, &stopping, &woken)
                });
            match thread {
                Ok(thread) => {
                    *lock(&packer.ahead.at_work) = Some(AtWork { stop, wake, thread });
                }
                Err(error) => tracing::warn!("nothing is packed ahead: {error}"),
            }
        })
    }

    fn pack_ahead(
        &self,
        recorder: &RecorderHandle,
        hush: &Hush,
        stop: &Arc<AtomicBool>,
        woken: &Receiver<()>,
    ) -> Option<Ahead> {
        let mut ahead = None;
        let mut pace = Pace::default();
        let (stopping, log) = (Arc::clone(stop), hush.clone());
        let stopped: Stopped =
            Arc::new(move || stopping.load(Ordering::Relaxed) || log.is_wanted());
        while woken.recv_timeout(BEAT) == Err(RecvTimeoutError::Timeout) {
            let seen = recorder.look(|recorder| seen(recorder.so_far()))?;
            if !pace.is_time(seen, Instant::now()) {
                continue;
            }
            // What we open would stand in the log.
            let Some(_yielding) = hush.begin_yielding() else {
                tracing::debug!("a log of opened files is kept: nothing more is packed ahead");
                break;
            };
            let recording = recorder.look(Recorder::snapshot)?;
            let began = Instant::now();
            match self.round(&mut ahead, &recording, &stopped) {
                Ok(entries) => {
                    let took = began.elapsed().as_secs_f64();
                    tracing::debug!("{entries} entries are packed ahead, in {took:.1} s");
                }
                Err(_) if stopped() => {}
                Err(error) if error.is_change() => pace = Pace::default(),
                Err(error) => {
                    tracing::warn!("nothing is packed ahead any more: {error}");
                    return None;
                }
            }
        }
        ahead
    }

    /// Brings what is packed ahead to what was seen. How many entries it has.
    fn round(
        &self,
        ahead: &mut Option<Ahead>,
        recording: &Recording,
        stopped: &Stopped,
    ) -> Result<u64, PackError> {
        let ahead = match ahead {
            Some(ahead) => ahead,
            None => ahead.insert(self.begin_ahead()?),
        };
        self.over(recording, |fs, options| {
            let stopped = Arc::clone(stopped);
            let fs = Interruptible { fs, stopped };
            let manifest = resolve(&fs, recording, &options);
            // A plan that was made of failures is none.
            if (fs.stopped)() {
                return Ok(0);
            }
            ahead
                .advance(&fs, &manifest)
                .map(|(layer, _)| layer.entries)
        })
    }

    fn begin_ahead(&self) -> Result<Ahead, PackError> {
        let rootfs = Output::create(&self.outputs.rootfs).map_err(PackError::Output)?;
        let image = self.outputs.image_path();
        let image = image.map(|path| Output::create(&path)).transpose();
        let image = image.map_err(PackError::Output)?;
        let ahead = Ahead::begin(
            rootfs,
            image.filter(Output::is_seekable),
            self.outputs.image.compression,
        )?;
        let files = ahead.temporary_paths().into_iter().filter_map(|path| {
            let directory = path.parent()?.canonicalize().ok()?;
            let path = directory.join(path.file_name()?);
            ImagePath::new(path.as_os_str().as_bytes())
        });
        *lock(&self.ahead.files) = files.collect();
        Ok(ahead)
    }
}

/// How much was seen: numbers that grow with whatever may change the outputs.
type Seen = [usize; 5];

fn seen(recording: &Recording) -> Seen {
    [
        recording.uses.len(),
        recording.execs.len(),
        recording.created.len(),
        recording.originals.len(),
        recording.moved.len(),
    ]
}

/// When it is time for another round.
#[derive(Default)]
struct Pace {
    /// What was seen when the last one began.
    packed: Seen,
    /// What was seen last, and since when that has not changed.
    last: Option<(Seen, Instant)>,
    /// Since when there has been something new.
    new_since: Option<Instant>,
}

impl Pace {
    fn is_time(&mut self, seen: Seen, now: Instant) -> bool {
        let since = match self.last {
            Some((last, since)) if last == seen => since,
            _ => now,
        };
        self.last = Some((seen, since));
        if seen == self.packed {
            return false;
        }
        let new_since = *self.new_since.get_or_insert(now);
        let is_time =
            now.duration_since(since) >= QUIET || now.duration_since(new_since) >= PATIENCE;
        if is_time {
            self.packed = seen;
            self.new_since = None;
        }
        is_time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_begins_when_it_is_quiet_or_has_never_been_for_long() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let some = |count| [count, 0, 0, 0, 0];
        let mut pace = Pace::default();
        assert!(
            !pace.is_time(some(0), at(0)) && !pace.is_time(some(0), at(9)),
            "nothing is new"
        );
        assert!(!pace.is_time(some(1), at(10)), "it may go on");
        assert!(!pace.is_time(some(2), at(12)), "it does");
        assert!(pace.is_time(some(2), at(14)));
        assert!(!pace.is_time(some(2), at(20)), "nothing is new");
        for second in 21..51 {
            assert!(!pace.is_time(some(second), at(second as u64)), "{second}");
        }
        assert!(pace.is_time(some(51), at(51)), "it has never been quiet");
    }
}
