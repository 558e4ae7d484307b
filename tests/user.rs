//! The command as another user than micropacker, which is root: by `--user`, or since the image
//! starts as one. Needs root.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

const ENGINES: [&str; 3] = ["notify", "seccomp", "syscall"];
/// What Docker's default leaves of root's privileges, as far as a tracer is concerned.
const AS_IN_DOCKER: [&str; 2] = ["setpriv", "--bounding-set=-sys_ptrace,-sys_admin"];
const SCRIPT: &str = "cat /etc/shells >/dev/null; id -u; id -g; id -G; echo $HOME; \
                      grep -E '^Cap(Prm|Eff|Amb):' /proc/self/status; \
                      echo out >/dev/stdout; : >denied";
/// Of a user of this machine that has a group besides its own, which nobody else has.
const NOBODY: &str = "65534\n65534\n65534\n/nonexistent\n\
                      CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapAmb:\t0000000000000000\n\
                      out\n";

fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("not run, no root here");
    }
    root
}

/// Only root may write there, and everybody may enter.
fn home() -> TempDir {
    let home = tempfile::tempdir().expect("a temporary directory");
    fs::set_permissions(&home, fs::Permissions::from_mode(0o755)).expect("set");
    home
}

fn traced(front: &[&str], home: &TempDir, options: &[&str], command: &[&str]) -> Output {
    Command::new("env")
        .args(front)
        .args([env!("CARGO_BIN_EXE_micropacker"), "-o", "rootfs.tar"])
        .args(options)
        .arg("--")
        .args(command)
        .env("HOME", "/root")
        .current_dir(home)
        .stdin(Stdio::null())
        .output()
        .expect("started")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn holds(home: &TempDir, path: &str) -> bool {
    let tarball = fs::File::open(home.path().join("rootfs.tar")).expect("a tarball");
    let mut archive = tar::Archive::new(tarball);
    let mut entries = archive.entries().expect("entries");
    entries.any(|entry| *entry.expect("an entry").path_bytes() == *path.as_bytes())
}

#[test]
fn the_command_is_that_user_throughout_and_everything_it_uses_is_seen() {
    if !is_root() {
        return;
    }
    let fronts: [&[&str]; 2] = [&[], &AS_IN_DOCKER];
    for (front, engine, inverted) in fronts
        .iter()
        .flat_map(|front| ENGINES.map(|engine| (front, engine)))
        .flat_map(|(front, engine)| [(front, engine, false), (front, engine, true)])
    {
        let home = home();
        let mut options = vec!["--user", "nobody", "--engine", engine];
        options.extend(inverted.then_some("--inverted"));
        let output = traced(front, &home, &options, &["sh", "-c", SCRIPT]);
        let case = format!("{front:?} {engine} {inverted}: {}", stderr(&output));
        assert_eq!(stdout(&output), NOBODY, "{case}");
        assert!(stderr(&output).contains("denied"), "{case}");
        assert!(!stderr(&output).contains("warning"), "{case}");
        assert!(holds(&home, "etc/shells"), "{case}");
        assert!(!home.path().join("denied").exists());
    }
}

#[test]
fn a_command_that_is_named_by_a_relative_path_is_found_and_seen() {
    if !is_root() {
        return;
    }
    for engine in ENGINES {
        let home = home();
        let script = home.path().join("script");
        fs::write(&script, "#!/bin/sh\nid -u\n").expect("written");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("set");
        let options = ["--user", "7:8", "--engine", engine];
        let output = traced(&AS_IN_DOCKER, &home, &options, &["./script"]);
        assert_eq!(stdout(&output), "7\n", "{}", stderr(&output));
        assert!(!stderr(&output).contains("warning"), "{}", stderr(&output));
        let name = script.strip_prefix("/").expect("absolute");
        assert!(holds(&home, name.to_str().expect("text")), "{engine}");
    }
}

fn with_config(home: &TempDir, user: &str) {
    let text = format!(r#"{{"config": {{"User": "{user}", "Cmd": ["id", "-u"]}}}}"#);
    fs::write(home.path().join("inspect.json"), text).expect("written");
}

#[test]
fn the_images_user_is_honoured_and_the_image_can_name_it() {
    if !is_root() {
        return;
    }
    let home = home();
    with_config(&home, "nobody");
    let options = ["--image-config", "inspect.json", "--artifacts", "."];
    let output = traced(&[], &home, &options, &[]);
    assert_eq!(stdout(&output), "65534\n", "{}", stderr(&output));
    assert!(holds(&home, "etc/passwd"), "an engine looks it up there");
    let dockerfile = fs::read_to_string(home.path().join("Dockerfile")).expect("text");
    assert!(dockerfile.contains("\nUSER nobody\n"), "{dockerfile}");
    let output = traced(&[], &home, &[&options[..], &["--user", "0"]].concat(), &[]);
    assert_eq!(stdout(&output), "0\n", "{}", stderr(&output));
}

#[test]
fn without_the_images_configuration_the_image_starts_as_whom_was_traced() {
    if !is_root() {
        return;
    }
    let home = home();
    let options = ["--user", "4711:4712", "--artifacts", "."];
    traced(&[], &home, &options, &["true"]);
    let dockerfile = fs::read_to_string(home.path().join("Dockerfile")).expect("text");
    assert!(dockerfile.contains("\nUSER 4711:4712\n"), "{dockerfile}");
    assert!(dockerfile.contains("\nENV HOME=\"/\"\n"), "{dockerfile}");
}

fn assert_refused(output: &Output, home: &Path, words: &[&str]) {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(126), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    for word in words {
        assert!(text.contains(word), "{word:?} is not in: {text}");
    }
    assert!(!home.join("rootfs.tar").exists() && !home.join("rootfs.tar.journal").exists());
}

#[test]
fn who_cannot_be_had_is_told_in_one_line_and_nothing_is_left() {
    if !is_root() {
        return;
    }
    let home = home();
    let refused = |front: &[&str], options: &[&str], command: &str, words: &[&str]| {
        for mode in [&[][..], &["--inverted"]] {
            let options = [options, mode].concat();
            let output = traced(front, &home, &options, &[command]);
            assert_refused(&output, home.path(), words);
        }
    };
    refused(
        &[],
        &["--user", "nosuchuser"],
        "id",
        &["no user 'nosuchuser' in /etc/passwd"],
    );
    refused(
        &[],
        &["--user", "0:nosuchgroup"],
        "id",
        &["no group 'nosuchgroup'"],
    );
    let script = home.path().join("private");
    fs::write(&script, "#!/bin/sh\n").expect("written");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).expect("set");
    refused(
        &[],
        &["--user", "7"],
        "./private",
        &["user '7' may not execute it"],
    );
    let powerless = ["setpriv", "--bounding-set=-setuid"];
    refused(
        &powerless,
        &["--user", "7"],
        "id",
        &["SETUID and SETGID", "--user 0"],
    );
    with_config(&home, "nosuchuser");
    let config = ["--image-config", "inspect.json"];
    refused(&[], &config, "id", &["no user 'nosuchuser'"]);
}

#[test]
fn an_image_of_whom_we_may_not_become_is_traced_all_the_same_and_that_is_told() {
    if !is_root() {
        return;
    }
    let home = home();
    with_config(&home, "nobody");
    let config = ["--image-config", "inspect.json"];
    let powerless = ["setpriv", "--bounding-set=-setuid"];
    let output = traced(&powerless, &home, &config, &[]);
    assert_eq!(
        (stdout(&output).as_str(), output.status.code()),
        ("0\n", Some(0))
    );
    assert!(stderr(&output).contains("the image starts as 'nobody'"));
    let accepted = [&config[..], &["--user", "0:0"]].concat();
    let output = traced(&powerless, &home, &accepted, &[]);
    assert!(!stderr(&output).contains("the image starts"));
}

#[test]
fn who_is_no_root_stays_who_it_is() {
    if !is_root() {
        return;
    }
    let home = home();
    fs::set_permissions(&home, fs::Permissions::from_mode(0o777)).expect("set");
    with_config(&home, "nobody");
    let ordinary = ["setpriv", "--reuid=7", "--regid=8", "--clear-groups"];
    let output = traced(&ordinary, &home, &["--image-config", "inspect.json"], &[]);
    assert_eq!(stdout(&output), "7\n", "{}", stderr(&output));
    assert!(!stderr(&output).contains("warning"), "{}", stderr(&output));
    let output = traced(&ordinary, &home, &["--user", "7:8"], &["id", "-u"]);
    assert_eq!(stdout(&output), "7\n", "{}", stderr(&output));
}
