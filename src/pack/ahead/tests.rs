//! Outputs that were written ahead, in any number of rounds over a tree that changes, hold what
//! would have been written at the end.

use super::super::{ImageConfig, write_layer, write_layer_with_digests};
use super::*;
use crate::image_fs::{HostFs, Meta, ReadAt};
use crate::image_path::ImagePath;
use crate::manifest::{Entry, Reason, Source};
use sha2::Sha256;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

mod rounds;

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

/// The tarball that is written at the end, without anything ahead.
fn written_at_once(fs: &dyn ImageFs, manifest: &Manifest) -> Vec<u8> {
    let mut tarball = Vec::new();
    write_layer(fs, manifest, &mut tarball).expect("packed");
    tarball
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

/// The last round, and what it made: the tarball, which is the image's layer too.
fn finished(mut ahead: Ahead, fs: &dyn ImageFs, manifest: &Manifest, home: &TempDir) -> Vec<u8> {
    let (layer, digests) = ahead.advance(fs, manifest).expect("packed");
    let at_once = write_layer_with_digests(fs, manifest, &mut Vec::new());
    let at_once = at_once.expect("packed");
    assert_eq!(digests, at_once.1);
    let written = (layer.tar_bytes, layer.sha256);
    let content = |mut summary: LayerSummary| {
        (summary.tar_bytes, summary.sha256) = (0, [0; 32]);
        summary
    };
    assert_eq!(content(layer.clone()), content(at_once.0));
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
    let tarball = read("ahead.tar");
    let expected = (tarball.len() as u64, Sha256::digest(&tarball).into());
    assert_eq!(written, expected);
    let is_layer = |blob: &Vec<u8>| *blob == tarball;
    assert!(blobs(&read("ahead-image.tar")).iter().any(is_layer));
    tarball
}

fn blobs(archive: &[u8]) -> Vec<Vec<u8>> {
    let mut archive = tar::Archive::new(archive);
    let entries = archive.entries().expect("entries").map(|entry| {
        let mut content = Vec::new();
        entry
            .and_then(|mut entry| entry.read_to_end(&mut content))
            .expect("read");
        content
    });
    entries.collect()
}

/// Kind, mode, time, link and content by path.
type Tree = BTreeMap<PathBuf, (u8, u32, u64, Option<PathBuf>, Vec<u8>)>;

/// Whichever of several links comes first in the archive is the file there: all of them become
/// files that name the least one.
fn unlinked(mut tree: Tree) -> Tree {
    let links = tree.iter().filter(|(_, entry)| entry.0 == b'1');
    let links = links.map(|(path, entry)| (path.clone(), entry.3.clone().unwrap_or_default()));
    let mut groups: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    for (path, first) in links {
        groups
            .entry(Path::new("/").join(first))
            .or_default()
            .push(path);
    }
    for (first, mut group) in groups {
        let file = tree[&first].clone();
        group.push(first);
        let least = group.iter().min().cloned();
        for path in group {
            tree.insert(
                path,
                (file.0, file.1, file.2, least.clone(), file.4.clone()),
            );
        }
    }
    tree
}

/// What a tarball holds. No name may come twice: Docker refuses that.
fn tree_of(tarball: &[u8]) -> Tree {
    let mut archive = tar::Archive::new(tarball);
    let mut tree = BTreeMap::new();
    for entry in archive.entries().expect("entries") {
        let mut entry = entry.expect("an entry");
        let path = Path::new("/").join(entry.path().expect("a path"));
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("read");
        let link = entry.link_name().expect("a link");
        let link = link.map(|link| link.into_owned());
        let header = entry.header();
        let kind = header.entry_type().as_byte();
        let (mode, time) = (header.mode(), header.mtime());
        let (mode, time) = (mode.expect("a mode"), time.expect("a time"));
        let earlier = tree.insert(path.clone(), (kind, mode, time, link, content));
        assert!(earlier.is_none(), "{path:?} comes twice");
    }
    tree
}

fn names_in(tarball: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(tarball);
    let entries = archive.entries().expect("entries");
    let name = |entry: io::Result<tar::Entry<_>>| {
        let entry = entry.expect("an entry");
        entry.path().expect("a path").display().to_string()
    };
    entries.map(name).collect()
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
fn what_is_new_comes_behind_and_what_follows_a_change_is_read_again() {
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
    let read = |ahead: &mut Ahead, manifest: &Manifest| {
        let fs = watched(&fs, u64::MAX);
        ahead.advance(&fs, manifest).expect("packed");
        fs.read.get()
    };
    let manifest = manifest_of(&fs, &names("abd"));
    assert_eq!(read(&mut ahead, &manifest), 3 * 700_000);
    assert_eq!(read(&mut ahead, &manifest), 0, "nothing is new");
    let manifest = manifest_of(&fs, &names("abcd"));
    assert_eq!(read(&mut ahead, &manifest), 700_000, "c");

    fs::write(tree.path().join("b"), vec![b'e'; 700_000]).expect("written");
    let manifest = manifest_of(&fs, &names("abcd"));
    let expected = written_at_once(&fs, &manifest);
    let changed = watched(&fs, u64::MAX);
    assert!(
        finished(ahead, &changed, &manifest, &home) == expected,
        "in its place again"
    );
    assert_eq!(
        changed.read.get(),
        (3 + 4) * 700_000,
        "b, c and d, and all of what is compared with"
    );
}

#[test]
fn directories_come_last_so_that_one_that_has_changed_costs_nothing() {
    let (tree, home) = (
        tempfile::tempdir().expect("made"),
        tempfile::tempdir().expect("made"),
    );
    let fs = HostFs::new(tree.path());
    for directory in ["d/e", "f"] {
        fs::create_dir_all(tree.path().join(directory)).expect("made");
    }
    for name in ["d/e/1", "d/e/2", "f/1"] {
        fs::write(tree.path().join(name), vec![1; 700_000]).expect("written");
    }
    let names = |names: &[&str]| -> Vec<String> { names.iter().map(|&n| n.to_owned()).collect() };
    let mut ahead = begun(&home);
    let first = names(&["/", "/d", "/d/e", "/d/e/1", "/f", "/f/1"]);
    let manifest = manifest_of(&fs, &first);
    ahead.advance(&fs, &manifest).expect("packed");
    let mode = fs::Permissions::from_mode(0o700);
    fs::set_permissions(tree.path().join("d"), mode).expect("set");
    let watched = watched(&fs, u64::MAX);
    let manifest = manifest_of(&fs, &[first, names(&["/d/e/2"])].concat());
    ahead.advance(&watched, &manifest).expect("packed");
    assert_eq!(watched.read.get(), 700_000, "what is new");
    let tarball = finished(ahead, &fs, &manifest, &home);
    let order = ["d/e/1", "f/1", "d/e/2", "made", "./", "d/", "d/e/", "f/"];
    assert_eq!(names_in(&tarball), order);
    assert_eq!(tree_of(&tarball), tree_of(&written_at_once(&fs, &manifest)));
}
