//! `--pack-ahead`: what is written while the application runs holds what is written at its end.

mod tarballs;

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tarballs::{Contents, contents};
use tempfile::TempDir;

const MICROPACKER: &str = env!("CARGO_BIN_EXE_micropacker");
const FILES: usize = 40;
const BYTES: usize = 50_000;

fn tree() -> TempDir {
    let tree = tempfile::tempdir().expect("a directory");
    for number in 0..FILES {
        let content = vec![number as u8; BYTES];
        fs::write(tree.path().join(format!("f{number:02}")), content).expect("written");
    }
    tree
}

/// Reads all but two files, one in the middle, and these when it is told to; changes another one.
const APPLICATION: &str = "for f in f[0-2]*; do [ $f = f17 ] || : < $f; done; read line; \
                           : < f17; : < f35; echo changed > f20";

fn traced(tree: &Path, home: &Path, options: &[&str]) -> Child {
    let mut command = Command::new(MICROPACKER);
    command.args(["-q", "-o"]).arg(home.join("rootfs.tar"));
    command.arg("--artifacts").arg(home.join("artifacts"));
    command.args(options);
    command.args(["--", "sh", "-c", APPLICATION]);
    command.current_dir(tree).env("SOURCE_DATE_EPOCH", "0");
    command.stdin(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("started")
}

/// Lets the application go on, to its end.
fn ended(mut child: Child) {
    let input = child.stdin.take().expect("a pipe");
    (&input).write_all(b"go on\n").expect("written");
    let output = child.wait_with_output().expect("ended");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
}

fn temporary_files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("listed").flatten();
    let paths = entries.map(|entry| entry.path());
    let is_temporary = |path: &PathBuf| path.extension().is_some_and(|word| word == "tmp");
    paths.filter(is_temporary).collect()
}

/// The entries of the tarball, whose bytes are the image's layer too.
fn shipped(home: &Path) -> Contents {
    let tarball = fs::read(home.join("rootfs.tar")).expect("read");
    let image = fs::File::open(home.join("artifacts/image.tar")).expect("opened");
    let mut archive = tar::Archive::new(image);
    let is_layer = archive.entries().expect("an archive").any(|blob| {
        let mut content = Vec::new();
        blob.and_then(|mut blob| blob.read_to_end(&mut content))
            .expect("read");
        content == tarball
    });
    assert!(is_layer);
    contents(&home.join("rootfs.tar"), home)
}

#[test]
fn the_outputs_hold_those_of_a_run_without_it() {
    let written = |options: &[&str], until: &dyn Fn(&mut Child, &Path)| {
        let (tree, home) = (tree(), tempfile::tempdir().expect("a directory"));
        // The same names, times and inodes would be needed for the same bytes: the same tree is.
        let mut all = Vec::new();
        for options in [&[][..], options] {
            fs::write(tree.path().join("f20"), vec![20; BYTES]).expect("written");
            let time = fs::metadata(tree.path().join("f19")).and_then(|meta| meta.modified());
            let file = fs::File::options()
                .write(true)
                .open(tree.path().join("f20"));
            let file = file.expect("opened");
            file.set_modified(time.expect("a time")).expect("set");
            let mut child = traced(tree.path(), home.path(), options);
            if !options.is_empty() {
                until(&mut child, home.path());
            }
            ended(child);
            assert!(temporary_files(home.path()).is_empty());
            assert!(temporary_files(&home.path().join("artifacts")).is_empty());
            let files = fs::read(home.path().join("artifacts/files.txt")).expect("read");
            all.push((shipped(home.path()), files));
        }
        all
    };
    let size = ((FILES - 12) * BYTES) as u64;
    let packed_ahead = |child: &mut Child, home: &Path| {
        let is_there = |path: &PathBuf| fs::metadata(path).is_ok_and(|meta| meta.len() >= size);
        while !temporary_files(home).iter().any(is_there) {
            assert!(child.try_wait().expect("asked").is_none(), "it has ended");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let all = written(&["--pack-ahead"], &packed_ahead);
    assert!(all[0] == all[1]);
    // Too short a run for anything to be packed ahead.
    let all = written(&["--pack-ahead"], &|_, _| {});
    assert!(all[0] == all[1]);
}
