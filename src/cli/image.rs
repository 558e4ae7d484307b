//! Options that concern the image's configuration.

use super::{CompressName, LogArgs};
use clap::Args;
use std::path::PathBuf;

/// What the image is started with.
#[derive(Debug, Args)]
pub struct ImageArgs {
    /// Take over the configuration of this image: the output of docker image inspect, podman image inspect or skopeo inspect --config --raw
    #[arg(long, value_name = "FILE", env = "MICROPACKER_IMAGE_CONFIG")]
    pub image_config: Option<PathBuf>,
    /// Change the image's configuration by this instruction of a Dockerfile, as docker import --change does
    #[arg(
        long,
        value_name = "INSTRUCTION",
        env = "MICROPACKER_CHANGE",
        value_delimiter = '\n'
    )]
    pub change: Vec<String>,
    /// How the layer in image.tar is compressed
    #[arg(long, value_enum, env = "MICROPACKER_COMPRESS", default_value = "none")]
    pub compress: CompressName,
}

/// What the image is started with, and so the traced command.
#[derive(Debug, Args)]
pub struct RunImageArgs {
    #[command(flatten)]
    #[allow(missing_docs, reason = "its own type tells")]
    pub image: ImageArgs,
    /// Run the command as this user, by name or ID, where micropacker is root; 0: as root
    #[arg(long, value_name = "USER[:GROUP]", env = "MICROPACKER_USER")]
    pub user: Option<String>,
}

/// Options of `image`.
#[derive(Debug, Args)]
pub struct ImageOnlyArgs {
    /// The root file system tarball
    #[arg(long, value_name = "FILE", default_value = "rootfs.tar")]
    pub rootfs: PathBuf,
    /// The image to write, for docker load and podman load
    #[arg(short, long, value_name = "FILE", default_value = "image.tar")]
    pub output: PathBuf,
    /// Name of the image, as for docker tag
    #[arg(long, value_name = "NAME")]
    pub tag: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "its own type tells")]
    pub image: ImageArgs,
    #[command(flatten)]
    #[allow(missing_docs, reason = "its own type tells")]
    pub log: LogArgs,
}
