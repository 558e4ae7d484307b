//! Layers of a size at which a number overflows or something is quadratic.

use micropacker::image_fs::{FileKind, ImageFs, MemFs, Meta, ReadAt};
use micropacker::image_path::ImagePath;
use micropacker::manifest::{Entry, Manifest, Reason, Source};
use micropacker::pack::write_layer;
use micropacker::resolve::{Options, from_list, resolve};
use std::fs::File;
use std::io::{self, BufReader, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::process::{Command, Stdio};

fn path(text: &str) -> ImagePath {
    ImagePath::new(text).expect("absolute")
}

fn insert(manifest: &mut Manifest, fs: &dyn ImageFs, path: ImagePath) {
    let meta = fs.lstat(&path).expect("there");
    let entry = Entry {
        kind: meta.kind,
        meta: Some(meta),
        source: Source::Image,
        reasons: vec![Reason::Always],
    };
    manifest.entries.insert(path, entry);
}

const DIRECTORIES: usize = 200;
const FILES_IN_EACH: usize = 1000;

#[test]
fn two_hundred_thousand_files_are_resolved_packed_and_listed() {
    let (mut fs, mut list) = (MemFs::new(), String::new());
    for number in 0..DIRECTORIES * FILES_IN_EACH {
        let file = format!("/data/{}/{number}", number / FILES_IN_EACH);
        fs = fs.file(&file, "x");
        list.push_str(&file);
        list.push('\n');
    }
    let (recording, _) = from_list(&fs, list.as_bytes(), b"", &ImagePath::root());
    let manifest = resolve(&fs, &recording, &Options::default());

    let mut lister = Command::new("tar")
        .args(["--list", "--file", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("GNU tar");
    let names = BufReader::new(lister.stdout.take().expect("piped"));
    let counter = std::thread::spawn(move || {
        let lines = io::BufRead::lines(names);
        lines
            .map(|line| line.expect("a name"))
            .filter(|name| name.starts_with("data/") && !name.ends_with('/'))
            .count()
    });
    let mut stream = io::BufWriter::new(lister.stdin.take().expect("piped"));
    let summary = write_layer(&fs, &manifest, &mut stream).expect("packed");
    stream.flush().expect("flushed");
    drop(stream);
    assert_eq!(
        counter.join().expect("counted"),
        DIRECTORIES * FILES_IN_EACH
    );
    assert!(lister.wait().expect("ended").success());
    // With the root, /data, /tmp, /var and /var/tmp.
    let expected = DIRECTORIES * FILES_IN_EACH + DIRECTORIES + 5;
    assert_eq!(summary.entries as usize, expected);
}

/// More than the eleven octal digits of a tar header can say.
const LENGTH: u64 = (9 << 30) + 3;
const RUNS: [(u64, &[u8]); 3] = [(0, b"begin"), (5 << 30, b"middle"), (LENGTH - 3, b"end")];

/// A tree with one file, which is nearly all hole.
struct Huge(MemFs);

struct HugeFile;

impl ReadAt for HugeFile {
    fn len(&self) -> u64 {
        LENGTH
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let length =
            usize::try_from(LENGTH - offset).map_or(buffer.len(), |left| left.min(buffer.len()));
        buffer[..length].fill(0);
        for (start, bytes) in RUNS {
            for (at, byte) in (start..).zip(bytes) {
                if let Some(index) = at
                    .checked_sub(offset)
                    .filter(|index| *index < length as u64)
                {
                    buffer[index as usize] = *byte;
                }
            }
        }
        Ok(length)
    }

    fn data_runs(&self) -> io::Result<Vec<(u64, u64)>> {
        let runs = RUNS.iter();
        Ok(runs
            .map(|(start, bytes)| (*start, bytes.len() as u64))
            .collect())
    }
}

impl ImageFs for Huge {
    fn lstat(&self, path: &ImagePath) -> io::Result<Meta> {
        let mut meta = self.0.lstat(path)?;
        if meta.kind == FileKind::Regular {
            meta.size = LENGTH;
        }
        Ok(meta)
    }

    fn read_link(&self, path: &ImagePath) -> io::Result<Vec<u8>> {
        self.0.read_link(path)
    }

    fn list(&self, path: &ImagePath) -> io::Result<Vec<Vec<u8>>> {
        self.0.list(path)
    }

    fn open(&self, _path: &ImagePath) -> io::Result<Box<dyn ReadAt>> {
        Ok(Box::new(HugeFile))
    }

    fn xattrs(&self, path: &ImagePath) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        self.0.xattrs(path)
    }
}

#[test]
fn a_sparse_file_of_more_than_8_gb_is_packed_without_its_holes_and_comes_back() {
    let fs = Huge(MemFs::new().file("/huge", ""));
    let mut manifest = Manifest::default();
    for name in ["/", "/huge"] {
        insert(&mut manifest, &fs, path(name));
    }
    let work = tempfile::tempdir().expect("a directory");
    let archive = work.path().join("rootfs.tar");
    let mut out = File::create(&archive).expect("created");
    let summary = write_layer(&fs, &manifest, &mut out).expect("packed");
    assert_eq!(summary.sparse_entries, 1);
    assert!(summary.tar_bytes < 64 << 10, "{}", summary.tar_bytes);

    let unpacked = Command::new("tar")
        .arg("-xf")
        .arg(&archive)
        .current_dir(work.path())
        .status();
    assert!(unpacked.expect("GNU tar").success());
    let copy = File::open(work.path().join("huge")).expect("unpacked");
    let meta = copy.metadata().expect("stat");
    assert_eq!(meta.len(), LENGTH);
    assert!(meta.blocks() * 512 < 1 << 20, "it is sparse");
    for (start, bytes) in RUNS {
        let mut found = vec![0; bytes.len()];
        copy.read_exact_at(&mut found, start).expect("read");
        assert_eq!(found, bytes);
    }
}
