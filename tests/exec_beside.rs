//! What outlives the command of `micropacker exec`, and what ends or stops with it.

mod running_trace;

use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::Pid;
use running_trace::{Trace, Waiting, holds, stderr};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// No rule depends on it: what takes longer than this never comes.
const NEVER: Duration = Duration::from_secs(60);

/// Leaves a process behind that waits for a FIFO, and then uses a file.
const LEAVE: &str = "{ read go; read first < /etc/shells; } > /dev/null 2>&1 < $0 &";

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

fn fifo(trace: &Trace) -> PathBuf {
    let fifo = trace.home.path().join("fifo");
    nix::unistd::mkfifo(&fifo, Mode::S_IRWXU).expect("made");
    fifo
}

fn joined(trace: &Trace) -> usize {
    trace.status()["joined"].as_array().map_or(0, Vec::len)
}

/// Lets what was left behind go on, to its end, and looks at what is packed then.
fn assert_followed_to_the_end(trace: &Trace, fifo: PathBuf) {
    assert_eq!(joined(trace), 1);
    drop(File::options().write(true).open(fifo).expect("opened"));
    wait_until(|| (joined(trace) == 0).then_some(()));
    assert!(trace.ctl(&["pack"]).status.success());
    assert!(holds(&trace.tarball(), "/etc/shells"));
    assert_eq!(trace.status()["losses"], serde_json::json!([]));
}

fn child_of(pid: u32) -> i32 {
    wait_until(|| {
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
        // Its witness and its tracer are no commands.
        children.split_ascii_whitespace().find_map(|child| {
            let program = fs::read_link(format!("/proc/{child}/exe")).ok()?;
            (!program.ends_with("micropacker")).then_some(child.parse().ok()?)
        })
    })
}

fn status_line(pid: i32, name: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().to_owned())
}

#[test]
fn what_a_command_leaves_behind_is_followed_and_keeps_nobody_waiting() {
    let trace = Trace::start();
    let fifo = fifo(&trace);
    let script = format!("{LEAVE} read first < /etc/hostname; exit 4");
    let name = fifo.to_str().expect("UTF-8");
    // Its output is read to the end of file.
    let output = trace.exec(&["sh", "-c", &script, name]);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert_eq!(stderr(&output), "");
    // Nobody is asked for what is held back when the trace ends in this moment.
    assert!(trace.ctl(&["pack"]).status.success());
    assert!(holds(&trace.tarball(), "/etc/hostname"));
    assert!(!holds(&trace.tarball(), "/etc/shells"));
    assert_followed_to_the_end(&trace, fifo);
}

#[test]
fn who_kills_exec_kills_its_command_and_nothing_is_lost() {
    let trace = Trace::start();
    let fifo = fifo(&trace);
    let mut exec = trace.command("exec");
    let script = format!("{LEAVE} echo ready; read line");
    let mut exec = Waiting::start(exec.args(["--", "sh", "-c", &script]).arg(&fifo));
    let command = child_of(exec.child.id());
    exec.child.kill().expect("killed");
    exec.child.wait().expect("ended");
    wait_until(|| kill(Pid::from_raw(command), None).err());
    assert_followed_to_the_end(&trace, fifo);
}

#[test]
fn a_tracer_that_is_killed_takes_its_command_along_and_that_is_told() {
    let trace = Trace::start();
    let mut exec = trace.command("exec");
    let exec = Waiting::start(exec.args(["--", "sh", "-c", "echo ready; read line"]));
    let command = child_of(exec.child.id());
    let tracer = status_line(command, "TracerPid:").expect("it lives");
    let tracer = Pid::from_raw(tracer.parse().expect("a number"));
    assert_ne!(tracer.as_raw(), exec.child.id() as i32);
    kill(tracer, Signal::SIGKILL).expect("killed");
    let (status, _, told) = exec.end();
    assert_eq!(status, Some(128 + 9));
    assert!(told.contains("may be lost"), "{told}");
    let losses = trace.status()["losses"].to_string();
    assert!(losses.contains("broke off"), "{losses}");
}

/// Runs a command that stops itself, at the head of a session of its own, and lets it go on by a
/// signal to it alone.
fn assert_goes_on(front: &mut Command) {
    const ROUNDS: usize = 20;
    let script = format!(
        "i=0; while [ $i -lt {ROUNDS} ]; do i=$((i+1)); echo $i; kill -STOP $$; done; exit 3"
    );
    let mut child = front
        .args(["sh", "-c", &script])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    for round in 1..=ROUNDS {
        let line = lines.next().expect("a line").expect("text");
        assert_eq!(line, round.to_string());
        let command = child_of(child.id());
        let state = || status_line(command, "State:").filter(|state| state.starts_with('t'));
        wait_until(state);
        // Longer than anybody hesitates to stop as well.
        assert!(Command::new("true").status().expect("started").success());
        kill(Pid::from_raw(command), Signal::SIGCONT).expect("sent");
    }
    let status = wait_until(|| child.try_wait().expect("waited for"));
    assert_eq!(status.code(), Some(3));
}

#[test]
fn a_command_that_leads_a_session_goes_on_alone() {
    let trace = Trace::start();
    let supervisor = trace.shell.pid();
    for words in [
        &["exec", "--supervisor", &supervisor, "--"][..],
        &["-q", "-o", "/dev/null", "--"],
    ] {
        let mut front = Command::new("setsid");
        assert_goes_on(front.arg(running_trace::MICROPACKER).args(words));
    }
}
