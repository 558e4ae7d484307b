//! What a program can see of its environment and of its children is the same under trace, but
//! for what docs/limits.md tells. The program is in `tests/transparency/`.

mod running_trace;

use running_trace::{MICROPACKER, Trace, is_root};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;
use tempfile::TempDir;

const ENGINES: [&str; 3] = ["notify", "seccomp", "syscall"];

/// What takes the two capabilities away that a plain container lacks.
const PLAIN_CONTAINER: [&str; 4] = [
    "setpriv",
    "--bounding-set=-sys_ptrace,-sys_admin",
    "--inh-caps=-sys_ptrace,-sys_admin",
    "--",
];

/// A start with everything set that a start can set: signals, descriptors, limits, priority.
const ODD_START: [&str; 4] = [
    "sh",
    "-c",
    "umask 027; ulimit -c 0; ulimit -S -n 200; ulimit -S -s 4096; exec 5</etc/passwd 9>/dev/null <&-
    cd /usr/lib
    exec env --ignore-signal=CHLD,PIPE,TERM,RTMIN+3 --block-signal=USR1,CHLD,RTMAX \\
        nice -n 3 setpriv --pdeathsig KILL -- \"$@\"",
    "sh",
];

/// The program, compiled once.
static PROGRAM: LazyLock<(PathBuf, TempDir)> = LazyLock::new(|| {
    let home = tempfile::tempdir().expect("a temporary directory");
    let program = home.path().join("transparency");
    let mut sources: Vec<PathBuf> = fs::read_dir(directory())
        .expect("the sources")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension() == Some(OsStr::new("c")))
        .collect();
    sources.sort();
    let status = Command::new("cc")
        .args(["-static", "-std=gnu11", "-Wall", "-Wextra", "-Werror"])
        .args(["-O1", "-pthread", "-o"])
        .arg(&program)
        .args(sources)
        .status();
    assert!(status.expect("a C compiler").success());
    (program, home)
});

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transparency")
}

fn run(words: &[&OsStr]) -> Output {
    // Whoever waits for what never comes is ended.
    let mut command = Command::new("timeout");
    command.arg("120").args(words).stdin(Stdio::null());
    command.output().expect("started")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs it behind `start` alone and traced, and compares.
fn is_transparent(start: &[&str], front: &[&OsStr], engine: &str) {
    let start = start.iter().map(OsStr::new);
    let program = PROGRAM.0.as_os_str();
    let alone = run(&start.clone().chain([program]).collect::<Vec<_>>());
    assert!(alone.status.success(), "{}", text(&alone.stderr));
    let line: Vec<&OsStr> = start
        .chain(front.iter().copied())
        .chain([program])
        .collect();
    let traced = run(&line);
    assert!(traced.status.success(), "{}", text(&traced.stderr));
    let (before, now) = (text(&alone.stdout), text(&traced.stdout));
    let differing: Vec<_> = before
        .lines()
        .zip(now.lines())
        .filter(|(before, now)| before != now)
        .collect();
    assert!(differing.is_empty(), "{engine}: {differing:#?}");
    assert_eq!(before.len(), now.len(), "{engine}: {before}{now}");
    assert!(before.lines().count() > 200, "{before}");
    let home = tempfile::tempdir().expect("a temporary directory");
    let files = [("alone", &alone.stderr), ("traced", &traced.stderr)].map(|(name, told)| {
        let file = home.path().join(name);
        fs::write(&file, told).expect("written");
        file
    });
    let mut compare = Command::new(directory().join("compare"));
    let compared = compare.arg(engine).args(files).output().expect("compared");
    assert!(compared.status.success(), "{}", text(&compared.stdout));
}

/// The same behind `micropacker run`, once for each engine.
fn is_transparent_to_all(start: &[&str]) {
    let home = tempfile::tempdir().expect("a temporary directory");
    let tarball = home.path().join("rootfs.tar");
    for engine in ENGINES {
        let front = [MICROPACKER, "-q", "--engine", engine, "-o"].map(OsStr::new);
        let front = front
            .into_iter()
            .chain([tarball.as_os_str(), OsStr::new("--")]);
        is_transparent(start, &front.collect::<Vec<_>>(), engine);
    }
}

#[test]
fn a_program_sees_the_same() {
    is_transparent_to_all(&[]);
}

#[test]
fn a_program_sees_the_same_where_privileges_are_few() {
    if is_root() {
        is_transparent_to_all(&PLAIN_CONTAINER);
    }
}

#[test]
fn a_program_sees_the_same_after_an_odd_start() {
    is_transparent_to_all(&ODD_START);
}

#[test]
fn a_command_that_joins_sees_the_same() {
    let trace = Trace::start();
    let pid = trace.shell.pid();
    for engine in ENGINES {
        let front = ["exec", "--engine", engine, "--supervisor", &pid, "--"];
        let front = std::iter::once(MICROPACKER).chain(front);
        let front: Vec<&OsStr> = front.map(OsStr::new).collect();
        is_transparent(&ODD_START, &front, engine);
    }
    trace.shell.go_on();
}

/// What is followed already needs no second tracer: `exec` becomes the command.
#[test]
fn a_command_that_joins_from_within_sees_the_same() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let tarball = home.path().join("rootfs.tar");
    let script = "exec \"$0\" exec --supervisor $PPID -- \"$@\"";
    let front = [MICROPACKER, "-q", "--engine", "notify", "-o"].map(OsStr::new);
    let inside = ["--", "sh", "-c", script, MICROPACKER].map(OsStr::new);
    let front = front.into_iter().chain([tarball.as_os_str()]).chain(inside);
    // The shell that starts it sets SIGCHLD as it needs it.
    let odd = ODD_START.map(|word| word.replace("CHLD,PIPE", "PIPE"));
    let odd: Vec<&str> = odd.iter().map(String::as_str).collect();
    is_transparent(&odd, &front.collect::<Vec<_>>(), "notify");
}

#[test]
fn what_cannot_be_hidden_is_documented() {
    let limits = fs::read_to_string("docs/limits.md").expect("docs");
    let (_, section) = limits
        .split_once("## What the application may notice")
        .expect("a section");
    let (section, _) = section.split_once("\n## ").expect("another section");
    let told = run(&[PROGRAM.0.as_os_str()]);
    let mut count = 0;
    for line in text(&told.stderr).lines() {
        let (name, _) = line.split_once(": ").expect("name: value");
        assert!(
            section.contains(name),
            "docs/limits.md does not tell of {name}"
        );
        count += 1;
    }
    assert!(count > 5, "{}", text(&told.stderr));
}
