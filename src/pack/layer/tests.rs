//! What holds for every layer, over file systems in memory.

use super::*;
use crate::image_fs::MemFs;
use crate::manifest::Reason;
use sha2::{Digest, Sha256};
use std::io::Read;

fn path(text: &str) -> ImagePath {
    ImagePath::new(text).expect("absolute")
}

/// Everything below the root of `fs`.
fn manifest_of(fs: &MemFs) -> Manifest {
    let mut manifest = Manifest::default();
    let mut pending = vec![ImagePath::root()];
    while let Some(path) = pending.pop() {
        let meta = fs.lstat(&path).expect("there");
        if meta.kind == FileKind::Directory {
            for name in fs.list(&path).expect("listed") {
                pending.push(path.join(name).expect("no NUL"));
            }
        }
        let entry = Entry {
            kind: meta.kind,
            meta: Some(meta),
            source: Source::Image,
            reasons: vec![Reason::Always],
        };
        manifest.entries.insert(path, entry);
    }
    manifest
}

fn packed(fs: &dyn ImageFs, manifest: &Manifest) -> (Vec<u8>, LayerSummary) {
    let mut bytes = Vec::new();
    let summary = write_layer(fs, manifest, &mut bytes).expect("packed");
    (bytes, summary)
}

/// Name, type flag and link of each entry, as the tar crate reads them.
fn listed(bytes: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(bytes);
    archive
        .entries()
        .expect("an archive")
        .map(|entry| {
            let entry = entry.expect("an entry");
            let link = entry
                .link_name_bytes()
                .map(|link| format!(" -> {}", link.escape_ascii()))
                .unwrap_or_default();
            let flag = char::from(entry.header().entry_type().as_byte());
            format!("{flag} {}{link}", entry.path_bytes().escape_ascii())
        })
        .collect()
}

#[test]
fn a_directory_is_followed_by_all_below_it_and_the_root_is_an_entry() {
    let fs = MemFs::new()
        .file("/a/x", "1")
        .file("/a-b", "2")
        .symlink("/a/l", "../a-b");
    let (bytes, summary) = packed(&fs, &manifest_of(&fs));
    assert_eq!(
        listed(&bytes),
        ["5 ./", "5 a/", "2 a/l -> ../a-b", "0 a/x", "0 a-b"]
    );
    assert_eq!((summary.entries, summary.content_bytes), (5, 2));
}

#[test]
fn names_that_look_like_windows_paths_are_told_apart() {
    let fs = MemFs::new().file("/\\x", "").file("/c:y", "");
    let (bytes, _) = packed(&fs, &manifest_of(&fs));
    assert_eq!(listed(&bytes), ["5 ./", "0 ./\\\\x", "0 ./c:y"]);
}

#[test]
fn the_summary_describes_the_bytes_that_were_written() {
    let fs = MemFs::new().file("/f", [7; 1000]);
    let (bytes, summary) = packed(&fs, &manifest_of(&fs));
    assert_eq!(summary.tar_bytes, bytes.len() as u64);
    let sha256: [u8; 32] = Sha256::digest(&bytes).into();
    assert_eq!(summary.sha256, sha256);
    assert_eq!(bytes.len() % 512, 0);
}

#[test]
fn the_second_link_of_an_inode_leads_to_the_first() {
    let same = |meta: &mut Meta| (meta.ino, meta.nlink) = (77, 2);
    let fs = MemFs::new()
        .file("/a", "content")
        .with_meta("/a", same)
        .with_xattr("/a", "security.capability", "cap")
        .file("/d/b", "content")
        .with_meta("/d/b", same)
        .with_xattr("/d/b", "security.capability", "cap")
        .file("/other", "x")
        .with_meta("/other", |meta| meta.nlink = 2);
    let (bytes, summary) = packed(&fs, &manifest_of(&fs));
    assert_eq!(
        listed(&bytes),
        ["5 ./", "0 a", "5 d/", "1 d/b -> a", "0 other"]
    );
    assert_eq!(summary.content_bytes, 8);
    let mut archive = tar::Archive::new(bytes.as_slice());
    for entry in archive.entries().expect("an archive") {
        let mut entry = entry.expect("an entry");
        let name = entry.path_bytes().into_owned();
        let capable = entry
            .pax_extensions()
            .expect("records")
            .is_some_and(|mut records| {
                records.any(|record| {
                    record.expect("a record").key_bytes() == b"SCHILY.xattr.security.capability"
                })
            });
        assert_eq!(capable, name == b"a" || name == b"d/b");
    }
}

#[test]
fn sockets_and_whiteout_names_are_losses() {
    let fs = MemFs::new()
        .node("/s", FileKind::Socket, 0o666, "")
        .file("/d/.wh.x", "")
        .file("/.wh.d/x", "");
    let (bytes, summary) = packed(&fs, &manifest_of(&fs));
    assert_eq!(listed(&bytes), ["5 ./", "5 d/"]);
    assert_eq!(summary.losses.len(), 4);
}

#[test]
fn what_vanished_is_named() {
    let fs = MemFs::new().file("/f", "x");
    let manifest = manifest_of(&fs);
    let error = write_layer(&MemFs::new(), &manifest, &mut Vec::new()).expect_err("gone");
    assert!(error.to_string().contains("/f vanished"), "{error}");
}

#[test]
fn an_empty_directory_of_ours_has_the_epoch_and_its_mode() {
    let mut manifest = Manifest::default();
    manifest.entries.insert(
        path("/tmp"),
        Entry {
            kind: FileKind::Directory,
            meta: None,
            source: Source::EmptyDirectory {
                mode: 0o1777,
                uid: 0,
                gid: 5,
            },
            reasons: vec![Reason::Always],
        },
    );
    let (bytes, _) = packed(&MemFs::new(), &manifest);
    let header = tar::Header::from_byte_slice(&bytes[..512]);
    assert_eq!(header.mode().expect("octal"), 0o1777);
    assert_eq!(header.gid().expect("octal"), 5);
    assert_eq!(header.mtime().expect("octal"), 0);
}

/// One file that pretends to be longer than it is, unreadable, or sparse.
struct OddFs {
    pretended: u64,
    runs: Vec<(u64, u64)>,
    open: Option<io::ErrorKind>,
}

struct OddFile(u64, Vec<(u64, u64)>);

impl ReadAt for OddFile {
    fn len(&self) -> u64 {
        self.0
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let here = |at: &(u64, u64)| at.0 <= offset && offset < at.0 + at.1;
        let Some((start, length)) = self.1.iter().find(|run| here(run)) else {
            return Ok(0);
        };
        let available = usize::try_from(start + length - offset).expect("small");
        let count = buffer.len().min(available);
        buffer[..count].fill(b'd');
        Ok(count)
    }

    fn data_runs(&self) -> io::Result<Vec<(u64, u64)>> {
        Ok(self.1.clone())
    }
}

impl ImageFs for OddFs {
    fn lstat(&self, _: &ImagePath) -> io::Result<Meta> {
        MemFs::new()
            .file("/f", "")
            .lstat(&path("/f"))
            .map(|meta| Meta {
                size: self.pretended,
                allocated: self.runs.iter().map(|run| run.1).sum(),
                ..meta
            })
    }

    fn read_link(&self, _: &ImagePath) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::InvalidInput.into())
    }

    fn list(&self, _: &ImagePath) -> io::Result<Vec<Vec<u8>>> {
        Err(io::ErrorKind::InvalidInput.into())
    }

    fn open(&self, _: &ImagePath) -> io::Result<Box<dyn ReadAt>> {
        match self.open {
            Some(kind) => Err(kind.into()),
            None => Ok(Box::new(OddFile(self.pretended, self.runs.clone()))),
        }
    }

    fn xattrs(&self, _: &ImagePath) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        Err(io::ErrorKind::Other.into())
    }
}

fn manifest_of_one_file() -> Manifest {
    let mut manifest = Manifest::default();
    manifest.entries.insert(
        path("/f"),
        Entry {
            kind: FileKind::Regular,
            meta: None,
            source: Source::Image,
            reasons: vec![Reason::Always],
        },
    );
    manifest
}

#[test]
fn a_file_that_shrinks_while_it_is_packed_is_an_error() {
    let fs = OddFs {
        pretended: 5000,
        runs: vec![(0, 1000)],
        open: None,
    };
    let error = write_layer(&fs, &manifest_of_one_file(), &mut Vec::new()).expect_err("shrank");
    assert_eq!(
        error.to_string(),
        "/f shrank from 5000 to 1000 bytes while it was packed: pack again"
    );
}

#[test]
fn a_file_that_may_not_be_read_and_unreadable_attributes_are_losses() {
    let fs = OddFs {
        pretended: 1,
        runs: vec![(0, 1)],
        open: Some(io::ErrorKind::PermissionDenied),
    };
    let (bytes, summary) = packed(&fs, &manifest_of_one_file());
    assert!(listed(&bytes).is_empty());
    assert_eq!(summary.losses.len(), 2);
}

#[test]
fn holes_are_neither_read_nor_written() {
    let fs = OddFs {
        pretended: 1 << 40,
        runs: vec![(1 << 30, 5000)],
        open: None,
    };
    let (bytes, summary) = packed(&fs, &manifest_of_one_file());
    assert_eq!(summary.content_bytes, 1 << 40);
    assert!(bytes.len() < 16 * 1024);
    let mut archive = tar::Archive::new(bytes.as_slice());
    let mut entry = archive
        .entries()
        .expect("an archive")
        .next()
        .expect("an entry")
        .expect("readable");
    assert_eq!(entry.path_bytes().as_ref(), b"GNUSparseFile.0/f");
    let mut stored = Vec::new();
    entry.read_to_end(&mut stored).expect("read");
    // Whole blocks.
    assert!(stored.starts_with(b"2\n1073741824\n5120\n1099511627776\n0\n"));
    assert_eq!(&stored[512..], [b'd'; 5120]);
}

/// Takes so many bytes, then says that the device is full.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.0);
        if taken == 0 {
            return Err(io::Error::from_raw_os_error(libc::ENOSPC));
        }
        self.0 -= taken;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_writer_that_fails_at_any_byte_fails_the_layer() {
    let fs = MemFs::new().file("/f", [1; 600]).file(
        format!("/{}", "n".repeat(200)),
        "a name that needs an extended header",
    );
    let manifest = manifest_of(&fs);
    let (bytes, _) = packed(&fs, &manifest);
    for room in (0..bytes.len()).step_by(100) {
        assert!(write_layer(&fs, &manifest, &mut Full(room)).is_err());
    }
    assert!(write_layer(&fs, &manifest, &mut Full(bytes.len())).is_ok());
}

#[test]
fn a_file_of_our_own_making_is_roots_and_as_old_as_the_epoch() {
    let mut manifest = manifest_of(&MemFs::new());
    let entry = Entry {
        kind: FileKind::Regular,
        meta: None,
        source: Source::Bytes {
            mode: 0o644,
            content: b"made".to_vec(),
        },
        reasons: vec![Reason::PackageMetadata],
    };
    manifest.entries.insert(path("/made"), entry);
    let (bytes, summary) = packed(&MemFs::new(), &manifest);
    assert_eq!((summary.entries, summary.content_bytes), (2, 4));
    assert_eq!(manifest.content_size(), 4);
    let mut archive = tar::Archive::new(bytes.as_slice());
    let mut made = archive
        .entries()
        .expect("entries")
        .nth(1)
        .expect("two")
        .expect("read");
    let header = made.header();
    let told = (header.mode(), header.uid(), header.gid(), header.mtime());
    assert_eq!(told.0.expect("mode"), 0o644);
    assert_eq!(
        (told.1.ok(), told.2.ok(), told.3.ok()),
        (Some(0), Some(0), Some(0))
    );
    let mut content = String::new();
    made.read_to_string(&mut content).expect("read");
    assert_eq!(content, "made");
}

#[test]
fn digests_are_those_of_the_content_with_holes_and_links_written_out() {
    let fs = MemFs::new()
        .file("/a", "abc")
        .file("/b", "abc")
        .with_meta("/a", |meta| (meta.ino, meta.nlink) = (77, 2))
        .with_meta("/b", |meta| (meta.ino, meta.nlink) = (77, 2))
        .symlink("/c", "a");
    let (summary, digests) =
        write_layer_with_digests(&fs, &manifest_of(&fs), &mut Vec::new()).expect("packed");
    let expected: [u8; 32] = Sha256::digest(b"abc").into();
    let found: Vec<_> = digests.into_iter().collect();
    assert_eq!(found, [(path("/a"), expected), (path("/b"), expected)]);
    assert_eq!(summary.content_bytes, 3);
}
