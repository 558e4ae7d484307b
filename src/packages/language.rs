//! Packages of language runtimes among the kept files, told by the metadata that their own
//! managers left beside them.

mod java;
mod node;
mod python;
mod ruby;

pub(super) use python::header;

use super::Owners;
use crate::image_fs::{FileKind, ImageFs};
use crate::image_path::ImagePath;
use crate::manifest::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A file of metadata beyond this is none.
const METADATA_LIMIT: u64 = 16 << 20;

/// Whose package it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ecosystem {
    /// Archives of Java, by their manifest or Maven's properties.
    Java,
    /// `package.json` of Node.js.
    Node,
    /// Distributions of Python, installed by pip and its like.
    Python,
    /// Gems.
    Ruby,
}

impl fmt::Display for Ecosystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Java => "java",
            Self::Node => "node",
            Self::Python => "python",
            Self::Ruby => "ruby",
        })
    }
}

/// A package of a language runtime. Fields are empty where the metadata does not tell.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LanguagePackage {
    /// Whose package it is.
    pub ecosystem: Ecosystem,
    /// Maven's group; of no other.
    pub group: String,
    /// As its ecosystem names it; of Node with the scope.
    pub name: String,
    /// As its ecosystem writes it.
    pub version: String,
    /// As the metadata spells it.
    pub license: String,
    /// The file that told.
    pub metadata: ImagePath,
}

/// The packages of which files are kept, sorted; those that a system package installed are left
/// to that one.
pub fn language_packages(
    fs: &dyn ImageFs,
    entries: &BTreeMap<ImagePath, Entry>,
    owners: &Owners,
) -> Vec<LanguagePackage> {
    let kept = Kept { fs, entries };
    let mut found = BTreeSet::new();
    for find in [java::find, node::find, python::find, ruby::find] {
        found.extend(find(&kept));
    }
    let is_own = |package: &LanguagePackage| owners.package_of(&package.metadata).is_none();
    found.into_iter().filter(is_own).collect()
}

/// The files that are kept, and the image they come from.
struct Kept<'a> {
    fs: &'a dyn ImageFs,
    entries: &'a BTreeMap<ImagePath, Entry>,
}

impl Kept<'_> {
    fn files(&self) -> impl Iterator<Item = &ImagePath> {
        let entries = self.entries.iter();
        let files = entries.filter(|(_, entry)| entry.kind == FileKind::Regular);
        files.map(|(path, _)| path)
    }

    fn holds(&self, path: &ImagePath) -> bool {
        self.entries.contains_key(path)
    }

    /// A file of the image, kept or not; `None` where there is none, or it cannot be read.
    fn read(&self, path: &ImagePath) -> Option<Vec<u8>> {
        self.fs.read(path, METADATA_LIMIT).ok()
    }

    fn text(&self, path: &ImagePath) -> Option<String> {
        Some(String::from_utf8_lossy(&self.read(path)?).into_owned())
    }
}

/// The first value of a field in lines of `Name: value`, up to the first empty line
/// (RFC 822; PEP 566; the manifest of a Java archive).
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .take_while(|line| !line.trim().is_empty())
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
        .filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests;
