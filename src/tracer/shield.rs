//! An inverted tracer among the processes of the command: whoever kills or stops all of them, as
//! an init does at its end, means the application. PID 1 is spared by the kernel (kill(2)), but
//! the tracer is not PID 1 there, and if it were killed all would die at once, and while it were
//! stopped all would stand still. So kill(2) with SIGKILL or SIGSTOP that would reach the tracer
//! is carried out by the tracer, for all others. These two signals tell nobody who sent them.
//!
//! Decisions only.

use super::syscall::Abi;
use crate::sys::Tid;

/// The signals that nobody can ignore or block.
pub const SIGNALS: [i32; 2] = [libc::SIGKILL, libc::SIGSTOP];

/// kill(2) of a calling convention.
pub const fn number(abi: Abi) -> u32 {
    match abi {
        Abi::X86_64 => 62,
        Abi::I386 | Abi::Arm => 37,
        Abi::Aarch64 => 129,
    }
}

/// Whom a call would reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The tracer alone.
    Tracer,
    /// All that the caller may signal.
    All,
}

/// What the first argument of kill(2) is where the tracer, process `own`, is reached: it leads a
/// process group that nobody else is in.
pub const fn targets(own: Tid) -> [(i32, Target); 3] {
    [
        (-1, Target::All),
        (own, Target::Tracer),
        (-own, Target::Tracer),
    ]
}

/// Whom this call reaches, and by which signal; `None` where it is none that matters.
pub fn reached(arch: u32, call: u64, args: &[u64; 6], own: Tid) -> Option<(Target, i32)> {
    let mut abis = Abi::HERE.iter();
    let abi = abis.find(|abi| abi.audit_arch() == arch)?;
    // The arguments are of 32 bits.
    let (pid, signal) = (args[0] as i32, args[1] as i32);
    if call != u64::from(number(*abi)) || !SIGNALS.contains(&signal) {
        return None;
    }
    let mut targets = targets(own).into_iter();
    let (_, target) = targets.find(|(reached, _)| *reached == pid)?;
    Some((target, signal))
}

/// Of proc_pid_status(5): what decides who may signal whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids {
    real: u32,
    effective: u32,
    saved: u32,
    may_kill: bool,
}

impl Ids {
    /// From the text of that file.
    pub fn parse(status: &str) -> Option<Self> {
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
        let mut uids = field("Uid:")?.split_whitespace().map(str::parse);
        let mut next = || uids.next()?.ok();
        const CAP_KILL: u32 = 5;
        let effective = u64::from_str_radix(field("CapEff:")?.trim(), 16).ok()?;
        Some(Self {
            real: next()?,
            effective: next()?,
            saved: next()?,
            may_kill: effective >> CAP_KILL & 1 == 1,
        })
    }

    /// The rule of kill(2).
    pub fn may_signal(self, other: Self) -> bool {
        let is_known = |id: u32| id == other.real || id == other.saved;
        self.may_kill || is_known(self.real) || is_known(self.effective)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Tid = 7;

    fn kill(pid: i32, signal: i32) -> Option<(Target, i32)> {
        // Whatever is in the upper halves.
        let args = [u64::from(pid as u32) | 5 << 32, signal as u64, 9, 9, 9, 9];
        let abi = Abi::HERE[0];
        reached(abi.audit_arch(), number(abi).into(), &args, OWN)
    }

    #[test]
    fn only_what_reaches_the_tracer_and_cannot_be_ignored_matters() {
        for signal in SIGNALS {
            assert_eq!(kill(-1, signal), Some((Target::All, signal)));
            assert_eq!(kill(OWN, signal), Some((Target::Tracer, signal)));
            assert_eq!(kill(-OWN, signal), Some((Target::Tracer, signal)));
            assert_eq!(kill(8, signal), None);
            assert_eq!(kill(0, signal), None);
        }
        assert_eq!(kill(-1, libc::SIGTERM), None);
        assert_eq!(kill(OWN, libc::SIGCONT), None);
        let abi = Abi::HERE[0];
        let args = [u64::MAX, 9, 0, 0, 0, 0];
        assert_eq!(reached(abi.audit_arch(), 1, &args, OWN), None);
    }

    fn ids(real: u32, effective: u32, saved: u32, capabilities: u64) -> Ids {
        let status = format!(
            "Name:\tx\nUid:\t{real}\t{effective}\t{saved}\t{effective}\nCapEff:\t{capabilities:016x}\n"
        );
        Ids::parse(&status).expect("whole")
    }

    #[test]
    fn who_may_signal_whom_is_as_in_kill_2() {
        let other = ids(1, 2, 3, 0);
        assert!(ids(9, 9, 9, 1 << 5).may_signal(other));
        assert!(!ids(0, 0, 0, !(1 << 5)).may_signal(other));
        assert!(ids(1, 9, 9, 0).may_signal(other));
        assert!(ids(9, 3, 9, 0).may_signal(other));
        assert!(!ids(2, 2, 2, 0).may_signal(other));
        assert!(!ids(9, 9, 1, 0).may_signal(other));
        assert_eq!(Ids::parse("Uid:\t1\t1\t1\t1\n"), None);
    }
}
