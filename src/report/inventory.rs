//! The packages that an image holds files of, and the distribution they are from.

use crate::image_fs::{FileKind, ImageFs, walk};
use crate::image_path::ImagePath;
use crate::manifest::{Manifest, Source};
use crate::packages::{LanguagePackage, Owners, Package, language_packages};
use std::collections::BTreeMap;

/// A file of os-release(5) beyond this is none.
const RELEASE_LIMIT: u64 = 64 << 10;

/// What os-release(5) tells; empty where it does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    /// `debian`, `alpine`, `fedora`.
    pub id: String,
    /// `12`, `3.20.1`.
    pub version: String,
    /// For people.
    pub name: String,
}

/// A package of the system of which files are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptPackage {
    /// As its database tells.
    pub package: Package,
    /// How many entries of the image it owns, directories not counted.
    pub files: u64,
    /// Bytes of those that are regular files.
    pub bytes: u64,
}

/// All packages, kept or not.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// Where the system's packages are from.
    pub distribution: Distribution,
    /// Who owns which path.
    pub owners: Owners,
    /// Those with kept files, sorted.
    pub kept: Vec<KeptPackage>,
    /// Those of language runtimes with kept files, sorted.
    pub languages: Vec<LanguagePackage>,
}

impl Inventory {
    /// Reads the databases of the image. What could not be read is in the problems of the
    /// owners.
    pub fn take(fs: &dyn ImageFs, manifest: &Manifest) -> Self {
        let owners = Owners::load(fs);
        let mut kept: BTreeMap<&Package, (u64, u64)> = BTreeMap::new();
        for (path, entry) in &manifest.entries {
            if entry.kind == FileKind::Directory {
                continue;
            }
            let Some(package) = owners.package_of(path) else {
                continue;
            };
            let size = match (&entry.source, entry.meta) {
                (Source::Image, Some(meta)) if meta.kind == FileKind::Regular => meta.size,
                _ => 0,
            };
            let (files, bytes) = kept.entry(package).or_default();
            *files += 1;
            *bytes += size;
        }
        let kept = kept
            .into_iter()
            .map(|(package, (files, bytes))| KeptPackage {
                package: package.clone(),
                files,
                bytes,
            })
            .collect();
        let languages = language_packages(fs, &manifest.entries, &owners);
        Self {
            distribution: Distribution::read(fs),
            kept,
            languages,
            owners,
        }
    }

    /// Bytes that all packages of the system take when installed, as their makers counted
    /// them: most of what the image was before.
    pub fn installed_bytes(&self) -> u64 {
        self.owners.packages().iter().map(|one| one.size).sum()
    }
}

impl Distribution {
    fn read(fs: &dyn ImageFs) -> Self {
        let text = ["/etc/os-release", "/usr/lib/os-release"]
            .iter()
            .filter_map(ImagePath::new)
            .filter_map(|path| walk(fs, &path, true).end.ok())
            .find_map(|(path, _)| fs.read(&path, RELEASE_LIMIT).ok())
            .unwrap_or_default();
        Self::parse(&String::from_utf8_lossy(&text))
    }

    fn parse(text: &str) -> Self {
        let value = |name: &str| {
            let mut pairs = text.lines().filter_map(|line| line.split_once('='));
            let (_, value) = pairs.find(|(key, _)| key.trim() == name)?;
            Some(value.trim().trim_matches(['"', '\'']).to_owned())
        };
        Self {
            id: value("ID").unwrap_or_default(),
            version: value("VERSION_ID").unwrap_or_default(),
            name: value("PRETTY_NAME").unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distribution_is_read_with_and_without_quotes() {
        let text = "PRETTY_NAME=\"Debian GNU/Linux 12\"\nID=debian\nVERSION_ID='12'\n";
        let Distribution { id, version, name } = Distribution::parse(text);
        assert_eq!([id, version, name], ["debian", "12", "Debian GNU/Linux 12"]);
        assert_eq!(Distribution::parse("garbage"), Distribution::default());
    }
}
