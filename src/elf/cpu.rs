//! Which `glibc-hwcaps` subdirectories a processor's loader searches.

use super::machine::Machine;

/// What the loader asks of a processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpu {
    /// The level of the x86-64 psABI, 1 to 4; 0 on any other processor.
    pub x86_64_level: u8,
}

impl Cpu {
    /// The processor this program runs on.
    #[cfg(target_arch = "x86_64")]
    pub fn this() -> Self {
        // LAHF/SAHF in 64-bit mode belongs to level 2 too; std cannot ask for it, and every
        // processor with SSE4.2 has it.
        macro_rules! has {
            ($($feature:tt),*) => { $(std::is_x86_feature_detected!($feature))&&* };
        }
        let v2 = has!("cmpxchg16b", "popcnt", "sse3", "ssse3", "sse4.1", "sse4.2");
        let v3 = v2
            && has!(
                "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "lzcnt", "movbe"
            );
        let v4 = v3 && has!("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl");
        Self {
            x86_64_level: 1 + u8::from(v2) + u8::from(v3) + u8::from(v4),
        }
    }

    /// The processor this program runs on.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn this() -> Self {
        Self { x86_64_level: 0 }
    }

    /// How many of the machine's best subdirectories this processor cannot use. All of them for
    /// a foreign machine: the baseline is what runs everywhere.
    pub(super) fn unusable(self, machine: &Machine) -> usize {
        let all = machine.hwcaps.len();
        if !machine.multiarch.starts_with("x86_64") {
            return all;
        }
        all.saturating_sub(usize::from(self.x86_64_level.saturating_sub(1)))
    }
}
