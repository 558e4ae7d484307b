//! Tables of Internet sockets: `tcp`, `tcp6`, `udp` and `udp6` of `/proc/net` (proc_net(5)).

use std::net::{IpAddr, SocketAddr};

/// `TCP_LISTEN` (include/net/tcp_states.h).
const LISTEN: u8 = 0x0A;

/// One line of such a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Socket {
    /// Where it is bound.
    pub local: SocketAddr,
    /// What it is connected to; port 0 where to nothing.
    pub remote: SocketAddr,
    /// Its state, in the numbers of TCP.
    pub state: u8,
    /// What `/proc/PID/fd` calls it.
    pub inode: u64,
}

impl Socket {
    /// Whether listen(2) was called.
    pub fn listens(&self) -> bool {
        self.state == LISTEN
    }

    /// Whether it takes packets from one peer alone.
    pub fn is_connected(&self) -> bool {
        self.remote.port() != 0
    }
}

/// The inode of the socket that a link of `/proc/PID/fd` leads to (proc_pid_fd(5)); `None` where
/// it leads to something else.
pub fn inode_of(link: &[u8]) -> Option<u64> {
    let digits = link.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The sockets of a table. A line that is none, the head for instance, is passed over.
pub fn sockets(table: &[u8]) -> impl Iterator<Item = Socket> {
    table.split(|byte| *byte == b'\n').filter_map(socket)
}

fn socket(line: &[u8]) -> Option<Socket> {
    let mut fields = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    Some(Socket {
        local: address(fields.nth(1)?)?,
        remote: address(fields.next()?)?,
        state: u8::try_from(hexadecimal(fields.next()?)?).ok()?,
        // Behind the queues, the timer, the retransmissions, the user and the timeout.
        inode: fields.nth(5)?.parse().ok()?,
    })
}

/// Words of 32 bits in the machine's order, a colon, and the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::try_from(hexadecimal(port)?).ok()?;
    let words = address.as_bytes().chunks(8);
    let bytes: Vec<u8> = words
        .map(|word| Some(hexadecimal(std::str::from_utf8(word).ok()?)?.to_ne_bytes()))
        .collect::<Option<Vec<_>>>()?
        .concat();
    let address = match (address.len(), bytes.as_slice()) {
        (8, bytes) => IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?),
        (32, bytes) => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?),
        _ => return None,
    };
    Some(SocketAddr::new(address, port))
}

fn hexadecimal(text: &str) -> Option<u32> {
    // A sign is none of the digits, and would be read.
    let all = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    all.then(|| u32::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;
    use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};
    use std::os::fd::AsRawFd;
    use std::os::unix::ffi::OsStrExt;

    /// As the kernel prints it (`get_tcp4_sock`, `get_tcp6_sock`).
    fn printed(address: SocketAddr) -> String {
        let bytes = match address.ip() {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        let words = bytes.chunks(4).map(|word| {
            let word = u32::from_ne_bytes(word.try_into().expect("four"));
            format!("{word:08X}")
        });
        format!("{}:{:04X}", words.collect::<String>(), address.port())
    }

    fn line(socket: &Socket) -> String {
        format!(
            " 2071: {} {} {:02X} 00000000:00000000 00:00000000 00000000  1000        0 {} 2 0 0\n",
            printed(socket.local),
            printed(socket.remote),
            socket.state,
            socket.inode
        )
    }

    const HEAD: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when \
                        retrnsmt   uid  timeout inode\n";

    fn found(table: &str, socket: &impl AsRawFd) -> Socket {
        let link = fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd()));
        let inode = inode_of(link.expect("a link").as_os_str().as_bytes()).expect("a socket");
        let text = fs::read(format!("/proc/net/{table}")).expect("a table");
        let mut found = sockets(&text).filter(|socket| socket.inode == inode);
        found.next().expect("listed")
    }

    #[test]
    fn our_own_sockets_are_found() {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let socket = found("tcp", &tcp);
        assert_eq!(socket.local, tcp.local_addr().expect("an address"));
        assert!(socket.listens() && !socket.is_connected());
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let socket = found("udp", &udp);
        assert_eq!(socket.local, udp.local_addr().expect("an address"));
        assert!(!socket.is_connected());
        udp.connect((Ipv4Addr::LOCALHOST, 9)).expect("connected");
        assert!(found("udp", &udp).is_connected());
    }

    #[test]
    fn a_link_to_a_socket_names_its_inode() {
        assert_eq!(inode_of(b"socket:[4711]"), Some(4711));
        for other in ["pipe:[4711]", "socket:[x]", "socket:[1", "/socket:[1]", ""] {
            assert_eq!(inode_of(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn what_is_no_socket_is_passed_over() {
        let socket = Socket {
            local: (Ipv6Addr::UNSPECIFIED, 80).into(),
            remote: (Ipv6Addr::UNSPECIFIED, 0).into(),
            state: LISTEN,
            inode: 7,
        };
        let whole = line(&socket);
        let table = format!("{HEAD}{whole}\n{}", &whole[..60]);
        assert_eq!(sockets(table.as_bytes()).collect::<Vec<_>>(), [socket]);
        assert!(socket.listens() && !socket.is_connected());
        for odd in ["0000007", "+000007F", "0100007F0", "é100007F"] {
            let table = whole.replacen(&"0".repeat(32), odd, 1);
            assert_eq!(sockets(table.as_bytes()).count(), 0, "{odd}");
        }
    }

    proptest! {
        #[test]
        fn what_the_kernel_prints_is_read_back(
            four in any::<([u8; 4], u16, [u8; 4], u16)>(),
            six in any::<([u8; 16], u16, [u8; 16], u16)>(),
            state in any::<u8>(),
            inode in any::<u64>(),
        ) {
            let four = Socket {
                local: (four.0, four.1).into(),
                remote: (four.2, four.3).into(),
                state,
                inode,
            };
            let six = Socket {
                local: (six.0, six.1).into(),
                remote: (six.2, six.3).into(),
                ..four
            };
            let table = format!("{HEAD}{}{}", line(&four), line(&six));
            prop_assert_eq!(sockets(table.as_bytes()).collect::<Vec<_>>(), [four, six]);
        }
    }
}
