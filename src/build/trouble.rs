//! Why there is no verified image, and the exit status that says so.

use crate::exit;

/// An end before the image was verified. The message is one line: what, of what, what to do.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{message}")]
pub struct Trouble {
    /// The exit status (docs/cli.md).
    pub status: u8,
    /// One line.
    pub message: String,
}

impl Trouble {
    fn new(status: u8, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    /// Wrong usage.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(exit::USAGE, message)
    }

    /// The image could not be made, fetched or loaded.
    pub fn output(message: impl Into<String>) -> Self {
        Self::new(exit::OUTPUT, message)
    }

    /// The original could not be run, or does not do what the exercise asks.
    pub fn cannot_run(message: impl Into<String>) -> Self {
        Self::new(exit::CANNOT_RUN, message)
    }

    /// There is no such engine or image.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(exit::NOT_FOUND, message)
    }

    /// A signal has come.
    pub fn interrupted(signal: i32) -> Self {
        let name = nix::sys::signal::Signal::try_from(signal)
            .map_or_else(|_| signal.to_string(), |signal| signal.to_string());
        let status = u8::try_from(128 + signal).unwrap_or(u8::MAX);
        Self::new(status, format!("ended by {name}; no image was verified"))
    }

    /// Whether a signal was the reason.
    pub fn is_interruption(&self) -> bool {
        self.status > 128
    }
}
