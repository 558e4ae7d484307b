//! Just enough of the zip format to read a member of a Java archive (APPNOTE.TXT 6.3): no
//! encryption, no zip64.

use crate::image_fs::ReadAt;
use std::io;

const END: &[u8] = b"PK\x05\x06";
const END_BYTES: u64 = 22;
const MAX_COMMENT: u64 = 65_535;
const MEMBER: &[u8] = b"PK\x01\x02";
const MEMBER_BYTES: usize = 46;
const LOCAL: &[u8] = b"PK\x03\x04";
const LOCAL_BYTES: usize = 30;
/// A directory of names beyond this is no Java archive's.
const MAX_DIRECTORY: usize = 64 << 20;
const STORED: usize = 0;
const DEFLATED: usize = 8;

/// The members of an archive. Nothing in it is trusted.
pub(super) struct Archive<'a> {
    file: &'a dyn ReadAt,
    pub members: Vec<Member>,
}

/// A member as the directory at the end of the archive has it.
pub(super) struct Member {
    pub name: Vec<u8>,
    method: usize,
    stored: usize,
    size: usize,
    offset: u64,
}

impl<'a> Archive<'a> {
    pub(super) fn open(file: &'a dyn ReadAt) -> io::Result<Self> {
        let tail_start = file.len().saturating_sub(END_BYTES + MAX_COMMENT);
        let tail = file.bytes_at(tail_start, (END_BYTES + MAX_COMMENT) as usize)?;
        let last = tail.len().saturating_sub(END_BYTES as usize);
        let end = (0..=last)
            .rev()
            .find_map(|at| tail.get(at..).filter(|rest| rest.starts_with(END)))
            .ok_or(io::ErrorKind::InvalidData)?;
        let length = number(end, 12, 4).min(MAX_DIRECTORY);
        let directory = file.bytes_at(number(end, 16, 4) as u64, length)?;
        let mut members = Vec::new();
        let mut rest = directory.as_slice();
        while rest.starts_with(MEMBER) && rest.len() >= MEMBER_BYTES {
            let [name, extra, comment] = [28, 30, 32].map(|at| number(rest, at, 2));
            let Some(named) = rest.get(MEMBER_BYTES..MEMBER_BYTES + name) else {
                break;
            };
            members.push(Member {
                name: named.to_vec(),
                method: number(rest, 10, 2),
                stored: number(rest, 20, 4),
                size: number(rest, 24, 4),
                offset: number(rest, 42, 4) as u64,
            });
            let next = MEMBER_BYTES + name + extra + comment;
            rest = rest.get(next..).unwrap_or_default();
        }
        Ok(Self { file, members })
    }

    /// The content of a member of at most `limit` bytes.
    pub(super) fn read(&self, member: &Member, limit: usize) -> io::Result<Vec<u8>> {
        if member.size > limit || member.stored > limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let head = self.file.bytes_at(member.offset, LOCAL_BYTES)?;
        if !head.starts_with(LOCAL) || head.len() < LOCAL_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let skipped = LOCAL_BYTES + number(&head, 26, 2) + number(&head, 28, 2);
        let stored = self
            .file
            .bytes_at(member.offset + skipped as u64, member.stored)?;
        match member.method {
            STORED => Ok(stored),
            DEFLATED => miniz_oxide::inflate::decompress_to_vec_with_limit(&stored, limit)
                .map_err(|_| io::ErrorKind::InvalidData.into()),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

/// A little-endian number; 0 beyond the end.
fn number(bytes: &[u8], at: usize, length: usize) -> usize {
    let bytes = bytes.get(at..at + length).unwrap_or_default();
    bytes
        .iter()
        .rev()
        .fold(0, |all, byte| (all << 8) | usize::from(*byte))
}
