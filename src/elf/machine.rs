//! What differs from machine to machine: names of directories and loaders, platform strings,
//! marks in `ld.so.cache`.

use super::facts::Target;
use goblin::elf::header::{
    EM_386, EM_AARCH64, EM_ARM, EM_MIPS, EM_PPC64, EM_RISCV, EM_S390, EM_X86_64,
};

/// EM_LOONGARCH of the LoongArch ELF psABI.
const EM_LOONGARCH: u16 = 258;
/// EF_ARM_ABI_FLOAT_HARD of ELF for the Arm Architecture.
const ARM_HARD_FLOAT: u32 = 0x400;
/// EF_RISCV_FLOAT_ABI_DOUBLE of the RISC-V ELF psABI.
const RISCV_DOUBLE_FLOAT: u32 = 0x4;

/// One machine and ABI as glibc and the distributions know it.
#[derive(Debug)]
pub struct Machine {
    machine: u16,
    is_64: bool,
    little_endian: bool,
    /// Bits of `e_flags` that choose among rows of one machine; 0 takes any.
    abi: u32,
    /// Debian's name of the directory below `/lib` and `/usr/lib`.
    pub multiarch: &'static str,
    /// The directory of other distributions, also what `$LIB` is there.
    pub lib: &'static str,
    /// Where glibc's loader lies by the ABI.
    pub loader: &'static str,
    /// AT_PLATFORM as the kernel gives it; `None` where it gives none.
    pub platform: Option<&'static str>,
    /// The flags that mark the machine's entries in `ld.so.cache`.
    pub cache_flags: u32,
    /// Subdirectories of `glibc-hwcaps`, the best first.
    pub hwcaps: &'static [&'static str],
    /// Subdirectories of the mechanism that glibc 2.37 gave up.
    pub legacy_hwcaps: &'static [&'static str],
}

const NONE: &[&str] = &[];
const X86_64_LEVELS: &[&str] = &["x86-64-v4", "x86-64-v3", "x86-64-v2"];
const X86_64_LEGACY: &[&str] = &[
    "tls",
    "tls/x86_64",
    "haswell",
    "haswell/x86_64",
    "haswell/avx512_1",
    "haswell/avx512_1/x86_64",
    "avx512_1",
    "xeon_phi",
    "x86_64",
];
const I386_LEGACY: &[&str] = &[
    "tls",
    "tls/i686",
    "i686",
    "i686/sse2",
    "i686/cmov",
    "i586",
    "sse2",
];

const fn machine(machine: u16, is_64: bool, little_endian: bool) -> Machine {
    Machine {
        machine,
        is_64,
        little_endian,
        abi: 0,
        multiarch: "",
        lib: if is_64 { "lib64" } else { "lib" },
        loader: "",
        platform: None,
        cache_flags: 0x0003,
        hwcaps: NONE,
        legacy_hwcaps: NONE,
    }
}

static MACHINES: &[Machine] = &[
    Machine {
        multiarch: "x86_64-linux-gnu",
        loader: "/lib64/ld-linux-x86-64.so.2",
        platform: Some("x86_64"),
        cache_flags: 0x0303,
        hwcaps: X86_64_LEVELS,
        legacy_hwcaps: X86_64_LEGACY,
        ..machine(EM_X86_64, true, true)
    },
    Machine {
        multiarch: "x86_64-linux-gnux32",
        lib: "libx32",
        loader: "/libx32/ld-linux-x32.so.2",
        platform: Some("x86_64"),
        cache_flags: 0x0803,
        hwcaps: X86_64_LEVELS,
        legacy_hwcaps: X86_64_LEGACY,
        ..machine(EM_X86_64, false, true)
    },
    Machine {
        multiarch: "i386-linux-gnu",
        loader: "/lib/ld-linux.so.2",
        platform: Some("i686"),
        legacy_hwcaps: I386_LEGACY,
        ..machine(EM_386, false, true)
    },
    Machine {
        multiarch: "aarch64-linux-gnu",
        loader: "/lib/ld-linux-aarch64.so.1",
        platform: Some("aarch64"),
        cache_flags: 0x0a03,
        ..machine(EM_AARCH64, true, true)
    },
    Machine {
        multiarch: "aarch64_be-linux-gnu",
        loader: "/lib/ld-linux-aarch64_be.so.1",
        platform: Some("aarch64_be"),
        cache_flags: 0x0a03,
        ..machine(EM_AARCH64, true, false)
    },
    Machine {
        abi: ARM_HARD_FLOAT,
        multiarch: "arm-linux-gnueabihf",
        loader: "/lib/ld-linux-armhf.so.3",
        platform: Some("v7l"),
        cache_flags: 0x0903,
        legacy_hwcaps: &["tls", "neon", "vfp", "neon/vfp"],
        ..machine(EM_ARM, false, true)
    },
    Machine {
        multiarch: "arm-linux-gnueabi",
        loader: "/lib/ld-linux.so.3",
        platform: Some("v7l"),
        cache_flags: 0x0b03,
        legacy_hwcaps: &["tls", "neon", "vfp", "neon/vfp"],
        ..machine(EM_ARM, false, true)
    },
    Machine {
        abi: RISCV_DOUBLE_FLOAT,
        multiarch: "riscv64-linux-gnu",
        lib: "lib64/lp64d",
        loader: "/lib/ld-linux-riscv64-lp64d.so.1",
        cache_flags: 0x1003,
        ..machine(EM_RISCV, true, true)
    },
    Machine {
        multiarch: "riscv64-linux-gnu",
        lib: "lib64/lp64",
        loader: "/lib/ld-linux-riscv64-lp64.so.1",
        cache_flags: 0x0f03,
        ..machine(EM_RISCV, true, true)
    },
    Machine {
        multiarch: "powerpc64le-linux-gnu",
        loader: "/lib64/ld64.so.2",
        platform: Some("power8"),
        cache_flags: 0x0503,
        hwcaps: &["power10", "power9"],
        ..machine(EM_PPC64, true, true)
    },
    Machine {
        multiarch: "powerpc64-linux-gnu",
        loader: "/lib64/ld64.so.1",
        platform: Some("power7"),
        cache_flags: 0x0503,
        ..machine(EM_PPC64, true, false)
    },
    Machine {
        multiarch: "s390x-linux-gnu",
        loader: "/lib/ld64.so.1",
        platform: Some("z13"),
        cache_flags: 0x0403,
        hwcaps: &["z17", "z16", "z15", "z14", "z13"],
        ..machine(EM_S390, true, false)
    },
    Machine {
        multiarch: "mips64el-linux-gnuabi64",
        loader: "/lib64/ld.so.1",
        cache_flags: 0x0703,
        ..machine(EM_MIPS, true, true)
    },
    Machine {
        multiarch: "mipsel-linux-gnu",
        loader: "/lib/ld.so.1",
        ..machine(EM_MIPS, false, true)
    },
    Machine {
        multiarch: "loongarch64-linux-gnu",
        loader: "/lib64/ld-linux-loongarch-lp64d.so.1",
        cache_flags: 0x1203,
        ..machine(EM_LOONGARCH, true, true)
    },
];

impl Machine {
    /// The row for a file's target; `None` for a machine that the table does not know.
    pub fn of(target: Target) -> Option<&'static Self> {
        MACHINES.iter().find(|row| {
            row.machine == target.machine
                && row.is_64 == target.is_64
                && row.little_endian == target.little_endian
                && (row.abi == 0 || row.abi == target.abi)
        })
    }

    /// Whether the loader takes a cache entry with these flags: marked for the machine, or by
    /// an old ldconfig as plain ELF. 32-bit Arm loaders also take the mark of any libc6.
    pub fn takes_cache_flags(&self, flags: u32) -> bool {
        flags == self.cache_flags
            || flags
                == if self.machine == EM_ARM {
                    0x0003
                } else {
                    0x0001
                }
    }

    /// Directories that loaders are built to search when nothing else names the library:
    /// Debian's, then those of other distributions.
    pub fn default_directories(&self) -> Vec<String> {
        let mut names = vec![self.multiarch, self.lib];
        if self.lib != "lib" {
            names.push("lib");
        }
        names
            .iter()
            .flat_map(|name| {
                let below = if *name == self.multiarch {
                    format!("lib/{name}")
                } else {
                    (*name).to_owned()
                };
                [format!("/{below}"), format!("/usr/{below}")]
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(machine: u16, is_64: bool, abi: u32) -> Target {
        Target {
            machine,
            is_64,
            little_endian: true,
            abi,
        }
    }

    #[test]
    fn one_machine_has_rows_by_class_and_float_abi() {
        let name =
            |machine, is_64, abi| Machine::of(target(machine, is_64, abi)).map(|row| row.multiarch);
        assert_eq!(name(EM_X86_64, true, 0), Some("x86_64-linux-gnu"));
        assert_eq!(name(EM_X86_64, false, 0), Some("x86_64-linux-gnux32"));
        assert_eq!(name(EM_386, false, 0), Some("i386-linux-gnu"));
        assert_eq!(name(EM_AARCH64, true, 0), Some("aarch64-linux-gnu"));
        assert_eq!(
            name(EM_ARM, false, ARM_HARD_FLOAT),
            Some("arm-linux-gnueabihf")
        );
        assert_eq!(name(EM_ARM, false, 0x200), Some("arm-linux-gnueabi"));
        assert_eq!(
            name(EM_RISCV, true, RISCV_DOUBLE_FLOAT),
            Some("riscv64-linux-gnu")
        );
        assert_eq!(name(EM_386, true, 0), None);
    }

    #[test]
    fn default_directories_put_debians_first() {
        let row = Machine::of(target(EM_X86_64, true, 0)).expect("in the table");
        assert_eq!(
            row.default_directories(),
            [
                "/lib/x86_64-linux-gnu",
                "/usr/lib/x86_64-linux-gnu",
                "/lib64",
                "/usr/lib64",
                "/lib",
                "/usr/lib"
            ]
        );
    }
}
