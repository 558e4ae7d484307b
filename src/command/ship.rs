//! Recording to outputs: the part that `run` and `pack` share.

use super::artifacts::{self, Made, Traced, write_tellers};
use super::decided;
use super::file_list::file_list;
use super::image::ImageWish;
use super::told::{tell, tell_changes_of_others, tell_exclusions};
use crate::cli::{ListedName, PackageMetadataName, PresetName, ProbedName, SelectArgs};
use crate::image_fs::{FileTime, ImageFs};
use crate::image_path::ImagePath;
use crate::manifest::Manifest;
use crate::mounts::Mounts;
use crate::pack::{
    Digests, ImageConfig, LayerSummary, Output, descriptor_of, dockerfile_with_losses, write_image,
    write_layer, write_layer_with_digests,
};
use crate::packages::PackageMetadata;
use crate::recording::Recording;
use crate::report::Inventory;
use crate::resolve::patterns::{Patterns, parse_file};
use crate::resolve::presets::Preset;
use crate::resolve::{Listed, Options, Probed, resolve};
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

pub const IMAGE: &str = "image.tar";
const DOCKERFILE: &str = "Dockerfile";

/// Where the outputs go.
pub struct Outputs {
    /// The root file system tarball.
    pub rootfs: PathBuf,
    /// The directory of all others.
    pub artifacts: Option<PathBuf>,
    /// The image's name.
    pub tag: Option<String>,
    /// Variables to keep although they look like secrets.
    pub keep_env: Vec<String>,
    /// What the image is started with, where that is not what was traced.
    pub image: ImageWish,
}

/// What was written.
pub struct Shipped {
    /// The plan.
    pub manifest: Manifest,
    /// The tarball.
    pub layer: LayerSummary,
    /// The packages, where artifacts were written.
    pub inventory: Option<Inventory>,
    /// How many different losses were told.
    pub lost: usize,
}

impl Outputs {
    /// Tries each output now: better no trace than a trace for nothing.
    ///
    /// # Errors
    /// Names the output and the remedy.
    pub fn check(&self) -> Result<()> {
        Output::create(&self.rootfs)?;
        let Some(artifacts) = &self.artifacts else {
            return Ok(());
        };
        fs::create_dir_all(artifacts).with_context(|| {
            format!(
                "cannot make {}: give --artifacts a directory that can be written",
                artifacts.display()
            )
        })?;
        for name in artifact_names() {
            Output::create(&artifacts.join(name))?;
        }
        if !self.rootfs_is_a_file() {
            bail!(
                "--artifacts reads {} again for image.tar: give -o a regular file",
                self.rootfs.display()
            );
        }
        Ok(())
    }

    /// All of them.
    pub fn files(&self) -> Vec<PathBuf> {
        let artifacts = self.artifacts.iter();
        let beside =
            artifacts.flat_map(|artifacts| artifact_names().map(|name| artifacts.join(name)));
        std::iter::once(self.rootfs.clone()).chain(beside).collect()
    }

    /// Directories in which files are made for them, physical.
    pub fn directories(&self) -> BTreeSet<ImagePath> {
        let files = self.files().into_iter();
        let inside = files.filter_map(|file| path_below(Path::new("/"), &file)?.parent());
        inside.collect()
    }

    /// The descriptors that they are written through, where they are named so: ours to keep.
    pub fn descriptors(&self) -> BTreeSet<RawFd> {
        let places = std::iter::once(&self.rootfs).chain(&self.artifacts);
        places.filter_map(|place| descriptor_of(place)).collect()
    }

    /// Whether they can be written more than once: a stream has been read by then.
    pub fn rootfs_is_a_file(&self) -> bool {
        self.rootfs.as_path() != Path::new("-")
            && fs::metadata(&self.rootfs).is_ok_and(|meta| meta.is_file()) | !self.rootfs.exists()
    }

    /// Physical paths of the outputs, and of this program, where they lie in the image: they are
    /// not the application's.
    pub fn own(&self, root: &Path) -> Vec<ImagePath> {
        let mut files = self.files();
        files.extend(std::env::current_exe());
        files
            .iter()
            .filter_map(|file| path_below(root, file))
            .collect()
    }
}

fn artifact_names() -> impl Iterator<Item = &'static str> {
    [IMAGE, DOCKERFILE].into_iter().chain(artifacts::NAMES)
}

/// A file of this machine as seen from an image's root; `None` where it lies outside.
fn path_below(root: &Path, file: &Path) -> Option<ImagePath> {
    let file = std::path::absolute(file).ok()?;
    let directory = file.parent()?.canonicalize().ok()?;
    let inside = directory.strip_prefix(root.canonicalize().ok()?).ok()?;
    let inside = Path::new("/").join(inside).join(file.file_name()?);
    ImagePath::new(inside.as_os_str().as_bytes())
}

/// Resolves, packs and writes everything, and tells what was lost.
///
/// # Errors
/// Names the output that could not be written; what has its final name is complete.
pub fn ship(
    fs: &dyn ImageFs,
    root: &Path,
    recording: &Recording,
    options: Options,
    outputs: &Outputs,
    traced: &Traced,
) -> Result<Shipped> {
    let options = Options {
        own: [outputs.own(root), options.own].concat(),
        ..options
    };
    let manifest = resolve(fs, recording, &options);
    tell_exclusions(&manifest);
    let changed = tell_changes_of_others(&manifest, recording, fs);
    decided::mounts(&manifest);
    decided::earlier(&manifest);
    for (path, entry) in &manifest.entries {
        tracing::trace!("taken: {path}: {:?}", entry.reasons.first());
    }
    tell(&manifest.losses);
    for hint in &manifest.hints {
        tracing::info!("{hint}");
    }
    let mut rootfs = Output::create(&outputs.rootfs)?;
    let written = match outputs.artifacts {
        Some(_) => write_layer_with_digests(fs, &manifest, &mut rootfs),
        None => write_layer(fs, &manifest, &mut rootfs).map(|layer| (layer, Digests::new())),
    };
    let (layer, digests) =
        written.with_context(|| format!("cannot write {}", outputs.rootfs.display()))?;
    rootfs.commit()?;
    tell(&layer.losses);
    if layer.sparse_entries > 0 {
        tracing::warn!(
            "{} holds {} sparse files: load image.tar instead of importing it, since engines \
             cannot save or push an image of it",
            outputs.rootfs.display(),
            layer.sparse_entries
        );
    }
    let mut inventory = None;
    let mut lost = manifest.losses.len() + layer.losses.len() + changed;
    if let Some(artifacts) = &outputs.artifacts {
        lost += write_artifacts(fs, recording, &manifest, &layer, outputs, artifacts)?;
        let made = Made {
            fs,
            recording,
            traced,
            manifest: &manifest,
            layer: &layer,
            digests: &digests,
        };
        inventory = Some(write_tellers(&made, outputs, artifacts)?);
    }
    Ok(Shipped {
        manifest,
        layer,
        inventory,
        lost,
    })
}

/// Gives how many different losses it told.
fn write_artifacts(
    fs: &dyn ImageFs,
    recording: &Recording,
    manifest: &Manifest,
    layer: &LayerSummary,
    outputs: &Outputs,
    artifacts: &Path,
) -> Result<usize> {
    let config = image_config(recording, manifest, outputs)?;
    let rootfs_name = outputs
        .rootfs
        .file_name()
        .unwrap_or(OsStr::new("rootfs.tar"));
    let (dockerfile, losses) = dockerfile_with_losses(&config, &rootfs_name.to_string_lossy());
    tell(&losses);
    write_whole(&artifacts.join(DOCKERFILE), &dockerfile)?;
    write_whole(
        &artifacts.join(artifacts::FILES),
        &file_list(fs, manifest, artifacts::FILES),
    )?;

    let mut tarball = File::open(&outputs.rootfs)
        .with_context(|| format!("cannot read {} again", outputs.rootfs.display()))?;
    let path = artifacts.join(IMAGE);
    let mut image = Output::create(&path)?;
    let written = write_image(
        &mut tarball,
        layer.sha256,
        &config,
        outputs.tag.as_deref(),
        source_date_epoch()?,
        &mut image,
    )
    .with_context(|| format!("cannot write {}", path.display()))?;
    image.commit()?;
    tell(&written.losses);
    tracing::debug!("{}: {}", path.display(), written.manifest_digest);
    Ok(losses.len() + written.losses.len())
}

/// That of the original image where it is known, else that of the traced command.
fn image_config(
    recording: &Recording,
    manifest: &Manifest,
    outputs: &Outputs,
) -> Result<ImageConfig> {
    let mut config = match &outputs.image.original {
        Some(original) => original.clone(),
        None => {
            let keep = |name: &str| outputs.keep_env.iter().any(|kept| kept == name);
            let (mut config, secrets) = ImageConfig::from_context(&recording.context, &keep);
            keep_home_without_passwd(&mut config, recording, manifest);
            if !secrets.is_empty() {
                tracing::warn!(
                    "left out of the image because they look like secrets: {}; keep one with \
                     --keep-env NAME, or give them when the container is started",
                    secrets.join(", ")
                );
            }
            config
        }
    };
    outputs
        .image
        .apply(&mut config)
        .map_err(anyhow::Error::msg)?;
    Ok(config)
}

/// The engine sets HOME from the image's `/etc/passwd`. An application that never read that
/// file, so that it is not shipped, would find itself at home in `/`.
fn keep_home_without_passwd(config: &mut ImageConfig, recording: &Recording, manifest: &Manifest) {
    let passwd = ImagePath::root().join("etc/passwd");
    if passwd.is_some_and(|passwd| manifest.entries.contains_key(&passwd)) {
        return;
    }
    let mut env = recording.context.env.iter();
    if let Some(home) = env.find(|variable| variable.starts_with(b"HOME=")) {
        config.env.push(home.clone());
    }
}

/// Writes a file that gets its name only when it is complete.
///
/// # Errors
/// Names the file and the remedy.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut output = Output::create(path)?;
    output
        .write_all(bytes)
        .with_context(|| format!("cannot write {}", path.display()))?;
    output.commit()?;
    Ok(())
}

/// <https://reproducible-builds.org/specs/source-date-epoch/>
///
/// # Errors
/// When the variable holds no number.
pub fn source_date_epoch() -> Result<Option<FileTime>> {
    let Some(value) = std::env::var_os("SOURCE_DATE_EPOCH") else {
        return Ok(None);
    };
    let seconds = value
        .to_str()
        .and_then(|text| text.parse().ok())
        .with_context(|| {
            format!("SOURCE_DATE_EPOCH is {value:?}: give whole seconds since 1970")
        })?;
    Ok(Some(FileTime {
        seconds,
        nanoseconds: 0,
    }))
}

/// The options that `run` and `pack` share.
///
/// # Errors
/// Names the pattern, list file or path that is wrong.
pub fn options(select: &SelectArgs, root: &Path) -> Result<Options> {
    let mut include: Vec<Vec<u8>> = bytes_of(&select.include);
    for file in &select.include_from {
        let text = fs::read(file)
            .with_context(|| format!("cannot read --include-from {}", file.display()))?;
        include.extend(parse_file(&text));
    }
    Ok(Options {
        listed: match select.listed {
            ListedName::Auto => Listed::Auto,
            ListedName::Full => Listed::Full,
            ListedName::Skip => Listed::Skip,
        },
        probed: match select.probed {
            ProbedName::Full => Probed::Full,
            ProbedName::Skip => Probed::Skip,
        },
        include: Patterns::new(include).context("--include")?,
        exclude: Patterns::new(bytes_of(&select.exclude)).context("--exclude")?,
        include_exe: include_exe(select),
        presets: select.preset.iter().copied().map(preset).collect(),
        include_mounts: select
            .include_mount
            .iter()
            .map(|path| {
                ImagePath::new(path.as_bytes()).with_context(|| {
                    format!("--include-mount {}: give an absolute path", path.display())
                })
            })
            .collect::<Result<_>>()?,
        package_metadata: match select.keep_package_metadata {
            PackageMetadataName::Auto => PackageMetadata::Auto,
            PackageMetadataName::Full => PackageMetadata::Full,
            PackageMetadataName::Off => PackageMetadata::Off,
        },
        mounts: mounts(root)?,
        ..Options::default()
    })
}

/// A shell is a program like any other, under the name that scripts know.
fn include_exe(select: &SelectArgs) -> Vec<Vec<u8>> {
    let shell = select.include_shell.then(|| b"/bin/sh".to_vec());
    let named = bytes_of(&select.include_exe);
    named.into_iter().chain(shell).collect()
}

fn preset(name: PresetName) -> Preset {
    match name {
        PresetName::CaCertificates => Preset::CaCertificates,
        PresetName::Nss => Preset::Nss,
        PresetName::Tzdata => Preset::Tzdata,
        PresetName::Locales => Preset::Locales,
        PresetName::PythonPackage => Preset::PythonPackage,
    }
}

/// The mount table matters where we look at `/`; in an unpacked image nothing is mounted.
fn mounts(root: &Path) -> Result<Mounts> {
    if root != Path::new("/") {
        return Ok(Mounts::none());
    }
    let table = fs::read("/proc/self/mountinfo")
        .context("cannot read /proc/self/mountinfo: is /proc mounted?")?;
    Ok(Mounts::parse(&table)?)
}

fn bytes_of(words: &[OsString]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}
