//! The ancestor's file lists, line by line.

use super::*;
use crate::image_fs::FileKind;

const PATH: &[u8] = b"/usr/local/bin:/usr/bin";

fn tree() -> MemFs {
    MemFs::new()
        .directory("/usr/local/bin/java")
        .program("/usr/bin/java", "")
        .file("/yard/rel/x", "")
        .file("/srv/all/deep/y", "")
        .symlink("/srv/all/l", "/etc/target")
        .file("/etc/target", "")
        .file("/a/b/f", "")
        .file("/a/b/g", "")
        .file("/a/bc", "")
        .symlink("/dangling", "/nowhere")
}

fn used(text: impl AsRef<[u8]>) -> (Vec<String>, ListReport) {
    let (recording, report) = from_list(&tree(), text.as_ref(), PATH, &path("/yard"));
    let places = recording.uses.keys();
    (places.map(|place| place.path.to_string()).collect(), report)
}

#[test]
fn lines_are_absolute_or_relative_or_names_along_path() {
    let (paths, report) = used("java\n/etc/target\nrel/x\njava\n");
    assert_eq!(paths, ["/etc/target", "/usr/bin/java", "/yard/rel/x"]);
    assert_eq!(
        report,
        ListReport {
            taken: 3,
            missing: vec![]
        }
    );
}

#[test]
fn lines_that_name_nothing_are_counted_once_and_sorted() {
    let (paths, report) = used(b"<NA>\n/none\n\n-c\n\xFF\0\n<NA>\n/etc/target");
    assert_eq!(paths, ["/etc/target"]);
    assert_eq!(report.taken, 1);
    assert_eq!(report.missing, [&b"-c"[..], b"/none", b"<NA>", b"\xFF\0"]);
}

#[test]
fn a_trailing_cr_is_dropped_where_no_such_file_exists() {
    let (paths, report) = used("/etc/target\r\n/none\r\n\r\n");
    assert_eq!(paths, ["/etc/target"]);
    assert_eq!(report.missing, [b"/none"]);
    let fs = tree().file("/odd\r", "").file("/odd", "");
    let (recording, _) = from_list(&fs, b"/odd\r\n", PATH, &path("/"));
    assert_eq!(
        recording.uses.keys().next().map(|place| &place.path),
        Some(&path("/odd\r"))
    );
}

#[test]
fn a_directory_comes_whole_unless_a_listed_file_lies_below() {
    let (paths, _) = used("/srv\n");
    assert_eq!(
        paths,
        [
            "/srv",
            "/srv/all",
            "/srv/all/deep",
            "/srv/all/deep/y",
            "/srv/all/l"
        ]
    );
    let (paths, _) = used("/a/b\n/a/b/f\n");
    assert_eq!(paths, ["/a/b", "/a/b/f"]);
    let (paths, _) = used("/a/b\n/a/bc\n");
    assert_eq!(paths, ["/a/b", "/a/b/f", "/a/b/g", "/a/bc"]);
}

#[test]
fn a_directory_comes_whole_but_for_what_is_mounted_in_it() {
    let fs = tree().with_meta("/srv/all/deep", |meta| meta.dev = 2);
    let (recording, _) = from_list(&fs, b"/srv", PATH, &path("/"));
    let below = Place::at(path("/srv/all/deep/y"));
    assert!(!recording.uses.contains_key(&below));
}

#[test]
fn a_listed_link_brings_its_target_and_a_dangling_one_itself() {
    let (recording, report) = from_list(&tree(), b"/srv/all/l\n/dangling", PATH, &path("/"));
    assert_eq!(report.taken, 2);
    let mut table = Table::default();
    let manifest = resolve_with(&tree(), &recording, &Options::default(), &mut table);
    assert_eq!(
        shipped(&manifest),
        [
            "/dangling",
            "/etc",
            "/etc/target",
            "/srv",
            "/srv/all",
            "/srv/all/l"
        ]
    );
    assert_eq!(entry(&manifest, "/dangling").kind, FileKind::Symlink);
}
