//! What `/proc` tells of a process that nobody may know yet.

use crate::sys::Tid;
use crate::tracer::credentials::as_tracee;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

/// The part of proc_pid_status(5) that matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The process that it is a thread of: itself, when it leads it.
    pub leader: Tid,
    /// Whether it is a process, not another thread of one.
    pub leads: bool,
    /// Its parent; 0 when that is outside of our PID namespace.
    pub parent: Tid,
    /// Who traces it, or 0.
    pub tracer: Tid,
    /// Whether it runs: it has memory, so it is neither dead nor a thread of the kernel.
    pub runs: bool,
}

/// `None` when there is no such process.
pub fn status(pid: Tid) -> Option<Status> {
    parse_status(&fs::read(format!("/proc/{pid}/status")).ok()?)
}

/// Reads `/proc/PID/status`; `None` where it lacks a field.
pub fn parse_status(text: &[u8]) -> Option<Status> {
    let field = |name: &str| -> Option<Tid> {
        let value = text
            .split(|byte| *byte == b'\n')
            .find_map(|line| line.strip_prefix(name.as_bytes()))?;
        std::str::from_utf8(value).ok()?.trim().parse().ok()
    };
    let has = |name: &[u8]| {
        text.split(|byte| *byte == b'\n')
            .any(|line| line.starts_with(name))
    };
    Some(Status {
        leader: field("Tgid:")?,
        leads: field("Tgid:")? == field("Pid:")?,
        parent: field("PPid:")?,
        tracer: field("TracerPid:")?,
        runs: has(b"VmSize:"),
    })
}

/// Who started a thread that has just begun: its process, or the parent of a new process.
pub fn starter(tid: Tid) -> Option<Tid> {
    let status = status(tid)?;
    Some(if status.leads {
        status.parent
    } else {
        status.leader
    })
}

/// Its name as messages show it (proc_pid_comm(5)): anybody may read it.
pub fn name(pid: Tid) -> Option<String> {
    let name = fs::read(format!("/proc/{pid}/comm")).ok()?;
    Some(String::from_utf8_lossy(&name).trim_end().to_owned())
}

/// Whether a process is called as we are: anybody may know that, where its program may not be
/// looked at.
pub fn is_namesake(pid: Tid) -> bool {
    name(pid).is_some_and(|its| name(std::process::id() as Tid) == Some(its))
}

/// Whether a process is one that can be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// It sees the mounts that we see.
    Here,
    /// It sees others: paths mean something else to it.
    Elsewhere,
    /// It runs micropacker itself, which may want to trace.
    Ours,
    /// It may not be looked at, or is gone.
    Unknown,
}

/// Where a process is.
pub fn whereabouts(pid: Tid) -> Whereabouts {
    let look = |path: String| as_tracee(pid, || fs::metadata(&path)).map(identity);
    let find = || -> io::Result<Whereabouts> {
        let mounts = look(format!("/proc/{pid}/ns/mnt"))?;
        if mounts != identity(fs::metadata("/proc/self/ns/mnt")?) {
            return Ok(Whereabouts::Elsewhere);
        }
        let program = look(format!("/proc/{pid}/exe"))?;
        Ok(if program == identity(fs::metadata("/proc/self/exe")?) {
            Whereabouts::Ours
        } else {
            Whereabouts::Here
        })
    };
    find().unwrap_or_else(|_| match is_namesake(pid) {
        true => Whereabouts::Ours,
        false => Whereabouts::Unknown,
    })
}

fn identity(meta: fs::Metadata) -> (u64, u64) {
    (meta.dev(), meta.ino())
}

/// Our parent, its parent, and so on, as far as our PID namespace reaches.
pub fn ancestors() -> Vec<Tid> {
    let mut ancestors = Vec::new();
    let mut next = std::os::unix::process::parent_id() as Tid;
    while next > 0 && !ancestors.contains(&next) {
        ancestors.push(next);
        next = status(next).map_or(0, |status| status.parent);
    }
    ancestors
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &[u8] = b"Name:\tPPid: 9\nState:\tS (sleeping)\nTgid:\t40\nNgid:\t0\nPid:\t40\n\
        PPid:\t0\nTracerPid:\t7\nUid:\t0\t0\t0\t0\nVmSize:\t    4000 kB\n";

    #[test]
    fn a_status_is_read_by_the_names_of_its_lines() {
        let status = parse_status(STATUS).expect("whole");
        assert_eq!(
            status,
            Status {
                leader: 40,
                leads: true,
                parent: 0,
                tracer: 7,
                runs: true
            }
        );
    }

    #[test]
    fn what_has_no_memory_does_not_run() {
        let text = STATUS.strip_suffix(b"VmSize:\t    4000 kB\n").expect("so");
        assert!(!parse_status(text).expect("whole").runs);
        assert_eq!(parse_status(b"Name:\tx\n"), None);
    }

    #[test]
    fn whoever_is_called_as_we_are_is_one_of_ours() {
        let own = std::process::id() as Tid;
        assert!(is_namesake(own));
        let mut sleep = std::process::Command::new("sleep");
        let mut other = sleep.arg("60").spawn().expect("started");
        let pid = other.id() as Tid;
        while name(pid).as_deref() != Some("sleep") {
            std::thread::yield_now();
        }
        assert!(!is_namesake(pid));
        other.kill().expect("killed");
        other.wait().expect("ended");
        assert!(!is_namesake(pid), "it is gone");
    }

    #[test]
    fn we_are_ourselves_and_have_ancestors() {
        let own = std::process::id() as Tid;
        assert_eq!(whereabouts(own), Whereabouts::Ours);
        assert_eq!(status(own).map(|status| status.leads), Some(true));
        assert!(!ancestors().contains(&own));
        assert!(ancestors().contains(&(std::os::unix::process::parent_id() as Tid)));
    }
}
