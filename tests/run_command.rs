//! `micropacker run` as a user meets it: statuses, messages, and an application that does not
//! notice.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

fn micropacker(home: &TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_micropacker"));
    command.arg("-o").arg(home.path().join("rootfs.tar"));
    command
}

fn home() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn run(home: &TempDir, command: &[&str]) -> Output {
    let mut traced = micropacker(home);
    traced.arg("--").args(command);
    traced.output().expect("started")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// One line that begins as all our messages do and holds these words.
fn assert_says(output: &Output, status: i32, words: &[&str]) {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(status), "{text}");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 1, "{text}");
    assert!(text.starts_with("micropacker: "), "{text}");
    for word in words {
        assert!(text.contains(word), "{word:?} is not in: {text}");
    }
}

fn write_program(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
}

#[test]
fn the_applications_exit_status_is_ours() {
    let home = home();
    assert_eq!(run(&home, &["sh", "-c", "exit 7"]).status.code(), Some(7));
    let killed = run(&home, &["sh", "-c", "kill -USR1 $$"]);
    assert_eq!(killed.status.code(), Some(128 + 10));
}

#[test]
fn what_is_lost_is_a_failure_only_where_that_is_wished() {
    const LOSES: [&str; 6] = ["--include", "/none/*", "--", "sh", "-c", "exit 7"];
    let strict = home();
    let lossy = |options: &[&str]| {
        let mut command = micropacker(&strict);
        command.args(options).args(LOSES).output().expect("started")
    };
    let lax = lossy(&[]);
    assert_eq!(lax.status.code(), Some(7), "{}", stderr(&lax));
    assert!(stderr(&lax).contains("nothing matches --include /none/*"));
    fs::remove_file(strict.path().join("rootfs.tar")).expect("an output");
    let output = lossy(&["--strict"]);
    assert_eq!(output.status.code(), Some(125));
    assert!(
        stderr(&output).contains("1 different losses"),
        "{}",
        stderr(&output)
    );
    assert!(strict.path().join("rootfs.tar").exists());
    let mut command = micropacker(&strict);
    let output = command
        .args(["--strict", "--", "sh", "-c", "exit 7"])
        .output();
    assert_eq!(
        output.expect("started").status.code(),
        Some(7),
        "nothing was lost"
    );
}

#[test]
fn a_command_that_does_not_exist_is_127() {
    let home = home();
    let output = run(&home, &["no-such-command"]);
    assert_says(&output, 127, &["no-such-command", "not found", "PATH"]);
    let output = run(&home, &["/no/such/file"]);
    assert_says(&output, 127, &["/no/such/file", "no such file"]);
}

#[test]
fn what_cannot_be_run_is_126() {
    let home = home();
    assert_says(&run(&home, &["/etc"]), 126, &["/etc", "directory"]);
    let plain = home.path().join("plain");
    write_program(&plain, "text", 0o644);
    let name = plain.to_str().expect("UTF-8");
    assert_says(&run(&home, &[name]), 126, &[name, "chmod +x"]);
    write_program(&plain, "no program\n", 0o755);
    assert_says(&run(&home, &[name]), 126, &[name, "#!"]);
}

#[test]
fn a_missing_interpreter_is_named_as_the_cause() {
    let home = home();
    let script = home.path().join("script");
    write_program(&script, "#!/no/such/interpreter\n", 0o755);
    let name = script.to_str().expect("UTF-8");
    assert_says(&run(&home, &[name]), 127, &[name, "interpreter is missing"]);
}

#[test]
fn no_command_and_wrong_options_are_usage_errors() {
    let home = home();
    assert_says(&run(&home, &[]), 2, &["no command", "--"]);
    let output = micropacker(&home).arg("--bad").output().expect("started");
    assert_eq!(output.status.code(), Some(2));
    let pattern = micropacker(&home)
        .args(["--include", "/a[", "--", "true"])
        .output()
        .expect("started");
    assert_says(&pattern, 2, &["--include", "/a["]);
}

#[test]
fn a_traced_tracer_says_so() {
    let home = home();
    let output = micropacker(&home)
        .args(["-q", "--", env!("CARGO_BIN_EXE_micropacker"), "-q", "-o"])
        .arg(home.path().join("inner.tar"))
        .args(["--", "true"])
        .output()
        .expect("started");
    assert_says(
        &output,
        126,
        &["ptrace is not permitted", "traced by process"],
    );
    assert!(!home.path().join("inner.tar").exists());
}

#[test]
fn an_output_that_cannot_be_written_ends_it_before_the_command_runs() {
    let home = home();
    let marker = home.path().join("ran");
    let output = Command::new(env!("CARGO_BIN_EXE_micropacker"))
        .args(["-o", "/no/such/directory/rootfs.tar", "--", "touch"])
        .arg(&marker)
        .output()
        .expect("started");
    assert_says(&output, 125, &["/no/such/directory/rootfs.tar"]);
    assert!(!marker.exists());
}

#[test]
fn a_full_disk_leaves_no_output_and_no_remains() {
    let home = home();
    // A file size limit fails the write as a full disk does, only with another errno.
    let script = "trap '' XFSZ; ulimit -f 8; exec \"$0\" -o \"$1\" --journal none -- sh -c 'cat /etc/passwd'";
    let tarball = home.path().join("rootfs.tar");
    let output = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_micropacker")])
        .arg(&tarball)
        .stdout(Stdio::null())
        .output()
        .expect("started");
    assert_says(&output, 125, &["cannot write", "rootfs.tar"]);
    assert_eq!(fs::read_dir(home.path()).expect("a directory").count(), 0);
}

/// What a process can see of its surroundings.
const SURROUNDINGS: &str = "env | grep -v ^_= | sort; ulimit -a; umask; ls /proc/self/fd; \
     grep -E '^(SigBlk|SigIgn|SigCgt|Uid|Gid|Groups|CapEff):' /proc/self/status; \
     ps -o pgid=,sid=,ppid= -p $$ | wc -l; cat";

#[test]
fn the_application_sees_what_it_would_see_without_us() {
    let home = home();
    let with_input = |mut command: Command| {
        command
            .env("MICROPACKER_LISTED", "skip")
            .stdin(fs::File::open("/etc/hostname").expect("opened"))
            .output()
            .expect("started")
    };
    let mut traced = micropacker(&home);
    traced.args(["--", "sh", "-c", SURROUNDINGS]);
    let mut alone = Command::new("env");
    alone.args(["-u", "MICROPACKER_LISTED", "sh", "-c", SURROUNDINGS]);
    let (traced, alone) = (with_input(traced), with_input(alone));
    assert!(!alone.stdout.is_empty());
    assert_eq!(
        String::from_utf8_lossy(&traced.stdout),
        String::from_utf8_lossy(&alone.stdout)
    );
}

#[test]
fn ignored_signals_stay_ignored() {
    let home = home();
    let script = "trap '' PIPE CHLD USR2; exec \"$@\"";
    let look = ["grep", "SigIgn", "/proc/self/status"];
    let under = |front: &[&str]| {
        let output = Command::new("bash")
            .args(["-c", script, "-"])
            .args(front)
            .args(look)
            .output()
            .expect("started");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let tarball = home.path().join("rootfs.tar");
    let tarball = tarball.to_str().expect("UTF-8");
    let traced = under(&[env!("CARGO_BIN_EXE_micropacker"), "-o", tarball, "--"]);
    assert_eq!(traced, under(&[]));
}

#[test]
fn the_same_run_gives_the_same_bytes() {
    let home = home();
    let tarball = home.path().join("rootfs.tar");
    let mut digests = Vec::new();
    for _ in 0..2 {
        let output = micropacker(&home)
            // Others write there meanwhile, which its time tells.
            .args(["--exclude", "/tmp", "--exclude", "/var/tmp"])
            .args(["--", "cat", "/etc/hostname"])
            .current_dir("/")
            .output()
            .expect("started");
        assert!(output.status.success(), "{}", stderr(&output));
        digests.push(fs::read(&tarball).expect("a tarball"));
    }
    assert!(digests[0] == digests[1], "the tarballs differ");
}

#[test]
fn secrets_are_left_out_by_name_and_said() {
    let home = home();
    let artifacts = home.path().join("out");
    let output = micropacker(&home)
        .arg("--artifacts")
        .arg(&artifacts)
        .args(["--keep-env", "KEPT_TOKEN", "--", "true"])
        .envs([
            ("DB_PASSWORD", "hunter2"),
            ("KEPT_TOKEN", "x"),
            ("PLAIN", "y"),
        ])
        .output()
        .expect("started");
    let told = stderr(&output);
    assert!(
        told.contains("DB_PASSWORD") && !told.contains("hunter2"),
        "{told}"
    );
    let dockerfile = fs::read_to_string(artifacts.join("Dockerfile")).expect("written");
    assert!(!dockerfile.contains("hunter2"), "{dockerfile}");
    assert!(
        dockerfile.contains("KEPT_TOKEN") && dockerfile.contains("PLAIN"),
        "{dockerfile}"
    );
    let image = fs::read(artifacts.join("image.tar")).expect("written");
    assert!(!image.windows(7).any(|window| window == b"hunter2"));
}

#[test]
fn home_is_kept_where_no_passwd_file_can_tell_it() {
    let home = home();
    let artifacts = home.path().join("out");
    let dockerfile_of = |command: &[&str]| {
        let output = micropacker(&home)
            .arg("--artifacts")
            .arg(&artifacts)
            .arg("--")
            .args(command)
            .env("HOME", "/here")
            .stdout(Stdio::null())
            .output()
            .expect("started");
        assert!(output.status.success(), "{}", stderr(&output));
        fs::read_to_string(artifacts.join("Dockerfile")).expect("written")
    };
    assert!(dockerfile_of(&["true"]).contains("ENV HOME="));
    assert!(!dockerfile_of(&["cat", "/etc/passwd"]).contains("ENV HOME="));
}

#[test]
fn what_is_asked_for_and_is_not_there_is_written_down() {
    let home = home();
    let missing = home.path().join("missing");
    let absent = home.path().join("absent");
    let mut traced = micropacker(&home);
    traced.arg("--missing").arg(&missing).arg("--");
    let traced = traced.args(["cat", "/etc/passwd"]).arg(&absent);
    assert_eq!(traced.output().expect("started").status.code(), Some(1));
    let text = fs::read_to_string(&missing).expect("text");
    let line = format!(r#"{{"path":"{}","access":["open"],"#, absent.display());
    let asked: Vec<&str> = text.lines().filter(|it| it.starts_with(&line)).collect();
    assert_eq!(asked.len(), 1, "{text}");
    assert!(asked[0].contains(r#""call":"open"#), "{text}");
    assert!(!text.contains("/etc/passwd"), "{text}");
}

#[test]
fn what_outlives_the_command_is_waited_for() {
    let home = home();
    let (input, trigger) = nix::unistd::pipe().expect("a pipe");
    let mut child = micropacker(&home)
        .args([
            "--",
            "sh",
            "-c",
            "(read line; cat /etc/shells > /dev/null) & echo gone",
        ])
        .stdin(input)
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let mut first = String::new();
    let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
    output.read_line(&mut first).expect("text");
    assert_eq!(first, "gone\n");
    assert!(
        child.try_wait().expect("asked").is_none(),
        "it did not wait"
    );
    drop(trigger);
    assert!(child.wait().expect("ended").success());
}

#[test]
fn what_was_used_and_others_have_removed_is_told() {
    let home = home();
    let gone = home.path().join("gone");
    fs::write(&gone, "x\n").expect("written");
    let mut child = micropacker(&home)
        .args(["--", "sh", "-c", "cat \"$0\"; read line"])
        .arg(&gone)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    let mut used = String::new();
    let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
    output.read_line(&mut used).expect("text");
    fs::remove_file(&gone).expect("removed");
    let told = stderr(&child.wait_with_output().expect("ended"));
    let line = told.lines().find(|line| line.contains("are gone"));
    assert!(line.is_some_and(|line| line.contains("/gone")), "{told}");
}

#[test]
fn a_list_in_a_variable_has_a_value_on_each_line() {
    let home = home();
    let output = micropacker(&home)
        .args(["--", "true"])
        .env("MICROPACKER_INCLUDE", "/etc/{hostname,shells}\n/etc/issue")
        .output()
        .expect("started");
    assert!(output.status.success(), "{}", stderr(&output));
    let file = fs::File::open(home.path().join("rootfs.tar")).expect("a tarball");
    let mut archive = tar::Archive::new(file);
    let names: Vec<Vec<u8>> = archive
        .entries()
        .expect("entries")
        .map(|entry| entry.expect("an entry").path_bytes().into_owned())
        .collect();
    for wanted in ["etc/hostname", "etc/shells", "etc/issue"] {
        assert!(
            names.iter().any(|name| name == wanted.as_bytes()),
            "{wanted}"
        );
    }
}
