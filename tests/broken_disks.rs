//! Disks that fail under what is packed, and under the outputs: real ones, of a loop device whose
//! file is too short or has no room.

mod leavings;
mod tarballs;

use leavings::{MICROPACKER, assert_one_line, home, read_journal};
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Runs a script in a mount namespace of its own with an ext4 at `$DISK`, made of the directory
/// `$TREE` in the file `$FILE` by this script. `None` where this user may have none.
fn with_disk(kept: &Path, make: &str, script: &str) -> Option<Output> {
    let disk = home();
    let run = |script: &str| {
        Command::new("unshare")
            .args(["--mount", "sh", "-c", &format!("{make}{script}")])
            .env("DISK", disk.path())
            .env("KEPT", kept)
            .env("MP", MICROPACKER)
            .stdin(Stdio::null())
            .output()
            .expect("started")
    };
    if !run("true").status.success() {
        eprintln!("not tested: this user may not mount, or there are no loop devices");
        return None;
    }
    Some(run(script))
}

/// The second half of the disk is gone: files whose blocks are there cannot be read.
const CUT_OFF: &str = "set -e; cd \"$KEPT\"; rm -rf tree file; mkdir tree; \
    head -c 10000000 /dev/urandom >tree/big; truncate -s 16M file; \
    mkfs.ext4 -q -O ^has_journal -d tree file; mount -o loop,ro file \"$DISK\"; \
    truncate -s 8M file; set +e; ";

#[test]
fn a_file_that_its_disk_does_not_give_is_named_and_nothing_is_written() {
    let kept = home();
    let script = "cd \"$DISK\"; \
        \"$MP\" -o \"$KEPT/rootfs.tar\" --artifacts \"$KEPT/artifacts\" --include-mount \"$DISK\" \
        -- sh -c ': < big'";
    let Some(output) = with_disk(kept.path(), CUT_OFF, script) else {
        return;
    };
    let words = ["/big: I/O error", "--exclude"];
    assert_one_line(&output, 125, &words);
    assert_one_line(
        &output,
        125,
        &["the recording is safe in", "pack --journal"],
    );
    let left = |place: &Path| std::fs::read_dir(place).expect("listed").count();
    assert_eq!(left(&kept.path().join("artifacts")), 0);
    assert!(!kept.path().join("rootfs.tar").exists());
    let (read, _) = read_journal(&kept.path().join("rootfs.tar.journal"));
    assert_eq!((read.status, read.is_packed), (Some(0), false));
    assert!(read.damaged.is_empty() && !read.is_torn);
}

/// The disk takes less than it says, which shows only when it is synced.
const NO_ROOM: &str = "set -e; mount -t tmpfs -o size=3m small \"$DISK\"; cd \"$DISK\"; \
    mkdir at; truncate -s 64M file; mkfs.ext4 -q -O ^has_journal file; mount -o loop file at; \
    head -c 8000000 /dev/urandom >\"$KEPT/large\"; set +e; ";

#[test]
fn what_a_disk_takes_and_does_not_keep_has_no_final_name() {
    let kept = home();
    let script = "\"$MP\" -o at/rootfs.tar --artifacts at/artifacts --journal \"$KEPT/journal\" \
        -- sh -c ': < \"$KEPT/large\"'; s=$?; ls -A at/artifacts; ls -d at/rootfs.tar; exit $s";
    let Some(output) = with_disk(kept.path(), NO_ROOM, script) else {
        return;
    };
    let told = String::from_utf8_lossy(&output.stderr);
    let ours: Vec<&str> = told
        .lines()
        .filter(|line| line.starts_with("micropacker: cannot write"))
        .collect();
    assert_eq!(output.status.code(), Some(125), "{told}");
    assert_eq!(ours.len(), 1, "{told}");
    assert!(ours[0].contains("at/rootfs.tar: "), "{told}");
    assert!(output.stdout.is_empty(), "{:?}", output.stdout);
    let (read, _) = read_journal(&kept.path().join("journal"));
    assert_eq!((read.status, read.is_packed), (Some(0), false));
}
