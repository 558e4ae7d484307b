//! Which system package owns a file: read from the databases in the image, without any tool
//! of it.

mod apk;
mod dpkg;
mod language;
mod metadata;
mod rpm;
mod text;
mod zip;

use crate::image_fs::{ImageFs, walk};
use crate::image_path::ImagePath;
use std::collections::HashMap;
use std::fmt;
use std::io;

pub use language::{Ecosystem, LanguagePackage, language_packages};
pub use metadata::{MetadataFiles, PackageMetadata, RELEASE_FILES, owning};
pub use text::packages_text;

/// Beyond this a database file is not read: the largest seen is a tenth of it.
const DATABASE_LIMIT: u64 = 256 << 20;

/// The program that installed a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Manager {
    /// Alpine's.
    Apk,
    /// Debian's.
    Dpkg,
    /// That of Fedora, RHEL, SUSE and their like.
    Rpm,
}

impl fmt::Display for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Apk => "apk",
            Self::Dpkg => "dpkg",
            Self::Rpm => "rpm",
        })
    }
}

/// An installed package. Fields are empty where the database does not tell.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    /// As the manager names it, without the architecture.
    pub name: String,
    /// Version with epoch and revision.
    pub version: String,
    /// The manager's name of the architecture.
    pub arch: String,
    /// Whose database it is in.
    pub manager: Manager,
    /// The source package it was built from.
    pub source: String,
    /// Version of the source package.
    pub source_version: String,
    /// As the database spells it: rpm and apk mostly have an SPDX expression, dpkg has none.
    pub license: String,
    /// Name and address of who answers for it.
    pub maintainer: String,
    /// Bytes that it takes when it is installed, as its maker counted them.
    pub size: u64,
}

impl Package {
    fn named(manager: Manager, name: String) -> Self {
        Self {
            name,
            version: String::new(),
            arch: String::new(),
            manager,
            source: String::new(),
            source_version: String::new(),
            license: String::new(),
            maintainer: String::new(),
            size: 0,
        }
    }
}

/// A package as a database tells of it, and the paths it owns, files and directories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Installed {
    pub package: Package,
    pub paths: Vec<ImagePath>,
}

/// Who owns which path.
#[derive(Clone, Debug, Default)]
pub struct Owners {
    packages: Vec<Package>,
    by_path: HashMap<ImagePath, usize>,
    aliases: Vec<(ImagePath, ImagePath)>,
    problems: Vec<String>,
    unread_database: bool,
}

/// Directories that distributions with a merged `/usr` made symlinks, while their databases
/// kept the old names (file-hierarchy(7)).
const MERGED: [&str; 7] = [
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/usr/sbin",
];

impl Owners {
    /// Reads the databases of dpkg, apk and rpm. One that is absent owns nothing; one that cannot be
    /// read is told by [`Owners::problems`].
    pub fn load(fs: &dyn ImageFs) -> Self {
        let mut owners = Self {
            aliases: aliases(fs),
            ..Self::default()
        };
        for read in [dpkg::installed, apk::installed] {
            for installed in read(fs, &mut owners.problems) {
                owners.add(installed);
            }
        }
        let found = rpm::installed(fs, &mut owners.problems);
        owners.unread_database = found.is_none() && rpm::has_place(fs);
        for installed in found.into_iter().flatten() {
            owners.add(installed);
        }
        owners
    }

    fn add(&mut self, installed: Installed) {
        let index = self.packages.len();
        for path in installed.paths {
            let path = self.physical(&path).unwrap_or(path);
            self.by_path.entry(path).or_insert(index);
        }
        self.packages.push(installed.package);
    }

    /// The package that owns a file or a directory, by its physical path or by the one a
    /// database has. Of a shared directory the first package. A merged directory's old name,
    /// which is a symlink, is nobody's: to the databases it is a directory of many.
    pub fn package_of(&self, path: &ImagePath) -> Option<&Package> {
        if self.aliases.iter().any(|(alias, _)| alias == path) {
            return None;
        }
        let index = self.by_path.get(path).or_else(|| {
            let physical = self.physical(path)?;
            self.by_path.get(&physical)
        })?;
        self.packages.get(*index)
    }

    /// All installed packages.
    pub fn packages(&self) -> &[Package] {
        &self.packages
    }

    /// What could not be read, one line each.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Whether the image has a package database that is not read: rpm's over
    /// Berkeley DB, or a damaged one.
    pub fn has_unread_database(&self) -> bool {
        self.unread_database
    }

    fn physical(&self, path: &ImagePath) -> Option<ImagePath> {
        let (alias, target) = self
            .aliases
            .iter()
            .find(|(alias, _)| path.is_at_or_below(alias))?;
        let rest = path.as_bytes().get(alias.as_bytes().len()..)?;
        target.join(rest.strip_prefix(b"/").unwrap_or(rest))
    }
}

/// The merged directories that are symlinks here, and where they lead.
fn aliases(fs: &dyn ImageFs) -> Vec<(ImagePath, ImagePath)> {
    MERGED
        .iter()
        .filter_map(ImagePath::new)
        .filter_map(|alias| {
            let (target, _) = walk(fs, &alias, true).end.ok()?;
            (target != alias).then_some((alias, target))
        })
        .collect()
}

/// The content of a database file; `None` where there is none.
fn read(fs: &dyn ImageFs, path: &ImagePath, problems: &mut Vec<String>) -> Option<Vec<u8>> {
    let (physical, _) = walk(fs, path, true).end.ok()?;
    fs.read(&physical, DATABASE_LIMIT)
        .inspect_err(|error| problems.push(unreadable(path, error)))
        .ok()
}

/// The sorted names in a database directory; none where there is none.
fn names(fs: &dyn ImageFs, path: &ImagePath, problems: &mut Vec<String>) -> Vec<ImagePath> {
    let Ok((physical, _)) = walk(fs, path, true).end else {
        return Vec::new();
    };
    match fs.list(&physical) {
        Ok(names) => names
            .iter()
            .filter_map(|name| physical.join(name))
            .collect(),
        Err(error) => {
            problems.push(unreadable(path, &error));
            Vec::new()
        }
    }
}

fn unreadable(path: &ImagePath, error: &io::Error) -> String {
    format!(
        "{path}: the package database cannot be read: {error}: run micropacker as a user that may"
    )
}

/// A field of a database: as it is where it is one line of text, else escaped.
fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains(char::is_control) => text.to_owned(),
        _ => bytes.escape_ascii().to_string(),
    }
}

#[cfg(test)]
mod tests;
