//! File systems that the application itself serves (FUSE). A look of ours at a path on one waits
//! for the application, which may itself be waiting for us; and nothing on it is ever packed. So
//! we never look there.

use crate::image_fs::{Guard, GuardedFs, HostFs};
use crate::image_path::ImagePath;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What [`SparedFs`] answers for what lies there: what a FUSE without a server gives.
pub const NOT_OURS: Errno = Errno::ENOTCONN;

/// Which file systems have come since the trace began that a process serves. Those that were
/// there before are served by others, who do not wait for us.
///
/// Whoever mounts nothing pays nothing: the table is watched from the first call on that mounts.
#[derive(Clone, Default)]
pub struct Served(Arc<Shared>);

#[derive(Default)]
struct Shared {
    is_expected: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// `None` where it cannot be read: nothing is known then.
    table: Option<File>,
    before: HashSet<Mount>,
    now: Vec<ImagePath>,
    is_read: bool,
}

/// One of them: its ID, its device, and where it is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Mount {
    id: Vec<u8>,
    device: Vec<u8>,
    point: Vec<u8>,
}

impl Served {
    /// From now on.
    pub fn new() -> Self {
        let table = File::open("/proc/self/mountinfo").ok();
        let before = table.as_ref().and_then(|table| read(table).ok());
        let state = State {
            before: mounts(&before.unwrap_or_default()).collect(),
            table,
            ..State::default()
        };
        Self(Arc::new(Shared {
            is_expected: AtomicBool::new(false),
            state: Mutex::new(state),
        }))
    }

    /// The application is about to mount something.
    pub fn expect(&self) {
        self.0.is_expected.store(true, Ordering::Relaxed);
    }

    /// Whether there is any.
    pub fn are_there(&self) -> bool {
        self.look(|points| !points.is_empty())
    }

    /// Whether this physical path lies on one.
    pub fn holds(&self, physical: &ImagePath) -> bool {
        self.look(|points| points.iter().any(|point| physical.is_at_or_below(point)))
    }

    fn look(&self, answer: impl Fn(&[ImagePath]) -> bool) -> bool {
        if !self.0.is_expected.load(Ordering::Relaxed) {
            return false;
        }
        let state = &mut *self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.refresh();
        answer(&state.now)
    }
}

impl State {
    fn refresh(&mut self) {
        let Some(table) = &self.table else { return };
        // First, so that a change during the reading is told of the next time.
        let is_changed = has_changed(table);
        if self.is_read && !is_changed {
            return;
        }
        if let Ok(text) = read(table) {
            self.is_read = true;
            let new = mounts(&text).filter(|mount| !self.before.contains(mount));
            self.now = new
                .filter_map(|mount| ImagePath::new(mount.point))
                .collect();
        }
    }
}

/// Since it was asked last (proc_pid_mountinfo(5)).
fn has_changed(table: &File) -> bool {
    let mut polled = [PollFd::new(table.as_fd(), PollFlags::POLLPRI)];
    poll(&mut polled, PollTimeout::ZERO).is_ok_and(|count| count > 0)
}

fn read(table: &File) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        match table.read_at(&mut buffer, text.len() as u64)? {
            0 => return Ok(text),
            length => text.extend_from_slice(buffer.get(..length).unwrap_or_default()),
        }
    }
}

/// Those of a mount table that a process serves.
fn mounts(mountinfo: &[u8]) -> impl Iterator<Item = Mount> {
    mountinfo.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut fields = line.split(|byte| *byte == b' ');
        let mount = Mount {
            id: fields.next()?.to_vec(),
            device: fields.nth(1)?.to_vec(),
            point: unescaped(fields.nth(1)?),
        };
        let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
        let is_served = kind == b"fuse" || kind == b"fuseblk" || kind.starts_with(b"fuse.");
        is_served.then_some(mount)
    })
}

/// Blanks and backslashes are written as `\040` and the like.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((byte, after)) = rest.split_first() {
        let digits = after.get(..3).filter(|_| *byte == b'\\');
        let octal = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        plain.push(octal.unwrap_or(*byte));
        rest = if octal.is_some() { &after[3..] } else { after };
    }
    plain
}

/// The files of this machine, but for those that lie where we must not look.
pub type SparedFs = GuardedFs<HostFs, Served>;

impl Guard for Served {
    fn pass(&self, path: &ImagePath) -> io::Result<()> {
        match self.holds(path) {
            true => Err(NOT_OURS.into()),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image_fs::ImageFs;

    const TABLE: &[u8] = b"22 1 0:20 / /proc rw,nosuid - proc proc rw\n\
        30 1 0:40 / /mnt/my\\040files rw,nosuid shared:4 master:2 - fuse.sshfs me@host: rw\n\
        31 1 0:41 / /mnt/disk rw - fuseblk /dev/sdb1 rw\n\
        32 1 0:42 / /mnt/fused rw - ext4 /dev/fuse rw\n\
        33 1 0:43 / /mnt/plain rw - fuse /dev/fuse rw\n";

    fn path(text: &str) -> ImagePath {
        ImagePath::new(text).expect("absolute")
    }

    #[test]
    fn what_a_process_serves_is_known_by_its_type() {
        let points: Vec<_> = mounts(TABLE).map(|mount| mount.point).collect();
        assert_eq!(points, [&b"/mnt/my files"[..], b"/mnt/disk", b"/mnt/plain"]);
        assert_eq!(mounts(b"30 1\n\n- -\n30 1 0:1 / /x rw -").count(), 0);
    }

    #[test]
    fn names_are_read_back_as_they_were_written() {
        assert_eq!(unescaped(b"a\\040b\\134c"), b"a b\\c");
        assert_eq!(unescaped(b"\\9\\777\\"), b"\\9\\777\\");
    }

    #[test]
    fn nothing_is_spared_before_something_is_mounted() {
        let served = Served::new();
        served.0.state.lock().expect("unpoisoned").now = vec![path("/mnt")];
        assert!(!served.holds(&path("/mnt/x")));
        assert!(!served.are_there());
    }

    #[test]
    fn all_below_is_spared_and_nothing_beside_it() {
        let served = Served::default();
        served.expect();
        served.0.state.lock().expect("unpoisoned").now = vec![path("/mnt/a")];
        let fs = SparedFs::new(HostFs::new("/"), served.clone());
        for spared in ["/mnt/a", "/mnt/a/b/c"] {
            let error = fs.lstat(&path(spared)).expect_err("spared");
            assert_eq!(error.raw_os_error(), Some(NOT_OURS as i32), "{spared}");
        }
        assert!(!served.holds(&path("/mnt/ab")));
        assert!(fs.lstat(&path("/")).is_ok());
    }
}
