//! `--seccomp-profile`: what is called is counted, by whomever; what was recorded gives the same
//! profile again; and where nothing was counted there is none.

mod running_trace;

use running_trace::{MICROPACKER, SCRIPT, Waiting, assert_refused, output, stderr};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// A call that each kernel answers with ENOSYS, and one that each answers.
const PROGRAM: &str = r#"
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void)
{
	char page;
	syscall(SYS_nfsservctl, 0, 0, 0);
	return mincore((void *)(4096 * 16), 0, (void *)&page);
}
"#;

fn compiled(home: &TempDir) -> String {
    let (source, program) = (home.path().join("calls.c"), home.path().join("calls"));
    fs::write(&source, PROGRAM).expect("written");
    let mut compiler = Command::new("cc");
    let compiled = output(compiler.arg("-o").arg(&program).arg(&source));
    assert!(compiled.status.success(), "{}", stderr(&compiled));
    program.to_str().expect("UTF-8").to_owned()
}

fn profile(file: &Path) -> Value {
    serde_json::from_slice(&fs::read(file).expect("a profile")).expect("JSON")
}

/// Whether a rule permits this call.
fn permits(profile: &Value, name: &str) -> bool {
    let rules = profile["syscalls"].as_array().expect("rules").iter();
    let permitting = rules.filter(|rule| rule["action"] == "SCMP_ACT_ALLOW");
    let mut names = permitting.flat_map(|rule| rule["names"].as_array().expect("names"));
    names.any(|known| known == name)
}

fn packed(home: &TempDir, options: &[&str]) -> (std::process::Output, std::path::PathBuf) {
    let file = home.path().join("again.json");
    let _ = fs::remove_file(&file);
    let mut command = Command::new(MICROPACKER);
    command.args(["pack", "-o"]).arg(home.path().join("again"));
    command.arg("--seccomp-profile").arg(&file).args(options);
    (output(command.current_dir(home.path())), file)
}

#[test]
fn what_was_called_is_permitted_and_what_was_recorded_gives_the_same_profile_again() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let program = compiled(&home);
    let mut command = Command::new(MICROPACKER);
    command.current_dir(home.path()).args([
        "-o",
        "rootfs.tar",
        "--artifacts",
        "out",
        "--journal",
        "journal",
        "--seccomp-profile",
        "seccomp.json",
        "--",
        &program,
    ]);
    let run = output(&mut command);
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    assert!(stderr(&run).contains("slower"), "{}", stderr(&run));
    let file = home.path().join("seccomp.json");
    let profile = profile(&file);
    assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
    for name in ["mincore", "execve", "exit_group", "openat"] {
        assert!(permits(&profile, name), "{name}");
    }
    for name in ["nfsservctl", "mount", "ptrace", "socketpair"] {
        assert!(!permits(&profile, name), "{name}");
    }
    for source in [["--journal", "journal"], ["-i", "out/report.json"]] {
        let (again, written) = packed(&home, &source);
        assert!(again.status.success(), "{}", stderr(&again));
        let (first, second) = (fs::read(&file), fs::read(written));
        assert_eq!(first.expect("read"), second.expect("read"), "{source:?}");
    }
}

#[test]
fn calls_of_joined_commands_count() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let program = compiled(&home);
    let file = home.path().join("seccomp.json");
    let mut command = Command::new(MICROPACKER);
    command.arg("-o").arg(home.path().join("rootfs.tar"));
    command.arg("--seccomp-profile").arg(&file);
    let shell = Waiting::start(command.args(["--", "sh", "-c", SCRIPT]));
    let joined = |options: &[&str]| {
        let mut command = Command::new(MICROPACKER);
        command.args(["exec", "--supervisor", &shell.pid()]);
        output(command.args(options).args(["--", &program]))
    };
    // It would see some calls only.
    let refused = joined(&["--engine", "seccomp"]);
    assert_refused(&refused, 126, &["--engine seccomp", "leave --engine out"]);
    let status = joined(&[]);
    assert_eq!(status.status.code(), Some(0), "{}", stderr(&status));
    let (status, _, told) = shell.go_on();
    assert_eq!(status, Some(3), "{told}");
    assert!(permits(&profile(&file), "mincore"));
}

#[test]
fn where_nothing_was_counted_there_is_no_profile() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let mut command = Command::new(MICROPACKER);
    command.current_dir(home.path());
    let options = ["-o", "rootfs.tar", "--artifacts", "out", "--journal", "j"];
    let run = output(command.args(options).args(["--", "true"]));
    assert!(run.status.success(), "{}", stderr(&run));
    for source in [
        ["--journal", "j"],
        ["-i", "out/report.json"],
        ["-i", "out/files.txt"],
    ] {
        let (refused, written) = packed(&home, &source);
        assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
        let words = format!("no seccomp profile can be made of {}", source[1]);
        assert!(stderr(&refused).contains(&words), "{}", stderr(&refused));
        assert!(!written.exists());
    }
}

#[test]
fn an_engine_that_sees_some_calls_only_is_refused() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let mut command = Command::new(MICROPACKER);
    command.current_dir(home.path());
    let options = ["--engine", "notify", "--seccomp-profile", "seccomp.json"];
    let refused = output(command.args(options).args(["--", "true"]));
    assert_refused(&refused, 126, &["--engine notify", "leave --engine out"]);
    assert!(!home.path().join("seccomp.json").exists());
}
