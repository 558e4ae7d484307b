//! The journal's form: a file of lines, each with its checksum, that holds everything a recording
//! is made of. What was written survives whatever ends the writer.
//!
//! A line is the CRC-32 of its text in eight hexadecimal digits, a blank, the text, which is one
//! JSON object with one member, and a newline. The member's name says what the line tells: `run`
//! begins the recording of a run, `event` is one fact that was seen, `end` says how the command
//! ended, and `packed` that the outputs were written.

mod read;

use crate::byte_string::ByteString;
use crate::event::Event;
use crate::image_fs::FileTime;
use crate::image_path::ImagePath;
use crate::recording::Context;
pub use read::{Contents, JournalError, Seen, looks_like_journal, read};
use serde::{Deserialize, Serialize};

/// The version of the form. It grows when an older reader would misread a newer journal; new
/// kinds of lines and events alone do not change it.
pub const FORMAT: u32 = 1;

/// What one line tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Line {
    /// A run begins, or goes on in a container that was started again.
    Run(Box<Header>),
    /// Something was seen.
    Event(Event),
    /// The command and all that it left have ended.
    End {
        /// The command's exit status, as a shell tells it.
        status: u8,
    },
    /// The outputs have been written.
    Packed {},
}

/// What a run began with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT`] of the writer.
    pub format: u32,
    /// The writer's version.
    pub micropacker: String,
    /// What the engine calls the container, where that can be told: the same after it was
    /// stopped and started again.
    pub container: Option<String>,
    /// What the command was started with.
    pub command: Start,
    /// What the user wants the image to be like.
    pub shape: Shape,
    /// `/proc/self/mountinfo` as it was.
    pub mounts: ByteString,
    /// Where copies of changed files go, once there is one.
    pub originals: Option<ByteString>,
    /// When it began, by the clock that file systems take their times from.
    pub started: Option<FileTime>,
    /// Micropacker's own files, which are not the application's.
    pub own: Vec<ImagePath>,
}

/// [`Context`] as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// The command and its arguments.
    pub argv: Vec<ByteString>,
    /// Its environment, without what looks like a secret.
    pub env: Vec<ByteString>,
    /// The names of the variables that were left out for that.
    pub secrets: Vec<String>,
    /// The current directory.
    pub cwd: Option<ImagePath>,
    /// Effective user ID.
    pub uid: u32,
    /// Effective group ID.
    pub gid: u32,
    /// When the trace began.
    pub began: Option<FileTime>,
}

/// The options that shape the image, as they were given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Shape {
    /// `--include`, and what the files of `--include-from` held.
    pub include: Vec<ByteString>,
    /// `--exclude`.
    pub exclude: Vec<ByteString>,
    /// `--include-exe`, and `/bin/sh` for `--include-shell`.
    pub include_exe: Vec<ByteString>,
    /// `--preset`, by their names.
    pub preset: Vec<String>,
    /// `--include-mount`.
    pub include_mount: Vec<ByteString>,
    /// `--listed`, by its name.
    pub listed: String,
    /// `--probed`, by its name.
    pub probed: String,
    /// `--keep-package-metadata`, by its name.
    pub package_metadata: String,
    /// `--keep-env`.
    pub keep_env: Vec<String>,
    /// `--tag`.
    pub tag: Option<String>,
    /// What the file of `--image-config` held.
    pub image_config: Option<ByteString>,
    /// `--change`.
    pub change: Vec<String>,
    /// `--compress`, by its name.
    pub compress: String,
}

impl Start {
    /// Of a context whose environment has been sifted; `secrets` are the names that fell through.
    pub fn new(context: &Context, secrets: Vec<String>) -> Self {
        let written = |words: &[Vec<u8>]| words.iter().cloned().map(ByteString).collect();
        Self {
            argv: written(&context.argv),
            env: written(&context.env),
            secrets,
            cwd: context.cwd.clone(),
            uid: context.uid,
            gid: context.gid,
            began: context.began,
        }
    }

    /// The context again.
    pub fn context(&self) -> Context {
        let read = |words: &[ByteString]| words.iter().map(|word| word.0.clone()).collect();
        Context {
            argv: read(&self.argv),
            env: read(&self.env),
            cwd: self.cwd.clone(),
            uid: self.uid,
            gid: self.gid,
            began: self.began,
        }
    }
}

/// Adds a line to `text`.
///
/// # Errors
/// When it has no form in JSON, which no line of ours is without.
pub fn write_line(line: &Line, text: &mut Vec<u8>) -> serde_json::Result<()> {
    let json = serde_json::to_vec(line)?;
    text.extend_from_slice(format!("{:08x} ", crc32fast::hash(&json)).as_bytes());
    text.extend_from_slice(&json);
    text.push(b'\n');
    Ok(())
}

/// The name that the engine gave the container, out of `/proc/self/mountinfo`: Docker and podman
/// mount `/etc/hostname` and its like from a directory of that name, 64 hexadecimal digits.
pub fn container_of(mountinfo: &[u8]) -> Option<String> {
    const MOUNTED: [&[u8]; 3] = [b"/etc/hostname", b"/etc/hosts", b"/etc/resolv.conf"];
    let of_line = |line: &[u8]| {
        let mut fields = line.split(|byte| *byte == b' ').skip(3);
        let (source, mount_point) = (fields.next()?, fields.next()?);
        if !MOUNTED.contains(&mount_point) {
            return None;
        }
        let mut names = source.split(|byte| *byte == b'/');
        let name = names.find(|name| name.len() == 64 && name.iter().all(u8::is_ascii_hexdigit))?;
        String::from_utf8(name.to_vec()).ok()
    };
    mountinfo.split(|byte| *byte == b'\n').find_map(of_line)
}

#[cfg(test)]
mod tests;
