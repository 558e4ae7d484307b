//! Journals: as they are, and with their lines' checksums made right, so that what stands behind
//! these is reached.

use super::path;
use micropacker::image_fs::MemFs;
use micropacker::journal::{Seen, container_of, looks_like_journal, read};
use micropacker::mounts::Mounts;
use micropacker::past::Before;
use micropacker::recorder::Recorder;
use micropacker::resolve::{Options, resolve};

pub fn run(data: &[u8]) {
    let _ = looks_like_journal(data);
    recover(data);
    recover(&with_checksums(data));
}

fn with_checksums(data: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    for line in data.split(|byte| *byte == b'\n') {
        let line = line.get(9..).unwrap_or_default();
        let sum = format!("{:08x} ", crc32fast::hash(line));
        text.extend([sum.as_bytes(), line, b"\n"].concat());
    }
    text
}

fn recover(journal: &[u8]) {
    let mut recorder = Recorder::default();
    let mut take = |seen| match seen {
        Seen::Run => recorder.begin_run(),
        Seen::Event(event) => recorder.record(event),
    };
    let Ok(contents) = read(&mut &journal[..], &mut take) else {
        return;
    };
    let mut options = Options::default();
    if let Some(header) = contents.header {
        let _ = container_of(&header.mounts.0);
        options.mounts = Mounts::parse(&header.mounts.0).unwrap_or_default();
        options.own = header.own;
        options.started = header.started;
    }
    let fs = MemFs::new()
        .file("/etc/passwd", "root")
        .symlink("/link", "etc")
        .file("/srv/a", "a");
    let saved = MemFs::new().file("/1", "was");
    let recording = recorder.finish();
    let before = Before::new(&fs, &saved, &recording);
    let manifest = resolve(&before, &recording, &options);
    assert!(
        manifest
            .entries
            .keys()
            .all(|entry| entry.is_at_or_below(&path("/")))
    );
}
