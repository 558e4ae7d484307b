//! `micropacker run`: trace, resolve, pack.

use super::find::find;
use super::ship::{Outputs, options, ship, summary};
use super::{Failure, current_directory, one_line, start_logging};
use crate::cli::{EngineName, RunArgs, VisitorsName};
use crate::exit;
use crate::image_fs::HostFs;
use crate::recording::Context as RunContext;
use crate::supervisor::{Request, SuperviseError, supervise};
use crate::tracer::engine::{Engine, Wish};
use crate::tracer::launch;
use crate::tracer::visitors;
use anyhow::{Context, Result};
use nix::errno::Errno;
use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// Variables that set our own options: the application sees neither them nor their traces.
const OWN_PREFIX: &[u8] = b"MICROPACKER_";

/// Runs the command to its end and writes the outputs. Gives the application's exit status.
pub fn run(args: &RunArgs) -> Result<ExitCode> {
    start_logging(&args.log);
    let Some(name) = args.command.first() else {
        return Err(Failure::new(
            exit::USAGE,
            "no command to trace: give one behind '--', as in 'micropacker -- /entrypoint.sh'",
        )
        .into());
    };
    let path = std::env::var_os("PATH");
    let file = find(name, path.as_deref()).map_err(|error| Failure::new(error.status(), error))?;
    let options = options(&args.select, Path::new("/"))
        .map_err(|error| Failure::new(exit::USAGE, one_line(&error)))?;
    let outputs = Outputs {
        rootfs: &args.output,
        artifacts: args.artifacts.as_deref(),
        tag: args.tag.as_deref(),
        keep_env: &args.keep_env,
    };
    outputs.check()?;
    let traced = supervise(Request {
        command: launch::Command {
            file: c_string(file.as_os_str().as_bytes())?,
            argv: args
                .command
                .iter()
                .map(|argument| c_string(argument.as_bytes()))
                .collect::<Result<_>>()?,
            env: environment()
                .iter()
                .map(|variable| c_string(variable))
                .collect::<Result<_>>()?,
        },
        context: context(&args.command)?,
        wish: wish(args),
        visitors: match args.visitors {
            VisitorsName::Auto => visitors::Wish::Auto,
            VisitorsName::Full => visitors::Wish::Full,
            VisitorsName::Off => visitors::Wish::Off,
        },
        stop_timeout: args.stop_timeout.map(Duration::from_secs),
    })
    .map_err(|error| Failure::new(status_of(&error), explain(&error, &file.display())))?;
    tracing::debug!(
        "{} paths used, {} programs started, {} names made; resolving",
        traced.recording.uses.len(),
        traced.recording.execs.len(),
        traced.recording.created.len()
    );
    let shipped = ship(&HostFs::new("/"), &traced.recording, options, &outputs)?;
    tracing::info!(
        "{}; traced by {}",
        summary(&outputs, &shipped),
        traced.choice.engine
    );
    Ok(ExitCode::from(traced.end.exit_status()))
}

fn status_of(error: &SuperviseError) -> u8 {
    match error {
        SuperviseError::Exec(Errno::ENOENT) => exit::NOT_FOUND,
        SuperviseError::Engine(_) | SuperviseError::Launch(_) | SuperviseError::Exec(_) => {
            exit::CANNOT_RUN
        }
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

fn wish(args: &RunArgs) -> Wish {
    match args.engine {
        _ if args.no_seccomp => Wish::Only(Engine::SyscallStop),
        EngineName::Auto => Wish::Auto,
        EngineName::Notify => Wish::Only(Engine::Notify),
        EngineName::Seccomp => Wish::Only(Engine::SeccompStop),
        EngineName::Syscall => Wish::Only(Engine::SyscallStop),
    }
}

fn context(command: &[OsString]) -> Result<RunContext> {
    Ok(RunContext {
        argv: command
            .iter()
            .map(|argument| argument.as_bytes().to_vec())
            .collect(),
        env: environment(),
        cwd: Some(current_directory()?),
        uid: nix::unistd::geteuid().as_raw(),
        gid: nix::unistd::getegid().as_raw(),
    })
}

/// The environment as the application would have it without us.
fn environment() -> Vec<Vec<u8>> {
    std::env::vars_os()
        .filter(|(name, _)| !name.as_bytes().starts_with(OWN_PREFIX))
        .map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat())
        .collect()
}

fn c_string(bytes: &[u8]) -> Result<CString> {
    CString::new(bytes).context("an argument or variable holds a NUL byte")
}
