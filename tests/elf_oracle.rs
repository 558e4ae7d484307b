//! The closure of every ELF file of this machine, held against what its own loader prints.
//!
//! No difference is allowed but those a rule below names. Where there is no glibc loader there
//! is nothing to compare with, and the test says so.

mod elf_support;

use elf_support::{LOADER, difference, listed_by_loader, ours, path};
use micropacker::elf::{Closure, ElfKind, Facts, Loader, LoaderEnv};
use micropacker::image_fs::{FileKind, HostFs, ImageFs, walk};
use micropacker::image_path::ImagePath;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const TREES: &[&str] = &[
    "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/usr",
];
/// Beyond this many files every n-th is taken, so that the test stays under a minute.
const ENOUGH: usize = 6000;
const AT_LEAST: usize = 100;
const THREADS: usize = 2;

/// Why a file is not compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Skipped {
    /// `ld.so --list` maps only files of its own machine.
    OtherMachine,
    /// Object files, core dumps, kernel modules: no loader maps them.
    NotLoadable,
    /// Static programs have no closure; ours must be empty.
    Static,
    /// Made for another loader, such as musl's, whose rules are not this one's.
    OtherLoader,
    /// The loader itself refuses the file: detached debug data, bad headers.
    RefusedByLoader,
}

/// What one file gave.
enum Outcome {
    Same,
    Skipped(Skipped),
    Differs(String),
}

/// Every regular file below the trees once, by its physical path.
fn files(fs: &dyn ImageFs) -> Vec<ImagePath> {
    let mut pending: Vec<ImagePath> = TREES
        .iter()
        .filter_map(|tree| walk(fs, &path(tree), true).end.ok())
        .map(|(physical, _)| physical)
        .collect();
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    while let Some(directory) = pending.pop() {
        if !seen.insert(directory.clone()) {
            continue;
        }
        for name in fs.list(&directory).unwrap_or_default() {
            let Some(below) = directory.join(&name) else {
                continue;
            };
            match fs.lstat(&below).map(|meta| meta.kind) {
                Ok(FileKind::Directory) => pending.push(below),
                Ok(FileKind::Regular) => found.push(below),
                _ => {}
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

fn reason_to_skip(facts: &Facts, loader: &Facts) -> Option<Skipped> {
    if facts.kind == ElfKind::Other {
        return Some(Skipped::NotLoadable);
    }
    if facts.target != loader.target {
        return Some(Skipped::OtherMachine);
    }
    let other_interpreter = facts
        .interpreter
        .as_ref()
        .is_some_and(|interpreter| interpreter != LOADER.as_bytes());
    let needs_musl = facts
        .needed()
        .any(|name| name == b"libc.so" || name.starts_with(b"libc.musl-"));
    (other_interpreter || needs_musl).then_some(Skipped::OtherLoader)
}

fn compare(loader: &mut Loader<'_>, own: &Facts, file: &ImagePath) -> Option<Outcome> {
    let facts = match loader.facts(file) {
        Ok(Some(facts)) => facts,
        Ok(None) => return None,
        Err(error) => {
            return Some(match listed_by_loader(file, &LoaderEnv::default()) {
                None => Outcome::Skipped(Skipped::RefusedByLoader),
                Some(_) => Outcome::Differs(error.to_string()),
            });
        }
    };
    if let Some(reason) = reason_to_skip(&facts, own) {
        return Some(Outcome::Skipped(reason));
    }
    let closure = match loader.closure(file, None, &LoaderEnv::default()) {
        Ok(closure) => closure,
        Err(error) => return Some(Outcome::Differs(error.to_string())),
    };
    let needs_nothing = facts.interpreter.is_none() && facts.wants.is_empty();
    if needs_nothing {
        return Some(if closure == Closure::default() {
            Outcome::Skipped(Skipped::Static)
        } else {
            Outcome::Differs(format!("static, but {closure:?}"))
        });
    }
    let Some(theirs) = listed_by_loader(file, &LoaderEnv::default()) else {
        return Some(Outcome::Skipped(Skipped::RefusedByLoader));
    };
    let mut ours = ours(&closure);
    if facts.interpreter.is_none() && !theirs.paths.contains(LOADER.as_bytes()) {
        // Rule: of a library alone our interpreter is a guess at who would load it, while the
        // loader lists itself only when an object of the listing needs it.
        ours.paths.remove(LOADER.as_bytes());
    }
    Some(if ours == theirs {
        Outcome::Same
    } else {
        Outcome::Differs(difference(&ours, &theirs))
    })
}

#[derive(Default)]
struct Tally {
    same: usize,
    skipped: BTreeMap<Skipped, usize>,
    differing: Vec<String>,
}

fn compare_all(files: &[ImagePath]) -> Tally {
    let fs = HostFs::new("/");
    let mut loader = Loader::new(&fs);
    let (physical, _) = walk(&fs, &path(LOADER), true).end.expect("it is there");
    let own = loader
        .facts(&physical)
        .expect("it is ELF")
        .expect("it is ELF");
    let mut tally = Tally::default();
    for file in files {
        match compare(&mut loader, &own, file) {
            None => {}
            Some(Outcome::Same) => tally.same += 1,
            Some(Outcome::Skipped(reason)) => *tally.skipped.entry(reason).or_default() += 1,
            Some(Outcome::Differs(how)) => tally.differing.push(format!("{file}: {how}")),
        }
    }
    tally
}

fn is_elf(fs: &dyn ImageFs, file: &ImagePath) -> bool {
    fs.open(file)
        .and_then(|content| content.bytes_at(0, 4))
        .is_ok_and(|magic| magic == b"\x7fELF")
}

#[test]
fn the_closure_of_every_file_is_what_its_own_loader_lists() {
    if !Path::new(OsStr::from_bytes(LOADER.as_bytes())).exists() {
        eprintln!("skipped: there is no glibc loader at {LOADER}");
        return;
    }
    let fs = HostFs::new("/");
    let mut all = files(&fs);
    all.retain(|file| is_elf(&fs, file));
    let step = all.len().div_ceil(ENOUGH).max(1);
    let chosen: Vec<ImagePath> = all.iter().step_by(step).cloned().collect();
    let shares: Vec<Vec<ImagePath>> = (0..THREADS)
        .map(|share| {
            chosen
                .iter()
                .skip(share)
                .step_by(THREADS)
                .cloned()
                .collect()
        })
        .collect();
    let tallies: Vec<Tally> = std::thread::scope(|scope| {
        let running: Vec<_> = shares
            .iter()
            .map(|share| scope.spawn(|| compare_all(share)))
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .collect()
    });
    let same: usize = tallies.iter().map(|tally| tally.same).sum();
    let mut skipped: BTreeMap<Skipped, usize> = BTreeMap::new();
    for (reason, count) in tallies.iter().flat_map(|tally| &tally.skipped) {
        *skipped.entry(*reason).or_default() += count;
    }
    let differing: Vec<&String> = tallies.iter().flat_map(|tally| &tally.differing).collect();
    println!(
        "{} ELF files, {same} compared and the same, skipped: {skipped:?}",
        all.len()
    );
    assert!(
        differing.is_empty(),
        "{} differ:\n{}",
        differing.len(),
        differing
            .iter()
            .map(|line| line.as_str())
            .collect::<Vec<_>>()
            .join("\n")
    );
    assert!(same >= AT_LEAST, "only {same} files were compared");
}
