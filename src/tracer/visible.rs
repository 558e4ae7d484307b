//! Keeping processes visible that change their IDs or run a program they may not read.
//!
//! Such a process is not *dumpable* (prctl(2)): without CAP_SYS_PTRACE neither its memory nor
//! its links in `/proc` may be looked at. It is made dumpable again by letting it call
//! `prctl(PR_SET_DUMPABLE, 1)` with nothing but its registers changed for the moment: right after
//! the call that hid it, or, after an exec, in place of its first system call, which is made
//! anew afterwards. Decisions only; the kernel is behind [`Threads`].

use crate::sys::{self, Registers, StopInfo, Tid};
use std::collections::HashMap;

/// What can be done with a thread in a system call stop.
pub trait Threads {
    /// Whether we may look at its memory.
    fn is_visible(&mut self, tid: Tid) -> bool;
    /// Whether it has installed filters of its own, which might kill it for a call that it never
    /// made.
    fn filters_itself(&mut self, tid: Tid) -> bool;
    /// Its registers and signal mask.
    fn save(&mut self, tid: Tid) -> nix::Result<Saved>;
    /// Sets registers and signal mask.
    fn set(&mut self, tid: Tid, state: Saved) -> nix::Result<()>;
    /// Carries a changed number over to the call that the thread is stopped before.
    fn set_number(&mut self, tid: Tid, registers: &Registers) -> nix::Result<()>;
}

/// What is put aside while a call is slipped in.
#[derive(Clone, Copy, Debug)]
pub struct Saved {
    /// All general registers.
    pub registers: Registers,
    /// Blocked signals: while the call is slipped in, all are, so that no handler can run on
    /// registers that are not the thread's own.
    pub mask: u64,
}

/// How far a thread is.
enum Phase {
    /// In a call that may hide it.
    Hiding,
    /// About to make its first call in a new program; the thread that asked for the exec.
    FirstCall { former: Tid },
    /// In the prctl that was slipped in after its own call.
    After(Saved),
    /// In the prctl that was slipped in place of its first call.
    Instead { saved: Saved, former: Tid },
}

/// What comes next for a thread whose system call stop was taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// This stop is none of ours.
    NotOurs,
    /// Resume to the next system call stop.
    GoOn,
    /// Visible again.
    Visible,
    /// Visible again: now its exec, asked for by this thread, can be looked at.
    VisibleProgram(Tid),
    /// It cannot be made visible.
    Hidden,
    /// It cannot be made visible, and neither can its exec be looked at.
    HiddenProgram(Tid),
}

/// The threads that are on their way to be visible.
#[derive(Default)]
pub struct Visibility {
    phases: HashMap<Tid, Phase>,
}

const DUMPABLE: (u64, u64) = (libc::PR_SET_DUMPABLE as u64, 1);
const ALL_BLOCKED: u64 = u64::MAX;

impl Visibility {
    /// Whether this thread must be resumed to its next system call stop.
    pub fn is_watched(&self, tid: Tid) -> bool {
        self.phases.contains_key(&tid)
    }

    /// A thread is about to make a call that may hide it.
    pub fn before_hiding(&mut self, tid: Tid) {
        self.phases.entry(tid).or_insert(Phase::Hiding);
    }

    /// A thread runs a new program that may not be looked at.
    pub fn hidden_program(&mut self, tid: Tid, former: Tid) {
        self.phases.insert(tid, Phase::FirstCall { former });
    }

    /// A thread has ended.
    pub fn forget(&mut self, tid: Tid) {
        self.phases.remove(&tid);
    }

    /// Takes in a system call stop.
    ///
    /// # Errors
    /// ESRCH when the thread was killed meanwhile.
    pub fn on_stop(
        &mut self,
        tid: Tid,
        info: StopInfo,
        threads: &mut dyn Threads,
    ) -> nix::Result<Next> {
        let before = matches!(info, StopInfo::Entry(_));
        let Some(phase) = self.phases.remove(&tid) else {
            return Ok(Next::NotOurs);
        };
        match (phase, before) {
            (Phase::Hiding, false) => {
                if threads.is_visible(tid) {
                    return Ok(Next::Visible);
                }
                if threads.filters_itself(tid) {
                    return Ok(Next::Hidden);
                }
                let saved = threads.save(tid)?;
                let registers = sys::to_prctl_again(&saved.registers, DUMPABLE.0, DUMPABLE.1);
                let mask = ALL_BLOCKED;
                threads.set(tid, Saved { registers, mask })?;
                self.phases.insert(tid, Phase::After(saved));
                Ok(Next::GoOn)
            }
            (Phase::FirstCall { former }, true) => {
                if threads.filters_itself(tid) {
                    return Ok(Next::HiddenProgram(former));
                }
                let saved = threads.save(tid)?;
                let registers = sys::to_prctl_instead(&saved.registers, DUMPABLE.0, DUMPABLE.1);
                let mask = ALL_BLOCKED;
                threads.set(tid, Saved { registers, mask })?;
                threads.set_number(tid, &registers)?;
                self.phases.insert(tid, Phase::Instead { saved, former });
                Ok(Next::GoOn)
            }
            (Phase::After(saved), false) => {
                threads.set(tid, saved)?;
                Ok(if threads.is_visible(tid) {
                    Next::Visible
                } else {
                    Next::Hidden
                })
            }
            (Phase::Instead { saved, former }, false) => {
                let registers = sys::to_call_again(&saved.registers);
                let mask = saved.mask;
                threads.set(tid, Saved { registers, mask })?;
                Ok(if threads.is_visible(tid) {
                    Next::VisibleProgram(former)
                } else {
                    Next::HiddenProgram(former)
                })
            }
            // The entry of the call itself, or the exit of the exec: what is waited for follows.
            (phase, _) => {
                self.phases.insert(tid, phase);
                Ok(Next::GoOn)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::SyscallEntry;

    const TID: Tid = 9;
    const BEFORE: StopInfo = StopInfo::Entry(SyscallEntry {
        arch: 0,
        number: 0,
        args: [0; 6],
        told: None,
    });

    /// A thread that becomes visible when it has called the prctl that was slipped in.
    struct Fake {
        visible: bool,
        obeys: bool,
        filters_itself: bool,
        state: Saved,
        numbers_set: usize,
    }

    impl Fake {
        fn new() -> Self {
            let registers = blank_registers();
            Self {
                visible: false,
                obeys: true,
                filters_itself: false,
                state: Saved { registers, mask: 5 },
                numbers_set: 0,
            }
        }

        /// The slipped-in call returns.
        fn call(&mut self) {
            assert_eq!(self.state.mask, ALL_BLOCKED, "a handler could run now");
            self.visible = self.obeys;
        }
    }

    impl Threads for Fake {
        fn is_visible(&mut self, _: Tid) -> bool {
            self.visible
        }

        fn filters_itself(&mut self, _: Tid) -> bool {
            self.filters_itself
        }

        fn save(&mut self, _: Tid) -> nix::Result<Saved> {
            Ok(self.state)
        }

        fn set(&mut self, _: Tid, state: Saved) -> nix::Result<()> {
            self.state = state;
            Ok(())
        }

        fn set_number(&mut self, _: Tid, _: &Registers) -> nix::Result<()> {
            self.numbers_set += 1;
            Ok(())
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn blank_registers() -> Registers {
        Registers {
            r15: 0,
            r14: 0,
            r13: 0,
            r12: 0,
            rbp: 0,
            rbx: 0,
            r11: 0,
            r10: 0,
            r9: 0,
            r8: 0,
            rax: 0,
            rcx: 0,
            rdx: 0,
            rsi: 0,
            rdi: 0,
            orig_rax: 105,
            rip: 1000,
            cs: 0x33,
            eflags: 0,
            rsp: 0,
            ss: 0,
            fs_base: 0,
            gs_base: 0,
            ds: 0,
            es: 0,
            fs: 0,
            gs: 0,
        }
    }

    #[cfg(target_arch = "aarch64")]
    fn blank_registers() -> Registers {
        Registers {
            regs: [0; 31],
            sp: 0,
            pc: 1000,
            pstate: 0,
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn at(registers: &Registers) -> u64 {
        registers.rip
    }

    #[cfg(target_arch = "aarch64")]
    fn at(registers: &Registers) -> u64 {
        registers.pc
    }

    fn step(visibility: &mut Visibility, info: StopInfo, threads: &mut Fake) -> Next {
        visibility.on_stop(TID, info, threads).expect("alive")
    }

    #[test]
    fn a_call_that_hides_is_followed_by_one_that_shows() {
        let (mut visibility, mut threads) = (Visibility::default(), Fake::new());
        visibility.before_hiding(TID);
        assert_eq!(
            step(&mut visibility, StopInfo::Exit(0), &mut threads),
            Next::GoOn
        );
        assert!(
            at(&threads.state.registers) < 1000,
            "the instruction is not run again"
        );
        assert_eq!(step(&mut visibility, BEFORE, &mut threads), Next::GoOn);
        threads.call();
        assert_eq!(
            step(&mut visibility, StopInfo::Exit(0), &mut threads),
            Next::Visible
        );
        assert_eq!(
            (at(&threads.state.registers), threads.state.mask),
            (1000, 5)
        );
        assert!(!visibility.is_watched(TID));
    }

    #[test]
    fn a_call_that_hides_nothing_changes_nothing() {
        let (mut visibility, mut threads) = (Visibility::default(), Fake::new());
        threads.visible = true;
        visibility.before_hiding(TID);
        assert_eq!(
            step(&mut visibility, StopInfo::Exit(0), &mut threads),
            Next::Visible
        );
        assert_eq!(at(&threads.state.registers), 1000);
    }

    #[test]
    fn a_hidden_program_shows_itself_before_its_first_call_which_is_then_made() {
        let (mut visibility, mut threads) = (Visibility::default(), Fake::new());
        visibility.hidden_program(TID, 12);
        // The end of execve itself.
        assert_eq!(
            step(&mut visibility, StopInfo::Exit(0), &mut threads),
            Next::GoOn
        );
        assert_eq!(step(&mut visibility, BEFORE, &mut threads), Next::GoOn);
        assert_eq!(threads.numbers_set, 1);
        threads.call();
        let next = step(&mut visibility, StopInfo::Exit(0), &mut threads);
        assert_eq!(next, Next::VisibleProgram(12));
        assert!(at(&threads.state.registers) < 1000, "its own call was lost");
        assert_eq!(threads.state.mask, 5);
    }

    #[test]
    fn a_thread_that_filters_itself_is_left_alone() {
        let (mut visibility, mut threads) = (Visibility::default(), Fake::new());
        threads.filters_itself = true;
        visibility.before_hiding(TID);
        assert_eq!(
            step(&mut visibility, StopInfo::Exit(0), &mut threads),
            Next::Hidden
        );
        assert_eq!(at(&threads.state.registers), 1000);
    }

    #[test]
    fn what_stays_hidden_is_said_and_not_tried_again() {
        let (mut visibility, mut threads) = (Visibility::default(), Fake::new());
        threads.obeys = false;
        visibility.before_hiding(TID);
        step(&mut visibility, StopInfo::Exit(0), &mut threads);
        step(&mut visibility, BEFORE, &mut threads);
        threads.call();
        assert_eq!(
            step(&mut visibility, StopInfo::Exit(0), &mut threads),
            Next::Hidden
        );
        assert_eq!(step(&mut visibility, BEFORE, &mut threads), Next::NotOurs);
    }
}
