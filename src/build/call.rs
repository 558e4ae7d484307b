//! One program of the host: started, watched, and ended with its time or with ours.

use super::interrupt::Interrupt;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// From one look at a child to the next: the first ones follow quickly.
const SHORTEST_WAIT: Duration = Duration::from_millis(2);
const LONGEST_WAIT: Duration = Duration::from_millis(50);
/// From SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// How long output is waited for when the program has ended: somebody else may hold the pipe.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What to run.
#[derive(Default)]
pub struct Call<'a> {
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// What it reads; nothing when empty.
    pub input: Vec<u8>,
    /// Variables beyond ours.
    pub environment: Vec<(String, OsString)>,
    /// What it prints goes to our standard error; otherwise it is kept.
    pub shown: bool,
    /// How long it may take.
    pub limit: Option<Duration>,
    /// What ends it before its time.
    pub interrupt: Option<&'a Interrupt>,
    /// How long it may go on then to come to its own end. The result says that it was interrupted
    /// all the same.
    pub grace: Duration,
}

/// What became of it.
#[derive(Debug)]
pub struct Done {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it complained of.
    pub stderr: Vec<u8>,
}

impl Done {
    /// Its exit code, or 128+N when signal N ended it, as a shell says it.
    pub fn code(&self) -> i32 {
        let by_signal = || 128 + self.status.signal().unwrap_or_default();
        self.status.code().unwrap_or_else(by_signal)
    }

    /// The line that says why, without the words that engines put before it.
    pub fn complaint(&self) -> String {
        let text = String::from_utf8_lossy(&self.stderr);
        // How it would be called stands behind what is wrong with a call.
        let lines = text.lines().map(str::trim);
        let lines = lines.take_while(|line| !line.starts_with("Usage:"));
        let lines = lines.filter(|line| {
            let says_nothing = ["See '", "Run '", "Error: failed to start containers"];
            !line.is_empty() && !says_nothing.iter().any(|words| line.starts_with(words))
        });
        let line = lines.last().unwrap_or("it does not say why");
        let mut line = line;
        for words in ["docker: ", "Error: ", "Error response from daemon: "] {
            line = line.strip_prefix(words).unwrap_or(line);
        }
        line.trim_end_matches('.').to_owned()
    }
}

/// Why it came to no end of its own.
#[derive(Debug)]
pub enum CallError {
    /// It could not be started.
    Start(io::Error),
    /// It took longer than it may.
    Late,
    /// A signal has come.
    Interrupted(i32),
}

impl Call<'_> {
    /// Runs it to its end.
    ///
    /// # Errors
    /// [`CallError`]; the program and its descendants have ended then.
    pub fn run(self, program: &Path) -> Result<Done, CallError> {
        let limit = self.limit;
        let interrupt = self.interrupt;
        let grace = self.grace;
        let mut running = self.start(program).map_err(CallError::Start)?;
        let began = Instant::now();
        let mut wait = SHORTEST_WAIT;
        let mut signalled = None;
        loop {
            let done = running.poll();
            let signal = interrupt.and_then(Interrupt::signal);
            match (done, signal) {
                (Some(done), None) => return Ok(done),
                // What needs no grace has an end that counts.
                (Some(done), Some(_)) if grace.is_zero() => return Ok(done),
                (Some(_), Some(signal)) => return Err(CallError::Interrupted(signal)),
                (None, Some(signal)) => {
                    let since = *signalled.get_or_insert_with(Instant::now);
                    if since.elapsed() >= grace {
                        return Err(CallError::Interrupted(signal));
                    }
                }
                (None, None) => {}
            }
            if limit.is_some_and(|limit| began.elapsed() > limit) {
                return Err(CallError::Late);
            }
            std::thread::sleep(wait);
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// Starts it, in a process group of its own: a key on the terminal is for us alone.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(self, program: &Path) -> io::Result<Running> {
        let mut command = Command::new(program);
        command
            .args(&self.arguments)
            .envs(self.environment)
            .process_group(0);
        command.stdin(match self.input.is_empty() {
            true => Stdio::null(),
            false => Stdio::piped(),
        });
        if self.shown {
            let ours = || io::stderr().as_fd().try_clone_to_owned();
            command.stdout(ours()?).stderr(ours()?);
        } else {
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
        }
        let mut child = command.spawn()?;
        if let Some(mut pipe) = child.stdin.take() {
            let input = self.input;
            // A reader that ends early says why by its status.
            std::thread::spawn(move || pipe.write_all(&input));
        }
        let stdout = child.stdout.take().map(collect);
        let stderr = child.stderr.take().map(collect);
        Ok(Running {
            child,
            stdout,
            stderr,
            ended: false,
        })
    }
}

/// A program that runs. Dropping it ends it.
pub struct Running {
    child: Child,
    stdout: Option<Receiver<Vec<u8>>>,
    stderr: Option<Receiver<Vec<u8>>>,
    ended: bool,
}

impl Running {
    /// What became of it, when it has ended.
    pub fn poll(&mut self) -> Option<Done> {
        let status = self.child.try_wait().ok().flatten()?;
        self.ended = true;
        let text = |pipe: &Option<Receiver<Vec<u8>>>| {
            let pipe = pipe.as_ref()?;
            pipe.recv_timeout(LAST_WORDS).ok()
        };
        Some(Done {
            status,
            stdout: text(&self.stdout).unwrap_or_default(),
            stderr: text(&self.stderr).unwrap_or_default(),
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let group = Pid::from_raw(self.child.id().cast_signed());
        let _ = killpg(group, Signal::SIGTERM);
        let began = Instant::now();
        while began.elapsed() < GRACE {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(LONGEST_WAIT);
        }
        let _ = killpg(group, Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

/// Reads a pipe to its end on a thread of its own.
fn collect(mut pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = pipe.read_to_end(&mut text);
        let _ = sender.send(text);
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(text: &str) -> Call<'static> {
        Call {
            arguments: ["-c", text].map(OsString::from).into(),
            ..Call::default()
        }
    }

    #[test]
    fn what_it_prints_and_how_it_ends_is_kept() {
        let call = Call {
            input: b"in".to_vec(),
            ..shell("cat; echo out; echo 'Error response from daemon: no.' >&2; exit 3")
        };
        let done = call.run(Path::new("/bin/sh")).expect("runs");
        assert_eq!((done.stdout.as_slice(), done.code()), (&b"inout\n"[..], 3));
        assert_eq!(done.complaint(), "no");
        let call = shell(
            "echo 'unknown flag: --x' >&2; echo \"See 'x'.\" >&2; echo 'Usage: x' >&2; echo x >&2",
        );
        let done = call.run(Path::new("/bin/sh")).expect("runs");
        assert_eq!(done.complaint(), "unknown flag: --x");
        let call =
            shell("echo 'Error: no user x' >&2; echo 'Error: failed to start containers: 1' >&2");
        let done = call.run(Path::new("/bin/sh")).expect("runs");
        assert_eq!(done.complaint(), "no user x");
    }

    #[test]
    fn what_has_grace_comes_to_its_end_and_counts_as_interrupted() {
        let place = tempfile::tempdir().expect("a directory");
        let made = place.path().join("made");
        let interrupt = Interrupt::of(Signal::SIGINT);
        let call = |grace| Call {
            interrupt: Some(&interrupt),
            grace,
            ..shell(&format!("sleep 0.2; touch {}", made.display()))
        };
        let ended = call(Duration::ZERO).run(Path::new("/bin/sh"));
        assert!(matches!(ended, Err(CallError::Interrupted(2))));
        assert!(!made.exists());
        let ended = call(Duration::from_secs(600)).run(Path::new("/bin/sh"));
        assert!(matches!(ended, Err(CallError::Interrupted(2))));
        assert!(made.exists());
    }

    #[test]
    fn a_signal_ends_it_with_its_descendants() {
        let interrupt = Interrupt::default();
        let call = Call {
            limit: Some(Duration::from_millis(50)),
            interrupt: Some(&interrupt),
            ..shell("sleep 600 | sleep 600")
        };
        assert!(matches!(
            call.run(Path::new("/bin/sh")),
            Err(CallError::Late)
        ));
        let call = Call {
            arguments: Vec::new(),
            ..Call::default()
        };
        let missing = call.run(Path::new("/does/not/exist"));
        assert!(matches!(missing, Err(CallError::Start(_))));
    }
}
