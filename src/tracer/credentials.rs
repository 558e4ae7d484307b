//! Looking into `/proc` of a tracee that runs as another user, without CAP_SYS_PTRACE: the
//! kernel compares our file system IDs with the tracee's (ptrace(2), "Ptrace access mode
//! checking"), so they are switched for the one call.

use crate::sys::{Tid, raise_permitted_capabilities};
use nix::unistd::{Gid, Uid, setfsgid, setfsuid};
use std::fs;
use std::io;

/// Runs `attempt`; when that is not permitted, once more with the tracee's file system IDs.
///
/// # Errors
/// Those of `attempt`.
pub fn as_tracee<T>(tid: Tid, mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let refused = match attempt() {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => error,
        other => return other,
    };
    let Some((uid, gid)) = ids_of(tid).filter(|ids| *ids != own_ids()) else {
        return Err(refused);
    };
    // Both calls act on this thread alone and give back what was set before.
    let own_gid = setfsgid(gid);
    let own_uid = setfsuid(uid);
    let result = match attempt() {
        // A tracee that kept capabilities may be looked at only by one who has them in effect;
        // changing to another user has just taken ours out of it.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            raise_permitted_capabilities();
            attempt()
        }
        other => other,
    };
    setfsuid(own_uid);
    setfsgid(own_gid);
    result
}

/// Our IDs, as the kernel compares them with a tracee's.
pub fn own_ids() -> (Uid, Gid) {
    (nix::unistd::geteuid(), nix::unistd::getegid())
}

/// The real IDs of a process.
pub fn ids_of(tid: Tid) -> Option<(Uid, Gid)> {
    let status = fs::read_to_string(format!("/proc/{tid}/status")).ok()?;
    let real = |field: &str| -> Option<u32> {
        let line = status.lines().find_map(|line| line.strip_prefix(field))?;
        line.split_whitespace().next()?.parse().ok()
    };
    Some((Uid::from_raw(real("Uid:")?), Gid::from_raw(real("Gid:")?)))
}
