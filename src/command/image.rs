//! `micropacker image`: a root file system tarball to an image, and what `run` and `pack` are told
//! of the image they make.

use super::ship::source_date_epoch;
use super::{Failure, start_logging};
use crate::cli::{CompressName, ImageArgs, ImageOnlyArgs};
use crate::exit;
use crate::pack::{
    Compression, ImageConfig, ImageSpec, Output, change, parse_image_config, sha256_of,
    write_image, write_image_in_place,
};
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::process::ExitCode;

/// The original image's configuration, and what is to be different.
#[derive(Clone, Debug, Default)]
pub struct ImageWish {
    /// What `--image-config` says.
    pub original: Option<ImageConfig>,
    /// The same as it was read.
    pub text: Option<Vec<u8>>,
    /// What `--change` says.
    pub changes: Vec<String>,
    /// What `--compress` says.
    pub compression: Compression,
}

impl ImageWish {
    /// Reads and checks what the command line says.
    ///
    /// # Errors
    /// Names the file or the instruction that is wrong, with the status of wrong usage.
    pub fn new(args: &ImageArgs) -> Result<Self> {
        let text = match &args.image_config {
            Some(file) => Some(fs::read(file).map_err(|error| {
                let message = format!("--image-config {}: {error}", file.display());
                Failure::new(exit::USAGE, message)
            })?),
            None => None,
        };
        let named = args
            .image_config
            .as_ref()
            .map(|file| file.display().to_string());
        let named = named.as_deref().unwrap_or_default();
        Ok(Self {
            compression: match args.compress {
                CompressName::None => Compression::None,
                CompressName::Gzip => Compression::Gzip,
                CompressName::Zstd => Compression::Zstd,
            },
            ..Self::of(text, args.change.clone(), named)?
        })
    }

    /// Of a configuration's text, which is `named` so, and instructions.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of(text: Option<Vec<u8>>, changes: Vec<String>, named: &str) -> Result<Self> {
        let original = text.as_deref().map(parse_image_config).transpose();
        let original = original.map_err(|error| {
            Failure::new(exit::USAGE, format!("--image-config {named}: {error}"))
        })?;
        let wish = Self {
            original,
            text,
            changes,
            compression: Compression::None,
        };
        wish.apply(&mut ImageConfig::default())
            .map_err(|error| Failure::new(exit::USAGE, error))?;
        Ok(wish)
    }

    /// Whether it says what the image starts, so that what was traced does not.
    pub fn tells_command(&self) -> bool {
        let mut told = ImageConfig::default();
        self.original.is_some()
            || self.apply(&mut told).is_ok() && !(told.entrypoint.is_empty() && told.cmd.is_empty())
    }

    /// Makes the changes.
    ///
    /// # Errors
    /// Names the instruction that is none.
    pub fn apply(&self, config: &mut ImageConfig) -> Result<(), String> {
        for instruction in &self.changes {
            change(config, instruction)
                .map_err(|error| format!("--change {instruction:?}: {error}"))?;
        }
        Ok(())
    }
}

/// Makes an image.
pub fn run(args: &ImageOnlyArgs) -> Result<ExitCode> {
    start_logging(&args.log);
    let wish = ImageWish::new(&args.image)?;
    let mut config = match wish.original.clone() {
        Some(original) => original,
        None => {
            tracing::warn!(
                "no --image-config: the image has no command, environment or user but what \
                 --change gives it"
            );
            ImageConfig::of_this_machine()
        }
    };
    wish.apply(&mut config).map_err(anyhow::Error::msg)?;
    let shown = args.rootfs.display();
    let mut tarball = File::open(&args.rootfs)
        .map_err(|error| Failure::new(exit::USAGE, format!("cannot read {shown}: {error}")))?;
    let sha256 = sha256_of(&mut tarball).with_context(|| format!("cannot read {shown}"))?;
    let mut image = Output::create(&args.output)?;
    let spec = ImageSpec {
        config: &config,
        tag: args.tag.as_deref(),
        created: source_date_epoch()?,
        compression: wish.compression,
    };
    let written = match image.is_seekable() {
        true => write_image_in_place(&mut tarball, sha256, &spec, &mut image),
        false => write_image(&mut tarball, sha256, &spec, &mut image),
    }
    .with_context(|| format!("cannot make an image of {shown}"))?;
    image.commit()?;
    for loss in &written.losses {
        tracing::warn!("{}", loss.what);
    }
    tracing::info!(
        "{}: {}",
        args.output.display(),
        written.tag.as_deref().unwrap_or(&written.config_digest)
    );
    Ok(ExitCode::SUCCESS)
}
