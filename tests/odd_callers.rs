//! Callers that go past a tracer, or lose something by one: what they get, and that it is told.

mod fixture;

use fixture::{Fixture, Outcome};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// What takes the two capabilities away that a plain container lacks.
const PLAIN_CONTAINER: [&str; 4] = [
    "setpriv",
    "--bounding-set=-sys_ptrace,-sys_admin",
    "--inh-caps=-sys_ptrace,-sys_admin",
    "--",
];

const MICROPACKER: &str = env!("CARGO_BIN_EXE_micropacker");

/// Runs a fixture under trace, behind `front`; what it promised must hold.
fn traced(name: &str, front: &[&str], options: &[&str]) -> Outcome {
    let prepared = Fixture::load(name).prepare();
    let tarball = prepared.home().join("rootfs.tar");
    let words = front.iter().copied().chain([MICROPACKER]);
    let line: Vec<&OsStr> = words
        .chain(options.iter().copied())
        .map(OsStr::new)
        .chain([OsStr::new("-o"), tarball.as_os_str(), OsStr::new("--")])
        .collect();
    let outcome = prepared.run(&line);
    prepared.assert_as_promised(&outcome, prepared.promised_end());
    outcome
}

fn untraced(name: &str) -> Outcome {
    Fixture::load(name).prepare().run(&[])
}

fn warnings(outcome: &Outcome) -> Vec<&str> {
    let lines = outcome.stderr.lines();
    lines
        .filter_map(|line| line.strip_prefix("micropacker: warning: "))
        .collect()
}

fn line_of<'a>(outcome: &'a Outcome, begin: &str) -> &'a str {
    let line = outcome.stderr.lines().find(|line| line.starts_with(begin));
    line.unwrap_or_else(|| panic!("no {begin}: {}", outcome.stderr))
}

#[test]
fn a_filter_tells_that_there_is_no_io_uring() {
    for engine in ["notify", "seccomp"] {
        let outcome = traced("io_uring", &[], &["--engine", engine]);
        let ring = line_of(&outcome, "ring: ");
        assert_eq!(ring, "ring: Function not implemented", "{engine}");
        assert_eq!(warnings(&outcome), [""; 0], "{engine}");
    }
}

#[test]
fn io_uring_that_is_allowed_or_cannot_be_refused_works_and_is_told() {
    let alone = untraced("io_uring");
    for options in [
        ["--engine", "notify", "--allow-io-uring"].as_slice(),
        &["--engine", "seccomp", "--allow-io-uring"],
        &["--engine", "syscall"],
    ] {
        let outcome = traced("io_uring", &[], options);
        assert_eq!(line_of(&outcome, "ring: "), line_of(&alone, "ring: "));
        let told = warnings(&outcome);
        assert!(
            matches!(told[..], [line] if line.starts_with("files that /") && line.contains("io_uring")),
            "{options:?}: {told:?}"
        );
    }
}

#[test]
fn a_listener_of_its_own_is_refused_beside_ours_and_that_is_told() {
    let outcome = traced("own_listener", &[], &["--engine", "notify"]);
    assert!(line_of(&outcome, "listener: ").contains("busy"));
    assert!(warnings(&outcome)[0].contains("seccomp listener"));
    let outcome = traced("own_listener", &[], &["--engine", "syscall"]);
    assert_eq!(line_of(&outcome, "listener: "), "listener: made");
    assert_eq!(warnings(&outcome), [""; 0]);
}

#[test]
fn a_child_that_no_tracer_may_follow_is_told_by_name() {
    for engine in ["notify", "seccomp", "syscall"] {
        let outcome = traced("untraced_child", &[], &["--engine", engine]);
        let told = warnings(&outcome);
        assert!(
            told.iter()
                .any(|line| line.contains("/untraced_child") && line.contains("CLONE_UNTRACED")),
            "{engine}: {told:?}"
        );
    }
}

#[test]
fn a_tracer_of_its_own_is_told_by_name() {
    for engine in ["notify", "seccomp", "syscall"] {
        let outcome = traced("own_tracer", &[], &["--engine", engine]);
        let result = line_of(&outcome, "ptrace: ");
        assert_eq!(result, "ptrace: Operation not permitted", "{engine}");
        let told = warnings(&outcome);
        assert!(
            matches!(told[..], [line] if line.contains("/own_tracer") && line.contains("(ptrace)")),
            "{engine}: {told:?}"
        );
    }
}

#[test]
fn a_process_that_may_not_be_made_visible_is_told_by_name() {
    if !nix::unistd::geteuid().is_root() {
        return eprintln!("not run, no root here");
    }
    for engine in ["notify", "seccomp", "syscall"] {
        let outcome = traced(
            "own_filter_before_drop",
            &PLAIN_CONTAINER,
            &["--engine", engine],
        );
        let told = warnings(&outcome).join("\n");
        assert!(told.contains("/own_filter_before_drop"), "{engine}: {told}");
        assert!(told.contains("--cap-add SYS_PTRACE"), "{engine}: {told}");
    }
}

#[test]
fn a_set_user_id_program_that_gains_nothing_is_named_with_the_remedy() {
    if !nix::unistd::geteuid().is_root() {
        return eprintln!("not run, no root here");
    }
    let home = tempfile::tempdir().expect("a temporary directory");
    let set_mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
    };
    set_mode(home.path(), 0o777);
    let program = home.path().join("effective");
    fs::copy("/usr/bin/id", &program).expect("a copy of id");
    set_mode(&program, 0o4755);
    // The ordinary user may not enter the build directory.
    let micropacker = home.path().join("micropacker");
    fs::copy(MICROPACKER, &micropacker).expect("a copy");
    let run = |front: &[&str], options: &[&str]| {
        let output = Command::new(front[0])
            .args(&front[1..])
            .arg(&micropacker)
            .args(options)
            .arg("-o")
            .arg(home.path().join("rootfs.tar"))
            .args(["--", "setpriv", "--reuid=65534", "--clear-groups"])
            .arg(&program)
            .arg("-u")
            .output()
            .expect("it runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        (text(output.stdout), text(output.stderr))
    };
    let untold = |stderr: &str| !stderr.contains("set-user-ID bit");
    let (stdout, stderr) = run(&PLAIN_CONTAINER, &[]);
    assert_eq!(stdout, "65534\n");
    let named = format!("{} would do with its set-user-ID bit", program.display());
    let line = stderr.lines().find(|line| line.contains(&named));
    assert!(
        line.is_some_and(
            |line| line.contains("--cap-add SYS_PTRACE") && line.contains("--keep-setuid")
        ),
        "{stderr}"
    );
    // What was taken away before is not our doing.
    let (stdout, stderr) = run(&["setpriv", "--no-new-privs", "--"], &[]);
    assert!(stdout == "65534\n" && untold(&stderr), "{stderr}");
    // With full privileges it keeps its meaning, where it has one.
    let alone = Command::new("setpriv")
        .args(["--reuid=65534", "--clear-groups"])
        .args([program.as_os_str(), OsStr::new("-u")])
        .output();
    if alone.expect("setpriv").stdout != b"0\n" || !has_sys_ptrace() {
        return eprintln!("not run in full: set-user-ID programs, or tracing them, are restricted");
    }
    let (stdout, stderr) = run(&["env"], &["--engine", "syscall"]);
    assert!(stdout == "0\n" && untold(&stderr), "{stdout}{stderr}");
}

fn has_sys_ptrace() -> bool {
    const SYS_PTRACE: u64 = 1 << 19;
    let status = fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = u64::from_str_radix(line.expect("CapEff").trim(), 16).expect("bits");
    effective & SYS_PTRACE != 0
}
