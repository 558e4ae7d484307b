//! Sockets of tracees: which one a descriptor is, and which ports ours hold (network_namespaces(7)).

use super::credentials::as_tracee;
use super::namespaces::shares_network;
use super::tracees::NoLink;
use crate::recording::Protocol;
use crate::sockets::{inode_of, sockets};
use crate::sys::Tid;
use std::collections::HashMap;
use std::fs;
use std::io;
use std::ops::RangeInclusive;
use std::os::unix::ffi::OsStrExt;

/// A socket that has ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Socket {
    /// Its number, which all descriptors of it share.
    pub inode: u64,
    /// Its protocol; `None` where that cannot be told.
    pub protocol: Option<Protocol>,
}

/// What the kernel calls a socket's protocol, as an attribute of its descriptor
/// (`sockfs_xattr_get`).
const PROTOCOL: &str = "system.sockprotoname";

/// What the kernel takes ports from by itself, where nothing else was set (ip(7)).
const EPHEMERAL: RangeInclusive<u16> = 32768..=60999;

/// The socket behind a descriptor.
///
/// # Errors
/// [`NoLink::Nothing`] for one that has no ports, or none in our network.
pub fn socket_of(tid: Tid, fd: i32) -> Result<Socket, NoLink> {
    let path = format!("/proc/{tid}/fd/{fd}");
    let link = as_tracee(tid, || fs::read_link(&path)).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => NoLink::Forbidden,
        _ => NoLink::Nothing,
    })?;
    let inode = inode_of(link.as_os_str().as_bytes()).ok_or(NoLink::Nothing)?;
    let protocol = match as_tracee(tid, || xattr::get_deref(&path, PROTOCOL)) {
        Ok(Some(name)) => Some(protocol_of(&name).ok_or(NoLink::Nothing)?),
        _ => None,
    };
    match shares_network(tid) {
        true => Ok(Socket { inode, protocol }),
        false => Err(NoLink::Nothing),
    }
}

/// By the name of the kernel's `struct proto`.
fn protocol_of(name: &[u8]) -> Option<Protocol> {
    Some(match name.strip_suffix(b"\0").unwrap_or(name) {
        b"TCP" | b"TCPv6" | b"MPTCP" | b"MPTCPv6" => Protocol::Tcp,
        b"UDP" | b"UDPv6" => Protocol::Udp,
        b"SCTP" | b"SCTPv6" => Protocol::Sctp,
        _ => return None,
    })
}

/// The ports of UDP sockets of our network that take packets from anybody, by inode.
pub fn datagram_ports() -> HashMap<u64, u16> {
    let tables = ["/proc/self/net/udp", "/proc/self/net/udp6"];
    let tables = tables.map(|table| fs::read(table).unwrap_or_default());
    let all = tables.iter().flat_map(|table| sockets(table));
    let open = all.filter(|socket| !socket.is_connected());
    open.map(|socket| (socket.inode, socket.local.port()))
        .collect()
}

/// The ports that the kernel gives to who does not choose one.
pub fn ephemeral_ports() -> RangeInclusive<u16> {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    range_of(&text).unwrap_or(EPHEMERAL)
}

fn range_of(text: &str) -> Option<RangeInclusive<u16>> {
    let mut ends = text.split_ascii_whitespace().map(|end| end.parse().ok());
    Some(ends.next()??..=ends.next()??)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpListener, UdpSocket};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    fn own(socket: &impl AsRawFd) -> Result<Socket, NoLink> {
        socket_of(crate::sys::own_thread(), socket.as_raw_fd())
    }

    #[test]
    fn a_descriptor_tells_its_protocol_and_its_port() {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let (unix, _other) = UnixStream::pair().expect("a pair");
        assert_eq!(own(&tcp).map(|it| it.protocol), Ok(Some(Protocol::Tcp)));
        let socket = own(&udp).expect("a socket");
        assert_eq!(socket.protocol, Some(Protocol::Udp));
        let port = || datagram_ports().get(&socket.inode).copied();
        assert_eq!(port(), Some(udp.local_addr().expect("an address").port()));
        udp.connect((Ipv4Addr::LOCALHOST, 9)).expect("connected");
        assert_eq!(port(), None);
        assert_eq!(own(&unix), Err(NoLink::Nothing));
        assert_eq!(socket_of(1, -1), Err(NoLink::Nothing));
    }

    #[test]
    fn protocols_are_known_by_the_kernels_names() {
        assert_eq!(protocol_of(b"MPTCP\0"), Some(Protocol::Tcp));
        assert_eq!(protocol_of(b"SCTPv6"), Some(Protocol::Sctp));
        assert_eq!(protocol_of(b"UNIX\0"), None);
    }

    #[test]
    fn the_range_of_ephemeral_ports_is_two_numbers() {
        assert_eq!(range_of("1024\t65535\n"), Some(1024..=65535));
        assert_eq!(range_of("1024"), None);
        assert_eq!(range_of("a b"), None);
    }
}
