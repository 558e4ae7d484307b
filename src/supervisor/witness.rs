//! Telling a signal that was sent to our whole process group, the command included, from one
//! that was sent to us alone and has to be passed on. The kernel does not say: kill(2) looks the
//! same to both. So another member of the group is asked whether it has got the signal too.
//!
//! kill(2) tells all members of a group before it returns, the youngest first: when we receive a
//! signal the witness has got its own.

use crate::sys;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// A process of our group that has all signals blocked, and tells which it has got.
pub struct Witness {
    pid: sys::Tid,
    channel: UnixStream,
}

impl Witness {
    /// Starts it. Call it before another thread is started, with all signals blocked. `None`
    /// where no process can be started: every signal counts as sent to us alone then.
    pub fn start() -> Option<Self> {
        let (channel, theirs) = UnixStream::pair().ok()?;
        channel.set_read_timeout(Some(PATIENCE)).ok()?;
        match sys::fork().ok()? {
            None => testify(theirs.into()),
            Some(pid) => Some(Self { pid, channel }),
        }
    }

    /// Whether it has got this signal as well, since it was last asked about it.
    ///
    /// # Errors
    /// When somebody has ended or stopped it; it cannot be asked again.
    pub fn has(&mut self, signal: i32) -> io::Result<bool> {
        let mut answer = [0];
        self.channel.write_all(&[signal as u8])?;
        self.channel.read_exact(&mut answer)?;
        Ok(answer == [1])
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        // Whoever waits for any child may have reaped it.
        if sys::is_child(self.pid) {
            let _ = sys::send_signal(self.pid, libc::SIGKILL);
            let _ = sys::wait_for(self.pid);
        }
    }
}

/// Answers until nobody is left who could ask.
fn testify(channel: OwnedFd) -> ! {
    // Another name than ours: who signals "micropacker" by name does not mean it.
    let _ = prctl::set_name(c"signal-witness");
    let _ = prctl::set_pdeathsig(Signal::SIGKILL);
    // The application's pipes must see their end without it.
    if sys::close_all_but(&[channel.as_raw_fd()]).is_err() {
        sys::exit_now(1);
    }
    let mut channel = File::from(channel);
    let mut question = [0];
    while channel.read_exact(&mut question).is_ok() {
        let [signal] = question;
        let answer = [u8::from(sys::take_pending(i32::from(signal)).is_some())];
        if channel.write_all(&answer).is_err() {
            break;
        }
    }
    sys::exit_now(0)
}
