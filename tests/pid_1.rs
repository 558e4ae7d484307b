//! micropacker as PID 1 of a PID namespace, as in a container. Needs root.

use std::process::{Command, Output};
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
