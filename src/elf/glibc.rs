//! Where glibc's loader looks for a library, in its order: ld.so(8).

use super::cache::Hwcap;
use super::closure::{Hit, Process};
use super::facts::Facts;
use super::files::Located;
use super::machine::Machine;
use super::system::{Glibc, cache_path};
use super::tokens::{self, Tokens};
use crate::image_path::ImagePath;

/// Where one search ended.
struct Found {
    hit: Hit,
    /// In a `glibc-hwcaps` subdirectory: another processor may end elsewhere.
    by_processor: bool,
    /// The directory in which it was found, unless the cache named the file.
    directory: Option<ImagePath>,
}

/// A search that a file stopped which no loader can map.
struct Stopped;

/// The files that `name` means when `object` asks for it: first the one for this processor, then
/// those that other processors and older loaders would take. Empty when it is not found.
pub(super) fn search(
    process: &mut Process<'_, '_>,
    glibc: &Glibc,
    object: usize,
    name: &[u8],
) -> Vec<Hit> {
    if name.contains(&b'/') {
        // A relative path is searched from the working directory, which is not known.
        let hit = ImagePath::new(name).and_then(|path| try_file(process, path).ok()?);
        return hit.into_iter().collect();
    }
    let hwcaps = glibc.machine.map_or(&[][..], |machine| machine.hwcaps);
    // On the best processor first: if not even that ends in a subdirectory, none does.
    let Ok(best) = search_for(process, glibc, object, name, hwcaps) else {
        return Vec::new();
    };
    let mut hits = Vec::new();
    if best.as_ref().is_some_and(|found| found.by_processor) {
        let own = search_for(process, glibc, object, name, &hwcaps[glibc.unusable..]);
        let others = (0..=hwcaps.len())
            .map(|from| search_for(process, glibc, object, name, &hwcaps[from..]));
        for found in std::iter::once(own).chain(others).flatten().flatten() {
            push_new(&mut hits, found.hit);
        }
    } else if let Some(found) = best {
        let directory = found.directory;
        push_new(&mut hits, found.hit);
        for hit in legacy(process, glibc, directory, name) {
            push_new(&mut hits, hit);
        }
    }
    hits
}

fn push_new(hits: &mut Vec<Hit>, hit: Hit) {
    if !hits.iter().any(|known| known.path == hit.path) {
        hits.push(hit);
    }
}

/// One search on a processor that uses these hwcaps subdirectories, the best first.
fn search_for(
    process: &mut Process<'_, '_>,
    glibc: &Glibc,
    object: usize,
    name: &[u8],
    hwcaps: &[&str],
) -> Result<Option<Found>, Stopped> {
    for directory in before_cache(process, object) {
        if let Some(found) = in_directory(process, &directory, name, hwcaps)? {
            return Ok(Some(found));
        }
    }
    let nodeflib = process.mapped[object].facts.nodeflib;
    if let Some(found) = in_cache(process, glibc, name, hwcaps, nodeflib)? {
        return Ok(Some(found));
    }
    if !nodeflib {
        for directory in &glibc.default_directories {
            if let Some(found) = in_directory(process, directory, name, hwcaps)? {
                return Ok(Some(found));
            }
        }
    }
    Ok(None)
}

/// DT_RPATH of the object and of those it was loaded for, unless it has DT_RUNPATH;
/// LD_LIBRARY_PATH; DT_RUNPATH of the object alone.
fn before_cache(process: &Process<'_, '_>, object: usize) -> Vec<ImagePath> {
    let asking = &process.mapped[object];
    let mut directories = Vec::new();
    if asking.facts.runpath.is_none() {
        let mut above = Some(object);
        let mut last = object;
        while let Some(index) = above {
            directories.extend_from_slice(&process.mapped[index].rpath);
            last = index;
            above = process.mapped[index].loader;
        }
        // The chain of a library that was opened by its path does not reach the program.
        if last != 0 {
            directories.extend_from_slice(&process.mapped[0].rpath);
        }
    }
    directories.extend_from_slice(&process.library_path);
    directories.extend_from_slice(&asking.runpath);
    directories
}

fn in_directory(
    process: &mut Process<'_, '_>,
    directory: &ImagePath,
    name: &[u8],
    hwcaps: &[&str],
) -> Result<Option<Found>, Stopped> {
    if process.files.directory(directory).is_none() {
        return Ok(None);
    }
    for hwcap in hwcaps {
        let variant = directory.join(format!("glibc-hwcaps/{hwcap}"));
        let Some(variant) = variant.filter(|path| process.files.directory(path).is_some()) else {
            continue;
        };
        if let Some(hit) = try_name(process, &variant, name)? {
            return Ok(Some(Found {
                hit,
                by_processor: true,
                directory: None,
            }));
        }
    }
    Ok(try_name(process, directory, name)?.map(|hit| Found {
        hit,
        by_processor: false,
        directory: Some(directory.clone()),
    }))
}

fn in_cache(
    process: &mut Process<'_, '_>,
    glibc: &Glibc,
    name: &[u8],
    hwcaps: &[&str],
    nodeflib: bool,
) -> Result<Option<Found>, Stopped> {
    let (Some(cache), Some(machine)) = (&glibc.cache, glibc.machine) else {
        return Ok(None);
    };
    process.consulted.extend(cache_path());
    let Some(entry) = cache.lookup(name, machine, hwcaps) else {
        return Ok(None);
    };
    let Some(path) = ImagePath::new(&entry.path) else {
        return Ok(None);
    };
    let is_default = |directory: &ImagePath| path.is_at_or_below(directory);
    if nodeflib && glibc.default_directories.iter().any(is_default) {
        return Ok(None);
    }
    Ok(try_file(process, path)?.map(|hit| Found {
        hit,
        by_processor: matches!(entry.hwcap, Hwcap::Subdirectory(_)),
        directory: None,
    }))
}

/// Variants that only loaders before glibc 2.37 take: cheap to keep, costly to miss.
fn legacy(
    process: &mut Process<'_, '_>,
    glibc: &Glibc,
    directory: Option<ImagePath>,
    name: &[u8],
) -> Vec<Hit> {
    let Some(machine) = glibc.machine else {
        return Vec::new();
    };
    let paths: Vec<ImagePath> = match (directory, &glibc.cache) {
        (Some(directory), _) => machine
            .legacy_hwcaps
            .iter()
            .filter_map(|below| directory.join(below))
            .filter(|variant| process.files.directory(variant).is_some())
            .filter_map(|variant| variant.join(name))
            .collect(),
        (None, Some(cache)) => cache
            .entries(name)
            .iter()
            .filter(|entry| matches!(entry.hwcap, Hwcap::Legacy(_)))
            .filter(|entry| machine.takes_cache_flags(entry.flags))
            .filter_map(|entry| ImagePath::new(&entry.path))
            .collect(),
        (None, None) => Vec::new(),
    };
    paths
        .into_iter()
        .filter_map(|path| try_file(process, path).ok()?)
        .collect()
}

fn try_name(
    process: &mut Process<'_, '_>,
    directory: &ImagePath,
    name: &[u8],
) -> Result<Option<Hit>, Stopped> {
    match directory.join(name) {
        Some(path) => try_file(process, path),
        None => Ok(None),
    }
}

/// A file of another machine is passed over, as 32-bit and 64-bit libraries may lie side by
/// side; one that is no ELF file ends the search.
fn try_file(process: &mut Process<'_, '_>, path: ImagePath) -> Result<Option<Hit>, Stopped> {
    match process.files.locate(&path) {
        Located::Absent => Ok(None),
        Located::Broken => Err(Stopped),
        Located::There(file) if process.system.target.accepts(file.facts.target) => {
            Ok(Some(Hit { path, file }))
        }
        Located::There(_) => Ok(None),
    }
}

/// The directories of DT_RPATH and DT_RUNPATH. An object with DT_RUNPATH has no DT_RPATH.
pub(super) fn search_paths(
    glibc: &Glibc,
    origin: &[u8],
    facts: &Facts,
) -> (Vec<ImagePath>, Vec<ImagePath>) {
    match (&facts.runpath, &facts.rpath) {
        (Some(runpath), _) => (Vec::new(), split(glibc, origin, runpath, b":")),
        (None, Some(rpath)) => (split(glibc, origin, rpath, b":"), Vec::new()),
        (None, None) => (Vec::new(), Vec::new()),
    }
}

/// The directories of a list, tokens expanded, each once. Empty and relative ones mean the
/// working directory and are left out.
pub(super) fn split(
    glibc: &Glibc,
    origin: &[u8],
    list: &[u8],
    separators: &[u8],
) -> Vec<ImagePath> {
    let mut directories = Vec::new();
    for part in list.split(|byte| separators.contains(byte)) {
        let expanded = expand(glibc, origin, part).and_then(ImagePath::new);
        if let Some(directory) = expanded
            && !directories.contains(&directory)
        {
            directories.push(directory);
        }
    }
    directories
}

/// Expands the tokens of a path or name that the object at `origin` names.
pub(super) fn expand(glibc: &Glibc, origin: &[u8], input: &[u8]) -> Option<Vec<u8>> {
    let platform = glibc.machine.and_then(|machine: &Machine| machine.platform);
    tokens::expand(
        input,
        &Tokens {
            origin,
            lib: &glibc.lib,
            platform: platform.map(str::as_bytes),
        },
    )
}

#[cfg(test)]
mod tests;
