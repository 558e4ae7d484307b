//! What holds for every output file.

use super::*;
use std::os::unix::fs::symlink;

fn names(directory: &Path) -> Vec<OsString> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .expect("listed")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    names.sort();
    names
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

#[test]
fn the_final_name_appears_only_at_commit() {
    let directory = directory();
    let path = directory.path().join("rootfs.tar");
    let mut output = Output::create(&path).expect("created");
    output.write_all(b"bytes").expect("written");
    let hidden = format!(".rootfs.tar.{}.tmp", std::process::id());
    assert_eq!(names(directory.path()), [OsString::from(&hidden)]);
    assert_eq!(output.temporary_path(), directory.path().join(hidden));
    output.commit().expect("committed");
    assert_eq!(names(directory.path()), ["rootfs.tar"]);
    assert_eq!(fs::read(path).expect("read"), b"bytes");
}

#[test]
fn dropping_leaves_nothing_and_keeps_what_was_there() {
    let directory = directory();
    let path = directory.path().join("rootfs.tar");
    fs::write(&path, "old").expect("written");
    let mut output = Output::create(&path).expect("created");
    output.write_all(&[1; 1 << 20]).expect("written");
    drop(output);
    assert_eq!(names(directory.path()), ["rootfs.tar"]);
    assert_eq!(fs::read(path).expect("read"), b"old");
}

#[test]
fn a_temporary_file_of_a_killed_run_is_not_in_the_way() {
    let directory = directory();
    let path = directory.path().join("x");
    let stale = directory
        .path()
        .join(format!(".x.{}.tmp", std::process::id()));
    fs::write(&stale, "stale").expect("written");
    Output::create(&path)
        .expect("created")
        .commit()
        .expect("committed");
    assert_eq!(fs::read(stale).expect("untouched"), b"stale");
}

#[test]
fn a_symlink_stays_and_its_target_is_replaced() {
    let directory = directory();
    let target = directory.path().join("target");
    let link = directory.path().join("link");
    fs::write(&target, "old").expect("written");
    symlink("target", &link).expect("linked");
    let mut output = Output::create(&link).expect("created");
    output.write_all(b"new").expect("written");
    output.commit().expect("committed");
    assert_eq!(fs::read(target).expect("read"), b"new");
    assert!(link.is_symlink());
}

#[test]
fn devices_are_written_straight_into() {
    let mut output = Output::create(Path::new("/dev/null")).expect("opened");
    output.write_all(b"x").expect("written");
    output.commit().expect("committed");
    assert!(!Path::new("/dev/null").is_file());
}

#[test]
fn a_full_device_fails_the_write_with_a_remedy() {
    let mut output = Output::create(Path::new("/dev/full")).expect("opened");
    let error = output
        .write_all(&[0; 1 << 20])
        .and_then(|()| output.flush())
        .expect_err("no space");
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert_eq!(
        error.to_string(),
        "cannot write /dev/full: No space left on device (os error 28); \
         free some space, or choose another place"
    );
}

#[test]
fn a_full_device_fails_a_commit_that_was_only_buffered() {
    let mut output = Output::create(Path::new("/dev/full")).expect("opened");
    output.write_all(b"few").expect("buffered");
    assert!(output.commit().is_err());
}

#[test]
fn wrong_places_are_told_in_one_line_with_a_remedy() {
    let directory = directory();
    let message = |path: &Path| Output::create(path).expect_err("refused").to_string();
    assert!(message(directory.path()).ends_with("name a file in it"));
    let slash = format!("{}/new/", directory.path().display());
    assert!(message(Path::new(&slash)).ends_with("name a file in it"));
    let missing = message(&directory.path().join("no\nsuch/x"));
    assert!(missing.ends_with("create the directory first"), "{missing}");
    assert!(!missing.contains('\n'));
    assert!(message(Path::new("")).contains("cannot write"));
    assert!(message(Path::new("/proc/x")).contains("cannot write /proc/x: "));
}

#[test]
fn the_longest_name_has_room_for_a_temporary_one() {
    let directory = directory();
    let path = directory.path().join("n".repeat(255));
    Output::create(&path)
        .expect("created")
        .commit()
        .expect("committed");
    assert!(path.is_file());
}
