//! seccomp(2) and seccomp_unotify(2).

use super::{Tid, exit_now, fork};
use nix::errno::Errno;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// One instruction of classic BPF, `struct sock_filter` of <linux/filter.h>.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// How many instructions to skip when the test holds.
    pub jt: u8,
    /// How many to skip when it does not.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

/// A seccomp program.
pub type Filter = Vec<Instruction>;

/// How a filter is installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterMode {
    /// Its verdicts go to a ptrace tracer.
    Plain,
    /// A listener receives its notifications. `wait_killable`: once received, only a fatal
    /// signal interrupts the caller (Linux 5.19).
    Listener {
        /// SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV.
        wait_killable: bool,
    },
}

#[repr(C)]
struct Program {
    length: libc::c_ushort,
    filter: *const Instruction,
}

const SET_MODE_FILTER: libc::c_uint = 1;
const FLAG_NEW_LISTENER: libc::c_ulong = 1 << 3;
const FLAG_WAIT_KILLABLE_RECV: libc::c_ulong = 1 << 5;

/// Installs `filter` for the calling thread and everything it starts; gives the listener where
/// one was asked for.
///
/// # Errors
/// EACCES without no_new_privs or CAP_SYS_ADMIN, EBUSY when a listener exists already, EINVAL
/// for a flag the kernel does not know.
pub fn install_filter(filter: &Filter, mode: FilterMode) -> nix::Result<Option<Listener>> {
    let program = Program {
        length: libc::c_ushort::try_from(filter.len()).map_err(|_| Errno::E2BIG)?,
        filter: filter.as_ptr(),
    };
    let flags = match mode {
        FilterMode::Plain => 0,
        FilterMode::Listener {
            wait_killable: false,
        } => FLAG_NEW_LISTENER,
        FilterMode::Listener {
            wait_killable: true,
        } => FLAG_NEW_LISTENER | FLAG_WAIT_KILLABLE_RECV,
    };
    // SAFETY: `program` describes `filter`, which outlives the call; the kernel copies both.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            SET_MODE_FILTER,
            flags,
            &raw const program,
        )
    };
    if result == -1 {
        return Err(Errno::last());
    }
    if mode == FilterMode::Plain {
        return Ok(None);
    }
    let fd = RawFd::try_from(result).map_err(|_| Errno::EOVERFLOW)?;
    // SAFETY: the kernel has just made this descriptor for us.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    Ok(Some(Listener { fd }))
}

/// The receiving end of a filter's notifications.
#[derive(Debug)]
pub struct Listener {
    fd: OwnedFd,
}

/// A tracee that waits for our word at a system call.
#[derive(Clone, Copy, Debug)]
pub struct Notification {
    /// Names this one wait.
    pub id: u64,
    /// The thread that waits.
    pub tid: Tid,
    /// AUDIT_ARCH_* of the calling convention.
    pub arch: u32,
    /// The system call's number.
    pub number: u64,
    /// Its arguments.
    pub args: [u64; 6],
}

#[repr(C)]
#[derive(Default)]
struct RawNotification {
    id: u64,
    pid: u32,
    flags: u32,
    number: i32,
    arch: u32,
    instruction_pointer: u64,
    args: [u64; 6],
}

#[repr(C)]
struct RawResponse {
    id: u64,
    value: i64,
    error: i32,
    flags: u32,
}

/// `_IOC` of <asm-generic/ioctl.h>, the same on x86_64 and aarch64.
const fn ioctl_code(direction: u32, number: u32, size: usize) -> u32 {
    (direction << 30) | ((size as u32) << 16) | ((b'!' as u32) << 8) | number
}

const WRITE: u32 = 1;
const READ: u32 = 2;
const NOTIF_RECV: u32 = ioctl_code(READ | WRITE, 0, size_of::<RawNotification>());
const NOTIF_SEND: u32 = ioctl_code(READ | WRITE, 1, size_of::<RawResponse>());
const NOTIF_ID_VALID: u32 = ioctl_code(WRITE, 2, size_of::<u64>());
const NOTIF_SET_FLAGS: u32 = ioctl_code(WRITE, 4, size_of::<u64>());
const FLAG_CONTINUE: u32 = 1;
const FD_SYNC_WAKE_UP: usize = 1;

impl Listener {
    /// Takes over a descriptor that another process installed.
    pub fn from_fd(fd: OwnedFd) -> Self {
        Self { fd }
    }

    /// For sending it to another process.
    pub fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// Asks that a notification wakes us on the processor of its sender
    /// (SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP, Linux 6.6): seven times cheaper than across.
    ///
    /// # Errors
    /// EINVAL on an older kernel.
    pub fn wake_synchronously(&self) -> nix::Result<()> {
        self.ioctl(NOTIF_SET_FLAGS, FD_SYNC_WAKE_UP)
    }

    /// Waits for the next notification. `None` when the sender died before it could be read.
    ///
    /// # Errors
    /// What the kernel says; EINTR is retried.
    pub fn receive(&self) -> nix::Result<Option<Notification>> {
        loop {
            let mut raw = RawNotification::default();
            match self.ioctl(NOTIF_RECV, (&raw mut raw) as usize) {
                Err(Errno::EINTR) => {}
                Err(Errno::ENOENT) => return Ok(None),
                Err(error) => return Err(error),
                Ok(()) => {
                    return Ok(Some(Notification {
                        id: raw.id,
                        tid: raw.pid as Tid,
                        arch: raw.arch,
                        number: u64::from(raw.number as u32),
                        args: raw.args,
                    }));
                }
            }
        }
    }

    /// Lets the call go on in the kernel as if nobody had looked.
    ///
    /// # Errors
    /// ENOENT when the sender was interrupted or killed meanwhile: nothing is to be done then.
    pub fn let_go(&self, id: u64) -> nix::Result<()> {
        let mut response = RawResponse {
            id,
            value: 0,
            error: 0,
            flags: FLAG_CONTINUE,
        };
        self.ioctl(NOTIF_SEND, (&raw mut response) as usize)
    }

    /// Whether the sender still waits: what was read of it before was its own.
    pub fn is_waiting(&self, id: u64) -> bool {
        self.ioctl(NOTIF_ID_VALID, (&raw const id) as usize).is_ok()
    }

    fn ioctl(&self, code: u32, argument: usize) -> nix::Result<()> {
        // SAFETY: the argument is a number, or the address of a live local whose size is part
        // of the code, which the kernel checks.
        let result = unsafe { libc::ioctl(self.fd.as_raw_fd(), code as _, argument) };
        if result == -1 {
            return Err(Errno::last());
        }
        Ok(())
    }
}

/// Runs `attempt` in a forked child and tells whether it held: what it changes, a filter for
/// instance, does not touch us. Call it before the first thread is started.
pub fn probe_in_child(attempt: impl FnOnce() -> bool) -> bool {
    match fork() {
        Ok(None) => {
            let code = if attempt() { 0 } else { 1 };
            exit_now(code)
        }
        Ok(Some(child)) => {
            let pid = nix::unistd::Pid::from_raw(child);
            matches!(
                nix::sys::wait::waitpid(pid, None),
                Ok(nix::sys::wait::WaitStatus::Exited(_, 0))
            )
        }
        Err(_) => false,
    }
}
