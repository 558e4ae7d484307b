//! ptrace(2), waitpid(2) and fork(2).

use super::Tid;
use nix::errno::Errno;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// What a tracee is followed with (ptrace(2), "PTRACE_SETOPTIONS"): all its children and
/// program starts, telling system call stops from signals, and its death with ours.
pub const OPTIONS: libc::c_int = libc::PTRACE_O_TRACESYSGOOD
    | libc::PTRACE_O_TRACEFORK
    | libc::PTRACE_O_TRACEVFORK
    | libc::PTRACE_O_TRACECLONE
    | libc::PTRACE_O_TRACEEXEC
    | libc::PTRACE_O_TRACESECCOMP
    | libc::PTRACE_O_EXITKILL;

/// A status word of waitpid(2), not yet decoded: nix's decoder loses real-time signals.
pub type WaitStatus = libc::c_int;

/// What PTRACE_GETEVENTMSG tells: the new thread, or the former thread ID of an exec.
pub type Message = libc::c_ulong;

/// Forks. The child gets `None`, the parent the child's ID.
///
/// # Errors
/// What fork(2) says.
pub fn fork() -> nix::Result<Option<Tid>> {
    // SAFETY: callers fork before they start a thread, so that the child may use all of std.
    match unsafe { nix::unistd::fork() }? {
        nix::unistd::ForkResult::Child => Ok(None),
        nix::unistd::ForkResult::Parent { child } => Ok(Some(child.as_raw())),
    }
}

/// Forks a child that its parent's wait(2) does not show and whose end sends no signal: only who
/// waits with `__WALL` meets it. The child gets `None`, the parent the child's ID.
///
/// The C library does not hear of this fork. It keeps the parent's thread ID for the child's first
/// thread, so that one must ask [`super::own_thread`] for its own.
///
/// # Errors
/// What clone(2) says.
pub fn fork_unseen() -> nix::Result<Option<Tid>> {
    let nothing: libc::c_ulong = 0;
    // SAFETY: without flags clone(2) is fork(2) with no signal at the child's end. Callers have no
    // other thread, so no lock is held in the copy, and nothing is shared with it.
    let result =
        unsafe { libc::syscall(libc::SYS_clone, nothing, nothing, nothing, nothing, nothing) };
    match result {
        -1 => Err(Errno::last()),
        0 => Ok(None),
        child => Ok(Some(child as Tid)),
    }
}

/// Ends a forked child at once, running no destructor and flushing no buffer of its parent's.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit takes any number and does not return.
    unsafe { libc::_exit(code) }
}

/// Closes every descriptor but these.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn close_all_but(kept: &[RawFd]) -> std::io::Result<()> {
    let open: Vec<RawFd> = std::fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    for fd in open.into_iter().filter(|fd| !kept.contains(fd)) {
        // SAFETY: callers are forked children that use nothing but `kept` from now on.
        unsafe { libc::close(fd) };
    }
    Ok(())
}

/// Lets this process trace us where Yama asks for that, since it is no ancestor of ours
/// (prctl(2), PR_SET_PTRACER).
pub fn permit_tracer(tracer: Tid) {
    // SAFETY: plain numbers. Without Yama it is refused, and not needed.
    unsafe { libc::prctl(libc::PR_SET_PTRACER, tracer) };
}

/// Takes ownership of a descriptor that recvmsg(2) has just made for us.
pub fn own_fd(fd: RawFd) -> OwnedFd {
    // SAFETY: the descriptor is new, so nobody else owns it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Waits for any child or tracee, threads included. `None` when `block` is false and nothing
/// has changed, or when a [`super::WakeTimer`] interrupted it.
///
/// # Errors
/// ECHILD when there is nothing left to wait for.
pub fn wait_any(block: bool) -> nix::Result<Option<(Tid, WaitStatus)>> {
    let mut status = 0;
    let flags = libc::__WALL | if block { 0 } else { libc::WNOHANG };
    // SAFETY: `status` is a valid place for the one word that the kernel writes.
    match unsafe { libc::waitpid(-1, &raw mut status, flags) } {
        0 => Ok(None),
        -1 if Errno::last() == Errno::EINTR => Ok(None),
        -1 => Err(Errno::last()),
        tid => Ok(Some((tid, status))),
    }
}

/// Whether waitpid(2) has something to tell of this child, which is left to it.
pub fn has_news(child: Tid) -> bool {
    peek(child, libc::WSTOPPED).is_ok_and(|news| news)
}

/// Whether a child that somebody else traces has gone on or ended since it stopped.
pub fn has_gone_on(child: Tid) -> bool {
    peek(child, libc::WCONTINUED).is_ok_and(|news| news)
}

/// Waits for a child that somebody else traces to stop, go on or end, as its parent sees it.
///
/// # Errors
/// ECHILD when it is none of ours.
pub fn wait_as_parent(child: Tid) -> nix::Result<WaitStatus> {
    let mut status = 0;
    loop {
        // SAFETY: `status` is a valid place for the one word that the kernel writes.
        match unsafe { libc::waitpid(child, &raw mut status, libc::WUNTRACED | libc::WCONTINUED) } {
            -1 if Errno::last() == Errno::EINTR => {}
            -1 => return Err(Errno::last()),
            _ => return Ok(status),
        }
    }
}

/// Whether this is a child of ours that was not reaped.
pub fn is_child(pid: Tid) -> bool {
    peek(pid, libc::WSTOPPED).is_ok()
}

/// waitid(2) for its end or this, that takes nothing away.
fn peek(child: Tid, what: i32) -> nix::Result<bool> {
    let flags = libc::WEXITED | what | libc::WNOHANG | libc::WNOWAIT | libc::__WALL;
    // SAFETY: an all-zero siginfo is a valid value, and the kernel only writes to it.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let result = libc::waitid(libc::P_PID, child as _, &raw mut info, flags);
        Errno::result(result).map(|_| info.si_pid() != 0)
    }
}

/// Waits for one child to stop or end.
///
/// # Errors
/// ECHILD when it is none of ours.
pub fn wait_for(child: Tid) -> nix::Result<()> {
    let mut status = 0;
    loop {
        // SAFETY: `status` is a valid place for the one word that the kernel writes.
        match unsafe { libc::waitpid(child, &raw mut status, libc::__WALL) } {
            -1 if Errno::last() == Errno::EINTR => {}
            -1 => return Err(Errno::last()),
            _ => return Ok(()),
        }
    }
}

/// PTRACE_SEIZE with [`OPTIONS`].
///
/// # Errors
/// EPERM where the kernel or the container forbids it.
pub fn seize(tid: Tid) -> nix::Result<()> {
    request(libc::PTRACE_SEIZE as Request, tid, 0, OPTIONS as usize)
}

/// As [`seize`], and this process, its threads, and what it starts stop once more when they end
/// (PTRACE_O_TRACEEXIT), a SIGKILL from outside included.
///
/// # Errors
/// As [`seize`].
pub fn seize_to_the_end(tid: Tid) -> nix::Result<()> {
    let options = OPTIONS | libc::PTRACE_O_TRACEEXIT;
    request(libc::PTRACE_SEIZE as Request, tid, 0, options as usize)
}

/// Undoes what is more in [`seize_to_the_end`] than in [`seize`], for a stopped tracee that has
/// inherited it.
///
/// # Errors
/// As [`resume`].
pub fn spare_exit_stop(tid: Tid) -> nix::Result<()> {
    request(libc::PTRACE_SETOPTIONS as Request, tid, 0, OPTIONS as usize)
}

/// PTRACE_SEIZE of a process that is not ours: it does not die with us.
///
/// # Errors
/// EPERM where it is forbidden, or the process has a tracer; ESRCH when there is no such process.
/// Waits while the process is in execve(2).
pub fn seize_guest(tid: Tid) -> nix::Result<()> {
    let options = OPTIONS & !libc::PTRACE_O_EXITKILL;
    request(libc::PTRACE_SEIZE as Request, tid, 0, options as usize)
}

/// PTRACE_INTERRUPT.
///
/// # Errors
/// As [`resume`].
pub fn interrupt(tid: Tid) -> nix::Result<()> {
    request(libc::PTRACE_INTERRUPT as Request, tid, 0, 0)
}

/// PTRACE_DETACH, delivering `signal` (0: none).
///
/// # Errors
/// As [`resume`].
pub fn detach(tid: Tid, signal: i32) -> nix::Result<()> {
    request(libc::PTRACE_DETACH as Request, tid, 0, signal as usize)
}

/// PTRACE_CONT, delivering `signal` (0: none).
///
/// # Errors
/// ESRCH when the tracee was killed meanwhile; its end is still reported by [`wait_any`].
pub fn resume(tid: Tid, signal: i32) -> nix::Result<()> {
    request(libc::PTRACE_CONT as Request, tid, 0, signal as usize)
}

/// PTRACE_SYSCALL, delivering `signal` (0: none).
///
/// # Errors
/// As [`resume`].
pub fn resume_to_syscall(tid: Tid, signal: i32) -> nix::Result<()> {
    request(libc::PTRACE_SYSCALL as Request, tid, 0, signal as usize)
}

/// PTRACE_LISTEN: a group-stop stays a stop.
///
/// # Errors
/// As [`resume`].
pub fn listen(tid: Tid) -> nix::Result<()> {
    request(libc::PTRACE_LISTEN as Request, tid, 0, 0)
}

/// PTRACE_GETEVENTMSG.
///
/// # Errors
/// As [`resume`].
pub fn event_message(tid: Tid) -> nix::Result<Message> {
    let mut message: Message = 0;
    request(
        libc::PTRACE_GETEVENTMSG as Request,
        tid,
        0,
        (&raw mut message) as usize,
    )?;
    Ok(message)
}

/// A system call about to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyscallEntry {
    /// AUDIT_ARCH_* of the calling convention.
    pub arch: u32,
    /// The number in that convention.
    pub number: u64,
    /// The six arguments; the upper halves are zero for 32-bit callers.
    pub args: [u64; 6],
    /// In a seccomp stop: what the filter tells the tracer.
    pub told: Option<u32>,
}

/// What PTRACE_GET_SYSCALL_INFO tells of the stop a tracee is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopInfo {
    /// Before a call: a system call entry stop or a seccomp stop.
    Entry(SyscallEntry),
    /// After a call, which gave this: a negative one is the number of an error.
    Exit(i64),
    /// Not at a system call.
    Other,
}

/// `struct ptrace_syscall_info` of <linux/ptrace.h>, which musl's libc lacks; the union's
/// largest member is that of a seccomp stop.
#[repr(C)]
#[derive(Default)]
struct RawSyscallInfo {
    op: u8,
    pad: [u8; 3],
    arch: u32,
    instruction_pointer: u64,
    stack_pointer: u64,
    number: u64,
    args: [u64; 6],
    ret_data: u32,
    reserved: u32,
}

const PTRACE_GET_SYSCALL_INFO: libc::c_uint = 0x420e;
const INFO_ENTRY: u8 = 1;
const INFO_EXIT: u8 = 2;
const INFO_SECCOMP: u8 = 3;

/// PTRACE_GET_SYSCALL_INFO (Linux 5.3).
///
/// # Errors
/// EIO on an older kernel, ESRCH as [`resume`].
pub fn syscall_info(tid: Tid) -> nix::Result<StopInfo> {
    let mut raw = RawSyscallInfo::default();
    request(
        PTRACE_GET_SYSCALL_INFO as Request,
        tid,
        size_of::<RawSyscallInfo>(),
        (&raw mut raw) as usize,
    )?;
    Ok(match raw.op {
        INFO_ENTRY | INFO_SECCOMP => StopInfo::Entry(SyscallEntry {
            arch: raw.arch,
            number: raw.number,
            args: raw.args,
            told: (raw.op == INFO_SECCOMP).then_some(raw.ret_data),
        }),
        INFO_EXIT => StopInfo::Exit(raw.number as i64),
        _ => StopInfo::Other,
    })
}

/// PTRACE_GETSIGMASK: the signals a thread blocks.
///
/// # Errors
/// As [`resume`].
pub fn signal_mask(tid: Tid) -> nix::Result<u64> {
    let mut mask = 0u64;
    let size = size_of_val(&mask);
    request(
        PTRACE_GETSIGMASK as Request,
        tid,
        size,
        (&raw mut mask) as usize,
    )?;
    Ok(mask)
}

/// PTRACE_SETSIGMASK.
///
/// # Errors
/// As [`resume`].
pub fn set_signal_mask(tid: Tid, mask: u64) -> nix::Result<()> {
    let size = size_of_val(&mask);
    request(
        PTRACE_SETSIGMASK as Request,
        tid,
        size,
        (&raw const mask) as usize,
    )
}

/// PTRACE_SETREGSET of NT_ARM_SYSTEM_CALL: which system call a thread stopped before one makes.
///
/// # Errors
/// As [`resume`].
#[cfg(target_arch = "aarch64")]
pub fn set_system_call(tid: Tid, number: i32) -> nix::Result<()> {
    const NT_ARM_SYSTEM_CALL: usize = 0x404;
    let mut number = number;
    let mut vector = libc::iovec {
        iov_base: (&raw mut number).cast(),
        iov_len: size_of_val(&number),
    };
    request(
        libc::PTRACE_SETREGSET as Request,
        tid,
        NT_ARM_SYSTEM_CALL,
        (&raw mut vector) as usize,
    )
}

const PTRACE_GETSIGMASK: libc::c_uint = 0x420a;
const PTRACE_SETSIGMASK: libc::c_uint = 0x420b;

/// The type of ptrace's first argument differs between C libraries.
#[cfg(target_env = "musl")]
type Request = libc::c_int;
#[cfg(not(target_env = "musl"))]
type Request = libc::c_uint;

fn request(request: Request, tid: Tid, addr: usize, data: usize) -> nix::Result<()> {
    // SAFETY: `data` is a number, or the address of a local of the size the request writes,
    // which outlives the call; the kernel checks everything else.
    let result = unsafe {
        libc::ptrace(
            request,
            tid,
            addr as *mut libc::c_void,
            data as *mut libc::c_void,
        )
    };
    if result == -1 {
        return Err(Errno::last());
    }
    Ok(())
}
