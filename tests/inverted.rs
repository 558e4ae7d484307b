//! `micropacker run --inverted`: the command keeps the process that micropacker was started as,
//! PID 1 of a PID namespace for instance. Most of it needs root.

mod fixture;

use fixture::Fixture;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const MICROPACKER: &str = env!("CARGO_BIN_EXE_micropacker");
const ENGINES: [&str; 3] = ["notify", "seccomp", "syscall"];

/// Whoever waits for what never comes is ended.
const IN_CONTAINER: [&str; 7] = [
    "timeout",
    "--foreground",
    "60",
    "unshare",
    "--pid",
    "--fork",
    "--mount-proc",
];

fn home() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("not run, no root here");
    }
    root
}

fn tarball(home: &TempDir) -> PathBuf {
    home.path().join("rootfs.tar")
}

/// `front`, then micropacker, up to the command.
fn inverted(front: &[&str], home: &TempDir, options: &[&str]) -> Command {
    let mut command = Command::new("env");
    command
        .args(front)
        .args([MICROPACKER, "run", "--inverted", "-o"])
        .arg(tarball(home))
        .args(options)
        .arg("--");
    command
}

fn sh(mut command: Command, script: &str) -> Output {
    let output = command.args(["sh", "-c", script]).output();
    output.expect("started")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn holds(tarball: &Path, path: &str) -> bool {
    let wanted = path.trim_start_matches('/').as_bytes();
    let mut archive = tar::Archive::new(fs::File::open(tarball).expect("a tarball"));
    let mut entries = archive.entries().expect("entries");
    entries.any(|entry| *entry.expect("an entry").path_bytes() == *wanted)
}

/// Looks again and again, for as long as nothing here takes.
fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(40);
    while !condition() {
        assert!(Instant::now() < deadline, "waited for {what} in vain");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A traced PID 1 that has said its first line.
struct Container {
    outer: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// Its PID 1, as seen from here.
    init: Pid,
}

impl Container {
    fn start(home: &TempDir, options: &[&str], command: &[&OsStr]) -> Self {
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

    fn shell(home: &TempDir, options: &[&str], script: &str) -> Self {
        let command = ["sh", "-c", script].map(OsStr::new);
        Self::start(home, options, &command)
    }

    fn send(&self, signal: Signal) {
        kill(self.init, signal).expect("sent");
    }

    /// A command in the container, as `docker exec` would start it.
    fn enter(&self, words: &[&str]) -> Output {
        let init = self.init.to_string();
        Command::new("nsenter")
            .args(["--target", &init, "--pid", "--mount", "--"])
            .args(words)
            .output()
            .expect("started")
    }

    /// What it says until its end.
    fn end(mut self) -> Output {
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

fn only_child(pid: i32) -> i32 {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.expect("readable");
    let mut children = children.split_whitespace();
    children.next().expect("a child").parse().expect("a number")
}

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
fn everything_is_as_the_command_would_have_it_alone() {
    let script = "grep -e Sig[BIC] -e Groups -e Threads /proc/self/status; ls /proc/self/fd; \
                  ulimit -a; env | grep -v ^_=; umask; pwd; \
                  [ $(ps -o pgid= -p $$) = $$ ] && [ $(ps -o sid= -p $$) = $$ ] && echo leads";
    let home = home();
    let look = |front: &mut Command| {
        let output = front.args(["bash", "-c", script]).current_dir("/").output();
        stdout(&output.expect("started"))
    };
    let alone = look(Command::new("env").args(["setsid", "--wait"]));
    assert!(alone.ends_with("leads\n"), "{alone}");
    for engine in ENGINES {
        let front = ["setsid", "--wait"];
        let traced = look(&mut inverted(&front, &home, &["-q", "--engine", engine]));
        assert_eq!(traced, alone, "{engine}");
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
fn a_signal_ends_the_command_as_it_would_alone() {
    let home = home();
    for engine in ENGINES {
        let command = inverted(&[], &home, &["-q", "--engine", engine]);
        let output = sh(command, "kill -TERM $$");
        assert_eq!(output.status.signal(), Some(15), "{engine}");
        // It is in our hands a moment before its parent hears of its end.
        assert!(tarball(&home).exists());
        fs::remove_file(tarball(&home)).expect("removed");
    }
}

#[test]
fn pipes_end_when_the_command_closes_them() {
    let home = home();
    for engine in ENGINES {
        let mut child = inverted(&[], &home, &["-q", "--engine", engine])
            .args([
                "sh",
                "-c",
                "echo ready; exec > /dev/null; read x; exec < /dev/null; exec sleep 1000",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let mut said = String::new();
        let mut output = child.stdout.take().expect("a pipe");
        output.read_to_string(&mut said).expect("text");
        assert_eq!(said, "ready\n");
        let mut input = child.stdin.take().expect("a pipe");
        until("a broken pipe", || input.write_all(b"go\n").is_err());
        child.kill().expect("killed");
        child.wait().expect("ended");
        until("outputs", || tarball(&home).exists());
        fs::remove_file(tarball(&home)).expect("removed");
    }
}

#[test]
fn an_output_into_a_pipe_is_written_once_at_the_end() {
    let mut command = Command::new(MICROPACKER);
    command.args(["-q", "--inverted", "-o", "-", "--"]);
    let output = sh(command, "exec > /dev/null; cat /etc/shells");
    let mut archive = tar::Archive::new(&output.stdout[..]);
    let mut entries = archive.entries().expect("entries");
    assert!(entries.any(|entry| &*entry.expect("an entry").path_bytes() == b"etc/shells"));
}

#[test]
fn what_cannot_be_run_has_its_status() {
    let home = home();
    let text = home.path().join("text");
    fs::write(&text, "no program\n").expect("written");
    let script = home.path().join("script");
    fs::write(&script, "#!/no/such/interpreter\n").expect("written");
    for file in [&text, &script] {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).expect("set");
    }
    let (text, script) = (
        text.to_str().expect("UTF-8"),
        script.to_str().expect("UTF-8"),
    );
    for engine in ENGINES {
        let cases = [
            ("no-such-command", 127),
            (script, 127),
            (text, 126),
            ("/etc", 126),
        ];
        for (command, status) in cases {
            let mut front = inverted(&[], &home, &["--engine", engine]);
            let output = front.arg(command).output().expect("started");
            let told = stderr(&output);
            assert_eq!(output.status.code(), Some(status), "{engine}: {told}");
            assert_eq!(told.lines().count(), 1, "{told}");
            assert!(!tarball(&home).exists());
        }
    }
    let output = Command::new(MICROPACKER)
        .args(["--inverted", "--stop-timeout", "3", "-o"])
        .arg(tarball(&home))
        .args(["--", "true"])
        .output()
        .expect("started");
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
}

#[test]
fn who_is_traced_already_cannot_be_inverted() {
    let home = home();
    let outer = home.path().join("outer.tar");
    let output = Command::new(MICROPACKER)
        .args(["-q", "-o"])
        .arg(&outer)
        .args(["--", MICROPACKER, "--inverted", "-o"])
        .arg(tarball(&home))
        .args(["--", "true"])
        .output()
        .expect("started");
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(126), "{told}");
    assert!(told.contains("is traced by process"), "{told}");
}

#[test]
fn outputs_that_cannot_be_written_are_told_and_change_no_status() {
    let home = home();
    let directory = home.path().join("gone");
    fs::create_dir(&directory).expect("made");
    let output = Command::new(MICROPACKER)
        .args(["--inverted", "-o"])
        .arg(directory.join("rootfs.tar"))
        .args(["--", "sh", "-c", "rm -r \"$0\"; exit 7"])
        .arg(&directory)
        .output()
        .expect("started");
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(7), "{told}");
    assert!(told.contains("rootfs.tar"), "{told}");
}

#[test]
fn daemons_are_followed_to_their_end() {
    let home = home();
    let fifo = home.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("made");
    let script = "(cat \"$0\"; cat /etc/shells) > /dev/null 2>&1 & exit 3";
    let status = inverted(&[], &home, &["-q"])
        .args(["sh", "-c", script])
        .arg(&fifo)
        .status()
        .expect("started");
    assert_eq!(status.code(), Some(3));
    assert!(!tarball(&home).exists());
    fs::write(&fifo, "go").expect("written");
    until("outputs", || tarball(&home).exists());
    assert!(holds(&tarball(&home), "/etc/shells"));
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
