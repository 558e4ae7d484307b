//! Running the command as another user than ours, as an engine would start it.

use super::Command;
use crate::sys;
use crate::tracer::visitors;
use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};
use std::ffi::CStr;
use std::io::{stderr, stdin, stdout};
use std::os::fd::{AsFd, BorrowedFd};

/// A user that we are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// User ID: real, effective and saved.
    pub uid: u32,
    /// Group ID: real, effective and saved.
    pub gid: u32,
    /// Supplementary groups, all of them.
    pub groups: Vec<u32>,
}

/// Whether something stands in the way of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The IDs cannot be set.
    Ids,
    /// It may not execute the file.
    File,
}

impl Identity {
    /// Whether a process of ours may take on other IDs at all.
    pub fn can_be_taken_on() -> bool {
        sys::may_set_ids()
    }

    /// Whether this user can run `file`, tried in a child process. Call it before another thread
    /// is started.
    pub fn obstacle(&self, file: &CStr) -> Option<Obstacle> {
        let becomes = || sys::become_user(self.uid, self.gid, &self.groups).is_ok();
        if !sys::probe_in_child(becomes) {
            return Some(Obstacle::Ids);
        }
        let runs = || becomes() && access(file, AccessFlags::X_OK).is_ok();
        (!sys::probe_in_child(runs)).then_some(Obstacle::File)
    }

    /// Gives this user the pipes and the terminal that are our standard streams, as engines do:
    /// it could not open `/dev/stdout` otherwise. Outside of containers a terminal is somebody's,
    /// and stays so. What cannot be given stays as it is, as with the engines.
    pub fn own_streams(&self) {
        let (input, output, error) = (stdin(), stdout(), stderr());
        for stream in [input.as_fd(), output.as_fd(), error.as_fd()] {
            if is_made_for_us(stream) {
                let uid = Some(self.uid.into());
                let _ = nix::unistd::fchown(stream, uid, None);
            }
        }
    }
}

fn is_made_for_us(stream: BorrowedFd) -> bool {
    use nix::sys::stat::{SFlag, fstat};
    let Ok(stat) = fstat(stream) else {
        return false;
    };
    match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
        SFlag::S_IFIFO => true,
        SFlag::S_IFCHR => {
            let is_terminal = nix::unistd::isatty(stream).unwrap_or(false);
            is_terminal && visitors::in_container()
        }
        _ => false,
    }
}

/// The last thing before execve(2): the filter may need privileges, and the tracer, which follows
/// by now, must see the change, as it must see that of any process.
pub(super) fn take_on_user(command: &Command) -> Result<(), Errno> {
    let Some(user) = &command.user else {
        return Ok(());
    };
    // The kernel clears it with the IDs.
    let parent_death = nix::sys::prctl::get_pdeathsig().ok().flatten();
    sys::become_user(user.uid, user.gid, &user.groups)?;
    let _ = nix::sys::prctl::set_pdeathsig(parent_death);
    Ok(())
}
