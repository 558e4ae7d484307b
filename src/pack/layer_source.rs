//! The root file system's tarball on its way into an image's layer.

use super::PackError;
use super::blob::{Blob, Layer};
use super::compress::{Compression, LayerWriter};
use super::dense;
use super::stream::Stream;
use crate::recording::Loss;
use sha2::{Digest, Sha256};
use std::io::{self, Read, Seek, Write};

/// Holes beyond this many bytes stay holes.
const MAX_ZEROS: u64 = 256 << 20;

/// Reads a tarball whose digest is known, with its holes written out where affordable.
pub struct LayerSource<'a, R> {
    archive: &'a mut R,
    sha256: [u8; 32],
    holes: u64,
}

impl<'a, R: Read + Seek> LayerSource<'a, R> {
    /// Looks through the headers of `archive`.
    pub fn new(archive: &'a mut R, sha256: [u8; 32]) -> Result<Self, PackError> {
        let holes = dense::holes(archive).map_err(PackError::Layer)?;
        Ok(Self {
            archive,
            sha256,
            holes,
        })
    }

    fn is_rewritten(&self) -> bool {
        (1..=MAX_ZEROS).contains(&self.holes)
    }

    /// Bytes of the tarball that was given.
    pub fn size(&mut self) -> Result<u64, PackError> {
        self.archive
            .seek(io::SeekFrom::End(0))
            .map_err(PackError::Layer)
    }

    /// What the layer will be; reads all of it when it has to be rewritten or compressed.
    pub fn measure(&mut self, compression: Compression) -> Result<Layer, PackError> {
        if self.is_rewritten() || compression != Compression::None {
            return self.write(compression, &mut io::sink());
        }
        Ok(Layer::new(self.sha256, self.size()?, compression, None))
    }

    /// Writes the layer, which must be what was measured.
    pub fn copy(
        &mut self,
        blob: &Blob,
        compression: Compression,
        out: &mut dyn Write,
    ) -> Result<(), PackError> {
        let written = self.write(compression, out)?.blob;
        if (written.size, &written.sha256) != (blob.size, &blob.sha256) {
            return Err(PackError::LayerChanged);
        }
        Ok(())
    }

    /// Writes the layer.
    pub fn write(
        &mut self,
        compression: Compression,
        out: &mut dyn Write,
    ) -> Result<Layer, PackError> {
        let mut writer = LayerWriter::new(compression, out).map_err(PackError::writing)?;
        let mut stream = Stream::new(&mut writer);
        self.stream(&mut stream)?;
        let (size, sha256) = stream.sum();
        let compressed = writer.finish().map_err(PackError::writing)?;
        Ok(Layer::new(sha256, size, compression, compressed))
    }

    fn stream(&mut self, out: &mut Stream) -> Result<(), PackError> {
        let is_rewritten = self.is_rewritten();
        self.archive.rewind().map_err(PackError::Layer)?;
        let mut source = Hashed {
            archive: &mut *self.archive,
            hash: Sha256::new(),
            failure: None,
        };
        let copied = if is_rewritten {
            // What follows the end of the archive counts for its digest too.
            dense::densify(&mut source, out)
                .and_then(|()| io::copy(&mut source, &mut io::sink()).map(drop))
        } else {
            copy(&mut source, out)
        };
        if let Some(failure) = source.failure {
            return Err(PackError::Layer(failure));
        }
        match copied {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(PackError::LayerChanged);
            }
            other => other.map_err(PackError::writing)?,
        }
        let found: [u8; 32] = source.hash.finalize().into();
        if found != self.sha256 {
            return Err(PackError::LayerChanged);
        }
        Ok(())
    }

    /// What holds for a layer whose holes are too large to be written out.
    pub fn loss(&self) -> Option<Loss> {
        (self.holes > MAX_ZEROS).then(|| Loss {
            what: format!(
                "the layer keeps {} MiB of holes in files: docker and podman load and run it, \
                 but cannot save or push it again; copy image.tar with skopeo instead",
                self.holes >> 20
            ),
            count: 1,
        })
    }
}

fn copy(source: &mut impl Read, out: &mut Stream) -> io::Result<()> {
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => out.write_all(buffer.get(..read).unwrap_or_default())?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Hashes what is read, and keeps a failure apart from those of the writer.
struct Hashed<'a, R> {
    archive: &'a mut R,
    hash: Sha256,
    failure: Option<io::Error>,
}

impl<R: Read> Read for Hashed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.archive.read(buffer) {
            Ok(read) => {
                self.hash.update(buffer.get(..read).unwrap_or_default());
                Ok(read)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let kind = error.kind();
                self.failure = Some(error);
                Err(kind.into())
            }
        }
    }
}
