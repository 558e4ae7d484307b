//! `micropacker run` when somebody asks the application to end.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

fn micropacker(home: &TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_micropacker"));
    command.arg("-o").arg(home.path().join("rootfs.tar"));
    command
}

fn home() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Starts a traced shell, sends it SIGTERM once it says that it is ready, and waits.
fn terminate_when_ready(home: &TempDir, options: &[&str], script: &str) -> (Option<i32>, String) {
    let mut child = micropacker(home)
        .args(options)
        .args(["--", "sh", "-c", script])
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let first = lines.next().expect("a line").expect("text");
    assert_eq!(first, "ready");
    let pid = nix::unistd::Pid::from_raw(child.id() as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::SIGTERM).expect("sent");
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    (child.wait().expect("ended").code(), rest.join("\n"))
}

#[test]
fn sigterm_is_passed_on_and_its_handlers_files_are_packed() {
    let home = home();
    let script = "trap 'read line < /etc/hostname; echo bye; exit 5' TERM; echo ready; \
                  while :; do read never < /dev/zero || :; done & wait";
    let (status, said) = terminate_when_ready(&home, &[], script);
    assert_eq!((status, said.as_str()), (Some(5), "bye"));
    let mut archive =
        tar::Archive::new(fs::File::open(home.path().join("rootfs.tar")).expect("a tarball"));
    let mut names = archive
        .entries()
        .expect("entries")
        .map(|entry| entry.expect("an entry").path_bytes().into_owned());
    assert!(names.any(|name| name == b"etc/hostname"));
}

#[test]
fn a_second_sigterm_ends_what_does_not_listen_and_it_is_packed() {
    let home = home();
    let mut child = micropacker(&home)
        .args(["--", "sh", "-c", "trap 'echo heard' TERM; cat /etc/hostname >/dev/null; echo ready; while :; do sleep 1; done"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    let mut said = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    assert_eq!(said.next().expect("a line").expect("text"), "ready");
    let pid = nix::unistd::Pid::from_raw(child.id() as i32);
    // Until it ends: the first is heard, and what comes half a second later hurries.
    let done = std::thread::spawn(move || {
        while nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).is_ok() {
            std::thread::sleep(std::time::Duration::from_millis(600));
        }
    });
    assert_eq!(said.next().expect("a line").expect("text"), "heard");
    let output = child.wait_with_output().expect("ended");
    done.join().expect("no panic");
    assert_eq!(output.status.code(), Some(137), "{}", stderr(&output));
    assert!(home.path().join("rootfs.tar").exists());
}

#[test]
fn a_stop_timeout_ends_what_does_not_listen() {
    let home = home();
    let script = "trap '' TERM; echo ready; while :; do read never < /dev/full; done";
    let (status, _) = terminate_when_ready(&home, &["--stop-timeout", "0"], script);
    assert_eq!(status, Some(128 + 9));
    assert!(home.path().join("rootfs.tar").exists());
}
