//! Outputs that are written while the application still runs, and go on from there: what was
//! written stays, as far as it would be written again.

use super::PackError;
use super::compress::Compression;
use super::digests::{Digester, Digests};
use super::layer::{Job, LayerSummary, Pieces};
use super::oci::{ImageSummary, LayerPlace, begin_image, finish_image};
use super::one_pass::{Begun, ImageSpec, MAX_LAYER, Notes, is_plain, patch, write_twice};
use super::output::Output;
use super::stream::BLOCK;
use crate::image_fs::ImageFs;
use crate::manifest::Manifest;
use sha2::Digest;
use std::path::Path;

/// How much is read back at once.
const BUFFER: usize = 256 * 1024;

/// A tarball, and perhaps the image of it, under their temporary names.
pub struct Ahead {
    rootfs: Output,
    /// `None` where there is to be none, or it cannot be written in one pass.
    image: Option<(Output, LayerPlace)>,
    wants_digests: bool,
    pieces: Pieces,
    /// Beginnings of the layer whose hash is known, the shortest first.
    marks: Vec<Begun>,
}

/// Finished outputs, under their temporary names still.
pub struct Finished {
    /// The tarball.
    pub rootfs: Output,
    /// The image, where it could be written in one pass.
    pub image: Option<(Output, ImageSummary)>,
}

impl Ahead {
    /// Begins with nothing. Both are files that can be gone back in. An image whose layer is to be
    /// compressed cannot, and is not begun.
    ///
    /// # Errors
    /// [`PackError`] when the image cannot be written.
    pub fn begin(
        rootfs: Output,
        image: Option<Output>,
        compression: Compression,
    ) -> Result<Self, PackError> {
        let wants_digests = image.is_some();
        let image = image.filter(|_| compression == Compression::None);
        let begun = image.map(|mut image| {
            let place = begin_image(&mut image)?;
            Ok((image, place))
        });
        Ok(Self {
            rootfs,
            image: begun.transpose()?,
            wants_digests,
            pieces: Pieces::default(),
            marks: Vec::new(),
        })
    }

    /// Where they are now.
    pub fn temporary_paths(&self) -> Vec<&Path> {
        let image = self.image.as_ref().map(|(image, _)| image.temporary_path());
        std::iter::once(self.rootfs.temporary_path())
            .chain(image)
            .collect()
    }

    /// Makes the layer hold what [`super::write_layer`] would write, in the order in which it came
    /// and with directories last. Read and written is what is new, and what follows the first
    /// entry that is other than before or of a file that has changed since.
    ///
    /// # Errors
    /// As [`super::write_layer`]; what was written whole stays of use.
    pub fn advance(
        &mut self,
        fs: &dyn ImageFs,
        manifest: &Manifest,
    ) -> Result<(LayerSummary, Digests), PackError> {
        if self.image.is_some() && !is_plain(fs, manifest) {
            self.image = None;
        }
        let mut job = Job::new(fs, manifest, Digester::wanted(self.wants_digests));
        job.skip(&mut self.pieces)?;
        let begun = self.go_back()?;
        let notes = Notes {
            pieces: &mut self.pieces,
            marks: &mut self.marks,
        };
        let image = self.image.as_mut().map(|(image, _)| image);
        let image = image.map(|image| (image, Compression::None));
        let written = write_twice(job, begun, Some(notes), &mut self.rootfs, image);
        written.map(|(layer, digests, _)| (layer, digests))
    }

    /// To the end of the last piece.
    fn go_back(&mut self) -> Result<Begun, PackError> {
        let end = self.pieces.end();
        self.marks.retain(|mark| mark.length <= end);
        let mut begun = self.marks.last().cloned().unwrap_or_default();
        self.rootfs.cut(end).map_err(PackError::Output)?;
        let mut buffer = vec![0; BUFFER];
        while begun.length < end {
            let length = (end - begun.length).min(BUFFER as u64);
            let part = &mut buffer[..length as usize];
            self.rootfs
                .read_back(part, begun.length)
                .map_err(PackError::Output)?;
            begun.hash.update(part);
            begun.length += length;
        }
        if let Some((image, place)) = &mut self.image {
            image
                .cut(place.0 + BLOCK + end)
                .map_err(PackError::Output)?;
        }
        Ok(begun)
    }

    /// Ends the image, once the layer is what it shall be. There is none where the layer differs
    /// from the tarball or is very large, as with [`super::write_layer_and_image`].
    ///
    /// # Errors
    /// As [`super::write_image`].
    pub fn finish(
        self,
        layer: &LayerSummary,
        wish: Option<&ImageSpec>,
    ) -> Result<Finished, PackError> {
        let is_plain = layer.sparse_entries == 0 && layer.tar_bytes <= MAX_LAYER;
        let image = match (self.image, wish) {
            (Some((mut image, place)), Some(wish)) if is_plain => {
                let (header, summary) = finish_image(layer, None, wish, &mut image)?;
                patch(&mut image, place, &header).map_err(PackError::writing)?;
                Some((image, summary))
            }
            _ => None,
        };
        Ok(Finished {
            rootfs: self.rootfs,
            image,
        })
    }
}

#[cfg(test)]
mod tests;
