//! A package's header as rpm's databases hold it: an index of tags, then their data
//! (<https://rpm-software-management.github.io/rpm/manual/format_header.html>).

use crate::image_path::ImagePath;
use crate::packages::{Installed, Manager, Package, text};

const NAME: u32 = 1000;
const VERSION: u32 = 1001;
const RELEASE: u32 = 1002;
const EPOCH: u32 = 1003;
const SIZE: u32 = 1009;
const VENDOR: u32 = 1011;
const LICENSE: u32 = 1014;
const PACKAGER: u32 = 1015;
const ARCH: u32 = 1022;
const OLD_FILE_NAMES: u32 = 1027;
const SOURCE_RPM: u32 = 1044;
const DIR_INDEXES: u32 = 1116;
const BASE_NAMES: u32 = 1117;
const DIR_NAMES: u32 = 1118;

const INDEX_ENTRY: usize = 16;

/// The package of a header and the paths it owns; `None` for what is no header. A key of a
/// package repository is a header without files.
pub(super) fn parse(blob: &[u8]) -> Option<Installed> {
    let header = Header::new(blob)?;
    let name = header.string(NAME).filter(|name| !name.is_empty())?;
    let release = header.string(RELEASE).unwrap_or_default();
    let mut version = header.string(VERSION).unwrap_or_default();
    if !release.is_empty() {
        version = format!("{version}-{release}");
    }
    if let Some(epoch) = header.numbers(EPOCH).first() {
        version = format!("{epoch}:{version}");
    }
    let (source, source_version) = source(&header.string(SOURCE_RPM).unwrap_or_default());
    let maintainer = header.string(PACKAGER).or_else(|| header.string(VENDOR));
    Some(Installed {
        package: Package {
            version,
            arch: header.string(ARCH).unwrap_or_default(),
            source,
            source_version,
            license: header.string(LICENSE).unwrap_or_default(),
            maintainer: maintainer.unwrap_or_default(),
            size: header
                .numbers(SIZE)
                .first()
                .copied()
                .unwrap_or_default()
                .into(),
            ..Package::named(Manager::Rpm, name)
        },
        paths: header.paths(),
    })
}

/// `glibc` and `2.34-60.el9` of `glibc-2.34-60.el9.src.rpm`.
fn source(file: &str) -> (String, String) {
    let stem = file.strip_suffix(".rpm").unwrap_or(file);
    let stem = stem.rsplit_once('.').map_or(stem, |(stem, _)| stem);
    let mut parts = stem.rsplitn(3, '-');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(release), Some(version), Some(name)) => {
            (name.to_owned(), format!("{version}-{release}"))
        }
        _ => Default::default(),
    }
}

struct Header<'a> {
    index: &'a [u8],
    data: &'a [u8],
}

impl<'a> Header<'a> {
    fn new(blob: &'a [u8]) -> Option<Self> {
        let entries = number(blob, 0)? as usize;
        let (index, data) = blob
            .get(8..)?
            .split_at_checked(entries.checked_mul(INDEX_ENTRY)?)?;
        let data = data.get(..number(blob, 4)? as usize)?;
        Some(Self { index, data })
    }

    /// Where the data of a tag begins, and how many values it has.
    fn values(&self, tag: u32) -> Option<(&'a [u8], usize)> {
        self.index.chunks_exact(INDEX_ENTRY).find_map(|entry| {
            let found = number(entry, 0)? == tag;
            let data = self.data.get(number(entry, 8)? as usize..)?;
            found.then_some((data, number(entry, 12)? as usize))
        })
    }

    fn strings(&self, tag: u32) -> impl Iterator<Item = &'a [u8]> {
        let (data, count) = self.values(tag).unwrap_or_default();
        data.split(|byte| *byte == 0).take(count)
    }

    fn string(&self, tag: u32) -> Option<String> {
        self.strings(tag).next().map(text)
    }

    fn numbers(&self, tag: u32) -> Vec<u32> {
        let (data, count) = self.values(tag).unwrap_or_default();
        let words = data.as_chunks::<4>().0.iter().take(count);
        words.map(|bytes| u32::from_be_bytes(*bytes)).collect()
    }

    fn paths(&self) -> Vec<ImagePath> {
        let directories: Vec<&[u8]> = self.strings(DIR_NAMES).collect();
        let indexes = self.numbers(DIR_INDEXES);
        let split = self
            .strings(BASE_NAMES)
            .zip(indexes)
            .filter_map(|(name, index)| {
                let directory = ImagePath::new(directories.get(index as usize)?)?;
                directory.join(name)
            });
        let whole = self.strings(OLD_FILE_NAMES).filter_map(ImagePath::new);
        split.chain(whole).filter(|path| !path.is_root()).collect()
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_be_bytes(*bytes))
}
