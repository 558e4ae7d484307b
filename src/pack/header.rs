//! One entry's header: ustar, and PAX records for what ustar cannot hold.
//!
//! What differs between machines or runs is left empty (names of owners) or constant (names
//! and times of extended headers), so that the same entry gives the same bytes.

use super::pax::{self, Records};
use super::stream::Stream;
use crate::image_fs::FileTime;
use std::io::{self, Write};
use tar::{EntryType, Header};

/// The largest value of an eleven-digit octal field: a size below 8 GiB, a time before 2242.
const MAX_OCTAL_11: u64 = 0o777_7777_7777;
/// The largest value of a seven-digit octal field.
const MAX_OCTAL_7: u32 = 0o777_7777;

/// What a header says of an entry.
#[derive(Clone, Debug)]
pub struct EntryHeader<'a> {
    /// Relative; ends in `/` for a directory.
    pub name: &'a [u8],
    /// The name that ustar-only readers shall see, where that is not `name` (sparse files).
    pub stand_in: Option<Vec<u8>>,
    /// The type flag.
    pub kind: EntryType,
    /// Twelve permission bits.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Bytes that follow the header.
    pub size: u64,
    /// Last change of the content.
    pub mtime: FileTime,
    /// Target of a symlink or hard link.
    pub link: Option<&'a [u8]>,
    /// Major and minor number of a device node.
    pub device: Option<(u32, u32)>,
    /// Further records: extended attributes, the sparse map's.
    pub records: Records,
}

impl EntryHeader<'_> {
    /// A regular file's header: owned by root, at the epoch.
    pub fn file(name: &[u8], mode: u32, size: u64) -> EntryHeader<'_> {
        EntryHeader {
            name,
            stand_in: None,
            kind: EntryType::Regular,
            mode,
            uid: 0,
            gid: 0,
            size,
            mtime: FileTime::default(),
            link: None,
            device: None,
            records: Records::default(),
        }
    }

    /// A directory's header: owned by root, at the epoch.
    pub fn directory(name: &[u8], mode: u32) -> EntryHeader<'_> {
        EntryHeader {
            kind: EntryType::Directory,
            ..EntryHeader::file(name, mode, 0)
        }
    }

    /// Writes the extended header where one is needed, and the header.
    pub fn write(&self, out: &mut Stream) -> io::Result<()> {
        let mut header = Header::new_ustar();
        let mut records = Records::default();
        header.set_entry_type(self.kind);
        header.set_mode(self.mode);
        match &self.stand_in {
            // The record that the stand-in stands for comes with `self.records`.
            Some(stand_in) => drop(set_name(&mut header, stand_in)),
            None => name_entry(&mut header, &mut records, self.name),
        }
        self.set_link(&mut header, &mut records);
        self.set_owner(&mut header, &mut records);
        size_entry(&mut header, &mut records, self.size);
        self.set_time(&mut header, &mut records);
        if let Some((major, minor)) = self.device {
            header.set_device_major(major)?;
            header.set_device_minor(minor)?;
        }
        records.append(&self.records);
        write_entry(header, &records, self.name, out)
    }

    fn set_link(&self, header: &mut Header, records: &mut Records) {
        let (Some(link), Some(fields)) = (self.link, header.as_ustar_mut()) else {
            return;
        };
        fill(&mut fields.linkname, link);
        if link.len() > fields.linkname.len() {
            records.push_path(b"linkpath", link);
        }
    }

    fn set_owner(&self, header: &mut Header, records: &mut Records) {
        header.set_uid(self.uid.into());
        header.set_gid(self.gid.into());
        if self.uid > MAX_OCTAL_7 {
            records.push(b"uid", self.uid.to_string().as_bytes());
        }
        if self.gid > MAX_OCTAL_7 {
            records.push(b"gid", self.gid.to_string().as_bytes());
        }
    }

    fn set_time(&self, header: &mut Header, records: &mut Records) {
        let seconds = u64::try_from(self.mtime.seconds);
        header.set_mtime(seconds.unwrap_or(0));
        let in_ustar = seconds.is_ok_and(|seconds| seconds <= MAX_OCTAL_11);
        if self.mtime.nanoseconds != 0 || !in_ustar {
            records.push(b"mtime", pax::time(self.mtime).as_bytes());
        }
    }
}

/// Gives an entry its name, by a record where the header has no room for it.
pub fn name_entry(header: &mut Header, records: &mut Records, name: &[u8]) {
    if !set_name(header, name) {
        records.push_path(b"path", name);
    }
}

/// Gives an entry its size. The header holds a large one in GNU's base-256 form too, as all
/// large numbers, for readers that skip extended headers (busybox).
pub fn size_entry(header: &mut Header, records: &mut Records, size: u64) {
    header.set_size(size);
    if size > MAX_OCTAL_11 {
        records.push(b"size", size.to_string().as_bytes());
    }
}

/// Writes a header that is complete but for its checksum, behind its records.
pub fn write_entry(
    mut header: Header,
    records: &Records,
    name: &[u8],
    out: &mut Stream,
) -> io::Result<()> {
    if !records.is_empty() {
        let mut extended = b"PaxHeaders.0/".to_vec();
        extended.extend_from_slice(base(name));
        write_extended(&extended, &records.encode(), out)?;
    }
    header.set_cksum();
    out.write_all(header.as_bytes())
}

/// Whether the whole name had room in the header.
fn set_name(header: &mut Header, name: &[u8]) -> bool {
    let kind = header.entry_type();
    let Some(fields) = header.as_ustar_mut() else {
        return false;
    };
    (fields.name, fields.prefix) = ([0; 100], [0; 155]);
    let Some((prefix, rest)) = split(name) else {
        fill(&mut fields.name, cut(name, kind));
        return false;
    };
    fill(&mut fields.prefix, prefix);
    fill(&mut fields.name, rest);
    true
}

fn write_extended(name: &[u8], content: &[u8], out: &mut Stream) -> io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::XHeader);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(content.len() as u64);
    if let Some(fields) = header.as_ustar_mut() {
        fill(&mut fields.name, name);
    }
    header.set_cksum();
    out.write_all(header.as_bytes())?;
    out.write_all(content)?;
    out.pad()
}

/// The last component, without the slash at the end of a directory's name.
pub fn base(name: &[u8]) -> &[u8] {
    let name = name.strip_suffix(b"/").unwrap_or(name);
    name.rsplit(|byte| *byte == b'/').next().unwrap_or(name)
}

/// The prefix and name fields for `name`; `None` where it does not fit.
fn split(name: &[u8]) -> Option<(&[u8], &[u8])> {
    if name.len() <= 100 {
        return Some((b"", name));
    }
    let first = name.len().checked_sub(101)?;
    let last = 155.min(name.len().checked_sub(2)?);
    let slash = (first..=last).find(|at| name.get(*at) == Some(&b'/'))?;
    // An empty prefix would take the slash away.
    (slash > 0).then(|| (&name[..slash], &name[slash + 1..]))
}

/// What of a name that does not fit goes into the header: nothing that makes a file look like
/// a directory.
fn cut(name: &[u8], kind: EntryType) -> &[u8] {
    let mut cut = &name[..name.len().min(100)];
    while let (Some((b'/', shorter)), false) = (cut.split_last(), kind.is_dir()) {
        cut = shorter;
    }
    cut
}

fn fill(field: &mut [u8], bytes: &[u8]) {
    let length = bytes.len().min(field.len());
    field[..length].copy_from_slice(&bytes[..length]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_is_split_only_between_components() {
        assert_eq!(split(&[b'a'; 100]), Some((&b""[..], &[b'a'; 100][..])));
        assert_eq!(split(&[b'a'; 101]), None);
        let mut directory = [b'a'; 101];
        directory[100] = b'/';
        assert_eq!(split(&directory), None);
        let long = [&[b'd'; 155][..], b"/", &[b'f'; 100]].concat();
        assert_eq!(split(&long), Some((&[b'd'; 155][..], &[b'f'; 100][..])));
        let longer = [&[b'd'; 156][..], b"/", &[b'f'; 100]].concat();
        assert_eq!(split(&longer), None);
    }

    fn written(header: &EntryHeader) -> Vec<u8> {
        let mut bytes = Vec::new();
        header.write(&mut Stream::new(&mut bytes)).expect("written");
        bytes
    }

    #[test]
    fn an_ordinary_entry_needs_one_block_and_names_nobody() {
        let bytes = written(&EntryHeader::file(b"usr/bin/x", 0o4755, 3));
        assert_eq!(bytes.len(), 512);
        let header = Header::from_byte_slice(&bytes);
        assert_eq!(header.mode().expect("octal"), 0o4755);
        assert_eq!(header.username().expect("text"), Some(""));
    }

    #[test]
    fn numbers_beyond_ustar_are_read_back() {
        let mut header = EntryHeader::file(b"x", 0o644, 9 << 30);
        header.uid = u32::MAX;
        header.mtime.seconds = -1;
        let bytes = written(&header);
        let text = String::from_utf8_lossy(&bytes);
        for record in ["uid=4294967295\n", "size=9663676416\n", "mtime=-1\n"] {
            assert!(text.contains(record), "{record}");
        }
        let plain = Header::from_byte_slice(&bytes[bytes.len() - 512..]);
        assert_eq!(plain.size().expect("base-256"), 9 << 30);
    }

    proptest! {
        #[test]
        fn a_split_name_joins_to_itself(name in "[a-c/]{1,280}") {
            if let Some((prefix, rest)) = split(name.as_bytes()) {
                prop_assert!(prefix.len() <= 155 && rest.len() <= 100 && !rest.is_empty());
                let joined = if prefix.is_empty() {
                    rest.to_vec()
                } else {
                    [prefix, b"/", rest].concat()
                };
                prop_assert_eq!(joined, name.as_bytes());
            }
        }
    }
}
