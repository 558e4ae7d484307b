//! `/proc/net/tcp` and the like, which a simulated kernel may print otherwise.

use micropacker::sockets::{inode_of, sockets};

pub fn run(data: &[u8]) {
    let _ = inode_of(data);
    for socket in sockets(data) {
        assert!(socket.local.is_ipv4() || socket.local.is_ipv6());
        let _ = (socket.listens(), socket.is_connected());
    }
}
