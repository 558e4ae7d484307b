//! Addresses of sockets: paths (unix(7)), and ports (ip(7), ipv6(7)).

use super::{AT_FDCWD, Observer};
use crate::recording::Access;
use crate::sys::Tid;
use crate::tracer::syscall::{Call, Deed, Follow};
use crate::tracer::tracees::Tracees;
use std::net::SocketAddr;

impl<T: Tracees> Observer<T> {
    /// A socket is bound or connected to what lies at `address`, so long.
    pub(super) fn on_address(
        &mut self,
        tid: Tid,
        call: &'static Call,
        deed: Deed,
        fd: i32,
        (address, length): (u64, u64),
    ) {
        // `struct sockaddr_un` (unix(7)): family, then a path that need not end in NUL; one that
        // begins with NUL is abstract. All others are shorter.
        let mut buffer = [0; 2 + 108];
        let length =
            usize::try_from(length).map_or(buffer.len(), |length| length.min(buffer.len()));
        let read = self.tracees.read(tid, address, &mut buffer[..length]);
        let [low, high, rest @ ..] = &buffer[..read.min(length)] else {
            return;
        };
        let family = i32::from(u16::from_ne_bytes([*low, *high]));
        if family != libc::AF_UNIX {
            let to = internet(family, rest).filter(|_| deed == Deed::Create);
            return to.map_or((), |to| self.on_bind(tid, call, fd, to));
        }
        let path: Vec<u8> = rest.iter().copied().take_while(|byte| *byte != 0).collect();
        let intent = self.intent(tid, deed, &[0; 6]);
        self.on_path(tid, call, AT_FDCWD, &path, intent);
    }

    /// socketcall(2): the first argument tells the call, the second points to its arguments.
    pub(super) fn on_socketcall(&mut self, tid: Tid, call: &'static Call, args: &[u64; 6]) {
        const BIND: u64 = 2;
        const CONNECT: u64 = 3;
        const LISTEN: u64 = 4;
        let deed = match args[0] {
            BIND => Some(Deed::Create),
            CONNECT => Some(Deed::Use(Access::PROBE, Follow::Yes)),
            LISTEN => None,
            _ => return,
        };
        let mut words = [[0; 4]; 3];
        let wanted = if deed.is_some() { 12 } else { 8 };
        let read = self
            .tracees
            .read(tid, args[1], &mut words.as_flattened_mut()[..wanted]);
        if read < wanted {
            return;
        }
        let [fd, address, length] = words.map(u32::from_ne_bytes);
        let fd = fd.cast_signed();
        match deed {
            Some(deed) => self.on_address(tid, call, deed, fd, (address.into(), length.into())),
            None => self.on_listen(tid, call, fd),
        }
    }
}

/// What follows the family in `struct sockaddr_in` (ip(7)) and `struct sockaddr_in6` (ipv6(7)):
/// the port, in the latter a flow label, and the address.
fn internet(family: i32, rest: &[u8]) -> Option<SocketAddr> {
    let (port, rest) = rest.split_first_chunk::<2>()?;
    let port = u16::from_be_bytes(*port);
    match family {
        libc::AF_INET => Some((*rest.first_chunk::<4>()?, port).into()),
        libc::AF_INET6 => Some((*rest.get(4..)?.first_chunk::<16>()?, port).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_far_as_it_goes() {
        let four = [0x1F, 0x90, 127, 0, 0, 1, 0, 0];
        let address = internet(libc::AF_INET, &four).map(|it| it.to_string());
        assert_eq!(address.as_deref(), Some("127.0.0.1:8080"));
        let six = [&[0, 80, 1, 1, 1, 1][..], &[0; 15], &[1, 9, 9, 9, 9]].concat();
        let address = internet(libc::AF_INET6, &six).map(|it| it.to_string());
        assert_eq!(address.as_deref(), Some("[::1]:80"));
        for length in 0..6 {
            assert_eq!(internet(libc::AF_INET, &four[..length]), None);
        }
        for length in 0..22 {
            assert_eq!(internet(libc::AF_INET6, &six[..length]), None);
        }
        assert_eq!(internet(libc::AF_NETLINK, &six), None);
    }
}
