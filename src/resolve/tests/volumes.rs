//! Volumes that the engine filled from the image, and what is decided of each mount.

use super::*;
use crate::image_fs::{FileTime, Meta};
use crate::manifest::MountFate;

const MADE: i64 = 1000;
const FILLED: i64 = 1001;
const BEFORE: i64 = 1500;
const STARTED: i64 = 2000;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn table() -> String {
    format!(
        "1 0 0:50 / / rw - overlay overlay rw\n\
         2 1 0:51 / /proc rw - proc proc rw\n\
         3 1 8:1 /var/lib/docker/volumes/{ID}/_data /anonymous rw - ext4 /dev/sda1 rw\n\
         4 1 8:1 /var/lib/docker/volumes/data/_data /named rw - ext4 /dev/sda1 rw\n\
         5 1 8:1 /home/user/data /bound rw - ext4 /dev/sda1 rw\n\
         6 1 8:1 /var/lib/docker/containers/c/hosts /etc/hosts rw - ext4 /dev/sda1 rw\n\
         7 3 0:60 / /anonymous/memory rw - tmpfs tmpfs rw\n"
    )
}

fn times(mtime: i64, ctime: i64) -> impl Fn(&mut Meta) {
    let at = |seconds| FileTime {
        seconds,
        nanoseconds: 0,
    };
    move |meta| (meta.mtime, meta.ctime) = (at(mtime), at(ctime))
}

const VOLUMES: [&str; 3] = ["/anonymous", "/named", "/bound"];

/// In each of the three: a file that the engine copied from the image, and one that an earlier
/// run made.
fn case() -> Case {
    let mut fs = MemFs::new()
        .file("/.dockerenv", "")
        .with_meta("/.dockerenv", times(MADE, MADE))
        .file("/anonymous/memory/m", "")
        .file("/etc/hosts", "")
        .file("/named/old", "")
        .with_meta("/named/old", times(10, 20));
    for volume in VOLUMES {
        let [filled, made] = ["sub/filled", "made"].map(|name| format!("{volume}/{name}"));
        fs = fs
            .file(&filled, "")
            .file(&made, "")
            .with_meta(&filled, times(10, FILLED))
            .with_meta(format!("{volume}/sub"), times(10, FILLED))
            .with_meta(&made, times(BEFORE, BEFORE))
            .with_meta(volume, |meta| {
                times(10, FILLED)(meta);
                meta.mode = 0o2770;
            });
    }
    let mut case = Case::new(fs)
        .opens("/anonymous/memory/m")
        .opens("/named/old");
    for volume in VOLUMES {
        case = case
            .opens(format!("{volume}/sub/filled"))
            .opens(format!("{volume}/made"));
    }
    case.mounts(&table()).options(|options| {
        options.started = Some(FileTime {
            seconds: STARTED,
            nanoseconds: 0,
        })
    })
}

#[test]
fn a_volume_gives_back_what_the_engine_filled_it_with() {
    let manifest = case().resolve();
    let all = shipped(&manifest);
    for path in ["/anonymous/sub/filled", "/named/sub/filled"] {
        assert!(all.contains(&path.to_owned()), "{path}: {all:?}");
    }
    for path in ["/anonymous", "/anonymous/sub", "/named", "/named/sub"] {
        assert_eq!(entry(&manifest, path).source, Source::Image, "{path}");
    }
    for path in [
        "/anonymous/made",
        "/named/made",
        "/bound/sub/filled",
        "/bound/made",
    ] {
        let why = Exclusion::Mount("ext4".to_owned());
        assert_eq!(excluded(&manifest, path), Some(&why), "{path}");
    }
}

#[test]
fn what_was_in_a_named_volume_before_this_container_is_the_users() {
    let why = Exclusion::Mount("ext4".to_owned());
    assert_eq!(excluded(&case().resolve(), "/named/old"), Some(&why));
}

#[test]
fn memory_mounted_in_a_volume_stays_out_and_its_mount_point_in() {
    let manifest = case().resolve();
    assert_eq!(entry(&manifest, "/anonymous/memory").source, empty(0o755));
    assert_eq!(
        excluded(&manifest, "/anonymous/memory/m"),
        Some(&Exclusion::Mount("tmpfs".to_owned()))
    );
}

#[test]
fn what_the_application_makes_in_a_volume_is_not_the_images() {
    let manifest = case().created("/anonymous/sub/filled").resolve();
    assert!(excluded(&manifest, "/anonymous/sub/filled").is_some());
    assert!(!shipped(&manifest).contains(&"/anonymous/sub/filled".to_owned()));
}

#[test]
fn without_a_mark_an_unnamed_volume_is_the_images_and_a_named_one_is_not() {
    let mut case = case();
    case.options.mounts =
        Mounts::parse(table().replace("overlay", "fuse.fuse-overlayfs").as_bytes())
            .expect("mount table");
    case.options.started = None;
    let manifest = case.resolve();
    for path in ["/anonymous/made", "/anonymous/sub/filled"] {
        assert_eq!(entry(&manifest, path).source, Source::Image, "{path}");
    }
    assert!(excluded(&manifest, "/named/sub/filled").is_some());
}

#[test]
fn every_mount_is_listed_with_what_was_decided() {
    let manifest = case()
        .options(|options| options.include_mounts = vec![path("/bound")])
        .resolve();
    let fates: Vec<(String, MountFate)> = manifest
        .mounts
        .iter()
        .map(|mount| (mount.mount_point.to_string(), mount.fate))
        .collect();
    assert_eq!(
        fates,
        [
            ("/", MountFate::Image),
            ("/proc", MountFate::Pseudo),
            ("/anonymous", MountFate::Prefilled),
            ("/named", MountFate::NamedVolume),
            ("/bound", MountFate::Included),
            ("/etc/hosts", MountFate::Engine),
            ("/anonymous/memory", MountFate::Pseudo),
        ]
        .map(|(place, fate)| (place.to_owned(), fate))
    );
}
