//! A joined command's end: what it uses goes to the supervisor's recording.
//!
//! Events travel in batches that are never older than [`DELAY`], and at once when the supervisor
//! asks for them. Telling something never waits for the supervisor.

use super::client::Connection;
use super::protocol::{Answer, Ask, MAX_LINE, MAX_REQUEST, Refusal, Told, line};
use super::remote_keeper::SessionKeeper;
use crate::byte_string::ByteString;
use crate::event::Event;
use crate::recording::Loss;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many events travel together at most.
const BATCH: usize = 256;
/// How long an event may wait for others to travel with. It is what may be lost with a client
/// that is killed.
const DELAY: Duration = Duration::from_millis(20);
/// How long the supervisor may take to say that it has recorded everything.
const LAST_ANSWER: Duration = Duration::from_secs(10);

/// A place in a supervisor's recording.
pub struct Session {
    connection: Connection,
    counts_calls: bool,
}

impl Session {
    /// Asks to join with this command.
    ///
    /// # Errors
    /// Why the supervisor does not want it.
    pub fn join(mut connection: Connection, argv: &[Vec<u8>]) -> Result<Self, Refusal> {
        let command = shortened(argv);
        match connection.ask(Ask::Join { command })? {
            Answer::Joined { calls } => Ok(Self {
                connection,
                counts_calls: calls,
            }),
            _ => Err(Refusal::new("the supervisor's answer makes no sense")),
        }
    }

    /// Whether the supervisor counts system calls.
    pub fn counts_calls(&self) -> bool {
        self.counts_calls
    }

    /// The supervisor's process.
    pub fn supervisor(&self) -> i32 {
        self.connection.supervisor()
    }

    /// Starts the threads that talk: where events go, and what has to be awaited at the end.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(self) -> io::Result<(SessionEmitter, Telling, SessionKeeper)> {
        let (orders, received) = unbounded();
        let (synced, answers) = unbounded();
        let (kept, kept_answers) = unbounded();
        let gone = Arc::new(AtomicBool::new(false));
        let batch: Batch = Arc::default();
        let supervisor = self.supervisor();
        let mut teller = Teller {
            batch: Arc::clone(&batch),
            stream: self.connection.writer()?,
            gone: Arc::clone(&gone),
        };
        std::thread::Builder::new()
            .name("teller".to_owned())
            .spawn(move || teller.run(&received))?;
        let listener = Listener {
            connection: self.connection,
            orders: orders.clone(),
            synced,
            kept,
            gone,
        };
        std::thread::Builder::new()
            .name("listener".to_owned())
            .spawn(move || listener.run())?;
        let emitter = SessionEmitter {
            batch,
            orders: orders.clone(),
        };
        let telling = Telling {
            orders: orders.clone(),
            answers,
            supervisor,
        };
        let keeper = SessionKeeper::new(orders, kept_answers);
        Ok((emitter, telling, keeper))
    }

    /// Ends it before anything was run.
    pub fn abandon(self) {
        if let Ok(mut stream) = self.connection.writer() {
            let _ = stream.write_all(&line(&Told::End {}));
        }
    }
}

/// As much of a command as fits into a request.
fn shortened(argv: &[Vec<u8>]) -> Vec<ByteString> {
    // A byte takes six characters at most (`\u0001`).
    let mut room = MAX_REQUEST / 8;
    let mut command = Vec::new();
    for argument in argv {
        let taken = argument.len().min(room);
        command.push(ByteString(argument[..taken].to_vec()));
        // Its quotes and comma.
        room = room.saturating_sub(taken + 1);
        if room == 0 {
            break;
        }
    }
    command
}

type Batch = Arc<Mutex<Vec<Event>>>;

fn lock(batch: &Mutex<Vec<Event>>) -> MutexGuard<'_, Vec<Event>> {
    batch.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the telling thread has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// There are events.
    Events,
    /// So many that they need not wait for others.
    Many,
    /// The supervisor asked for what is held back.
    Flush(u64),
    /// The supervisor must keep something before its tracee goes on.
    Keep(Told),
    /// The supervisor is to say when all until now is recorded.
    Sync,
    /// That was all.
    End,
}

/// Where the tracer puts events.
pub struct SessionEmitter {
    batch: Batch,
    orders: Sender<Order>,
}

impl SessionEmitter {
    /// Takes one event.
    pub fn emit(&mut self, event: Event) {
        // The supervisor has kept it, and recorded that.
        if matches!(event, Event::Kept(_)) {
            return;
        }
        let mut batch = lock(&self.batch);
        batch.push(event);
        let order = match batch.len() {
            1 => Order::Events,
            BATCH => Order::Many,
            _ => return,
        };
        drop(batch);
        // Without a telling thread nothing can be told; it has said so.
        let _ = self.orders.send(order);
    }
}

/// The thread that writes to the supervisor.
struct Teller {
    batch: Batch,
    stream: UnixStream,
    gone: Arc<AtomicBool>,
}

/// The number of the last [`Told::Sync`], and of those before.
const LAST: u64 = 1;
const NOT_LAST: u64 = 2;

impl Teller {
    fn run(&mut self, orders: &Receiver<Order>) {
        while let Ok(order) = orders.recv() {
            let order = match order {
                Order::Events => match orders.recv_timeout(DELAY) {
                    Ok(order) => order,
                    Err(RecvTimeoutError::Timeout) => Order::Events,
                    Err(RecvTimeoutError::Disconnected) => return,
                },
                other => other,
            };
            let mut text = Vec::new();
            for event in std::mem::take(&mut *lock(&self.batch)) {
                text.extend(told(event));
            }
            match &order {
                Order::Events | Order::Many => {}
                Order::Flush(number) => text.extend(line(&Told::Flushed(*number))),
                Order::Keep(told) => text.extend(line(told)),
                Order::Sync => text.extend(line(&Told::Sync(NOT_LAST))),
                Order::End => {
                    text.extend(line(&Told::Sync(LAST)));
                    text.extend(line(&Told::End {}));
                }
            }
            // Whoever reads the answers tells that the supervisor is gone; until then, and
            // after, the command goes on.
            if !self.gone.load(Ordering::Relaxed) {
                let _ = self.stream.write_all(&text);
            }
            if order == Order::End {
                return;
            }
        }
    }
}

/// An event's line; where that would be longer than the supervisor takes, that it was lost.
fn told(event: Event) -> Vec<u8> {
    let text = line(&Told::Event(event));
    if text.len() <= MAX_LINE {
        return text;
    }
    line(&Told::Event(Event::Lost(Loss {
        what: "a program start of a joined command: its environment is too long".to_owned(),
        count: 1,
    })))
}

/// The thread that reads what the supervisor says.
struct Listener {
    connection: Connection,
    orders: Sender<Order>,
    synced: Sender<u64>,
    kept: Sender<(u64, bool)>,
    gone: Arc<AtomicBool>,
}

impl Listener {
    fn run(mut self) {
        let why = loop {
            match self.connection.answer() {
                Ok(Some(Answer::Flush(number))) => drop(self.orders.send(Order::Flush(number))),
                Ok(Some(Answer::Synced(number))) => {
                    let _ = self.synced.send(number);
                    if number == LAST {
                        return;
                    }
                }
                Ok(Some(Answer::Kept { number, kept })) => drop(self.kept.send((number, kept))),
                // A newer supervisor's word: nothing that we have to answer.
                Ok(Some(_)) => {}
                Ok(None) => break "it is gone".to_owned(),
                Err(refusal) => break refusal.to_string(),
            }
        };
        self.gone.store(true, Ordering::Relaxed);
        tracing::warn!(
            "the micropacker that was joined, process {}, records no more: {why}; what the \
             command uses from now on is lost",
            self.connection.supervisor()
        );
    }
}

/// What is told, until its end.
pub struct Telling {
    orders: Sender<Order>,
    answers: Receiver<u64>,
    supervisor: i32,
}

impl Telling {
    /// Waits until everything that was told until now is recorded, or cannot be any more.
    pub fn sync(&self) {
        self.ask(Order::Sync, NOT_LAST);
    }

    /// Tells that nothing follows, and waits until everything is recorded, or cannot be any more.
    pub fn finish(self) {
        self.ask(Order::End, LAST);
    }

    fn ask(&self, order: Order, number: u64) {
        let _ = self.orders.send(order);
        let deadline = Instant::now() + LAST_ANSWER;
        loop {
            match self.answers.recv_deadline(deadline) {
                // One that came too late the last time.
                Ok(answer) if answer != number => {}
                Ok(_) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => break,
            }
        }
        tracing::warn!(
            "micropacker, process {}, did not confirm in time that everything is recorded",
            self.supervisor
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_to_join_fits_whatever_the_command() {
        for argv in [
            vec![vec![1; 200_000]],
            vec![Vec::new(); 100_000],
            vec![vec![0xFF, 0xFE]; 50_000],
        ] {
            let command = shortened(&argv);
            let request = super::super::protocol::Request {
                protocol: super::super::protocol::PROTOCOL,
                ask: Ask::Join { command },
            };
            assert!(line(&request).len() <= MAX_REQUEST);
        }
    }

    #[test]
    fn an_event_that_is_too_long_is_told_as_lost() {
        let loss = |size| {
            Event::Lost(Loss {
                what: "x".repeat(size),
                count: 1,
            })
        };
        assert!(told(loss(10)).len() > 10);
        let text = told(loss(MAX_LINE));
        assert!(text.len() < 1000);
    }
}
