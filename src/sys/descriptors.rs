//! The descriptors that we were started with: the application's, not ours.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::atomic::{AtomicU8, Ordering};

/// Bit N is set where standard stream N was closed when the process started. Rust's runtime opens
/// `/dev/null` there before `main`, so it is looked up before the runtime starts.
static CLOSED_AT_START: AtomicU8 = AtomicU8::new(0);

const STANDARD: std::ops::RangeInclusive<RawFd> = 0..=2;

extern "C" fn note_closed_streams() {
    let closed = STANDARD.filter(|fd| !is_open(*fd));
    let bits = closed.fold(0, |bits, fd| bits | (1 << fd));
    CLOSED_AT_START.store(bits, Ordering::Relaxed);
}

#[used]
// SAFETY: the loader calls each pointer of this section once, before `main`; the function
// needs nothing that is set up later.
#[unsafe(link_section = ".init_array")]
static NOTE_CLOSED_STREAMS: extern "C" fn() = note_closed_streams;

fn flags(fd: RawFd) -> i32 {
    // SAFETY: plain numbers; the kernel checks them.
    unsafe { libc::fcntl(fd, libc::F_GETFD) }
}

fn is_open(fd: RawFd) -> bool {
    flags(fd) != -1
}

fn is_inherited(fd: RawFd) -> bool {
    let flags = flags(fd);
    flags != -1 && flags & libc::FD_CLOEXEC == 0
}

/// In the child before exec: standard streams that were closed when we started are closed again.
pub fn close_streams_as_at_start() {
    let closed = CLOSED_AT_START.load(Ordering::Relaxed);
    for fd in STANDARD.filter(|fd| closed & (1 << fd) != 0) {
        // SAFETY: callers are about to exec and use no standard stream any more.
        unsafe { libc::close(fd) };
    }
}

/// Gives up what we inherited open, once the command has it: whoever reads what the application
/// writes must see its end when the application closes it, not when we end. Standard input and
/// output become `/dev/null`; standard error stays, for our messages. `kept` stay as well.
///
/// What we have opened ourselves is told from what we inherited by being close-on-exec.
///
/// # Errors
/// When `/proc` cannot be read or nothing can be opened; some may have been given up then.
pub fn let_go_of_inherited(kept: &BTreeSet<RawFd>) -> io::Result<()> {
    let open: Vec<RawFd> = std::fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    let nothing = open_nothing()?;
    for fd in open.into_iter().filter(|fd| !kept.contains(fd)) {
        if fd < libc::STDERR_FILENO {
            // SAFETY: standard streams are borrowed for each use, never owned.
            unsafe { libc::dup2(nothing.as_raw_fd(), fd) };
        } else if fd > libc::STDERR_FILENO && is_inherited(fd) {
            // SAFETY: no owner in this process: all that it opens is close-on-exec.
            unsafe { libc::close(fd) };
        }
    }
    Ok(())
}

/// Gives up standard error too: nobody is there any more to be told something.
///
/// # Errors
/// As [`let_go_of_inherited`].
pub fn let_go_of_standard_error() -> io::Result<()> {
    let nothing = open_nothing()?;
    // SAFETY: standard streams are borrowed for each use, never owned.
    unsafe { libc::dup2(nothing.as_raw_fd(), libc::STDERR_FILENO) };
    Ok(())
}

/// A file that gives and takes nothing, also where there is no `/dev`.
fn open_nothing() -> io::Result<File> {
    let null = OpenOptions::new().read(true).write(true).open("/dev/null");
    null.or_else(|_| {
        let mut place = OpenOptions::new();
        place.read(true).custom_flags(libc::O_PATH).open("/")
    })
}
