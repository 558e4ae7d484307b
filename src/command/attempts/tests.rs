//! What happens to entries that do not hold still, in a tree in memory that is betrayed while it
//! is packed.

use super::super::artifacts::Traced;
use super::super::image::ImageWish;
use super::super::ship::{Shipped, ship};
use super::*;
use crate::image_fs::{MemFs, Meta, ReadAt};
use crate::image_path::ImagePath;
use crate::resolve::from_list;
use std::cell::Cell;
use std::fs;
use std::io;
use std::path::Path;
use tempfile::TempDir;

/// What happens to `/tmp/x` when it is opened to be packed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is removed.
    Removed,
    /// It is removed, and there again at each look.
    ComesAndGoes,
    /// It loses its last byte.
    Shrinks,
    /// It is written to.
    Written,
    /// A symlink takes its place.
    Replaced,
}

/// A tree in which that happens as often as is left.
struct Betrayed {
    tree: MemFs,
    fate: Fate,
    left: Cell<u32>,
    is_gone: Cell<bool>,
    /// The packer asks for attributes before it opens a file, the resolver does not.
    is_packed: Cell<bool>,
}

impl Betrayed {
    fn is_it(path: &ImagePath) -> bool {
        path.as_bytes() == b"/tmp/x"
    }
}

impl ImageFs for Betrayed {
    fn lstat(&self, path: &ImagePath) -> io::Result<Meta> {
        let is_gone = self.is_gone.get() && self.fate != Fate::ComesAndGoes;
        match Self::is_it(path) && is_gone {
            true => Err(io::Error::from_raw_os_error(libc::ENOENT)),
            false => self.tree.lstat(path),
        }
    }

    fn read_link(&self, path: &ImagePath) -> io::Result<Vec<u8>> {
        self.tree.read_link(path)
    }

    fn list(&self, path: &ImagePath) -> io::Result<Vec<Vec<u8>>> {
        self.tree.list(path)
    }

    fn open(&self, path: &ImagePath) -> io::Result<Box<dyn ReadAt>> {
        let file = self.tree.open(path)?;
        if !Self::is_it(path) || !self.is_packed.take() || self.left.get() == 0 {
            return Ok(file);
        }
        self.left.set(self.left.get() - 1);
        match self.fate {
            Fate::Removed | Fate::ComesAndGoes => {
                self.is_gone.set(true);
                Err(io::Error::from_raw_os_error(libc::ENOENT))
            }
            Fate::Replaced => Err(io::Error::from_raw_os_error(libc::ELOOP)),
            Fate::Shrinks => Ok(Box::new(Restless {
                file,
                length: 9,
                is_unchanged: true,
            })),
            Fate::Written => Ok(Box::new(Restless {
                length: file.len(),
                file,
                is_unchanged: false,
            })),
        }
    }

    fn xattrs(&self, path: &ImagePath) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        self.is_packed.set(Self::is_it(path));
        self.tree.xattrs(path)
    }
}

struct Restless {
    file: Box<dyn ReadAt>,
    length: u64,
    is_unchanged: bool,
}

impl ReadAt for Restless {
    fn len(&self) -> u64 {
        self.length
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn data_runs(&self) -> io::Result<Vec<(u64, u64)>> {
        self.file.data_runs()
    }

    fn is_unchanged(&self) -> io::Result<bool> {
        Ok(self.is_unchanged)
    }
}

/// Packs a tree in which `/tmp/x` meets its fate this often.
fn packed(fate: Fate, times: u32, home: &TempDir, artifacts: bool) -> Result<Shipped> {
    let fs = Betrayed {
        tree: MemFs::new().file("/tmp/x", "12345678").file("/y", "y"),
        fate,
        left: Cell::new(times),
        is_gone: Cell::default(),
        is_packed: Cell::default(),
    };
    let list = from_list(&fs, b"/tmp/x\n/y\n", b"", &ImagePath::root());
    let outputs = Outputs {
        rootfs: home.path().join("rootfs.tar"),
        artifacts: artifacts.then(|| home.path().join("artifacts")),
        tag: None,
        keep_env: Vec::new(),
        image: ImageWish::of(None, Vec::new(), "of nobody")?,
        hurry: Default::default(),
        ahead: Default::default(),
    };
    outputs.check()?;
    let options = Options::default();
    ship(
        &fs,
        Path::new("/"),
        &list.0,
        options,
        &outputs,
        &Traced::default(),
    )
}

fn has_x(shipped: &Shipped) -> bool {
    let x = ImagePath::new("/tmp/x").expect("absolute");
    shipped.manifest.entries.contains_key(&x)
}

fn files(home: &TempDir) -> usize {
    fs::read_dir(home.path()).expect("listed").count()
}

#[test]
fn what_betrays_the_first_attempt_is_packed_by_the_second() {
    for artifacts in [false, true] {
        for fate in [Fate::Shrinks, Fate::Written, Fate::Replaced] {
            let home = tempfile::tempdir().expect("a directory");
            let shipped = packed(fate, 1, &home, artifacts).expect("packed");
            assert!(has_x(&shipped) && shipped.lost == 0);
            assert_eq!(shipped.layer.content_bytes, 9);
            assert_eq!(files(&home), 1 + usize::from(artifacts));
        }
    }
}

#[test]
fn what_vanished_is_left_out_by_the_second_attempt() {
    let home = tempfile::tempdir().expect("a directory");
    let shipped = packed(Fate::Removed, 1, &home, true).expect("packed");
    assert!(!has_x(&shipped));
    let x = ImagePath::new("/tmp/x").expect("absolute");
    let why = shipped.manifest.excluded.get(&x);
    assert_eq!(why, Some(&crate::manifest::Exclusion::Vanished));
    assert_eq!(shipped.layer.content_bytes, 1);
}

#[test]
fn what_betrays_both_attempts_is_an_error_that_leaves_nothing() {
    for (fate, word) in [(Fate::ComesAndGoes, "vanished"), (Fate::Shrinks, "shrank")] {
        for artifacts in [false, true] {
            let home = tempfile::tempdir().expect("a directory");
            let error = packed(fate, 9, &home, artifacts).err().expect("an error");
            let told = super::super::one_line(&error);
            assert!(told.contains("/tmp/x") && told.contains(word), "{told}");
            assert!(!home.path().join("rootfs.tar").exists());
            let left = walk(home.path());
            assert!(left.is_empty(), "{left:?}");
        }
    }
}

fn walk(directory: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(directory).expect("listed").flatten();
    let paths = entries.map(|entry| entry.path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => walk(&path),
            false => vec![path],
        })
        .collect()
}

#[test]
fn a_file_that_is_written_to_all_the_time_is_packed_and_told() {
    let home = tempfile::tempdir().expect("a directory");
    let shipped = packed(Fate::Written, 9, &home, false).expect("packed");
    assert!(has_x(&shipped));
    assert_eq!(shipped.lost, 1);
    assert_eq!(shipped.layer.changed.len(), 1);
}
