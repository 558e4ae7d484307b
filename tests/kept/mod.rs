//! What a fixture program changes, as it was before, and as a tarball has it.

use super::fixture::Prepared;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};
use tar::EntryType;

/// Seconds since the epoch that lie long before any test.
const LONG_AGO: u64 = 1_000_000_000;

/// What an entry of a root file system is.
#[derive(Debug, PartialEq)]
struct Look {
    mode: u32,
    owner: (u64, u64),
    /// Of a symlink nobody sets it.
    mtime: Option<u64>,
    /// Of a directory none.
    content: Vec<u8>,
}

/// The entries that must be kept, by their names in an archive.
pub struct Originals(BTreeMap<Vec<u8>, Look>);

impl Originals {
    /// Those of the fixture, each with a time of its own.
    pub fn of(prepared: &Prepared) -> Self {
        let names: Vec<_> = prepared.fixture().kept.iter().collect();
        let place = |name: &&std::ffi::OsString| prepared.scratch().join(name);
        for (number, path) in names.iter().map(place).enumerate() {
            let time = Duration::from_secs(LONG_AGO + number as u64);
            if !path.is_symlink() {
                let file = File::open(&path).expect("there");
                file.set_modified(SystemTime::UNIX_EPOCH + time)
                    .expect("a time");
            }
        }
        let looks = names.iter().map(place).map(|path| {
            let name = path.as_os_str().as_bytes()[1..].to_vec();
            (name, look(&path))
        });
        Self(looks.collect())
    }

    /// Panics unless the archive holds each of them as it was.
    pub fn assert_in(&self, tarball: &Path) {
        let mut archive = tar::Archive::new(File::open(tarball).expect("a tarball"));
        let mut found = BTreeMap::new();
        for entry in archive.entries().expect("entries") {
            let mut entry = entry.expect("an entry");
            let name = entry.path_bytes().into_owned();
            let name = name.strip_suffix(b"/").unwrap_or(&name).to_vec();
            if !self.0.contains_key(&name) {
                continue;
            }
            let link = entry.link_name_bytes().map(|name| name.into_owned());
            let header = entry.header();
            let mut look = Look {
                mode: header.mode().expect("a mode"),
                owner: (header.uid().expect("a uid"), header.gid().expect("a gid")),
                mtime: Some(header.mtime().expect("a time")),
                content: Vec::new(),
            };
            match (header.entry_type(), link) {
                (EntryType::Symlink, Some(target)) => {
                    look.content = target;
                    look.mtime = None;
                }
                (EntryType::Link, Some(first)) => {
                    let first: &Look = found.get(&first).expect("its first name comes before");
                    look.content.clone_from(&first.content);
                }
                _ => {
                    entry.read_to_end(&mut look.content).expect("content");
                }
            }
            found.insert(name, look);
        }
        for (name, was) in &self.0 {
            let text = String::from_utf8_lossy(name);
            let is = found
                .get(name)
                .unwrap_or_else(|| panic!("{text} is not in the image"));
            assert_eq!(is, was, "{text} is not as it was");
        }
    }
}

fn look(path: &Path) -> Look {
    let meta = path.symlink_metadata().expect("there");
    Look {
        mode: meta.mode() & 0o7777,
        owner: (meta.uid().into(), meta.gid().into()),
        mtime: (!meta.is_symlink()).then_some(meta.mtime() as u64),
        content: if meta.is_symlink() {
            fs::read_link(path)
                .expect("a link")
                .into_os_string()
                .into_vec()
        } else if meta.is_dir() {
            Vec::new()
        } else {
            fs::read(path).expect("a file")
        },
    }
}
