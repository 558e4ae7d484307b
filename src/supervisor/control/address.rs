//! The name of the control socket, and how it is found.
//!
//! The socket is abstract (unix(7)): there is no file of it, so it works where nothing can be
//! written, and nothing of it gets into an image. Abstract names belong to the network namespace,
//! which containers may share (`--network host`): the PID namespace in the name tells them apart.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::SocketAddr;

const PREFIX: &str = "micropacker";

/// Which PID namespace we are in: its inode number (namespaces(7)).
///
/// # Errors
/// When `/proc` is not mounted.
pub fn own_namespace() -> io::Result<u64> {
    Ok(fs::metadata("/proc/self/ns/pid")?.ino())
}

/// The name of the supervisor that is process `pid` of this PID namespace.
pub fn name(namespace: u64, pid: i32) -> String {
    format!("{PREFIX}/{namespace}/{pid}")
}

/// The address to that name.
///
/// # Errors
/// Never: the name is short enough.
pub fn address(namespace: u64, pid: i32) -> io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(name(namespace, pid))
}

/// The supervisors of this PID namespace whose sockets listen in our network namespace, from the
/// text of `/proc/net/unix` (proc_net(5)).
pub fn listed(table: &[u8], namespace: u64) -> BTreeSet<i32> {
    table
        .split(|byte| *byte == b'\n')
        .filter_map(|line| listed_in(line, namespace))
        .collect()
}

fn listed_in(line: &[u8], namespace: u64) -> Option<i32> {
    // Num RefCount Protocol Flags Type St Inode Path
    let mut fields = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    let flags = u32::from_str_radix(fields.nth(3)?, 16).ok()?;
    const LISTENS: u32 = 1 << 16;
    if flags & LISTENS == 0 {
        return None;
    }
    let path = fields.nth(3)?;
    let rest = path.strip_prefix('@')?.strip_prefix(PREFIX)?;
    let (found, pid) = rest.strip_prefix('/')?.split_once('/')?;
    let pid = pid.parse().ok().filter(|pid| *pid > 0)?;
    (found.parse() == Ok(namespace)).then_some(pid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TABLE: &str = "\
Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 11 @micropacker/42/1
0000000000000000: 00000003 00000000 00000000 0001 03 12 @micropacker/42/5
0000000000000000: 00000002 00000000 00010000 0001 01 13 @micropacker/43/6
0000000000000000: 00000002 00000000 00010000 0001 01 14 @micropacker/42/77
0000000000000000: 00000002 00000000 00010000 0001 01 15 @micropacker/42/-3
0000000000000000: 00000002 00000000 00010000 0001 01 16 @micropackers/42/8
0000000000000000: 00000002 00000000 00010000 0001 01 17 /run/micropacker/42/9
0000000000000000: 00000002 00000000 00010000 0001 01 18
";

    #[test]
    fn those_that_listen_in_our_pid_namespace_are_found() {
        let found: Vec<i32> = listed(TABLE.as_bytes(), 42).into_iter().collect();
        assert_eq!(found, [1, 77]);
    }

    #[test]
    fn what_is_named_is_found_again() {
        let line = format!("0: 2 0 00010000 0001 01 7 @{}\n", name(42, 9));
        assert_eq!(listed(line.as_bytes(), 42), BTreeSet::from([9]));
    }

    proptest! {
        #[test]
        fn any_table_is_read(bytes: Vec<u8>) {
            listed(&bytes, 42);
        }
    }
}
