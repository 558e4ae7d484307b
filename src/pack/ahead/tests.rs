//! Outputs that were written ahead, in any number of rounds over a tree that changes, are those
//! that would have been written at the end.

use super::super::{ImageConfig, write_layer_and_image};
use super::*;
use crate::image_fs::{HostFs, Meta, ReadAt};
use crate::image_path::ImagePath;
use crate::manifest::{Entry, Reason, Source};
use proptest::prelude::*;
use std::cell::Cell;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use tempfile::TempDir;

fn path(text: &str) -> ImagePath {
    ImagePath::new(text).expect("absolute")
}

/// A manifest of these files, as far as they are there.
fn manifest_of(fs: &dyn ImageFs, names: &[String]) -> Manifest {
    let mut manifest = Manifest::default();
    let mut add = |path: ImagePath, meta: Option<Meta>, source: Source| {
        let kind = meta.map_or(crate::image_fs::FileKind::Regular, |meta| meta.kind);
        let entry = Entry {
            kind,
            meta,
            source,
            reasons: vec![Reason::Always],
        };
        manifest.entries.insert(path, entry);
    };
    for name in names {
        let path = path(name);
        if let Ok(meta) = fs.lstat(&path) {
            add(path, Some(meta), Source::Image);
        }
    }
    // As the package databases are: its content is new with each file.
    let content = names.concat().into_bytes();
    let mode = 0o644;
    add(path("/made"), None, Source::Bytes { mode, content });
    manifest
}

fn config() -> ImageConfig {
    ImageConfig::default()
}

/// What is written at the end, without anything ahead: tarball and image.
fn written_at_once(fs: &dyn ImageFs, manifest: &Manifest, home: &TempDir) -> (Vec<u8>, Vec<u8>) {
    let mut rootfs = Output::create(&home.path().join("once.tar")).expect("created");
    let mut image = Output::create(&home.path().join("once-image.tar")).expect("created");
    let config = config();
    let wish = ImageSpec {
        config: &config,
        tag: None,
        created: None,
        compression: Compression::None,
    };
    let written = write_layer_and_image(fs, manifest, &mut rootfs, Some((&mut image, &wish)));
    assert!(written.expect("packed").image.is_some());
    rootfs.commit().expect("committed");
    image.commit().expect("committed");
    let read = |name: &str| fs::read(home.path().join(name)).expect("read");
    (read("once.tar"), read("once-image.tar"))
}

fn begun(home: &TempDir) -> Ahead {
    let create = |name: &str| Output::create(&home.path().join(name)).expect("created");
    Ahead::begin(
        create("ahead.tar"),
        Some(create("ahead-image.tar")),
        Compression::None,
    )
    .expect("begun")
}

/// The last round, and what it made: tarball and image.
fn finished(
    mut ahead: Ahead,
    fs: &dyn ImageFs,
    manifest: &Manifest,
    home: &TempDir,
) -> (Vec<u8>, Vec<u8>) {
    let (layer, digests) = ahead.advance(fs, manifest).expect("packed");
    let mut rootfs = Vec::new();
    let at_once = super::super::write_layer_with_digests(fs, manifest, &mut rootfs);
    assert_eq!((layer.clone(), digests), at_once.expect("packed"));
    let config = config();
    let wish = ImageSpec {
        config: &config,
        tag: None,
        created: None,
        compression: Compression::None,
    };
    let finished = ahead.finish(&layer, Some(&wish)).expect("finished");
    finished.rootfs.commit().expect("committed");
    let (image, _) = finished.image.expect("an image");
    image.commit().expect("committed");
    let read = |name: &str| fs::read(home.path().join(name)).expect("read");
    (read("ahead.tar"), read("ahead-image.tar"))
}

/// Counts what is read, and fails when so many bytes were.
struct Watched<'a> {
    fs: &'a HostFs,
    read: std::rc::Rc<Cell<u64>>,
    most: u64,
}

impl ImageFs for Watched<'_> {
    fn lstat(&self, path: &ImagePath) -> io::Result<Meta> {
        self.fs.lstat(path)
    }

    fn read_link(&self, path: &ImagePath) -> io::Result<Vec<u8>> {
        self.fs.read_link(path)
    }

    fn list(&self, path: &ImagePath) -> io::Result<Vec<Vec<u8>>> {
        self.fs.list(path)
    }

    fn open(&self, path: &ImagePath) -> io::Result<Box<dyn ReadAt>> {
        Ok(Box::new(WatchedFile {
            file: self.fs.open(path)?,
            read: std::rc::Rc::clone(&self.read),
            most: self.most,
        }))
    }

    fn xattrs(&self, path: &ImagePath) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        self.fs.xattrs(path)
    }
}

struct WatchedFile {
    file: Box<dyn ReadAt>,
    read: std::rc::Rc<Cell<u64>>,
    most: u64,
}

impl ReadAt for WatchedFile {
    fn len(&self) -> u64 {
        self.file.len()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if self.read.get() >= self.most {
            return Err(nix::errno::Errno::ECANCELED.into());
        }
        let read = self.file.read_at(buffer, offset)?;
        self.read.set(self.read.get() + read as u64);
        Ok(read)
    }

    fn data_runs(&self) -> io::Result<Vec<(u64, u64)>> {
        self.file.data_runs()
    }

    fn stamp(&self) -> Option<crate::image_fs::Stamp> {
        self.file.stamp()
    }

    fn is_unchanged(&self) -> io::Result<bool> {
        self.file.is_unchanged()
    }
}

fn watched(fs: &HostFs, most: u64) -> Watched<'_> {
    let read = std::rc::Rc::default();
    Watched { fs, read, most }
}

#[test]
fn what_follows_the_first_new_entry_is_read_again_and_nothing_else() {
    let (tree, home) = (
        tempfile::tempdir().expect("made"),
        tempfile::tempdir().expect("made"),
    );
    let fs = HostFs::new(tree.path());
    for (name, letter) in [("a", b'a'), ("b", b'b'), ("c", b'c'), ("d", b'd')] {
        fs::write(tree.path().join(name), vec![letter; 700_000]).expect("written");
    }
    let names = |text: &str| -> Vec<String> { text.chars().map(|c| format!("/{c}")).collect() };
    let mut ahead = begun(&home);
    let first = watched(&fs, u64::MAX);
    let manifest = manifest_of(&fs, &names("abd"));
    ahead.advance(&first, &manifest).expect("packed");
    assert_eq!(first.read.get(), 3 * 700_000);

    let again = watched(&fs, u64::MAX);
    ahead.advance(&again, &manifest).expect("packed");
    assert_eq!(again.read.get(), 0, "nothing is new");

    let more = watched(&fs, u64::MAX);
    let manifest = manifest_of(&fs, &names("abcd"));
    ahead.advance(&more, &manifest).expect("packed");
    assert_eq!(more.read.get(), 2 * 700_000, "c and what follows it");

    fs::write(tree.path().join("d"), vec![b'e'; 700_000]).expect("written");
    let manifest = manifest_of(&fs, &names("abcd"));
    let expected = written_at_once(&fs, &manifest, &home);
    assert!(finished(ahead, &fs, &manifest, &home) == expected);
}

/// What happens to the tree, or to what is packed, between two rounds.
#[derive(Clone, Debug)]
enum Step {
    Use(usize),
    Write(usize, usize),
    Remove(usize),
    Link(usize, usize),
    Symlink(usize),
    /// A round that ends after so many bytes.
    Round(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..8usize).prop_map(Step::Use),
        (0..8usize, 0..300_000usize).prop_map(|(file, size)| Step::Write(file, size)),
        (0..8usize).prop_map(Step::Remove),
        (0..8usize, 0..8usize).prop_map(|(from, to)| Step::Link(from, to)),
        (0..8usize).prop_map(Step::Symlink),
        prop_oneof![Just(u64::MAX), 0..600_000u64].prop_map(Step::Round),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_rounds_over_any_changes_give_the_bytes_of_the_end(
        steps in proptest::collection::vec(any_step(), 1..24)
    ) {
        let (tree, home) = (tempfile::tempdir().expect("made"), tempfile::tempdir().expect("made"));
        let fs = HostFs::new(tree.path());
        let place = |file: usize| tree.path().join(file.to_string());
        let mut ahead = begun(&home);
        let mut used: Vec<String> = Vec::new();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Use(file) => used.push(format!("/{file}")),
                Step::Write(file, size) => {
                    let _ = fs::remove_file(place(file));
                    fs::write(place(file), vec![number as u8; size]).expect("written");
                }
                Step::Remove(file) => drop(fs::remove_file(place(file))),
                Step::Link(from, to) => drop(fs::hard_link(place(from), place(to))),
                Step::Symlink(file) => drop(symlink("somewhere", place(file))),
                Step::Round(most) => {
                    let manifest = manifest_of(&fs, &used);
                    let advanced = ahead.advance(&watched(&fs, most), &manifest);
                    prop_assert!(most != u64::MAX || advanced.is_ok());
                }
            }
        }
        let manifest = manifest_of(&fs, &used);
        let expected = written_at_once(&fs, &manifest, &home);
        prop_assert!(finished(ahead, &fs, &manifest, &home) == expected);
    }
}
