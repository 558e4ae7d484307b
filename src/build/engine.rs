//! The docker or podman command line: which one, and asking it.

use super::call::{Call, CallError, Done, Running};
use super::interrupt::Interrupt;
use super::state::machine_of;
use super::trouble::Trouble;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Tried in this order where none is named.
const KNOWN: [&str; 2] = ["docker", "podman"];
/// For an answer that needs no work.
pub const ANSWER: Duration = Duration::from_secs(120);

/// Whose command line it is: they differ little.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Docker, and what behaves like it.
    Docker,
    /// podman, also under docker's name.
    Podman,
}

/// An engine that answers.
#[derive(Clone, Debug)]
pub struct Engine {
    program: PathBuf,
    options: Vec<OsString>,
    /// Whose it is.
    pub kind: Kind,
    /// Of the daemon, where there is one.
    pub version: String,
    /// What ends calls before their time.
    pub interrupt: Interrupt,
}

impl Engine {
    /// The named engine, or the first of those that are known, are there and answer.
    ///
    /// # Errors
    /// Names what was tried and what each said.
    pub fn find(
        named: Option<&OsStr>,
        options: &[OsString],
        interrupt: &Interrupt,
    ) -> Result<Self, Trouble> {
        let names = match named {
            Some(name) => vec![name.to_owned()],
            None => KNOWN.map(OsString::from).into(),
        };
        let mut silent = Vec::new();
        for name in &names {
            let mut engine = Self {
                program: name.into(),
                options: options.to_vec(),
                kind: Kind::Docker,
                version: String::new(),
                interrupt: interrupt.clone(),
            };
            match engine.meet() {
                Ok(()) => return Ok(engine),
                Err(Silence::Absent) => {}
                Err(Silence::Interrupted(signal)) => return Err(Trouble::interrupted(signal)),
                Err(Silence::Says(why)) => silent.push(format!("{}: {why}", name.display())),
            }
        }
        if !silent.is_empty() {
            let why = silent.join("; ");
            return Err(Trouble::cannot_run(format!(
                "no container engine answers: {why}; start it, or name another with --engine"
            )));
        }
        let names: Vec<String> = names
            .iter()
            .map(|name| name.display().to_string())
            .collect();
        Err(Trouble::not_found(format!(
            "there is no {}: install a container engine, or name one with --engine",
            names.join(" or ")
        )))
    }

    /// Learns whose it is and whether it answers.
    fn meet(&mut self) -> Result<(), Silence> {
        let silence = |error: CallError| match error {
            CallError::Start(error) if error.kind() == io::ErrorKind::NotFound => Silence::Absent,
            CallError::Start(error) => Silence::Says(error.to_string()),
            CallError::Late => Silence::Says("it does not answer".to_owned()),
            CallError::Interrupted(signal) => Silence::Interrupted(signal),
        };
        let name = self
            .call(["--version"])
            .run(&self.program)
            .map_err(silence)?;
        let is_podman = String::from_utf8_lossy(&name.stdout)
            .to_lowercase()
            .contains("podman");
        let asked = match is_podman {
            true => "{{.Client.Version}}",
            false => "{{.Server.Version}}",
        };
        let version = self.call(["version", "--format", asked]).run(&self.program);
        let version = version.map_err(silence)?;
        if !version.status.success() {
            return Err(Silence::Says(version.complaint()));
        }
        self.version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
        if is_podman {
            self.kind = Kind::Podman;
        }
        Ok(())
    }

    /// `docker`, without its directory.
    pub fn name(&self) -> String {
        let name = self.program.file_name().unwrap_or(self.program.as_os_str());
        name.display().to_string()
    }

    /// Where its containers' published ports are.
    pub fn machine(&self) -> String {
        let variable = match self.kind {
            Kind::Docker => "DOCKER_HOST",
            Kind::Podman => "CONTAINER_HOST",
        };
        machine_of(std::env::var(variable).ok().as_deref())
    }

    /// The words that call it: the program and the options that stand before the subcommand.
    pub fn words(&self) -> OsString {
        let mut words = self.program.clone().into_os_string();
        for option in &self.options {
            words.push(" ");
            words.push(option);
        }
        words
    }

    /// A call, not yet made.
    pub fn call<S: Into<OsString>>(&self, arguments: impl IntoIterator<Item = S>) -> Call<'_> {
        let arguments = arguments.into_iter().map(Into::into);
        Call {
            arguments: self.options.iter().cloned().chain(arguments).collect(),
            limit: Some(ANSWER),
            interrupt: Some(&self.interrupt),
            ..Call::default()
        }
    }

    /// Makes a call and gives whatever came of it.
    ///
    /// # Errors
    /// When it came to no end.
    pub fn make(&self, call: Call) -> Result<Done, Trouble> {
        let what = self.what(&call);
        call.run(&self.program).map_err(|error| match error {
            CallError::Start(error) => Trouble::cannot_run(format!("cannot run {what}: {error}")),
            CallError::Late => Trouble::cannot_run(format!("{what} does not come to an end")),
            CallError::Interrupted(signal) => Trouble::interrupted(signal),
        })
    }

    /// What a successful call prints.
    ///
    /// # Errors
    /// With what the engine says.
    pub fn ask(&self, call: Call) -> Result<Vec<u8>, Trouble> {
        let what = self.what(&call);
        let done = self.make(call)?;
        match done.status.success() {
            true => Ok(done.stdout),
            false => Err(Trouble::cannot_run(format!("{what}: {}", done.complaint()))),
        }
    }

    /// Starts a call that goes on beside us.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self, call: Call) -> Result<Running, Trouble> {
        let what = self.what(&call);
        call.start(&self.program)
            .map_err(|error| Trouble::cannot_run(format!("cannot run {what}: {error}")))
    }

    /// Cleaning up: whatever has come, and whatever comes of it. What a successful call prints.
    pub fn tidy<S: Into<OsString>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
    ) -> Option<Vec<u8>> {
        let call = Call {
            interrupt: None,
            ..self.call(arguments)
        };
        let done = call.run(Path::new(&self.program)).ok()?;
        done.status.success().then_some(done.stdout)
    }

    /// `docker create`.
    fn what(&self, call: &Call) -> String {
        let subcommand = call.arguments.get(self.options.len());
        let subcommand = subcommand.map(|word| word.display().to_string());
        format!("{} {}", self.name(), subcommand.unwrap_or_default())
    }
}

/// Why an engine is of no use.
enum Silence {
    Absent,
    Says(String),
    Interrupted(i32),
}
