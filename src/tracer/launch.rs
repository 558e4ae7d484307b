//! Starting the command as a tracee: seized before it runs, filtered before it execs, and
//! otherwise exactly what it would have been.

mod identity;
pub mod inverted;

use identity::take_on_user;
pub use identity::{Identity, Obstacle};

use super::engine::{Choice, Engine};
use super::filter::{self, Policy, Verdict};
use super::syscall::Abi;
use crate::sys::{self, FilterMode, Listener, SavedSignals, Session, Tid};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg,
    sendmsg, socketpair,
};
use std::ffi::CString;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, OwnedFd};

/// What to start.
#[derive(Clone, Debug)]
pub struct Command {
    /// The file to execute.
    pub file: CString,
    /// Its arguments, its name first.
    pub argv: Vec<CString>,
    /// Its environment.
    pub env: Vec<CString>,
    /// Whom it runs as, where that is not whom we run as.
    pub user: Option<Identity>,
}

/// Why a command that was started as a tracee has not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRun {
    /// It could not become its user.
    User(Errno),
    /// execve(2) failed.
    Exec(Errno),
}

/// Why the command could not be started as a tracee.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// fork(2) or socketpair(2) failed.
    #[error("no process can be started: {0}")]
    Start(Errno),
    /// PTRACE_SEIZE was refused.
    #[error(
        "ptrace is not permitted here: {0}; run the container with --cap-add SYS_PTRACE, or on a \
         kernel of 4.8 or newer with its engine's default seccomp profile"
    )]
    Ptrace(Errno),
    /// We are traced ourselves, and a process has one tracer.
    #[error(
        "ptrace is not permitted here: micropacker is traced by process {0} itself, and what it \
         starts would have two tracers; start it outside of that one"
    )]
    Traced(Tid),
    /// The filter could not be installed.
    #[error("the seccomp filter cannot be installed: {0}; try --no-seccomp")]
    Filter(Errno),
}

/// A command that waits for its first tracer to be ready; it execs when [`Launched::go`] is
/// called.
pub struct Launched {
    /// The process.
    pub pid: Tid,
    /// Where its notifications arrive.
    pub listener: Option<Listener>,
    channel: OwnedFd,
}

/// What the child tells us on the channel, as its first byte.
const READY: u8 = b'R';
const FILTER_FAILED: u8 = b'F';
const USER_FAILED: u8 = b'U';
const EXEC_FAILED: u8 = b'X';

/// Starts `command` as a tracee of this thread. Call it before another thread is started.
///
/// # Errors
/// Nothing is left behind then.
pub fn launch(
    command: &Command,
    choice: &Choice,
    signals: &SavedSignals,
    session: &Session,
) -> Result<Launched, LaunchError> {
    Line::new()?
        .start(command, choice, signals, session, None)?
        .attach(choice)
}

/// Between a command's process and its tracer, before either of them is there: both may be
/// children of a third.
pub struct Line {
    ours: OwnedFd,
    theirs: OwnedFd,
}

impl Line {
    /// # Errors
    /// [`LaunchError::Start`].
    pub fn new() -> Result<Self, LaunchError> {
        let (ours, theirs) = socketpair(
            AddressFamily::Unix,
            SockType::SeqPacket,
            None,
            SockFlag::SOCK_CLOEXEC,
        )
        .map_err(LaunchError::Start)?;
        Ok(Self { ours, theirs })
    }

    /// Starts the command's process as a child of this one. It waits to be seized: by us, or by
    /// the process `tracer`.
    ///
    /// # Errors
    /// [`LaunchError::Start`].
    pub fn start(
        self,
        command: &Command,
        choice: &Choice,
        signals: &SavedSignals,
        session: &Session,
        tracer: Option<Tid>,
    ) -> Result<Seizable, LaunchError> {
        // fork(2) clears it.
        let parent_death = nix::sys::prctl::get_pdeathsig().ok().flatten();
        let Some(pid) = sys::fork().map_err(LaunchError::Start)? else {
            drop(self.ours);
            if let Some(tracer) = tracer {
                sys::permit_tracer(tracer);
            }
            session.begin();
            let _ = nix::sys::prctl::set_pdeathsig(parent_death);
            run_child(command, choice, signals, &self.theirs);
        };
        Ok(self.to(pid))
    }

    /// The tracer's end of it, where somebody else has started the command's process.
    pub fn to(self, pid: Tid) -> Seizable {
        Seizable {
            pid,
            channel: self.ours,
        }
    }
}

/// A command's process that waits to be seized. It ends when nobody is left who could.
pub struct Seizable {
    /// The process.
    pub pid: Tid,
    channel: OwnedFd,
}

impl Seizable {
    /// Makes it a tracee of this thread, and has it install its filter.
    ///
    /// # Errors
    /// It has ended then.
    pub fn attach(self, choice: &Choice) -> Result<Launched, LaunchError> {
        let Self { pid, channel } = self;
        match attach(pid, &channel, choice, sys::seize) {
            Ok(listener) => Ok(Launched {
                pid,
                listener,
                channel,
            }),
            Err(error) => {
                let _ = sys::send_signal(pid, libc::SIGKILL);
                let _ = sys::wait_for(pid);
                Err(error)
            }
        }
    }
}

fn attach(
    pid: Tid,
    channel: &OwnedFd,
    choice: &Choice,
    seize: fn(Tid) -> nix::Result<()>,
) -> Result<Option<Listener>, LaunchError> {
    seize(pid).map_err(|errno| match tracer_of(pid) {
        Some(tracer) => LaunchError::Traced(tracer),
        None => LaunchError::Ptrace(errno),
    })?;
    if choice.engine == Engine::SyscallStop {
        // A seized process runs on: only from a stop can it be resumed to its next call.
        nix::sys::ptrace::interrupt(nix::unistd::Pid::from_raw(pid))
            .map_err(LaunchError::Ptrace)?;
    }
    tell(channel, READY, 0, None);
    if choice.engine == Engine::SyscallStop {
        return Ok(None);
    }
    match hear(channel) {
        Some((READY, _, None)) => Ok(None),
        Some((READY, _, Some(fd))) => {
            let listener = Listener::from_fd(fd);
            listener.wake_synchronously().map_err(LaunchError::Filter)?;
            Ok(Some(listener))
        }
        Some((_, errno, _)) => Err(LaunchError::Filter(Errno::from_raw(errno))),
        None => Err(LaunchError::Start(Errno::ECHILD)),
    }
}

/// Who traces us, if anybody.
pub fn own_tracer() -> Option<Tid> {
    tracer_of(std::process::id() as Tid)
}

/// Who traces a process, if anybody (proc_pid_status(5)).
pub fn tracer_of(pid: Tid) -> Option<Tid> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("TracerPid:"))?;
    line.trim().parse().ok().filter(|tracer| *tracer != 0)
}

impl Launched {
    /// Lets it exec. Notifications must be answered from now on.
    pub fn go(&self) {
        tell(&self.channel, READY, 0, None);
    }

    /// Once it has ended without ever running the command: why.
    pub fn not_run(&self) -> Option<NotRun> {
        match hear(&self.channel)? {
            (EXEC_FAILED, errno, _) => Some(NotRun::Exec(Errno::from_raw(errno))),
            (USER_FAILED, errno, _) => Some(NotRun::User(Errno::from_raw(errno))),
            _ => None,
        }
    }
}

/// Becomes the command, where others follow this process already. Comes back with what
/// execve(2) said.
pub fn become_command(command: &Command) -> Errno {
    sys::restore_sigpipe();
    sys::close_streams_as_at_start();
    let Err(errno) = nix::unistd::execve(&command.file, &command.argv, &command.env);
    errno
}

/// The child's side, up to execve(2).
fn run_child(command: &Command, choice: &Choice, signals: &SavedSignals, channel: &OwnedFd) -> ! {
    // Seized now, or never.
    if hear(channel).is_none() {
        sys::exit_now(1);
    }
    if choice.engine != Engine::SyscallStop {
        match filter_self(choice, None) {
            Ok(listener) => tell(channel, READY, 0, listener.as_ref()),
            Err(errno) => {
                tell(channel, FILTER_FAILED, errno as i32, None);
                sys::exit_now(1);
            }
        }
    }
    hear(channel);
    if let Err(errno) = take_on_user(command) {
        tell(channel, USER_FAILED, errno as i32, None);
        sys::exit_now(1);
    }
    sys::reset_for_child(signals);
    sys::close_streams_as_at_start();
    let Err(errno) = nix::unistd::execve(&command.file, &command.argv, &command.env);
    tell(channel, EXEC_FAILED, errno as i32, None);
    sys::exit_now(1)
}

fn filter_self(choice: &Choice, shielded: Option<Tid>) -> nix::Result<Option<Listener>> {
    if choice.set_no_new_privs {
        nix::sys::prctl::set_no_new_privs()?;
    }
    let (hit, mode) = match choice.engine {
        Engine::Notify => (
            Verdict::Notify,
            FilterMode::Listener {
                wait_killable: choice.wait_killable,
            },
        ),
        _ => (Verdict::Trace, FilterMode::Plain),
    };
    let policy = Policy {
        hit,
        watch_identity: choice.keep_visible,
        allow_io_uring: choice.allow_io_uring,
        shielded,
    };
    sys::install_filter(&filter::program(&Abi::HERE, policy), mode)
}

/// One packet: a byte, a number, and perhaps a descriptor. A peer that is gone is no error here:
/// waitpid(2) tells of it.
fn tell(channel: &OwnedFd, what: u8, errno: i32, listener: Option<&Listener>) {
    let mut packet = [what, 0, 0, 0, 0];
    packet[1..].copy_from_slice(&errno.to_ne_bytes());
    let fds = listener.map(|listener| [listener.fd().as_raw_fd()]);
    let rights = fds.as_ref().map(|fds| ControlMessage::ScmRights(fds));
    let _ = sendmsg::<()>(
        channel.as_raw_fd(),
        &[IoSlice::new(&packet)],
        rights.as_slice(),
        MsgFlags::MSG_NOSIGNAL,
        None,
    );
}

fn hear(channel: &OwnedFd) -> Option<(u8, i32, Option<OwnedFd>)> {
    let mut packet = [0; 5];
    let mut space = nix::cmsg_space!([std::os::fd::RawFd; 1]);
    let mut buffers = [IoSliceMut::new(&mut packet)];
    let message = loop {
        match recvmsg::<()>(
            channel.as_raw_fd(),
            &mut buffers,
            Some(&mut space),
            MsgFlags::MSG_CMSG_CLOEXEC,
        ) {
            Err(Errno::EINTR) => {}
            other => break other.ok()?,
        }
    };
    let received = message.bytes;
    let fd = message.cmsgs().ok()?.find_map(|control| match control {
        ControlMessageOwned::ScmRights(fds) => fds.first().copied(),
        _ => None,
    });
    let fd = fd.map(sys::own_fd);
    (received == 5).then(|| {
        let [what, errno @ ..] = packet;
        (what, i32::from_ne_bytes(errno), fd)
    })
}
