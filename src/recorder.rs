//! Events to recording: the one place that keeps what was seen.

use crate::event::Event;
use crate::recording::{Context, Loss, Recording, Use};
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::collections::BTreeMap;
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
                if !recording.removed.contains(&path) {
                    recording.created.insert(path);
                }
            }
            Event::Removed(path) => {
                recording.removed.insert(path);
            }
            Event::Lost(loss) => *self.losses.entry(loss.what).or_default() += loss.count,
        }
    }

    /// Everything that was seen.
    pub fn finish(mut self) -> Recording {
        self.recording.losses = self
            .losses
            .into_iter()
            .map(|(what, count)| Loss { what, count })
            .collect();
        self.recording
    }
}

/// How many events travel together: waking the recorder for each of them would take a processor
/// from the application.
const BATCH: usize = 256;

/// Where the tracer puts events: telling something never waits. What is still held back travels
/// when it is dropped.
pub struct Emitter {
    batch: Vec<Event>,
    sender: Sender<Vec<Event>>,
}

impl Emitter {
    /// Takes one event.
    pub fn emit(&mut self, event: Event) {
        self.batch.push(event);
        if self.batch.len() == BATCH {
            self.flush();
        }
    }

    fn flush(&mut self) {
        // The recorder outlives every emitter.
        let _ = self.sender.send(std::mem::take(&mut self.batch));
    }
}

impl Drop for Emitter {
    fn drop(&mut self) {
        self.flush();
    }
}

/// A recorder on a thread of its own.
pub struct RecorderThread {
    thread: JoinHandle<Recording>,
}

impl RecorderThread {
    /// Starts it. It ends when its emitter is gone.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(context: Context) -> std::io::Result<(Self, Emitter)> {
        let (sender, receiver): (Sender<Vec<Event>>, Receiver<Vec<Event>>) = unbounded();
        let thread = std::thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || {
                let mut recorder = Recorder::new(context);
                for event in receiver.into_iter().flatten() {
                    recorder.record(event);
                }
                recorder.finish()
            })?;
        let emitter = Emitter {
            batch: Vec::new(),
            sender,
        };
        Ok((Self { thread }, emitter))
    }

    /// Waits for the last event to be taken in. `None` if the thread panicked: the recording is
    /// lost then, and no image may be made of it.
    pub fn finish(self) -> Option<Recording> {
        self.thread.join().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image_path::ImagePath;
    use crate::recording::{Access, Origin, Place};

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
    fn what_was_removed_before_it_was_made_again_is_not_new() {
        let mut recorder = Recorder::default();
        recorder.record(Event::Removed(path("/etc/conf")));
        recorder.record(Event::Created(path("/etc/conf")));
        recorder.record(Event::Created(path("/etc/new")));
        let recording = recorder.finish();
        assert_eq!(
            recording.created.into_iter().collect::<Vec<_>>(),
            [path("/etc/new")]
        );
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
}
