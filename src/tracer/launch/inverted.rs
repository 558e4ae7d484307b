//! The inverted start: the command takes over this very process, and a child of it, which its
//! wait(2) does not show, becomes the tracer.

use super::{
    Choice, Command, FILTER_FAILED, LaunchError, Launched, NotRun, READY, attach, filter_self,
    hear, take_on_user, tell,
};
use crate::sys::{self, SavedSignals, Tid};
use crate::tracer::engine::Engine;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// Which of the two we are after [`split`].
pub enum Side {
    /// The process that the command will take over.
    Command(Forerunner),
    /// Its child.
    Tracer(Attacher),
}

/// The process that becomes the command.
pub struct Forerunner {
    tracer: Tid,
    channel: OwnedFd,
}

/// The process that becomes the tracer of its parent.
pub struct Attacher {
    main: Tid,
    channel: OwnedFd,
}

/// Why the command does not run.
#[derive(Debug)]
pub enum Failed {
    /// It could not be traced.
    Launch(LaunchError),
    /// It could not be started.
    NotRun(NotRun),
}

/// What the tracer tells besides [`READY`] and [`FILTER_FAILED`].
const SEIZE_FAILED: u8 = b'P';
const TRACED: u8 = b'T';
const START_FAILED: u8 = b'S';

/// Makes two of us. Call it before another thread is started, with all signals blocked.
///
/// # Errors
/// When there can be no second one.
pub fn split() -> Result<Side, LaunchError> {
    let (ours, theirs) = socketpair(
        AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        SockFlag::SOCK_CLOEXEC,
    )
    .map_err(LaunchError::Start)?;
    let main = std::process::id() as Tid;
    Ok(match sys::fork_unseen().map_err(LaunchError::Start)? {
        Some(tracer) => Side::Command(Forerunner {
            tracer,
            channel: ours,
        }),
        None => Side::Tracer(Attacher {
            main,
            channel: theirs,
        }),
    })
}

impl Forerunner {
    /// Becomes the command, once the tracer is ready. Comes back only where that fails; we may be
    /// traced then.
    pub fn become_command(
        self,
        command: &Command,
        choice: &Choice,
        signals: &SavedSignals,
    ) -> Failed {
        sys::permit_tracer(self.tracer);
        tell(&self.channel, READY, 0, None);
        match self.try_become(command, choice, signals) {
            Ok(not_run) => Failed::NotRun(not_run),
            Err(error) => {
                // It lets go of us before it ends.
                let _ = sys::wait_for(self.tracer);
                Failed::Launch(error)
            }
        }
    }

    /// Gives why the command does not run though it is traced.
    fn try_become(
        &self,
        command: &Command,
        choice: &Choice,
        signals: &SavedSignals,
    ) -> Result<NotRun, LaunchError> {
        self.await_tracer()?;
        if choice.engine != Engine::SyscallStop {
            match filter_self(choice, Some(self.tracer)) {
                Ok(listener) => tell(&self.channel, READY, 0, listener.as_ref()),
                Err(errno) => {
                    tell(&self.channel, FILTER_FAILED, errno as i32, None);
                    return Err(LaunchError::Filter(errno));
                }
            }
        }
        self.await_tracer()?;
        if let Err(errno) = take_on_user(command) {
            return Ok(NotRun::User(errno));
        }
        sys::reset_for_child(signals);
        let Err(errno) = nix::unistd::execve(&command.file, &command.argv, &command.env);
        Ok(NotRun::Exec(errno))
    }

    fn await_tracer(&self) -> Result<(), LaunchError> {
        let Some((what, number, _)) = hear(&self.channel) else {
            return Err(LaunchError::Start(Errno::ECHILD));
        };
        let errno = Errno::from_raw(number);
        Err(match what {
            READY => return Ok(()),
            SEIZE_FAILED => LaunchError::Ptrace(errno),
            TRACED => LaunchError::Traced(number),
            FILTER_FAILED => LaunchError::Filter(errno),
            _ => LaunchError::Start(errno),
        })
    }
}

impl Attacher {
    /// The process of the command.
    pub fn main(&self) -> Tid {
        self.main
    }

    /// The descriptor that is needed until the command runs.
    pub fn channel(&self) -> RawFd {
        self.channel.as_raw_fd()
    }

    /// Becomes the tracer of the command, which waits for [`Launched::go`].
    ///
    /// # Errors
    /// To be told by [`Attacher::refuse`].
    pub fn attach(&self, choice: &Choice) -> Result<Launched, LaunchError> {
        let lost = LaunchError::Start(Errno::ECHILD);
        let channel = self.channel.try_clone().map_err(|_| lost)?;
        hear(&channel);
        let listener = attach(self.main, &channel, choice, sys::seize_to_the_end)?;
        Ok(Launched {
            pid: self.main,
            listener,
            channel,
        })
    }

    /// Lets go of the process that was to become the command, and tells it why. End then.
    pub fn refuse(self, error: &LaunchError) {
        if sys::interrupt(self.main).is_ok() && sys::wait_for(self.main).is_ok() {
            let _ = sys::detach(self.main, 0);
        }
        let (what, number) = match error {
            LaunchError::Ptrace(errno) => (SEIZE_FAILED, *errno as i32),
            LaunchError::Traced(tracer) => (TRACED, *tracer),
            LaunchError::Filter(errno) => (FILTER_FAILED, *errno as i32),
            LaunchError::Start(errno) => (START_FAILED, *errno as i32),
        };
        tell(&self.channel, what, number, None);
    }
}
