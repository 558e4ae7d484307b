//! `/etc/ld.so.cache` as ldconfig(8) writes it: a pure parser of both formats and the lookup in
//! it.
//!
//! The old format (`ld.so-1.7.0`) is an array of entries and a string table; the new one
//! (`glibc-ld.so.cache1.1`) may follow inside that string table or stand alone, and may end in
//! extensions, of which one names the `glibc-hwcaps` subdirectories. Every offset comes from the
//! file and is checked.

use super::machine::Machine;
use std::collections::HashMap;

const OLD_MAGIC: &[u8] = b"ld.so-1.7.0";
const OLD_HEADER: usize = 16;
const OLD_ENTRY: usize = 12;
const NEW_MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
const NEW_HEADER: usize = 48;
const NEW_ENTRY: usize = 24;
const EXTENSION_MAGIC: u32 = 0xEAA4_2174;
const EXTENSION_HEADER: usize = 8;
const EXTENSION_SECTION: usize = 16;
const TAG_GLIBC_HWCAPS: u32 = 1;
/// Marks an entry of a `glibc-hwcaps` subdirectory; the low half is then an index.
const HWCAP_EXTENSION: u32 = 1 << 30;
/// Bits of the high half that name an instruction set level.
const HWCAP_ISA_LEVEL: u32 = (1 << 10) - 1;

/// Why bytes are no cache that a loader would use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CacheError {
    /// Neither format's magic.
    #[error("neither magic of ld.so.cache")]
    Magic,
    /// More entries announced than the file holds.
    #[error("ld.so.cache ends within its entries")]
    Truncated,
}

/// For which processors an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hwcap {
    /// Any.
    Base,
    /// Those that search this subdirectory of `glibc-hwcaps`.
    Subdirectory(Vec<u8>),
    /// A bit mask or platform of loaders before glibc 2.37; newer ones skip the entry.
    Legacy(u64),
}

/// One library in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheEntry {
    /// Kind of library in the low byte, machine and ABI above it.
    pub flags: u32,
    /// For which processors.
    pub hwcap: Hwcap,
    /// Where the library lies.
    pub path: Vec<u8>,
}

/// The cache by the name that a program asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LdCache {
    entries: HashMap<Vec<u8>, Vec<CacheEntry>>,
}

impl LdCache {
    /// Reads a whole cache file. Entries whose strings lie outside the file are left out, as a
    /// loader passes over them.
    pub fn parse(bytes: &[u8]) -> Result<Self, CacheError> {
        if bytes.starts_with(NEW_MAGIC) {
            return parse_new(bytes, 0);
        }
        if !bytes.starts_with(OLD_MAGIC) {
            return Err(CacheError::Magic);
        }
        let little = Numbers::new(bytes, true);
        let big = Numbers::new(bytes, false);
        let old = [little, big]
            .into_iter()
            .find_map(|numbers| Some((numbers, numbers.entries(OLD_HEADER, 12, OLD_ENTRY)?)));
        let (numbers, count) = old.ok_or(CacheError::Truncated)?;
        let strings = OLD_HEADER + count * OLD_ENTRY;
        // Aligned for the machine that wrote it: to 8, or to 4 on 32-bit ones.
        for align in [8, 4] {
            let start = strings.next_multiple_of(align);
            if bytes
                .get(start..)
                .is_some_and(|rest| rest.starts_with(NEW_MAGIC))
            {
                return parse_new(bytes, start);
            }
        }
        Ok(parse_old(numbers, count, strings))
    }

    /// The entries for a name in the order of the file, those of every machine.
    pub fn entries(&self, name: &[u8]) -> &[CacheEntry] {
        self.entries.get(name).map_or(&[], Vec::as_slice)
    }

    /// How many names it holds.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it holds no name.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entry that the machine's loader takes for `name` when it searches the subdirectories
    /// `hwcaps`, the best first: the best named one, else the first plain one marked for the
    /// machine, else the last that only an old ldconfig marked.
    pub(super) fn lookup(
        &self,
        name: &[u8],
        machine: &Machine,
        hwcaps: &[&str],
    ) -> Option<&CacheEntry> {
        let mut named: Option<(usize, &CacheEntry)> = None;
        let mut plain: Option<&CacheEntry> = None;
        for entry in self.entries(name) {
            if !machine.takes_cache_flags(entry.flags) {
                continue;
            }
            match &entry.hwcap {
                Hwcap::Subdirectory(directory) => {
                    let rank = hwcaps.iter().position(|n| n.as_bytes() == directory);
                    if let Some(rank) = rank
                        && named.is_none_or(|(best, _)| rank < best)
                    {
                        named = Some((rank, entry));
                    }
                }
                Hwcap::Legacy(_) => {}
                Hwcap::Base if plain.is_some_and(|p| p.flags == machine.cache_flags) => {}
                Hwcap::Base => plain = Some(entry),
            }
        }
        named.map(|(_, entry)| entry).or(plain)
    }

    fn add(&mut self, name: &[u8], entry: CacheEntry) {
        self.entries.entry(name.to_vec()).or_default().push(entry);
    }
}

fn parse_old(numbers: Numbers<'_>, count: usize, strings: usize) -> LdCache {
    let mut cache = LdCache::default();
    for index in 0..count {
        let at = OLD_HEADER + index * OLD_ENTRY;
        let entry = (|| {
            let flags = numbers.u32(at)?;
            let name = numbers.string(strings, numbers.u32(at + 4)?)?;
            let path = numbers.string(strings, numbers.u32(at + 8)?)?;
            Some((name, path, flags))
        })();
        if let Some((name, path, flags)) = entry {
            let path = path.to_vec();
            let hwcap = Hwcap::Base;
            cache.add(name, CacheEntry { flags, hwcap, path });
        }
    }
    cache
}

fn parse_new(bytes: &[u8], start: usize) -> Result<LdCache, CacheError> {
    let endian = bytes.get(start + 28).map(|flags| flags & 3);
    let (little, big) = (Numbers::new(bytes, true), Numbers::new(bytes, false));
    let orders: &[Numbers<'_>] = match endian {
        Some(2) => &[little],
        Some(3) => &[big],
        // Written before the mark existed: only one order gives a count that fits.
        _ => &[little, big],
    };
    let header = start + NEW_HEADER;
    let found = orders
        .iter()
        .find_map(|numbers| Some((*numbers, numbers.entries(header, start + 20, NEW_ENTRY)?)));
    let (numbers, count) = found.ok_or(CacheError::Truncated)?;
    let hwcaps = hwcap_names(numbers, start).unwrap_or_default();
    let mut cache = LdCache::default();
    for index in 0..count {
        let at = header + index * NEW_ENTRY;
        let entry = (|| {
            let name = numbers.string(start, numbers.u32(at + 4)?)?;
            let entry = CacheEntry {
                flags: numbers.u32(at)?,
                hwcap: hwcap(numbers.u64(at + 16)?, &hwcaps)?,
                path: numbers.string(start, numbers.u32(at + 8)?)?.to_vec(),
            };
            Some((name, entry))
        })();
        if let Some((name, entry)) = entry {
            cache.add(name, entry);
        }
    }
    Ok(cache)
}

fn hwcap(value: u64, names: &[Vec<u8>]) -> Option<Hwcap> {
    let (high, low) = ((value >> 32) as u32, value as u32);
    if high & !HWCAP_ISA_LEVEL == HWCAP_EXTENSION {
        let name = names.get(usize::try_from(low).ok()?)?;
        return Some(Hwcap::Subdirectory(name.clone()));
    }
    Some(match value {
        0 => Hwcap::Base,
        bits => Hwcap::Legacy(bits),
    })
}

/// The strings of the extension that names the `glibc-hwcaps` subdirectories. Its offsets count
/// from the beginning of the file.
fn hwcap_names(numbers: Numbers<'_>, start: usize) -> Option<Vec<Vec<u8>>> {
    let directory = numbers.offset(start + 32)?;
    if directory == 0 || numbers.u32(directory)? != EXTENSION_MAGIC {
        return None;
    }
    let first = directory + EXTENSION_HEADER;
    let count = numbers.entries(first, directory + 4, EXTENSION_SECTION)?;
    let section = (0..count)
        .map(|index| first + index * EXTENSION_SECTION)
        .find(|at| numbers.u32(*at) == Some(TAG_GLIBC_HWCAPS))?;
    let indices = numbers.offset(section + 8)?;
    let size = numbers.offset(section + 12)?;
    let end = indices.checked_add(size)?;
    if end > numbers.bytes.len() {
        return None;
    }
    (indices..end)
        .step_by(4)
        .map(|at| Some(numbers.string(0, numbers.u32(at)?)?.to_vec()))
        .collect()
}

/// Checked reads in one byte order.
#[derive(Clone, Copy)]
struct Numbers<'a> {
    bytes: &'a [u8],
    little: bool,
}

impl<'a> Numbers<'a> {
    fn new(bytes: &'a [u8], little: bool) -> Self {
        Self { bytes, little }
    }

    fn u32(self, at: usize) -> Option<u32> {
        let bytes = self.bytes.get(at..)?.first_chunk()?;
        Some(if self.little {
            u32::from_le_bytes(*bytes)
        } else {
            u32::from_be_bytes(*bytes)
        })
    }

    fn u64(self, at: usize) -> Option<u64> {
        let bytes = self.bytes.get(at..)?.first_chunk()?;
        Some(if self.little {
            u64::from_le_bytes(*bytes)
        } else {
            u64::from_be_bytes(*bytes)
        })
    }

    fn offset(self, at: usize) -> Option<usize> {
        usize::try_from(self.u32(at)?).ok()
    }

    /// The count stored at `count_at`, if that many entries of `size` fit from `first` on.
    fn entries(self, first: usize, count_at: usize, size: usize) -> Option<usize> {
        let count = self.offset(count_at)?;
        let room = self.bytes.len().checked_sub(first)?;
        (count <= room / size).then_some(count)
    }

    /// The NUL-terminated string at `offset` of the table that begins at `table`.
    fn string(self, table: usize, offset: u32) -> Option<&'a [u8]> {
        let start = table.checked_add(usize::try_from(offset).ok()?)?;
        let rest = self.bytes.get(start..)?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        Some(&rest[..end])
    }
}

#[cfg(test)]
pub(super) mod tests;
