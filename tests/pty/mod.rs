//! A program on a pseudo-terminal of its own, driven by what it prints: nothing here sleeps.
#![allow(dead_code, reason = "each test crate uses its own part of this module")]

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command, ExitStatus};

/// Longer than anything here takes: who waits so long waits for what never comes.
const PATIENCE_MS: u16 = 20_000;

/// The prompt of the shells that are driven.
pub const PROMPT: &str = "ready> ";

/// A session on a terminal.
pub struct Session {
    /// Until it is closed.
    master: Option<File>,
    name: String,
    child: Child,
    transcript: Vec<u8>,
    read: usize,
}

/// Whoever runs the tests may ignore signals (nohup ignores SIGHUP), which a shell could then not
/// trap.
const AS_AT_LOGIN: [&str; 2] = ["env", "--default-signal"];

impl Session {
    /// Starts `line` at the head of a session whose controlling terminal is a new one.
    pub fn start<S: AsRef<OsStr>>(line: &[S]) -> Self {
        Self::launch(
            Command::new("setsid")
                .arg("--ctty")
                .args(AS_AT_LOGIN)
                .args(line),
        )
    }

    /// Starts `line` as it is, with a new terminal that controls nothing.
    pub fn start_without_control<S: AsRef<OsStr>>(line: &[S]) -> Self {
        Self::launch(Command::new(AS_AT_LOGIN[0]).arg(AS_AT_LOGIN[1]).args(line))
    }

    fn launch(command: &mut Command) -> Self {
        // Closed on exec: a program that holds the other end keeps the terminal from hanging up.
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let master = posix_openpt(flags).expect("a pseudo-terminal");
        grantpt(&master).expect("granted");
        unlockpt(&master).expect("unlocked");
        let name = ptsname_r(&master).expect("a name");
        let slave = File::options()
            .read(true)
            .write(true)
            .custom_flags(OFlag::O_NOCTTY.bits())
            .open(&name)
            .expect("the terminal");
        let stream = || slave.try_clone().expect("a descriptor");
        let child = command
            .stdin(stream())
            .stdout(stream())
            .stderr(stream())
            // A terminal without abilities: no escape sequences in the transcript.
            .envs([("PS1", PROMPT), ("TERM", "dumb"), ("HISTFILE", "")])
            .spawn()
            .expect("started");
        Self {
            master: Some(File::from(OwnedFd::from(master))),
            name,
            child,
            transcript: Vec::new(),
            read: 0,
        }
    }

    /// Types.
    pub fn send(&mut self, text: &str) -> &mut Self {
        self.master().write_all(text.as_bytes()).expect("typed");
        self
    }

    /// Reads on until `marker` has come, whole; it counts once.
    pub fn expect(&mut self, marker: &str) -> &mut Self {
        loop {
            let unread = &self.transcript[self.read..];
            let found = unread
                .windows(marker.len())
                .position(|window| window == marker.as_bytes());
            if let Some(at) = found {
                self.read += at + marker.len();
                return self;
            }
            assert!(
                self.read_some(),
                "{marker:?} did not come: {}",
                self.transcript()
            );
        }
    }

    /// Types a line at the prompt and waits for the next prompt.
    pub fn at_prompt(&mut self, line: &str) -> &mut Self {
        self.send(line).send("\n").expect("\r\n").expect(PROMPT)
    }

    /// Makes the terminal so many rows high.
    pub fn resize(&mut self, rows: u16) -> &mut Self {
        let rows = rows.to_string();
        let status = Command::new("stty")
            .args(["-F", &self.name, "rows", &rows])
            .status()
            .expect("stty");
        assert!(status.success());
        self
    }

    /// Closes the terminal, as a user does whose line is cut.
    pub fn hang_up(mut self) -> ExitStatus {
        self.master = None;
        self.child.wait().expect("ended")
    }

    /// The process that was started.
    pub fn pid(&self) -> nix::unistd::Pid {
        nix::unistd::Pid::from_raw(self.child.id().cast_signed())
    }

    /// Everything that was shown, and how the program ended.
    pub fn end(mut self) -> (String, ExitStatus) {
        while self.read_some() {}
        let status = self.child.wait().expect("ended");
        (self.transcript(), status)
    }

    fn master(&mut self) -> &mut File {
        self.master.as_mut().expect("not hung up")
    }

    fn transcript(&self) -> String {
        String::from_utf8_lossy(&self.transcript).into_owned()
    }

    /// False when nobody has the terminal open any more, or nothing comes.
    fn read_some(&mut self) -> bool {
        let master = self.master();
        let mut polled = [PollFd::new(master.as_fd(), PollFlags::POLLIN)];
        if poll(&mut polled, PollTimeout::from(PATIENCE_MS)).expect("poll") == 0 {
            return false;
        }
        let mut buffer = [0; 4096];
        match master.read(&mut buffer) {
            Ok(length) => {
                self.transcript.extend_from_slice(&buffer[..length]);
                length > 0
            }
            // EIO: the last one has closed it.
            Err(_) => false,
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Only a failed test leaves it running.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
