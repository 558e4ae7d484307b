//! Who is at the other end of the socket, and what it may ask for.

use super::protocol::{Ask, Refusal};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use std::fs;
use std::os::unix::net::UnixStream;

/// A process as it was when it connected (SO_PEERCRED of unix(7)), in our own namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its ID; 0 for one that our PID namespace does not show.
    pub pid: i32,
    /// Its effective user ID; that of `nobody` for one that our user namespace does not know.
    pub uid: u32,
    /// Whether it is in our very PID namespace: the containers of a host that runs a supervisor
    /// too are visible to it, and may share its network.
    pub is_neighbour: bool,
}

impl Peer {
    /// Asks the kernel.
    ///
    /// # Errors
    /// What getsockopt(2) says.
    pub fn of(stream: &UnixStream) -> nix::Result<Self> {
        let credentials = getsockopt(stream, PeerCredentials)?;
        let pid = credentials.pid();
        let status = fs::read_to_string(format!("/proc/{pid}/status"));
        Ok(Self {
            pid,
            uid: credentials.uid(),
            is_neighbour: status.is_ok_and(|status| is_in_one_namespace(&status)),
        })
    }

    /// Whether this may be done for it. Root of our user namespace and our own user may drive us;
    /// any process of the container may add to the recording, as it does by being traced.
    ///
    /// # Errors
    /// Says why not.
    pub fn may(&self, ask: &Ask, own_uid: u32) -> Result<(), Refusal> {
        if self.pid <= 0 || !self.is_neighbour {
            return Err(Refusal::new(
                "not permitted: the caller is not in the supervisor's PID namespace; start it \
                 with docker exec",
            ));
        }
        match ask {
            Ask::Join { .. } => Ok(()),
            _ if self.is_trusted(own_uid) => Ok(()),
            _ => {
                let who = match own_uid {
                    0 => "root".to_owned(),
                    other => format!("root or user {other}"),
                };
                Err(Refusal::new(format!(
                    "not permitted: only {who} may ask for this, and the caller is user {}",
                    self.uid
                )))
            }
        }
    }

    /// Whether what it tells is taken as if we had seen it ourselves.
    pub fn is_trusted(&self, own_uid: u32) -> bool {
        self.uid == 0 || self.uid == own_uid
    }
}

/// `NSpid` of proc_pid_status(5) has an ID for each PID namespace, from that of `/proc` inwards.
fn is_in_one_namespace(status: &str) -> bool {
    status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))
        .is_some_and(|ids| ids.split_ascii_whitespace().count() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: u32 = 1000;

    fn peer(uid: u32) -> Peer {
        Peer {
            pid: 7,
            uid,
            is_neighbour: true,
        }
    }

    fn join() -> Ask {
        Ask::Join { command: vec![] }
    }

    #[test]
    fn root_and_our_own_user_may_drive_others_may_only_join() {
        for ask in [Ask::Status, Ask::Pack, Ask::Stop { wait: false }] {
            assert!(peer(0).may(&ask, OWN).is_ok());
            assert!(peer(OWN).may(&ask, OWN).is_ok());
            let refusal = peer(33).may(&ask, OWN).expect_err("refused");
            assert!(refusal.message.contains("user 33"), "{refusal}");
        }
        assert!(peer(33).may(&join(), OWN).is_ok());
    }

    #[test]
    fn whoever_is_of_another_container_may_nothing() {
        let invisible = Peer { pid: 0, ..peer(0) };
        let inner = Peer {
            is_neighbour: false,
            ..peer(0)
        };
        for ask in [Ask::Status, join()] {
            assert!(invisible.may(&ask, OWN).is_err());
            assert!(inner.may(&ask, OWN).is_err());
        }
    }

    #[test]
    fn one_id_means_one_namespace() {
        assert!(is_in_one_namespace("Pid:\t7\nNSpid:\t7\n"));
        assert!(!is_in_one_namespace("Pid:\t7\nNSpid:\t7\t1\n"));
        assert!(!is_in_one_namespace("Pid:\t7\n"));
    }
}
