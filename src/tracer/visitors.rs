//! Processes that enter the container from outside (`docker exec`, health checks, nsenter(1)):
//! finding them, so that the tracer can follow them, and a log of opened files for what they
//! opened before that.
//!
//! They are found on a thread of their own; they are followed by the tracer's thread like all
//! others, since the stops of an orphan that is handed to us as PID 1 are reported to the thread
//! that is its parent, whichever thread traces it.

mod colleagues;
mod door;
mod finder;
mod guests;
mod hush;
mod log;
mod opens;
mod pids;
mod process;

pub use colleagues::Colleagues;
pub use door::{Answer, Door};
pub use finder::{Search, Visitors};
pub use hush::Hush;
pub use process::{Status, Whereabouts, is_namesake, parse_status, starter, status, whereabouts};

/// The way in that loses nothing.
pub const REMEDY: &str = "docker exec CONTAINER /micropacker exec -- COMMAND";

/// What is done about them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wish {
    /// They are looked for where they are to be expected: in a container. The log begins with
    /// the first of them.
    #[default]
    Auto,
    /// They are looked for everywhere, and the log begins at once.
    Full,
    /// Nothing.
    Off,
}

/// Inode number of the initial PID namespace (PROC_PID_INIT_INO of <linux/proc_ns.h>).
const INITIAL_NAMESPACE: u64 = 0xEFFF_FFFC;

/// Whether we are in a PID namespace of our own, as a container is.
pub fn in_container() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self/ns/pid").is_ok_and(|meta| meta.ino() != INITIAL_NAMESPACE)
}

impl Wish {
    /// What to do here: nothing where nobody is to be expected. In the process that stands where the
    /// command would.
    #[must_use]
    pub fn settled(self) -> Self {
        if self.is_on() { self } else { Wish::Off }
    }

    /// Whether to look for them here. Whoever enters a container has no parent in it; on a host
    /// that means nothing, and everything is somebody else's.
    fn is_on(self) -> bool {
        self.is_on_for(
            std::process::id(),
            std::os::unix::process::parent_id(),
            in_container,
        )
    }

    /// `in_container` is asked last: it costs a look at `/proc`.
    fn is_on_for(self, own: u32, parent: u32, in_container: impl Fn() -> bool) -> bool {
        match self {
            Wish::Off => false,
            Wish::Full => true,
            // PID 1, or the child of an init that the engine put before us (`docker run --init`).
            Wish::Auto => (own == 1 || parent == 1) && in_container(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_default_they_are_looked_for_in_containers_only() {
        let auto = |own, parent, in_container| Wish::Auto.is_on_for(own, parent, || in_container);
        assert!(auto(1, 0, true));
        assert!(auto(7, 1, true));
        assert!(!auto(7, 1, false), "a service of a host");
        assert!(!auto(7, 5, true), "started from a shell of a container");
        assert!(Wish::Full.is_on_for(7, 5, || false));
        assert!(!Wish::Off.is_on_for(1, 0, || true));
    }
}
