//! Carrying out what would kill or stop the tracer of an inverted trace, for all others; see
//! [`crate::tracer::shield`].

use super::follow::Follower;
use crate::sys::{self, SyscallEntry, Tid};
use crate::tracer::credentials::as_tracee;
use crate::tracer::shield::{Ids, Target, reached};
use crate::tracer::tracees::Tracees;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;

impl<T: Tracees> Follower<'_, T> {
    /// Takes over a call that a thread is stopped before, if it would reach us. False where the
    /// kernel is to make it.
    pub(super) fn carries_out(&self, tid: Tid, entry: &SyscallEntry) -> bool {
        if self.ending.is_none() {
            return false;
        }
        let own = std::process::id() as Tid;
        let Some((target, signal)) = reached(entry.arch, entry.number, &entry.args, own) else {
            return false;
        };
        let (Some(caller), Some(ours)) = (ids(tid), ids(own)) else {
            return false;
        };
        // In a PID namespace of its own these numbers mean others, and -1 no one out here.
        if !caller.may_signal(ours) || !is_in_our_namespace(tid) {
            return false;
        }
        let result = match target {
            Target::Tracer => 0,
            Target::All if kill_all(tid, caller, own, signal) => 0,
            Target::All => -i64::from(libc::ESRCH),
        };
        // Killed meanwhile, it makes no call either.
        let _ = sys::skip_call(tid, result);
        true
    }
}

/// Signals all that the caller may, but PID 1, us and the caller's own process, as kill(2) would.
/// Gives whether there was anybody.
fn kill_all(tid: Tid, caller: Ids, own: Tid, signal: i32) -> bool {
    let mut seen = BTreeSet::new();
    // The kernel's own list cannot grow meanwhile; this one can, until all have got it.
    while let Some(fresh) = others(tid, own, &seen) {
        for pid in &fresh {
            if ids(*pid).is_some_and(|ids| caller.may_signal(ids)) {
                let _ = sys::send_signal(*pid, signal);
            }
        }
        seen.extend(fresh);
    }
    !seen.is_empty()
}

/// Those that were not seen yet; `None` where there are none.
fn others(tid: Tid, own: Tid, seen: &BTreeSet<Tid>) -> Option<Vec<Tid>> {
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let fresh: Vec<Tid> = processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != 1 && *pid != own && !seen.contains(pid))
        .filter(|pid| !sys::is_thread_of(*pid, tid))
        .collect();
    (!fresh.is_empty()).then_some(fresh)
}

fn ids(pid: Tid) -> Option<Ids> {
    Ids::parse(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

fn is_in_our_namespace(tid: Tid) -> bool {
    let namespace = |pid: &str| fs::metadata(format!("/proc/{pid}/ns/pid")).map(|meta| meta.ino());
    let theirs = as_tracee(tid, || namespace(&tid.to_string()));
    theirs.is_ok_and(|theirs| namespace("self").is_ok_and(|ours| ours == theirs))
}
