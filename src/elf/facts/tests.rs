//! Examples and properties of reading facts, over files built here.

use super::*;
use crate::elf::testing::ElfFile;
use goblin::elf::header::{EM_ARM, EM_S390, ET_EXEC, ET_REL};
use proptest::prelude::*;
use std::cell::Cell;

/// A file in memory that counts the bytes read of it; beyond its content it is zero.
struct Counted {
    content: Vec<u8>,
    length: u64,
    read: Cell<usize>,
}

impl Counted {
    fn new(content: Vec<u8>) -> Self {
        Self {
            length: content.len() as u64,
            content,
            read: Cell::new(0),
        }
    }
}

impl ReadAt for Counted {
    fn len(&self) -> u64 {
        self.length
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.read.set(self.read.get() + buffer.len());
        for (at, byte) in (offset..).zip(buffer.iter_mut()) {
            let content = usize::try_from(at).ok().and_then(|at| self.content.get(at));
            *byte = content.copied().unwrap_or(0);
        }
        Ok(buffer.len())
    }

    fn data_runs(&self) -> io::Result<Vec<(u64, u64)>> {
        Ok(vec![(0, self.length)])
    }
}

fn read(bytes: Vec<u8>) -> Result<Option<Facts>, FactsError> {
    Facts::read(&Counted::new(bytes))
}

fn facts(file: &ElfFile) -> Facts {
    read(file.build()).expect("readable").expect("ELF")
}

fn full() -> ElfFile {
    ElfFile::x86_64()
        .interpreter("/lib64/ld.so")
        .needs("liba.so")
        .string(DT_FILTER, "libf.so")
        .needs("libb.so")
        .string(DT_AUXILIARY, "libx.so")
        .soname("libself.so.1")
        .rpath("/r")
        .runpath("$ORIGIN/u")
        .string(dt::DT_AUDIT, "libaudit.so")
        .flags_1(dt::DF_1_NODEFLIB | dt::DF_1_PIE)
}

#[test]
fn all_that_the_loader_acts_on_is_read_in_both_classes_and_byte_orders() {
    for (is_64, little) in [(true, true), (true, false), (false, true), (false, false)] {
        let file = ElfFile {
            is_64,
            little,
            ..full()
        };
        let facts = facts(&file);
        assert_eq!(
            (facts.target.is_64, facts.target.little_endian),
            (is_64, little)
        );
        assert_eq!(facts.interpreter.as_deref(), Some(&b"/lib64/ld.so"[..]));
        assert_eq!(facts.needed().collect::<Vec<_>>(), [b"liba.so", b"libb.so"]);
        assert_eq!(facts.wants[1], (Tag::Filter, b"libf.so".to_vec()));
        assert_eq!(facts.wants[3], (Tag::Auxiliary, b"libx.so".to_vec()));
        assert_eq!(facts.soname.as_deref(), Some(&b"libself.so.1"[..]));
        assert_eq!(facts.rpath.as_deref(), Some(&b"/r"[..]));
        assert_eq!(facts.runpath.as_deref(), Some(&b"$ORIGIN/u"[..]));
        assert_eq!(facts.audit.as_deref(), Some(&b"libaudit.so"[..]));
        assert!(facts.nodeflib && facts.pie);
    }
}

#[test]
fn kinds_are_told_apart() {
    let kind = |kind| facts(&ElfFile { kind, ..full() }).kind;
    assert_eq!(kind(ET_EXEC), ElfKind::Executable);
    assert_eq!(kind(header::ET_DYN), ElfKind::Shared);
    assert_eq!(kind(ET_REL), ElfKind::Other);
}

#[test]
fn a_file_without_the_magic_is_not_elf() {
    for bytes in [&b""[..], b"\x7fEL", b"#!/bin/sh\n"] {
        assert!(read(bytes.to_vec()).expect("readable").is_none());
    }
}

#[test]
fn a_truncated_file_is_malformed() {
    let bytes = full().build();
    for keep in [4, 63, 100, bytes.len() - 100] {
        assert!(matches!(
            read(bytes[..keep].to_vec()),
            Err(FactsError::Malformed(_))
        ));
    }
}

#[test]
fn a_large_library_costs_kilobytes() {
    let content = ElfFile {
        gap: 16 << 20,
        ..full()
    }
    .build();
    let file = Counted {
        length: 150 << 20,
        ..Counted::new(content)
    };
    assert!(Facts::read(&file).expect("readable").is_some());
    let read = file.read.get();
    assert!(read < 32 << 10, "{read} bytes were read");
}

#[test]
fn a_string_longer_than_the_window_is_read_whole() {
    let long = "/d:".repeat(4000);
    let facts = facts(&ElfFile::x86_64().needs("liba.so").runpath(&long));
    assert_eq!(facts.runpath.as_deref(), Some(long.as_bytes()));
}

#[test]
fn a_loader_takes_only_its_own_machine_class_byte_order_and_float_abi() {
    let target = |file: ElfFile| facts(&file).target;
    let x86_64 = target(ElfFile::x86_64());
    assert!(x86_64.accepts(target(full())));
    assert!(!x86_64.accepts(target(ElfFile::i386())));
    assert!(!x86_64.accepts(target(ElfFile {
        is_64: false,
        ..ElfFile::x86_64()
    })));
    assert!(!x86_64.accepts(target(ElfFile {
        machine: EM_S390,
        ..ElfFile::x86_64()
    })));
    let arm = |flags| {
        target(ElfFile {
            machine: EM_ARM,
            flags,
            ..ElfFile::i386()
        })
    };
    let (hard, soft, unmarked) = (0x0500_0400, 0x0500_0200, 0x0500_0000);
    assert!(!arm(hard).accepts(arm(soft)));
    assert!(arm(hard).accepts(arm(unmarked)));
    assert!(arm(hard).accepts(arm(hard)));
    assert!(!arm(unmarked).accepts(x86_64));
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = read([&b"\x7fELF"[..], &bytes].concat());
    }

    #[test]
    fn mutated_and_truncated_files_never_panic(
        is_64 in any::<bool>(),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..8),
        keep in any::<proptest::sample::Index>(),
    ) {
        let mut bytes = ElfFile { is_64, ..full() }.build();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let _ = read(bytes.clone());
        bytes.truncate(keep.index(bytes.len()));
        let _ = read(bytes);
    }
}
