//! Paths in socket addresses (unix(7)).

use super::{AT_FDCWD, Observer};
use crate::recording::Access;
use crate::sys::Tid;
use crate::tracer::syscall::{Call, Deed, Follow};
use crate::tracer::tracees::Tracees;

impl<T: Tracees> Observer<T> {
    pub(super) fn on_address(
        &mut self,
        tid: Tid,
        call: &'static Call,
        deed: Deed,
        address: u64,
        length: u64,
    ) {
        // `struct sockaddr_un` (unix(7)): family, then a path that need not end in NUL; one that
        // begins with NUL is abstract.
        let mut buffer = [0; 2 + 108];
        let length =
            usize::try_from(length).map_or(buffer.len(), |length| length.min(buffer.len()));
        let read = self.tracees.read(tid, address, &mut buffer[..length]);
        let [low, high, path @ ..] = &buffer[..read.min(length)] else {
            return;
        };
        if i32::from(u16::from_ne_bytes([*low, *high])) != libc::AF_UNIX {
            return;
        }
        let path: Vec<u8> = path.iter().copied().take_while(|byte| *byte != 0).collect();
        let intent = self.intent(tid, deed, &[0; 6]);
        self.on_path(tid, call, AT_FDCWD, &path, intent);
    }

    /// socketcall(2): the first argument tells the call, the second points to its arguments.
    pub(super) fn on_socketcall(&mut self, tid: Tid, call: &'static Call, args: &[u64; 6]) {
        const BIND: u64 = 2;
        const CONNECT: u64 = 3;
        let deed = match args[0] {
            BIND => Deed::Create,
            CONNECT => Deed::Use(Access::PROBE, Follow::Yes),
            _ => return,
        };
        let mut words = [0; 12];
        if self.tracees.read(tid, args[1], &mut words) == words.len() {
            let [_, _, _, _, a0, a1, a2, a3, l0, l1, l2, l3] = words;
            let address = u32::from_ne_bytes([a0, a1, a2, a3]);
            let length = u32::from_ne_bytes([l0, l1, l2, l3]);
            self.on_address(tid, call, deed, address.into(), length.into());
        }
    }
}
