//! Debian's database: `/var/lib/dpkg/info/*.list` and `status`, and the `status.d` of
//! distroless images (deb822(5), dpkg-query(1)).

use super::metadata::{Entries, MetadataFiles, STATUS_D, single_files};
use super::{Installed, Manager, Package, names, read, text};
use crate::image_fs::{ImageFs, walk};
use crate::image_path::ImagePath;
use std::collections::{BTreeSet, HashMap};

/// The installed packages and their files.
pub(super) fn installed(fs: &dyn ImageFs, problems: &mut Vec<String>) -> Vec<Installed> {
    let mut found = Vec::new();
    let Some(info) = ImagePath::new("/var/lib/dpkg/info") else {
        return found;
    };
    let status = ImagePath::new("/var/lib/dpkg/status");
    let status = status.and_then(|path| read(fs, &path, problems));
    let known = parse_status(&status.unwrap_or_default());
    for path in names(fs, &info, problems) {
        let Some(name) = path
            .file_name()
            .and_then(|name| name.strip_suffix(b".list"))
        else {
            continue;
        };
        if let Some(list) = read(fs, &path, problems) {
            let package = described(&known, name);
            let paths = parse_list(&list);
            found.push(Installed { package, paths });
        }
    }
    found.extend(distroless(fs, problems));
    found
}

/// A `.list` file is named by the package, or by `package:arch` where several architectures may
/// be installed side by side.
fn described(known: &HashMap<(String, String), Package>, name: &[u8]) -> Package {
    let name = text(name);
    let (name, arch) = name.split_once(':').unwrap_or((&name, ""));
    let key = (name.to_owned(), arch.to_owned());
    known.get(&key).cloned().unwrap_or_else(|| Package {
        arch: arch.to_owned(),
        ..Package::named(Manager::Dpkg, name.to_owned())
    })
}

/// Packages by name and architecture, and by name alone.
fn parse_status(status: &[u8]) -> HashMap<(String, String), Package> {
    let mut known = HashMap::new();
    for paragraph in paragraphs(status) {
        if let Some(package) = parse_paragraph(&paragraph) {
            let name = package.name.clone();
            known.insert((name.clone(), package.arch.clone()), package.clone());
            known.entry((name, String::new())).or_insert(package);
        }
    }
    known
}

/// The lines of each paragraph, continuation lines left out.
fn paragraphs(text: &[u8]) -> Vec<Vec<&[u8]>> {
    let mut all = vec![Vec::new()];
    for line in text.split(|byte| *byte == b'\n') {
        if line.trim_ascii().is_empty() {
            all.push(Vec::new());
        } else if !line[0].is_ascii_whitespace()
            && let Some(last) = all.last_mut()
        {
            last.push(line);
        }
    }
    all
}

fn parse_paragraph(lines: &[&[u8]]) -> Option<Package> {
    let field = |name: &[u8]| {
        lines.iter().find_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let (key, value) = line.split_at(colon);
            key.eq_ignore_ascii_case(name)
                .then(|| text(value.get(1..).unwrap_or_default().trim_ascii()))
        })
    };
    let name = field(b"Package").filter(|name| !name.is_empty())?;
    let version = field(b"Version").unwrap_or_default();
    // `Source: glibc (2.36-9)`; without it, or without a version in it, as the package itself.
    let source = field(b"Source").unwrap_or_else(|| name.clone());
    let (source, source_version) = match source.split_once(" (") {
        Some((source, version)) => (source.to_owned(), version.trim_end_matches(')').to_owned()),
        None => (source, version.clone()),
    };
    let kibibytes = field(b"Installed-Size").and_then(|size| size.parse::<u64>().ok());
    let kibibytes = kibibytes.unwrap_or_default();
    Some(Package {
        version,
        arch: field(b"Architecture").unwrap_or_default(),
        source,
        source_version,
        maintainer: field(b"Maintainer").unwrap_or_default(),
        size: kibibytes.saturating_mul(1024),
        ..Package::named(Manager::Dpkg, name)
    })
}

/// For each of these packages a file with its control data, as distroless images have it. With
/// `sums` also the sums of those of its files that are in the image.
pub(super) fn metadata(
    fs: &dyn ImageFs,
    packages: &BTreeSet<&Package>,
    sums: Option<&Entries>,
    files: &mut MetadataFiles,
) {
    let is_kept = |package: &Package| {
        packages.iter().any(|kept| {
            (kept.manager, &kept.name, &kept.arch) == (Manager::Dpkg, &package.name, &package.arch)
        })
    };
    for path in single_files(fs, &mut Vec::new()) {
        let content = read(fs, &path, &mut Vec::new()).unwrap_or_default();
        let mut told = paragraphs(&content)
            .into_iter()
            .filter_map(|one| parse_paragraph(&one));
        if told.any(|package| is_kept(&package)) {
            let beside = ImagePath::new([path.as_bytes(), b".md5sums"].concat());
            let beside = beside.filter(|beside| sums.is_some() && fs.lstat(beside).is_ok());
            files.kept.extend([path].into_iter().chain(beside));
        }
    }
    let Some(status) =
        ImagePath::new("/var/lib/dpkg/status").and_then(|path| read(fs, &path, &mut Vec::new()))
    else {
        return;
    };
    let mut taken: BTreeSet<String> = BTreeSet::new();
    for stanza in stanzas(&status) {
        let Some(package) = paragraphs(stanza)
            .into_iter()
            .find_map(|lines| parse_paragraph(&lines))
            .filter(is_kept)
        else {
            continue;
        };
        // The same package for another processor.
        let file = match taken.insert(package.name.clone()) {
            true => package.name.clone(),
            false => format!("{}:{}", package.name, package.arch),
        };
        let made = |ending: &str| ImagePath::root().join(format!("{STATUS_D}/{file}{ending}"));
        files
            .made
            .extend(made("").map(|path| (path, control(stanza))));
        if let Some(entries) = sums
            && let Some(path) = made(".md5sums")
        {
            files.made.push((path, kept_sums(fs, &package, entries)));
        }
    }
}

/// The paragraphs as they are, continuation lines included.
fn stanzas(status: &[u8]) -> Vec<&[u8]> {
    let mut all = Vec::new();
    let (mut start, mut at) = (0, 0);
    for line in status.split_inclusive(|byte| *byte == b'\n') {
        if line.trim_ascii().is_empty() {
            all.extend(status.get(start..at));
            start = at + line.len();
        }
        at += line.len();
    }
    all.extend(status.get(start..));
    all.retain(|stanza| !stanza.is_empty());
    all
}

/// A stanza without what the installation added to the package's own control data: its state
/// and the sums of its configuration files.
fn control(stanza: &[u8]) -> Vec<u8> {
    let mut control = Vec::new();
    let mut dropped = false;
    for line in stanza.split_inclusive(|byte| *byte == b'\n') {
        if !line.first().is_some_and(u8::is_ascii_whitespace) {
            dropped = [&b"Status:"[..], b"Conffiles:", b"Config-Version:"]
                .iter()
                .any(|field| line.starts_with(field));
        }
        if !dropped {
            control.extend_from_slice(line);
        }
    }
    if control.last() != Some(&b'\n') {
        control.push(b'\n');
    }
    control
}

fn kept_sums(fs: &dyn ImageFs, package: &Package, entries: &Entries) -> Vec<u8> {
    let name = &package.name;
    let names = [format!("{name}:{}", package.arch), name.clone()];
    let sums = names
        .iter()
        .filter_map(|name| ImagePath::new(format!("/var/lib/dpkg/info/{name}.md5sums")))
        .find_map(|path| read(fs, &path, &mut Vec::new()))
        .unwrap_or_default();
    let is_kept = |line: &&[u8]| {
        let path = parse_md5sums(line).into_iter().next();
        path.is_some_and(|path| {
            let physical = walk(fs, &path, false).last;
            entries.contains_key(&path) || entries.contains_key(&physical)
        })
    };
    sums.split_inclusive(|byte| *byte == b'\n')
        .filter(is_kept)
        .flatten()
        .copied()
        .collect()
}

/// Paths one a line; the root directory is `/.` and belongs to nobody.
fn parse_list(list: &[u8]) -> Vec<ImagePath> {
    list.split(|byte| *byte == b'\n')
        .filter_map(ImagePath::new)
        .filter(|path| !path.is_root())
        .collect()
}

/// Each package has a file with its paragraph, and `NAME.md5sums` with its files.
fn distroless(fs: &dyn ImageFs, problems: &mut Vec<String>) -> Vec<Installed> {
    let mut found = Vec::new();
    for path in single_files(fs, problems) {
        let Some(status) = read(fs, &path, problems) else {
            continue;
        };
        let sums = ImagePath::new([path.as_bytes(), b".md5sums"].concat())
            .and_then(|sums| read(fs, &sums, problems))
            .unwrap_or_default();
        for paragraph in paragraphs(&status) {
            if let Some(package) = parse_paragraph(&paragraph) {
                let paths = parse_md5sums(&sums);
                found.push(Installed { package, paths });
            }
        }
    }
    found
}

/// Lines of a sum, two spaces and a path relative to the root. Its directories count as owned
/// where they are not shared by all: those at least three deep.
fn parse_md5sums(sums: &[u8]) -> Vec<ImagePath> {
    let mut paths: Vec<ImagePath> = sums
        .split(|byte| *byte == b'\n')
        .filter_map(|line| {
            let space = line.iter().position(|byte| *byte == b' ')?;
            let path = line.get(space..)?.trim_ascii_start();
            ImagePath::root().join(path).filter(|path| !path.is_root())
        })
        .collect();
    let parents: Vec<ImagePath> = paths.iter().filter_map(ImagePath::parent).collect();
    let deep = parents
        .into_iter()
        .filter(|parent| parent.components().count() >= 3);
    paths.extend(deep);
    paths.sort_unstable();
    paths.dedup();
    paths
}
