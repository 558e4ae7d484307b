//! Commands that have joined: who they are, and how they are asked for what they hold back.

use super::peer::Peer;
use super::protocol::{Answer, JoinedCommand, Refusal, line};
use crate::byte_string::ByteString;
use nix::sys::socket::{MsgFlags, send};
use std::collections::BTreeMap;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How many may be joined at once: they hold connections that have no time limit, and must leave
/// some for those who ask.
const MAX_JOINED: usize = 192;

/// Everybody who has joined and has not ended.
#[derive(Default)]
pub struct Registry {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    commands: BTreeMap<u64, Entry>,
    next: u64,
    /// The number of the last request to send what is held back.
    asked: u64,
    closed: bool,
}

struct Entry {
    who: JoinedCommand,
    stream: UnixStream,
    /// The last such request that it has answered.
    flushed: u64,
}

impl Registry {
    /// Adds a command; gives its number.
    ///
    /// # Errors
    /// When the trace has ended, or too many have joined.
    pub fn enter(
        &self,
        peer: &Peer,
        command: Vec<ByteString>,
        stream: UnixStream,
    ) -> Result<u64, Refusal> {
        let mut state = self.lock();
        if state.closed {
            return Err(Refusal::new(
                "the trace has ended: nothing is recorded any more",
            ));
        }
        if state.commands.len() >= MAX_JOINED {
            return Err(Refusal::new(format!(
                "{MAX_JOINED} commands have joined already: wait for one to end"
            )));
        }
        let number = state.next;
        state.next += 1;
        let entry = Entry {
            who: JoinedCommand {
                pid: peer.pid,
                uid: peer.uid,
                command,
            },
            stream,
            flushed: state.asked,
        };
        state.commands.insert(number, entry);
        Ok(number)
    }

    /// A command has ended, or its connection has.
    pub fn leave(&self, number: u64) {
        self.lock().commands.remove(&number);
        self.changed.notify_all();
    }

    /// A command has sent all that it held back when it was asked so.
    pub fn on_flushed(&self, number: u64, request: u64) {
        if let Some(entry) = self.lock().commands.get_mut(&number) {
            entry.flushed = entry.flushed.max(request);
        }
        self.changed.notify_all();
    }

    /// Who has joined now.
    pub fn list(&self) -> Vec<JoinedCommand> {
        let state = self.lock();
        state
            .commands
            .values()
            .map(|entry| entry.who.clone())
            .collect()
    }

    /// Has everybody send what they hold back, and waits until they have, or for `limit`.
    pub fn flush(&self, limit: Duration) {
        let mut state = self.lock();
        state.asked += 1;
        let request = state.asked;
        let message = line(&Answer::Flush(request));
        for entry in state.commands.values() {
            // One that does not read is not waited for: its buffer is full, or it is gone.
            let _ = send(
                entry.stream.as_raw_fd(),
                &message,
                MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL,
            );
        }
        self.wait(state, limit, |state| {
            state.commands.values().any(|entry| entry.flushed < request)
        });
    }

    /// Takes nobody in any more, and waits until all have ended, or for `limit`.
    pub fn close(&self, limit: Duration) {
        let mut state = self.lock();
        state.closed = true;
        self.wait(state, limit, |state| !state.commands.is_empty());
    }

    fn wait(
        &self,
        state: MutexGuard<'_, State>,
        limit: Duration,
        unfinished: impl Fn(&State) -> bool,
    ) {
        drop(
            self.changed
                .wait_timeout_while(state, limit, |state| unfinished(state)),
        );
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    const LONG: Duration = Duration::from_secs(3600);

    fn enter(registry: &Registry) -> (u64, UnixStream) {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let peer = Peer {
            pid: 7,
            uid: 0,
            is_neighbour: true,
        };
        let number = registry.enter(&peer, Vec::new(), ours).expect("entered");
        (number, theirs)
    }

    #[test]
    fn a_flush_waits_for_the_answers_of_those_who_have_not_left() {
        let registry = Registry::default();
        let (one, mut stream) = enter(&registry);
        let (two, _stream) = enter(&registry);
        std::thread::scope(|scope| {
            let flush = scope.spawn(|| registry.flush(LONG));
            let expected = line(&Answer::Flush(1));
            let mut message = vec![0; expected.len()];
            stream.read_exact(&mut message).expect("asked");
            assert_eq!(message, expected);
            assert!(!flush.is_finished());
            registry.on_flushed(one, 1);
            registry.leave(two);
            flush.join().expect("waited");
        });
    }

    #[test]
    fn one_that_does_not_answer_is_waited_for_no_longer_than_the_limit() {
        let registry = Registry::default();
        let (_, _stream) = enter(&registry);
        registry.flush(Duration::ZERO);
        registry.close(Duration::ZERO);
        assert_eq!(registry.list().len(), 1);
    }

    #[test]
    fn nobody_joins_a_trace_that_has_ended() {
        let registry = Registry::default();
        registry.close(LONG);
        let (ours, _theirs) = UnixStream::pair().expect("a pair");
        let peer = Peer {
            pid: 7,
            uid: 0,
            is_neighbour: true,
        };
        assert!(registry.enter(&peer, Vec::new(), ours).is_err());
    }

    #[test]
    fn there_is_room_for_so_many_and_no_more() {
        let registry = Registry::default();
        let _streams: Vec<_> = (0..MAX_JOINED).map(|_| enter(&registry)).collect();
        let (ours, _theirs) = UnixStream::pair().expect("a pair");
        let peer = Peer {
            pid: 7,
            uid: 0,
            is_neighbour: true,
        };
        assert!(registry.enter(&peer, Vec::new(), ours).is_err());
        registry.leave(0);
        enter(&registry);
    }
}
