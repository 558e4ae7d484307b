//! What holds for every image.

use super::*;
use crate::pack::blob::hex;
use crate::pack::sparse::SparseMap;
use oci_spec::image::{ImageIndex, ImageManifest};
use sha2::{Digest, Sha256};
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

fn wish<'a>(config: &'a ImageConfig, tag: Option<&'a str>) -> ImageSpec<'a> {
    ImageSpec {
        config,
        tag,
        created: None,
        compression: Compression::None,
    }
}

fn image_of(layer: &[u8], tag: Option<&str>) -> (Vec<u8>, ImageSummary) {
    let mut bytes = Vec::new();
    let sha256 = Sha256::digest(layer).into();
    let mut layer = Cursor::new(layer);
    let config = config();
    let wish = wish(&config, tag);
    let summary = write_image(&mut layer, sha256, &wish, &mut bytes).expect("written");
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
            &wish(&config(), None),
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
        &wish(&config(), None),
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

#[test]
fn a_compressed_layer_says_so_and_keeps_the_digest_of_the_tarball() {
    let tarball = layer(300_000);
    let config = config();
    for (compression, media_type) in [
        (Compression::Gzip, MediaType::ImageLayerGzip),
        (Compression::Zstd, MediaType::ImageLayerZstd),
    ] {
        let wish = ImageSpec {
            compression,
            ..wish(&config, Some("app"))
        };
        let sha256: [u8; 32] = Sha256::digest(&tarball).into();
        let mut bytes = Vec::new();
        let written = write_image(&mut Cursor::new(&tarball), sha256, &wish, &mut bytes);
        let summary = written.expect("written");
        let files = files(&bytes);
        let blob = |digest: &str| &files[&digest.replace("sha256:", "blobs/sha256/")];
        let manifest = ImageManifest::from_reader(blob(&summary.manifest_digest).as_slice());
        let described = manifest.expect("a manifest").layers()[0].clone();
        assert_eq!(described.media_type(), &media_type);
        assert_eq!(described.digest().to_string(), summary.layer_digest);
        let content = blob(&summary.layer_digest);
        assert_eq!(described.size(), content.len() as u64);
        assert!(content.len() < tarball.len() / 20, "{}", content.len());
        assert_eq!(summary.layer_digest[7..], hex(&Sha256::digest(content)));
        let configuration = blob(&summary.config_digest).as_slice();
        let configuration = ImageConfiguration::from_reader(configuration);
        let diff_ids = configuration.expect("a configuration");
        let diff_id = format!("sha256:{}", hex(&sha256));
        assert_eq!(diff_ids.rootfs().diff_ids(), &[diff_id]);

        let mut in_place = Cursor::new(Vec::new());
        let source = &mut Cursor::new(&tarball);
        let again = write_image_in_place(source, sha256, &wish, &mut in_place);
        assert_eq!(again.expect("written"), summary);
        assert!(in_place.into_inner() == bytes);
    }
}
