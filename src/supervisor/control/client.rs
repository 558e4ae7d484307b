//! The other end: finding the supervisor and talking to it.

use super::address::{address, listed, own_namespace};
use super::lines::Lines;
use super::protocol::{self, Answer, Ask, MAX_LINE, PROTOCOL, Refusal, Request, line};
use crate::tracer::launch::tracer_of;
use nix::errno::Errno;
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;

/// Why there is no supervisor to talk to.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// None is there.
    #[error(
        "no micropacker runs here: neither process 1 nor any other of this container (PID and \
         network namespace) is one that traces; start the container through micropacker"
    )]
    None,
    /// Not this one.
    #[error("no micropacker that traces is process {0} of this container")]
    NotThere(i32),
    /// More than one.
    #[error("several micropackers run here: choose one of the processes {} with --supervisor PID",
            shown(.0))]
    Several(BTreeSet<i32>),
    /// Something else is listening under the name.
    #[error("the control socket of process {0} is held by process {1}: it is not used")]
    Impostor(i32, i32),
    /// A system call failed.
    #[error("the supervisor cannot be reached: {0}")]
    Failed(#[from] io::Error),
}

fn shown(pids: &BTreeSet<i32>) -> String {
    let pids: Vec<String> = pids.iter().map(ToString::to_string).collect();
    pids.join(", ")
}

/// A connection to a supervisor.
pub struct Connection {
    stream: UnixStream,
    lines: Lines<UnixStream>,
    supervisor: i32,
}

impl Connection {
    /// To the supervisor that is process `wanted`; else to the one that is process 1, or that
    /// traces it, where it stays in the command's place; else to the only one of our PID
    /// namespace.
    ///
    /// # Errors
    /// Says who is there instead.
    pub fn open(wanted: Option<i32>) -> Result<Self, FindError> {
        let namespace = own_namespace()?;
        if let Some(pid) = wanted {
            return Self::connect(namespace, pid)?.ok_or(FindError::NotThere(pid));
        }
        if let Some(connection) = Self::connect(namespace, 1)? {
            return Ok(connection);
        }
        let found = listed(&fs::read("/proc/net/unix")?, namespace);
        let of_init = tracer_of(1).filter(|tracer| found.contains(tracer));
        if let Some(tracer) = of_init
            && let Some(connection) = Self::connect(namespace, tracer)?
        {
            return Ok(connection);
        }
        match (found.first(), found.len()) {
            (Some(pid), 1) => Self::connect(namespace, *pid)?.ok_or(FindError::None),
            (Some(_), _) => Err(FindError::Several(found)),
            (None, _) => Err(FindError::None),
        }
    }

    /// `None` where nobody listens. Any process may take a name: the one that listens must be the
    /// one that is named.
    fn connect(namespace: u64, pid: i32) -> Result<Option<Self>, FindError> {
        let stream = match UnixStream::connect_addr(&address(namespace, pid)?) {
            Ok(stream) => stream,
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let listener = getsockopt(&stream, PeerCredentials)
            .map_err(|errno: Errno| FindError::Failed(errno.into()))?
            .pid();
        if listener != pid {
            return Err(FindError::Impostor(pid, listener));
        }
        Ok(Some(Self::over(stream, pid)?))
    }

    /// Over this stream.
    pub(super) fn over(stream: UnixStream, supervisor: i32) -> io::Result<Self> {
        Ok(Self {
            lines: Lines::new(stream.try_clone()?),
            stream,
            supervisor,
        })
    }

    /// The supervisor's process.
    pub fn supervisor(&self) -> i32 {
        self.supervisor
    }

    /// Asks, and waits for the first answer.
    ///
    /// # Errors
    /// What the supervisor objects to, or that it is gone.
    pub fn ask(&mut self, ask: Ask) -> Result<Answer, Refusal> {
        let request = Request {
            protocol: PROTOCOL,
            ask,
        };
        // A supervisor that refuses at once may have closed already: its answer tells why.
        let _ = self.stream.write_all(&line(&request));
        self.answer()?.ok_or_else(|| {
            Refusal::new(format!(
                "the supervisor, process {}, ended without an answer",
                self.supervisor
            ))
        })
    }

    /// Waits for the next answer; `None` when the supervisor is gone.
    ///
    /// # Errors
    /// What the supervisor objects to.
    pub fn answer(&mut self) -> Result<Option<Answer>, Refusal> {
        let line = match self.lines.next(MAX_LINE) {
            Ok(Some(line)) => line,
            Ok(None) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
            Err(error) => return Err(Refusal::new(format!("no answer: {error}"))),
        };
        match protocol::said(&line)? {
            Answer::Error(refusal) => Err(refusal),
            answer => Ok(Some(answer)),
        }
    }

    /// The way to write while answers are read.
    ///
    /// # Errors
    /// What dup(2) says.
    pub fn writer(&self) -> io::Result<UnixStream> {
        self.stream.try_clone()
    }
}
