//! The package of each file, in the ancestor's format.

use super::{Manager, Owners};
use crate::image_fs::FileKind;
use crate::manifest::Manifest;
use std::collections::BTreeMap;

/// For every entry but directories that a package owns a line `name (version): /path`, under a
/// heading for each package manager; sorted by package, then by path. Paths are raw bytes, a
/// newline in one is written as `\n`.
pub fn packages_text(manifest: &Manifest, owners: &Owners) -> Vec<u8> {
    let mut sections: BTreeMap<Manager, Vec<Vec<u8>>> = BTreeMap::new();
    for (path, entry) in &manifest.entries {
        if entry.kind == FileKind::Directory {
            continue;
        }
        if let Some(package) = owners.package_of(path) {
            let mut line = format!("{} ({}): ", package.name, package.version).into_bytes();
            for byte in path.as_bytes() {
                match byte {
                    b'\n' => line.extend(b"\\n"),
                    byte => line.push(*byte),
                }
            }
            sections.entry(package.manager).or_default().push(line);
        }
    }
    let mut text = Vec::new();
    for (manager, mut lines) in sections {
        if !text.is_empty() {
            text.push(b'\n');
        }
        text.extend(format!("{manager} packages:\n").bytes());
        lines.sort_unstable();
        for line in lines {
            text.extend(line);
            text.push(b'\n');
        }
    }
    text
}
