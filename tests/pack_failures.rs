//! A layer that cannot be written leaves neither a file of its final name nor a temporary one.

use micropacker::image_fs::{FileKind, ImageFs, MemFs};
use micropacker::image_path::ImagePath;
use micropacker::manifest::{Entry, Manifest, Reason, Source};
use micropacker::pack::{Output, PackError, write_layer};
use std::io::{self, Write};

/// An output on a device that is full after so many bytes.
struct Full {
    output: Output,
    room: usize,
}

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.room == 0 {
            return Err(io::Error::from_raw_os_error(libc::ENOSPC));
        }
        let taken = self.output.write(&bytes[..bytes.len().min(self.room)])?;
        self.room -= taken;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

fn manifest_of(fs: &MemFs, names: &[&str]) -> Manifest {
    let mut manifest = Manifest::default();
    for name in names {
        let path = ImagePath::new(name).expect("absolute");
        let entry = Entry {
            kind: FileKind::Regular,
            meta: Some(fs.lstat(&path).expect("there")),
            source: Source::Image,
            reasons: vec![Reason::Always],
        };
        manifest.entries.insert(path, entry);
    }
    manifest
}

#[test]
fn a_full_device_leaves_nothing() {
    let fs = MemFs::new().file("/a", [1; 300_000]).file("/b", "b");
    let manifest = manifest_of(&fs, &["/a", "/b"]);
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("rootfs.tar");
    for room in [0, 1, 512, 100_000, 300_000, 302_000] {
        let mut full = Full {
            output: Output::create(&path).expect("created"),
            room,
        };
        let error = write_layer(&fs, &manifest, &mut full).expect_err("full");
        assert!(matches!(error, PackError::Write(_)), "{error}");
        drop(full);
        let left = std::fs::read_dir(directory.path()).expect("listed").count();
        assert_eq!(left, 0, "after {room} bytes");
    }
}

#[test]
fn a_file_that_vanished_leaves_nothing_and_is_named() {
    let fs = MemFs::new().file("/a", "a").file("/gone", "b");
    let manifest = manifest_of(&fs, &["/a", "/gone"]);
    let fs = MemFs::new().file("/a", "a");
    let directory = tempfile::tempdir().expect("a directory");
    let mut output = Output::create(&directory.path().join("rootfs.tar")).expect("created");
    let error = write_layer(&fs, &manifest, &mut output).expect_err("gone");
    assert!(error.to_string().starts_with("/gone vanished"), "{error}");
    drop(output);
    assert_eq!(
        std::fs::read_dir(directory.path()).expect("listed").count(),
        0
    );
}

#[test]
fn the_message_of_a_full_output_names_it_and_the_remedy_once() {
    let fs = MemFs::new().file("/a", [1; 600_000]);
    let manifest = manifest_of(&fs, &["/a"]);
    let mut output = Output::create("/dev/full".as_ref()).expect("opened");
    let error = write_layer(&fs, &manifest, &mut output).expect_err("full");
    assert_eq!(
        error.to_string(),
        "cannot write /dev/full: No space left on device (os error 28); \
         free some space, or choose another place"
    );
}
