//! A stopped tracee's registers, and making it call prctl(2) with nothing but them: no byte of
//! its memory is touched.

use super::Tid;
use nix::unistd::Pid;

/// All general registers (`struct user_regs_struct`).
pub type Registers = libc::user_regs_struct;

/// Reads the registers.
///
/// # Errors
/// ESRCH when the tracee was killed meanwhile.
pub fn registers(tid: Tid) -> nix::Result<Registers> {
    nix::sys::ptrace::getregs(Pid::from_raw(tid))
}

/// Sets the registers.
///
/// # Errors
/// As [`registers`].
pub fn set_registers(tid: Tid, registers: Registers) -> nix::Result<()> {
    nix::sys::ptrace::setregs(Pid::from_raw(tid), registers)
}

/// What the thread will do once it is resumed from a stop right after a system call: that very
/// instruction again, now as `prctl(option, value)`.
#[cfg(target_arch = "x86_64")]
pub fn to_prctl_again(saved: &Registers, option: u64, value: u64) -> Registers {
    /// `syscall`, `sysenter` and `int 0x80` are two bytes long.
    const INSTRUCTION: u64 = 2;
    let mut registers = with_arguments(saved, option, value);
    registers.rip -= INSTRUCTION;
    registers.rax = prctl_number(saved);
    registers
}

/// As the above, from a stop right before a system call: prctl in its place.
#[cfg(target_arch = "x86_64")]
pub fn to_prctl_instead(saved: &Registers, option: u64, value: u64) -> Registers {
    let mut registers = with_arguments(saved, option, value);
    registers.orig_rax = prctl_number(saved);
    registers
}

/// Undoes [`to_prctl_instead`] once that has been called: the instruction is run again, with the
/// number and arguments it had.
#[cfg(target_arch = "x86_64")]
pub fn to_call_again(saved: &Registers) -> Registers {
    let mut registers = *saved;
    registers.rip -= 2;
    registers.rax = saved.orig_rax;
    registers
}

/// Has a thread that is stopped before a system call make none, and find this result.
///
/// # Errors
/// As [`registers`].
#[cfg(target_arch = "x86_64")]
pub fn skip_call(tid: Tid, result: i64) -> nix::Result<()> {
    let mut registers = registers(tid)?;
    registers.orig_rax = u64::MAX;
    registers.rax = result as u64;
    set_registers(tid, registers)
}

/// Has a thread that is stopped before a system call make none, and find this result.
///
/// # Errors
/// As [`registers`].
#[cfg(target_arch = "aarch64")]
pub fn skip_call(tid: Tid, result: i64) -> nix::Result<()> {
    let mut registers = registers(tid)?;
    registers.regs[0] = result as u64;
    set_registers(tid, registers)?;
    super::ptrace::set_system_call(tid, -1)
}

/// The code segment of 32-bit programs on x86_64.
#[cfg(target_arch = "x86_64")]
const CODE_32: u64 = 0x23;

#[cfg(target_arch = "x86_64")]
fn prctl_number(registers: &Registers) -> u64 {
    if registers.cs == CODE_32 { 172 } else { 157 }
}

#[cfg(target_arch = "x86_64")]
fn with_arguments(saved: &Registers, option: u64, value: u64) -> Registers {
    let mut registers = *saved;
    if saved.cs == CODE_32 {
        registers.rbx = option;
        registers.rcx = value;
    } else {
        registers.rdi = option;
        registers.rsi = value;
    }
    registers
}

/// prctl(2) of aarch64; a 32-bit program (its processor state tells) has another.
#[cfg(target_arch = "aarch64")]
fn prctl_number(registers: &Registers) -> u64 {
    const PSTATE_32: u64 = 1 << 4;
    if registers.pstate & PSTATE_32 != 0 {
        172
    } else {
        167
    }
}

/// What the thread will do once it is resumed from a stop right after a system call: that very
/// instruction again, now as `prctl(option, value)`.
#[cfg(target_arch = "aarch64")]
pub fn to_prctl_again(saved: &Registers, option: u64, value: u64) -> Registers {
    let mut registers = to_prctl_instead(saved, option, value);
    registers.pc = again(saved);
    registers
}

/// As the above, from a stop right before a system call: prctl in its place. The number itself
/// is in a register set of its own: see [`set_number`].
#[cfg(target_arch = "aarch64")]
pub fn to_prctl_instead(saved: &Registers, option: u64, value: u64) -> Registers {
    let mut registers = *saved;
    registers.regs[0] = option;
    registers.regs[1] = value;
    registers.regs[number_register(saved)] = prctl_number(saved);
    registers
}

/// Undoes [`to_prctl_instead`] once that has been called: the instruction is run again, with the
/// number and arguments it had.
#[cfg(target_arch = "aarch64")]
pub fn to_call_again(saved: &Registers) -> Registers {
    let mut registers = *saved;
    registers.pc = again(saved);
    registers
}

#[cfg(target_arch = "aarch64")]
fn number_register(registers: &Registers) -> usize {
    if registers.pstate & (1 << 4) != 0 {
        7
    } else {
        8
    }
}

/// `svc #0` is four bytes long, two in a 32-bit program's Thumb code (bit 5).
#[cfg(target_arch = "aarch64")]
fn again(registers: &Registers) -> u64 {
    let thumb = registers.pstate & (1 << 4) != 0 && registers.pstate & (1 << 5) != 0;
    registers.pc - if thumb { 2 } else { 4 }
}

/// Changes the number of the system call that a thread is stopped before, after
/// [`to_prctl_instead`]: on x86_64 the registers have done it already.
///
/// # Errors
/// As [`registers`].
pub fn set_number(tid: Tid, registers: &Registers) -> nix::Result<()> {
    #[cfg(target_arch = "aarch64")]
    return super::ptrace::set_system_call(tid, prctl_number(registers) as i32);
    #[cfg(target_arch = "x86_64")]
    {
        let _ = (tid, registers);
        Ok(())
    }
}
