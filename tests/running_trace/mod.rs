//! A traced shell that waits, and what can be said to its supervisor meanwhile.
#![allow(dead_code, reason = "each test crate uses its own part of this module")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use tempfile::TempDir;

pub const MICROPACKER: &str = env!("CARGO_BIN_EXE_micropacker");

/// Nobody of this machine: what runs as it has no rights of its own.
pub const STRANGER: u32 = 54321;

/// A process that waits for its standard input, after it has said "ready".
pub struct Waiting {
    pub child: Child,
    pub input: Option<ChildStdin>,
    pub output: BufReader<ChildStdout>,
}

impl Waiting {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("started");
        let input = child.stdin.take();
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        output.read_line(&mut line).expect("text");
        assert_eq!(line, "ready\n");
        Self {
            child,
            input,
            output,
        }
    }

    pub fn pid(&self) -> String {
        self.child.id().to_string()
    }

    /// Lets it go on; its status and what it said on standard output and error.
    pub fn go_on(mut self) -> (Option<i32>, String, String) {
        if let Some(mut input) = self.input.take() {
            // One that has been killed does not read.
            let _ = input.write_all(b"go\n");
        }
        self.end()
    }

    pub fn end(mut self) -> (Option<i32>, String, String) {
        let mut said = String::new();
        std::io::Read::read_to_string(&mut self.output, &mut said).expect("text");
        let output = self.child.wait_with_output().expect("ended");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), said, told)
    }
}

/// A traced shell, and a directory that everybody may read.
pub struct Trace {
    pub home: TempDir,
    pub shell: Waiting,
}

/// Waits for a line, then uses a file.
pub const SCRIPT: &str = "echo ready; read line; read first < /etc/hostname; exit 3";

impl Trace {
    pub fn start() -> Self {
        Self::of(SCRIPT)
    }

    pub fn of(script: &str) -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let everybody = fs::Permissions::from_mode(0o755);
        fs::set_permissions(home.path(), everybody).expect("set");
        let shell = Waiting::start(
            Command::new(MICROPACKER)
                .arg("-o")
                .arg(home.path().join("rootfs.tar"))
                .args(["--", "sh", "-c", script]),
        );
        Self { home, shell }
    }

    pub fn tarball(&self) -> PathBuf {
        self.home.path().join("rootfs.tar")
    }

    pub fn ctl(&self, words: &[&str]) -> Output {
        output(self.command("ctl").args(words))
    }

    pub fn exec(&self, words: &[&str]) -> Output {
        output(self.command("exec").arg("--").args(words))
    }

    /// A subcommand that talks to this supervisor.
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(MICROPACKER);
        command.args([name, "--supervisor", &self.shell.pid()]);
        command
    }

    /// The same, run by somebody who is nobody here.
    pub fn stranger(&self, name: &str) -> Command {
        let binary = self.home.path().join("micropacker");
        if !binary.exists() {
            fs::copy(MICROPACKER, &binary).expect("copied");
        }
        let mut command = Command::new(binary);
        command.args([name, "--supervisor", &self.shell.pid()]);
        command.uid(STRANGER).gid(STRANGER).current_dir("/");
        command
    }

    pub fn status(&self) -> serde_json::Value {
        let output = self.ctl(&["status", "--json"]);
        assert!(output.status.success(), "{}", stderr(&output));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }
}

pub fn output(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().expect("started")
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Exactly one line of ours, that holds these words.
pub fn assert_refused(output: &Output, status: i32, words: &[&str]) {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(status), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.starts_with("micropacker: "), "{text}");
    for word in words {
        assert!(text.contains(word), "{word:?} is not in: {text}");
    }
}

pub fn holds(tarball: &Path, path: impl AsRef<Path>) -> bool {
    let wanted = path.as_ref().strip_prefix("/").expect("absolute");
    let mut archive = tar::Archive::new(fs::File::open(tarball).expect("a tarball"));
    archive
        .entries()
        .expect("entries")
        .any(|entry| *entry.expect("an entry").path_bytes() == *wanted.as_os_str().as_bytes())
}

pub fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("not tested: only root can be another user");
    }
    root
}
