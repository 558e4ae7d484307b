//! Which ports count as served.

use super::*;
use crate::recording::Protocol;
use std::sync::mpsc;

const TCP: i32 = 3;
const UDP: i32 = 4;

fn scene() -> Scene {
    let mut scene = Scene::new(files());
    for (fd, protocol) in [(TCP, Protocol::Tcp), (UDP, Protocol::Udp)] {
        let socket = Socket {
            inode: 100 + fd as u64,
            protocol: Some(protocol),
        };
        scene.observer.tracees.sockets.push((fd, socket));
    }
    scene
}

impl Scene {
    /// `struct sockaddr_in`.
    fn internet(&mut self, port: u16) -> u64 {
        let family = (libc::AF_INET as u16).to_ne_bytes();
        self.put(&[&family[..], &port.to_be_bytes(), &[0; 12]].concat())
    }

    fn bind(&mut self, fd: i32, port: u16) -> Vec<String> {
        let address = self.internet(port);
        self.call("bind", &[fd as u64, address, 16])
    }

    fn listen(&mut self, fd: i32) -> Vec<String> {
        self.call("listen", &[fd as u64, 128])
    }
}

#[test]
fn a_port_that_is_bound_is_served_when_it_is_listened_on_and_told_once() {
    let mut scene = scene();
    assert!(scene.bind(TCP, 80).is_empty());
    assert_eq!(scene.listen(TCP), ["served 0.0.0.0:80/tcp"]);
    assert!(scene.listen(TCP).is_empty());
    scene.bind(TCP, 80);
    assert!(scene.listen(TCP).is_empty());
}

#[test]
fn descriptors_of_one_socket_are_one() {
    let mut scene = scene();
    let socket = scene.observer.tracees.sockets[0].1;
    scene.observer.tracees.sockets.push((9, socket));
    scene.bind(TCP, 80);
    assert_eq!(scene.listen(9), ["served 0.0.0.0:80/tcp"]);
}

#[test]
fn a_port_of_the_kernels_choice_is_not_served() {
    let mut scene = scene();
    assert!(scene.listen(TCP).is_empty());
    scene.bind(TCP, 0);
    assert!(scene.listen(TCP).is_empty());
    // The first one was refused.
    scene.bind(TCP, 80);
    scene.bind(TCP, 0);
    assert!(scene.listen(TCP).is_empty());
    scene.bind(TCP, 80);
    scene.bind(TCP, 8080);
    assert_eq!(scene.listen(TCP), ["served 0.0.0.0:8080/tcp"]);
}

#[test]
fn what_is_no_socket_with_ports_is_not_served() {
    let mut scene = scene();
    assert!(scene.bind(7, 80).is_empty());
    assert!(scene.listen(7).is_empty());
    let address = scene.internet(80);
    scene.call("connect", &[TCP as u64, address, 16]);
    assert!(scene.listen(TCP).is_empty());
    scene.call("bind", &[TCP as u64, address, 3]);
    assert!(scene.listen(TCP).is_empty());
}

#[test]
fn a_datagram_socket_is_given_to_who_looks_after_it() {
    let mut scene = scene();
    assert!(scene.bind(UDP, 53).is_empty(), "nobody looks after it");
    let (sender, datagrams) = mpsc::channel();
    scene.observer.watch_datagrams(sender);
    assert!(scene.bind(UDP, 53).is_empty());
    let datagram = datagrams.try_recv().expect("given");
    assert_eq!((datagram.inode, datagram.endpoint.port), (104, 53));
    scene
        .observer
        .on_served(datagram.endpoint, datagram.origin.clone());
    assert_eq!(scene.told(), ["served 0.0.0.0:53/udp"]);
    scene.bind(UDP, 53);
    assert!(datagrams.try_recv().is_err(), "it is known");
}

#[test]
fn of_a_process_that_may_not_be_looked_at_binding_and_listening_by_one_thread_count() {
    let mut scene = scene();
    scene.observer.tracees.forbidden = true;
    scene.bind(TCP, 80);
    assert!(scene.listen(UDP).is_empty());
    assert_eq!(scene.listen(TCP), ["served 0.0.0.0:80/tcp"]);
}

#[test]
fn socketcall_binds_and_listens_too() {
    let mut scene = scene();
    let address = scene.internet(80);
    let words = [TCP as u32, address as u32, 16]
        .map(u32::to_ne_bytes)
        .concat();
    let arguments = scene.put(&words);
    assert!(scene.call("socketcall", &[2, arguments]).is_empty());
    assert_eq!(
        scene.call("socketcall", &[4, arguments]),
        ["served 0.0.0.0:80/tcp"]
    );
}

#[test]
fn who_binds_without_end_is_not_remembered_without_end() {
    let mut scene = scene();
    for inode in 0..10_000 {
        scene.observer.tracees.sockets[0].1.inode = 1000 + inode;
        scene.bind(TCP, 80);
    }
    assert_eq!(scene.listen(TCP), ["served 0.0.0.0:80/tcp"]);
}
