//! The system calls that were made, by their names.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A system call by its name in a calling convention.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Call {
    /// `x86_64`, `i386`, `x32`, `aarch64` or `arm`.
    pub abi: Cow<'static, str>,
    /// `openat`; `#480` where a number has no name that is known.
    pub name: Cow<'static, str>,
}

impl Call {
    /// Whether its name has the form that names of calls have: what others tell is not believed
    /// beyond that.
    pub fn is_plausible(&self) -> bool {
        let is_word = |text: &str| {
            let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            (1..=40).contains(&text.len())
                && text
                    .bytes()
                    .all(|byte| known(byte) || b"_#".contains(&byte))
        };
        is_word(&self.abi) && is_word(&self.name)
    }
}

/// What became of all calls of one name, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Each of them failed with one of the errors by which calls are forbidden; the number of the
    /// first one's.
    Refused(i32),
    /// One has begun, and nothing is known of its end.
    Begun,
    /// One did something else than to be refused.
    Answered,
}

/// What became of which call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calls(BTreeMap<Call, Outcome>);

impl Calls {
    /// Takes in what one process has learnt of a call.
    pub fn note(&mut self, call: Call, outcome: Outcome) {
        let known = self.0.entry(call).or_insert(outcome);
        *known = match (*known, outcome) {
            (Outcome::Answered, _) | (_, Outcome::Answered) => Outcome::Answered,
            (Outcome::Refused(first), _) => Outcome::Refused(first),
            (Outcome::Begun, outcome) => outcome,
        };
    }

    /// Whether they were not counted: each program makes some.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All, sorted by convention and name.
    pub fn iter(&self) -> impl Iterator<Item = (&Call, Outcome)> {
        self.0.iter().map(|(call, outcome)| (call, *outcome))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call() -> Call {
        Call {
            abi: "x86_64".into(),
            name: "bpf".into(),
        }
    }

    fn after(outcomes: &[Outcome]) -> Outcome {
        let mut calls = Calls::default();
        for outcome in outcomes {
            calls.note(call(), *outcome);
        }
        calls.iter().next().expect("noted").1
    }

    #[test]
    fn one_answer_outweighs_any_number_of_refusals() {
        use Outcome::{Answered, Begun, Refused};
        assert_eq!(after(&[Begun]), Begun);
        assert_eq!(after(&[Begun, Refused(1)]), Refused(1));
        assert_eq!(after(&[Begun, Refused(1), Refused(38)]), Refused(1));
        assert_eq!(after(&[Refused(1), Answered, Refused(1)]), Answered);
        assert_eq!(after(&[Begun, Answered, Begun]), Answered);
    }

    #[test]
    fn only_words_are_names() {
        assert!(call().is_plausible());
        for name in ["", "a b", "\u{1b}[2J", "x\",\"y", &"a".repeat(41)] {
            let call = Call {
                name: name.to_owned().into(),
                ..call()
            };
            assert!(!call.is_plausible(), "{name}");
        }
    }
}
