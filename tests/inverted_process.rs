//! `micropacker run --inverted` as an ordinary process: what is the command's own stays its own.

mod inversion;

use inversion::{ENGINES, MICROPACKER, holds, home, inverted, sh, stderr, stdout, tarball, until};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

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
