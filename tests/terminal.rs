//! On a terminal, a command under micropacker shows what it shows without: the same session,
//! played with and without us, gives the same transcript, whichever engine traces.

mod fixture;
mod pty;

use fixture::Fixture;
use nix::sys::signal::Signal;
use pty::{PROMPT, Session};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use tempfile::TempDir;

const ENGINES: [&str; 3] = ["notify", "seccomp", "syscall"];
const SHELL: [&str; 4] = ["bash", "--norc", "--noediting", "-i"];

const INTERRUPT: &str = "\x03";
const END: &str = "\x04";
const QUIT: &str = "\x1c";
const SUSPEND: &str = "\x1a";

fn home() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

/// micropacker and its options up to the command.
fn traced_by(engine: &str, home: &TempDir) -> Vec<OsString> {
    let tarball = home.path().join("rootfs.tar");
    let options = ["-q", "--engine", engine, "-o"].map(OsString::from);
    let mut line = vec![OsString::from(env!("CARGO_BIN_EXE_micropacker"))];
    line.extend(options);
    line.extend([tarball.into_os_string(), OsString::from("--")]);
    line
}

/// Plays a session behind nothing, then behind an inverted micropacker with each engine.
fn same_inverted(play: impl Fn(&[OsString]) -> (String, ExitStatus)) {
    let (alone, status) = play(&[]);
    let home = home();
    for engine in ENGINES {
        let mut front = traced_by(engine, &home);
        front.insert(1, OsString::from("--inverted"));
        let (traced, traced_status) = play(&front);
        assert_eq!(traced, alone, "{engine}");
        assert_eq!(traced_status, status, "{engine}: {alone}");
    }
}

/// Plays a session behind nothing, then behind micropacker with each engine.
fn same_with_each_engine(play: impl Fn(&[OsString]) -> (String, ExitStatus)) {
    let (alone, status) = play(&[]);
    let home = home();
    for engine in ENGINES {
        let (traced, traced_status) = play(&traced_by(engine, &home));
        assert_eq!(traced, alone, "{engine}");
        assert_eq!(traced_status, status, "{engine}: {alone}");
    }
}

/// Waits for a job to stop without a word.
const UNTIL_STOPPED: &str = "until jobs | grep -q Stopped; do :; done";

/// `front` and then the shell that is driven.
fn shell_behind(front: &[OsString]) -> Vec<OsString> {
    let shell = SHELL.map(OsString::from);
    front.iter().cloned().chain(shell).collect()
}

/// What a user does in a shell.
fn use_shell(mut session: Session) -> (String, ExitStatus) {
    session.expect(PROMPT);
    session.send("cat\n").expect("cat\r\n");
    session.send("one\n").expect("one\r\none\r\n");
    session.send(INTERRUPT).expect(PROMPT);
    session.send("cat\n").expect("cat\r\n");
    session.send("two\n").expect("two\r\ntwo\r\n");
    session.send(SUSPEND).expect(PROMPT);
    session.at_prompt("jobs");
    session.send("fg\n").expect("fg\r\ncat\r\n");
    session.send("three\n").expect("three\r\nthree\r\n");
    session.send(END).expect(PROMPT);
    // It wants to read, and later to write, in the background.
    session.at_prompt(&format!("cat & {UNTIL_STOPPED}"));
    session.send("fg\n").expect("fg\r\ncat\r\n");
    session.send(END).expect(PROMPT);
    session.at_prompt(&format!("stty tostop; (echo x) & {UNTIL_STOPPED}"));
    session.at_prompt("stty -tostop; fg");
    // A shell's wait sleeps in sigsuspend(2): a signal that comes before it is not missed, as it
    // may be before a read. What it waits for ends with the trap, which may have come first.
    let traps = |signal: &str, tells: &str| {
        format!(
            "sh -c 'trap \"echo {tells}; kill \\$! 2>/dev/null; exit 5\" {signal}; sleep 60 & echo up; wait'\n"
        )
    };
    session.send(&traps("WINCH", "resized"));
    session
        .expect("\r\nup\r\n")
        .resize(33)
        .expect("resized\r\n");
    session.expect(PROMPT).at_prompt("stty size");
    session.send(&traps("QUIT", "quit"));
    session.expect("\r\nup\r\n").send(QUIT).expect("quit\r\n");
    session.expect(PROMPT).at_prompt("echo $?");
    session.at_prompt("ps -o stat=,comm= -p $$");
    session.send("exit 3\n");
    let (transcript, status) = session.end();
    (without_numbers_of_jobs(&transcript), status)
}

/// `[1] 4711`: `[1] PID`.
fn without_numbers_of_jobs(transcript: &str) -> String {
    let line = |line: &str| match line.split_once("] ") {
        Some((job, pid)) if job.starts_with('[') && pid.trim().parse::<u32>().is_ok() => {
            format!("{job}] PID\n")
        }
        _ => line.to_owned(),
    };
    transcript.split_inclusive('\n').map(line).collect()
}

#[test]
fn a_shell_that_leads_its_session() {
    same_with_each_engine(|front| use_shell(Session::start(&shell_behind(front))));
    same_inverted(|front| use_shell(Session::start(&shell_behind(front))));
}

#[test]
fn a_shell_as_pid_1_of_a_container() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("not run, no root here");
        return;
    }
    let play = |front: &[OsString]| {
        let container = [
            "unshare",
            "--pid",
            "--fork",
            "--mount-proc",
            "setsid",
            "--ctty",
        ];
        let mut line: Vec<OsString> = container.map(OsString::from).to_vec();
        line.extend(shell_behind(front));
        use_shell(Session::start_without_control(&line))
    };
    same_with_each_engine(play);
    same_inverted(play);
}

#[test]
fn a_shell_below_an_init() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("not run, no root here");
        return;
    }
    // It does what an init of the engine does: a process group of its own for its child, in the
    // foreground.
    let init = "set -m; \"$@\"; exit $?";
    same_with_each_engine(|front| {
        let container = [
            "unshare",
            "--pid",
            "--fork",
            "--mount-proc",
            "setsid",
            "--ctty",
            "sh",
            "-c",
            init,
            "-",
        ];
        let mut line: Vec<OsString> = container.map(OsString::from).to_vec();
        line.extend(shell_behind(front));
        use_shell(Session::start_without_control(&line))
    });
}

/// A script that starts its arguments behind `front`, so that each session shows the same name.
fn script(home: &TempDir, front: &[OsString]) -> PathBuf {
    let path = home.path().join("run");
    let front: Vec<String> = front
        .iter()
        .map(|word| format!("'{}'", word.to_str().expect("UTF-8")))
        .collect();
    let text = format!("#!/bin/sh\nexec {} \"$@\"\n", front.join(" "));
    fs::write(&path, text).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("set");
    path
}

/// What a user does with jobs of a shell: `run` stands before each.
fn use_jobs(mut session: Session, counter: &str) -> (String, ExitStatus) {
    session.expect(PROMPT);
    session.send("run cat\n").expect("cat\r\n");
    session.send("one\n").expect("one\r\none\r\n");
    session.send(INTERRUPT).expect(PROMPT).at_prompt("echo $?");
    session.send("run cat\n").expect("cat\r\n");
    session.send("two\n").expect("two\r\ntwo\r\n");
    session.send(SUSPEND).expect(PROMPT);
    session.at_prompt("jobs").send("fg\n").expect("run cat\r\n");
    session.send("three\n").expect("three\r\nthree\r\n");
    session.send(SUSPEND).expect(PROMPT);
    // It goes on, wants to read, and is stopped for that.
    session.at_prompt(&format!("bg; {UNTIL_STOPPED}"));
    session.send("fg\n").expect("run cat\r\n");
    session.send("four\n").expect("four\r\nfour\r\n");
    session.send(END).expect(PROMPT).at_prompt("echo $?");
    // Signals to the job, which is a group, arrive once.
    session
        .send(&format!("run {counter}\n"))
        .expect("\r\nup\r\n");
    session.send(SUSPEND).expect(PROMPT);
    session.send("kill -USR1 %%; kill -USR2 %%; fg\n");
    session.expect("signal 10\r\n").expect("signal 12\r\n");
    session.send(SUSPEND).expect(PROMPT);
    // Not by the shell's own kill, which makes the job go on as well.
    session.send("env kill -TERM -- -$(jobs -p); fg\n");
    session.expect("signal 15\r\n").expect(PROMPT);
    session.at_prompt("echo $?");
    // It stops itself.
    session.at_prompt("run sh -c 'kill -STOP $$; echo on'");
    session.send("fg\n").expect("\r\non\r\n").expect(PROMPT);
    // Two in one pipeline share a group.
    session.send("run cat | run cat\n").expect("cat\r\n");
    session.send("five\n").expect("five\r\nfive\r\n");
    session.send(SUSPEND).expect(PROMPT);
    session.send("fg\n").expect("cat\r\n");
    session.send(END).expect(PROMPT);
    session.at_prompt("run sh -c 'kill -INT $$'; echo $?");
    session.resize(44).at_prompt("run stty size");
    session.send("exit 3\n");
    let (transcript, status) = session.end();
    (without_numbers_of_jobs(&transcript), status)
}

#[test]
fn jobs_of_a_shell() {
    let counter = Fixture::load("signal_counter").prepare();
    let counter = counter.program().display().to_string();
    let play = |front: &[OsString]| {
        let home = home();
        script(&home, front);
        let path = format!("PATH={}:/usr/bin:/bin", home.path().display());
        let mut line = vec!["env", &path];
        line.extend(SHELL);
        use_jobs(Session::start(&line), &counter)
    };
    same_with_each_engine(play);
    same_inverted(play);
}

#[test]
fn a_closed_terminal_reaches_the_command_that_leads_the_session() {
    let home = home();
    for engine in ENGINES {
        let mark = home.path().join(engine);
        let script = "trap 'echo hangup > \"$0\"; exit 6' HUP; echo up; while :; do read x; done";
        let mut line = traced_by(engine, &home);
        line.extend(["bash", "-c", script].map(OsString::from));
        line.push(mark.clone().into_os_string());
        let mut session = Session::start(&line);
        session.expect("up\r\n");
        assert_eq!(session.hang_up().code(), Some(6), "{engine}");
        assert_eq!(fs::read_to_string(&mark).expect("a mark"), "hangup\n");
    }
}

#[test]
fn a_queued_signal_arrives_once_with_its_value() {
    let counter = Fixture::load("signal_counter").prepare();
    let home = home();
    for engine in ENGINES {
        let mut line = traced_by(engine, &home);
        line.push(counter.program().into_os_string());
        let mut session = Session::start(&line);
        session.expect("up\r\n");
        let pid = session.pid().to_string();
        // 34 is the first that programs of glibc use, and one that musl keeps for itself.
        for (signal, value) in [("34", "5"), ("37", "6"), ("37", "7"), ("64", "8")] {
            let kill = Command::new("kill")
                .args(["-s", signal, "-q", value, &pid])
                .status()
                .expect("kill");
            assert!(kill.success());
            session.expect(&format!("signal {signal} with {value}\r\n"));
        }
        nix::sys::signal::kill(session.pid(), Signal::SIGTERM).expect("sent");
        let (transcript, status) = session.end();
        assert!(
            transcript.ends_with("with 8\r\nsignal 15\r\n"),
            "{transcript}"
        );
        assert_eq!(status.code(), Some(4), "{engine}");
    }
}
