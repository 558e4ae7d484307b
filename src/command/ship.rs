//! Recording to outputs: the part that `run` and `pack` share.

use super::artifacts::{self, Made, Traced, write_tellers};
use super::attempts::{Attempt, resolve_and_write};
use super::decided;
use super::file_list::file_list;
use super::image::ImageWish;
use super::passes::{commit_both, write_files};
use super::progress::Progress;
use super::told::{tell, tell_changes_of_others, tell_exclusions, tell_torn};
pub use super::whole::{source_date_epoch, write_whole};
use crate::image_fs::ImageFs;
use crate::image_path::ImagePath;
use crate::manifest::Manifest;
use crate::pack::{
    Ahead, Digests, Guesses, ImageConfig, ImageSpec, ImageSummary, LayerSummary, Output, PackError,
    Remarks, descriptor_of, dockerfile_with_losses, write_image, write_image_in_place,
};
use crate::recording::Recording;
use crate::report::Inventory;
use crate::resolve::Options;
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

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
    /// Whether the disk is not to be waited for any more.
    pub hurry: Arc<AtomicBool>,
    /// What was written of them already.
    pub ahead: Mutex<Option<Ahead>>,
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
    /// What is said of the image's configuration, where one was made.
    pub remarks: Remarks,
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

    /// The image's file, where there is to be one.
    pub fn image_path(&self) -> Option<PathBuf> {
        self.artifacts
            .as_ref()
            .map(|artifacts| artifacts.join(IMAGE))
    }

    /// They are not written from the beginning.
    pub fn go_on_from(&self, ahead: Ahead) {
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner) = Some(ahead);
    }

    /// Whether they can be written more than once: a stream has been read by then.
    pub fn rootfs_is_a_file(&self) -> bool {
        self.rootfs.as_path() != Path::new("-")
            && fs::metadata(&self.rootfs).is_ok_and(|meta| meta.is_file()) | !self.rootfs.exists()
    }

    /// Physical paths of the outputs, of this program and of these other files of ours, where
    /// they lie in the image: they are not the application's.
    pub fn own(&self, root: &Path, others: &[PathBuf]) -> Vec<ImagePath> {
        let mut files = self.files();
        files.extend_from_slice(others);
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
        own: [outputs.own(root, &[]), options.own].concat(),
        ..options
    };
    let progress = Progress::start(recording.uses.len(), traced.is_awaited);
    let (manifest, written) =
        resolve_and_write(fs, recording, &options, outputs, &progress, &write);
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
    let written = written?;
    let layer = written.layer;
    tell(&layer.losses);
    tell_torn(&layer);
    if layer.sparse_entries > 0 {
        tracing::warn!(
            "{} holds {} sparse files: load image.tar instead of importing it, since engines \
             cannot save or push an image of it",
            outputs.rootfs.display(),
            layer.sparse_entries
        );
    }
    let mut inventory = None;
    let lost =
        manifest.losses.len() + layer.losses.len() + layer.changed.len() + written.lost + changed;
    if let Some(artifacts) = &outputs.artifacts {
        progress.telling();
        let made = Made {
            fs,
            recording,
            traced,
            manifest: &manifest,
            layer: &layer,
            digests: &written.digests,
        };
        inventory = Some(write_tellers(&made, outputs, artifacts)?);
    }
    Ok(Shipped {
        manifest,
        layer,
        inventory,
        lost,
        remarks: written.remarks,
    })
}

/// What was written of a layer and its image.
pub struct Artifacts {
    layer: LayerSummary,
    digests: Digests,
    /// How many different losses were told.
    lost: usize,
    remarks: Remarks,
}

/// Writes what the manifest says, by this attempt.
fn write(
    fs: &dyn ImageFs,
    recording: &Recording,
    manifest: &Manifest,
    outputs: &Outputs,
    attempt: Attempt,
) -> Result<Artifacts> {
    if let Some(artifacts) = &outputs.artifacts {
        return write_artifacts((fs, recording, manifest), outputs, artifacts, attempt);
    }
    let (finished, layer, digests) = write_files(fs, manifest, outputs, None, attempt)?;
    finished.rootfs.commit_unless(&outputs.hurry)?;
    Ok(Artifacts {
        layer,
        digests,
        lost: 0,
        remarks: Remarks::default(),
    })
}

fn write_artifacts(
    (fs, recording, manifest): (&dyn ImageFs, &Recording, &Manifest),
    outputs: &Outputs,
    artifacts: &Path,
    attempt: Attempt,
) -> Result<Artifacts> {
    let (config, remarks) = image_config(recording, manifest, outputs)?;
    let path = artifacts.join(IMAGE);
    let wish = ImageSpec {
        config: &config,
        tag: outputs.tag.as_deref(),
        created: source_date_epoch()?,
        compression: outputs.image.compression,
    };
    let (finished, layer, digests) =
        write_files(fs, manifest, outputs, Some((&path, &wish)), attempt)?;
    let image_summary = match finished.image {
        Some((image, written)) => {
            commit_both(finished.rootfs, image, &outputs.hurry)?;
            written
        }
        None => {
            finished.rootfs.commit_unless(&outputs.hurry)?;
            write_image_again(&layer, &wish, outputs, &path)?
        }
    };
    tell(&image_summary.losses);
    tracing::debug!("{}: {}", path.display(), image_summary.manifest_digest);

    let rootfs_name = outputs
        .rootfs
        .file_name()
        .unwrap_or(OsStr::new("rootfs.tar"));
    let (dockerfile, losses) =
        dockerfile_with_losses(&config, &remarks, &rootfs_name.to_string_lossy());
    tell(&losses);
    write_whole(&artifacts.join(DOCKERFILE), &dockerfile)?;
    write_whole(
        &artifacts.join(artifacts::FILES),
        &file_list(fs, manifest, artifacts::FILES),
    )?;
    Ok(Artifacts {
        layer,
        digests,
        lost: losses.len() + image_summary.losses.len(),
        remarks,
    })
}

/// An image whose layer is not the tarball: sparse files are written out in it, or it is compressed
/// and the tarball was packed ahead.
fn write_image_again(
    layer: &LayerSummary,
    wish: &ImageSpec,
    outputs: &Outputs,
    path: &Path,
) -> Result<ImageSummary> {
    let mut tarball = File::open(&outputs.rootfs)
        .with_context(|| format!("cannot read {} again", outputs.rootfs.display()))?;
    let mut image = Output::create(path)?;
    let sha256 = layer.sha256;
    let written = match image.is_seekable() {
        true => write_image_in_place(&mut tarball, sha256, wish, &mut image),
        false => write_image(&mut tarball, sha256, wish, &mut image),
    };
    let written = written.map_err(|error| writing(path, error))?;
    image.commit_unless(&outputs.hurry)?;
    Ok(written)
}

/// An error of an output's own names it already.
pub fn writing(path: &Path, error: PackError) -> anyhow::Error {
    match error {
        PackError::Output(error) => error.into(),
        error => anyhow::Error::new(error).context(format!("cannot write {}", path.display())),
    }
}

/// That of the original image where it is known, else that of the traced command and of what it
/// did, with what is a guess.
fn image_config(
    recording: &Recording,
    manifest: &Manifest,
    outputs: &Outputs,
) -> Result<(ImageConfig, Remarks)> {
    let wish = |config: &mut ImageConfig| outputs.image.apply(config).map_err(anyhow::Error::msg);
    if let Some(original) = &outputs.image.original {
        let mut config = original.clone();
        wish(&mut config)?;
        return Ok((config, Remarks::default()));
    }
    let keep = |name: &str| outputs.keep_env.iter().any(|kept| kept == name);
    let (mut config, secrets) = ImageConfig::from_context(&recording.context, &keep);
    keep_home_without_passwd(&mut config, recording, manifest);
    tell_secrets(&secrets);
    let guesses = Guesses::new(recording, manifest, &outputs.own(Path::new("/"), &[]));
    guesses.apply(&mut config);
    wish(&mut config)?;
    let mut asked = ImageConfig::default();
    wish(&mut asked)?;
    let remarks = guesses.remarks(&config, &asked);
    Ok((config, remarks))
}

/// Names the variables that are not in the image.
pub fn tell_secrets(secrets: &[String]) {
    if !secrets.is_empty() {
        tracing::warn!(
            "left out of the image because they look like secrets: {}; keep one with --keep-env \
             NAME, or give them when the container is started",
            secrets.join(", ")
        );
    }
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
