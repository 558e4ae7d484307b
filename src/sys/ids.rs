//! Real user and group IDs of one thread.

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

#[cfg(test)]
mod tests {
    use super::*;
    use nix::unistd::{getgid, getuid};
    use std::sync::mpsc::channel;

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
