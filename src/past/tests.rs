//! The tree before some changes, over trees in memory. The tests of the supervisor play random
//! changes of real ones.

use super::*;
use crate::image_fs::MemFs;
use crate::recording::Body;

fn path(text: &str) -> ImagePath {
    ImagePath::new(text).expect("absolute")
}

fn kept(fs: &MemFs, text: &str, body: Body) -> Original {
    Original {
        path: path(text),
        meta: fs.lstat(&path(text)).expect("there"),
        xattrs: Vec::new(),
        body,
    }
}

fn names(fs: &dyn ImageFs, directory: &str) -> Vec<String> {
    let names = fs.list(&path(directory)).expect("a directory");
    let text = |name: &Vec<u8>| String::from_utf8(name.clone()).expect("UTF-8");
    names.iter().map(text).collect()
}

#[test]
fn what_lies_below_a_made_directory_was_made_too() {
    let fs = MemFs::new();
    let mut past = Past::default();
    past.made(&fs, &path("/data/new"));
    assert_eq!(past.then_of(&fs, &path("/data/new/deep/file")), None);
    let others = ["/data/new.txt", "/data"].map(path);
    for other in others {
        assert_eq!(past.then_of(&fs, &other), Some(other.clone()));
    }
}

#[test]
fn names_that_are_gone_are_dropped_in_time() {
    let fs = MemFs::new().file("/tmp/stays", "");
    let mut past = Past::default();
    past.made(&fs, &path("/tmp/stays"));
    for number in 0..3 * FIRST_SWEEP {
        past.made(&fs, &path(&format!("/tmp/{number}")));
    }
    assert!(past.created.len() <= FIRST_SWEEP + 1);
    assert_eq!(past.then_of(&fs, &path("/tmp/stays")), None);
}

#[test]
fn a_directory_is_known_by_its_inode_whether_its_rename_failed_or_not() {
    let start = MemFs::new().file("/old/x", "");
    let original = kept(&start, "/old", Body::None);
    let mut past = Past::default();
    past.note(&original);
    assert!(past.moved(&path("/old"), &path("/old")));
    assert!(past.moved(&path("/old"), &path("/new")));
    assert!(!past.moved(&path("/old"), &path("/new")));
    past.made(&start, &path("/new"));
    let x = path("/old/x");
    assert_eq!(past.then_of(&start, &x), Some(x.clone()));
    assert_eq!(past.now_of(&start, &x), Some(x.clone()));
    let renamed = MemFs::new()
        .file("/old/made", "")
        .file("/new/x", "")
        .with_meta("/old", |meta| meta.ino = 99)
        .with_meta("/new", |meta| *meta = original.meta);
    assert_eq!(past.then_of(&renamed, &path("/new/x")), Some(x.clone()));
    assert_eq!(past.now_of(&renamed, &x), Some(path("/new/x")));
}

#[test]
fn a_renamed_directory_takes_along_what_was_moved_into_it() {
    let fs = MemFs::new().file("/a", "");
    let mut past = Past::default();
    past.note(&kept(&fs, "/a", Body::InPlace));
    past.moved(&path("/a"), &path("/d/a"));
    past.moved(&path("/a"), &path("/d.a"));
    let shift = past.shift(&path("/d"), &path("/e"));
    assert_eq!(shift, [(path("/a"), path("/e/a"))]);
}

#[test]
fn what_could_not_be_saved_is_shown_as_it_is_and_where_it_is_gone_it_is_gone() {
    let fs = MemFs::new().file("/large", "changed");
    let start = MemFs::new().file("/large", "old").file("/gone", "old");
    let mut recording = Recording::default();
    for text in ["/large", "/gone"] {
        let original = kept(&start, text, Body::Unsaved("full".to_owned()));
        recording.originals.insert(path(text), original);
    }
    let spool = MemFs::new();
    let before = Before::new(&fs, &spool, &recording);
    assert_eq!(
        before.read(&path("/large"), 10).ok(),
        Some(b"changed".to_vec())
    );
    assert_eq!(
        before.lstat(&path("/large")).map(|meta| meta.size).ok(),
        Some(7)
    );
    assert!(before.lstat(&path("/gone")).is_err());
    assert!(!before.is_made(&path("/large")));
}

#[test]
fn what_was_made_is_seen_by_its_name_alone() {
    let fs = MemFs::new().file("/d/old", "").file("/d/made/x", "new");
    let mut recording = Recording::default();
    recording.created.insert(path("/d/made"));
    let spool = MemFs::new();
    let before = Before::new(&fs, &spool, &recording);
    assert_eq!(names(&before, "/d"), ["old"]);
    let all = before.list_with_made(&path("/d")).expect("a directory");
    assert_eq!(all, [b"made".to_vec(), b"old".to_vec()]);
    assert!(before.is_made(&path("/d/made/x")) && !before.is_made(&path("/d/old")));
    assert_eq!(
        before.read(&path("/d/made/x"), 10).ok(),
        Some(b"new".to_vec())
    );
    struct Anybody;
    impl crate::image_fs::Guard for Anybody {
        fn pass(&self, _path: &ImagePath) -> std::io::Result<()> {
            Ok(())
        }
    }
    let made = before.list_with_made(&path("/d")).expect("a directory");
    let guarded = crate::image_fs::GuardedFs::new(before, Anybody);
    assert!(guarded.is_made(&path("/d/made/x")) && !guarded.is_made(&path("/d/old")));
    let guarded = guarded.list_with_made(&path("/d"));
    assert_eq!(guarded.expect("a directory"), made, "behind a guard");
}

#[test]
fn a_copy_that_was_damaged_is_not_shipped() {
    let fs = MemFs::new().file("/conf", "changed");
    let mut recording = Recording::default();
    let body = Body::Saved { file: 0, length: 7 };
    recording
        .originals
        .insert(path("/conf"), kept(&fs, "/conf", body));
    let spool = MemFs::new().file("/0", "short");
    let before = Before::new(&fs, &spool, &recording);
    assert!(before.open(&path("/conf")).is_err());
}

#[test]
fn what_others_removed_is_gone_although_its_metadata_was_kept() {
    let start = MemFs::new().file("/conf", "old");
    let fs = MemFs::new();
    let mut recording = Recording::default();
    let original = kept(&start, "/conf", Body::InPlace);
    recording.originals.insert(path("/conf"), original);
    let spool = MemFs::new();
    let before = Before::new(&fs, &spool, &recording);
    assert!(before.lstat(&path("/conf")).is_err());
}
