//! What a run that failed leaves: one line that says why, and a journal.

#![allow(dead_code, reason = "each test file uses what it needs")]

use crate::tarballs::{Contents as Tarball, contents};
use micropacker::event::Event;
use micropacker::journal::{Contents, Seen, read};
use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

pub const MICROPACKER: &str = env!("CARGO_BIN_EXE_micropacker");

pub fn home() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// `micropacker pack --journal`, and where its tarball goes.
pub fn recover(journal: &Path, home: &Path) -> (Output, PathBuf) {
    let tarball = home.join("recovered.tar");
    let output = Command::new(MICROPACKER)
        .args(["pack", "-q", "-o"])
        .arg(&tarball)
        .arg("--journal")
        .arg(journal)
        .output()
        .expect("started");
    (output, tarball)
}

/// What a journal gives, as `micropacker pack` packs it.
pub fn recovered(journal: &Path, home: &Path) -> Tarball {
    let (output, tarball) = recover(journal, home);
    assert!(output.status.success(), "{}", stderr(&output));
    contents(&tarball, home)
}

pub fn read_journal(journal: &Path) -> (Contents, Vec<Event>) {
    let mut events = Vec::new();
    let file = fs::File::open(journal).expect("a journal");
    let mut take = |seen| {
        if let Seen::Event(event) = seen {
            events.push(event);
        }
    };
    let contents = read(&mut BufReader::new(file), &mut take);
    (contents.expect("a journal"), events)
}

pub fn assert_one_line(output: &Output, status: i32, words: &[&str]) {
    let told = stderr(output);
    assert_eq!(output.status.code(), Some(status), "{told}");
    let fits = |line: &&str| words.iter().all(|word| line.contains(word));
    assert_eq!(told.lines().filter(fits).count(), 1, "{words:?} in {told}");
    for line in told.lines() {
        assert!(line.starts_with("micropacker: "), "{told}");
    }
}
