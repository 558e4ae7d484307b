//! Files that the application made, removed, and put in place of others.

use super::*;
use crate::manifest::Reason;

#[test]
fn what_was_made_at_run_time_stays_out_and_its_old_parent_stays_in() {
    let fs = MemFs::new()
        .file("/data/pre/new/x", "")
        .file("/data/pre.txt", "");
    let manifest = Case::new(fs)
        .opens("/data/pre/new/x")
        .opens("/data/pre.txt")
        .created("/data/pre/new")
        .resolve();
    assert_eq!(shipped(&manifest), ["/data", "/data/pre", "/data/pre.txt"]);
    assert_eq!(
        excluded(&manifest, "/data/pre/new/x"),
        Some(&Exclusion::Created)
    );
    assert!(matches!(
        entry(&manifest, "/data/pre").reasons[..],
        [Reason::ParentOf(_)]
    ));
}

#[test]
fn a_made_directory_does_not_cover_a_neighbour_of_like_name() {
    let fs = MemFs::new()
        .file("/data/pre/x", "")
        .file("/data/pre.txt", "");
    let manifest = Case::new(fs)
        .opens("/data/pre/x")
        .opens("/data/pre.txt")
        .created("/data/pre")
        .resolve();
    assert_eq!(shipped(&manifest), ["/data", "/data/pre.txt"]);
}

#[test]
fn the_directory_of_a_made_file_that_nothing_used_is_shipped() {
    let fs = MemFs::new().directory("/run/app").directory("/var/log/app");
    let manifest = Case::new(fs)
        .created("/run/app/gone.pid")
        .created("/var/log/app/new.log")
        .resolve();
    assert_eq!(
        shipped(&manifest),
        ["/run", "/run/app", "/var/log", "/var/log/app"]
    );
}

#[test]
fn what_was_removed_is_shipped_whatever_was_made_in_its_place() {
    let fs = MemFs::new()
        .directory("/etc/app.conf")
        .file("/etc/app.conf/made", "")
        .file("/etc/made", "");
    let mut case = Case::new(fs)
        .opens("/etc/app.conf")
        .opens("/etc/gone")
        .opens("/etc/made")
        .created("/etc/app.conf")
        .created("/etc/made")
        .kept("/etc/app.conf", "old")
        .kept("/etc/gone", "older");
    let manifest = case.resolve();
    assert_eq!(shipped(&manifest), ["/etc", "/etc/app.conf", "/etc/gone"]);
    assert_eq!(entry(&manifest, "/etc/app.conf").kind, FileKind::Regular);
    let before = Before::new(&case.fs, &case.spool, &case.recording);
    assert_eq!(
        before.read(&path("/etc/app.conf"), 100).ok(),
        Some(b"old".to_vec())
    );
}

#[test]
fn names_that_were_made_do_not_count_where_a_directory_was_listed() {
    let mut fs = MemFs::new().file("/srv/queue/0", "");
    for number in 1..=2000 {
        fs = fs.file(format!("/srv/queue/{number}"), "");
    }
    let mut case = Case::new(fs).uses(Access::LIST, "/srv/queue");
    for number in 1..=2000 {
        case = case.created(&format!("/srv/queue/{number}"));
    }
    let manifest = case.resolve();
    assert_eq!(shipped(&manifest), ["/srv", "/srv/queue", "/srv/queue/0"]);
}

#[test]
fn our_own_files_stay_out() {
    let fs = MemFs::new()
        .program("/micropacker", "")
        .file("/out/rootfs.tar", "")
        .file("/output", "");
    let manifest = Case::new(fs)
        .opens("/micropacker")
        .opens("/out/rootfs.tar")
        .opens("/output")
        .options(|options| options.own = vec![path("/micropacker"), path("/out")])
        .resolve();
    assert_eq!(shipped(&manifest), ["/output"]);
    assert_eq!(
        excluded(&manifest, "/out/rootfs.tar"),
        Some(&Exclusion::Own)
    );
}
