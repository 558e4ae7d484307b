//! Examples and properties of the cache parser, over caches built here.

use super::*;
use crate::elf::facts::Target;
use goblin::elf::header::{EM_386, EM_ARM, EM_X86_64};
use proptest::prelude::*;

/// Writes caches as ldconfig does, in either format and byte order.
pub(in crate::elf) struct Writer {
    little: bool,
    entries: Vec<(u32, u64, &'static str, &'static str)>,
    pub(in crate::elf) hwcaps: Vec<&'static str>,
}

impl Writer {
    pub(in crate::elf) fn new() -> Self {
        Self {
            little: true,
            entries: Vec::new(),
            hwcaps: Vec::new(),
        }
    }

    pub(in crate::elf) fn entry(
        mut self,
        flags: u32,
        hwcap: u64,
        name: &'static str,
        path: &'static str,
    ) -> Self {
        self.entries.push((flags, hwcap, name, path));
        self
    }

    fn number(&self, value: u32) -> [u8; 4] {
        if self.little {
            value.to_le_bytes()
        } else {
            value.to_be_bytes()
        }
    }

    fn wide(&self, value: u64) -> [u8; 8] {
        if self.little {
            value.to_le_bytes()
        } else {
            value.to_be_bytes()
        }
    }

    pub(in crate::elf) fn new_format(&self, marked: bool) -> Vec<u8> {
        let mut strings = Vec::new();
        let base = NEW_HEADER + self.entries.len() * NEW_ENTRY;
        let mut put = |text: &str| {
            let at = (base + strings.len()) as u32;
            strings.extend_from_slice(text.as_bytes());
            strings.push(0);
            at
        };
        let mut body = Vec::new();
        for (flags, hwcap, name, path) in &self.entries {
            body.extend(self.number(*flags));
            body.extend(self.number(put(name)));
            body.extend(self.number(put(path)));
            body.extend([0; 4]);
            body.extend(self.wide(*hwcap));
        }
        let hwcaps: Vec<u32> = self.hwcaps.iter().map(|name| put(name)).collect();
        let strings_len = strings.len() as u32;
        strings.resize((base + strings.len()).next_multiple_of(4) - base, 0);
        let extension = base + strings.len();
        let mut bytes = NEW_MAGIC.to_vec();
        bytes.extend(self.number(self.entries.len() as u32));
        bytes.extend(self.number(strings_len));
        let mark = if self.little { 2 } else { 3 };
        bytes.extend([if marked { mark } else { 0 }, 0, 0, 0]);
        let has_extension = !hwcaps.is_empty();
        bytes.extend(self.number(if has_extension { extension as u32 } else { 0 }));
        bytes.extend([0; 12]);
        bytes.extend(body);
        bytes.extend(strings);
        if has_extension {
            bytes.extend(self.number(EXTENSION_MAGIC));
            bytes.extend(self.number(1));
            bytes.extend(self.number(TAG_GLIBC_HWCAPS));
            bytes.extend(self.number(0));
            bytes.extend(self.number((extension + EXTENSION_HEADER + EXTENSION_SECTION) as u32));
            bytes.extend(self.number(4 * hwcaps.len() as u32));
            for name in hwcaps {
                bytes.extend(self.number(name));
            }
        }
        bytes
    }

    fn old_format(&self, with_new: bool) -> Vec<u8> {
        let mut strings = Vec::new();
        let mut body = Vec::new();
        let new = if with_new {
            let start = OLD_HEADER + self.entries.len() * OLD_ENTRY;
            strings.resize(start.next_multiple_of(8) - start, 0);
            self.new_format(true)
        } else {
            Vec::new()
        };
        strings.extend(new);
        for (flags, _, name, path) in &self.entries {
            body.extend(self.number(*flags));
            for text in [name, path] {
                body.extend(self.number(strings.len() as u32));
                strings.extend_from_slice(text.as_bytes());
                strings.push(0);
            }
        }
        let mut bytes = OLD_MAGIC.to_vec();
        bytes.push(0);
        bytes.extend(self.number(self.entries.len() as u32));
        bytes.extend(body);
        bytes.extend(strings);
        bytes
    }
}

/// The hwcap fields of the first two subdirectories.
pub(in crate::elf) const V2: u64 = 1 << 62;
pub(in crate::elf) const V3: u64 = (1 << 62) | 1;

fn two_machines() -> Writer {
    let mut writer = Writer::new()
        .entry(
            0x303,
            V2,
            "liba.so.1",
            "/lib/glibc-hwcaps/x86-64-v2/liba.so.1",
        )
        .entry(
            0x303,
            V3,
            "liba.so.1",
            "/lib/glibc-hwcaps/x86-64-v3/liba.so.1",
        )
        .entry(0x303, 0, "liba.so.1", "/lib/liba.so.1")
        .entry(0x003, 0, "liba.so.1", "/lib32/liba.so.1")
        .entry(0x303, 1 << 40, "libb.so.1", "/lib/haswell/libb.so.1")
        .entry(0x303, 0, "libb.so.1", "/lib/libb.so.1");
    writer.hwcaps = vec!["x86-64-v2", "x86-64-v3"];
    writer
}

fn machine(machine: u16, is_64: bool) -> &'static Machine {
    Machine::of(Target {
        machine,
        is_64,
        little_endian: true,
        abi: 0,
    })
    .expect("in the table")
}

fn found(cache: &LdCache, name: &str, number: u16, is_64: bool, hwcaps: &[&str]) -> String {
    cache
        .lookup(name.as_bytes(), machine(number, is_64), hwcaps)
        .map_or("none".into(), |entry| {
            String::from_utf8_lossy(&entry.path).into_owned()
        })
}

#[test]
fn the_best_subdirectory_that_is_searched_wins_and_the_baseline_otherwise() {
    let cache = LdCache::parse(&two_machines().new_format(true)).expect("a cache");
    let on = |hwcaps: &[&str]| found(&cache, "liba.so.1", EM_X86_64, true, hwcaps);
    let (v2, v3) = ("x86-64-v2", "x86-64-v3");
    assert_eq!(on(&[v3, v2]), "/lib/glibc-hwcaps/x86-64-v3/liba.so.1");
    assert_eq!(on(&[v2]), "/lib/glibc-hwcaps/x86-64-v2/liba.so.1");
    assert_eq!(on(&[]), "/lib/liba.so.1");
}

#[test]
fn entries_of_another_machine_and_legacy_ones_are_passed_over() {
    let cache = LdCache::parse(&two_machines().new_format(true)).expect("a cache");
    assert_eq!(
        found(&cache, "liba.so.1", EM_386, false, &[]),
        "/lib32/liba.so.1"
    );
    assert_eq!(
        found(&cache, "libb.so.1", EM_X86_64, true, &[]),
        "/lib/libb.so.1"
    );
    assert_eq!(found(&cache, "libb.so.1", EM_386, false, &[]), "none");
}

#[test]
fn an_entry_of_an_old_ldconfig_is_taken_only_without_a_marked_one() {
    let cache = Writer::new()
        .entry(1, 0, "libx.so", "/old/libx.so")
        .entry(0x303, 0, "libx.so", "/new/libx.so")
        .entry(0x303, 0, "libz.so", "/new/libz.so")
        .entry(1, 0, "libz.so", "/old/libz.so")
        .entry(1, 0, "liby.so", "/old/liby.so");
    let cache = LdCache::parse(&cache.new_format(true)).expect("a cache");
    assert_eq!(
        found(&cache, "libx.so", EM_X86_64, true, &[]),
        "/new/libx.so"
    );
    assert_eq!(
        found(&cache, "libz.so", EM_X86_64, true, &[]),
        "/new/libz.so"
    );
    assert_eq!(
        found(&cache, "liby.so", EM_X86_64, true, &[]),
        "/old/liby.so"
    );
}

#[test]
fn the_new_format_inside_the_old_one_is_the_one_that_counts() {
    let mut writer = two_machines();
    writer.hwcaps.clear();
    let inside = LdCache::parse(&writer.old_format(true)).expect("a cache");
    let alone = LdCache::parse(&writer.new_format(true)).expect("a cache");
    assert_eq!(inside, alone);
    let old = LdCache::parse(&writer.old_format(false)).expect("a cache");
    assert_eq!(old.entries(b"libb.so.1").len(), 2);
    assert!(
        old.entries(b"libb.so.1")
            .iter()
            .all(|entry| entry.hwcap == Hwcap::Base)
    );
}

#[test]
fn both_byte_orders_are_read_with_and_without_a_mark() {
    let mut writer = two_machines();
    let little = LdCache::parse(&writer.new_format(true)).expect("a cache");
    for marked in [true, false] {
        for little_endian in [true, false] {
            writer.little = little_endian;
            assert_eq!(
                LdCache::parse(&writer.new_format(marked)).as_ref(),
                Ok(&little)
            );
        }
    }
}

#[test]
fn another_magic_and_too_many_entries_are_told_apart() {
    assert_eq!(LdCache::parse(b"").unwrap_err(), CacheError::Magic);
    let mut bytes = two_machines().new_format(true);
    bytes[20..24].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(LdCache::parse(&bytes).unwrap_err(), CacheError::Truncated);
}

proptest! {
    #[test]
    fn random_bytes_never_panic(
        magic in prop_oneof![Just(&b""[..]), Just(OLD_MAGIC), Just(NEW_MAGIC)],
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let _ = LdCache::parse(&[magic, &bytes].concat());
    }

    #[test]
    fn mutated_and_truncated_caches_never_panic(
        old in any::<bool>(),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..8),
        keep in any::<proptest::sample::Index>(),
    ) {
        let mut bytes = if old {
            two_machines().old_format(true)
        } else {
            two_machines().new_format(true)
        };
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let _ = LdCache::parse(&bytes);
        bytes.truncate(keep.index(bytes.len()));
        let _ = LdCache::parse(&bytes);
    }
}

#[test]
fn an_arm_loader_also_takes_the_mark_of_any_libc6() {
    let arm = Machine::of(Target {
        machine: EM_ARM,
        is_64: false,
        little_endian: true,
        abi: 0x400,
    })
    .expect("in the table");
    let flags = |flags| arm.takes_cache_flags(flags);
    assert!(flags(0x903) && flags(0x003) && !flags(0xb03) && !flags(0x001));
}
