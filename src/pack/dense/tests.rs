//! What holds for every archive that is written out in full.

use super::*;
use crate::pack::header::EntryHeader;
use crate::pack::sparse::{SparseMap, stand_in};
use proptest::prelude::*;
use std::io::Cursor;

/// An archive with a plain file, a sparse one of these runs, and another plain one.
fn archive(name: &[u8], size: u64, runs: &[(u64, u64)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut stream = Stream::new(&mut bytes);
    plain(&mut stream);
    let map = SparseMap::new(size, runs).expect("sparse");
    let mut header = EntryHeader::file(name, 0o640, map.stored());
    header.uid = 7;
    header.stand_in = Some(stand_in(name));
    header.records.push(b"SCHILY.xattr.user.x", b"\n\0");
    map.announce(name, &mut header.records);
    header.write(&mut stream).expect("written");
    stream.write_all(&map.encode()).expect("written");
    for (offset, length) in map.runs() {
        let data: Vec<u8> = (*offset..offset + length).map(byte_at).collect();
        stream.write_all(&data).expect("written");
    }
    stream.pad().expect("written");
    plain(&mut stream);
    stream.finish().expect("written");
    bytes
}

fn plain(stream: &mut Stream) {
    let name = [b'p'; 120];
    EntryHeader::file(&name, 0o644, 3)
        .write(stream)
        .and_then(|()| stream.write_all(b"abc"))
        .and_then(|()| stream.pad())
        .expect("written");
}

fn byte_at(offset: u64) -> u8 {
    (offset % 251) as u8 + 1
}

fn dense(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    densify(&mut Cursor::new(bytes), &mut Stream::new(&mut out))?;
    Ok(out)
}

#[test]
fn an_archive_without_holes_stays_as_it_is() {
    let mut bytes = Vec::new();
    let mut stream = Stream::new(&mut bytes);
    plain(&mut stream);
    plain(&mut stream);
    stream.finish().expect("written");
    assert_eq!(holes(&mut Cursor::new(&bytes)).expect("an archive"), 0);
    assert!(dense(&bytes).expect("an archive") == bytes);
}

#[test]
fn what_is_no_archive_or_a_broken_one_is_an_error() {
    let good = archive(b"s", 4 << 20, &[(1 << 20, 5000)]);
    assert!(holes(&mut Cursor::new(b"\x1f\x8b\x08".repeat(200))).is_err());
    let start = good
        .windows(10)
        .position(|at| at == b"2\n1048576\n")
        .expect("a map");
    for map in [
        "x",
        "9",
        "2\n9999999\n5000\n1\n5000\n",
        "2\n4194303\n5000\n5\n5\n",
    ] {
        let mut bad = good.clone();
        bad[start..start + map.len()].copy_from_slice(map.as_bytes());
        assert!(dense(&bad).is_err(), "{map}");
    }
    assert!(dense(&good[..good.len() - 3000]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn holes_become_zeros_and_all_else_stays(
        name in prop_oneof![Just(b"d/s".to_vec()), Just(vec![b'l'; 150]), Just(b"\xE9".to_vec())],
        steps in proptest::collection::vec((5000u64..300_000, 1u64..20_000), 0..6),
    ) {
        let mut position = 0;
        let runs: Vec<_> = steps.into_iter().map(|(gap, length)| {
            position += gap + length;
            (position - length, length)
        }).collect();
        let size = position + (1 << 20);
        let bytes = archive(&name, size, &runs);
        // A map's runs take in short holes, and whole blocks.
        let map = SparseMap::new(size, &runs).expect("sparse");
        let runs = map.runs();
        let data: u64 = runs.iter().map(|run| run.1).sum();
        let found = holes(&mut Cursor::new(&bytes)).expect("an archive");
        prop_assert_eq!(found, size - data);

        let dense = dense(&bytes).expect("an archive");
        let mut archive = tar::Archive::new(dense.as_slice());
        let mut entries = archive.entries().expect("an archive").map(|entry| entry.expect("one"));
        prop_assert_eq!(entries.next().expect("plain").size(), 3);
        let mut entry = entries.next().expect("the sparse one");
        prop_assert_eq!(entry.path_bytes().into_owned(), name);
        prop_assert_eq!(entry.header().uid().expect("octal"), 7);
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("read");
        prop_assert_eq!(content.len() as u64, size);
        let mut expected = vec![0; content.len()];
        for (offset, length) in runs {
            for at in *offset..offset + length {
                expected[at as usize] = byte_at(at);
            }
        }
        prop_assert!(content == expected);
        let record = b"SCHILY.xattr.user.x=\n\0\n";
        prop_assert!(dense[..8192].windows(record.len()).any(|at| at == record));
        prop_assert_eq!(entries.next().expect("plain").size(), 3);
        prop_assert!(entries.next().is_none());
    }

    #[test]
    fn anything_at_all_is_read_without_panic(
        at in 0usize..6000, bytes in proptest::collection::vec(any::<u8>(), 0..40)
    ) {
        let mut archive = archive(b"s", (1 << 20) + 9000, &[(9000, 100)]);
        for (place, byte) in archive.iter_mut().skip(at).zip(bytes) {
            *place = byte;
        }
        let _ = holes(&mut Cursor::new(&archive));
        let _ = dense(&archive);
    }
}
