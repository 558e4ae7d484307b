//! `micropacker exec` and `micropacker ctl` beside a trace that runs.

mod running_trace;

use running_trace::{
    MICROPACKER, SCRIPT, STRANGER, Trace, Waiting, assert_refused, holds, is_root, output, stderr,
};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};

#[test]
fn what_exec_uses_is_packed_now_and_at_the_end() {
    let trace = Trace::start();
    let output = trace.exec(&["cat", "/etc/shells"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(output.stdout, fs::read("/etc/shells").expect("read"));
    assert_eq!(stderr(&output), "");

    let packed = trace.ctl(&["pack"]);
    assert!(packed.status.success(), "{}", stderr(&packed));
    let tarball = trace.tarball();
    let summary = String::from_utf8_lossy(&packed.stdout).into_owned();
    assert!(
        summary.contains(tarball.to_str().expect("UTF-8")),
        "{summary}"
    );
    assert!(holds(&tarball, "/etc/shells"));
    assert!(!holds(&tarball, "/etc/hostname"));

    let Trace { home, shell } = trace;
    let (status, ..) = shell.go_on();
    assert_eq!(status, Some(3));
    let tarball = home.path().join("rootfs.tar");
    assert!(holds(&tarball, "/etc/shells") && holds(&tarball, "/etc/hostname"));
}

#[test]
fn a_name_that_is_no_text_arrives_as_it_is() {
    let trace = Trace::start();
    let odd = trace
        .home
        .path()
        .join(std::ffi::OsStr::from_bytes(b"caf\xE9\n"));
    fs::write(&odd, "").expect("written");
    let output = output(trace.command("exec").args(["--", "cat"]).arg(&odd));
    assert!(output.status.success(), "{}", stderr(&output));
    // In a container the temporary directory may be a mount, which is no part of the image.
    let mut pack = trace.command("ctl");
    assert!(pack.arg("pack").status().expect("started").success());
    assert!(trace.tarball().exists());
    let paths = trace.status()["paths"].as_u64();
    assert!(paths > Some(3), "{paths:?}");
}

#[test]
fn the_exit_status_of_exec_is_that_of_its_command() {
    let trace = Trace::start();
    assert_eq!(trace.exec(&["sh", "-c", "exit 7"]).status.code(), Some(7));
    let killed = trace.exec(&["sh", "-c", "kill -USR1 $$"]);
    assert_eq!(killed.status.code(), Some(128 + 10));
    let missing = trace.exec(&["no-such-command"]);
    assert_refused(&missing, 127, &["no-such-command", "not found"]);
    assert_refused(&trace.exec(&["/etc"]), 126, &["directory"]);
    let status = trace.status();
    assert_eq!(
        status["losses"].as_array().map(Vec::len),
        Some(0),
        "{status}"
    );
}

#[test]
fn the_command_of_exec_sees_what_it_would_see_without_us() {
    const SURROUNDINGS: &str = "env | grep -v ^_= | sort; ulimit -a; umask; ls /proc/self/fd; \
         grep -E '^(SigBlk|SigIgn|SigCgt|Uid|Gid|Groups|CapEff):' /proc/self/status; cat";
    let trace = Trace::start();
    let with_input = |command: &mut Command| {
        let output = command
            .args(["sh", "-c", SURROUNDINGS])
            .stdin(fs::File::open("/etc/hostname").expect("opened"))
            .env("MICROPACKER_ENGINE", "auto")
            .output()
            .expect("started");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let alone = with_input(Command::new("env").args(["-u", "MICROPACKER_ENGINE"]));
    assert!(!alone.is_empty());
    assert_eq!(with_input(trace.command("exec").arg("--")), alone);
}

#[test]
fn a_signal_to_exec_is_passed_on() {
    let trace = Trace::start();
    let script = "trap 'kill $!; exit 5' USR1; echo ready; sleep 3600 & wait";
    let joined = Waiting::start(trace.command("exec").args(["--", "bash", "-c", script]));
    let pid = nix::unistd::Pid::from_raw(joined.child.id() as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::SIGUSR1).expect("sent");
    assert_eq!(joined.end().0, Some(5));
}

#[test]
fn the_status_tells_what_runs_and_what_was_seen() {
    let trace = Trace::start();
    let before = trace.status();
    assert_eq!(before["command"][2], SCRIPT, "{before}");
    assert_eq!(before["main"]["lives"], true);
    assert_eq!(before["pid"].to_string(), trace.shell.pid());
    assert_eq!(
        before["processes"],
        serde_json::json!({"now": 1, "ever": 1})
    );
    assert_eq!(
        before["outputs"][0].as_str(),
        trace.tarball().to_str(),
        "{before}"
    );
    let joined = Waiting::start(trace.command("exec").args(["--", "sh", "-c", SCRIPT]));
    let during = trace.status();
    assert_eq!(during["joined"][0]["command"][0], "sh", "{during}");
    assert_eq!(during["joined"][0]["pid"].to_string(), joined.pid());
    assert_eq!(joined.go_on().0, Some(3));
    let after = trace.status();
    assert_eq!(after["joined"], serde_json::json!([]));
    assert!(
        after["paths"].as_u64() > before["paths"].as_u64(),
        "{after}"
    );
    let text = trace.ctl(&["status"]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(
        text.contains("1 processes now") && text.contains("lost"),
        "{text}"
    );
}

#[test]
fn what_a_joined_command_has_used_so_far_is_packed() {
    let trace = Trace::start();
    let script = "read first < /etc/shells; echo ready; read line";
    let joined = Waiting::start(trace.command("exec").args(["--", "sh", "-c", script]));
    assert!(trace.ctl(&["pack"]).status.success());
    assert!(holds(&trace.tarball(), "/etc/shells"));
    joined.go_on();
}

#[test]
fn stop_ends_the_application_as_sigterm_would() {
    let trace = Trace::of("trap 'exit 5' TERM; echo ready; sleep 3600 & wait");
    let output = trace.ctl(&["stop", "--wait", "--json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let packed: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(packed["entries"].as_u64() > Some(0), "{packed}");
    let Trace { home, shell } = trace;
    assert!(home.path().join("rootfs.tar").exists());
    assert_eq!(shell.end().0, Some(5));
}

#[test]
fn stop_tells_whom_it_keeps_waiting_that_there_are_no_outputs() {
    let trace = Trace::of("trap 'exit 5' TERM; echo ready; sleep 3600 & wait");
    fs::create_dir(trace.tarball()).expect("made");
    let output = trace.ctl(&["stop", "--wait"]);
    assert_refused(&output, 125, &["rootfs.tar", "cannot write"]);
    assert_eq!(trace.shell.end().0, Some(125));
}

#[test]
fn a_stream_is_not_packed_early() {
    let shell = Waiting::start(Command::new(MICROPACKER).args([
        "-o",
        "/dev/null",
        "--",
        "sh",
        "-c",
        SCRIPT,
    ]));
    let pid = shell.pid();
    let pack = output(Command::new(MICROPACKER).args(["ctl", "pack", "--supervisor", &pid]));
    assert_refused(&pack, 125, &["/dev/null", "at the end"]);
    assert_eq!(shell.go_on().0, Some(3));
}

#[test]
fn others_may_join_and_not_drive() {
    if !is_root() {
        return;
    }
    let trace = Trace::start();
    for action in ["status", "pack", "stop"] {
        let output = output(trace.stranger("ctl").arg(action));
        assert_refused(&output, 126, &["not permitted", &STRANGER.to_string()]);
    }
    let output = output(trace.stranger("exec").args(["--", "cat", "/etc/shells"]));
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(trace.ctl(&["pack"]).status.success());
    assert!(holds(&trace.tarball(), "/etc/shells"));
}

#[test]
fn two_supervisors_are_told_apart() {
    let (one, two) = (Trace::start(), Trace::start());
    let output = output(Command::new(MICROPACKER).args(["ctl", "status"]));
    let words = [one.shell.pid(), two.shell.pid(), "--supervisor".to_owned()];
    assert_refused(&output, 126, &words.each_ref().map(String::as_str));
    assert!(one.exec(&["cat", "/etc/shells"]).status.success());
    for trace in [&one, &two] {
        assert!(trace.ctl(&["pack"]).status.success());
    }
    assert!(holds(&one.tarball(), "/etc/shells"));
    assert!(!holds(&two.tarball(), "/etc/shells"));
}

#[test]
fn where_nobody_traces_that_is_said() {
    let own = std::process::id().to_string();
    for words in [&["ctl", "status"][..], &["exec"]] {
        let mut command = Command::new(MICROPACKER);
        command.args(words).args(["--supervisor", &own]);
        if words == ["exec"] {
            command.args(["--", "true"]);
        }
        assert_refused(&output(&mut command), 126, &["no micropacker", &own]);
    }
}

#[test]
fn a_command_goes_on_when_the_supervisor_is_gone() {
    let mut trace = Trace::start();
    let joined = Waiting::start(trace.command("exec").args(["--", "sh", "-c", SCRIPT]));
    trace.shell.child.kill().expect("killed");
    trace.shell.child.wait().expect("ended");
    let (status, _, told) = joined.go_on();
    assert_eq!(status, Some(3), "{told}");
    assert!(told.contains("records no more"), "{told}");
}

#[test]
fn exec_within_the_trace_becomes_its_command() {
    let script =
        format!("{MICROPACKER} exec --supervisor $PPID -- cat /etc/shells; echo ready; read x");
    let home = tempfile::tempdir().expect("a temporary directory");
    let tarball = home.path().join("rootfs.tar");
    let output = Command::new(MICROPACKER)
        .arg("-o")
        .arg(&tarball)
        .args(["--", "sh", "-c", &script])
        .stdin(Stdio::null())
        .output()
        .expect("started");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.contains("/bin/sh") && said.ends_with("ready\n"),
        "{said}"
    );
    assert!(holds(&tarball, "/etc/shells"));
}
