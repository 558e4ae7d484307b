//! What the application changes is shipped as it was, whoever asks for the outputs and whoever
//! traces it; and what is told where that is not possible.

mod running_trace;

use running_trace::{MICROPACKER, STRANGER, Waiting, is_root, output, stderr};
use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

/// A directory of files that counts as part of the image, and one for outputs beside it.
struct Scene {
    home: TempDir,
}

/// The content and the time of each file and directory of a tarball.
type Files = BTreeMap<PathBuf, (String, u64)>;

impl Scene {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        fs::set_permissions(home.path(), Permissions::from_mode(0o755)).expect("set");
        for directory in ["image", "out"] {
            fs::create_dir(home.path().join(directory)).expect("mkdir");
        }
        let scene = Self { home };
        scene.write("conf", "old");
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        let home = self.home.path().canonicalize().expect("there");
        home.join("image").join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("written");
    }

    fn tarball(&self) -> PathBuf {
        self.home.path().join("out/rootfs.tar")
    }

    /// Traces a script that runs among the files.
    fn traced(&self, options: &[&str], script: &str) -> Command {
        let mut command = Command::new(MICROPACKER);
        command
            .args(["--include-mount".as_ref(), self.home.path().as_os_str()])
            .args(options)
            .args(["-o".as_ref(), self.tarball().as_os_str()])
            .args(["--", "sh", "-c", script])
            .current_dir(self.path(""));
        command
    }

    fn shipped(&self) -> Files {
        files(&fs::read(self.tarball()).expect("a tarball"))
    }

    fn text_of<'a>(&self, files: &'a Files, name: &str) -> Option<&'a str> {
        let path = self.path(name);
        let found = files.get(path.strip_prefix("/").expect("absolute"));
        found.map(|(text, _)| text.as_str())
    }

    fn leftovers(&self) -> Vec<String> {
        let names = fs::read_dir(self.home.path().join("out")).expect("a directory");
        let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
        let names = names.map(|entry| name(entry).to_string_lossy().into_owned());
        names.filter(|name| name != "rootfs.tar").collect()
    }
}

fn files(tarball: &[u8]) -> Files {
    let mut archive = tar::Archive::new(tarball);
    let mut found = Files::new();
    for entry in archive.entries().expect("entries") {
        let mut entry = entry.expect("an entry");
        let path = Path::new(std::ffi::OsStr::from_bytes(&entry.path_bytes())).to_owned();
        let time = entry.header().mtime().expect("a time");
        let mut text = Vec::new();
        entry.read_to_end(&mut text).expect("content");
        let text = String::from_utf8_lossy(&text).into_owned();
        found.insert(path, (text, time));
    }
    found
}

fn make_old(path: &Path) -> u64 {
    const LONG_AGO: u64 = 1_000_000_000;
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(LONG_AGO);
    let file = File::open(path).expect("there");
    file.set_modified(time).expect("a time");
    LONG_AGO
}

#[test]
fn nothing_is_left_beside_the_output_and_nothing_is_told() {
    let scene = Scene::new();
    let output = output(&mut scene.traced(&[], "echo new > conf; rm conf; echo x > made"));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    // Where nothing is mounted, our own options are told to be idle.
    let told = stderr(&output);
    let mut lines = told.lines();
    let warns = |line: &str| line.contains("warning: ") && !line.contains("--include-mount");
    assert!(!lines.any(warns), "{told}");
    let files = scene.shipped();
    assert_eq!(scene.text_of(&files, "conf"), Some("old"));
    assert_eq!(scene.text_of(&files, "made"), None);
    assert_eq!(scene.leftovers(), [""; 0]);
}

#[test]
fn the_directory_of_the_outputs_keeps_its_time_where_it_is_shipped() {
    let scene = Scene::new();
    let time = make_old(&scene.home.path().join("out"));
    let output = output(&mut scene.traced(&[], "ls ../out; echo new > conf"));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let directory = scene.path("../out").canonicalize().expect("there");
    let directory = directory.strip_prefix("/").expect("absolute").join("");
    assert_eq!(scene.shipped()[&directory].1, time);
}

#[test]
fn beyond_the_limit_a_file_is_named_at_once_and_at_the_end_and_shipped_as_it_is() {
    let scene = Scene::new();
    scene.write("large", &"x".repeat(100_000));
    let script = "echo new > conf; echo new > large";
    let output = output(&mut scene.traced(&["--originals-limit", "1K"], script));
    assert_eq!(output.status.code(), Some(0));
    let told = stderr(&output);
    let files = scene.shipped();
    assert_eq!(scene.text_of(&files, "conf"), Some("old"));
    match scene.text_of(&files, "large") {
        Some("new\n") => {
            let name = scene.path("large");
            let name = name.to_str().expect("UTF-8");
            let named = told.lines().filter(|line| line.contains(name));
            assert_eq!(named.count(), 2, "{told}");
            assert!(told.contains("--originals-limit"), "{told}");
        }
        // Shared blocks take no room.
        Some(text) => assert_eq!(text.len(), 100_000, "{told}"),
        None => panic!("not shipped: {told}"),
    }
}

#[test]
fn a_stream_has_the_originals_too_and_they_lie_among_temporary_files() {
    let scene = Scene::new();
    let temporary = scene.home.path().join("temporary");
    fs::create_dir(&temporary).expect("mkdir");
    let mut command = Command::new(MICROPACKER);
    command
        .args(["--include-mount".as_ref(), scene.home.path().as_os_str()])
        .args(["-o", "-", "--", "sh", "-c", "echo new > conf"])
        .env("TMPDIR", &temporary)
        .current_dir(scene.path(""));
    let output = output(&mut command);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let files = files(&output.stdout);
    assert_eq!(scene.text_of(&files, "conf"), Some("old"));
    assert_eq!(fs::read_dir(&temporary).expect("there").count(), 0);
}

#[test]
fn what_was_made_is_shipped_when_it_is_asked_for() {
    let scene = Scene::new();
    let made = scene.path("made/deep");
    let include = made.to_str().expect("UTF-8");
    let script = "mkdir made; echo new > made/deep; echo x > made/other; echo new > conf";
    let output = output(&mut scene.traced(&["--include", include], script));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let files = scene.shipped();
    assert_eq!(scene.text_of(&files, "made/deep"), Some("new\n"));
    assert_eq!(scene.text_of(&files, "made/other"), None);
    assert_eq!(scene.text_of(&files, "conf"), Some("old"));
}

#[test]
fn outputs_that_are_asked_for_meanwhile_show_the_beginning_too() {
    let scene = Scene::new();
    let script = "echo new > conf; echo ready; read line; echo newer > conf";
    let shell = Waiting::start(&mut scene.traced(&[], script));
    let mut pack = Command::new(MICROPACKER);
    let packed = output(pack.args(["ctl", "pack", "--supervisor", &shell.pid()]));
    assert!(packed.status.success(), "{}", stderr(&packed));
    assert_eq!(scene.text_of(&scene.shipped(), "conf"), Some("old"));
    let (status, _, told) = shell.go_on();
    assert_eq!(status, Some(0), "{told}");
    assert_eq!(scene.text_of(&scene.shipped(), "conf"), Some("old"));
}

#[test]
fn what_a_joined_command_changes_is_kept_whoever_runs_it() {
    let scene = Scene::new();
    scene.write("theirs", "old");
    let shell = Waiting::start(&mut scene.traced(&[], "echo ready; read line; cat conf"));
    let exec = |binary: &Path, script: &str| {
        let mut command = Command::new(binary);
        command.args(["exec", "--supervisor", &shell.pid(), "--", "sh", "-c"]);
        command.arg(script).current_dir(scene.path(""));
        command
    };
    let own = Path::new(MICROPACKER);
    let script = "echo new > conf; mv conf conf.bak; echo x > made; echo y > made";
    let changed = output(&mut exec(own, script));
    assert!(changed.status.success(), "{}", stderr(&changed));
    if is_root() {
        let binary = scene.home.path().join("micropacker");
        fs::copy(MICROPACKER, &binary).expect("copied");
        chown(scene.path("theirs"), Some(STRANGER), None).expect("chown");
        let mut command = exec(&binary, "echo new > theirs");
        let changed = output(command.uid(STRANGER).gid(STRANGER));
        assert!(changed.status.success(), "{}", stderr(&changed));
    }
    let (_, _, told) = shell.go_on();
    let files = scene.shipped();
    assert_eq!(scene.text_of(&files, "conf"), Some("old"), "{told}");
    assert_eq!(scene.text_of(&files, "made"), None, "{told}");
    assert_eq!(scene.text_of(&files, "conf.bak"), None, "{told}");
    if is_root() {
        assert_eq!(scene.text_of(&files, "theirs"), Some("old"), "{told}");
    }
}

#[test]
fn what_others_change_is_told() {
    let scene = Scene::new();
    let script = ": < conf; echo ready; read line";
    let shell = Waiting::start(&mut scene.traced(&[], script));
    scene.write("conf", "changed by others");
    let (status, _, told) = shell.go_on();
    assert_eq!(status, Some(0), "{told}");
    let files = scene.shipped();
    assert_eq!(scene.text_of(&files, "conf"), Some("changed by others"));
    let name = scene.path("conf");
    let name = name.to_str().expect("UTF-8");
    let warned = |line: &&str| line.contains("did not follow") && line.contains(name);
    assert_eq!(told.lines().filter(warned).count(), 1, "{told}");
}
