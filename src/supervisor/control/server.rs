//! The supervisor's end: one thread that takes connections, and one for each of them.

use super::super::keeping::Originals;
use super::gate::Gate;
use super::lines::{Lines, Timed};
use super::peer::Peer;
use super::protocol::{self, Answer, Ask, MAX_LINE, MAX_REQUEST, Packed, Refusal, Told, line};
use super::{FLUSH, Shared, address};
use crate::byte_string::ByteString;
use crate::event::Event;
use crate::image_fs::HostFs;
use crate::image_path::Escaped;
use crate::recorder::{Recorder, RecorderHandle};
use crate::recording::Loss;
use crate::sys;
use crate::tracer::visitors;
use std::io::{self, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How long a client may take to say what it wants, and to take in an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many connections there may be at once.
const MAX_CONNECTIONS: usize = 256;
/// How many events of a joined command travel to the recorder together, at most.
const BATCH: usize = 256;

/// Listens under our name.
///
/// # Errors
/// When the name is taken, or no thread can be started.
pub fn start(shared: Arc<Shared>) -> io::Result<()> {
    let own_pid = std::process::id() as i32;
    let address = address::address(address::own_namespace()?, own_pid)?;
    let listener = UnixListener::bind_addr(&address)?;
    std::thread::Builder::new()
        .name("control".to_owned())
        .spawn(move || accept(&listener, &shared))?;
    Ok(())
}

fn accept(listener: &UnixListener, shared: &Arc<Shared>) {
    let connections = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming() {
        let Ok(stream) = stream else {
            // Out of descriptors or memory: that passes, and must not become a spin.
            std::thread::sleep(Duration::from_millis(100));
            continue;
        };
        let place = Place::take(&connections);
        let shared = Arc::clone(shared);
        // A client that finds no thread sees its connection closed.
        let _ = std::thread::Builder::new()
            .name("client".to_owned())
            .spawn(move || match place {
                Some(_place) => serve(&shared, stream),
                None => refuse(&stream, Refusal::new("too many are connected: try again")),
            });
    }
}

/// One of [`MAX_CONNECTIONS`], until it is dropped.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(connections: &Arc<AtomicUsize>) -> Option<Self> {
        let place = Self(Arc::clone(connections));
        (place.0.fetch_add(1, Ordering::Relaxed) < MAX_CONNECTIONS).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves one connection to its end.
pub fn serve(shared: &Arc<Shared>, stream: UnixStream) {
    let Ok(writer) = stream.try_clone() else {
        return;
    };
    if let Err(refusal) = converse(shared, stream, &writer) {
        tracing::debug!("a control connection ends: {refusal}");
        refuse(&writer, refusal);
    }
}

/// A peer that is gone or does not read cannot be told anything.
fn refuse(stream: &UnixStream, refusal: Refusal) {
    let _ = answer(stream, &Answer::Error(refusal));
}

fn answer(mut stream: &UnixStream, answer: &Answer) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(&line(answer))
}

fn converse(shared: &Arc<Shared>, stream: UnixStream, writer: &UnixStream) -> Result<(), Refusal> {
    let peer = Peer::of(writer).map_err(|errno| broken(errno.into()))?;
    // Before any answer, after which it may be gone.
    if visitors::is_namesake(peer.pid) {
        (shared.about.greet)(peer.pid);
    }
    let mut lines = Lines::new(Timed::new(stream, PATIENCE));
    let Some(request) = lines.next(MAX_REQUEST).map_err(broken)? else {
        return Ok(());
    };
    let ask = protocol::request(&request)?;
    peer.may(&ask, shared.own_uid)?;
    match ask {
        Ask::Status => {
            shared.joined.flush(FLUSH);
            answer(writer, &Answer::Status(Box::new(shared.status()?))).map_err(broken)
        }
        Ask::Pack => {
            let packed = pack(shared)?;
            answer(writer, &Answer::Packed(packed)).map_err(broken)
        }
        Ask::Stop { wait } => stop(shared, writer, wait),
        Ask::Join { command } => {
            lines.stream().lift().map_err(broken)?;
            receive(shared, &peer, command, &mut lines, writer)
        }
    }
}

fn broken(error: io::Error) -> Refusal {
    Refusal::new(format!("the connection failed: {error}"))
}

/// Writes the outputs from what was seen so far, joined commands included.
pub fn pack(shared: &Shared) -> Result<Packed, Refusal> {
    shared.joined.flush(FLUSH);
    let recording = shared.about.recorder.look(Recorder::snapshot);
    let recording = recording.ok_or_else(|| {
        Refusal::output("the trace has ended: the outputs are being written already")
    })?;
    (shared.about.pack)(&recording).map_err(Refusal::output)
}

/// The signal takes the way that one from outside would.
fn stop(shared: &Shared, writer: &UnixStream, wait: bool) -> Result<(), Refusal> {
    // Before anything that may end us.
    answer(writer, &Answer::Stopping {}).map_err(broken)?;
    if wait {
        let waiting = writer.try_clone().map_err(broken)?;
        shared.waiting().push(waiting);
    }
    // Nobody is left to be signalled.
    if shared.hurry_if_over() {
        return Ok(());
    }
    sys::send_signal(shared.about.stopped_by, libc::SIGTERM)
        .map_err(|errno| Refusal::new(format!("SIGTERM cannot be sent: {errno}")))
}

/// Takes in what a joined command tells, until it ends.
fn receive(
    shared: &Shared,
    peer: &Peer,
    command: Vec<ByteString>,
    lines: &mut Lines<Timed>,
    writer: &UnixStream,
) -> Result<(), Refusal> {
    let name = name_of(&command);
    let stream = writer.try_clone().map_err(broken)?;
    let number = shared.joined.enter(peer, command, stream)?;
    let uid = (!peer.is_trusted(shared.own_uid)).then_some(peer.uid);
    let mut intake = Intake {
        recorder: &shared.about.recorder,
        originals: &shared.about.originals,
        uid,
        gate: Gate::new(uid),
        fs: HostFs::new("/"),
        batch: Vec::new(),
    };
    let joined = Answer::Joined {
        calls: shared.about.counts_calls,
    };
    let result = answer(writer, &joined).map_err(broken).and_then(|()| {
        intake.take_all(lines, writer, |request| {
            shared.joined.on_flushed(number, request);
        })
    });
    if result.is_err() {
        intake.batch.push(Event::Lost(Loss {
            what: format!(
                "what {name} used last: its micropacker exec, process {}, broke off",
                peer.pid
            ),
            count: 1,
        }));
    }
    intake.record();
    shared.joined.leave(number);
    result
}

/// For messages.
fn name_of(command: &[ByteString]) -> String {
    const ENOUGH: usize = 100;
    command.first().map_or_else(
        || "a joined command".to_owned(),
        |ByteString(name)| Escaped(name).to_string().chars().take(ENOUGH).collect(),
    )
}

/// From a joined command's lines to the recorder.
struct Intake<'a> {
    recorder: &'a RecorderHandle,
    originals: &'a Originals,
    /// As [`Gate::new`] takes it.
    uid: Option<u32>,
    gate: Gate,
    fs: HostFs,
    batch: Vec<Event>,
}

impl Intake<'_> {
    /// Until the command says that it is at its end.
    fn take_all(
        &mut self,
        lines: &mut Lines<Timed>,
        writer: &UnixStream,
        on_flushed: impl Fn(u64),
    ) -> Result<(), Refusal> {
        loop {
            if lines.is_drained() || self.batch.len() >= BATCH {
                self.record();
            }
            let Some(line) = lines.next(MAX_LINE).map_err(broken)? else {
                return Err(Refusal::new("the connection ended without a last word"));
            };
            match protocol::said(&line)? {
                Told::Event(event) => {
                    if let Some(event) = self.gate.admit(event, &self.fs)?
                        && self.originals.on_told(&event, &self.fs)
                    {
                        self.batch.push(event);
                    }
                }
                Told::Keep {
                    number,
                    path,
                    level,
                } => {
                    self.record();
                    let kept = self.originals.keep_for(self.uid, &path, level);
                    answer(writer, &Answer::Kept { number, kept }).map_err(broken)?;
                }
                Told::Flushed(request) => {
                    self.record();
                    on_flushed(request);
                }
                Told::Sync(number) => {
                    self.record();
                    self.recorder.look(|_| ()).ok_or_else(|| {
                        Refusal::new("the trace has ended: nothing is recorded any more")
                    })?;
                    answer(writer, &Answer::Synced(number)).map_err(broken)?;
                }
                Told::End {} => return Ok(()),
            }
        }
    }

    fn record(&mut self) {
        if !self.batch.is_empty() {
            self.recorder.record(std::mem::take(&mut self.batch));
        }
    }
}
