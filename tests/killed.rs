//! Killed at any moment, and signalled while the outputs are written: no file with its final name
//! that is not complete, and a journal that gives what was recorded.

mod leavings;
mod tarballs;

use leavings::{MICROPACKER, assert_one_line, home, read_journal, recover, recovered, stderr};
use micropacker::event::Event;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};
use tarballs::{Contents, contents};
use tempfile::TempDir;

/// Moments at which a trace is killed, and as many at which it packs.
const MOMENTS: usize = 25;

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

    /// The packages of this machine are no matter here, and reading them takes most of the time.
    fn trace(&self, home: &Path) -> Command {
        let mut command = Command::new(MICROPACKER);
        command.arg("-o").arg(home.join("rootfs.tar"));
        command.arg("--artifacts").arg(home.join("artifacts"));
        command.args(["--keep-package-metadata", "off"]);
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

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit.max(1)
    }
}

fn length(path: &Path) -> u64 {
    fs::symlink_metadata(path).map_or(0, |meta| meta.len())
}

/// Bytes of outputs, under whatever names.
fn written(home: &Path) -> u64 {
    let files = [home.to_owned(), home.join("artifacts")]
        .into_iter()
        .filter_map(|place| fs::read_dir(place).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_file() && *path != journal(home));
    files.map(|path| length(&path)).sum()
}

fn journal(home: &Path) -> PathBuf {
    home.join("rootfs.tar.journal")
}

/// How far a run has come when it is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// Its journal has so many bytes.
    Seen(u64),
    /// Its outputs have so many.
    Written(u64),
}

impl Moment {
    fn has_come(self, home: &Path) -> bool {
        match self {
            Self::Seen(bytes) => length(&journal(home)) >= bytes,
            Self::Written(bytes) => written(home) >= bytes,
        }
    }
}

/// Kills a run once it has come so far. It may end before that.
fn kill_at(mut child: Child, home: &Path, moment: Moment) {
    while !moment.has_come(home) && child.try_wait().expect("ours").is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().expect("killed");
    child.wait().expect("ended");
}

/// What is left of a run that was killed: whether it could be recovered, and was a whole run.
fn judge(home: &Path, whole: &Contents, moment: Moment) -> (bool, bool) {
    let tarball = home.join("rootfs.tar");
    if tarball.exists() {
        assert_eq!(contents(&tarball, home), *whole, "after {moment:?}");
    }
    let journal = journal(home);
    // It may not have begun, or have come to its end.
    if length(&journal) == 0 {
        return (false, false);
    }
    // A write of more than a page is not all there when its process is killed.
    if !fs::read(&journal).expect("a journal").contains(&b'\n') {
        let (output, tarball) = recover(&journal, home);
        let words = ["was killed before anything was recorded", "trace again"];
        assert_one_line(&output, 2, &words);
        assert!(!tarball.exists());
        return (false, false);
    }
    let again = recovered(&journal, home);
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
        assert_eq!(again, *whole, "after {moment:?}");
    }
    (true, read.status.is_some())
}

#[test]
fn killed_at_any_moment_what_was_recorded_is_packed() {
    let work = Workload::new(150, 300);
    let untouched = home();
    let kept = untouched.path().join("journal");
    let mut command = work.trace(untouched.path());
    let output = command.env("MICROPACKER_JOURNAL", &kept).output();
    let output = output.expect("started");
    assert!(output.status.success(), "{}", stderr(&output));
    let whole = contents(&untouched.path().join("rootfs.tar"), untouched.path());
    let seen = length(&kept);
    fs::remove_file(&kept).expect("removed");
    let written = written(untouched.path());
    let mut random = Random::new();
    let mut moments = Vec::new();
    for _ in 0..MOMENTS {
        moments.push(Moment::Seen(random.below(seen)));
        moments.push(Moment::Written(1 + random.below(written)));
    }
    let (recoveries, ends) = (AtomicU32::new(0), AtomicU32::new(0));
    let left = Mutex::new(moments);
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                while let Some(moment) = { left.lock().expect("whole").pop() } {
                    let home = home();
                    let child = work.trace(home.path()).spawn().expect("started");
                    kill_at(child, home.path(), moment);
                    let (is_recovered, is_whole) = judge(home.path(), &whole, moment);
                    recoveries.fetch_add(u32::from(is_recovered), Ordering::Relaxed);
                    ends.fetch_add(u32::from(is_whole), Ordering::Relaxed);
                }
            });
        }
    });
    let (recoveries, ends) = (recoveries.into_inner(), ends.into_inner());
    eprintln!("{recoveries} recoveries, {ends} of whole runs");
    assert!(recoveries > ends && ends > 0);
}

/// A temporary output in a directory, once something has been written into it.
fn growing(home: &Path) -> Option<PathBuf> {
    let names = fs::read_dir(home).ok()?;
    names
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.ends_with(".tmp") && path.metadata().is_ok_and(|meta| meta.len() > 0)
        })
}

/// Stops a process as soon as it writes its tarball.
fn stop_within_the_outputs(child: &mut Child, home: &Path) {
    while growing(home).is_none() {
        assert_eq!(child.try_wait().expect("ours"), None, "it has ended");
        std::thread::sleep(Duration::from_micros(200));
    }
    signal(child, Signal::SIGSTOP);
    assert!(growing(home).is_some(), "the tarball is too small for this");
}

fn signal(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).expect("a process ID");
    kill(Pid::from_raw(pid), signal).expect("sent");
}

#[test]
fn stop_signals_while_the_outputs_are_written_let_them_become_whole() {
    for count in 1..=2 {
        let work = Workload::new(20, 500_000);
        let home = home();
        let mut child = work.trace(home.path()).spawn().expect("started");
        stop_within_the_outputs(&mut child, home.path());
        for _ in 0..count {
            signal(&child, Signal::SIGTERM);
        }
        signal(&child, Signal::SIGCONT);
        let output: Output = child.wait_with_output().expect("ended");
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(0), "{count} signals: {told}");
        assert!(
            told.contains("not waited for until they are on the disk"),
            "{told}"
        );
        let shipped = contents(&home.path().join("rootfs.tar"), home.path());
        let files = shipped.values().filter(|entry| entry.4.is_some());
        assert!(files.count() >= 20);
        assert!(home.path().join("artifacts/image.tar").exists());
        assert!(!home.path().join("rootfs.tar.journal").exists());
    }
}

#[test]
fn a_supervisor_that_is_killed_while_it_packs_on_demand_leaves_its_journal() {
    let work = Workload::new(20, 500_000);
    let home = home();
    let script = format!("{} echo ready; read line", work.script);
    let mut command = Command::new(MICROPACKER);
    command.arg("-o").arg(home.path().join("rootfs.tar"));
    command.args(["--keep-package-metadata", "off", "--", "sh", "-c", &script]);
    let mut child = command.stdin(Stdio::piped()).spawn().expect("started");
    let journal = journal(home.path());
    let mut ctl = Command::new(MICROPACKER);
    ctl.args(["ctl", "pack", "--supervisor", &child.id().to_string()]);
    ctl.stdout(Stdio::null()).stderr(Stdio::piped());
    // The last one that the shell's pattern gives.
    while !fs::read_to_string(&journal).is_ok_and(|text| text.contains("/9\"}")) {
        assert_eq!(child.try_wait().expect("ours"), None, "it has ended");
        std::thread::sleep(Duration::from_millis(1));
    }
    let asking = ctl.spawn().expect("started");
    stop_within_the_outputs(&mut child, home.path());
    child.kill().expect("killed");
    assert_eq!(child.wait().expect("ended").signal(), Some(9));
    let asked = asking.wait_with_output().expect("ended");
    assert_eq!(asked.status.code(), Some(126), "{}", stderr(&asked));
    assert!(!home.path().join("rootfs.tar").exists());
    let again = recovered(&journal, home.path());
    let files = again.values().filter(|entry| entry.4.is_some());
    assert!(files.count() >= 20);
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
