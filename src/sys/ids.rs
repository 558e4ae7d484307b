//! User and group IDs of one thread.

use super::capabilities::drop_capabilities;
use nix::errno::Errno;

/// Keeps an ID as it is (setresuid(2)).
const KEEP: u32 = u32::MAX;

/// Runs `attempt` while this thread alone has these real IDs; its effective IDs and capabilities
/// stay. libc would change all threads (nptl(7)), so the system calls are made directly.
///
/// # Errors
/// EPERM without CAP_SETUID and CAP_SETGID; `attempt` has not run then.
pub fn with_real_ids<T>(uid: u32, gid: u32, attempt: impl FnOnce() -> T) -> nix::Result<T> {
    let own_uid = nix::unistd::getuid().as_raw();
    let own_gid = nix::unistd::getgid().as_raw();
    set(libc::SYS_setresgid, gid)?;
    let result = set(libc::SYS_setresuid, uid).map(|()| attempt());
    // Each may always go back to what the kernel lets it take: its effective IDs never changed.
    let _ = set(libc::SYS_setresuid, own_uid);
    let _ = set(libc::SYS_setresgid, own_gid);
    result
}

fn set(call: libc::c_long, real: u32) -> nix::Result<()> {
    // SAFETY: three plain numbers; the kernel checks them.
    if unsafe { libc::syscall(call, real, KEEP, KEEP) } == -1 {
        return Err(Errno::last());
    }
    Ok(())
}

/// Makes this thread, the only one of its process, an ordinary user for good: supplementary groups,
/// then all group IDs, then all user IDs. The kernel takes the capabilities away, the bounding set
/// stays (capabilities(7)); whatever the securebits say, none is left permitted to who is not root.
/// Direct system calls: musl's functions leave a signal ignored behind.
///
/// # Errors
/// EPERM without CAP_SETUID and CAP_SETGID; EINVAL for an ID that the user namespace does not
/// have. Some of it may be done then: end the process.
pub fn become_user(uid: u32, gid: u32, groups: &[u32]) -> nix::Result<()> {
    let list = groups.as_ptr();
    // SAFETY: the list is live and as long as is said; the kernel only reads it.
    let set_groups = unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), list) };
    Errno::result(set_groups)?;
    // SAFETY: three plain numbers; the kernel checks them.
    Errno::result(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) })?;
    // SAFETY: three plain numbers; the kernel checks them.
    Errno::result(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) })?;
    if uid != 0 {
        drop_capabilities()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::probe_in_child;
    use nix::unistd::{getgid, getuid};
    use std::sync::mpsc::channel;

    #[test]
    fn an_ordinary_user_has_its_groups_and_no_capabilities() {
        if !getuid().is_root() {
            return;
        }
        let holds = probe_in_child(|| {
            let status = |field: &str| {
                let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
                let line = status.lines().find_map(|line| line.strip_prefix(field));
                let words = line.unwrap_or("").split_whitespace();
                words.map(str::to_owned).collect::<Vec<_>>()
            };
            let bounding = status("CapBnd:");
            become_user(1000, 1001, &[1001, 44]).is_ok()
                && status("Uid:") == ["1000"; 4]
                && status("Gid:") == ["1001"; 4]
                && status("Groups:") == ["44", "1001"]
                && status("CapEff:") == ["0000000000000000"]
                && status("CapPrm:") == ["0000000000000000"]
                && status("CapAmb:") == ["0000000000000000"]
                && status("CapBnd:") == bounding
                && become_user(0, 0, &[]) == Err(Errno::EPERM)
        });
        assert!(holds);
    }

    #[test]
    fn only_this_thread_has_them_and_only_for_the_attempt() {
        let own = (getuid(), getgid());
        let root = own.0.is_root();
        let uid = if root { 1000 } else { own.0.as_raw() };
        let gid = if root { 1000 } else { own.1.as_raw() };
        let (ask, asked) = channel();
        let (answer, answered) = channel();
        let sibling = std::thread::spawn(move || {
            while asked.recv().is_ok() {
                answer.send((getuid(), getgid())).expect("received");
            }
        });
        let (here, there) = with_real_ids(uid, gid, || {
            ask.send(()).expect("received");
            let there = answered.recv().expect("sent");
            ((getuid().as_raw(), getgid().as_raw()), there)
        })
        .expect("permitted");
        assert_eq!(here, (uid, gid));
        assert_eq!(there, own);
        assert_eq!((getuid(), getgid()), own);
        drop(ask);
        sibling.join().expect("ended");
    }
}
