//! Which system calls are made, and whether any of them was more than refused: counted at the
//! stops before and after each call, and told once.

use super::syscall::Abi;
use crate::event::Event;
use crate::recording::{Call, Outcome};
use crate::sys::Tid;
use std::collections::HashMap;

/// Of all threads that are followed.
#[derive(Default)]
pub struct Census {
    /// What was told of each call, by AUDIT_ARCH_* and number.
    known: HashMap<Number, Outcome>,
    /// Calls that threads are in and that might be refused.
    pending: HashMap<Tid, Number>,
}

type Number = (u32, u64);

/// The bit that marks x32 calls on x86_64.
const X32_BIT: u64 = 0x4000_0000;
/// The first number that x32 has for itself alone.
const X32_OWN: u64 = 512;

impl Census {
    /// A thread is about to make a call.
    pub fn on_entry(&mut self, tid: Tid, arch: u32, number: u64) -> Option<Event> {
        let number = (arch, number);
        match self.known.get(&number) {
            Some(Outcome::Answered) => {
                self.pending.remove(&tid);
                None
            }
            Some(_) => {
                self.pending.insert(tid, number);
                None
            }
            None => {
                self.pending.insert(tid, number);
                self.tell(number, Outcome::Begun)
            }
        }
    }

    /// The call that a thread is in has given this.
    pub fn on_exit(&mut self, tid: Tid, result: i64) -> Option<Event> {
        let number = self.pending.remove(&tid)?;
        match i32::try_from(-result) {
            Ok(errno @ (libc::EPERM | libc::ENOSYS)) => match self.known.get(&number) {
                Some(Outcome::Begun) => self.tell(number, Outcome::Refused(errno)),
                _ => None,
            },
            _ => self.tell(number, Outcome::Answered),
        }
    }

    /// A thread has ended, perhaps within a call.
    pub fn on_end(&mut self, tid: Tid) -> Option<Event> {
        let number = self.pending.remove(&tid)?;
        self.tell(number, Outcome::Answered)
    }

    fn tell(&mut self, number: Number, outcome: Outcome) -> Option<Event> {
        if self.known.get(&number) == Some(&Outcome::Answered) {
            return None;
        }
        self.known.insert(number, outcome);
        let call = call(number)?;
        Some(Event::Called { call, outcome })
    }
}

/// `None` for a convention that no process on this machine has.
fn call((arch, number): Number) -> Option<Call> {
    let abi = Abi::HERE.into_iter().find(|abi| abi.audit_arch() == arch)?;
    let is_x32 = abi == Abi::X86_64 && number & X32_BIT != 0;
    let plain = if is_x32 { number & !X32_BIT } else { number };
    let name = match is_x32 && plain >= X32_OWN {
        true => None,
        false => abi.name_of(plain),
    };
    Some(Call {
        abi: if is_x32 { "x32" } else { abi.name() }.into(),
        name: name.map_or_else(|| format!("#{number}").into(), Into::into),
    })
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    const ARCH: u32 = Abi::X86_64.audit_arch();
    const READ: u64 = 0;
    const BPF: u64 = 321;

    fn told(event: Option<Event>) -> Option<(String, Outcome)> {
        match event? {
            Event::Called { call, outcome } => {
                Some((format!("{}:{}", call.abi, call.name), outcome))
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_call_is_told_when_it_begins_and_when_it_is_answered_and_never_again() {
        let mut census = Census::default();
        let read = "x86_64:read".to_owned();
        let begun = told(census.on_entry(7, ARCH, READ));
        assert_eq!(begun, Some((read.clone(), Outcome::Begun)));
        assert_eq!(told(census.on_entry(8, ARCH, READ)), None);
        assert_eq!(told(census.on_exit(8, 0)), Some((read, Outcome::Answered)));
        assert_eq!(told(census.on_exit(7, -1)), None);
        assert_eq!(told(census.on_entry(7, ARCH, READ)), None);
        assert_eq!(told(census.on_exit(7, 5)), None);
        assert_eq!(told(census.on_end(7)), None);
    }

    #[test]
    fn a_refusal_is_told_and_an_answer_after_it() {
        let mut census = Census::default();
        let bpf = |outcome| Some(("x86_64:bpf".to_owned(), outcome));
        let _ = census.on_entry(7, ARCH, BPF);
        assert_eq!(told(census.on_exit(7, -38)), bpf(Outcome::Refused(38)));
        let _ = census.on_entry(7, ARCH, BPF);
        assert_eq!(told(census.on_exit(7, -1)), None);
        let _ = census.on_entry(7, ARCH, BPF);
        // EINVAL: it was looked at.
        assert_eq!(told(census.on_exit(7, -22)), bpf(Outcome::Answered));
    }

    #[test]
    fn who_ends_within_a_call_was_not_refused() {
        let mut census = Census::default();
        let _ = census.on_entry(7, ARCH, READ);
        let read = "x86_64:read".to_owned();
        assert_eq!(told(census.on_end(7)), Some((read, Outcome::Answered)));
    }

    #[test]
    fn calls_without_a_name_have_their_number_and_x32_is_a_convention_of_its_own() {
        let mut census = Census::default();
        let mut name = |number| {
            let told = told(census.on_entry(7, ARCH, number));
            told.map(|(name, _)| name)
        };
        assert_eq!(name(9999).as_deref(), Some("x86_64:#9999"));
        assert_eq!(name(X32_BIT | 1).as_deref(), Some("x32:write"));
        let own = name(X32_BIT | 512).expect("told");
        assert!(own.starts_with("x32:#"), "{own}");
        assert_eq!(told(census.on_entry(7, 0x1234, 1)), None);
    }
}
