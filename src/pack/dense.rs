//! Sparse entries of a tarball written out in full.
//!
//! Docker and podman unpack sparse entries rightly, but cannot put such a layer together again
//! (tar-split keeps no map of the holes): `docker save`, `docker push` and their podman
//! counterparts then fail. So an image's layer holds zeros where that is affordable.

use super::header::{name_entry, size_entry, write_entry};
use super::pax::{self, Records};
use super::stream::{BLOCK, Stream};
use std::io::{self, Read, Seek, SeekFrom, Write};
use tar::{EntryType, Header};

/// No reader takes larger extended headers or maps.
const MAX_METADATA: u64 = 8 << 20;

/// The bytes of holes in all entries in GNU's sparse format 1.0.
///
/// # Errors
/// `InvalidData` where `archive` is no tar stream.
pub fn holes(archive: &mut (impl Read + Seek)) -> io::Result<u64> {
    let length = archive.seek(SeekFrom::End(0))?;
    archive.rewind()?;
    let mut holes: u64 = 0;
    let mut extended = Vec::new();
    while let Some(header) = read_header(archive)? {
        let size = stored_size(&header, &extended)?;
        if header.entry_type() == EntryType::XHeader {
            extended = read_metadata(archive, size)?;
            continue;
        }
        if let Some(sparse) = Sparse::of(&extended)? {
            holes = holes.saturating_add(sparse.size.saturating_sub(size));
        }
        extended.clear();
        let whole = i64::try_from(padded(size)?).map_err(|_| broken("an endless entry"))?;
        if archive.seek(SeekFrom::Current(whole))? > length {
            return Err(broken("less than its last header says; is it cut off?"));
        }
    }
    archive.rewind()?;
    Ok(holes)
}

/// Copies `archive` with its sparse entries written out in full, all else byte for byte.
pub fn densify(archive: &mut impl Read, out: &mut Stream) -> io::Result<()> {
    let mut before = None;
    let mut extended = Vec::new();
    while let Some(header) = read_header(archive)? {
        let size = stored_size(&header, &extended)?;
        if header.entry_type() == EntryType::XHeader {
            extended = read_metadata(archive, size)?;
            before = Some(header);
            continue;
        }
        if let Some(sparse) = Sparse::of(&extended)? {
            write_dense(archive, header, size, &sparse, &extended, out)?;
        } else {
            if let Some(before) = before {
                out.write_all(before.as_bytes())?;
                out.write_all(&extended)?;
                out.pad()?;
            }
            out.write_all(header.as_bytes())?;
            copy(archive, padded(size)?, out)?;
        }
        before = None;
        extended.clear();
    }
    out.zeros(2 * BLOCK)
}

/// What an extended header says of a sparse entry.
struct Sparse {
    name: Vec<u8>,
    size: u64,
}

impl Sparse {
    /// `None` for an entry that is not sparse, or in another of GNU's formats.
    fn of(extended: &[u8]) -> io::Result<Option<Self>> {
        let records = pax::parse(extended).ok_or_else(|| broken("a malformed extended header"))?;
        let value = |keyword: &[u8]| {
            let mut found = records.iter().filter(|record| record.0 == keyword);
            found.next_back().map(|record| record.1)
        };
        if value(b"GNU.sparse.major") != Some(b"1") || value(b"GNU.sparse.minor") != Some(b"0") {
            return Ok(None);
        }
        let name = value(b"GNU.sparse.name").ok_or_else(|| broken("a sparse file without name"))?;
        let size = value(b"GNU.sparse.realsize").and_then(number);
        Ok(Some(Self {
            name: name.to_vec(),
            size: size.ok_or_else(|| broken("a sparse file without size"))?,
        }))
    }
}

fn write_dense(
    archive: &mut impl Read,
    mut header: Header,
    stored: u64,
    sparse: &Sparse,
    extended: &[u8],
    out: &mut Stream,
) -> io::Result<()> {
    let mut records = Records::default();
    name_entry(&mut header, &mut records, &sparse.name);
    size_entry(&mut header, &mut records, sparse.size);
    for (keyword, value) in pax::parse(extended).unwrap_or_default() {
        let replaced = matches!(keyword, b"path" | b"size" | b"hdrcharset");
        if !replaced && !keyword.starts_with(b"GNU.sparse.") {
            records.push(keyword, value);
        }
    }
    write_entry(header, &records, &sparse.name, out)?;

    let mut stored = archive.take(padded(stored)?);
    let mut written = 0;
    for (offset, length) in read_map(&mut stored)? {
        let gap = offset.checked_sub(written);
        out.zeros(gap.ok_or_else(|| broken("a sparse map out of order"))?)?;
        copy(&mut stored, length, out)?;
        written = offset.saturating_add(length);
        if written > sparse.size {
            return Err(broken("a sparse map beyond its file"));
        }
    }
    out.zeros(sparse.size - written)?;
    out.pad()?;
    io::copy(&mut stored, &mut io::sink())?;
    Ok(())
}

/// The runs of data as (offset, length); reads whole blocks.
fn read_map(archive: &mut impl Read) -> io::Result<Vec<(u64, u64)>> {
    let mut numbers = Vec::new();
    let mut digits = Vec::new();
    let mut wanted = 1;
    let mut read = 0;
    while numbers.len() < wanted {
        let mut block = [0; BLOCK as usize];
        archive.read_exact(&mut block)?;
        read += BLOCK;
        for byte in block {
            if numbers.len() == wanted {
                break;
            } else if byte != b'\n' {
                digits.push(byte);
                continue;
            }
            let number = number(&digits).ok_or_else(|| broken("a malformed sparse map"))?;
            digits.clear();
            numbers.push(number);
            if numbers.len() == 1 {
                let runs = usize::try_from(number).unwrap_or(usize::MAX);
                wanted = runs.saturating_mul(2).saturating_add(1);
            }
        }
        if read > MAX_METADATA {
            return Err(broken("an endless sparse map"));
        }
    }
    let runs = numbers.get(1..).unwrap_or_default().chunks_exact(2);
    Ok(runs
        .filter_map(|run| Some((*run.first()?, *run.get(1)?)))
        .collect())
}

/// The next header; `None` at the end of the archive.
fn read_header(archive: &mut impl Read) -> io::Result<Option<Header>> {
    let mut header = Header::new_old();
    let block = header.as_mut_bytes();
    let (first, rest) = block.split_at_mut(1);
    if !read_unless_ended(archive, first)? {
        return Ok(None);
    }
    archive.read_exact(rest)?;
    if block.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    let sum = block.iter().enumerate().map(|(at, byte)| match at {
        148..156 => u32::from(b' '),
        _ => u32::from(*byte),
    });
    let sum = sum.sum::<u32>();
    if header.cksum().ok() != Some(sum) {
        return Err(broken("something that is no header; is it compressed?"));
    }
    Ok(Some(header))
}

/// Fills `buffer`, or says that there is not even a first byte.
fn read_unless_ended(archive: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match archive.read_exact(buffer) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        other => other.map(|()| true),
    }
}

/// Bytes that follow a header. Links, directories and nodes have none, whatever they say
/// (Go's archive/tar, isHeaderOnlyType).
fn stored_size(header: &Header, extended: &[u8]) -> io::Result<u64> {
    let kind = header.entry_type();
    if kind == EntryType::XHeader && !extended.is_empty() {
        return Err(broken("two extended headers for one entry"));
    }
    if matches!(header.as_old().linkflag, [b'1'..=b'6']) {
        return Ok(0);
    }
    let records = pax::parse(extended).unwrap_or_default();
    match records.iter().rfind(|record| record.0 == b"size") {
        Some((_, value)) => number(value).ok_or_else(|| broken("a malformed size")),
        None => header.entry_size(),
    }
}

fn read_metadata(archive: &mut impl Read, size: u64) -> io::Result<Vec<u8>> {
    if size > MAX_METADATA {
        return Err(broken("an endless extended header"));
    }
    let whole = padded(size)?;
    let mut content = Vec::new();
    if archive.take(whole).read_to_end(&mut content)? as u64 != whole {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    content.truncate(usize::try_from(size).map_err(io::Error::other)?);
    Ok(content)
}

fn copy(archive: &mut impl Read, length: u64, out: &mut Stream) -> io::Result<()> {
    if io::copy(&mut archive.take(length), out)? != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

fn padded(size: u64) -> io::Result<u64> {
    let padded = size.checked_next_multiple_of(BLOCK);
    padded.ok_or_else(|| broken("an endless entry"))
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn broken(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("no readable tar archive, it holds {what}"),
    )
}

#[cfg(test)]
mod tests;
