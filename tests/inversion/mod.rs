//! What is traced by `run --inverted`: an ordinary process, or PID 1 of a PID namespace.
#![allow(dead_code, reason = "each test crate uses its own part of this module")]

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub const MICROPACKER: &str = env!("CARGO_BIN_EXE_micropacker");
pub const ENGINES: [&str; 3] = ["notify", "seccomp", "syscall"];

/// Whoever waits for what never comes is ended.
pub const IN_CONTAINER: [&str; 7] = [
    "timeout",
    "--foreground",
    "60",
    "unshare",
    "--pid",
    "--fork",
    "--mount-proc",
];

pub fn home() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

pub fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("not run, no root here");
    }
    root
}

pub fn tarball(home: &TempDir) -> PathBuf {
    home.path().join("rootfs.tar")
}

/// `front`, then micropacker, up to the command.
pub fn inverted(front: &[&str], home: &TempDir, options: &[&str]) -> Command {
    let mut command = Command::new("env");
    command
        .args(front)
        .args([MICROPACKER, "run", "--inverted", "-o"])
        .arg(tarball(home))
        .args(options)
        .arg("--");
    command
}

pub fn sh(mut command: Command, script: &str) -> Output {
    let output = command.args(["sh", "-c", script]).output();
    output.expect("started")
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn holds(tarball: &Path, path: &str) -> bool {
    let wanted = path.trim_start_matches('/').as_bytes();
    let mut archive = tar::Archive::new(fs::File::open(tarball).expect("a tarball"));
    let mut entries = archive.entries().expect("entries");
    entries.any(|entry| *entry.expect("an entry").path_bytes() == *wanted)
}

/// Looks again and again, for as long as nothing here takes.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(40);
    while !condition() {
        assert!(Instant::now() < deadline, "waited for {what} in vain");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A traced PID 1 that has said its first line.
pub struct Container {
    outer: Child,
    pub input: ChildStdin,
    pub output: BufReader<ChildStdout>,
    /// Its PID 1, as seen from here.
    init: Pid,
}

impl Container {
    pub fn start(home: &TempDir, options: &[&str], command: &[&OsStr]) -> Self {
        let mut outer = inverted(&IN_CONTAINER, home, options)
            .args(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("started");
        let input = outer.stdin.take().expect("a pipe");
        let mut output = BufReader::new(outer.stdout.take().expect("a pipe"));
        let mut line = String::new();
        output.read_line(&mut line).expect("text");
        assert!(!line.is_empty(), "it says nothing");
        let init = only_child(only_child(outer.id().cast_signed()));
        Self {
            outer,
            input,
            output,
            init: Pid::from_raw(init),
        }
    }

    pub fn shell(home: &TempDir, options: &[&str], script: &str) -> Self {
        let command = ["sh", "-c", script].map(OsStr::new);
        Self::start(home, options, &command)
    }

    pub fn send(&self, signal: Signal) {
        kill(self.init, signal).expect("sent");
    }

    /// A command in the container, as `docker exec` would start it.
    pub fn enter(&self, words: &[&str]) -> Output {
        let init = self.init.to_string();
        Command::new("nsenter")
            .args(["--target", &init, "--pid", "--mount", "--"])
            .args(words)
            .output()
            .expect("started")
    }

    /// What it says until its end.
    pub fn end(mut self) -> Output {
        drop(self.input);
        let mut said = Vec::new();
        self.output.read_to_end(&mut said).expect("output");
        let output = self.outer.wait_with_output().expect("ended");
        Output {
            stdout: said,
            ..output
        }
    }
}

pub fn only_child(pid: i32) -> i32 {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.expect("readable");
    let mut children = children.split_whitespace();
    children.next().expect("a child").parse().expect("a number")
}
