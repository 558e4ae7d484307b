//! Mounts, and what the kernel and the engine put into a container.

use super::*;

const CONTAINER: &str = "\
1 0 0:50 / / rw - overlay overlay rw
2 1 0:51 / /proc rw - proc proc rw
3 1 0:52 / /data rw - ext4 /dev/sda1 rw
4 1 0:52 / /etc/hosts rw - ext4 /dev/sda1 rw
5 3 0:53 / /data/cache rw - tmpfs tmpfs rw
6 1 0:54 / /scratch rw - tmpfs tmpfs rw
";

fn tree() -> MemFs {
    MemFs::new()
        .file("/proc/1/status", "")
        .file("/data/f", "")
        .file("/data/sub/g", "")
        .file("/data/cache/c", "")
        .file("/scratch/s", "")
        .file("/etc/hosts", "")
        .file("/etc/passwd", "")
        .with_meta("/data", |meta| {
            meta.mode = 0o750;
            meta.uid = 999;
            meta.gid = 998;
        })
        .with_meta("/scratch", |meta| meta.mode = 0o1777)
}

fn case() -> Case {
    let files = [
        "/proc/1/status",
        "/data/f",
        "/data/sub/g",
        "/data/cache/c",
        "/scratch/s",
    ];
    files
        .into_iter()
        .fold(Case::new(tree()), |case, file| case.opens(file))
        .opens("/etc/hosts")
        .opens("/etc/passwd")
}

#[test]
fn of_a_mount_only_its_mount_point_is_shipped() {
    let manifest = case().mounts(CONTAINER).resolve();
    assert_eq!(
        shipped(&manifest),
        ["/data", "/etc", "/etc/passwd", "/proc", "/scratch"]
    );
    for (file, kind) in [
        ("/proc/1/status", "proc"),
        ("/data/f", "ext4"),
        ("/data/cache/c", "ext4"),
        ("/scratch/s", "tmpfs"),
        ("/etc/hosts", "ext4"),
    ] {
        let why = Exclusion::Mount(kind.to_owned());
        assert_eq!(excluded(&manifest, file), Some(&why), "{file}");
    }
}

#[test]
fn a_mount_point_is_empty_and_has_the_mode_of_a_volume_but_not_of_memory() {
    let manifest = case().mounts(CONTAINER).resolve();
    let volume = Source::EmptyDirectory {
        mode: 0o750,
        uid: 999,
        gid: 998,
    };
    assert_eq!(entry(&manifest, "/data").source, volume);
    assert_eq!(entry(&manifest, "/data").meta, None);
    assert_eq!(entry(&manifest, "/scratch").source, empty(0o755));
    assert_eq!(entry(&manifest, "/proc").source, empty(0o755));
}

#[test]
fn a_mounted_temporary_directory_stays_open_to_all() {
    let mounts = format!("{CONTAINER}7 1 0:60 / /tmp rw - tmpfs tmpfs rw\n");
    let mut case = Case::new(MemFs::new().file("/tmp/x", "")).opens("/tmp/x");
    case = case.mounts(&mounts);
    let manifest = case.resolve();
    assert_eq!(entry(&manifest, "/tmp").source, empty(0o1777));
    assert!(shipped(&manifest).is_empty());
}

#[test]
fn an_included_mount_gives_its_own_files_and_not_those_mounted_in_it() {
    let manifest = case()
        .mounts(CONTAINER)
        .options(|options| options.include_mounts = vec![path("/data")])
        .resolve();
    let all = shipped(&manifest);
    assert!(all.contains(&"/data/sub/g".to_owned()), "{all:?}");
    assert!(!all.contains(&"/data/cache/c".to_owned()), "{all:?}");
    assert_eq!(entry(&manifest, "/data").source, Source::Image);
    assert_eq!(entry(&manifest, "/data/cache").source, empty(0o755));
}

#[test]
fn a_part_of_a_mount_can_be_included_by_itself() {
    let manifest = case()
        .mounts(CONTAINER)
        .options(|options| options.include_mounts = vec![path("/data/sub"), path("/etc")])
        .resolve();
    assert_eq!(entry(&manifest, "/data/sub/g").source, Source::Image);
    assert_eq!(
        excluded(&manifest, "/data/f"),
        Some(&Exclusion::Mount("ext4".to_owned()))
    );
    assert!(matches!(
        entry(&manifest, "/data").source,
        Source::EmptyDirectory { .. }
    ));
    assert_eq!(
        losses(&manifest),
        ["--include-mount /etc: nothing is mounted there: mend the path"]
    );
}

#[test]
fn outside_a_container_disks_are_part_of_the_image() {
    let plain = CONTAINER.replace("overlay", "ext4");
    let manifest = case().mounts(&plain).resolve();
    let all = shipped(&manifest);
    assert!(all.contains(&"/data/f".to_owned()), "{all:?}");
    assert!(!all.contains(&"/data/cache/c".to_owned()), "{all:?}");
    assert!(!all.contains(&"/scratch/s".to_owned()), "{all:?}");
}

#[test]
fn what_belongs_to_kernel_and_engine_stays_out_without_a_mount_table() {
    let fs = MemFs::new()
        .file("/proc/version", "")
        .file("/sys/x", "")
        .file("/dev/null", "")
        .file("/var/lib/docker/x", "")
        .file("/.dockerenv", "")
        .file("/run/.containerenv", "");
    let files = [
        "/proc/version",
        "/sys/x",
        "/dev/null",
        "/var/lib/docker/x",
        "/.dockerenv",
        "/run/.containerenv",
    ];
    let case = || {
        files
            .iter()
            .fold(Case::new(fs.clone()), |case, file| case.opens(file))
    };
    let manifest = case().resolve();
    assert_eq!(
        shipped(&manifest),
        [
            "/dev",
            "/proc",
            "/run",
            "/sys",
            "/var/lib",
            "/var/lib/docker"
        ]
    );
    for file in files {
        assert_eq!(
            excluded(&manifest, file),
            Some(&Exclusion::BuiltIn),
            "{file}"
        );
    }
    let manifest = case()
        .mounts("1 0 0:1 / / rw - overlay o rw\n2 1 0:2 / /proc rw - proc p rw\n")
        .options(|options| options.builtin_exclusions = false)
        .resolve();
    for file in files {
        assert_eq!(entry(&manifest, file).source, Source::Image);
    }
}

#[test]
fn a_path_through_a_link_into_a_mount_keeps_the_link() {
    let fs = tree().symlink("/srv/d", "/data/sub");
    let manifest = Case::new(fs).opens("/srv/d/g").mounts(CONTAINER).resolve();
    assert_eq!(shipped(&manifest), ["/data", "/proc", "/srv", "/srv/d"]);
}
