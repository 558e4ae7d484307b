//! Processes that enter the PID namespace of a traced application from outside.

use nix::sys::stat::Mode;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// No rule depends on it: what takes longer than this never comes.
const NEVER: Duration = Duration::from_secs(60);

/// A PID namespace and what runs in it.
struct Scene {
    home: TempDir,
    init: Child,
}

impl Scene {
    /// Runs `command` there as PID 1, with `$0` as the test's own directory. `None` where no such
    /// namespace can be made, which is told.
    fn start(test: &str, home: TempDir, command: &str) -> Option<Self> {
        let mut unshare = Command::new("unshare");
        unshare.args(["--pid", "--fork", "--mount-proc", "--kill-child"]);
        let possible = unshare.arg("true").stderr(Stdio::null()).status();
        if !possible.is_ok_and(|status| status.success()) {
            eprintln!("{test}: not run, no PID namespace can be made here");
            return None;
        }
        let init = Command::new("unshare")
            .args(["--pid", "--fork", "--mount-proc", "--kill-child"])
            .args(["sh", "-c", command])
            .arg(home.path())
            .stderr(Stdio::piped())
            .spawn()
            .expect("started");
        Some(Self { home, init })
    }

    fn name(&self) -> String {
        self.home.path().to_str().expect("UTF-8").to_owned()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Starts a program from outside; gives nsenter(1), and the ID of the program as we see it.
    fn enter(&self, command: &[&str]) -> (Child, u32) {
        let pid_one = only_child(self.init.id());
        let nsenter = Command::new("nsenter")
            .args(["-t", &pid_one.to_string(), "--pid", "--mount"])
            .args(command)
            .stdout(Stdio::null())
            .spawn()
            .expect("started");
        let program = only_child(nsenter.id());
        (nsenter, program)
    }

    /// What micropacker wrote to standard error, when everything has ended.
    fn finish(mut self) -> (String, BTreeSet<PathBuf>) {
        let mut told = String::new();
        let mut stderr = self.init.stderr.take().expect("a pipe");
        stderr.read_to_string(&mut told).expect("text");
        self.init.wait().expect("ended");
        let tarball = File::open(self.path("rootfs.tar")).expect(&told);
        let names = tar::Archive::new(tarball)
            .entries()
            .expect("entries")
            .map(|entry| {
                entry
                    .expect("an entry")
                    .path()
                    .expect("a path")
                    .into_owned()
            })
            .collect();
        (told, names)
    }
}

/// A directory with FIFOs and a file.
fn home() -> TempDir {
    let home = tempfile::tempdir().expect("a directory");
    for fifo in ["command", "visitor", "after"] {
        nix::unistd::mkfifo(&home.path().join(fifo), Mode::S_IRWXU).expect("made");
    }
    fs::write(home.path().join("file"), "content").expect("written");
    home
}

/// Micropacker, tracing a command that runs until the FIFO `command` is opened and closed twice.
fn traced(exec: &str) -> String {
    format!(
        "cd /; {exec} {} -o $0/rootfs.tar --include-mount $0 -- sh -c 'cat $0/command; cat \
         $0/command' $0",
        env!("CARGO_BIN_EXE_micropacker")
    )
}

/// Lets a `cat` of this FIFO end. Waits until it has begun.
fn release(fifo: &Path) {
    drop(File::options().write(true).open(fifo).expect("opened"));
}

fn wait_until<T>(mut attempt: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + NEVER;
    loop {
        if let Some(result) = attempt() {
            return result;
        }
        assert!(Instant::now() < deadline, "it never came");
        std::thread::yield_now();
    }
}

fn only_child(pid: u32) -> u32 {
    wait_until(|| {
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        children.ok()?.trim().parse().ok()
    })
}

fn tracer(pid: u32) -> u32 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let tracer = status
        .lines()
        .find_map(|line| line.strip_prefix("TracerPid:"));
    tracer.expect("a line").trim().parse().expect("a number")
}

/// Micropacker as PID 1.
const AS_INIT: &str = "exec";
/// Micropacker as the child of PID 1, which ends only after a visitor has let it.
const BELOW_INIT: &str = "trap 'cat $0/after' EXIT;";

#[test]
fn what_a_visitor_and_its_children_use_is_in_the_image() {
    let Some(scene) = Scene::start("a visitor's files", home(), &traced(AS_INIT)) else {
        return;
    };
    release(&scene.path("command"));
    let script = "cat $0/visitor; cat $0/file & wait";
    let (mut nsenter, program) = scene.enter(&["sh", "-c", script, &scene.name()]);
    wait_until(|| (tracer(program) != 0).then_some(()));
    release(&scene.path("visitor"));
    assert!(nsenter.wait().expect("ended").success());
    release(&scene.path("command"));
    let file = scene.path("file").canonicalize().expect("there");
    let (told, names) = scene.finish();
    assert!(
        names.contains(file.strip_prefix("/").expect("absolute")),
        "{told}"
    );
}

#[test]
fn the_trace_does_not_wait_for_visitors_and_pid_1_takes_them_along() {
    let Some(scene) = Scene::start("a visitor's end", home(), &traced(AS_INIT)) else {
        return;
    };
    release(&scene.path("command"));
    let (mut nsenter, program) = scene.enter(&["sleep", "1000"]);
    wait_until(|| (tracer(program) != 0).then_some(()));
    release(&scene.path("command"));
    let (told, _) = scene.finish();
    // nsenter ends itself by the signal that ended its child.
    let status = nsenter.wait().expect("ended");
    assert_eq!(status.signal(), Some(libc::SIGKILL), "{told}");
}

#[test]
fn below_an_init_visitors_go_on_when_the_trace_has_ended() {
    let Some(scene) = Scene::start("a visitor that stays", home(), &traced(BELOW_INIT)) else {
        return;
    };
    release(&scene.path("command"));
    let fifo = format!("{}/visitor", scene.name());
    let (mut nsenter, program) = scene.enter(&["cat", &fifo]);
    wait_until(|| (tracer(program) != 0).then_some(()));
    release(&scene.path("command"));
    wait_until(|| (tracer(program) == 0).then_some(()));
    release(&scene.path("visitor"));
    assert!(nsenter.wait().expect("ended").success());
    release(&scene.path("after"));
    scene.finish();
}

#[test]
fn micropacker_itself_may_trace_in_there() {
    let Some(scene) = Scene::start("a tracer as visitor", home(), &traced(AS_INIT)) else {
        return;
    };
    release(&scene.path("command"));
    let output = format!("{}/inner.tar", scene.name());
    let inner = [env!("CARGO_BIN_EXE_micropacker"), "-q", "-o", &output, "--"];
    let (mut nsenter, _) = scene.enter(&[&inner[..], &["true"]].concat());
    assert!(nsenter.wait().expect("ended").success());
    assert!(scene.path("inner.tar").exists());
    release(&scene.path("command"));
    scene.finish();
}

#[test]
fn nobody_is_followed_who_should_not_be() {
    let command = traced("exec env MICROPACKER_VISITORS=off");
    let Some(scene) = Scene::start("--visitors off", home(), &command) else {
        return;
    };
    release(&scene.path("command"));
    let script = "cat $0/visitor; cat $0/file";
    let (mut nsenter, program) = scene.enter(&["sh", "-c", script, &scene.name()]);
    assert_eq!(tracer(program), 0);
    release(&scene.path("visitor"));
    assert!(nsenter.wait().expect("ended").success());
    release(&scene.path("command"));
    let (told, names) = scene.finish();
    assert!(!names.iter().any(|name| name.ends_with("file")), "{told}");
}
