//! Several recordings packed in one run: lists, reports and journals that tell of the same files in
//! different ways.

mod leavings;
mod tarballs;

use leavings::{MICROPACKER, home, stderr};
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime};

/// The files of the test, as the image has them.
fn restore(home: &Path) {
    fs::create_dir_all(home.join("data")).expect("made");
    for name in ["changed", "removed", "read", "listed", "marker"] {
        let file = home.join("data").join(name);
        fs::write(&file, format!("original {name}\n")).expect("written");
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_500_000_000);
        let file = fs::File::open(&file).expect("there");
        file.set_modified(time).expect("a time");
    }
}

fn micropacker(words: &[&str], home: &Path) -> Output {
    let mut command = Command::new(MICROPACKER);
    command.args(words).current_dir(home).stdin(Stdio::null());
    command.output().expect("started")
}

/// Traces a shell that runs this; its report is `NAME/report.json`.
fn reported(name: &str, script: &str, home: &Path) {
    let tarball = format!("{name}.tar");
    let words = [
        "-o",
        &tarball,
        "--artifacts",
        name,
        "--",
        "sh",
        "-c",
        script,
    ];
    let output = micropacker(&words, home);
    assert!(output.status.success(), "{}", stderr(&output));
}

/// Traces a shell that runs this, and kills micropacker when all of it is in the journal,
/// `NAME.tar.journal`.
fn journalled(name: &str, script: &str, home: &Path) {
    let tarball = format!("{name}.tar");
    let script = format!("{script}; : <data/marker; read line");
    let mut command = Command::new(MICROPACKER);
    command.args(["-o", &tarball, "--", "sh", "-c", &script]);
    let mut child = command
        .current_dir(home)
        .stdin(Stdio::piped())
        .spawn()
        .expect("started");
    let journal = home.join(format!("{name}.tar.journal"));
    while !fs::read_to_string(&journal).is_ok_and(|text| text.contains("data/marker\"}")) {
        assert_eq!(child.try_wait().expect("ours"), None, "it has ended");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().expect("killed");
    assert_eq!(child.wait().expect("ended").signal(), Some(9));
}

/// What a tarball has of the files of the test.
fn data(tarball: &Path, home: &Path) -> BTreeMap<PathBuf, String> {
    let inside = home.strip_prefix("/").expect("absolute").join("data");
    let mut archive = tar::Archive::new(fs::File::open(tarball).expect("a tarball"));
    let mut found = BTreeMap::new();
    for entry in archive.entries().expect("entries") {
        let mut entry = entry.expect("an entry");
        let path = entry.path().expect("a path").into_owned();
        let mut text = String::new();
        if let Ok(name) = path.strip_prefix(&inside)
            && entry.header().entry_type().is_file()
            && name != Path::new("marker")
        {
            entry.read_to_string(&mut text).expect("text");
            found.insert(name.to_owned(), text);
        }
    }
    found
}

fn originals(names: &[&str]) -> BTreeMap<PathBuf, String> {
    let original = |name: &&str| (PathBuf::from(name), format!("original {name}\n"));
    names.iter().map(original).collect()
}

#[test]
fn a_list_a_report_and_a_journal_that_contradict_each_other_give_the_images_files() {
    let home = home();
    let home = home.path();
    restore(home);
    reported(
        "a",
        "cat data/read data/changed >/dev/null; rm data/removed; : >data/made",
        home,
    );
    restore(home);
    fs::remove_file(home.join("data/made")).expect("removed");
    journalled(
        "b",
        "cat data/removed >/dev/null; echo new >data/changed; rm data/removed",
        home,
    );
    fs::write(home.join("c.txt"), "data/listed\n").expect("written");
    let expected = originals(&["changed", "listed", "read", "removed"]);
    let words = ["-i", "c.txt", "-i", "a/report.json", "-i", "b.tar.journal"];

    // Where the journal was recorded: its copies tell what was there.
    let here = [&["pack", "-o", "here.tar"], &words[..]].concat();
    let output = micropacker(&here, home);
    let told = stderr(&output);
    assert!(output.status.success(), "{told}");
    assert_eq!(data(&home.join("here.tar"), home), expected);
    assert!(!told.contains("original of"), "{told}");
    assert!(!told.contains("another image"), "{told}");

    // In a new container of the image.
    let tree = home.join("tree");
    let place = tree.join(home.strip_prefix("/").expect("absolute"));
    restore(&place);
    fs::write(place.join("c.txt"), "").expect("written");
    let list = home.join("data/listed");
    fs::write(home.join("c.txt"), list.to_str().expect("text")).expect("written");
    let there = [&["pack", "--root", "tree", "-o", "there.tar"], &words[..]].concat();
    let output = micropacker(&there, home);
    let told = stderr(&output);
    assert!(output.status.success(), "{told}");
    assert_eq!(data(&home.join("there.tar"), home), expected);
    assert!(!told.contains("original of"), "{told}");
}

#[test]
fn of_two_journals_each_brings_its_own_copies() {
    let home = home();
    let home = home.path();
    restore(home);
    journalled("a", "echo first >data/changed; : >data/made", home);
    journalled(
        "b",
        "echo second >data/changed; rm data/removed; echo more >data/made",
        home,
    );
    let words = [
        "pack",
        "-o",
        "both.tar",
        "-i",
        "a.tar.journal",
        "-i",
        "b.tar.journal",
    ];
    let output = micropacker(&words, home);
    let told = stderr(&output);
    assert!(output.status.success(), "{told}");
    let expected = originals(&["changed", "removed"]);
    assert_eq!(data(&home.join("both.tar"), home), expected, "{told}");
    assert!(!told.contains("original of"), "{told}");
    // Without its copies it is told what is lost.
    fs::remove_dir_all(home.join("a.tar.originals")).expect("removed");
    let output = micropacker(&words, home);
    let told = stderr(&output);
    assert!(
        told.contains("data/changed") && told.contains("a.tar.originals is not there"),
        "{told}"
    );
}

#[test]
fn inputs_that_traced_other_commands_are_named_unless_the_command_is_told() {
    let home = home();
    let home = home.path();
    restore(home);
    reported("a", "cat data/read >/dev/null; :", home);
    reported("b", "cat data/listed >/dev/null; :", home);
    let words = [
        "pack",
        "-o",
        "x.tar",
        "-i",
        "a/report.json",
        "-i",
        "b/report.json",
    ];
    let told = stderr(&micropacker(&words, home));
    let line = told
        .lines()
        .find(|line| line.contains("warning: b/report.json"));
    let line = line.unwrap_or_else(|| panic!("{told}"));
    assert!(
        line.contains("traced 'sh -c cat data/listed >/dev/null; :'"),
        "{line}"
    );
    assert!(
        line.contains("starts 'sh -c cat data/read >/dev/null; :'"),
        "{line}"
    );
    assert!(line.contains("--change"), "{line}");
    let words = [&words[..], &["--change", "ENTRYPOINT [\"sh\"]"]].concat();
    let told = stderr(&micropacker(&words, home));
    assert!(!told.contains("traced 'sh"), "{told}");
    let words = [
        "pack",
        "-o",
        "x.tar",
        "-i",
        "a/report.json",
        "-i",
        "a/report.json",
    ];
    let told = stderr(&micropacker(&words, home));
    assert!(!told.contains("traced 'sh"), "{told}");
}

#[test]
fn a_report_of_another_image_is_told() {
    let home = home();
    let home = home.path();
    restore(home);
    reported("a", "cat data/read data/changed >/dev/null", home);
    fs::remove_file(home.join("data/read")).expect("removed");
    fs::write(home.join("data/changed"), "another\n").expect("written");
    let output = micropacker(&["pack", "-o", "x.tar", "-i", "a/report.json"], home);
    let told = stderr(&output);
    assert!(output.status.success(), "{told}");
    let line = told.lines().find(|line| line.contains("another image"));
    let line = line.unwrap_or_else(|| panic!("{told}"));
    assert!(
        line.contains("a/report.json: 2 of ") && line.contains("/data/changed"),
        "{line}"
    );
}
