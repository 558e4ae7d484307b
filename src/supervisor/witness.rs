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

    /// Whether it has got this signal as well, since it was last asked about it. A SIGCONT that a
    /// stop signal has called off meanwhile counts as well (signal(7)): it must not be passed on,
    /// or the command would go on while the shell waits for it to stop.
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
        let signal = i32::from(signal);
        let has_it = sys::take_pending(signal).is_some() || is_called_off(signal);
        let answer = [u8::from(has_it)];
        if channel.write_all(&answer).is_err() {
            break;
        }
    }
    sys::exit_now(0)
}

/// Whether a stop signal came after a SIGCONT. The kernel keeps but the later one of the two.
fn is_called_off(signal: i32) -> bool {
    let stops = [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
    signal == libc::SIGCONT && stops.into_iter().any(sys::is_pending)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::{Pid, getpid, setpgid};

    /// What the witness says of `asked` after its group has got these signals in this order.
    fn testimony(signals: &[i32], asked: i32) -> bool {
        let Some(pid) = sys::fork().expect("fork") else {
            let own = getpid();
            let said = setpgid(own, Pid::from_raw(0)).ok().and_then(|()| {
                sys::take_over_signals();
                let mut witness = Witness::start()?;
                for signal in signals {
                    sys::send_signal(-own.as_raw(), *signal).ok()?;
                }
                witness.has(asked).ok()
            });
            sys::exit_now(said.map_or(2, i32::from));
        };
        match waitpid(Pid::from_raw(pid), None).expect("ended") {
            WaitStatus::Exited(_, 0) => false,
            WaitStatus::Exited(_, 1) => true,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_signal_to_the_group_is_known_and_no_other() {
        assert!(testimony(&[libc::SIGUSR1], libc::SIGUSR1));
        assert!(testimony(&[libc::SIGTSTP, libc::SIGCONT], libc::SIGCONT));
        assert!(!testimony(&[libc::SIGUSR1], libc::SIGUSR2));
        assert!(!testimony(&[libc::SIGUSR1], libc::SIGCONT));
    }

    #[test]
    fn a_continue_that_a_stop_has_called_off_is_not_passed_on() {
        for stop in [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU] {
            assert!(testimony(&[libc::SIGCONT, stop], libc::SIGCONT));
        }
    }
}
