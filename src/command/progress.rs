//! How far the outputs are, for a person at a terminal.

use crate::image_fs::{ImageFs, Meta, ReadAt, Stamp};
use crate::image_path::ImagePath;
use crate::logging::Line;
use crate::manifest::Manifest;
use crate::report::text::size;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How many characters the bar has.
const BAR: u64 = 20;

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// This many used paths are followed.
    Resolving(usize),
    /// This many entries with so many bytes are written.
    Packing(u64, u64),
    /// What tells of the image is written.
    Telling,
}

/// What is done, and how much of it was.
struct Shared {
    step: Mutex<Step>,
    entries: AtomicU64,
    bytes: AtomicU64,
}

/// Shown until it is dropped.
pub struct Progress {
    shared: Arc<Shared>,
    line: Option<Line>,
}

impl Progress {
    /// Begins with the resolving of this many paths.
    pub fn start(paths: usize, is_shown: bool) -> Self {
        let shared = Arc::new(Shared {
            step: Mutex::new(Step::Resolving(paths)),
            entries: AtomicU64::default(),
            bytes: AtomicU64::default(),
        });
        let told = Arc::clone(&shared);
        let show = || Line::show(Arc::new(move || told.text()));
        Self {
            line: is_shown.then(show).flatten(),
            shared,
        }
    }

    /// Paths are resolved.
    pub fn resolving(&self, paths: usize) {
        self.step(Step::Resolving(paths));
    }

    /// What the manifest says is packed.
    pub fn packing(&self, manifest: &Manifest) {
        let entries = manifest.entries.len() as u64;
        self.step(Step::Packing(entries, manifest.content_size()));
    }

    /// The reports are written.
    pub fn telling(&self) {
        self.step(Step::Telling);
    }

    fn step(&self, step: Step) {
        *self.shared.step() = step;
        self.shared.entries.store(0, Ordering::Relaxed);
        self.shared.bytes.store(0, Ordering::Relaxed);
        if let Some(line) = &self.line {
            line.draw();
        }
    }

    /// The same tree; what the packer reads of it is counted.
    pub fn watch<'a>(&self, fs: &'a dyn ImageFs) -> Watched<'a> {
        Watched {
            fs,
            shared: Arc::clone(&self.shared),
        }
    }
}

impl Shared {
    fn step(&self) -> std::sync::MutexGuard<'_, Step> {
        self.step.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn text(&self) -> String {
        let step = *self.step();
        let entries = self.entries.load(Ordering::Relaxed);
        text(step, entries, self.bytes.load(Ordering::Relaxed))
    }
}

fn text(step: Step, entries: u64, bytes: u64) -> String {
    match step {
        Step::Resolving(paths) => format!("micropacker: resolving {paths} paths"),
        Step::Telling => "micropacker: writing the reports".to_owned(),
        Step::Packing(all, all_bytes) if entries >= all && bytes >= all_bytes => {
            format!(
                "micropacker: {all} entries, {}: waiting for the disk",
                size(all_bytes)
            )
        }
        Step::Packing(all, all_bytes) => {
            // An entry without bytes takes about as long as so many bytes do.
            const ENTRY: u64 = 16 << 10;
            let weight =
                |entries: u64, bytes: u64| entries.saturating_mul(ENTRY).saturating_add(bytes);
            let done = u128::from(weight(entries.min(all), bytes.min(all_bytes)));
            let whole = u128::from(weight(all, all_bytes).max(1));
            let filled = (done * u128::from(BAR) / whole) as usize;
            let bar = format!(
                "{}{}",
                "#".repeat(filled),
                "-".repeat(BAR as usize - filled)
            );
            format!(
                "micropacker: packing [{bar}] {}%, {entries} of {all} entries, {} of {}",
                done * 100 / whole,
                size(bytes),
                size(all_bytes)
            )
        }
    }
}

/// A tree that counts what is read of it.
pub struct Watched<'a> {
    fs: &'a dyn ImageFs,
    shared: Arc<Shared>,
}

impl ImageFs for Watched<'_> {
    fn lstat(&self, path: &ImagePath) -> io::Result<Meta> {
        self.fs.lstat(path)
    }

    fn read_link(&self, path: &ImagePath) -> io::Result<Vec<u8>> {
        self.fs.read_link(path)
    }

    fn list(&self, path: &ImagePath) -> io::Result<Vec<Vec<u8>>> {
        self.fs.list(path)
    }

    fn list_with_made(&self, path: &ImagePath) -> io::Result<Vec<Vec<u8>>> {
        self.fs.list_with_made(path)
    }

    fn is_made(&self, path: &ImagePath) -> bool {
        self.fs.is_made(path)
    }

    fn open(&self, path: &ImagePath) -> io::Result<Box<dyn ReadAt>> {
        Ok(Box::new(Counted {
            file: self.fs.open(path)?,
            shared: Arc::clone(&self.shared),
        }))
    }

    /// The packer asks for these of each entry, once.
    fn xattrs(&self, path: &ImagePath) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        self.shared.entries.fetch_add(1, Ordering::Relaxed);
        self.fs.xattrs(path)
    }
}

struct Counted {
    file: Box<dyn ReadAt>,
    shared: Arc<Shared>,
}

impl ReadAt for Counted {
    fn len(&self) -> u64 {
        self.file.len()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = self.file.read_at(buffer, offset)?;
        self.shared.bytes.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }

    fn data_runs(&self) -> io::Result<Vec<(u64, u64)>> {
        self.file.data_runs()
    }

    fn stamp(&self) -> Option<Stamp> {
        self.file.stamp()
    }

    fn is_unchanged(&self) -> io::Result<bool> {
        self.file.is_unchanged()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image_fs::MemFs;

    #[test]
    fn the_bar_is_empty_half_full_and_gone() {
        let step = Step::Packing(2, 64 << 10);
        let half = text(step, 1, 32 << 10);
        assert_eq!(
            text(step, 0, 0),
            "micropacker: packing [--------------------] 0%, 0 of 2 entries, 0 bytes of 65.5 kB"
        );
        assert!(
            half.contains("[##########----------] 50%, 1 of 2"),
            "{half}"
        );
        assert!(text(step, 2, 64 << 10).ends_with("waiting for the disk"));
        // Files may grow, and holes are never read.
        assert!(text(step, 9, 0).contains("9 of 2"));
        assert!(text(Step::Packing(0, 0), 0, 0).contains("0 entries"));
    }

    #[test]
    fn what_is_packed_is_counted() {
        let fs = MemFs::new().file("/a", [1; 1000]).file("/b", [1; 500]);
        let progress = Progress::start(2, false);
        let watched = progress.watch(&fs);
        let mut manifest = Manifest::default();
        for name in ["/a", "/b"] {
            let path = ImagePath::new(name).expect("absolute");
            let entry = crate::manifest::Entry {
                kind: crate::image_fs::FileKind::Regular,
                meta: Some(fs.lstat(&path).expect("there")),
                source: crate::manifest::Source::Image,
                reasons: Vec::new(),
            };
            manifest.entries.insert(path, entry);
        }
        progress.packing(&manifest);
        let mut bytes = Vec::new();
        crate::pack::write_layer(&watched, &manifest, &mut bytes).expect("packed");
        let expected = "micropacker: 2 entries, 1500 bytes: waiting for the disk";
        assert_eq!(progress.shared.text(), expected);
    }
}
