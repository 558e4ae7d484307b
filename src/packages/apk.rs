//! Alpine's database, `/lib/apk/db/installed`: paragraphs of one-letter fields (apk-package(5)).

use super::{Installed, Manager, Package, read, text};
use crate::image_fs::ImageFs;
use crate::image_path::ImagePath;
use std::collections::BTreeSet;

/// apk 3 moves the database below `/usr`.
pub(super) const PLACES: [&str; 2] = ["/lib/apk/db/installed", "/usr/lib/apk/db/installed"];

/// The installed packages and their files.
pub(super) fn installed(fs: &dyn ImageFs, problems: &mut Vec<String>) -> Vec<Installed> {
    PLACES
        .iter()
        .filter_map(ImagePath::new)
        .find_map(|path| read(fs, &path, problems))
        .map(|database| parse(&database))
        .unwrap_or_default()
}

fn parse(database: &[u8]) -> Vec<Installed> {
    let mut found = Vec::new();
    let mut current = empty();
    let mut directory = ImagePath::root();
    for line in database.split(|byte| *byte == b'\n') {
        let Some((key, value)) = line.split_first_chunk::<2>() else {
            found.push(std::mem::replace(&mut current, empty()));
            directory = ImagePath::root();
            continue;
        };
        match key {
            b"P:" => current.package.name = text(value),
            b"V:" => current.package.version = text(value),
            b"A:" => current.package.arch = text(value),
            b"o:" => current.package.source = text(value),
            b"I:" => current.package.size = text(value).parse().unwrap_or_default(),
            b"L:" => current.package.license = text(value),
            b"m:" => current.package.maintainer = text(value),
            b"F:" => {
                if let Some(path) = ImagePath::root().join(value) {
                    directory = path.clone();
                    current.paths.extend((!path.is_root()).then_some(path));
                }
            }
            b"R:" => current.paths.extend(directory.join(value)),
            _ => {}
        }
    }
    found.push(current);
    found.retain(|installed| !installed.package.name.is_empty());
    for Installed { package, .. } in &mut found {
        // All packages of one source have its version.
        if !package.source.is_empty() {
            package.source_version.clone_from(&package.version);
        }
    }
    found
}

/// The database with these packages alone, with their files or without.
pub(super) fn reduced(database: &[u8], packages: &BTreeSet<&Package>, files: bool) -> Vec<u8> {
    let mut reduced = Vec::new();
    let mut paragraph: Vec<&[u8]> = Vec::new();
    let lines = database.split(|byte| *byte == b'\n');
    for line in lines.chain([&b""[..]]) {
        if !line.is_empty() {
            paragraph.push(line);
            continue;
        }
        let field = |key: &[u8]| {
            let value = paragraph.iter().find_map(|line| line.strip_prefix(key));
            value.map(text).unwrap_or_default()
        };
        let (name, version) = (field(b"P:"), field(b"V:"));
        let is_kept = packages.iter().any(|package| {
            package.manager == Manager::Apk && package.name == name && package.version == version
        });
        if is_kept {
            // The lines on files: directory, its mode; file, its mode, its checksum.
            let is_of_files =
                |line: &[u8]| matches!(line, [b'F' | b'M' | b'R' | b'a' | b'Z', b':', ..]);
            for line in paragraph.iter().filter(|line| files || !is_of_files(line)) {
                reduced.extend_from_slice(line);
                reduced.push(b'\n');
            }
            reduced.push(b'\n');
        }
        paragraph.clear();
    }
    reduced
}

fn empty() -> Installed {
    Installed {
        package: Package::named(Manager::Apk, String::new()),
        paths: Vec::new(),
    }
}
