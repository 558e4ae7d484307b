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
fn what_was_removed_and_made_again_is_shipped() {
    let fs = MemFs::new()
        .file("/etc/app.conf", "new")
        .file("/etc/made", "");
    let manifest = Case::new(fs)
        .opens("/etc/app.conf")
        .opens("/etc/made")
        .created("/etc/app.conf")
        .created("/etc/made")
        .removed("/etc/app.conf")
        .resolve();
    assert_eq!(shipped(&manifest), ["/etc", "/etc/app.conf"]);
}

#[test]
fn what_was_removed_and_is_gone_is_told_and_its_directory_stays() {
    let fs = MemFs::new().directory("/run/lock");
    let manifest = Case::new(fs).removed("/run/lock/old").resolve();
    assert_eq!(shipped(&manifest), ["/run", "/run/lock"]);
    assert_eq!(
        excluded(&manifest, "/run/lock/old"),
        Some(&Exclusion::Vanished)
    );
}

#[test]
fn what_is_removed_below_a_made_directory_does_not_unmake_it() {
    let fs = MemFs::new().file("/old/made/x", "");
    let manifest = Case::new(fs)
        .opens("/old/made/x")
        .created("/old/made")
        .removed("/old")
        .resolve();
    assert_eq!(
        excluded(&manifest, "/old/made/x"),
        Some(&Exclusion::Created)
    );
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
