//! What is kept of real files.

use super::*;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

struct Scene {
    home: TempDir,
    spool: Spool,
}

impl Scene {
    fn new(limit: Option<u64>) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let place = home.path().join("out.originals");
        Self {
            home,
            spool: Spool::new(place, limit, Box::new(|_, _| true)),
        }
    }

    fn path(&self, name: &str) -> ImagePath {
        let path = self.home.path().canonicalize().expect("there").join(name);
        ImagePath::new(path.as_os_str().as_bytes()).expect("absolute")
    }

    fn file(&self, name: &str, content: &str) -> ImagePath {
        let path = self.path(name);
        fs::write(path.as_path(), content).expect("written");
        path
    }

    fn keep(&mut self, path: &ImagePath, level: Level) -> Original {
        self.spool.keep(path, path, level).expect("kept")
    }

    fn saved(&self, original: &Original) -> String {
        let Body::Saved { file, length } = original.body else {
            panic!("{:?}", original.body);
        };
        let directory = self.spool.directory().expect("made");
        let text = fs::read_to_string(directory.join(file.to_string())).expect("saved");
        assert_eq!(text.len() as u64, length);
        text
    }
}

#[test]
fn metadata_needs_no_copy_and_no_directory() {
    let mut scene = Scene::new(None);
    let path = scene.file("conf", "old");
    let original = scene.keep(&path, Level::Meta);
    assert_eq!(original.body, Body::InPlace);
    assert_eq!(original.meta.size, 3);
    assert_eq!(scene.spool.directory(), None);
}

#[test]
fn content_is_copied_into_a_directory_that_nobody_else_may_read() {
    let mut scene = Scene::new(None);
    let path = scene.file("conf", "old");
    let original = scene.keep(&path, Level::Whole);
    assert_eq!(scene.saved(&original), "old");
    let directory = scene.spool.directory().expect("made");
    let mode = fs::metadata(directory).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    remove(directory).expect("removed");
    remove(directory).expect("is gone already");
}

#[test]
fn what_an_earlier_run_left_is_left_alone() {
    let mut scene = Scene::new(None);
    let earlier = scene.home.path().join("out.originals");
    fs::create_dir(&earlier).expect("mkdir");
    fs::write(earlier.join("0"), "precious").expect("written");
    let path = scene.file("conf", "old");
    let original = scene.keep(&path, Level::Whole);
    assert_eq!(scene.saved(&original), "old");
    assert_eq!(
        fs::read_to_string(earlier.join("0")).expect("there"),
        "precious"
    );
}

#[test]
fn what_was_changed_by_one_name_is_the_original_of_the_other() {
    let mut scene = Scene::new(None);
    let (one, two) = (scene.file("one", "old"), scene.path("two"));
    fs::hard_link(one.as_path(), two.as_path()).expect("linked");
    let first = scene.keep(&one, Level::Whole);
    fs::write(one.as_path(), "changed").expect("written");
    fs::set_permissions(one.as_path(), fs::Permissions::from_mode(0o600)).expect("chmod");
    let second = scene.keep(&two, Level::Whole);
    assert_eq!((&second.body, second.meta), (&first.body, first.meta));
    assert_eq!(second.path, two);
}

#[test]
fn beyond_the_limit_the_file_is_told_and_later_ones_may_fit() {
    let mut scene = Scene::new(Some(10));
    let large = scene.file("large", "more than ten");
    let original = scene.keep(&large, Level::Whole);
    if let Body::Saved { .. } = original.body {
        // Shared blocks take no room.
        return;
    }
    let Body::Unsaved(why) = original.body else {
        panic!("{:?}", original.body);
    };
    let place = scene.spool.directory().expect("made").display();
    let named = format!("in {place}: raise --originals-limit");
    assert!(why.contains(&named), "{why}");
    let small = scene.file("small", "ten bytes!");
    let original = scene.keep(&small, Level::Whole);
    assert_eq!(scene.saved(&original), "ten bytes!");
}

#[test]
fn a_spool_that_cannot_be_made_is_told_with_its_place() {
    let mut scene = Scene::new(None);
    scene.spool.place = "/dev/null/originals".into();
    let path = scene.file("conf", "old");
    let Body::Unsaved(why) = scene.keep(&path, Level::Whole).body else {
        panic!("saved nowhere");
    };
    assert!(why.contains("/dev/null/originals"), "{why}");
}

#[test]
fn what_is_not_the_images_is_not_kept() {
    let mut scene = Scene::new(None);
    scene.spool.interest = Box::new(|path, _| !path.as_bytes().ends_with(b"volume"));
    let path = scene.file("volume", "data");
    assert_eq!(scene.spool.keep(&path, &path, Level::Whole), None);
    let gone = scene.path("gone");
    assert_eq!(scene.spool.keep(&gone, &gone, Level::Whole), None);
}
