//! From words to a command that can be started, and from what went wrong to words: what `run` and
//! `exec` share.

use super::Failure;
use super::find::find;
use super::user::User;
use crate::cli::{EngineArgs, EngineName};
use crate::exit;
use crate::supervisor::Manner;
use crate::supervisor::SuperviseError;
use crate::tracer::engine::{Engine, Wish};
use crate::tracer::launch;
use anyhow::{Context, Result};
use nix::errno::Errno;
use std::ffi::{CStr, CString, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Variables that set our own options: the application sees neither them nor their traces.
const OWN_PREFIX: &[u8] = b"MICROPACKER_";

/// A command, and the file that is executed for it.
pub struct Startable {
    /// What is started.
    pub command: launch::Command,
    file: PathBuf,
}

impl Startable {
    /// Finds the file of a command line. `None` for one without words.
    ///
    /// # Errors
    /// Says why it cannot be run.
    pub fn find(words: &[OsString]) -> Result<Option<Self>> {
        let Some(name) = words.first() else {
            return Ok(None);
        };
        let path = std::env::var_os("PATH");
        let file =
            find(name, path.as_deref()).map_err(|error| Failure::new(error.status(), error))?;
        let command = launch::Command {
            file: c_string(file.as_os_str().as_bytes())?,
            argv: words
                .iter()
                .map(|argument| c_string(argument.as_bytes()))
                .collect::<Result<_>>()?,
            env: environment()
                .iter()
                .map(|variable| c_string(variable))
                .collect::<Result<_>>()?,
            user: None,
        };
        Ok(Some(Self { command, file }))
    }

    /// Has it run as this user, in this environment.
    ///
    /// # Errors
    /// When a variable holds a NUL byte.
    pub fn set_user(&mut self, user: &User) -> Result<()> {
        self.command.user = Some(user.identity.clone());
        let env = user.env.iter().map(|variable| c_string(variable));
        self.command.env = env.collect::<Result<_>>()?;
        Ok(())
    }

    /// The file that is executed.
    pub fn file(&self) -> &CStr {
        &self.command.file
    }

    /// Why it did not run to its end.
    pub fn failure(&self, error: &SuperviseError) -> Failure {
        Failure::new(status_of(error), explain(error, &self.file.display()))
    }
}

fn status_of(error: &SuperviseError) -> u8 {
    match error {
        SuperviseError::Exec(Errno::ENOENT) => exit::NOT_FOUND,
        SuperviseError::Engine(_)
        | SuperviseError::Launch(_)
        | SuperviseError::User(_)
        | SuperviseError::Exec(_) => exit::CANNOT_RUN,
        SuperviseError::Resources(_) | SuperviseError::Trace(_) => exit::OUTPUT,
    }
}

fn explain(error: &SuperviseError, file: &dyn std::fmt::Display) -> String {
    match error {
        // The file itself is there: find() has seen it.
        SuperviseError::Exec(Errno::ENOENT) => format!(
            "cannot run {file}: its interpreter is missing (see its '#!' line, or its ELF \
             interpreter with 'micropacker elf {file}')"
        ),
        SuperviseError::Exec(Errno::ENOEXEC) => format!(
            "cannot run {file}: it is neither a program of this machine's architecture nor a \
             script with a '#!' line"
        ),
        SuperviseError::Exec(errno) => format!("cannot run {file}: {}", errno.desc()),
        other => other.to_string(),
    }
}

/// How the command is to be traced.
pub fn manner(args: &EngineArgs) -> Manner {
    Manner {
        wish: wish(args),
        allow_io_uring: args.allow_io_uring,
        keep_setuid: args.keep_setuid,
        count_calls: false,
    }
}

fn wish(args: &EngineArgs) -> Wish {
    match args.engine {
        _ if args.no_seccomp => Wish::Only(Engine::SyscallStop),
        EngineName::Auto => Wish::Auto,
        EngineName::Notify => Wish::Only(Engine::Notify),
        EngineName::Seccomp => Wish::Only(Engine::SeccompStop),
        EngineName::Syscall => Wish::Only(Engine::SyscallStop),
    }
}

/// The environment as the application would have it without us.
pub fn environment() -> Vec<Vec<u8>> {
    std::env::vars_os()
        .filter(|(name, _)| !name.as_bytes().starts_with(OWN_PREFIX))
        .map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat())
        .collect()
}

fn c_string(bytes: &[u8]) -> Result<CString> {
    CString::new(bytes).context("an argument or variable holds a NUL byte")
}
