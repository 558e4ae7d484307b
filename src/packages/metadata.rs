//! What tells scanners (trivy, grype, syft) which packages an image holds files of: the
//! databases of the image, cut down to those packages.

use super::{Ecosystem, Manager, Owners, Package, dpkg, language, names, read};
use crate::image_fs::{FileKind, ImageFs, walk};
use crate::image_path::ImagePath;
use crate::manifest::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// Files that name the distribution and its version (os-release(5)); scanners look at the older
/// ones too. Those that are there are small, or symlinks to the others.
pub const RELEASE_FILES: [&str; 8] = [
    "/etc/os-release",
    "/etc/debian_version",
    "/etc/lsb-release",
    "/etc/alpine-release",
    "/etc/redhat-release",
    "/etc/system-release",
    "/etc/centos-release",
    "/etc/oracle-release",
];

/// How much is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PackageMetadata {
    /// Nothing.
    #[default]
    Off,
    /// The packages' control data, without their lists of files.
    Auto,
    /// Their lists of files too, and the whole database of rpm.
    Full,
}

/// The entries of an image to be.
pub(crate) type Entries = BTreeMap<ImagePath, Entry>;

/// What to add to an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataFiles {
    /// Files to be made: path and content.
    pub made: Vec<(ImagePath, Vec<u8>)>,
    /// Files of the image, as they are.
    pub kept: Vec<ImagePath>,
}

impl MetadataFiles {
    /// What tells of the packages that own `entries`. Nothing for a manager whose own database
    /// is among the entries: scanners would count its packages twice.
    pub fn of(fs: &dyn ImageFs, owners: &Owners, entries: &Entries, how: PackageMetadata) -> Self {
        let mut files = Self::default();
        if how == PackageMetadata::Off {
            return files;
        }
        languages(fs, owners, entries, how, &mut files);
        let mut packages = owning(owners, entries);
        let is_told =
            |package: &&Package| package.manager != Manager::Rpm || how == PackageMetadata::Full;
        let has_languages = !(files.made.is_empty() && files.kept.is_empty());
        if has_languages || packages.iter().any(is_told) {
            let release = RELEASE_FILES.iter().filter_map(ImagePath::new);
            // They bring in the package that they are of.
            packages.extend(
                release
                    .clone()
                    .flat_map(|path| owners_of(fs, owners, &path)),
            );
            files.kept.extend(release);
        }
        let has = |manager| packages.iter().any(|package| package.manager == manager);
        let ships =
            |path: &str| ImagePath::new(path).is_some_and(|path| entries.contains_key(&path));
        let sums = (how == PackageMetadata::Full).then_some(entries);
        if has(Manager::Dpkg) && !ships("/var/lib/dpkg/status") {
            dpkg::metadata(fs, &packages, sums, &mut files);
        }
        if has(Manager::Apk) {
            apk(fs, &packages, entries, how, &mut files);
        }
        if has(Manager::Rpm) && how == PackageMetadata::Full {
            files.kept.extend(super::rpm::databases(fs));
        }
        files
    }
}

/// Whose a file is, and whose the symlinks are that lead to it.
fn owners_of<'a>(fs: &dyn ImageFs, owners: &'a Owners, path: &ImagePath) -> Vec<&'a Package> {
    let walk = walk(fs, path, true);
    let Ok((end, _)) = walk.end else {
        return Vec::new();
    };
    let all = walk.links.into_iter().chain([end]);
    all.filter_map(|path| owners.package_of(&path)).collect()
}

/// The packages of which an image holds a file, sorted. A directory is shared by many.
pub fn owning<'a>(owners: &'a Owners, entries: &Entries) -> BTreeSet<&'a Package> {
    let files = entries
        .iter()
        .filter(|(_, entry)| entry.kind != FileKind::Directory);
    files
        .filter_map(|(path, _)| owners.package_of(path))
        .collect()
}

/// apk's database with these packages alone.
fn apk(
    fs: &dyn ImageFs,
    packages: &BTreeSet<&Package>,
    entries: &Entries,
    how: PackageMetadata,
    files: &mut MetadataFiles,
) {
    for place in super::apk::PLACES.iter().filter_map(ImagePath::new) {
        let Ok((path, _)) = walk(fs, &place, true).end else {
            continue;
        };
        let Some(database) = read(fs, &path, &mut Vec::new()) else {
            continue;
        };
        if !entries.contains_key(&path) {
            let all = how == PackageMetadata::Full;
            let content = super::apk::reduced(&database, packages, all);
            files.made.push((path, content));
        }
        return;
    }
}

/// The metadata of Python's and Node's packages, which programs seldom read and scanners look for.
/// Those of the other ecosystems are kept with what they tell of.
fn languages(
    fs: &dyn ImageFs,
    owners: &Owners,
    entries: &Entries,
    how: PackageMetadata,
    files: &mut MetadataFiles,
) {
    for package in language::language_packages(fs, entries, owners) {
        let path = package.metadata;
        if entries.contains_key(&path) {
            continue;
        }
        match package.ecosystem {
            Ecosystem::Python if how == PackageMetadata::Auto => {
                let content = read(fs, &path, &mut Vec::new()).unwrap_or_default();
                files.made.push((path, language::header(&content)));
            }
            Ecosystem::Python | Ecosystem::Node => files.kept.push(path),
            Ecosystem::Java | Ecosystem::Ruby => {}
        }
    }
}

/// The files of dpkg's directory of single packages, as distroless images have them.
pub(super) fn single_files(fs: &dyn ImageFs, problems: &mut Vec<String>) -> Vec<ImagePath> {
    let Some(directory) = ImagePath::new(STATUS_D) else {
        return Vec::new();
    };
    let mut files = names(fs, &directory, problems);
    files.retain(|path| !path.as_bytes().ends_with(b".md5sums"));
    files
}

/// Where each package has a file of its own.
pub(super) const STATUS_D: &str = "/var/lib/dpkg/status.d";

#[cfg(test)]
mod tests;
