//! A loadable image: one tar that is an OCI image layout and a docker-archive at once. Both
//! name the same blobs, so that `docker load` of any age, podman, skopeo and containerd each
//! find their own index.

use super::PackError;
use super::blob::{Blob, Layer};
use super::compress::{Compressed, Compression};
use super::config::{ImageConfig, texts};
use super::header::EntryHeader;
use super::layer::LayerSummary;
use super::layer_source::LayerSource;
use super::one_pass::{ImageSpec, MAX_LAYER, patch};
use super::rfc3339::rfc3339;
use super::stream::{BLOCK, Stream};
use super::tag::full_tag;
use crate::image_path::ImagePath;
use crate::recording::Loss;
use oci_spec::image::{
    Arch, Config, HistoryBuilder, ImageConfiguration, ImageIndexBuilder, ImageManifestBuilder,
    MediaType, OciLayoutBuilder, Os, Platform, RootFs,
};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::io::{Read, Seek, Write};

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageSummary {
    /// `sha256:…` of the manifest: what registries call the image's digest.
    pub manifest_digest: String,
    /// `sha256:…` of the configuration: what Docker calls the image's ID.
    pub config_digest: String,
    /// `sha256:…` of the layer.
    pub layer_digest: String,
    /// Bytes of the layer, compressed where it is.
    pub layer_bytes: u64,
    /// The name under which it loads, `app:latest`.
    pub tag: Option<String>,
    /// What the configuration cannot carry.
    pub losses: Vec<Loss>,
}

/// Writes an image of one layer, streamed from `rootfs_tar`, whose SHA-256 must be
/// `layer_sha256`. Sparse entries are written out in full where that costs at most 256 MiB:
/// the layer's digest then differs from that of `rootfs_tar`. A layer that is compressed is
/// compressed twice, since its digest comes before it: see [`write_image_in_place`].
///
/// `tag` is `name` or `name:tag`. Without `created` the image is as old as the epoch, so that
/// the same root file system gives the same image.
///
/// # Errors
/// [`PackError`] when the tag or the time cannot be written, the tarball cannot be read or is
/// another than was said, or `out` failed.
pub fn write_image(
    rootfs_tar: &mut (impl Read + Seek),
    layer_sha256: [u8; 32],
    wish: &ImageSpec,
    out: &mut dyn Write,
) -> Result<ImageSummary, PackError> {
    let mut source = LayerSource::new(rootfs_tar, layer_sha256)?;
    let layer = source.measure(wish.compression)?;
    let described = Described::new(&layer, wish)?;
    let layer = layer.blob;
    let mut archive = Stream::new(out);
    directories(&mut archive)?;
    EntryHeader::file(layer.path().as_bytes(), 0o644, layer.size)
        .write(&mut archive)
        .map_err(PackError::writing)?;
    source.copy(&layer, wish.compression, &mut archive)?;
    archive.pad().map_err(PackError::writing)?;
    described.write(archive)?;
    let losses = wish.config.losses().into_iter().chain(source.loss());
    Ok(described.summary(&layer, losses.collect()))
}

/// Writes the same image as [`write_image`], and compresses its layer once: the digest is filled
/// in behind it.
///
/// # Errors
/// As [`write_image`].
pub fn write_image_in_place<W: Write + Seek>(
    rootfs_tar: &mut (impl Read + Seek),
    layer_sha256: [u8; 32],
    wish: &ImageSpec,
    out: &mut W,
) -> Result<ImageSummary, PackError> {
    let mut source = LayerSource::new(rootfs_tar, layer_sha256)?;
    if wish.compression == Compression::None || source.size()? > MAX_LAYER {
        return write_image(rootfs_tar, layer_sha256, wish, out);
    }
    let place = begin_image(out)?;
    let layer = source.write(wish.compression, out)?;
    let described = Described::new(&layer, wish)?;
    let blob = layer.blob;
    pad(&blob, out)?;
    described.write(Stream::counted(out))?;
    let header = header_of(&blob)?;
    patch(out, place, &header).map_err(PackError::writing)?;
    let losses = wish.config.losses().into_iter().chain(source.loss());
    Ok(described.summary(&blob, losses.collect()))
}

/// Where a layer's header goes once its digest is known: an offset in the image.
pub(super) struct LayerPlace(pub u64);

/// Begins an image whose layer is what is written next.
pub(super) fn begin_image(out: &mut dyn Write) -> Result<LayerPlace, PackError> {
    let mut archive = Stream::counted(out);
    directories(&mut archive)?;
    let (place, _) = archive.sum();
    out.write_all(&[0; BLOCK as usize])
        .map_err(PackError::writing)?;
    Ok(LayerPlace(place))
}

/// Ends an image whose layer has been written; gives the layer's header.
pub(super) fn finish_image(
    layer: &LayerSummary,
    compressed: Option<Compressed>,
    wish: &ImageSpec,
    out: &mut dyn Write,
) -> Result<(Vec<u8>, ImageSummary), PackError> {
    let layer = Layer::new(layer.sha256, layer.tar_bytes, wish.compression, compressed);
    let described = Described::new(&layer, wish)?;
    let layer = layer.blob;
    pad(&layer, out)?;
    described.write(Stream::counted(out))?;
    let header = header_of(&layer)?;
    Ok((header, described.summary(&layer, wish.config.losses())))
}

/// Fills the layer's last block.
fn pad(layer: &Blob, out: &mut dyn Write) -> Result<(), PackError> {
    let missing = layer.size.next_multiple_of(BLOCK) - layer.size;
    Stream::counted(out)
        .zeros(missing)
        .map_err(PackError::writing)
}

fn header_of(layer: &Blob) -> Result<Vec<u8>, PackError> {
    let mut header = Vec::new();
    EntryHeader::file(layer.path().as_bytes(), 0o644, layer.size)
        .write(&mut Stream::counted(&mut header))
        .map_err(PackError::writing)?;
    Ok(header)
}

fn directories(archive: &mut Stream) -> Result<(), PackError> {
    for directory in ["blobs/", "blobs/sha256/"] {
        EntryHeader::directory(directory.as_bytes(), 0o755)
            .write(archive)
            .map_err(PackError::writing)?;
    }
    Ok(())
}

/// Everything that an image says of its layer. It stands behind the layer, since only then the
/// digest is known; `docker save` writes its indexes last too.
struct Described {
    configuration: Vec<u8>,
    config: Blob,
    manifest: Vec<u8>,
    manifest_blob: Blob,
    index: Vec<u8>,
    docker: Vec<u8>,
    layout: Vec<u8>,
    tag: Option<String>,
}

impl Described {
    fn new(layer: &Layer, wish: &ImageSpec) -> Result<Self, PackError> {
        let config = wish.config;
        let tag = wish.tag.map(full_tag).transpose()?;
        let created = wish.created.unwrap_or_default();
        let created = rfc3339(created).ok_or(PackError::Created(created.seconds))?;
        let configuration = configuration(config, &created, &layer.diff_id);
        let configuration = describe(serde_json::to_value(configuration))?;
        let layer = &layer.blob;
        let configuration = canonical(&with_docker_members(configuration, config))?;
        let config_blob = Blob::of(MediaType::ImageConfig, &configuration);
        let manifest = canonical(&image_manifest(&config_blob, layer)?)?;
        let manifest_blob = Blob::of(MediaType::ImageManifest, &manifest);
        let index = canonical(&index(&manifest_blob, config, tag.as_deref())?)?;
        let docker = canonical(&docker_manifest(&config_blob, layer, tag.as_deref()))?;
        let layout = canonical(&describe(
            OciLayoutBuilder::default()
                .image_layout_version("1.0.0")
                .build(),
        )?)?;
        Ok(Self {
            index,
            docker,
            layout,
            configuration,
            config: config_blob,
            manifest,
            manifest_blob,
            tag,
        })
    }

    fn write(&self, mut archive: Stream) -> Result<(), PackError> {
        file(&mut archive, &self.config.path(), &self.configuration)?;
        file(&mut archive, &self.manifest_blob.path(), &self.manifest)?;
        file(&mut archive, "index.json", &self.index)?;
        file(&mut archive, "manifest.json", &self.docker)?;
        file(&mut archive, "oci-layout", &self.layout)?;
        archive.finish().map(drop).map_err(PackError::writing)
    }

    fn summary(self, layer: &Blob, losses: Vec<Loss>) -> ImageSummary {
        ImageSummary {
            manifest_digest: self.manifest_blob.digest(),
            config_digest: self.config.digest(),
            layer_digest: layer.digest(),
            layer_bytes: layer.size,
            tag: self.tag,
            losses,
        }
    }
}

fn configuration(config: &ImageConfig, created: &str, diff_id: &str) -> ImageConfiguration {
    let mut start = Config::default();
    // What is not UTF-8 is left out here and told by `ImageConfig::losses`.
    start
        .set_entrypoint(texts(&config.entrypoint).filter(|words| !words.is_empty()))
        .set_cmd(texts(&config.cmd).filter(|words| !words.is_empty()))
        .set_env(Some(
            (config.env.iter())
                .filter_map(|variable| String::from_utf8(variable.clone()).ok())
                .collect(),
        ))
        .set_working_dir(config.working_dir.as_ref().and_then(text))
        .set_user(config.user.clone())
        .set_stop_signal(config.stop_signal.clone());
    if !config.exposed_ports.is_empty() {
        start.set_exposed_ports(Some(config.exposed_ports.iter().cloned().collect()));
    }
    if !config.volumes.is_empty() {
        start.set_volumes(Some(config.volumes.iter().filter_map(text).collect()));
    }
    if !config.labels.is_empty() {
        start.set_labels(Some(config.labels.clone().into_iter().collect()));
    }
    let mut rootfs = RootFs::default();
    rootfs.set_diff_ids(vec![diff_id.to_owned()]);
    let history = HistoryBuilder::default()
        .created(created)
        .created_by("micropacker")
        .build()
        .ok();
    let mut image = ImageConfiguration::default();
    image
        .set_created(Some(created.to_owned()))
        .set_architecture(Arch::from(config.architecture.as_str()))
        .set_variant(config.variant.clone())
        .set_os(Os::from(config.os.as_str()))
        .set_config(Some(start))
        .set_rootfs(rootfs)
        .set_history(history.map(|history| vec![history]));
    image
}

/// Adds what Docker's images have beyond OCI's (moby, `container.Config`).
fn with_docker_members(mut image: Value, config: &ImageConfig) -> Value {
    let Some(start) = image.get_mut("config").and_then(Value::as_object_mut) else {
        return image;
    };
    if let Some(health) = &config.health {
        let mut members = Map::new();
        members.insert("Test".to_owned(), json!(health.test));
        let numbers = [
            ("Interval", health.interval),
            ("Timeout", health.timeout),
            ("StartPeriod", health.start_period),
            ("StartInterval", health.start_interval),
            ("Retries", health.retries.into()),
        ];
        for (name, number) in numbers.into_iter().filter(|(_, number)| *number > 0) {
            members.insert(name.to_owned(), json!(number));
        }
        start.insert("Healthcheck".to_owned(), Value::Object(members));
    }
    for (name, words) in [("Shell", &config.shell), ("OnBuild", &config.on_build)] {
        if !words.is_empty() {
            start.insert(name.to_owned(), json!(words));
        }
    }
    image
}

fn text(path: &ImagePath) -> Option<String> {
    String::from_utf8(path.as_bytes().to_vec()).ok()
}

fn image_manifest(config: &Blob, layer: &Blob) -> Result<impl Serialize, PackError> {
    describe(
        ImageManifestBuilder::default()
            .schema_version(2u32)
            .media_type(MediaType::ImageManifest)
            .config(config.descriptor()?)
            .layers(vec![layer.descriptor()?])
            .build(),
    )
}

fn index(
    manifest: &Blob,
    config: &ImageConfig,
    tag: Option<&str>,
) -> Result<impl Serialize, PackError> {
    let mut descriptor = manifest.descriptor()?;
    let mut platform = Platform::default();
    platform
        .set_architecture(Arch::from(config.architecture.as_str()))
        .set_os(Os::from(config.os.as_str()))
        .set_variant(config.variant.clone());
    descriptor.set_platform(Some(platform));
    if let Some(tag) = tag {
        // podman and skopeo read the first, containerd the second.
        let annotations = [
            "org.opencontainers.image.ref.name",
            "io.containerd.image.name",
        ]
        .map(|name| (name.to_owned(), tag.to_owned()));
        descriptor.set_annotations(Some(HashMap::from(annotations)));
    }
    describe(
        ImageIndexBuilder::default()
            .schema_version(2u32)
            .media_type(MediaType::ImageIndex)
            .manifests(vec![descriptor])
            .build(),
    )
}

/// `manifest.json`, which `docker load` reads (moby, image/tarexport).
fn docker_manifest(config: &Blob, layer: &Blob, tag: Option<&str>) -> Value {
    json!([{
        "Config": config.path(),
        "RepoTags": tag.map(|tag| vec![tag]),
        "Layers": [layer.path()],
    }])
}

pub(super) fn describe<T, E: std::fmt::Display>(built: Result<T, E>) -> Result<T, PackError> {
    built.map_err(|error| PackError::Describe(error.to_string()))
}

/// JSON with sorted keys: oci-spec holds labels, ports and annotations in hash maps, whose
/// order differs from run to run.
fn canonical(value: &impl Serialize) -> Result<Vec<u8>, PackError> {
    let value = describe(serde_json::to_value(value))?;
    describe(serde_json::to_vec(&sorted(value)))
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut members: Vec<_> = map.into_iter().collect();
            members.sort_by(|a, b| a.0.cmp(&b.0));
            let members = members.into_iter().map(|(key, value)| (key, sorted(value)));
            Value::Object(Map::from_iter(members))
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

fn file(archive: &mut Stream, name: &str, content: &[u8]) -> Result<(), PackError> {
    EntryHeader::file(name.as_bytes(), 0o644, content.len() as u64)
        .write(archive)
        .and_then(|()| archive.write_all(content))
        .and_then(|()| archive.pad())
        .map_err(PackError::writing)
}

#[cfg(test)]
mod tests;
