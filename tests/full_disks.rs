//! Disks that are full, or become read-only, under a trace and its outputs.

mod leavings;
mod tarballs;

use leavings::{MICROPACKER, assert_one_line, home, read_journal, recovered, stderr};
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use tarballs::contents;

/// Runs a script in a mount namespace where `$SMALL` is a file system of this size, at which
/// `$KEPT` is not. `None` where this user may not mount.
fn with_small_disk(kept: &Path, size: &str, script: &str) -> Option<Output> {
    let small = home();
    let mount = "mount -t tmpfs -o size=$SIZE small \"$SMALL\" || exit 99; ";
    let run = |script: &str| {
        let user = match nix::unistd::geteuid().is_root() {
            true => "--mount",
            false => "-rm",
        };
        Command::new("unshare")
            .args([user, "sh", "-c", &format!("{mount}{script}")])
            .env("SMALL", small.path())
            .env("KEPT", kept)
            .env("SIZE", size)
            .env("MP", MICROPACKER)
            .stdin(Stdio::null())
            .output()
            .expect("started")
    };
    if !run("true").status.success() {
        eprintln!("not tested: this user may not mount");
        return None;
    }
    Some(run(script))
}

#[test]
fn a_disk_that_is_full_when_the_outputs_are_written_leaves_the_journal() {
    let kept = home();
    let script = "cd \"$SMALL\"; \"$MP\" -o rootfs.tar -- cat /etc/passwd >/dev/null; s=$?; \
                  ls -A > \"$KEPT/left\"; cp rootfs.tar.journal \"$KEPT/journal\"; exit $s";
    let Some(output) = with_small_disk(kept.path(), "256k", script) else {
        return;
    };
    let words = ["cannot write rootfs.tar: No space left", "free some space"];
    assert_one_line(&output, 125, &words);
    let remedy = [
        "micropacker pack --journal",
        "rootfs.tar.journal -o rootfs.tar",
    ];
    assert_one_line(&output, 125, &remedy);
    let left = fs::read_to_string(kept.path().join("left")).expect("listed");
    assert_eq!(left, "rootfs.tar.journal\n");
    let again = recovered(&kept.path().join("journal"), kept.path());
    assert!(again.contains_key(Path::new("etc/passwd")));
}

#[test]
fn a_journal_that_finds_no_room_is_told_once_and_the_outputs_are_written() {
    let kept = home();
    let script = "dd if=/dev/zero of=\"$SMALL/fill\" bs=4k 2>/dev/null; \
                  \"$MP\" -o \"$KEPT/rootfs.tar\" --journal \"$SMALL/journal\" -- \
                  sh -c 'cat /etc/passwd; cat /etc/group; exit 5' >/dev/null";
    let Some(output) = with_small_disk(kept.path(), "64k", script) else {
        return;
    };
    let words = [
        "cannot write the journal",
        "No space left",
        "the trace goes on",
    ];
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(5), "{told}");
    let warned = told.lines().filter(|line| line.contains("the journal"));
    let warned: Vec<&str> = warned.collect();
    // Once while it runs, and that it cannot say that the outputs are written.
    assert!((1..=2).contains(&warned.len()), "{told}");
    assert!(words.iter().all(|word| warned[0].contains(word)), "{told}");
    let shipped = contents(&kept.path().join("rootfs.tar"), kept.path());
    assert!(shipped.contains_key(Path::new("etc/group")));
}

#[test]
fn a_journal_goes_on_when_the_disk_has_room_again() {
    let kept = home();
    let script = "dd if=/dev/zero of=\"$SMALL/fill\" bs=4k 2>/dev/null; \
                  \"$MP\" -o \"$KEPT/rootfs.tar\" --journal \"$SMALL/journal\" -- \
                  sh -c 'cat /etc/passwd; rm \"$SMALL/fill\"; cat /etc/group' >/dev/null; s=$?; \
                  cp \"$SMALL/journal\" \"$KEPT\"; exit $s";
    let Some(output) = with_small_disk(kept.path(), "64k", script) else {
        return;
    };
    assert!(output.status.success(), "{}", stderr(&output));
    let (read, _) = read_journal(&kept.path().join("journal"));
    assert!(
        read.is_packed && read.damaged.is_empty() && !read.is_torn,
        "{read:?}"
    );
    let again = recovered(&kept.path().join("journal"), kept.path());
    for path in ["etc/passwd", "etc/group"] {
        assert!(again.contains_key(Path::new(path)));
    }
}

#[test]
fn a_place_that_becomes_read_only_is_named_with_the_remedy() {
    let kept = home();
    let script = "\"$MP\" -o \"$SMALL/rootfs.tar\" --journal \"$KEPT/journal\" -- \
                  sh -c 'mount -o remount,ro \"$SMALL\"'";
    let Some(output) = with_small_disk(kept.path(), "4m", script) else {
        return;
    };
    assert_one_line(
        &output,
        125,
        &["rootfs.tar: Read-only file system", "docker run -v"],
    );
    let (read, _) = read_journal(&kept.path().join("journal"));
    assert_eq!((read.status, read.is_packed), (Some(0), false));
    // Known before anything is run, where it is so from the start.
    let script = "mount -o remount,ro \"$SMALL\"; \"$MP\" -o \"$SMALL/x.tar\" -- echo ran";
    let output = with_small_disk(kept.path(), "4m", script).expect("as before");
    assert_one_line(&output, 125, &["x.tar: Read-only file system"]);
    assert!(output.stdout.is_empty());
}
