//! Python's distributions: `*.dist-info` (PEP 376, PEP 566) and `*.egg-info` beside the modules.

use super::{Ecosystem, Kept, LanguagePackage, field};
use crate::image_path::ImagePath;
use std::collections::BTreeSet;

const DIRECTORIES: [&[u8]; 2] = [b"site-packages", b"dist-packages"];

/// A distribution counts as kept with any of its files: programs seldom read the metadata.
pub(super) fn find(kept: &Kept) -> Vec<LanguagePackage> {
    let places: BTreeSet<ImagePath> = kept.files().filter_map(place).collect();
    let mut found = Vec::new();
    for place in places {
        for name in kept.fs.list(&place).unwrap_or_default() {
            let Some(info) = place.join(&name) else {
                continue;
            };
            let is_kept =
                |metadata: &ImagePath| kept.holds(metadata) || holds_any(kept, &place, &info);
            found.extend(
                metadata_of(&info)
                    .into_iter()
                    .filter(is_kept)
                    .find_map(|metadata| read(kept, metadata)),
            );
        }
    }
    found
}

/// The directory of modules that a file lies in.
fn place(file: &ImagePath) -> Option<ImagePath> {
    std::iter::successors(file.parent(), ImagePath::parent).find(|directory| {
        directory
            .file_name()
            .is_some_and(|name| DIRECTORIES.contains(&name))
    })
}

/// Where the metadata may be. An `.egg-info` is a directory or the file itself.
fn metadata_of(info: &ImagePath) -> Vec<ImagePath> {
    let name = info.file_name().unwrap_or_default();
    if name.ends_with(b".dist-info") {
        info.join("METADATA").into_iter().collect()
    } else if name.ends_with(b".egg-info") {
        info.join("PKG-INFO")
            .into_iter()
            .chain([info.clone()])
            .collect()
    } else {
        Vec::new()
    }
}

fn holds_any(kept: &Kept, place: &ImagePath, info: &ImagePath) -> bool {
    let read = |name| info.join(name).and_then(|path| kept.text(&path));
    // RECORD is CSV whose first column is a path.
    let record = read("RECORD").unwrap_or_default();
    let mut recorded = record.lines().filter_map(|line| {
        let path = line.strip_prefix('"').unwrap_or(line);
        path.split(['"', ',']).next()
    });
    let tops = read("top_level.txt").unwrap_or_default();
    let mut modules = tops
        .lines()
        .flat_map(|top| [format!("{top}.py"), format!("{top}/__init__.py")]);
    recorded.any(|path| place.join(path).is_some_and(|path| kept.holds(&path)))
        || modules.any(|path| place.join(path).is_some_and(|path| kept.holds(&path)))
}

fn read(kept: &Kept, metadata: ImagePath) -> Option<LanguagePackage> {
    let text = kept.text(&metadata)?;
    let license = field(&text, "License-Expression").or_else(|| field(&text, "License"));
    Some(LanguagePackage {
        ecosystem: Ecosystem::Python,
        group: String::new(),
        name: field(&text, "Name")?.to_owned(),
        version: field(&text, "Version").unwrap_or_default().to_owned(),
        license: license
            .filter(|one| *one != "UNKNOWN")
            .unwrap_or_default()
            .to_owned(),
        metadata,
    })
}

/// What scanners read of a file of metadata: its fields, without the description.
pub(in crate::packages) fn header(metadata: &[u8]) -> Vec<u8> {
    let mut header = Vec::new();
    let mut dropped = false;
    for line in metadata.split_inclusive(|byte| *byte == b'\n') {
        if line.trim_ascii_end().is_empty() {
            break;
        }
        if !line.first().is_some_and(u8::is_ascii_whitespace) {
            dropped = line
                .split(|byte| *byte == b':')
                .next()
                .is_some_and(|name| name.eq_ignore_ascii_case(b"description"));
        }
        if !dropped {
            header.extend_from_slice(line);
        }
    }
    header
}
