//! Where musl's loader looks for a library, in its order.

use super::closure::{Hit, Process};
use super::facts::Facts;
use super::files::Located;
use super::system::Musl;
use super::tokens;
use crate::image_path::ImagePath;

/// Names that musl's own libc stands for, whatever follows the first dot.
const LIBC_NAMES: &[&[u8]] = &[
    b"libc.",
    b"libpthread.",
    b"librt.",
    b"libm.",
    b"libdl.",
    b"libutil.",
    b"libxnet.",
];

/// Whether the loader answers for this name itself.
pub(super) fn is_libc(name: &[u8]) -> bool {
    LIBC_NAMES.iter().any(|own| name.starts_with(own))
}

/// The file that `name` means when `object` asks for it; at most one. LD_LIBRARY_PATH, then the
/// paths of the object and of all it was loaded for, then those of the path file or built in.
pub(super) fn search(
    process: &mut Process<'_, '_>,
    musl: &Musl,
    object: usize,
    name: &[u8],
) -> Vec<Hit> {
    if name.contains(&b'/') {
        let found = ImagePath::new(name).map(|path| (process.files.locate(&path), path));
        return hit(process, found);
    }
    let mut directories = process.library_path.clone();
    let mut above = Some(object);
    while let Some(index) = above {
        directories.extend_from_slice(&process.mapped[index].rpath);
        above = process.mapped[index].loader;
    }
    let mut found = first(process, &directories, name);
    if found.is_none() {
        process.consulted.extend(musl.path_file.clone());
        found = first(process, &musl.directories, name);
    }
    hit(process, found)
}

/// The first file that can be opened, fit or not: musl does not look inside before it chooses.
fn first(
    process: &mut Process<'_, '_>,
    directories: &[ImagePath],
    name: &[u8],
) -> Option<(Located, ImagePath)> {
    directories
        .iter()
        .filter_map(|directory| directory.join(name))
        .map(|path| (process.files.locate(&path), path))
        .find(|(located, _)| !matches!(located, Located::Absent))
}

fn hit(process: &Process<'_, '_>, found: Option<(Located, ImagePath)>) -> Vec<Hit> {
    match found {
        Some((Located::There(file), path)) if process.system.target.accepts(file.facts.target) => {
            vec![Hit { path, file }]
        }
        _ => Vec::new(),
    }
}

/// The directories of DT_RUNPATH, else of DT_RPATH: musl treats both alike.
pub(super) fn search_path(origin: &[u8], facts: &Facts) -> Vec<ImagePath> {
    let list = facts.runpath.as_ref().or(facts.rpath.as_ref());
    let expanded = list.and_then(|list| tokens::expand_musl(list, origin));
    expanded.map_or_else(Vec::new, |list| split(&list))
}

/// The directories of a list; relative ones mean the working directory and are left out.
pub(super) fn split(list: &[u8]) -> Vec<ImagePath> {
    list.split(|byte| matches!(byte, b':' | b'\n'))
        .filter_map(ImagePath::new)
        .collect()
}

#[cfg(test)]
mod tests;
