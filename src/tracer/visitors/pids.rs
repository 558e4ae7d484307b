//! Which process IDs are new, without looking at those that are not.

use crate::sys::Tid;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::{Duration, Instant};

/// Process IDs that were given out lately, all of them now and then.
pub struct NewPids {
    /// `/proc/loadavg` (proc_loadavg(5)) ends with the ID given out last in our PID namespace.
    /// `None` where that file is not the kernel's own: lxcfs shows another one.
    loadavg: Option<File>,
    last: Tid,
    /// When to look at all of them, since some were given out.
    sweep: Option<Instant>,
    /// Those that were not there yet, or are gone already, and how often they were looked at:
    /// of this round, and given again in it.
    absent: Vec<(Tid, u8)>,
    again: Vec<(Tid, u8)>,
}

/// An ID is given out a moment before its process can be seen: so often it is looked at again.
const LOOKS: u8 = 3;
/// Where even that moment was too long.
const SWEEP_AFTER: Duration = Duration::from_millis(100);
/// Beyond this many new IDs it is cheaper to look at those that are still there.
const MANY: Tid = 256;

impl NewPids {
    /// Everything is new at first.
    pub fn new() -> Self {
        let loadavg = File::open("/proc/loadavg").ok().filter(|file| {
            let device = |meta: std::io::Result<fs::Metadata>| meta.ok().map(|meta| meta.dev());
            device(file.metadata()).is_some()
                && device(file.metadata()) == device(fs::metadata("/proc"))
        });
        Self {
            loadavg,
            last: 0,
            sweep: None,
            absent: Vec::new(),
            again: Vec::new(),
        }
    }

    /// There was nothing under an ID that [`NewPids::next`] gave.
    pub fn on_absent(&mut self, pid: Tid) {
        let before = self.again.iter().find(|(again, _)| *again == pid);
        let looks = before.map_or(1, |(_, looks)| looks + 1);
        if looks < LOOKS {
            self.absent.push((pid, looks));
        }
    }

    /// The IDs to look at now: threads' are among them, and IDs of those that are gone already.
    pub fn next(&mut self, now: Instant) -> Vec<Tid> {
        self.again = std::mem::take(&mut self.absent);
        let Some(last) = self.loadavg.as_ref().and_then(last_pid) else {
            return all();
        };
        let fresh = between(std::mem::replace(&mut self.last, last), last);
        let is_quiet = fresh.as_ref().is_some_and(Vec::is_empty);
        let sweeps = self.sweep.is_some_and(|sweep| now >= sweep);
        if sweeps || self.sweep.is_none() {
            self.sweep = (!is_quiet).then(|| now + SWEEP_AFTER);
        }
        let mut pids = fresh.filter(|_| !sweeps).unwrap_or_else(all);
        pids.extend(self.again.iter().map(|(pid, _)| *pid));
        pids
    }
}

/// The IDs given out since `before`; `None` for many of them, and when they began anew.
fn between(before: Tid, last: Tid) -> Option<Vec<Tid>> {
    let count = last.checked_sub(before)?;
    (before > 0 && (0..=MANY).contains(&count)).then(|| (before..=last).skip(1).collect())
}

fn last_pid(file: &File) -> Option<Tid> {
    let mut buffer = [0; 128];
    let length = file.read_at(&mut buffer, 0).ok()?;
    parse_last(buffer.get(..length)?)
}

fn parse_last(text: &[u8]) -> Option<Tid> {
    let text = std::str::from_utf8(text).ok()?;
    text.split_ascii_whitespace().nth(4)?.parse().ok()
}

/// Every process there is.
fn all() -> Vec<Tid> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_id_is_the_fifth_word() {
        assert_eq!(parse_last(b"4.26 4.54 3.63 5/160 23944\n"), Some(23944));
        assert_eq!(parse_last(b"4.26 4.54 3.63 5/160\n"), None);
        assert_eq!(parse_last(b"\xff"), None);
    }

    #[test]
    fn only_what_was_given_out_since_is_new() {
        assert_eq!(between(7, 7), Some(vec![]));
        assert_eq!(between(7, 9), Some(vec![8, 9]));
        assert_eq!(between(0, 9), None, "the first look");
        assert_eq!(between(30_000, 300), None, "they began anew");
        assert_eq!(between(7, 7 + MANY + 1), None);
    }

    #[test]
    fn one_that_is_not_there_yet_is_looked_at_a_few_times() {
        const NOBODY: Tid = Tid::MAX;
        let mut pids = NewPids::new();
        let now = Instant::now();
        pids.next(now);
        let mut given = 0;
        pids.on_absent(NOBODY);
        for _ in 0..2 * LOOKS {
            if pids.next(now).contains(&NOBODY) {
                given += 1;
                pids.on_absent(NOBODY);
            }
        }
        assert_eq!(given, LOOKS - 1);
        pids.on_absent(NOBODY);
        assert!(pids.next(now).contains(&NOBODY));
        assert!(!pids.next(now).contains(&NOBODY), "it was there");
    }

    #[test]
    fn a_new_process_is_seen_once_and_again_in_the_sweep() {
        let mut pids = NewPids::new();
        let own = Tid::try_from(std::process::id()).expect("a pid");
        let start = Instant::now();
        assert!(pids.next(start).contains(&own));
        let child = std::process::Command::new("sleep").arg("60").spawn();
        let mut child = child.expect("started");
        let pid = Tid::try_from(child.id()).expect("a pid");
        assert!(pids.next(start).contains(&pid));
        assert!(pids.next(start + SWEEP_AFTER).contains(&pid));
        child.kill().expect("killed");
        child.wait().expect("ended");
    }
}
