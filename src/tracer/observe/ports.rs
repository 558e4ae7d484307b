//! Ports that are served: bind(2), and then listen(2) or, where there is none, staying bound.

use super::Observer;
use crate::event::Event;
use crate::recording::{Endpoint, Origin, Protocol};
use crate::sys::Tid;
use crate::tracer::syscall::Call;
use crate::tracer::tracees::{NoLink, Tracees};
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::mpsc::Sender;
use std::time::Instant;

/// So many sockets may be bound without being listened on: whoever binds more of them serves
/// nothing by that.
const MAX_BOUND: usize = 4096;

/// What is known of ports.
#[derive(Default)]
pub(super) struct Ports {
    /// Sockets that were bound to a port of the application's choice and not listened on yet.
    bound: HashMap<SocketId, Endpoint>,
    told: HashSet<Endpoint>,
    datagrams: Option<Sender<Datagram>>,
}

/// A socket, whoever has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum SocketId {
    Inode(u64),
    /// Of a thread that may not be looked at: who binds a socket is likely to listen on it.
    Descriptor(Tid, i32),
}

/// A socket without listen(2), which may have been bound for one answer alone.
pub struct Datagram {
    /// The socket.
    pub inode: u64,
    /// Where it was to be bound.
    pub endpoint: Endpoint,
    /// By whom.
    pub origin: Origin,
    /// When.
    pub since: Instant,
}

impl<T: Tracees> Observer<T> {
    /// Has somebody look whether datagram sockets stay bound, and tell it by
    /// [`Self::on_served`].
    pub fn watch_datagrams(&mut self, watcher: Sender<Datagram>) {
        self.ports.datagrams = Some(watcher);
    }

    /// A socket is about to be bound to an Internet address. Whether that succeeds is not waited
    /// for: where it fails nobody listens.
    pub(super) fn on_bind(&mut self, tid: Tid, call: &'static Call, fd: i32, to: SocketAddr) {
        let is_chosen = to.port() != 0;
        if !is_chosen && self.ports.bound.is_empty() {
            return;
        }
        let Some((id, protocol)) = self.socket(tid, fd) else {
            return;
        };
        self.ports.bound.remove(&id);
        if !is_chosen {
            return;
        }
        let endpoint = Endpoint {
            // What no listen(2) follows is not told of one that is not known.
            protocol: protocol.unwrap_or(Protocol::Tcp),
            port: to.port(),
            address: to.ip(),
        };
        match (endpoint.protocol, id) {
            (Protocol::Udp, SocketId::Inode(inode)) => {
                self.on_datagram(tid, call, inode, endpoint);
            }
            _ => {
                if self.ports.bound.len() >= MAX_BOUND {
                    self.ports.bound.clear();
                }
                self.ports.bound.insert(id, endpoint);
            }
        }
    }

    /// A socket is about to be listened on. One that was not bound gets a port of the kernel's
    /// choice.
    pub(super) fn on_listen(&mut self, tid: Tid, call: &'static Call, fd: i32) {
        if self.ports.bound.is_empty() {
            return;
        }
        let bound = self.socket(tid, fd);
        let bound = bound.and_then(|(id, _)| self.ports.bound.remove(&id));
        if let Some(endpoint) = bound.filter(|endpoint| !self.ports.told.contains(endpoint)) {
            let origin = self.origin(tid, call);
            self.introduce(tid);
            self.on_served(endpoint, origin);
        }
    }

    fn on_datagram(&mut self, tid: Tid, call: &'static Call, inode: u64, endpoint: Endpoint) {
        if self.ports.told.contains(&endpoint) {
            return;
        }
        let Some(watcher) = self.ports.datagrams.clone() else {
            return;
        };
        let origin = self.origin(tid, call);
        self.introduce(tid);
        // It ends with us.
        let _ = watcher.send(Datagram {
            inode,
            endpoint,
            origin,
            since: Instant::now(),
        });
    }

    /// A port is served.
    pub fn on_served(&mut self, endpoint: Endpoint, origin: Origin) {
        if self.ports.told.insert(endpoint) {
            (self.emit)(Event::Listened { endpoint, origin });
        }
    }

    fn socket(&mut self, tid: Tid, fd: i32) -> Option<(SocketId, Option<Protocol>)> {
        match self.tracees.socket(tid, fd) {
            Ok(socket) => Some((SocketId::Inode(socket.inode), socket.protocol)),
            Err(NoLink::Forbidden) => Some((SocketId::Descriptor(tid, fd), None)),
            Err(NoLink::Nothing) => None,
        }
    }
}
