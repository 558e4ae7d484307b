//! Descriptors that micropacker inherits are the application's: they reach it, and what it closes
//! is closed.

mod running_trace;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use running_trace::{MICROPACKER, Trace, holds};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use tempfile::TempDir;

/// Whoever waits this long waits in vain.
const IN_VAIN: Duration = Duration::from_secs(60);

/// A FIFO in a directory of its own.
struct Fifo {
    path: PathBuf,
    _home: TempDir,
}

impl Fifo {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let path = home.path().join("fifo");
        mkfifo(&path, Mode::S_IRWXU).expect("a FIFO");
        Self { path, _home: home }
    }
}

/// Everything up to the end, which must come while the application lives.
fn read_to_end(mut file: impl Read + Send + 'static) -> String {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let read = file.read_to_string(&mut text);
        // Nobody waits for one that was waited for in vain.
        let _ = sender.send(read.map(|_| text));
    });
    let read = receiver.recv_timeout(IN_VAIN);
    read.expect("the end, before the application's")
        .expect("text")
}

/// A shell's way to start micropacker: `before` may redirect. The script is the application's.
fn started(subcommand: Command, before: &str, script: &str) -> Child {
    let words = std::iter::once(subcommand.get_program()).chain(subcommand.get_args());
    Command::new("sh")
        .args(["-c", &format!("{before}\nexec \"$@\""), "sh"])
        .args(words)
        .args(["--", "sh", "-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started")
}

fn run(output: &Path) -> Command {
    let mut command = Command::new(MICROPACKER);
    command.args(["run", "-q", "-o"]).arg(output);
    command
}

/// Both subcommands that run something, each with what must outlive it.
fn each_subcommand(check: impl Fn(Command)) {
    let home = tempfile::tempdir().expect("a temporary directory");
    check(run(&home.path().join("rootfs.tar")));
    let trace = Trace::start();
    check(trace.command("exec"));
    trace.shell.go_on();
}

fn says_ready(child: &mut Child) {
    let mut line = [0; 6];
    let output = child.stdout.as_mut().expect("a pipe");
    output.read_exact(&mut line).expect("a line");
    assert_eq!(&line, b"ready\n");
}

fn lives(child: &mut Child) -> bool {
    child.try_wait().expect("waited").is_none()
}

/// Files are the same if their devices and inodes are.
fn identity(fd: impl AsFd) -> (u64, u64) {
    let copy: OwnedFd = fd.as_fd().try_clone_to_owned().expect("a copy");
    let metadata = File::from(copy).metadata().expect("a file");
    (metadata.dev(), metadata.ino())
}

/// What a process has open, but for its standard error.
fn open_files(pid: u32) -> Vec<(u64, u64)> {
    let directory = fs::read_dir(format!("/proc/{pid}/fd")).expect("a process");
    directory
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| !path.ends_with("2"))
        // Another thread may have closed it.
        .filter_map(|path| fs::metadata(path).ok())
        .map(|metadata| (metadata.dev(), metadata.ino()))
        .collect()
}

#[test]
fn its_output_ends_when_it_closes_it() {
    each_subcommand(|subcommand| {
        let script = "echo out; exec >&-; read line; exit 3";
        let mut child = started(subcommand, "", script);
        let output = child.stdout.take().expect("a pipe");
        assert_eq!(read_to_end(output), "out\n");
        assert!(lives(&mut child));
        let mut input = child.stdin.take().expect("a pipe");
        input.write_all(b"go\n").expect("somebody reads");
        assert_eq!(child.wait().expect("waited").code(), Some(3));
    });
}

#[test]
fn whoever_writes_to_its_closed_input_is_told() {
    each_subcommand(|subcommand| {
        let fifo = Fifo::new();
        let script = format!("exec <&-; echo ready; read line < {}", fifo.path.display());
        let mut child = started(subcommand, "", &script);
        says_ready(&mut child);
        let mut input = child.stdin.take().expect("a pipe");
        let error = input.write_all(b"text\n").expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        assert!(lives(&mut child));
        fs::write(&fifo.path, "go\n").expect("written");
        assert!(child.wait().expect("waited").success());
    });
}

#[test]
fn a_descriptor_that_is_passed_on_is_the_applications_alone() {
    each_subcommand(|subcommand| {
        let fifo = Fifo::new();
        let before = format!("exec 5>{}", fifo.path.display());
        let script = "echo passed >&5; exec 5>&-; read line; exit 4";
        let mut child = started(subcommand, &before, script);
        let passed = File::open(&fifo.path).expect("somebody writes");
        let held = [
            identity(&passed),
            identity(child.stdin.as_ref().expect("a pipe")),
            identity(child.stdout.as_ref().expect("a pipe")),
        ];
        assert_eq!(read_to_end(passed), "passed\n");
        let open = open_files(child.id());
        assert!(!open.is_empty());
        for file in held {
            assert!(!open.contains(&file), "{held:?} in {open:?}");
        }
        drop(child.stdin.take());
        assert_eq!(child.wait().expect("waited").code(), Some(4));
    });
}

#[test]
fn standard_streams_that_are_closed_stay_closed() {
    each_subcommand(|subcommand| {
        let script = "closed=0; for fd in 0 1 2; do
            [ -e /proc/$$/fd/$fd ] || closed=$((closed + (1 << fd))); done; exit $closed";
        let mut child = started(subcommand, "exec <&- >&- 2>&-", script);
        assert_eq!(child.wait().expect("waited").code(), Some(7));
    });
}

#[test]
fn an_output_is_written_through_the_descriptor_that_it_names() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let tarball = home.path().join("rootfs.tar");
    let before = format!("exec 7>{}", tarball.display());
    for name in ["/dev/fd/7", "/proc/self/fd/7"] {
        fs::write(&tarball, "").expect("written");
        let mut child = started(run(Path::new(name)), &before, "read line < /etc/hostname");
        assert!(child.wait().expect("waited").success());
        assert!(holds(&tarball, "/etc/hostname"), "{name}");
    }
    for name in ["-", "/dev/stdout"] {
        let before = format!("exec >{}", tarball.display());
        fs::write(&tarball, "").expect("written");
        let mut child = started(run(Path::new(name)), &before, "read line < /etc/hostname");
        assert!(child.wait().expect("waited").success());
        assert!(holds(&tarball, "/etc/hostname"), "{name}");
    }
}
