//! Events to recording: the one place that keeps what was seen.

mod copy;
pub mod spool;

use crate::event::Event;
use crate::recording::{Context, Loss, Recording, Use};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Takes in events, in the order in which they were seen.
#[derive(Debug, Default)]
pub struct Recorder {
    recording: Recording,
    losses: BTreeMap<String, u64>,
}

impl Recorder {
    /// Records for a command that was started so.
    pub fn new(context: Context) -> Self {
        Self {
            recording: Recording {
                context,
                ..Recording::default()
            },
            losses: BTreeMap::new(),
        }
    }

    /// Takes in one event.
    pub fn record(&mut self, event: Event) {
        let recording = &mut self.recording;
        match event {
            Event::Used {
                place,
                access,
                origin,
            } => {
                recording
                    .uses
                    .entry(place)
                    .and_modify(|known| known.access |= access)
                    .or_insert(Use {
                        access,
                        first: origin,
                    });
            }
            Event::Started(exec) => {
                recording.execs.insert(exec);
            }
            Event::Created(path) => {
                recording.created.insert(path);
            }
            Event::Kept(original) => match recording.originals.entry(original.path.clone()) {
                Entry::Vacant(unknown) => drop(unknown.insert(original)),
                Entry::Occupied(mut known) => known.get_mut().update(original),
            },
            Event::Moved { from, to } => {
                recording.moved.entry(from).or_default().insert(to);
            }
            Event::Lost(loss) => *self.losses.entry(loss.what).or_default() += loss.count,
        }
    }

    /// What was seen until now, but for the losses.
    pub fn so_far(&self) -> &Recording {
        &self.recording
    }

    /// What could not be seen until now, equal ones counted.
    pub fn losses(&self) -> BTreeSet<Loss> {
        let loss = |(what, count): (&String, &u64)| Loss {
            what: what.clone(),
            count: *count,
        };
        self.losses.iter().map(loss).collect()
    }

    /// What was seen until now, as it would be if this were the end.
    pub fn snapshot(&self) -> Recording {
        Recording {
            losses: self.losses(),
            ..self.recording.clone()
        }
    }

    /// Everything that was seen.
    pub fn finish(self) -> Recording {
        Recording {
            losses: self.losses(),
            ..self.recording
        }
    }
}

/// How many events travel together: waking the recorder for each of them would take a processor
/// from the application.
const BATCH: usize = 256;

/// What the recorder's thread is asked to do, in this order.
enum Message {
    Record(Vec<Event>),
    Look(Box<dyn FnOnce(&Recorder) + Send>),
    Finish,
}

/// Where the tracer puts events: telling something never waits. What is still held back travels
/// when somebody looks, and when it is dropped.
pub struct Emitter {
    batch: Arc<Mutex<Vec<Event>>>,
    sender: Sender<Message>,
}

impl Emitter {
    /// Takes one event.
    pub fn emit(&mut self, event: Event) {
        let mut batch = lock(&self.batch);
        batch.push(event);
        if batch.len() >= BATCH {
            send(&mut batch, &self.sender);
        }
    }
}

impl Drop for Emitter {
    fn drop(&mut self) {
        send(&mut lock(&self.batch), &self.sender);
    }
}

/// The batch stays locked until it is on its way, so events keep their order.
fn send(batch: &mut Vec<Event>, sender: &Sender<Message>) {
    // The recorder outlives every emitter.
    let _ = sender.send(Message::Record(std::mem::take(batch)));
}

fn lock(batch: &Mutex<Vec<Event>>) -> MutexGuard<'_, Vec<Event>> {
    batch.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The way to a recorder at work, for those who add to it or look at it.
#[derive(Clone)]
pub struct RecorderHandle {
    batch: Arc<Mutex<Vec<Event>>>,
    sender: Sender<Message>,
}

impl RecorderHandle {
    /// Adds what somebody else saw. After the end of the recording it is lost; a look afterwards
    /// tells whether it was taken in.
    pub fn record(&self, events: Vec<Event>) {
        let _ = self.sender.send(Message::Record(events));
    }

    /// Looks at everything that was told until now, what the emitter holds back included. `None`
    /// when the recording is over.
    pub fn look<R: Send + 'static>(
        &self,
        look: impl FnOnce(&Recorder) -> R + Send + 'static,
    ) -> Option<R> {
        send(&mut lock(&self.batch), &self.sender);
        let (answer, answered) = bounded(1);
        let message = Message::Look(Box::new(move |recorder| {
            // Whoever asked waits for it.
            let _ = answer.send(look(recorder));
        }));
        self.sender.send(message).ok()?;
        answered.recv().ok()
    }
}

/// A recorder on a thread of its own.
pub struct RecorderThread {
    thread: JoinHandle<Recording>,
    handle: RecorderHandle,
}

impl RecorderThread {
    /// Starts it.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(context: Context) -> std::io::Result<(Self, Emitter)> {
        let (sender, receiver) = unbounded();
        let thread = std::thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || record_all(Recorder::new(context), &receiver))?;
        let batch = Arc::default();
        let emitter = Emitter {
            batch: Arc::clone(&batch),
            sender: sender.clone(),
        };
        let handle = RecorderHandle { batch, sender };
        Ok((Self { thread, handle }, emitter))
    }

    /// For others who add to the recording or look at it.
    pub fn handle(&self) -> RecorderHandle {
        self.handle.clone()
    }

    /// Takes in what was told until now, and nothing any more. `None` if the thread panicked: the
    /// recording is lost then, and no image may be made of it.
    pub fn finish(self) -> Option<Recording> {
        let Self { thread, handle } = self;
        send(&mut lock(&handle.batch), &handle.sender);
        let _ = handle.sender.send(Message::Finish);
        thread.join().ok()
    }
}

fn record_all(mut recorder: Recorder, messages: &Receiver<Message>) -> Recording {
    for message in messages {
        match message {
            Message::Record(events) => events.into_iter().for_each(|event| recorder.record(event)),
            Message::Look(look) => look(&recorder),
            Message::Finish => break,
        }
    }
    recorder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image_fs::{ImageFs, MemFs, Meta};
    use crate::image_path::ImagePath;
    use crate::recording::{Access, Body, Origin, Original, Place};

    fn path(text: &str) -> ImagePath {
        ImagePath::new(text).expect("absolute")
    }

    fn used(text: &str, access: Access, pid: i32) -> Event {
        Event::Used {
            place: Place::at(path(text)),
            access,
            origin: Origin {
                pid,
                program: None,
                call: "open".into(),
            },
        }
    }

    #[test]
    fn the_first_user_is_kept_and_all_ways_are_added() {
        let mut recorder = Recorder::default();
        recorder.record(used("/a", Access::PROBE, 1));
        recorder.record(used("/a", Access::OPEN, 2));
        let recording = recorder.finish();
        let seen = &recording.uses[&Place::at(path("/a"))];
        assert_eq!(seen.first.pid, 1);
        assert_eq!(seen.access, Access::PROBE.with(Access::OPEN));
    }

    #[test]
    fn an_original_is_what_it_was_first_and_its_content_may_come_later() {
        let meta = MemFs::new().file("/f", "old").lstat(&path("/f"));
        let meta = meta.expect("there");
        let kept = |mode: u32, body: Body| {
            Event::Kept(Original {
                path: path("/f"),
                meta: Meta { mode, ..meta },
                xattrs: Vec::new(),
                body,
            })
        };
        let saved = |file| Body::Saved { file, length: 3 };
        let mut recorder = Recorder::default();
        recorder.record(kept(0o644, Body::InPlace));
        recorder.record(kept(0o600, saved(1)));
        recorder.record(kept(0o000, saved(2)));
        let recording = recorder.finish();
        let original = &recording.originals[&path("/f")];
        assert_eq!((original.meta.mode, &original.body), (0o644, &saved(1)));
    }

    #[test]
    fn equal_losses_are_counted() {
        let mut recorder = Recorder::default();
        for _ in 0..3 {
            recorder.record(Event::Lost(Loss {
                what: "x".to_owned(),
                count: 1,
            }));
        }
        let losses = recorder.finish().losses;
        assert_eq!(losses.first().map(|loss| loss.count), Some(3));
    }

    #[test]
    fn a_look_sees_what_is_held_back_and_changes_nothing() {
        let (thread, mut emitter) = RecorderThread::start(Context::default()).expect("started");
        let handle = thread.handle();
        emitter.emit(used("/a", Access::OPEN, 1));
        handle.record(vec![used("/b", Access::OPEN, 2)]);
        let seen = handle.look(Recorder::snapshot).expect("it records");
        assert_eq!(seen.uses.len(), 2);
        emitter.emit(used("/c", Access::OPEN, 1));
        let recording = thread.finish().expect("a recording");
        assert_eq!(recording.uses.len(), 3);
    }

    #[test]
    fn the_recording_is_over_when_it_is_finished_whoever_holds_a_handle() {
        let (thread, emitter) = RecorderThread::start(Context::default()).expect("started");
        let handle = thread.handle();
        thread.finish().expect("a recording");
        handle.record(vec![used("/late", Access::OPEN, 1)]);
        assert!(handle.look(|_| ()).is_none());
        drop(emitter);
    }
}
