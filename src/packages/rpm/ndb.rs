//! rpm's own database format, which SUSE uses: a table of slots, then the headers
//! (rpm, lib/backend/ndb/rpmpkg.c). All numbers are little-endian.

use super::sqlite::damaged;
use crate::image_fs::ReadAt;
use std::io;

const HEADER: &[u8] = b"RpmP";
const SLOT: &[u8] = b"Slot";
const BLOB: &[u8] = b"BlbS";
const PAGE: usize = 4096;
const SLOT_BYTES: usize = 16;
/// Header and first two slots' room of the file.
const FILE_HEADER: usize = 32;
const BLOB_HEADER: usize = 16;
/// Offsets count blocks of this many bytes.
const BLOCK: u64 = 16;
/// No database has more: rpm's largest have a dozen.
const MAX_SLOT_PAGES: u32 = 1 << 14;
const MAX_BLOB: u32 = 64 << 20;

/// Calls `each` with every package's header.
pub(super) fn headers(file: &dyn ReadAt, each: &mut dyn FnMut(&[u8])) -> io::Result<()> {
    let header = file.bytes_at(0, FILE_HEADER)?;
    if header.len() < FILE_HEADER || !header.starts_with(HEADER) || word(&header, 4) != 0 {
        return Err(damaged("it is no package database that we know"));
    }
    let pages = word(&header, 12);
    if !(1..=MAX_SLOT_PAGES).contains(&pages) {
        return Err(damaged("its table of packages is none"));
    }
    let slots = file.bytes_at(FILE_HEADER as u64, pages as usize * PAGE - FILE_HEADER)?;
    for slot in slots.chunks_exact(SLOT_BYTES) {
        if !slot.starts_with(SLOT) || word(slot, 4) == 0 {
            continue;
        }
        let offset = u64::from(word(slot, 8)) * BLOCK;
        let head = file.bytes_at(offset, BLOB_HEADER)?;
        if head.len() < BLOB_HEADER || !head.starts_with(BLOB) || word(&head, 4) != word(slot, 4) {
            return Err(damaged("a package is not where its table says"));
        }
        let length = word(&head, 12);
        if length > MAX_BLOB {
            return Err(damaged("a package is longer than packages can be"));
        }
        each(&file.bytes_at(offset + BLOB_HEADER as u64, length as usize)?);
    }
    Ok(())
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let bytes = bytes.get(at..).and_then(|bytes| bytes.first_chunk::<4>());
    bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
}
