//! micropacker as PID 1 of a PID namespace, as in a container. Needs root.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// The environment of each test: none without root.
fn container() -> Option<TempDir> {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("not run, no root here");
        return None;
    }
    Some(tempfile::tempdir().expect("a temporary directory"))
}

/// Whoever waits for what never comes is ended.
const IN_CONTAINER: [&str; 6] = [
    "timeout",
    "60",
    "unshare",
    "--pid",
    "--fork",
    "--mount-proc",
];

fn micropacker(home: &TempDir, options: &[&str], script: &str) -> Command {
    let mut command = Command::new(IN_CONTAINER[0]);
    command
        .args(&IN_CONTAINER[1..])
        .args(["setsid", env!("CARGO_BIN_EXE_micropacker"), "-q", "-o"])
        .arg(home.path().join("rootfs.tar"))
        .args(options)
        .args(["--", "sh", "-c", script]);
    command
}

fn run(home: &TempDir, options: &[&str], script: &str) -> Output {
    let output = micropacker(home, options, script).output();
    output.expect("started")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn orphans_are_reaped() {
    let Some(home) = container() else { return };
    let script = "pid=$(sh -c 'true & echo $!'); while kill -0 $pid; do :; done 2>&-; echo gone";
    let output = run(&home, &[], script);
    assert_eq!(
        (stdout(&output).as_str(), output.status.code()),
        ("gone\n", Some(0))
    );
}

#[test]
fn the_command_leads_a_session_as_it_would_alone() {
    let Some(home) = container() else { return };
    let output = run(
        &home,
        &[],
        "ps -o pid=,pgid=,sid= -p $$ | tr -s ' ' '\\n' | sort -u | wc -l",
    );
    // An empty line and one number.
    assert_eq!(stdout(&output), "2\n");
}

#[test]
fn killing_everything_from_inside_spares_the_outputs() {
    let Some(home) = container() else { return };
    let output = run(&home, &[], "sleep 1000 & kill -9 -1; wait $!; echo $?");
    assert_eq!(stdout(&output), "137\n");
    assert!(home.path().join("rootfs.tar").exists());
}

#[test]
fn who_signals_pid_1_means_the_command() {
    let Some(home) = container() else { return };
    let script = "trap 'echo heard; exit 5' USR1; (kill -USR1 1); while :; do :; done";
    let output = run(&home, &[], script);
    assert_eq!(
        (stdout(&output).as_str(), output.status.code()),
        ("heard\n", Some(5))
    );
}

#[test]
fn the_command_cannot_be_stopped_from_inside() {
    let Some(home) = container() else { return };
    let output = run(&home, &[], "kill -STOP $$; echo on");
    assert_eq!(stdout(&output), "on\n");
}

/// What waits for its standard input, with a pipe that never says anything.
fn start(mut command: Command) -> (std::process::Child, BufReader<std::process::ChildStdout>) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    output.read_line(&mut line).expect("text");
    assert_eq!(line, "ready\n");
    (child, output)
}

fn only_child(pid: u32) -> u32 {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.expect("readable");
    let mut children = children.split_whitespace();
    children.next().expect("a child").parse().expect("a number")
}

fn terminate(pid: u32) {
    kill(Pid::from_raw(pid.cast_signed()), Signal::SIGTERM).expect("sent");
}

#[test]
fn an_entrypoint_that_ignores_signals_costs_no_output() {
    let Some(home) = container() else { return };
    let script = "trap '' TERM; echo ready; while read x; do :; done; sleep 1000";
    let (child, _output) = start(micropacker(&home, &["--stop-timeout", "1"], script));
    // timeout, unshare, micropacker.
    terminate(only_child(only_child(child.id())));
    let output = child.wait_with_output().expect("ended");
    assert_eq!(output.status.code(), Some(137));
    assert!(home.path().join("rootfs.tar").exists());
}

#[test]
fn below_an_init_a_stop_reaches_the_command_and_the_outputs_are_written() {
    let Some(home) = container() else { return };
    // It passes SIGTERM on and ends with its child, as those of engines do.
    let init = "\"$@\" <&3 & trap \"kill -TERM $!\" TERM; wait $!; wait $!; exit $?";
    let script = "trap 'exit 5' TERM; echo ready; while :; do read x; done";
    let mut command = Command::new(IN_CONTAINER[0]);
    command
        .args(&IN_CONTAINER[1..])
        .args(["sh", "-c", &format!("exec 3<&0; {init}"), "-"])
        .args([env!("CARGO_BIN_EXE_micropacker"), "-q", "-o"])
        .arg(home.path().join("rootfs.tar"))
        .args(["--", "sh", "-c", script]);
    let (child, _output) = start(command);
    terminate(only_child(only_child(child.id())));
    let output = child.wait_with_output().expect("ended");
    assert_eq!(output.status.code(), Some(5));
    assert!(home.path().join("rootfs.tar").exists());
}
