//! The functions that are fuzzed (`scripts/fuzz`) survive their seeds and simple changes of them.

#[path = "../fuzz/targets/mod.rs"]
#[allow(
    clippy::missing_panics_doc,
    missing_docs,
    reason = "the fuzzing crate's own"
)]
mod targets;

use std::fs;
use std::panic;
use std::path::{Path, PathBuf};

/// Changed inputs of each target.
const CHANGES: u64 = 400;

/// Numbers at which parsers break.
const INTERESTING: [u64; 8] = [
    0,
    1,
    0x7f,
    0xff,
    0x7fff_ffff,
    0xffff_ffff,
    i64::MAX as u64,
    u64::MAX,
];

/// A small generator, so that each run makes the same inputs (xorshift64*).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let bits = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(bits).unwrap_or(0) % below.max(1)
    }
}

fn change(bytes: &mut Vec<u8>, other: &[u8], dice: &mut Dice) {
    let at = dice.roll(bytes.len());
    let end = (at + 1 + dice.roll(16)).min(bytes.len());
    match dice.roll(7) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..end)),
        2 => {
            let again = bytes[at..end].to_vec();
            bytes.splice(at..at, again);
        }
        3 => {
            let from = dice.roll(other.len());
            bytes.splice(at..end, other[from..].iter().copied());
        }
        4 => {
            let number = INTERESTING[dice.roll(INTERESTING.len())].to_le_bytes();
            let width = [1, 2, 4, 8][dice.roll(4)];
            for (byte, new) in bytes[at..].iter_mut().zip(&number[..width]) {
                *byte = *new;
            }
        }
        5 => bytes.insert(at, b"\0\n /9-=\\\xff"[dice.roll(9)]),
        _ => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << dice.roll(8);
            }
        }
    }
}

fn seeds(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/seeds")
        .join(name);
    let mut files: Vec<PathBuf> = fs::read_dir(&directory)
        .unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    let read = |file: PathBuf| (file.clone(), fs::read(file).expect("a seed"));
    files.into_iter().map(read).collect()
}

/// Runs a target; an input that breaks it is kept for `scripts/fuzz` and for a new seed.
fn survives(name: &str, run: fn(&[u8]), input: &[u8]) {
    if panic::catch_unwind(|| run(input)).is_err() {
        let kept = std::env::temp_dir().join(format!("micropacker-fuzz-{name}"));
        fs::write(&kept, input).expect("kept");
        panic!("{name} breaks on {}", kept.display());
    }
}

#[test]
fn every_target_survives_its_seeds_and_changes_of_them() {
    for (name, run) in targets::TARGETS {
        let seeds = seeds(name);
        assert!(!seeds.is_empty(), "{name} has no seed");
        survives(name, *run, b"");
        for (_, seed) in &seeds {
            survives(name, *run, seed);
        }
        let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
        for _ in 0..CHANGES {
            let mut input = seeds[dice.roll(seeds.len())].1.clone();
            let other = &seeds[dice.roll(seeds.len())].1;
            for _ in 0..=dice.roll(3) {
                change(&mut input, other, &mut dice);
            }
            survives(name, *run, &input);
        }
    }
}

#[test]
fn every_seed_is_of_a_target_that_is_found_by_its_name() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    for entry in fs::read_dir(seeds).expect("seeds") {
        let name = entry.expect("an entry").file_name();
        targets::named(name.to_str().expect("text"))(b"");
    }
}
