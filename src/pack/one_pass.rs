//! The root file system's tarball and the image of it in one pass: each file is read once and
//! hashed once. One thread reads and writes the tarball, another one hashes and writes the
//! image, which holds the same bytes.

use super::PackError;
use super::compress::{Compressed, Compression, LayerWriter};
use super::config::ImageConfig;
use super::digests::{Digester, Digests};
use super::layer::{Job, LayerSummary, Pieces};
use super::oci::{ImageSummary, LayerPlace, begin_image, finish_image};
use super::sparse::SparseMap;
use super::stream::Stream;
use crate::image_fs::{FileKind, FileTime, ImageFs};
use crate::manifest::{Manifest, Source};
use crossbeam_channel::{Receiver, Sender, bounded};
use sha2::{Digest, Sha256};
use std::io::{self, Seek, SeekFrom, Write};

/// How many bytes travel to the other thread together.
const CHUNK: usize = 1 << 20;
/// How many such are on their way at most.
const AHEAD: usize = 4;
/// A layer of this size needs an extended header, for which no room was left. Far from the limit
/// of 8 GiB, since what is estimated are the files alone.
pub(super) const MAX_LAYER: u64 = 7 << 30;

/// What an image says beside its files.
#[derive(Clone, Copy)]
pub struct ImageSpec<'a> {
    /// How a container of it starts.
    pub config: &'a ImageConfig,
    /// Its name.
    pub tag: Option<&'a str>,
    /// When it was made.
    pub created: Option<FileTime>,
    /// How its layer is compressed.
    pub compression: Compression,
}

/// What was written.
pub struct Written {
    /// The tarball.
    pub layer: LayerSummary,
    /// The digest of each regular file, where there is to be an image.
    pub digests: Digests,
    /// The image.
    pub image: Option<ImageSummary>,
}

/// Writes the layer as [`super::write_layer_with_digests`] does, and at the same time the image as
/// [`super::write_image`] does. Gives no summary of an image where that cannot be done in one
/// pass, since the image's layer differs from the tarball (sparse files) or is very large; what
/// was written to `image` is no image then.
///
/// # Errors
/// As those two.
pub fn write_layer_and_image<W: Write + Seek + Send>(
    fs: &dyn ImageFs,
    manifest: &Manifest,
    out: &mut dyn Write,
    image: Option<(&mut W, &ImageSpec)>,
) -> Result<Written, PackError> {
    let digester = Digester::wanted(image.is_some());
    let mut image = image.filter(|_| is_plain(fs, manifest));
    let place = match &mut image {
        Some((image, _)) => Some(begin_image(image)?),
        None => None,
    };
    let copy = image
        .as_mut()
        .map(|(image, wish)| (&mut **image, wish.compression));
    let job = Job::new(fs, manifest, digester);
    let (layer, digests, compressed) = write_twice(job, Begun::default(), None, out, copy)?;
    let mut written = Written {
        layer,
        digests,
        image: None,
    };
    let (Some((image, wish)), Some(place)) = (image, place) else {
        return Ok(written);
    };
    // Something has changed since it was looked at.
    if written.layer.sparse_entries > 0 || written.layer.tar_bytes > MAX_LAYER {
        return Ok(written);
    }
    let (header, summary) = finish_image(&written.layer, compressed, wish, image)?;
    patch(image, place, &header).map_err(PackError::writing)?;
    written.image = Some(summary);
    Ok(written)
}

/// Fills in the layer's header.
pub(super) fn patch(
    image: &mut (impl Write + Seek),
    place: LayerPlace,
    header: &[u8],
) -> io::Result<()> {
    image.seek(SeekFrom::Start(place.0))?;
    image.write_all(header)?;
    image.flush()
}

/// Whether the layer will be the tarball, as far as can be told before it is written.
pub(super) fn is_plain(fs: &dyn ImageFs, manifest: &Manifest) -> bool {
    let mut size: u64 = 0;
    for (path, entry) in &manifest.entries {
        let Some(meta) = entry.meta.filter(|meta| meta.kind == FileKind::Regular) else {
            continue;
        };
        if entry.source != Source::Image {
            continue;
        }
        size = size.saturating_add(meta.size);
        if meta.allocated >= meta.size {
            continue;
        }
        // What cannot be read is told when it is packed.
        let holes = fs.open(path).and_then(|file| {
            let runs = file.data_runs()?;
            Ok(SparseMap::new(file.len(), &runs))
        });
        if let Ok(Some(_)) = holes {
            return false;
        }
    }
    size <= MAX_LAYER
}

/// A layer's beginning that is there already.
#[derive(Clone, Default)]
pub(super) struct Begun {
    /// How many bytes.
    pub length: u64,
    /// Their hash, which goes on.
    pub hash: Sha256,
}

/// What makes it possible to go on later from what is written now.
pub(super) struct Notes<'a> {
    pub pieces: &'a mut Pieces,
    /// Beginnings of the layer, the shortest first.
    pub marks: &'a mut Vec<Begun>,
}

/// Writes the rest of a layer to both.
pub(super) fn write_twice<W: Write + Send>(
    job: Job,
    begun: Begun,
    notes: Option<Notes>,
    out: &mut dyn Write,
    copy: Option<(&mut W, Compression)>,
) -> Result<(LayerSummary, Digests, Option<Compressed>), PackError> {
    let (sender, chunks) = bounded(AHEAD);
    let (spent, empty) = bounded(AHEAD);
    let (pieces, marks) = notes.map(|notes| (notes.pieces, notes.marks)).unzip();
    let length = begun.length;
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("layer".to_owned())
            .spawn_scoped(scope, move || {
                hash_and_copy(&chunks, &spent, (begun, marks), copy)
            })
            .map_err(PackError::Write)?;
        let mut tee = Tee {
            out,
            chunk: Vec::with_capacity(CHUNK),
            sender,
            empty,
        };
        let written = job.write(Stream::resumed(&mut tee, length), pieces);
        // After a failure too: the pieces that are whole are of use only if they are there.
        let handed = tee.hand_over().and_then(|()| tee.out.flush());
        let written = written.and_then(|summary| {
            handed.map_err(PackError::writing)?;
            Ok(summary)
        });
        drop(tee);
        // Its failure is the cause of one here.
        let (sha256, compressed) = match thread.join() {
            Ok(hashed) => hashed.map_err(PackError::writing)?,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        let (summary, digests) = written?;
        Ok((LayerSummary { sha256, ..summary }, digests, compressed))
    })
}

/// Hands everything on to a writer and, in large pieces, to the other thread.
struct Tee<'a> {
    out: &'a mut dyn Write,
    chunk: Vec<u8>,
    sender: Sender<Vec<u8>>,
    /// Chunks to be filled again.
    empty: Receiver<Vec<u8>>,
}

impl Tee<'_> {
    fn hand_over(&mut self) -> io::Result<()> {
        self.out.write_all(&self.chunk)?;
        let next = self.empty.try_recv();
        let next = next.unwrap_or_else(|_| Vec::with_capacity(CHUNK));
        let full = std::mem::replace(&mut self.chunk, next);
        let gone = |_| io::Error::other("the image cannot be written");
        self.sender.send(full).map_err(gone)
    }
}

impl Write for Tee<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(CHUNK - self.chunk.len());
        self.chunk.extend(bytes.iter().take(taken));
        if self.chunk.len() >= CHUNK {
            self.hand_over()?;
        }
        Ok(taken)
    }

    /// What is not yet a whole chunk goes with the last one.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn hash_and_copy(
    chunks: &Receiver<Vec<u8>>,
    spent: &Sender<Vec<u8>>,
    (begun, mut marks): (Begun, Option<&mut Vec<Begun>>),
    copy: Option<(&mut (impl Write + Send), Compression)>,
) -> io::Result<([u8; 32], Option<Compressed>)> {
    let Begun {
        mut length,
        mut hash,
    } = begun;
    let copy = copy.map(|(out, compression)| LayerWriter::new(compression, out));
    let mut copy = copy.transpose()?;
    for mut chunk in chunks {
        hash.update(&chunk);
        length += chunk.len() as u64;
        if let Some(marks) = &mut marks {
            let hash = hash.clone();
            marks.push(Begun { length, hash });
        }
        if let Some(copy) = &mut copy {
            copy.write_all(&chunk)?;
        }
        chunk.clear();
        let _ = spent.try_send(chunk);
    }
    let compressed = copy.map(LayerWriter::finish).transpose()?.flatten();
    Ok((hash.finalize().into(), compressed))
}

#[cfg(test)]
mod tests;
