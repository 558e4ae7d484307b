//! The same workload gives the same bytes, in whatever order its processes come to their files.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

const MICROPACKER: &str = env!("CARGO_BIN_EXE_micropacker");
const ARTIFACTS: [&str; 5] = [
    "image.tar",
    "Dockerfile",
    "files.txt",
    "packages.txt",
    "sbom.spdx.json",
];

/// Files and links to them. Not below `/tmp`, which is left out.
fn tree() -> TempDir {
    let tree = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    for number in 0..60 {
        let directory = tree.path().join(format!("d{}", number % 7));
        fs::create_dir_all(&directory).expect("made");
        let file = directory.join(format!("f{number}"));
        fs::write(&file, vec![number as u8; number * 500]).expect("written");
        let file_again = directory.join(format!("link{number}"));
        match number % 3 {
            0 => fs::hard_link(&file, file_again).expect("linked"),
            1 => std::os::unix::fs::symlink(&file, file_again).expect("linked"),
            _ => {}
        }
    }
    tree
}

/// As it was before the application made files there.
fn set_time_back(directory: &Path) {
    let long_ago = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789);
    let directory = fs::File::open(directory).expect("opened");
    directory.set_modified(long_ago).expect("set");
}

/// Four processes at once, with files of their own that come and go.
const APPLICATION: &str = "find . -name '[fl]*' | shuf | xargs -P 4 -n 9 sh -c '\
                           mkdir d0/$$ && echo $$ >d0/$$/new && cat \"$@\" d0/$$/new >/dev/null \
                           && rm -r d0/$$' sh";

fn run(tree: &Path, engine: &str) -> Vec<Vec<u8>> {
    let home = tempfile::tempdir().expect("a directory");
    set_time_back(&tree.join("d0"));
    let output = Command::new(MICROPACKER)
        .args(["-q", "--engine", engine, "--tag", "same"])
        // Others change their times.
        .args(["--exclude", "/tmp", "--exclude", "/var/tmp", "-o"])
        .arg(home.path().join("rootfs.tar"))
        .arg("--artifacts")
        .arg(home.path().join("artifacts"))
        .args(["--", "sh", "-c", APPLICATION])
        .current_dir(tree)
        .env("SOURCE_DATE_EPOCH", "1700000000")
        .stdin(Stdio::null())
        .output()
        .expect("started");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let artifacts = ARTIFACTS
        .iter()
        .map(|name| Path::new("artifacts").join(name));
    let files = std::iter::once("rootfs.tar".into()).chain(artifacts);
    files
        .map(|file| fs::read(home.path().join(file)).expect("read"))
        .collect()
}

#[test]
fn two_runs_of_the_same_workload_give_the_same_bytes() {
    let tree = tree();
    let first = run(tree.path(), "auto");
    for engine in ["auto", "syscall"] {
        let again = run(tree.path(), engine);
        let (one, other) = (entries(&first[0]), entries(&again[0]));
        let differ: Vec<_> = one.symmetric_difference(&other).collect();
        assert!(differ.is_empty(), "{engine}: {differ:#?}");
        let differs = |number: &usize| first[*number] != again[*number];
        let different: Vec<_> = (0..first.len()).filter(differs).collect();
        assert!(different.is_empty(), "{engine}: {different:?}");
    }
}

/// A line for each entry: what differs is to be seen.
fn entries(tarball: &[u8]) -> BTreeSet<String> {
    let mut archive = tar::Archive::new(tarball);
    let lines = archive.entries().expect("entries").map(|entry| {
        let entry = entry.expect("an entry");
        let path = entry.path().expect("a path").into_owned();
        let header = entry.header();
        let time = header.mtime().expect("a time");
        format!(
            "{time} {:o} {} {path:?}",
            header.mode().expect("a mode"),
            entry.size()
        )
    });
    lines.collect()
}
