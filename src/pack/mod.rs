//! Writers: manifest to files. Each output is deterministic, is streamed, and gets its final
//! name only when it is complete.

mod acl;
mod ahead;
mod blob;
mod compress;
mod dense;
mod descriptor;
mod digests;
mod header;
mod layer_source;
mod pax;
mod rfc3339;
mod secrets;
mod sparse;
mod stream;
mod tag;
mod xattrs;

pub mod change;
pub mod config;
pub mod dockerfile;
pub mod guess;
pub mod inspect;
pub mod layer;
pub mod oci;
pub mod one_pass;
pub mod output;

pub use crate::sys::work_when_idle;
pub use ahead::{Ahead, Finished};
pub use change::{ChangeError, change};
pub use compress::Compression;
pub use config::{Health, ImageConfig, looks_like_secret};
pub use descriptor::descriptor_of;
pub use digests::Digests;
pub use dockerfile::{Remarks, dockerfile, dockerfile_with_losses};
pub use guess::Guesses;
pub use inspect::{InspectError, parse_image_config};
pub use layer::{LayerSummary, write_layer, write_layer_with_digests};
pub use oci::{ImageSummary, write_image, write_image_in_place};
pub use one_pass::{ImageSpec, Written, write_layer_and_image};
pub use output::{Output, OutputError};
pub use rfc3339::rfc3339;
pub use tag::full_tag;

use crate::image_path::ImagePath;
use nix::errno::Errno;
use sha2::{Digest, Sha256};
use std::io::{self, Read};
use thiserror::Error;

/// Why a file could not be written. Each is one line that names the path and the operation.
#[derive(Debug, Error)]
pub enum PackError {
    /// An entry that was there when the manifest was made is gone.
    #[error("{path} vanished before it was packed (cannot {operation} it): pack again")]
    Vanished {
        /// The entry.
        path: ImagePath,
        /// What was tried.
        operation: &'static str,
    },
    /// An entry could not be read.
    #[error(
        "cannot {operation} {path}: {source}; mend that, or leave it out with --exclude {path}"
    )]
    Read {
        /// The entry.
        path: ImagePath,
        /// What was tried.
        operation: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A file became shorter after its length had been written into its header.
    #[error("{path} shrank from {expected} to {found} bytes while it was packed: pack again")]
    Shrank {
        /// The file.
        path: ImagePath,
        /// Bytes when it was opened.
        expected: u64,
        /// Where reading it came to its end.
        found: u64,
    },
    /// A file was written to while it was read.
    #[error("{0} was changed while it was packed: pack again")]
    Changed(ImagePath),
    /// An image cannot have this name.
    #[error(
        "{0} is no name of an image: lower-case letters and digits, then perhaps : and a tag, \
         as in registry.example/app:1.0"
    )]
    Tag(String),
    /// An image cannot hold this time, in seconds since the epoch.
    #[error("{0} seconds since 1970 is no time an image can hold: choose one in years 0 to 9999")]
    Created(i64),
    /// The configuration could not be put into words.
    #[error("cannot describe the image: {0}")]
    Describe(String),
    /// The root file system's tarball could not be read.
    #[error("cannot read the root file system's tarball: {0}")]
    Layer(io::Error),
    /// The root file system's tarball is not the one whose digest is known.
    #[error("the root file system's tarball changed while it was read: pack again")]
    LayerChanged,
    /// The output could not be written; the message names it.
    #[error(transparent)]
    Output(OutputError),
    /// The output could not be written.
    #[error("cannot write the output: {0}")]
    Write(io::Error),
}

impl PackError {
    fn reading(path: &ImagePath, operation: &'static str, source: io::Error) -> Self {
        let path = path.clone();
        if source.kind() == io::ErrorKind::NotFound {
            return Self::Vanished { path, operation };
        }
        Self::Read {
            path,
            operation,
            source,
        }
    }

    /// Whether an entry was not, or did not stay, what the manifest says: another look at the tree
    /// may make another manifest.
    pub fn is_change(&self) -> bool {
        match self {
            Self::Vanished { .. } | Self::Shrank { .. } | Self::Changed(_) => true,
            // A file, a directory on the way, or a symlink is now something else.
            Self::Read { source, .. } => matches!(
                source.raw_os_error().map(Errno::from_raw),
                Some(Errno::ELOOP | Errno::ENOTDIR | Errno::ENXIO | Errno::EINVAL)
            ),
            _ => false,
        }
    }

    /// An [`Output`] wraps its own error, which already names the file and the remedy.
    fn writing(error: io::Error) -> Self {
        match error.downcast::<OutputError>() {
            Ok(output) => Self::Output(output),
            Err(error) => Self::Write(error),
        }
    }
}

/// SHA-256 of all that is left to read.
///
/// # Errors
/// What the reader said.
pub fn sha256_of(reader: &mut impl Read) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(hash.finalize().into()),
            Ok(read) => hash.update(buffer.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
