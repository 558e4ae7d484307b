//! What an image names by its digest.

use super::PackError;
use super::compress::{Compressed, Compression};
use super::oci::describe;
use oci_spec::image::{Descriptor, MediaType, Sha256Digest};
use sha2::{Digest, Sha256};
use std::str::FromStr;

/// A layer as it is in the image, and as it is unpacked.
pub(super) struct Layer {
    pub(super) blob: Blob,
    /// `sha256:…` of the tarball, which tells engines that it is the right one.
    pub(super) diff_id: String,
}

impl Layer {
    /// Of a tarball with this SHA-256 and length.
    pub(super) fn new(
        tar_sha256: [u8; 32],
        tar_bytes: u64,
        compression: Compression,
        compressed: Option<Compressed>,
    ) -> Self {
        let (sha256, size) = match compressed {
            Some(compressed) => (compressed.sha256, compressed.size),
            None => (tar_sha256, tar_bytes),
        };
        Self {
            blob: Blob {
                media_type: compression.media_type(),
                sha256: hex(&sha256),
                size,
            },
            diff_id: format!("sha256:{}", hex(&tar_sha256)),
        }
    }
}

/// Something that is named by its digest.
pub(super) struct Blob {
    pub(super) media_type: MediaType,
    pub(super) sha256: String,
    pub(super) size: u64,
}

impl Blob {
    pub(super) fn of(media_type: MediaType, content: &[u8]) -> Self {
        Self {
            media_type,
            sha256: hex(&Sha256::digest(content)),
            size: content.len() as u64,
        }
    }

    pub(super) fn path(&self) -> String {
        format!("blobs/sha256/{}", self.sha256)
    }

    pub(super) fn digest(&self) -> String {
        format!("sha256:{}", self.sha256)
    }

    pub(super) fn descriptor(&self) -> Result<Descriptor, PackError> {
        let digest = describe(Sha256Digest::from_str(&self.sha256))?;
        Ok(Descriptor::new(self.media_type.clone(), self.size, digest))
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
