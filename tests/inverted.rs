//! `micropacker run --inverted` as PID 1 of a PID namespace, as in a container. Needs root.

mod fixture;
mod inversion;

use fixture::Fixture;
use inversion::{
    Container, ENGINES, IN_CONTAINER, MICROPACKER, holds, home, inverted, is_root, sh, stderr,
    stdout, tarball, until,
};
use nix::sys::signal::Signal;
use std::ffi::OsStr;
use std::io::{BufRead, Write};
use std::time::{Duration, Instant};

#[test]
fn the_command_is_pid_1_and_its_tracer_is_nobody_to_it() {
    if !is_root() {
        return;
    }
    let fixture = Fixture::load("no_children").prepare();
    let home = home();
    for engine in ENGINES {
        let command = inverted(&IN_CONTAINER, &home, &["-q", "--engine", engine]);
        let output = sh(command, "echo $$; cat /etc/shells > /dev/null; exit 3");
        assert_eq!(
            (stdout(&output).as_str(), output.status.code()),
            ("1\n", Some(3))
        );
        assert!(holds(&tarball(&home), "/etc/shells"), "{engine}");
        let mut command = inverted(&IN_CONTAINER, &home, &["-q", "--engine", engine]);
        let output = command.arg(fixture.program()).output().expect("started");
        assert_eq!(output.status.code(), Some(6), "{}", stderr(&output));
    }
}

#[test]
fn outputs_are_written_after_a_kill_from_outside() {
    if !is_root() {
        return;
    }
    for engine in ENGINES {
        let home = home();
        let script = "echo ready; cat /etc/shells > /dev/null; echo used; while read x; do :; done";
        let mut container = Container::shell(&home, &["--engine", engine], script);
        let mut line = String::new();
        container.output.read_line(&mut line).expect("text");
        container.send(Signal::SIGKILL);
        let output = container.end();
        assert!(!output.status.success(), "it was killed");
        assert!(stderr(&output).contains("entries"), "{}", stderr(&output));
        assert!(holds(&tarball(&home), "/etc/shells"), "{engine}");
    }
}

#[test]
fn a_process_with_many_threads_is_held_at_the_end_of_its_last() {
    if !is_root() {
        return;
    }
    let script = "import sys,threading\n\
                  for i in range(30): threading.Thread(target=threading.Event().wait).start()\n\
                  print('ready', flush=True)\nopen('/etc/shells').read()\nprint('used', flush=True)";
    for engine in ENGINES {
        let home = home();
        let command = ["python3", "-c", script].map(OsStr::new);
        let mut container = Container::start(&home, &["-q", "--engine", engine], &command);
        let mut line = String::new();
        container.output.read_line(&mut line).expect("text");
        container.send(Signal::SIGKILL);
        assert!(!container.end().status.success(), "it was killed");
        assert!(holds(&tarball(&home), "/etc/shells"), "{engine}");
    }
    let zombie = Fixture::load("zombie_leader").prepare();
    for engine in ENGINES {
        let home = home();
        let mut command = inverted(&IN_CONTAINER, &home, &["-q", "--engine", engine]);
        let command = command.arg(zombie.program()).current_dir(zombie.scratch());
        let output = command.output().expect("started");
        assert_eq!(output.status.code(), Some(9), "{}", stderr(&output));
        assert!(tarball(&home).exists());
    }
}

#[test]
fn a_stop_signal_that_changes_nothing_packs_early() {
    if !is_root() {
        return;
    }
    // The second one has no handler, which as PID 1 is the same.
    for (engine, trap) in [
        ("notify", "trap '' TERM"),
        ("seccomp", ":"),
        ("syscall", ":"),
    ] {
        let home = home();
        let script =
            format!("{trap}; echo ready; read x; cat /etc/shells > /dev/null; echo used; read x");
        let mut container = Container::shell(&home, &["--engine", engine], &script);
        container.send(Signal::SIGTERM);
        until("early outputs", || tarball(&home).exists());
        assert!(!holds(&tarball(&home), "/etc/shells"));
        container.input.write_all(b"go\n").expect("written");
        let mut line = String::new();
        container.output.read_line(&mut line).expect("text");
        assert_eq!(line, "used\n", "it lives on");
        container.send(Signal::SIGKILL);
        let output = container.end();
        assert!(!output.status.success(), "it was killed");
        let told = stderr(&output);
        assert!(
            told.contains("packed early: SIGTERM has not ended"),
            "{told}"
        );
        assert!(holds(&tarball(&home), "/etc/shells"), "{engine}");
    }
}

#[test]
fn a_stop_signal_with_a_handler_is_the_commands_alone() {
    if !is_root() {
        return;
    }
    let home = home();
    let script = "trap 'echo heard; exit 5' TERM; echo ready; while :; do read x; done";
    let container = Container::shell(&home, &[], script);
    container.send(Signal::SIGTERM);
    let output = container.end();
    assert_eq!(
        (stdout(&output).as_str(), output.status.code()),
        ("heard\n", Some(5))
    );
    assert!(!stderr(&output).contains("early"), "{}", stderr(&output));
    assert!(tarball(&home).exists());
}

#[test]
fn who_kills_or_stops_everybody_spares_the_tracer() {
    if !is_root() {
        return;
    }
    let script = "sleep 1000 & sleep 1000 & kill -TERM -1; wait; echo ended
        sleep 1000 & kill -STOP -1; grep -c 'State:.*stop' /proc/$!/status
        kill -CONT -1; kill -KILL -1; wait; echo killed
        tracer=$(sed -n 's/^TracerPid:\t//p' /proc/self/status)
        kill -KILL $tracer; kill -STOP $tracer; kill -KILL -- -$tracer
        cat /etc/shells > /dev/null; exit 4";
    for engine in ENGINES {
        let home = home();
        let output = sh(
            inverted(&IN_CONTAINER, &home, &["-q", "--engine", engine]),
            script,
        );
        let expected = ("ended\n1\nkilled\n", Some(4));
        assert_eq!(
            (stdout(&output).as_str(), output.status.code()),
            expected,
            "{engine}"
        );
        assert!(holds(&tarball(&home), "/etc/shells"));
    }
}

#[test]
fn nobody_inside_stops_pid_1() {
    if !is_root() {
        return;
    }
    for engine in ENGINES {
        let home = home();
        let command = inverted(&IN_CONTAINER, &home, &["-q", "--engine", engine]);
        let output = sh(
            command,
            "kill -STOP $$; (kill -STOP 1); kill -KILL 1; echo on",
        );
        assert_eq!(stdout(&output), "on\n", "{engine}");
    }
}

#[test]
fn a_daemon_of_a_container_that_ends_with_the_command_costs_no_output() {
    if !is_root() {
        return;
    }
    let home = home();
    // The end of this init is the end of the daemon, before it has read anything.
    let script = "sleep 1000 & cat /etc/shells > /dev/null; exit 3";
    let below = ["sh", "-c", "\"$@\"; exit $?", "-"];
    let front: Vec<&str> = IN_CONTAINER.into_iter().chain(below).collect();
    let output = sh(inverted(&front, &home, &[]), script);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(holds(&tarball(&home), "/etc/shells"));
}

#[test]
fn the_control_socket_is_found_as_that_of_process_1() {
    if !is_root() {
        return;
    }
    let home = home();
    let script = "trap 'exit 5' TERM; echo ready; while :; do read x; done";
    let container = Container::shell(&home, &["-q"], script);
    let status = container.enter(&[MICROPACKER, "ctl", "status", "--json"]);
    assert!(status.status.success(), "{}", stderr(&status));
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).expect("JSON");
    assert_eq!(status["main"]["pid"], 1);
    assert_ne!(status["pid"], 1);
    let joined = container.enter(&[MICROPACKER, "exec", "--", "cat", "/etc/shells"]);
    assert!(joined.status.success(), "{}", stderr(&joined));
    let packed = container.enter(&[MICROPACKER, "ctl", "pack"]);
    assert!(packed.status.success(), "{}", stderr(&packed));
    assert!(holds(&tarball(&home), "/etc/shells"));
    let stopped = container.enter(&[MICROPACKER, "ctl", "stop", "--wait"]);
    assert!(stopped.status.success(), "{}", stderr(&stopped));
    assert!(
        stdout(&stopped).contains("rootfs.tar"),
        "{}",
        stdout(&stopped)
    );
    assert_eq!(container.end().status.code(), Some(5));
}

#[test]
fn visitors_are_followed() {
    if !is_root() {
        return;
    }
    let home = home();
    let script = "trap 'exit 5' TERM; echo ready; while :; do read x; done";
    let container = Container::shell(&home, &["-q"], script);
    // Long enough to be found.
    let visit = "cat /etc/shells; until grep -q 'TracerPid:.*[1-9]' /proc/self/status; do :; done; \
                 (cat /etc/networks & ) ; wait; cat /etc/hosts.deny /etc/debian_version";
    container.enter(&["sh", "-c", visit]);
    container.send(Signal::SIGTERM);
    assert_eq!(container.end().status.code(), Some(5));
    assert!(holds(&tarball(&home), "/etc/debian_version"));
}

/// A process that forks, opens and signals all the time.
const BUSY: &str = "echo ready; while :; do (cat /etc/shells /etc/hostname) > /dev/null; \
                    . /etc/profile; done";

#[test]
fn whenever_a_kill_comes_it_ends_with_outputs_or_a_word() {
    if !is_root() {
        return;
    }
    let mut moment = 12_345_u64;
    for round in 0..21 {
        let engine = ENGINES[round % ENGINES.len()];
        let home = home();
        let container = Container::shell(&home, &["--engine", engine], BUSY);
        // What is between two moments is not the machine's but this generator's (xorshift).
        moment ^= moment << 13;
        moment ^= moment >> 7;
        moment ^= moment << 17;
        let until = Instant::now() + Duration::from_micros(moment % 30_000);
        while Instant::now() < until {}
        container.send(Signal::SIGKILL);
        let output = container.end();
        assert!(!output.status.success(), "it was killed");
        let told = stderr(&output);
        let is_told = told.contains("micropacker: ");
        assert!(tarball(&home).exists() || is_told, "{engine}: {told}");
    }
}
