//! Starved and betrayed: a clear line and status, no file with its final name that is not complete,
//! and a journal that gives what was recorded.

mod leavings;
mod tarballs;

use leavings::{MICROPACKER, assert_one_line, home, read_journal, recovered, stderr};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use tarballs::contents;
use tempfile::TempDir;

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]).stdin(Stdio::null());
    command.env("MP", MICROPACKER);
    command
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
