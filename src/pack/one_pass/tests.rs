//! One pass gives what two would give.

use super::*;
use crate::image_fs::MemFs;
use crate::image_path::ImagePath;
use crate::manifest::{Entry, Reason};
use crate::pack::{write_image, write_layer};
use std::io::Cursor;

fn manifest_of(fs: &MemFs, names: &[&str]) -> Manifest {
    let mut manifest = Manifest::default();
    for name in names {
        let path = ImagePath::new(name).expect("absolute");
        let meta = fs.lstat(&path).expect("there");
        let entry = Entry {
            kind: meta.kind,
            meta: Some(meta),
            source: Source::Image,
            reasons: vec![Reason::Always],
        };
        manifest.entries.insert(path, entry);
    }
    manifest
}

fn wish(config: &ImageConfig) -> ImageSpec<'_> {
    ImageSpec {
        config,
        tag: Some("app"),
        created: None,
        compression: Compression::None,
    }
}

#[test]
fn both_files_are_those_that_are_written_one_after_the_other() {
    let config = ImageConfig {
        entrypoint: vec![b"/app".to_vec()],
        ..ImageConfig::default()
    };
    for size in [0, 1, 511, 512, CHUNK - 512, CHUNK, 3 * CHUNK + 7] {
        let fs = MemFs::new().file("/a", vec![7; size]).file("/b", "b");
        let manifest = manifest_of(&fs, &["/", "/a", "/b"]);
        let (mut tarball, mut image) = (Vec::new(), Cursor::new(Vec::new()));
        let both = Some((&mut image, &wish(&config)));
        let Written {
            layer,
            image: summary,
            ..
        } = write_layer_and_image(&fs, &manifest, &mut tarball, both).expect("written");
        let mut expected = Vec::new();
        let expected_layer = write_layer(&fs, &manifest, &mut expected).expect("written");
        assert_eq!(tarball, expected, "{size}");
        assert_eq!(layer, expected_layer);
        let (mut source, mut other) = (Cursor::new(&tarball), Vec::new());
        let expected_summary = write_image(&mut source, layer.sha256, &wish(&config), &mut other);
        assert_eq!(summary, Some(expected_summary.expect("written")));
        assert_eq!(image.into_inner(), other, "{size}");
        for compression in [Compression::Gzip, Compression::Zstd] {
            let wish = ImageSpec {
                compression,
                ..wish(&config)
            };
            let (mut image, mut other) = (Cursor::new(Vec::new()), Vec::new());
            let both = Some((&mut image, &wish));
            let written = write_layer_and_image(&fs, &manifest, &mut io::sink(), both);
            let mut source = Cursor::new(&tarball);
            let expected = write_image(&mut source, layer.sha256, &wish, &mut other);
            let summary = written.expect("written").image;
            assert_eq!(summary, Some(expected.expect("written")));
            assert!(image.into_inner() == other, "{size} {compression:?}");
        }
    }
}

#[test]
fn a_layer_with_holes_is_left_to_two_passes() {
    let directory = tempfile::tempdir().expect("a directory");
    let hole = std::fs::File::create(directory.path().join("hole")).expect("created");
    hole.set_len(8 << 20).expect("a hole");
    let fs = crate::image_fs::HostFs::new(directory.path());
    let path = ImagePath::new("/hole").expect("absolute");
    let meta = fs.lstat(&path).expect("there");
    let mut manifest = Manifest::default();
    let entry = Entry {
        kind: meta.kind,
        meta: Some(meta),
        source: Source::Image,
        reasons: vec![Reason::Always],
    };
    manifest.entries.insert(path, entry);
    let config = ImageConfig::default();
    let (mut tarball, mut image) = (Vec::new(), Cursor::new(Vec::new()));
    let both = Some((&mut image, &wish(&config)));
    let written = write_layer_and_image(&fs, &manifest, &mut tarball, both).expect("written");
    assert_eq!((written.layer.sparse_entries, written.image), (1, None));
    let mut expected = Vec::new();
    let layer = write_layer(&fs, &manifest, &mut expected).expect("written");
    assert_eq!((tarball, written.layer), (expected, layer));
}

/// Full after so many bytes.
struct Full(u64);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.saturating_sub(bytes.len() as u64);
        match self.0 {
            0 => Err(io::Error::from_raw_os_error(libc::ENOSPC)),
            _ => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Full {
    fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
        Ok(0)
    }
}

#[test]
fn an_image_that_finds_no_room_is_the_error_that_is_told() {
    let config = ImageConfig::default();
    for size in [1000, CHUNK, 20 * CHUNK] {
        let fs = MemFs::new().file("/a", vec![7; size]);
        let manifest = manifest_of(&fs, &["/a"]);
        for room in [1, 600, size as u64 / 2, size as u64] {
            let mut image = Full(room);
            let both = Some((&mut image, &wish(&config)));
            let error = write_layer_and_image(&fs, &manifest, &mut io::sink(), both);
            let told = error.err().expect("full").to_string();
            assert!(told.contains("No space left"), "{size} {room}: {told}");
        }
    }
}
