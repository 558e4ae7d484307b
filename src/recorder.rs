//! Events to recording: the one place that keeps what was seen.

mod copy;
pub mod journal;
pub mod spool;

use crate::event::Event;
use crate::image_path::ImagePath;
use crate::recording::{Context, Loss, Recording, Use};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use journal::Journal;
use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Takes in events, in the order in which they were seen.
#[derive(Debug, Default)]
pub struct Recorder {
    recording: Recording,
    losses: BTreeMap<String, u64>,
    /// What earlier runs of the same container made: it was there when this one began, and is no
    /// original.
    made_before: BTreeSet<ImagePath>,
}

impl Recorder {
    /// Records for a command that was started so.
    pub fn new(context: Context) -> Self {
        Self {
            recording: Recording {
                context,
                ..Recording::default()
            },
            ..Self::default()
        }
    }

    /// A run begins, perhaps after others in the same container.
    pub fn begin_run(&mut self) {
        self.made_before = self.recording.created.clone();
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
                Entry::Vacant(_) if is_in(&self.made_before, &original.path) => {}
                Entry::Vacant(unknown) => drop(unknown.insert(original)),
                Entry::Occupied(mut known) => known.get_mut().update(original),
            },
            Event::Moved { from, to } => {
                recording.moved.entry(from).or_default().insert(to);
            }
            Event::Introduced(process) => recording.processes.note(process),
            Event::Called { call, outcome } => recording.calls.note(call, outcome),
            Event::Listened { endpoint, origin } => {
                recording.endpoints.entry(endpoint).or_insert(origin);
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

/// Whether the application made what is at this path: itself, or a directory it lies in.
pub fn is_in(created: &BTreeSet<ImagePath>, path: &ImagePath) -> bool {
    let mut here = Some(path.clone());
    while let Some(place) = here.filter(|_| !created.is_empty()) {
        if created.contains(&place) {
            return true;
        }
        here = place.parent();
    }
    false
}

/// How many events travel together: waking the recorder for each of them would take a processor
/// from the application.
const BATCH: usize = 256;
/// With a journal, how long an event may wait for others to travel with: it is what is lost when
/// we are killed.
const DELAY: Duration = Duration::from_millis(50);

/// What the recorder's thread is asked to do, in this order.
enum Message {
    Record(Vec<Event>),
    /// The emitter holds something back.
    Held,
    Look(Box<dyn FnOnce(&Recorder) + Send>),
    /// The command has ended with this status.
    Finish(u8),
}

/// Where the tracer puts events: telling something never waits. What is still held back travels
/// when somebody looks, and when it is dropped.
pub struct Emitter {
    batch: Arc<Mutex<Vec<Event>>>,
    sender: Sender<Message>,
    /// Whether the recorder is to come for what is held back.
    is_awaited: bool,
}

impl Emitter {
    /// Takes one event.
    pub fn emit(&mut self, event: Event) {
        let mut batch = lock(&self.batch);
        batch.push(event);
        if batch.len() >= BATCH {
            send(&mut batch, &self.sender);
        } else if batch.len() == 1 && self.is_awaited {
            // The recorder outlives every emitter.
            let _ = self.sender.send(Message::Held);
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
    if batch.is_empty() {
        return;
    }
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
    /// Starts it. What an earlier run's journal holds is recorded first.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(
        context: Context,
        mut journal: Option<Journal>,
    ) -> std::io::Result<(Self, Emitter)> {
        let (sender, receiver) = unbounded();
        let batch = Arc::default();
        let emitter = Emitter {
            batch: Arc::clone(&batch),
            sender: sender.clone(),
            is_awaited: journal.is_some(),
        };
        let handle = RecorderHandle { batch, sender };
        let mut recorder = Recorder::new(context);
        if let Some(journal) = &mut journal {
            journal.start_syncing()?;
            let earlier = journal.take_earlier().into_iter();
            earlier.for_each(|event| recorder.record(event));
            recorder.begin_run();
        }
        let mut work = Work {
            recorder,
            journal,
            batch: Arc::clone(&handle.batch),
            sender: handle.sender.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || {
                work.run(&receiver);
                work.recorder.finish()
            })?;
        Ok((Self { thread, handle }, emitter))
    }

    /// For others who add to the recording or look at it.
    pub fn handle(&self) -> RecorderHandle {
        self.handle.clone()
    }

    /// Takes in what was told until now, and nothing any more; the command has ended with
    /// `status`. `None` if the thread panicked: the recording is lost then, and no image may be
    /// made of it.
    pub fn finish(self, status: u8) -> Option<Recording> {
        let Self { thread, handle } = self;
        send(&mut lock(&handle.batch), &handle.sender);
        let _ = handle.sender.send(Message::Finish(status));
        thread.join().ok()
    }
}

/// What the recorder's thread works with.
struct Work {
    recorder: Recorder,
    journal: Option<Journal>,
    batch: Arc<Mutex<Vec<Event>>>,
    sender: Sender<Message>,
}

impl Work {
    fn run(&mut self, messages: &Receiver<Message>) {
        let mut held_until = None;
        loop {
            let message = match held_until {
                None => messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(deadline) => messages.recv_deadline(deadline),
            };
            match message {
                Ok(Message::Record(events)) => self.record(events),
                Ok(Message::Held) => {
                    held_until = held_until.or_else(|| Some(Instant::now() + DELAY));
                }
                Ok(Message::Look(look)) => look(&self.recorder),
                Ok(Message::Finish(status)) => {
                    if let Some(journal) = &mut self.journal {
                        journal.write_end(status);
                    }
                    return;
                }
                // By way of the channel, behind what was sent before it.
                Err(RecvTimeoutError::Timeout) => {
                    held_until = None;
                    send(&mut lock(&self.batch), &self.sender);
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn record(&mut self, events: Vec<Event>) {
        if let Some(journal) = &mut self.journal {
            journal.write_events(&events);
        }
        for event in events {
            self.recorder.record(event);
        }
    }
}

#[cfg(test)]
mod tests;
