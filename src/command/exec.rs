//! `micropacker exec`: a command that joins a running trace.

use super::start::{Startable, manner};
use super::{Failure, start_logging};
use crate::cli::ExecArgs;
use crate::exit;
use crate::supervisor::control::{Connection, Session};
use crate::supervisor::{self, Manner};
use crate::tracer::launch;
use anyhow::{Context, Result};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

/// Runs the command to its end; what it uses becomes part of the trace. Gives its exit status.
pub fn run(args: &ExecArgs) -> Result<ExitCode> {
    start_logging(&args.log);
    // First of all: the supervisor looks out for strangers.
    let connection =
        Connection::open(args.supervisor).map_err(|error| Failure::new(exit::CANNOT_RUN, error))?;
    let startable =
        Startable::find(&args.command)?.context("clap lets no empty command through")?;
    if launch::own_tracer() == Some(connection.supervisor()) {
        // We are followed already, so what we become is too.
        let errno = launch::become_command(&startable.command);
        return Err(startable
            .failure(&supervisor::SuperviseError::Exec(errno))
            .into());
    }
    let argv: Vec<Vec<u8>> = args
        .command
        .iter()
        .map(|word| word.as_bytes().to_vec())
        .collect();
    let session = Session::join(connection, &argv)
        .map_err(|refusal| Failure::new(refusal.status, refusal))?;
    let manner = Manner {
        count_calls: session.counts_calls(),
        ..manner(&args.engine)
    };
    let end = supervisor::join(&startable.command, manner, session)
        .map_err(|error| startable.failure(&error))?;
    Ok(ExitCode::from(end.exit_status()))
}
