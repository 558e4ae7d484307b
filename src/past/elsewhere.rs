//! A recording over another tree than the one it was made in: a new container of the image, one
//! that was committed or exported after the trace, a copy of its files. Inode numbers mean nothing
//! there, and changes that the recording tells of may be there or not.

use crate::image_fs::{FileKind, FileTime, ImageFs, Meta};
use crate::image_path::ImagePath;
use crate::recording::{Body, Original, Recording};

/// A device that nothing is on: what is nowhere in this tree is no link of anything in it.
const NOWHERE: u64 = u64::MAX;

/// Makes a recording hold for `fs`: finds originals by what they were like instead of by their
/// inodes. `has_copy` tells whether the spool has the file of this number; what has none and is
/// as it was needs none.
pub fn settle(recording: &mut Recording, fs: &dyn ImageFs, has_copy: &dyn Fn(u64) -> bool) {
    let Recording {
        originals, moved, ..
    } = recording;
    originals.retain(|path, original| {
        let here = fs.lstat(path).ok();
        let is_home = here.is_some_and(|now| is_as_it_was(original, &now, fs, path));
        let homes = moved.get(path).into_iter().flatten();
        let found = homes.filter(|home| *home != path).find_map(|home| {
            let now = fs.lstat(home).ok()?;
            is_as_it_was(original, &now, fs, home).then_some(now)
        });
        let place = match found {
            // A directory looks like any other: one that was moved is no longer at home.
            Some(now) if !is_home || now.kind == FileKind::Directory => Some(now),
            _ => {
                moved.remove(path);
                here.filter(|now| is_home || shares_a_file(original, now))
            }
        };
        original.meta.dev = place.map_or(NOWHERE, |now| now.dev);
        original.meta.ino = place.map_or(original.meta.ino, |now| now.ino);
        !(is_home && matches!(original.body, Body::Saved { file, .. } if !has_copy(file)))
    });
}

/// Whether this is what was there, unchanged. The time of a directory changes with every name.
fn is_as_it_was(original: &Original, now: &Meta, fs: &dyn ImageFs, path: &ImagePath) -> bool {
    let then = &original.meta;
    let is_alike = match (then.kind, &original.body) {
        (FileKind::Directory, _) => true,
        (FileKind::Symlink, Body::Target(target)) => {
            fs.read_link(path).is_ok_and(|now| now == *target)
        }
        _ => then.size == now.size && is_same_time(then.mtime, now.mtime),
    };
    is_alike && then.kind == now.kind
}

/// Engines and archives keep whole seconds.
fn is_same_time(then: FileTime, now: FileTime) -> bool {
    let is_cut = |time: FileTime| time.nanoseconds == 0;
    then == now || then.seconds == now.seconds && (is_cut(then) || is_cut(now))
}

/// Whether it was changed in place through one of its names, and its other names show it.
fn shares_a_file(original: &Original, now: &Meta) -> bool {
    original.has_links() && now.nlink > 1 && now.kind == original.meta.kind
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::byte_string::ByteString;
    use crate::image_fs::MemFs;
    use crate::past::Before;

    fn path(text: &str) -> ImagePath {
        ImagePath::new(text).expect("absolute")
    }

    fn kept(fs: &MemFs, text: &str, body: Body) -> Original {
        Original {
            path: path(text),
            meta: fs.lstat(&path(text)).expect("there"),
            xattrs: vec![(ByteString(b"user.a".to_vec()), ByteString(b"b".to_vec()))],
            body,
        }
    }

    fn time(seconds: i64, nanoseconds: u32) -> impl Fn(&mut Meta) {
        move |meta| {
            meta.mtime = FileTime {
                seconds,
                nanoseconds,
            };
        }
    }

    /// `/conf` was written over, `/moved` renamed to `/aside`, the directory `/d` to `/e`; `/made`
    /// was made.
    fn recording() -> Recording {
        let image = image();
        let saved = Body::Saved { file: 0, length: 3 };
        let originals = [
            kept(&image, "/conf", saved),
            kept(&image, "/moved", Body::InPlace),
            kept(&image, "/d", Body::None),
        ];
        let created = ["/made", "/aside", "/e"];
        let moved = [("/moved", "/moved"), ("/moved", "/aside"), ("/d", "/e")];
        let mut recording = Recording::default();
        for original in originals {
            recording.originals.insert(original.path.clone(), original);
        }
        recording.created = created.map(path).into();
        for (from, to) in moved {
            let places = recording.moved.entry(path(from)).or_default();
            places.insert(path(to));
        }
        recording
    }

    fn image() -> MemFs {
        MemFs::new()
            .file("/conf", "old")
            .with_meta("/conf", time(1, 7))
            .file("/moved", "content")
            .with_meta("/moved", time(2, 8))
            .file("/d/f", "below")
    }

    /// As an engine commits it: other inodes, whole seconds.
    fn committed() -> MemFs {
        MemFs::new()
            .file("/other", "")
            .file("/conf", "changed")
            .with_meta("/conf", time(9, 0))
            .file("/made", "by the application")
            .file("/aside", "content")
            .with_meta("/aside", time(2, 0))
            .file("/e/f", "below")
    }

    #[test]
    fn the_image_and_what_became_of_it_give_the_same_files() {
        let saved = MemFs::new().file("/0", "old");
        for tree in [image(), committed()] {
            let mut recording = recording();
            settle(&mut recording, &tree, &|_| true);
            let before = Before::new(&tree, &saved, &recording);
            for (name, text) in [("/conf", "old"), ("/moved", "content"), ("/d/f", "below")] {
                let read = before.read(&path(name), 100).expect(name);
                assert_eq!(String::from_utf8_lossy(&read), text, "{name}");
            }
            let names = before.list(&ImagePath::root()).expect("listed");
            let is_there = |name: &str| names.iter().any(|one| one == name.as_bytes());
            assert!(["conf", "moved", "d"].into_iter().all(is_there));
            assert!(!["made", "aside", "e"].into_iter().any(is_there));
        }
    }

    #[test]
    fn a_copy_that_is_missing_is_missed_only_where_the_file_was_changed() {
        for (tree, is_kept) in [(image(), false), (committed(), true)] {
            let mut recording = recording();
            settle(&mut recording, &tree, &|_| false);
            assert_eq!(recording.originals.contains_key(&path("/conf")), is_kept);
        }
    }

    #[test]
    fn inode_numbers_of_another_tree_make_no_links() {
        let mut recording = recording();
        let tree = committed();
        for original in recording.originals.values_mut() {
            let stranger = tree.lstat(&path("/other")).expect("there");
            original.meta.dev = stranger.dev;
            original.meta.ino = stranger.ino;
            original.meta.nlink = 2;
        }
        settle(&mut recording, &tree, &|_| true);
        let saved = MemFs::new().file("/0", "old");
        let before = Before::new(&tree, &saved, &recording);
        assert!(before.read(&path("/other"), 9).expect("there").is_empty());
    }
}
