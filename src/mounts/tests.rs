//! Tables of containers and of namespaces within them.

use super::*;
use crate::image_fs::MemFs;
use proptest::prelude::*;

const DOCKER: &[u8] = b"\
700 650 0:50 / / rw,relatime master:1 - overlay overlay rw,lowerdir=/x
701 700 0:53 / /proc rw,nosuid - proc proc rw
702 700 0:54 / /dev rw,nosuid - tmpfs tmpfs rw
703 702 0:55 / /dev/pts rw - devpts devpts rw
704 700 8:1 /var/lib/docker/c/hosts /etc/hosts rw,relatime shared:3 master:4 - ext4 /dev/sda1 rw
705 700 8:1 /my\\040data /srv/a\\040b\\134 rw - ext4 /dev/sda1 rw
";

fn path(text: &str) -> ImagePath {
    ImagePath::new(text).expect("absolute")
}

fn of<'a>(mounts: &'a Mounts, text: &str) -> Option<(&'a str, u64)> {
    mounts
        .of(&path(text))
        .map(|mount| (mount.fs_type.as_str(), mount.id))
}

#[test]
fn the_deepest_covering_mount_wins_by_whole_components() {
    let mounts = Mounts::parse(DOCKER).expect("well formed");
    assert_eq!(of(&mounts, "/etc/passwd"), Some(("overlay", 700)));
    assert_eq!(of(&mounts, "/etc/hosts"), Some(("ext4", 704)));
    assert_eq!(of(&mounts, "/etc/hosts.allow"), Some(("overlay", 700)));
    assert_eq!(of(&mounts, "/dev/pts/0"), Some(("devpts", 703)));
    assert_eq!(of(&mounts, "/devel"), Some(("overlay", 700)));
    assert_eq!(Mounts::none().of(&path("/x")), None);
}

#[test]
fn octal_escapes_are_bytes_of_the_path() {
    let mounts = Mounts::parse(DOCKER).expect("well formed");
    assert_eq!(of(&mounts, "/srv/a b\\/x"), Some(("ext4", 705)));
    let odd = Mounts::parse(b"1 0 0:1 / /caf\xE9\\011x rw - ext4 a rw\n").expect("bytes");
    let inside = ImagePath::new(b"/caf\xE9\tx/f").expect("absolute");
    assert!(odd.of(&inside).is_some());
}

#[test]
fn of_stacked_mounts_the_last_one_is_seen() {
    let mounts = Mounts::parse(
        b"1 1 0:1 / / rw - ext4 a rw\n2 1 0:2 / /m rw - ext4 b rw\n\
          3 2 0:3 / /m/in rw - xfs c rw\n4 2 0:4 / /m rw - tmpfs d rw\n",
    )
    .expect("well formed");
    assert_eq!(of(&mounts, "/m/x"), Some(("tmpfs", 4)));
    assert_eq!(of(&mounts, "/m/in/x"), Some(("tmpfs", 4)), "3 is hidden");
}

#[test]
fn a_mount_number_that_runs_in_a_circle_ends() {
    let mounts = Mounts::parse(
        b"9 9 0:1 / / rw - ext4 a rw\n1 2 0:1 / /a rw - ext4 a rw\n2 1 0:2 / /a rw - xfs b rw\n",
    )
    .expect("well formed");
    assert_eq!(of(&mounts, "/a/x"), Some(("ext4", 9)));
}

#[test]
fn a_line_that_is_no_mount_is_an_error_that_names_it() {
    let error = Mounts::parse(b"1 1 0:1 / / rw - ext4 a rw\n2 1 0:1 / /x rw\n");
    assert_eq!(
        error.expect_err("no separator").to_string(),
        "line 2 of the mount table: no separator"
    );
    assert!(Mounts::parse(b"garbage").is_err());
}

#[test]
fn volumes_are_told_by_where_engines_keep_them() {
    let volume = |root: &str| {
        let line = format!("1 0 8:1 {root} /v rw - ext4 /dev/sda1 rw\n");
        let mounts = Mounts::parse(line.as_bytes()).expect("well formed");
        mounts.iter().next().and_then(Mount::volume)
    };
    let id = "0123456789abcdef".repeat(4);
    let docker = format!("/var/lib/docker/volumes/{id}/_data");
    let podman = format!("/u/.local/share/containers/storage/volumes/{id}/_data");
    for root in [docker, podman, format!("/volumes/{id}/_data")] {
        assert_eq!(volume(&root), Some(Volume::Anonymous), "{root}");
    }
    assert_eq!(
        volume("/var/lib/docker/volumes/data/_data"),
        Some(Volume::Named)
    );
    for root in ["/", "/_data", "/volumes/_data", "/home/volumes/x"] {
        assert_eq!(volume(root), None, "{root}");
    }
}

#[test]
fn a_container_is_told_by_its_root_or_its_mark() {
    let plain = Mounts::parse(b"1 1 8:1 / / rw - ext4 a rw\n").expect("well formed");
    assert!(!plain.in_container(&MemFs::new()));
    assert!(plain.in_container(&MemFs::new().file("/.dockerenv", "")));
    let docker = Mounts::parse(DOCKER).expect("well formed");
    assert!(docker.in_container(&MemFs::new()));
}

fn showing(ours: &[u8], theirs: &[u8], text: &str) -> Option<String> {
    let of = |table| Mounts::parse(table).expect("well formed");
    let path = of(ours).showing(&of(theirs), &path(text))?;
    Some(String::from_utf8(path.as_bytes().to_vec()).expect("UTF-8"))
}

#[test]
fn a_file_is_found_where_a_mount_of_ours_shows_it() {
    let theirs = b"\
801 800 0:60 / / rw - tmpfs tmpfs rw
802 801 0:50 /usr /usr rw,relatime - overlay overlay rw,lowerdir=/x
803 801 0:50 /usr/lib /lib rw,relatime - overlay overlay rw,lowerdir=/x
804 801 8:1 /my\\040data/deep /data rw - ext4 /dev/sda1 rw
805 801 0:50 /etc /oldetc rw,relatime - overlay overlay rw,lowerdir=/x
806 805 0:61 / /oldetc/own rw - tmpfs tmpfs rw
";
    let shown = |text| showing(DOCKER, theirs, text);
    assert_eq!(shown("/usr/bin/env").as_deref(), Some("/usr/bin/env"));
    assert_eq!(shown("/lib/x.so").as_deref(), Some("/usr/lib/x.so"));
    assert_eq!(shown("/lib").as_deref(), Some("/usr/lib"));
    assert_eq!(shown("/data/f").as_deref(), Some("/srv/a b\\/deep/f"));
    assert_eq!(shown("/oldetc/passwd").as_deref(), Some("/etc/passwd"));
    assert_eq!(shown("/oldetc/hosts"), None, "ours is hidden by another");
    assert_eq!(shown("/oldetc/own/f"), None);
    assert_eq!(shown("/"), None);
    assert_eq!(shown("/usrlocal"), None);
}

#[test]
fn every_file_is_where_it_is_in_the_same_table() {
    for text in [
        "/",
        "/etc/hosts",
        "/etc/passwd",
        "/dev/pts/0",
        "/srv/a b\\/x",
    ] {
        assert_eq!(showing(DOCKER, DOCKER, text).as_deref(), Some(text));
    }
}

#[test]
fn what_lies_above_the_part_that_we_see_is_not_shown() {
    let ours = b"1 1 8:1 /home/me / rw - ext4 a rw\n";
    let theirs = b"9 9 8:1 / / rw - ext4 a rw\n";
    assert_eq!(showing(ours, theirs, "/home/me/x").as_deref(), Some("/x"));
    assert_eq!(showing(ours, theirs, "/home/me").as_deref(), Some("/"));
    assert_eq!(showing(ours, theirs, "/home/mexico"), None);
}

proptest! {
    #[test]
    fn a_bind_mount_shows_what_it_was_made_from(
        source in "(/[ab]){1,3}", target in "(/[cd]){1,3}", rest in "(/[abcd]){0,3}",
    ) {
        let theirs = format!(
            "1 1 8:1 / / rw - ext4 a rw\n2 1 8:1 {source} {target} rw - ext4 a rw\n"
        );
        let ours = b"7 7 8:1 / / rw - ext4 a rw\n";
        let shown = showing(ours, theirs.as_bytes(), &format!("{target}{rest}"));
        prop_assert_eq!(shown, Some(format!("{source}{rest}")));
    }
}
