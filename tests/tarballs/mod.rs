//! What a tarball holds, so that two can be compared, and what an image's says of it.
#![allow(dead_code, reason = "each test crate uses its own part of this module")]

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Path, and kind, mode, owner, link and the content's digest; no times, since what is written
/// beside a directory changes these.
pub type Contents = BTreeMap<PathBuf, (u8, u32, u64, Option<PathBuf>, Digest)>;

/// Of a file below one of the directories for temporary files; the machine may change others
/// while a test runs (`/etc/ld.so.cache`).
pub type Digest = Option<[u8; 32]>;

/// All entries but those at or below `home`, where a test writes.
pub fn contents(tarball: &Path, home: &Path) -> Contents {
    let file = File::open(tarball).unwrap_or_else(|error| panic!("{}: {error}", tarball.display()));
    let mut archive = tar::Archive::new(file);
    let inside = home.strip_prefix("/").expect("absolute").to_owned();
    let mut contents = Contents::new();
    for entry in archive.entries().expect("entries") {
        let mut entry = entry.expect("an entry");
        let path = entry.path().expect("a path").into_owned();
        if path.starts_with(&inside) {
            continue;
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("content");
        let link = entry
            .link_name()
            .expect("a link")
            .map(|link| link.into_owned());
        let header = entry.header();
        let kind = header.entry_type().as_byte();
        let mode = header.mode().expect("a mode");
        let owner = header.uid().expect("an owner");
        let is_ours = ["tmp", "var/tmp"]
            .iter()
            .any(|place| path.starts_with(place));
        let digest = is_ours.then(|| Sha256::digest(&bytes).into());
        contents.insert(path, (kind, mode, owner, link, digest));
    }
    contents
}

/// The configuration of an image, found as a container engine does.
pub fn configuration(image: &Path) -> Value {
    let mut files = BTreeMap::new();
    let mut archive = tar::Archive::new(File::open(image).expect("an image"));
    for entry in archive.entries().expect("entries") {
        let mut entry = entry.expect("an entry");
        let name = entry.path().expect("a name").display().to_string();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("read");
        files.insert(name, bytes);
    }
    let manifest: Value = serde_json::from_slice(&files["manifest.json"]).expect("JSON");
    let config = manifest[0]["Config"].as_str().expect("a name");
    serde_json::from_slice(&files[config]).expect("JSON")
}
