//! Layers of random trees, extracted by GNU tar and libarchive, are the trees they came from.

#[path = "pack_readers/tree.rs"]
mod tree;

use micropacker::image_fs::{FileKind, HostFs, ImageFs};
use micropacker::image_path::ImagePath;
use micropacker::manifest::{Entry, Manifest, Reason, Source};
use micropacker::pack::{Output, write_layer};
use proptest::prelude::*;
use std::path::Path;
use std::process::Command;
use tree::{Node, NodeKind, build, nodes, snapshot};

fn manifest_of(fs: &HostFs) -> Manifest {
    let mut manifest = Manifest::default();
    let mut pending = vec![ImagePath::root()];
    while let Some(path) = pending.pop() {
        let meta = fs.lstat(&path).expect("there");
        if meta.kind == FileKind::Directory {
            for name in fs.list(&path).expect("listed") {
                pending.push(path.join(name).expect("no NUL"));
            }
        }
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

fn pack(root: &Path, archive: &Path) {
    let fs = HostFs::new(root);
    let mut output = Output::create(archive).expect("created");
    let summary = write_layer(&fs, &manifest_of(&fs), &mut output).expect("packed");
    assert!(summary.losses.is_empty(), "{:?}", summary.losses);
    output.commit().expect("committed");
}

const GNU_TAR: &[&str] = &[
    "tar",
    "--numeric-owner",
    "--xattrs",
    "--xattrs-include=*",
    "-xpf",
];
const BSDTAR: &[&str] = &["bsdtar", "--numeric-owner", "-xpf"];

/// Whether the reader is there; libarchive's may be missing.
fn has(reader: &[&str]) -> bool {
    let found = Command::new(reader[0]).arg("--version").output().is_ok();
    if !found {
        println!("{} is not installed: not compared with it", reader[0]);
    }
    found
}

fn extract(reader: &[&str], archive: &Path, into: &Path) {
    let output = Command::new(reader[0])
        .args(&reader[1..])
        .arg(archive)
        .current_dir(into)
        // libarchive converts names that are UTF-8, as PAX has them, to the locale's charset.
        .env("LC_ALL", "C.UTF-8")
        .output()
        .expect("the reader starts");
    assert!(
        output.status.success(),
        "{reader:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn assert_round_trip(nodes: &[Node]) {
    let work = tempfile::tempdir().expect("a directory");
    let original = work.path().join("original");
    build(&original, nodes);
    let archive = work.path().join("rootfs.tar");
    pack(&original, &archive);
    let expected = snapshot(&original);
    for reader in [GNU_TAR, BSDTAR] {
        if !has(reader) {
            continue;
        }
        let copy = work.path().join(reader[0]);
        std::fs::create_dir(&copy).expect("created");
        extract(reader, &archive, &copy);
        let found = snapshot(&copy);
        for (path, was) in &expected {
            let name = path.escape_ascii();
            assert_eq!(Some(was), found.get(path), "{} read {name}", reader[0]);
        }
        assert_eq!(expected.len(), found.len(), "{}", reader[0]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_reader_gives_the_tree_back(nodes in nodes()) {
        assert_round_trip(&nodes);
    }
}

fn file(name: &[u8], content: Vec<(u64, Vec<u8>)>, length: u64) -> Node {
    Node {
        components: name
            .split(|byte| *byte == b'/')
            .map(<[u8]>::to_vec)
            .collect(),
        kind: NodeKind::File { content, length },
        ..Node::default()
    }
}

#[test]
fn a_sparse_file_keeps_its_holes_under_any_name() {
    let odd = [&b"d\xE9/"[..], &[b'n'; 255]].concat();
    let nodes: Vec<_> = [&b"s"[..], &[b'l'; 101], &odd, b"new\nline"]
        .into_iter()
        .map(|name| {
            let runs = vec![(1 << 20, vec![1; 5000]), (3 << 20, vec![2; 4096])];
            file(name, runs, 8 << 20)
        })
        .chain([
            file(b"all-hole", Vec::new(), 1 << 20),
            file(b"no-end-hole", vec![(1 << 20, vec![1; 7])], (1 << 20) + 7),
        ])
        .collect();
    assert_round_trip(&nodes);
}

#[test]
fn the_same_tree_gives_the_same_bytes() {
    let work = tempfile::tempdir().expect("a directory");
    let original = work.path().join("original");
    let nodes = [
        file(b"a/b", vec![(0, vec![3; 100])], 100),
        file(b"c", Vec::new(), 0),
    ];
    build(&original, &nodes);
    let archives = ["one.tar", "two.tar"].map(|name| {
        let archive = work.path().join(name);
        pack(&original, &archive);
        std::fs::read(archive).expect("read")
    });
    assert!(archives[0] == archives[1]);
}
