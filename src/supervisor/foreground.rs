//! `exec` while its command runs: the command's parent, which hands signals on, stops along with
//! it and ends with it. It is traced by [`super::background`], a process of its own, which may
//! outlive both: what a command leaves behind keeps nobody waiting.

use super::background::{self, Said, Trouble};
use super::control::{self, Session};
use super::follow::Ground;
use super::signals::SignalThread;
use super::witness::Witness;
use super::{Manner, SuperviseError, let_go, resources};
use crate::sys::{self, Tid};
use crate::tracer::launch::{Command, Line};
use crate::tracer::stop::{End, Stop};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

/// Runs the command under trace until it ends; what it uses goes to the supervisor that was
/// joined. When it has ended all that it used is recorded, and what it leaves behind is followed
/// on. Call it before another thread is started.
///
/// # Errors
/// As [`super::supervise`].
pub fn join(command: &Command, manner: Manner, session: Session) -> Result<End, SuperviseError> {
    let mut session = Some(session);
    let started = Started::new(command, manner, &mut session);
    // From now on the background process speaks there.
    match session.take() {
        Some(session) if started.is_err() => session.abandon(),
        other => drop(other),
    }
    started?.run()
}

/// The command and its tracer, which are both children of ours.
struct Started {
    main: Tid,
    tracer: UnixStream,
    /// Whether the command is in our process group.
    shares_group: bool,
}

impl Started {
    fn new(
        command: &Command,
        manner: Manner,
        session: &mut Option<control::Session>,
    ) -> Result<Self, SuperviseError> {
        let ground = Ground::prepare(manner)?;
        let line = Line::new()?;
        let (mut tracer, theirs) = UnixStream::pair().map_err(resources)?;
        let fork = |errno: nix::errno::Errno| resources(errno.into());
        let Some(background) = sys::fork().map_err(fork)? else {
            drop(tracer);
            if let Some(session) = session.take() {
                background::run(line, ground, session, theirs);
            }
            sys::exit_now(1);
        };
        drop(theirs);
        let Ground {
            choice,
            signals,
            session: place,
        } = ground;
        let main = line
            .start(command, &choice, &signals, &place, Some(background))?
            .pid;
        // One that has ended already is heard of when the command has.
        let _ = tracer.write_all(&main.to_ne_bytes());
        Ok(Self {
            main,
            tracer,
            shares_group: matches!(place, sys::Session::Ours),
        })
    }

    fn run(mut self) -> Result<End, SuperviseError> {
        let witness = self.shares_group.then(Witness::start).flatten();
        let_go(&BTreeSet::new());
        let mut signals = SignalThread::start(self.main, None, witness, self.shares_group, None)
            .map_err(resources)?;
        let end = wait(self.main, &signals)?;
        signals.on_end(self.main);
        signals.close();
        let mut said = Vec::new();
        let _ = self.tracer.read_to_end(&mut said);
        match serde_json::from_slice(&said) {
            Ok(Said::Ended) => Ok(end),
            Ok(Said::Failed(trouble)) => Err(trouble.into()),
            Err(_) => {
                tracing::warn!(
                    "the process that traced the command was ended by somebody: what the command \
                     used last may be lost"
                );
                Ok(end)
            }
        }
    }
}

fn wait(main: Tid, signals: &SignalThread) -> Result<End, SuperviseError> {
    loop {
        let status = sys::wait_as_parent(main).map_err(SuperviseError::Trace)?;
        match Stop::decode(status) {
            Stop::Ended(end) => return Ok(end),
            Stop::Signal(signal) => signals.stop_along(signal, || sys::has_gone_on(main)),
            _ => {}
        }
    }
}

impl From<Trouble> for SuperviseError {
    fn from(trouble: Trouble) -> Self {
        use crate::tracer::launch::LaunchError;
        use nix::errno::Errno;
        match trouble {
            Trouble::Start(errno) => LaunchError::Start(Errno::from_raw(errno)).into(),
            Trouble::Ptrace(errno) => LaunchError::Ptrace(Errno::from_raw(errno)).into(),
            Trouble::Traced(tracer) => LaunchError::Traced(tracer).into(),
            Trouble::Filter(errno) => LaunchError::Filter(Errno::from_raw(errno)).into(),
            Trouble::User(errno) => Self::User(Errno::from_raw(errno)),
            Trouble::Exec(errno) => Self::Exec(Errno::from_raw(errno)),
            Trouble::Trace(errno) => Self::Trace(Errno::from_raw(errno)),
            Trouble::Resources(what) => Self::Resources(what),
            Trouble::Engine(what) => Self::Engine(what),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tracer::launch::LaunchError;
    use nix::errno::Errno;

    #[test]
    fn a_failure_is_the_same_on_this_side() {
        for error in [
            SuperviseError::Engine("none".to_owned()),
            LaunchError::Start(Errno::EAGAIN).into(),
            LaunchError::Ptrace(Errno::EPERM).into(),
            LaunchError::Traced(7).into(),
            LaunchError::Filter(Errno::EACCES).into(),
            SuperviseError::User(Errno::EINVAL),
            SuperviseError::Exec(Errno::ENOEXEC),
            SuperviseError::Resources("memory".to_owned()),
            SuperviseError::Trace(Errno::EIO),
        ] {
            let text = format!("{error:?}");
            let line = serde_json::to_vec(&Said::Failed(error.into())).expect("written");
            let Ok(Said::Failed(trouble)) = serde_json::from_slice(&line) else {
                panic!("not read back: {text}");
            };
            assert_eq!(format!("{:?}", SuperviseError::from(trouble)), text);
        }
    }
}
