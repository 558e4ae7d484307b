//! Java's archives: the properties that Maven leaves in them, else their manifest
//! (JAR file specification), also of archives within archives.

use super::{Ecosystem, Kept, LanguagePackage, field};
use crate::image_fs::ReadAt;
use crate::image_path::ImagePath;
use crate::packages::zip::Archive;
use std::io;

const ENDINGS: [&[u8]; 4] = [b".jar", b".war", b".ear", b".hpi"];
const METADATA: usize = 1 << 20;
/// Frameworks put the libraries of an application into its own archive.
const INNER: usize = 256 << 20;
const DEPTH: usize = 3;

pub(super) fn find(kept: &Kept) -> Vec<LanguagePackage> {
    let mut found = Vec::new();
    for path in kept.files().filter(|path| is_archive(path.as_bytes())) {
        if let Ok(file) = kept.fs.open(path) {
            look_into(file.as_ref(), path, path.file_name(), DEPTH, &mut found);
        }
    }
    found
}

fn is_archive(name: &[u8]) -> bool {
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

fn look_into(
    file: &dyn ReadAt,
    path: &ImagePath,
    name: Option<&[u8]>,
    depth: usize,
    found: &mut Vec<LanguagePackage>,
) {
    let Ok(archive) = Archive::open(file) else {
        return;
    };
    let before = found.len();
    let mut manifest = String::new();
    let mut inner = Vec::new();
    for member in &archive.members {
        let text = || {
            let bytes = archive.read(member, METADATA).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        if member.name == b"META-INF/MANIFEST.MF" {
            manifest = unfolded(&text());
        } else if member.name.starts_with(b"META-INF/maven/")
            && member.name.ends_with(b"/pom.properties")
        {
            found.extend(of_maven(&text(), path));
        } else if depth > 0 && is_archive(&member.name) {
            inner.push(member);
        }
    }
    if found.len() == before {
        found.extend(of_manifest(&manifest, path, name));
    }
    for member in inner {
        if let Ok(bytes) = archive.read(member, INNER) {
            let name = member.name.rsplit(|byte| *byte == b'/').next();
            look_into(&Inner(bytes), path, name, depth - 1, found);
        }
    }
}

/// `groupId=…`, `artifactId=…`, `version=…`.
fn of_maven(text: &str, path: &ImagePath) -> Option<LanguagePackage> {
    let value = |name: &str| {
        let mut pairs = text.lines().filter_map(|line| line.split_once('='));
        pairs
            .find(|(key, _)| key.trim() == name)
            .map(|(_, value)| value.trim().to_owned())
    };
    Some(LanguagePackage {
        ecosystem: Ecosystem::Java,
        group: value("groupId")?,
        name: value("artifactId")?,
        version: value("version")?,
        license: String::new(),
        metadata: path.clone(),
    })
}

fn of_manifest(text: &str, path: &ImagePath, file: Option<&[u8]>) -> Option<LanguagePackage> {
    let first = |names: &[&str]| names.iter().find_map(|name| field(text, name));
    // A symbolic name may have directives behind it: `org.x;singleton:=true`.
    let symbolic = first(&["Bundle-SymbolicName"]).and_then(|name| name.split(';').next());
    let title = first(&["Implementation-Title"]);
    let file = file.map(String::from_utf8_lossy);
    let (stem, in_name) = file.as_deref().and_then(named)?;
    let version = first(&["Implementation-Version", "Bundle-Version"]).or(in_name)?;
    Some(LanguagePackage {
        ecosystem: Ecosystem::Java,
        group: first(&["Implementation-Vendor-Id"])
            .unwrap_or_default()
            .to_owned(),
        name: symbolic.or(title).unwrap_or(stem).to_owned(),
        version: version.to_owned(),
        license: first(&["Bundle-License"]).unwrap_or_default().to_owned(),
        metadata: path.clone(),
    })
}

/// `commons-io` and `2.11` of `commons-io-2.11.jar`.
fn named(file: &str) -> Option<(&str, Option<&str>)> {
    let (stem, _) = file.rsplit_once('.')?;
    let version = stem
        .match_indices('-')
        .map(|(at, _)| at)
        .find(|at| stem[at + 1..].starts_with(|first: char| first.is_ascii_digit()));
    Some(match version {
        Some(at) => (&stem[..at], Some(&stem[at + 1..])),
        None => (stem, None),
    })
}

/// A line of a manifest that begins with a space goes on with the one before.
fn unfolded(manifest: &str) -> String {
    manifest.replace("\r\n", "\n").replace("\n ", "")
}

/// An archive within another one.
struct Inner(Vec<u8>);

impl ReadAt for Inner {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let start = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(self.0.len());
        let rest = self.0.get(start..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn data_runs(&self) -> io::Result<Vec<(u64, u64)>> {
        Ok(vec![(0, self.len())])
    }
}
