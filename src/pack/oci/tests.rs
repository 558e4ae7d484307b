//! What holds for every image.

use super::*;
use crate::pack::sparse::SparseMap;
use oci_spec::image::{ImageIndex, ImageManifest};
use std::collections::BTreeMap;
use std::io::Cursor;

/// A layer with one file of `size` bytes that is all hole.
fn layer(size: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut stream = Stream::new(&mut bytes);
    let map = SparseMap::new(size, &[]);
    let stored = map.as_ref().map_or(size, SparseMap::stored);
    let mut header = EntryHeader::file(b"f", 0o644, stored);
    if let Some(map) = &map {
        map.announce(b"f", &mut header.records);
    }
    header.write(&mut stream).expect("written");
    match map {
        Some(map) => stream.write_all(&map.encode()).expect("written"),
        None => stream.zeros(size).expect("written"),
    }
    stream.pad().expect("written");
    stream.finish().expect("written");
    bytes
}

fn config() -> ImageConfig {
    ImageConfig {
        entrypoint: vec![b"/app".to_vec()],
        env: vec![b"A=1".to_vec(), b"B=\xFF".to_vec()],
        working_dir: ImagePath::new("/srv"),
        exposed_ports: ["80/tcp".into(), "443/tcp".into()].into(),
        labels: (0..20)
            .map(|at| (format!("l{at}"), String::new()))
            .collect(),
        architecture: "amd64".into(),
        os: "linux".into(),
        ..ImageConfig::default()
    }
}

fn image_of(layer: &[u8], tag: Option<&str>) -> (Vec<u8>, ImageSummary) {
    let mut bytes = Vec::new();
    let sha256 = Sha256::digest(layer).into();
    let mut layer = Cursor::new(layer);
    let summary =
        write_image(&mut layer, sha256, &config(), tag, None, &mut bytes).expect("written");
    (bytes, summary)
}

fn image(tag: Option<&str>) -> (Vec<u8>, ImageSummary) {
    image_of(&layer(700), tag)
}

fn files(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(bytes);
    archive
        .entries()
        .expect("an archive")
        .map(|entry| {
            let mut entry = entry.expect("an entry");
            let mut content = Vec::new();
            entry.read_to_end(&mut content).expect("read");
            let name = entry.path().expect("a name").display().to_string();
            (name, content)
        })
        .collect()
}

#[test]
fn each_blob_has_the_name_of_its_digest() {
    let (bytes, summary) = image(None);
    let files = files(&bytes);
    let mut blobs = 0;
    for (name, content) in &files {
        if let Some(digest) = name
            .strip_prefix("blobs/sha256/")
            .filter(|name| !name.is_empty())
        {
            assert_eq!(digest, hex(&Sha256::digest(content)));
            blobs += 1;
        }
    }
    assert_eq!(blobs, 3);
    assert_eq!(summary.layer_bytes, layer(700).len() as u64);
}

#[test]
fn both_indexes_lead_to_the_same_blobs() {
    let (bytes, summary) = image(Some("app"));
    let files = files(&bytes);
    let blob = |digest: &str| &files[&digest.replace("sha256:", "blobs/sha256/")];
    let index = ImageIndex::from_reader(files["index.json"].as_slice()).expect("an index");
    assert_eq!(
        index.manifests()[0].digest().to_string(),
        summary.manifest_digest
    );
    let manifest =
        ImageManifest::from_reader(blob(&summary.manifest_digest).as_slice()).expect("a manifest");
    assert_eq!(
        manifest.config().digest().to_string(),
        summary.config_digest
    );
    assert_eq!(blob(&summary.layer_digest), &layer(700));
    let docker: Value = serde_json::from_slice(&files["manifest.json"]).expect("JSON");
    assert_eq!(docker[0]["RepoTags"], json!(["app:latest"]));
    assert_eq!(
        docker[0]["Config"],
        summary.config_digest.replace("sha256:", "blobs/sha256/")
    );
    let configuration = ImageConfiguration::from_reader(blob(&summary.config_digest).as_slice())
        .expect("a configuration");
    assert_eq!(configuration.rootfs().diff_ids(), &[summary.layer_digest]);
    assert_eq!(
        configuration.created().as_deref(),
        Some("1970-01-01T00:00:00Z")
    );
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    assert!(image(Some("a:1")).0 == image(Some("a:1")).0);
}

#[test]
fn what_is_not_utf8_is_left_out_and_told() {
    let (bytes, summary) = image(None);
    assert_eq!(summary.losses.len(), 1);
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains(r#""Env":["A=1"]"#));
}

#[test]
fn another_tarball_than_was_said_is_an_error() {
    for size in [700, 2 << 20] {
        let error = write_image(
            &mut Cursor::new(layer(size)),
            [0; 32],
            &config(),
            None,
            None,
            &mut Vec::new(),
        );
        assert!(matches!(error, Err(PackError::LayerChanged)), "{size}");
    }
}

#[test]
fn what_is_no_tarball_is_an_error() {
    let mut garbage = Cursor::new([1; 2000]);
    let error = write_image(
        &mut garbage,
        [0; 32],
        &config(),
        None,
        None,
        &mut Vec::new(),
    );
    assert!(matches!(error, Err(PackError::Layer(_))));
}

#[test]
fn holes_are_written_out_where_that_is_affordable() {
    let size: u64 = 3 << 20;
    let (bytes, summary) = image_of(&layer(size), None);
    let files = files(&bytes);
    let name = summary.layer_digest.replace("sha256:", "blobs/sha256/");
    assert_eq!(
        summary.layer_digest[7..],
        hex(&Sha256::digest(&files[&name]))
    );
    assert_eq!(summary.layer_bytes, 512 + size + 1024);
    assert_eq!(summary.losses.len(), 1);

    let sparse = layer(1 << 40);
    let (bytes, summary) = image_of(&sparse, None);
    assert!(bytes.len() < 16 * 1024);
    assert_eq!(summary.layer_bytes, sparse.len() as u64);
    assert_eq!(summary.losses.len(), 2);
}
