//! Datagram sockets that stay bound. UDP has no listen(2): what tells a server from somebody who
//! waits for one answer, a resolver for instance, is that its socket is there some time later.

use super::network::{datagram_ports, ephemeral_ports};
use super::observe::{Datagram, Observer};
use super::tracees::Tracees;
use std::collections::HashMap;
use std::io;
use std::ops::RangeInclusive;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// How long a socket must stay bound, and how often all are looked at.
const STAY: Duration = Duration::from_millis(250);

/// Looks after the datagram sockets that the observer hears of, on a thread of its own. It ends
/// with the observer.
///
/// # Errors
/// When no thread can be started.
pub fn watch<T: Tracees + Send + 'static>(observer: &Arc<Mutex<Observer<T>>>) -> io::Result<()> {
    let (sender, bound) = channel();
    let place = Arc::downgrade(observer);
    let thread = std::thread::Builder::new().name("datagrams".to_owned());
    thread.spawn(move || look_after(&bound, &place))?;
    let mut observer = observer.lock().unwrap_or_else(PoisonError::into_inner);
    observer.watch_datagrams(sender);
    Ok(())
}

fn look_after<T: Tracees>(bound: &Receiver<Datagram>, observer: &Weak<Mutex<Observer<T>>>) {
    let mut waiting: Vec<Datagram> = Vec::new();
    loop {
        if waiting.is_empty() {
            let Ok(first) = bound.recv() else { return };
            waiting.push(first);
        }
        std::thread::sleep(STAY);
        waiting.extend(bound.try_iter());
        let now = Instant::now();
        let (due, later) = waiting
            .into_iter()
            .partition(|socket| now.saturating_duration_since(socket.since) >= STAY);
        waiting = later;
        let Some(observer) = observer.upgrade() else {
            return;
        };
        for socket in serving(due, &ephemeral_ports(), datagram_ports) {
            let mut observer = observer.lock().unwrap_or_else(PoisonError::into_inner);
            observer.on_served(socket.endpoint, socket.origin);
        }
    }
}

/// Those that serve a port: still bound to the one they asked for, open to anybody, and none of
/// those that the kernel, or a resolver in its place, draws by lot. `now` is asked only where
/// that can be.
fn serving(
    mut sockets: Vec<Datagram>,
    ephemeral: &RangeInclusive<u16>,
    now: impl Fn() -> HashMap<u64, u16>,
) -> Vec<Datagram> {
    sockets.retain(|socket| !ephemeral.contains(&socket.endpoint.port));
    if !sockets.is_empty() {
        let now = now();
        sockets.retain(|socket| now.get(&socket.inode) == Some(&socket.endpoint.port));
    }
    sockets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::{Endpoint, Origin, Protocol};
    use std::net::Ipv4Addr;

    fn datagram(inode: u64, port: u16) -> Datagram {
        Datagram {
            inode,
            endpoint: Endpoint {
                protocol: Protocol::Udp,
                port,
                address: Ipv4Addr::UNSPECIFIED.into(),
            },
            origin: Origin {
                pid: 7,
                program: None,
                call: "bind".into(),
            },
            since: Instant::now(),
        }
    }

    #[test]
    fn who_is_still_bound_where_it_asked_to_be_serves() {
        let bound = vec![
            datagram(1, 53),
            datagram(2, 123),
            datagram(3, 67),
            datagram(4, 40_000),
        ];
        // The second was refused its port and was given another one, the third is gone.
        let now = || [(1, 53), (2, 41_000), (4, 40_000)].into();
        let serving = serving(bound, &(32_768..=60_999), now);
        let inodes: Vec<u64> = serving.iter().map(|socket| socket.inode).collect();
        assert_eq!(inodes, [1]);
    }

    #[test]
    fn nothing_is_read_for_ports_that_are_drawn_by_lot() {
        let now = || panic!("read");
        assert!(serving(vec![datagram(4, 40_000)], &(32_768..=60_999), now).is_empty());
    }
}
