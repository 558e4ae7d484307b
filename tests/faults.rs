//! Killed, starved and betrayed at any moment: a clear line and status, no file with its final
//! name that is not complete, and a journal that gives what was recorded.

mod leavings;
mod tarballs;

use leavings::{MICROPACKER, assert_one_line, home, read_journal, recovered, stderr};
use micropacker::event::Event;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime};
use tarballs::contents;
use tempfile::TempDir;

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]).stdin(Stdio::null());
    command.env("MP", MICROPACKER);
    command
}

/// Files to be used, of which each holds its number, and a script that uses them.
struct Workload {
    /// Lives as long as it is used.
    _tree: TempDir,
    script: String,
}

impl Workload {
    fn new(files: usize, bytes: usize) -> Self {
        let tree = home();
        for number in 0..files {
            let text = number.to_string().repeat(bytes);
            fs::write(tree.path().join(number.to_string()), text).expect("written");
        }
        let script = format!(
            "cd {}; for f in *; do : < $f; done; :",
            tree.path().display()
        );
        Self {
            _tree: tree,
            script,
        }
    }

    fn trace(&self, home: &Path) -> Command {
        let mut command = Command::new(MICROPACKER);
        command
            .arg("-o")
            .arg(home.join("rootfs.tar"))
            .arg("--artifacts");
        command.arg(home.join("artifacts"));
        command.args(["--", "sh", "-c", &self.script]);
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        command
    }
}

/// xorshift64: the moments of a run that failed can be had again by FAULT_SEED.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let given = std::env::var("FAULT_SEED").ok();
        let seed = given.and_then(|text| text.parse().ok()).unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            now.expect("after 1970").as_nanos() as u64 | 1
        });
        eprintln!("FAULT_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, limit: Duration) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        limit.mul_f64((self.0 >> 11) as f64 / (1u64 << 53) as f64)
    }
}

#[test]
fn killed_at_any_moment_what_was_recorded_is_packed() {
    let work = Workload::new(150, 3000);
    let untouched = home();
    let began = Instant::now();
    let output = work.trace(untouched.path()).output().expect("started");
    let whole_time = began.elapsed();
    assert!(output.status.success(), "{}", stderr(&output));
    let whole = contents(&untouched.path().join("rootfs.tar"), untouched.path());
    let mut random = Random::new();
    let (mut recoveries, mut ends) = (0, 0);
    for _ in 0..50 {
        let home = home();
        let moment = random.below(whole_time);
        let mut child: Child = work.trace(home.path()).spawn().expect("started");
        std::thread::sleep(moment);
        child.kill().expect("killed");
        child.wait().expect("ended");
        let tarball = home.path().join("rootfs.tar");
        if tarball.exists() {
            assert_eq!(contents(&tarball, home.path()), whole, "after {moment:?}");
        }
        let journal = home.path().join("rootfs.tar.journal");
        // It may not have begun, or have come to its end.
        if !journal.exists() || fs::metadata(&journal).expect("there").len() == 0 {
            continue;
        }
        recoveries += 1;
        let again = recovered(&journal, home.path());
        for (path, entry) in &again {
            assert_eq!(whole.get(path), Some(entry), "{path:?} after {moment:?}");
        }
        let (read, events) = read_journal(&journal);
        assert!(read.damaged.is_empty() && read.unknown.is_empty());
        for event in events {
            let Event::Used { place, .. } = event else {
                continue;
            };
            let path = PathBuf::from(place.path.as_path().strip_prefix("/").expect("absolute"));
            let expected = whole.contains_key(&path);
            assert!(
                again.contains_key(&path) || !expected,
                "{path:?} after {moment:?}"
            );
        }
        if read.status.is_some() {
            ends += 1;
            assert_eq!(again, whole, "after {moment:?}");
        }
    }
    eprintln!("{recoveries} recoveries, {ends} of whole runs");
    assert!(recoveries > 0);
}

#[test]
fn a_file_size_limit_is_an_error_and_no_signal() {
    let home = home();
    let list = home.path().join("list");
    fs::write(&list, "/etc/passwd\nsh\n").expect("written");
    let script = "ulimit -f 100; exec \"$MP\" pack -i list -o rootfs.tar";
    let output = shell(script).current_dir(home.path()).output();
    let words = ["cannot write rootfs.tar: File too large", "ulimit -f"];
    assert_one_line(&output.expect("started"), 125, &words);
    let script = "ulimit -f 100; exec \"$MP\" -o rootfs.tar -- cat /etc/passwd";
    let output = shell(script)
        .current_dir(home.path())
        .stdout(Stdio::null())
        .output();
    assert_one_line(&output.expect("started"), 125, &words);
    assert!(!home.path().join("rootfs.tar").exists());
    let again = recovered(&home.path().join("rootfs.tar.journal"), home.path());
    assert!(again.contains_key(Path::new("etc/passwd")));
}

#[test]
fn too_little_memory_is_told_and_nothing_has_its_final_name() {
    let home = home();
    let list = home.path().join("list");
    let lines: String = (0..300_000)
        .map(|number| format!("/no/such/{number}\n"))
        .collect();
    fs::write(&list, lines).expect("written");
    let output = shell("ulimit -v 20000; exec \"$MP\" pack -q -i list -o rootfs.tar")
        .current_dir(home.path())
        .output()
        .expect("started");
    assert_one_line(&output, 125, &["out of memory", "ulimit -v", "--journal"]);
    assert!(!home.path().join("rootfs.tar").exists());
}

#[test]
fn too_few_files_are_told() {
    let home = home();
    let mut least = None;
    for limit in [3, 5, 7, 9, 12, 16, 24] {
        let script = format!(
            "ulimit -n {limit}; exec \"$MP\" -o rootfs.tar -- sh -c 'cat /etc/passwd | wc -l'"
        );
        let output = shell(&script).current_dir(home.path()).output();
        let output = output.expect("started");
        let told = stderr(&output);
        let status = output.status.code();
        if status == Some(0) {
            let tarball = contents(&home.path().join("rootfs.tar"), home.path());
            let is_whole = tarball.contains_key(Path::new("etc/passwd"));
            assert!(is_whole || told.contains("limit"), "{limit} files: {told}");
            least = least.or(Some(limit));
        } else {
            // The loader of the shell itself may be the one that lacks them.
            let is_ours = matches!(status, Some(125 | 126)) && told.starts_with("micropacker: ");
            assert!(
                is_ours || status == Some(127),
                "{limit} files: {status:?} {told}"
            );
        }
    }
    assert!(least.is_some());
}

/// Reads this many bytes of the tarball, does this, and reads the rest: what is written blocks
/// until somebody reads.
fn betrayed(home: &Path, tree: &Path, betray: impl FnOnce()) -> Output {
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let mut command = Command::new(MICROPACKER);
    command
        .arg("-o")
        .arg("-")
        .arg("--journal")
        .arg(home.join("journal"));
    command.args(["--", "sh", "-c", ": < big; : < later; exec >&-"]);
    command
        .current_dir(tree)
        .stdin(Stdio::null())
        .stderr(Stdio::piped());
    command.stdout(writer).process_group(0);
    let child = command.spawn().expect("started");
    drop(command);
    let mut first = vec![0; 4 << 20];
    reader.read_exact(&mut first).expect("a tarball");
    betray();
    std::io::copy(&mut reader, &mut std::io::sink()).expect("read");
    child.wait_with_output().expect("ended")
}

/// Larger than all that may be on its way, and where names sort last.
fn big_file() -> (TempDir, TempDir) {
    let tree = tempfile::tempdir_in("/var/tmp").expect("a directory");
    let mut big = fs::File::create(tree.path().join("big")).expect("created");
    for _ in 0..48 {
        big.write_all(&vec![b'x'; 1 << 20]).expect("written");
    }
    big.write_all(b"\n").expect("written");
    fs::write(tree.path().join("later"), "later\n").expect("written");
    (tree, home())
}

#[test]
fn a_file_that_shrinks_while_it_is_packed_is_named() {
    let (tree, home) = big_file();
    let big = tree.path().join("big");
    let output = betrayed(home.path(), tree.path(), || {
        fs::OpenOptions::new()
            .write(true)
            .open(&big)
            .and_then(|file| file.set_len(5))
            .expect("cut off");
    });
    let name = big.to_str().expect("text");
    assert_one_line(&output, 125, &[name, "shrank from", "pack again"]);
    let (read, _) = read_journal(&home.path().join("journal"));
    assert_eq!((read.status, read.is_packed), (Some(0), false));
}

#[test]
fn a_file_that_vanishes_while_it_is_packed_is_named() {
    let (tree, home) = big_file();
    let later = tree.path().join("later");
    let output = betrayed(home.path(), tree.path(), || {
        fs::remove_file(&later).expect("removed");
    });
    let name = later.to_str().expect("text");
    assert_one_line(&output, 125, &[name, "vanished", "pack again"]);
    // The next attempt is without it.
    let again = recovered(&home.path().join("journal"), home.path());
    let relative = |path: &Path| path.strip_prefix("/").expect("absolute").to_owned();
    assert!(again.contains_key(&relative(&tree.path().join("big"))));
    assert!(!again.contains_key(&relative(&later)));
}

#[test]
fn a_trace_that_is_killed_takes_the_application_along() {
    let home = home();
    let output = Command::new(MICROPACKER)
        .arg("-o")
        .arg(home.path().join("rootfs.tar"))
        .args(["--", "sh", "-c", "kill -9 $PPID; sleep 3600"])
        .output()
        .expect("started");
    // It would not have ended by now otherwise: its standard error is ours.
    assert_eq!(output.status.signal(), Some(9));
}
