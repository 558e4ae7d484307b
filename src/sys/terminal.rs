//! Sessions and controlling terminals (credentials(7), ioctl_tty(2)).

use super::take_pending;
use nix::sys::termios::tcgetsid;
use nix::unistd::{Pid, getpid, getsid, setsid};
use std::fs::OpenOptions;
use std::io::{stderr, stdin, stdout};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

/// Where the command stands among sessions and terminals: where we stood.
pub enum Session {
    /// In our session and process group: what a terminal or a shell sends to the group, both
    /// get.
    Ours,
    /// At the head of a session of its own, as we are of ours, with the terminal that we had.
    Own(Option<OwnedFd>),
}

impl Session {
    /// Prepares for a command that takes our place. Where we lead a session, as in a container,
    /// we give up its terminal: call it when signals are blocked, since SIGHUP and SIGCONT are
    /// sent to the foreground group then.
    pub fn take_place() -> Self {
        if getsid(None) != Ok(getpid()) {
            return Session::Ours;
        }
        let Some(terminal) = controlling_terminal() else {
            return Session::Own(None);
        };
        // SAFETY: this request takes no argument.
        if unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCNOTTY as _) } == -1 {
            return Session::Ours;
        }
        // Sent to the foreground group, which is ours, and meant for nobody.
        for signal in [libc::SIGHUP, libc::SIGCONT] {
            let _ = take_pending(signal);
        }
        Session::Own(Some(terminal))
    }

    /// In the command's process before exec: begins its session and takes the terminal.
    pub fn begin(&self) {
        let Session::Own(terminal) = self else {
            return;
        };
        // A process that was just forked leads no group, which is all that could be refused.
        let _ = setsid();
        if let Some(terminal) = terminal {
            let do_not_steal = 0;
            // SAFETY: the request's argument is a number.
            unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSCTTY as _, do_not_steal) };
        }
    }
}

/// The controlling terminal of the session that we lead.
fn controlling_terminal() -> Option<OwnedFd> {
    let own = |fd: &dyn AsFd| tcgetsid(fd.as_fd()) == Ok(getpid());
    let (input, output, error) = (stdin(), stdout(), stderr());
    let standard: [&dyn AsFd; 3] = [&input, &output, &error];
    if let Some(fd) = standard.into_iter().find(|fd| own(*fd)) {
        return fd.as_fd().try_clone_to_owned().ok();
    }
    let terminal = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOCTTY)
        .open("/dev/tty")
        .ok()?;
    own(&terminal).then(|| terminal.into())
}

/// Whether we lead our PID namespace: PID 1 of a container.
pub fn is_init() -> bool {
    getpid() == Pid::from_raw(1)
}

/// How many characters a line of this terminal has; `None` where it does not tell.
pub fn columns(terminal: impl AsFd) -> Option<usize> {
    let mut size = libc::winsize {
        ws_row: 0,
        ws_col: 0,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let fd = terminal.as_fd().as_raw_fd();
    // SAFETY: the request fills in the structure that it is given, which outlives the call.
    let told = unsafe { libc::ioctl(fd, libc::TIOCGWINSZ as _, &raw mut size) };
    (told == 0 && size.ws_col > 0).then_some(usize::from(size.ws_col))
}
