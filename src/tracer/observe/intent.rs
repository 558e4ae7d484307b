//! What a call means to do with a path, read from its arguments.

use super::Observer;
use crate::recording::{Access, Level};
use crate::sys::Tid;
use crate::tracer::syscall::{Deed, Follow};
use crate::tracer::tracees::Tracees;

/// How one path argument uses its path.
#[derive(Clone, Copy)]
pub(super) struct Intent {
    pub(super) access: Access,
    /// Whether a name is made where there is none.
    pub(super) creates: bool,
    /// Whether what is there is taken away.
    pub(super) removes: bool,
    /// Whether an empty path names the descriptor itself.
    pub(super) empty_is_descriptor: bool,
}

impl Intent {
    /// Uses what is there, in this way.
    pub(super) fn of_use(access: Access) -> Self {
        Self {
            access,
            creates: false,
            removes: false,
            empty_is_descriptor: false,
        }
    }

    /// How much of what is there has to be kept before the call.
    pub(super) fn level(&self) -> Option<Level> {
        if self.removes || self.access.contains(Access::WRITE) {
            Some(Level::Whole)
        } else {
            self.access.contains(Access::CHANGE).then_some(Level::Meta)
        }
    }
}

impl<T: Tracees> Observer<T> {
    pub(super) fn intent(&mut self, tid: Tid, deed: Deed, args: &[u64; 6]) -> Intent {
        let use_of = |access: Access, follow: bool| match follow {
            true => Intent::of_use(access),
            false => Intent::of_use(access.with(Access::NO_FOLLOW)),
        };
        let creates = |access: Access, follow: bool| Intent {
            creates: true,
            ..use_of(access, follow)
        };
        match deed {
            Deed::Use(access, Follow::Yes) => use_of(access, true),
            Deed::Use(access, Follow::No) => use_of(access, false),
            Deed::Use(access, Follow::AtFlags(index)) => {
                let flags = args[usize::from(index)] as i32;
                Intent {
                    empty_is_descriptor: flags & libc::AT_EMPTY_PATH != 0,
                    ..use_of(access, flags & libc::AT_SYMLINK_NOFOLLOW == 0)
                }
            }
            Deed::Use(access, Follow::AtFollow(index)) => {
                let flags = args[usize::from(index)] as i32;
                Intent {
                    empty_is_descriptor: flags & libc::AT_EMPTY_PATH != 0,
                    ..use_of(access, flags & libc::AT_SYMLINK_FOLLOW != 0)
                }
            }
            Deed::Open(index) => open_intent(args[usize::from(index)]),
            Deed::OpenHow(index) => {
                // `struct open_how` begins with the flags (openat2(2)).
                let mut flags = [0; 8];
                let address = args[usize::from(index)];
                let read = self.tracees.read(tid, address, &mut flags);
                let flags = if read == flags.len() {
                    u64::from_ne_bytes(flags)
                } else {
                    0
                };
                open_intent(flags)
            }
            Deed::Creat => creates(Access::OPEN.with(WRITES), true),
            Deed::Create => creates(Access::PROBE, false),
            Deed::Remove => Intent {
                removes: true,
                ..use_of(Access::CHANGE, false)
            },
        }
    }
}

/// What an open file descriptor for writing may do, without another word to us.
const WRITES: Access = Access::CHANGE.with(Access::WRITE);

fn open_intent(flags: u64) -> Intent {
    let flags = flags as i32;
    let has = |flag: i32| flags & flag == flag;
    let writes = flags & libc::O_ACCMODE != libc::O_RDONLY || has(libc::O_TRUNC);
    let mut access = Access::OPEN;
    // What is there fails an open that must make it.
    let makes = has(libc::O_CREAT | libc::O_EXCL);
    if writes && !makes && !has(libc::O_PATH) {
        access = access.with(WRITES);
    }
    if has(libc::O_NOFOLLOW) || makes {
        access = access.with(Access::NO_FOLLOW);
    }
    Intent {
        creates: has(libc::O_CREAT),
        ..Intent::of_use(access)
    }
}
