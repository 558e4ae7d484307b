//! The names of all system calls. `scripts/syscall-names` writes the tables from the kernel's
//! headers.

use super::Abi;

/// Runs of names without a gap, each behind the number of its first.
const fn table(abi: Abi) -> &'static str {
    match abi {
        Abi::X86_64 => include_str!("names/x86_64"),
        Abi::I386 => include_str!("names/i386"),
        Abi::Aarch64 => include_str!("names/aarch64"),
        Abi::Arm => include_str!("names/arm"),
    }
}

impl Abi {
    /// As the kernel's sources name it.
    pub const fn name(self) -> &'static str {
        match self {
            Abi::X86_64 => "x86_64",
            Abi::I386 => "i386",
            Abi::Aarch64 => "aarch64",
            Abi::Arm => "arm",
        }
    }

    /// The name of the call of this number; `None` for one that was added since.
    pub fn name_of(self, number: u64) -> Option<&'static str> {
        table(self).lines().find_map(|run| {
            let mut words = run.split(' ');
            let first: u64 = words.next()?.parse().ok()?;
            let index = usize::try_from(number.checked_sub(first)?).ok()?;
            words.nth(index)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calls_that_are_followed_have_the_kernels_numbers() {
        for abi in [Abi::X86_64, Abi::I386, Abi::Aarch64, Abi::Arm] {
            for (number, name) in abi.numbers() {
                assert_eq!(abi.name_of(u64::from(*number)), Some(*name), "{abi:?}");
            }
        }
    }

    #[test]
    fn gaps_and_what_is_beyond_have_no_names() {
        assert_eq!(Abi::X86_64.name_of(0), Some("read"));
        assert_eq!(Abi::X86_64.name_of(334), Some("rseq"));
        assert_eq!(Abi::Arm.name_of(0xf_0005), Some("set_tls"));
        for number in [400, 4000, u64::MAX] {
            assert_eq!(Abi::X86_64.name_of(number), None);
        }
    }
}
