//! `--keep-setuid`: programs that give something to whoever executes them have their effect under
//! a tracer that ptrace(2) alone would let take it away.

mod fixture;

use fixture::Fixture;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tempfile::TempDir;

const MICROPACKER: &str = env!("CARGO_BIN_EXE_micropacker");

/// What takes the two capabilities away that a plain container lacks.
const PLAIN_CONTAINER: [&str; 3] = [
    "setpriv",
    "--bounding-set=-sys_ptrace,-sys_admin",
    "--inh-caps=-sys_ptrace,-sys_admin",
];
/// No rule depends on it: what takes longer never ends.
const WATCHDOG: [&str; 3] = ["timeout", "--signal=KILL", "120"];
const NOBODY: [&str; 4] = [
    "setpriv",
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
];

/// A directory with set-user-ID programs that everybody may execute.
struct Scene {
    home: TempDir,
    _turn: MutexGuard<'static, ()>,
}

/// The log of opened files does not tell who opened them: a directory that another test has made
/// would be packed, and be gone by then.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Scene {
    /// `None` where set-user-ID programs have no effect at all, which is told.
    fn new(test: &str) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("{test}: not run, no root here");
            return None;
        }
        let _turn = turn();
        let home = tempfile::tempdir().expect("a directory");
        set_mode(home.path(), 0o777);
        let scene = Self { home, _turn };
        for (name, from, mode) in [
            ("effective", "/usr/bin/id", 0o4755),
            ("become", "/usr/bin/setpriv", 0o4755),
            ("forbidden", "/usr/bin/id", 0o4700),
            ("micropacker", MICROPACKER, 0o755),
        ] {
            fs::copy(from, scene.path(name)).expect("a copy");
            set_mode(&scene.path(name), mode);
        }
        for name in ["opened", "looked"] {
            fs::write(scene.path(name), name).expect("written");
        }
        let alone = scene.run(&NOBODY, &["$0/effective -u"]);
        if text(&alone.stdout) != "0\n" {
            eprintln!("{test}: not run, set-user-ID programs have no effect here");
            return None;
        }
        Some(scene)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Runs a bash script, in which `$0` is the directory.
    fn run(&self, front: &[&str], script: &[&str]) -> Output {
        Command::new(WATCHDOG[0])
            .args(&WATCHDOG[1..])
            .args(front)
            .args(["bash", "-c", &script.join("\n")])
            .arg(self.home.path())
            .output()
            .expect("it runs")
    }

    /// The same as an ordinary user, traced by a micropacker that `front` starts; and what was
    /// packed.
    fn traced(&self, front: &[&str], script: &[&str]) -> (Output, BTreeSet<PathBuf>) {
        let (micropacker, tarball) = (self.path("micropacker"), self.path("rootfs.tar"));
        let words = [micropacker.as_path(), Path::new("--keep-setuid")];
        let words = words.map(|word| word.to_str().expect("UTF-8"));
        let tail = [
            "--engine",
            "syscall",
            "-o",
            tarball.to_str().expect("UTF-8"),
        ];
        let drop = if front == NOBODY { &[][..] } else { &NOBODY };
        let line = [front, &words, &tail, &["--"], drop].concat();
        let output = self.run(&line, script);
        let file = File::open(&tarball).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
        let mut archive = tar::Archive::new(file);
        let entries = archive.entries().expect("entries");
        let names = entries
            .map(|entry| Path::new("/").join(entry.expect("an entry").path().expect("a path")))
            .collect();
        fs::remove_file(&tarball).expect("removed");
        (output, names)
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("chmod");
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

/// Until the shell is traced (again).
const UNTIL_FOLLOWED: &str =
    "until grep -q '^TracerPid:[[:space:]]*[1-9]' /proc/$$/status; do :; done";

#[test]
fn a_set_user_id_program_has_its_effect_is_packed_and_told() {
    let Some(scene) = Scene::new("effect") else {
        return;
    };
    for front in [&PLAIN_CONTAINER[..], &NOBODY] {
        let (output, names) = scene.traced(front, &["$0/effective -u; exit 3"]);
        let told = text(&output.stderr);
        assert_eq!(text(&output.stdout), "0\n", "{front:?}: {told}");
        assert_eq!(output.status.code(), Some(3), "{told}");
        let program = scene.path("effective");
        assert!(names.contains(&program), "{names:?}");
        let named = format!("what {} does untraced", program.display());
        let line = told.lines().find(|line| line.contains(&named));
        let line = line.unwrap_or_else(|| panic!("{told}"));
        assert!(line.contains("--cap-add SYS_PTRACE") && line.contains("--include"));
    }
}

#[test]
fn the_command_itself_may_be_one_and_its_exit_status_counts() {
    let Some(scene) = Scene::new("command") else {
        return;
    };
    let script = ["exec $0/become --reuid=65534 sh -c 'exit 7'"];
    let (output, _) = scene.traced(&PLAIN_CONTAINER, &script);
    assert_eq!(output.status.code(), Some(7), "{}", text(&output.stderr));
}

#[test]
fn what_such_a_program_becomes_is_followed_again() {
    let Some(scene) = Scene::new("again") else {
        return;
    };
    let followed = format!("{UNTIL_FOLLOWED}; test -e $0/looked; exit 4");
    let root = "--reuid=0 --regid=0 --clear-groups";
    let to_root = format!("$0/become {root} bash -c '{followed}' $0");
    // A shell that stays, and one that execs: the one is a child of the other.
    // The process that waits is the innermost shell.
    let inner = followed.replace("$$", "\\$\\$");
    let child = format!("$0/become {root} bash -c \"bash -c '{inner}' $0; exit \\$?\"");
    for script in [format!("exec {to_root}"), to_root, child] {
        let (output, names) = scene.traced(&PLAIN_CONTAINER, &[&script]);
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{script}: {told}");
        assert!(names.contains(&scene.path("looked")), "{script}: {told}");
    }
    // As an ordinary user only another of that user can be followed again.
    let to_nobody = format!(
        "$0/become --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all \
         --inh-caps=-all bash -c '{followed}' $0"
    );
    let (output, names) = scene.traced(&NOBODY, &[&to_nobody]);
    assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
    assert!(names.contains(&scene.path("looked")), "{names:?}");
}

#[test]
fn who_may_not_execute_it_after_all_is_followed_again() {
    let Some(scene) = Scene::new("refused") else {
        return;
    };
    let script = [
        "shopt -s execfail; exec $0/forbidden 2>/dev/null",
        UNTIL_FOLLOWED,
        "test -e $0/looked; exit 5",
    ];
    let (output, names) = scene.traced(&PLAIN_CONTAINER, &script);
    assert_eq!(output.status.code(), Some(5), "{}", text(&output.stderr));
    assert!(names.contains(&scene.path("looked")), "{names:?}");
}

#[test]
fn the_trace_waits_for_what_such_a_program_left_behind() {
    let Some(scene) = Scene::new("left behind") else {
        return;
    };
    nix::unistd::mkfifo(&scene.path("fifo"), nix::sys::stat::Mode::S_IRWXU).expect("made");
    // The program opens the FIFO when the command has ended: nobody else would write.
    let become_root = "$0/become --reuid=0 --regid=0 --clear-groups";
    let late = "until [ \"$(cut -d\" \" -f4 /proc/$$/stat)\" != $1 ]; do :; done; \
                test -e $0/looked; echo late";
    let script = format!("{become_root} bash -c '{late}' $0 $$ & wait -f %2 2>/dev/null; exit 6");
    let (output, _) = scene.traced(&PLAIN_CONTAINER, &[&script]);
    assert_eq!(output.status.code(), Some(6), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "late\n", "{}", text(&output.stderr));
}

/// The kernel's deadlock: PTRACE_SEIZE of a process in execve(2) waits for it, and it for us to
/// reap its other threads.
#[test]
fn an_execve_beside_traced_threads_ends() {
    let fixture = Fixture::load("set_user_id_from_thread");
    if let Some(need) = fixture.unmet_need() {
        return eprintln!("not run, no {need} here");
    }
    let _turn = turn();
    let prepared = fixture.prepare();
    let (micropacker, tarball) = (OsStr::new(MICROPACKER), prepared.home().join("rootfs.tar"));
    let front = [&WATCHDOG[..], &PLAIN_CONTAINER].concat();
    let front: Vec<&OsStr> = front.iter().map(OsStr::new).collect();
    let options = ["--keep-setuid", "-o"].map(OsStr::new);
    let tail = [tarball.as_os_str(), OsStr::new("--")];
    let line = [&front[..], &[micropacker], &options, &tail].concat();
    let outcome = prepared.run(&line);
    prepared.assert_as_promised(&outcome, prepared.promised_end());
    let of = |stderr: &str| -> Vec<String> {
        let lines = stderr.lines().filter(|line| line.starts_with("euid: "));
        lines.map(str::to_owned).collect()
    };
    let alone = Fixture::load("set_user_id_from_thread").prepare().run(&[]);
    assert_eq!(of(&outcome.stderr), of(&alone.stderr), "{}", outcome.stderr);
}
