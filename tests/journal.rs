//! The journal end to end: whatever ends micropacker, `pack --journal` makes the image from what
//! was recorded until then.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const MICROPACKER: &str = env!("CARGO_BIN_EXE_micropacker");

fn home() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

/// Traces a shell that runs this script.
fn trace(home: &Path, options: &[&str], script: &str) -> Output {
    let mut command = Command::new(MICROPACKER);
    command.arg("-o").arg(home.join("rootfs.tar")).args(options);
    command.args(["--", "sh", "-c", script]);
    command.stdin(Stdio::null()).output().expect("started")
}

fn pack(home: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(MICROPACKER);
    command.arg("pack").args(words).arg("-o").arg(home);
    command.stdin(Stdio::null()).output().expect("started")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The paths in a tarball, without those of the test itself.
fn paths(tarball: &Path, home: &Path) -> BTreeSet<PathBuf> {
    let file = fs::File::open(tarball).expect("a tarball");
    let mut archive = tar::Archive::new(file);
    let inside = home.strip_prefix("/").expect("absolute").to_owned();
    let entries = archive.entries().expect("entries").map(|entry| {
        let entry = entry.expect("an entry");
        entry.path().expect("a path").into_owned()
    });
    entries.filter(|path| !path.starts_with(&inside)).collect()
}

/// Kills a trace as soon as its journal holds these words.
fn kill_when_recorded(home: &Path, options: &[&str], script: &str, words: &str) {
    let mut command = Command::new(MICROPACKER);
    command.arg("-o").arg(home.join("rootfs.tar")).args(options);
    command.args(["--", "sh", "-c", script]);
    let mut child = command.stdin(Stdio::piped()).spawn().expect("started");
    let journal = home.join("rootfs.tar.journal");
    while !fs::read_to_string(&journal).is_ok_and(|text| text.contains(words)) {
        assert_eq!(child.try_wait().expect("ours"), None, "it has ended");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().expect("killed");
    assert_eq!(child.wait().expect("ended").signal(), Some(9));
}

const KILL: &str = "kill -9 $PPID; sleep 60";

#[test]
fn a_killed_trace_gives_the_image_that_it_would_have_given() {
    let (whole, killed) = (home(), home());
    let uses = "read a < /etc/hostname; cat /etc/passwd > /dev/null;";
    let journal = killed.path().join("rootfs.tar.journal");
    let journal = journal.to_str().expect("text");
    let options = ["--exclude", "/etc/passwd", "--tag", "app"];
    let output = trace(whole.path(), &options, &format!("{uses} sleep 0"));
    assert!(output.status.success(), "{}", stderr(&output));
    let marker = killed.path().join("marker");
    fs::write(&marker, "").expect("written");
    let script = format!("{uses} sleep 0; : < {}; read line", marker.display());
    kill_when_recorded(killed.path(), &options, &script, "marker\"}");
    let tarball = killed.path().join("again.tar");
    let artifacts = killed.path().join("artifacts");
    let words = ["--journal", journal, "--artifacts"];
    let output = pack(
        &tarball,
        &[&words[..], &[artifacts.to_str().expect("text")]].concat(),
    );
    assert!(output.status.success(), "{}", stderr(&output));
    let expected = paths(&whole.path().join("rootfs.tar"), whole.path());
    assert_eq!(paths(&tarball, killed.path()), expected);
    assert!(!expected.contains(Path::new("etc/passwd")));
    let dockerfile = fs::read_to_string(artifacts.join("Dockerfile")).expect("written");
    assert!(
        dockerfile.contains("ENTRYPOINT [\"sh\",\"-c\""),
        "{dockerfile}"
    );
    // The same by -i.
    let other = killed.path().join("other.tar");
    let output = pack(&other, &["-i", journal]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(paths(&other, killed.path()), expected);
}

#[test]
fn a_journal_goes_when_the_outputs_are_there_and_stays_where_it_was_named() {
    let home = home();
    let output = trace(home.path(), &[], "true");
    assert!(output.status.success(), "{}", stderr(&output));
    let left = |home: &TempDir| fs::read_dir(home.path()).expect("listed").count();
    assert_eq!(left(&home), 1);
    let named = home.path().join("named");
    let words = ["--journal", named.to_str().expect("text")];
    let output = trace(home.path(), &words, "exit 3");
    assert_eq!(output.status.code(), Some(3));
    let text = fs::read_to_string(&named).expect("kept");
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[lines.len() - 2].ends_with(r#" {"end":{"status":3}}"#));
    assert!(lines[lines.len() - 1].ends_with(r#" {"packed":{}}"#));
    let output = trace(home.path(), &["--journal", "none"], KILL);
    assert_eq!(output.status.signal(), Some(9));
    assert_eq!(left(&home), 2);
}

#[test]
fn secrets_and_our_own_variables_are_not_in_a_journal() {
    let home = home();
    let named = home.path().join("named");
    let output = Command::new(MICROPACKER)
        .arg("-o")
        .arg(home.path().join("rootfs.tar"))
        .args(["--keep-env", "API_KEY", "--", "true"])
        .env("MICROPACKER_JOURNAL", &named)
        .env("DB_PASSWORD", "geheim-1")
        .env("API_KEY", "offen-2")
        .output()
        .expect("started");
    assert!(output.status.success(), "{}", stderr(&output));
    let text = fs::read_to_string(&named).expect("kept");
    assert!(!text.contains("geheim-1") && text.contains("DB_PASSWORD"));
    assert!(text.contains("API_KEY=offen-2"));
    assert!(!text.contains("MICROPACKER_JOURNAL"));
    let tarball = home.path().join("again.tar");
    let output = pack(&tarball, &["--journal", named.to_str().expect("text")]);
    assert!(
        stderr(&output).contains("DB_PASSWORD"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn damage_is_told_by_line_and_costs_only_what_it_lies_on() {
    let home = home();
    let named = home.path().join("named");
    let name = named.to_str().expect("text");
    trace(home.path(), &["--journal", name], "read a < /etc/hostname");
    let mut bytes = fs::read(&named).expect("kept");
    let at = |text: &[u8], bytes: &[u8]| {
        let mut windows = bytes.windows(text.len());
        windows.position(|window| window == text).expect("in it")
    };
    let damaged = at(b"/etc/hostname\"}", &bytes);
    bytes[damaged] ^= 1;
    let line = bytes[..damaged]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count()
        + 1;
    let last = bytes.len() - 5;
    fs::write(&named, &bytes[..last]).expect("written");
    let tarball = home.path().join("again.tar");
    let output = pack(&tarball, &["--journal", name]);
    assert!(output.status.success());
    let told = stderr(&output);
    assert!(
        told.contains(&format!("1 lines are damaged and lost: {line}\n")),
        "{told}"
    );
    assert!(told.contains("last line is torn"), "{told}");
    let paths = paths(&tarball, home.path());
    assert!(!paths.contains(Path::new("etc/hostname")));
    assert!(paths.contains(Path::new("usr/bin")) || paths.contains(Path::new("bin")));
}

#[test]
fn what_is_no_journal_is_said_in_a_line() {
    let home = home();
    let file = home.path().join("list");
    fs::write(&file, "/etc/hostname\n").expect("written");
    let name = file.to_str().expect("text");
    for (name, words) in [(name, "no journal"), ("/no/such/journal", "No such file")] {
        let output = pack(&home.path().join("x.tar"), &["--journal", name]);
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains(name) && told.contains(words), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
    let output = trace(home.path(), &["--journal", "/no/such/place"], "true");
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(125), "{told}");
    assert!(
        told.contains("/no/such/place") && told.lines().count() == 1,
        "{told}"
    );
}
