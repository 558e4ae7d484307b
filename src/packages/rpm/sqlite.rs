//! Just enough of SQLite's file format to read the rows of a table: table b-trees, overflow
//! pages, and committed pages that are still in the write-ahead log
//! (<https://www.sqlite.org/fileformat2.html>).

use crate::image_fs::ReadAt;
use std::collections::HashMap;
use std::io;

const MAGIC: &[u8] = b"SQLite format 3\0";
/// The first page begins with the header of the file.
const FILE_HEADER: usize = 100;
const LEAF: u8 = 13;
const INTERIOR: u8 = 5;
/// A row beyond this is garbage: rpm's largest headers have a few megabytes.
const MAX_ROW: u64 = 64 << 20;

/// A database that is only read. Nothing in it is trusted.
pub(super) struct Database<'a> {
    file: &'a dyn ReadAt,
    page_size: usize,
    /// Bytes of a page without those reserved at its end.
    usable: usize,
    pages: u64,
    /// Pages that are newer in the log than in the file.
    newer: HashMap<u32, Vec<u8>>,
}

/// A column: what rpm's tables hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Integer(i64),
    Bytes(Vec<u8>),
    Other,
}

impl<'a> Database<'a> {
    /// `log` is the content of the `-wal` file beside it, if there is one.
    pub(super) fn open(file: &'a dyn ReadAt, log: Option<&[u8]>) -> io::Result<Self> {
        let header = file.bytes_at(0, FILE_HEADER)?;
        if header.len() < FILE_HEADER || !header.starts_with(MAGIC) {
            return Err(damaged("it is no SQLite database"));
        }
        let page_size = match u16_at(&header, 16)? {
            1 => 65536,
            size if size >= 512 && size.is_power_of_two() => size.into(),
            _ => return Err(damaged("its page size is none")),
        };
        let usable = page_size - usize::from(header[20]);
        if usable < 480 {
            return Err(damaged("its page size is none"));
        }
        let newer = log.map(|log| committed(log, page_size)).unwrap_or_default();
        let pages = file.len().div_ceil(page_size as u64) + newer.len() as u64;
        Ok(Self {
            file,
            page_size,
            usable,
            pages,
            newer,
        })
    }

    /// The columns of each row of `table`, in the order of the row numbers.
    pub(super) fn rows(
        &self,
        table: &str,
        each: &mut dyn FnMut(Vec<Value>) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut root = None;
        // sqlite_schema: type, name, tbl_name, rootpage, sql.
        self.walk(1, &mut |row| {
            if let [
                Value::Bytes(kind),
                Value::Bytes(name),
                _,
                Value::Integer(page),
                ..,
            ] = &row[..]
                && kind == b"table"
                && name == table.as_bytes()
            {
                root = u32::try_from(*page).ok();
            }
            Ok(())
        })?;
        let root = root.ok_or_else(|| damaged("it has no table of packages"))?;
        self.walk(root, each)
    }

    fn walk(
        &self,
        root: u32,
        each: &mut dyn FnMut(Vec<Value>) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut pending = vec![root];
        let mut visited = 0;
        while let Some(number) = pending.pop() {
            visited += 1;
            if visited > self.pages {
                return Err(damaged("its pages go round in a circle"));
            }
            let page = self.page(number)?;
            let start = if number == 1 { FILE_HEADER } else { 0 };
            let cells = usize::from(u16_at(&page, start + 3)?);
            let kind = *page.get(start).ok_or_else(|| damaged(SHORT))?;
            let pointers = match kind {
                INTERIOR => start + 12,
                LEAF => start + 8,
                _ => return Err(damaged("a page of a table is none")),
            };
            let cell = |index: usize| u16_at(&page, pointers + 2 * index).map(usize::from);
            if kind == INTERIOR {
                // Last first: the stack turns them round.
                pending.push(u32_at(&page, start + 8)?);
                for index in (0..cells).rev() {
                    pending.push(u32_at(&page, cell(index)?)?);
                }
                continue;
            }
            for index in 0..cells {
                each(record(&self.payload(&page, cell(index)?)?)?)?;
            }
        }
        Ok(())
    }

    /// The payload of a leaf's cell: what is on the page, then what is on overflow pages.
    fn payload(&self, page: &[u8], at: usize) -> io::Result<Vec<u8>> {
        let mut at = at;
        let length = varint(page, &mut at)?;
        let _row = varint(page, &mut at)?;
        if length > MAX_ROW {
            return Err(damaged("a row is longer than rows can be"));
        }
        let length = length as usize;
        let local = self.local(length);
        let mut payload = Vec::with_capacity(length);
        payload.extend_from_slice(slice(page, at, local)?);
        let mut next = match local < length {
            true => u32_at(page, at + local)?,
            false => 0,
        };
        while payload.len() < length {
            let overflow = self.page(next)?;
            next = u32_at(&overflow, 0)?;
            let part = (length - payload.len()).min(self.usable - 4);
            payload.extend_from_slice(slice(&overflow, 4, part)?);
        }
        Ok(payload)
    }

    /// How much of a payload is on the leaf itself.
    fn local(&self, length: usize) -> usize {
        let most = self.usable - 35;
        if length <= most {
            return length;
        }
        let least = (self.usable - 12) * 32 / 255 - 23;
        let wished = least + (length - least) % (self.usable - 4);
        if wished <= most { wished } else { least }
    }

    fn page(&self, number: u32) -> io::Result<Vec<u8>> {
        if let Some(page) = self.newer.get(&number) {
            return Ok(page.clone());
        }
        let index = number
            .checked_sub(1)
            .ok_or_else(|| damaged("a page is missing"))?;
        let offset = u64::from(index) * self.page_size as u64;
        let page = self.file.bytes_at(offset, self.page_size)?;
        if page.len() < self.page_size {
            return Err(damaged(SHORT));
        }
        Ok(page)
    }
}

/// The values of a record: a header of types, then the bytes.
fn record(payload: &[u8]) -> io::Result<Vec<Value>> {
    let mut at = 0;
    let header = usize::try_from(varint(payload, &mut at)?).map_err(io::Error::other)?;
    let mut body = header;
    let mut values = Vec::new();
    while at < header {
        let kind = varint(payload, &mut at)?;
        let length = match kind {
            1..=4 => kind as usize,
            5 => 6,
            6 | 7 => 8,
            12.. => usize::try_from((kind - 12) / 2).map_err(io::Error::other)?,
            _ => 0,
        };
        let bytes = slice(payload, body, length)?;
        body += length;
        values.push(match kind {
            1..=6 => Value::Integer(integer(bytes)),
            8 => Value::Integer(0),
            9 => Value::Integer(1),
            12.. => Value::Bytes(bytes.to_vec()),
            _ => Value::Other,
        });
    }
    Ok(values)
}

fn integer(bytes: &[u8]) -> i64 {
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let start = if negative { -1 } else { 0 };
    bytes
        .iter()
        .fold(start, |all, byte| (all << 8) | i64::from(*byte))
}

/// Big-endian groups of seven bits; the ninth byte counts whole.
fn varint(bytes: &[u8], at: &mut usize) -> io::Result<u64> {
    let mut value = 0;
    for index in 0..9 {
        let byte = *bytes.get(*at).ok_or_else(|| damaged(SHORT))?;
        *at += 1;
        if index == 8 {
            return Ok((value << 8) | u64::from(byte));
        }
        value = (value << 7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            break;
        }
    }
    Ok(value)
}

/// The newest page of each number that a whole transaction wrote into the log. The log ends
/// where salt or checksum say that what follows is older.
fn committed(log: &[u8], page_size: usize) -> HashMap<u32, Vec<u8>> {
    const HEADER: usize = 32;
    const FRAME: usize = 24;
    let mut done = HashMap::new();
    let Some((header, mut rest)) = log.split_at_checked(HEADER) else {
        return done;
    };
    let word = |bytes: &[u8], at: usize| u32_at(bytes, at).unwrap_or_default();
    let big_endian = match word(header, 0) {
        0x377f_0682 => false,
        0x377f_0683 => true,
        _ => return done,
    };
    let mut sum = checksum((0, 0), &header[..24], big_endian);
    if word(header, 8) as usize != page_size || (word(header, 24), word(header, 28)) != sum {
        return done;
    }
    let mut open = HashMap::new();
    while let Some((frame, after)) = rest.split_at_checked(FRAME + page_size) {
        rest = after;
        let (head, page) = frame.split_at(FRAME);
        sum = checksum(sum, &head[..8], big_endian);
        sum = checksum(sum, page, big_endian);
        if head[8..16] != header[16..24] || (word(head, 16), word(head, 20)) != sum {
            break;
        }
        open.insert(word(head, 0), page.to_vec());
        if word(head, 4) != 0 {
            done.extend(open.drain());
        }
    }
    done
}

fn checksum(sum: (u32, u32), bytes: &[u8], big_endian: bool) -> (u32, u32) {
    let word = |bytes: &[u8; 4]| match big_endian {
        true => u32::from_be_bytes(*bytes),
        false => u32::from_le_bytes(*bytes),
    };
    let (mut first, mut second) = sum;
    for pair in bytes.as_chunks::<4>().0.chunks_exact(2) {
        first = first.wrapping_add(word(&pair[0])).wrapping_add(second);
        second = second.wrapping_add(word(&pair[1])).wrapping_add(first);
    }
    (first, second)
}

const SHORT: &str = "it is cut short";

pub(super) fn damaged(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn slice(bytes: &[u8], at: usize, length: usize) -> io::Result<&[u8]> {
    at.checked_add(length)
        .and_then(|end| bytes.get(at..end))
        .ok_or_else(|| damaged(SHORT))
}

fn u16_at(bytes: &[u8], at: usize) -> io::Result<u16> {
    let bytes = slice(bytes, at, 2)?;
    Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> io::Result<u32> {
    let bytes = slice(bytes, at, 4)?;
    Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}
