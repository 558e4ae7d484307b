//! What is said over the control socket: one JSON object a line. docs/control.md tells the same
//! to people.

use crate::byte_string::ByteString;
use crate::event::Event;
use crate::exit;
use crate::image_path::ImagePath;
use crate::recording::{Level, Loss};
use serde::{Deserialize, Serialize};

/// The version of all that is below. It changes when an old peer would misunderstand a new one;
/// fields that are added do not change it, since unknown ones are ignored.
pub const PROTOCOL: u32 = 1;

/// The longest request, in bytes. A command that joins is cut to fit.
pub const MAX_REQUEST: usize = 64 * 1024;
/// The longest line of a joined command or of an answer. An event holds four paths and three
/// variables at most, and a byte takes four characters at most.
pub const MAX_LINE: usize = 4 * 1024 * 1024;

/// The first line that a client sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// [`PROTOCOL`] of the client.
    pub protocol: u32,
    /// What it wants.
    #[serde(flatten)]
    pub ask: Ask,
}

/// What a client wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum Ask {
    /// To know what was seen so far.
    Status,
    /// The outputs, written now.
    Pack,
    /// The end, as by SIGTERM.
    Stop {
        /// To be told when the outputs are written.
        #[serde(default)]
        wait: bool,
    },
    /// To add what a command uses to the recording.
    Join {
        /// The command and its arguments, for those who ask for the status.
        command: Vec<ByteString>,
    },
}

/// What the supervisor says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// What was seen so far.
    Status(Box<Status>),
    /// The outputs are written.
    Packed(Packed),
    /// The stop has begun.
    Stopping {},
    /// Events are taken in from now on.
    Joined {
        /// System calls are counted: the command's are to be told too.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        calls: bool,
    },
    /// To a joined command: send what is held back, then [`Told::Flushed`] with this number.
    Flush(u64),
    /// To a joined command: whether what [`Told::Keep`] of this number asked for is kept.
    Kept {
        /// The number.
        number: u64,
        /// Not where it is not the image's.
        kept: bool,
    },
    /// To a joined command: all that was told before [`Told::Sync`] of this number is recorded.
    Synced(u64),
    /// It will not be done; nothing follows.
    Error(Refusal),
}

/// What a joined command says after its request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Told {
    /// Something was seen.
    Event(Event),
    /// What is at this path is about to be changed: keep its original, then answer
    /// [`Answer::Kept`] with this number. Its tracee waits.
    Keep {
        /// For the answer.
        number: u64,
        /// Where it is now, physical.
        path: ImagePath,
        /// Whether its content will change.
        level: Level,
    },
    /// All that was seen before [`Answer::Flush`] of this number came has been told.
    Flushed(u64),
    /// Answer [`Answer::Synced`] with this number.
    Sync(u64),
    /// Nothing follows: the recording is whole.
    End {},
}

/// Why something will not be done, in words for the user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// One line: what, why, what to do.
    pub message: String,
    /// The exit status that it means for a command line.
    pub status: u8,
}

impl Refusal {
    /// It is not possible, or not permitted.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            status: exit::CANNOT_RUN,
        }
    }

    /// The outputs could not be written.
    pub fn output(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            status: exit::OUTPUT,
        }
    }
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packed {
    /// One line for people.
    pub summary: String,
    /// How many entries the root file system has.
    pub entries: u64,
    /// Size of all files' content, in bytes.
    pub bytes: u64,
}

/// What was seen so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Of micropacker.
    pub version: String,
    /// The supervisor's process.
    pub pid: i32,
    /// The engine, as `--engine` names it.
    pub engine: String,
    /// Milliseconds since the trace began.
    pub uptime_ms: u64,
    /// The traced command and its arguments.
    pub command: Vec<ByteString>,
    /// Its process.
    pub main: Main,
    /// How many processes are followed, those of joined commands not counted.
    pub processes: Count,
    /// How many paths were used.
    pub paths: u64,
    /// How many different program starts were seen.
    pub programs: u64,
    /// What could not be seen.
    pub losses: Vec<Loss>,
    /// Commands that have joined and have not ended.
    pub joined: Vec<JoinedCommand>,
    /// The files that are written at the end.
    pub outputs: Vec<ByteString>,
}

/// The traced command's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Main {
    /// Its ID.
    pub pid: i32,
    /// Whether it has not ended yet.
    pub lives: bool,
}

/// Now, and since the trace began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Now.
    pub now: u64,
    /// Since the trace began.
    pub ever: u64,
}

/// A command that has joined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinedCommand {
    /// The `exec` that has brought it; it ends with the command itself, and what that leaves
    /// behind counts as joined.
    pub pid: i32,
    /// The user that this process had when it joined.
    pub uid: u32,
    /// The command and its arguments.
    pub command: Vec<ByteString>,
}

/// One line, its newline included.
pub fn line(message: &impl Serialize) -> Vec<u8> {
    // None of our types can fail to be written: no maps with keys that are no strings.
    let mut line = serde_json::to_vec(message).unwrap_or_default();
    line.push(b'\n');
    line
}

/// Reads a request.
///
/// # Errors
/// Says what is wrong with it, for the answer.
pub fn request(line: &[u8]) -> Result<Ask, Refusal> {
    #[derive(Deserialize)]
    struct Head {
        protocol: u32,
    }
    let malformed = |error| Refusal::new(format!("the request cannot be understood: {error}"));
    let Head { protocol } = serde_json::from_slice(line).map_err(malformed)?;
    if protocol != PROTOCOL {
        return Err(Refusal::new(format!(
            "the supervisor is micropacker {} and speaks version {PROTOCOL} of the control \
             protocol, not {protocol}: use the same binary for both",
            env!("CARGO_PKG_VERSION")
        )));
    }
    let request: Request = serde_json::from_slice(line).map_err(malformed)?;
    Ok(request.ask)
}

/// Reads what a joined command, or the supervisor, says.
///
/// # Errors
/// Says what is wrong with it.
pub fn said<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(line)
        .map_err(|error| Refusal::new(format!("a line cannot be understood: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(ask: Ask) -> String {
        let request = Request {
            protocol: PROTOCOL,
            ask,
        };
        String::from_utf8(line(&request)).expect("UTF-8")
    }

    #[test]
    fn requests_look_as_they_are_documented() {
        assert_eq!(
            written(Ask::Status),
            "{\"protocol\":1,\"ask\":\"status\"}\n"
        );
        assert_eq!(
            written(Ask::Stop { wait: true }),
            "{\"protocol\":1,\"ask\":\"stop\",\"wait\":true}\n"
        );
        let command = vec![ByteString(b"ls".to_vec()), ByteString(b"\xE9".to_vec())];
        assert_eq!(
            written(Ask::Join { command }),
            "{\"protocol\":1,\"ask\":\"join\",\"command\":[\"ls\",[233]]}\n"
        );
        assert_eq!(
            request(b"{\"protocol\":1,\"ask\":\"stop\"}"),
            Ok(Ask::Stop { wait: false })
        );
    }

    #[test]
    fn another_version_is_named_before_anything_else_is_read() {
        let refusal = request(b"{\"protocol\":2,\"ask\":\"dance\"}").expect_err("refused");
        assert!(refusal.message.contains("not 2"), "{refusal}");
        assert!(request(b"{\"protocol\":1,\"ask\":\"dance\"}").is_err());
    }

    #[test]
    fn answers_are_objects() {
        let text = |answer: &Answer| String::from_utf8(line(answer)).expect("UTF-8");
        assert_eq!(text(&Answer::Stopping {}), "{\"stopping\":{}}\n");
        assert_eq!(text(&Answer::Flush(7)), "{\"flush\":7}\n");
        let told = String::from_utf8(line(&Told::End {})).expect("UTF-8");
        assert_eq!(told, "{\"end\":{}}\n");
    }

    proptest! {
        #[test]
        fn random_bytes_are_refused_and_nothing_worse(
            bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(request(&bytes).is_err());
            let _ = said::<Told>(&bytes);
            let _ = said::<Answer>(&bytes);
        }

        #[test]
        fn damaged_lines_are_read_or_refused(
            cut in 0usize..200, change in 0usize..200, byte: u8) {
            let event = Told::Event(Event::Created(crate::image_path::ImagePath::root()));
            for mut bytes in [written(Ask::Join { command: vec![] }).into_bytes(), line(&event)] {
                if let Some(changed) = bytes.get_mut(change) {
                    *changed = byte;
                }
                bytes.truncate(cut);
                let _ = request(&bytes);
                let _ = said::<Told>(&bytes);
            }
        }
    }
}
