//! A layer that goes on from one that was written before, as far as that is the same: entry by
//! entry the same header, and a file that has not changed since it was read.
//!
//! What is new comes behind what is there, wherever its name would stand, so that one late file
//! does not cost all that follow it. Directories come last of all: GNU tar sets a directory's time
//! when it meets the first entry outside of it, and a second header for it is what Docker refuses.

use super::super::PackError;
use super::super::digests::{Digester, Digests};
use super::super::stream::Stream;
use super::{Body, COPY_BUFFER, Layer, LayerSummary, depth_first};
use crate::image_fs::{FileKind, ImageFs, Stamp};
use crate::image_path::ImagePath;
use crate::manifest::{Entry, Manifest};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// An entry of the archive that is whole.
struct Piece {
    path: ImagePath,
    /// Of its header, and of a content that we make ourselves.
    sha256: [u8; 32],
    /// Of the file that its content was read from.
    file: Option<Stamp>,
    /// The digest of its content, where those are wanted.
    digest: Option<[u8; 32]>,
    /// Where it ends in the archive.
    end: u64,
    /// Whether its content may be had by reading the file again, and no other way.
    is_torn: bool,
}

/// Entries that were written, in the order of the archive.
#[derive(Default)]
pub(in crate::pack) struct Pieces {
    pieces: Vec<Piece>,
    /// How many of them are as they would be written now; `None` while others are written.
    same: Option<usize>,
    /// Header and file of the entry that is being written.
    current: Option<([u8; 32], Option<Stamp>)>,
}

impl Pieces {
    /// Where the last whole entry ends.
    pub(in crate::pack) fn end(&self) -> u64 {
        self.pieces.last().map_or(0, |piece| piece.end)
    }

    /// An entry begins. Whether it has to be written.
    pub(super) fn begin(&mut self, header: &[u8], body: &Body) -> bool {
        let mut hash = Sha256::new();
        hash.update(header);
        let mut file = None;
        let mut may_be_same = true;
        match body {
            Body::Nothing => {}
            Body::Bytes(bytes) => hash.update(bytes),
            Body::File(stamp) => {
                file = *stamp;
                may_be_same = stamp.is_some();
            }
        }
        let sha256 = hash.finalize().into();
        let Some(same) = self.same else {
            self.current = Some((sha256, file));
            return true;
        };
        let known = self.pieces.get(same).filter(|known| {
            may_be_same && !known.is_torn && known.sha256 == sha256 && known.file == file
        });
        self.same = Some(same + usize::from(known.is_some()));
        false
    }

    /// The digest of the content of the last entry that was the same.
    pub(super) fn digest(&self) -> Option<[u8; 32]> {
        let last = self.same?.checked_sub(1)?;
        self.pieces.get(last)?.digest
    }

    /// The entry is whole, and ends here.
    fn finish(&mut self, path: &ImagePath, end: u64, digest: Option<[u8; 32]>, is_torn: bool) {
        if let Some((sha256, file)) = self.current.take() {
            self.pieces.push(Piece {
                path: path.clone(),
                sha256,
                file,
                digest,
                end,
                is_torn,
            });
        }
    }
}

/// The entries of a manifest on their way into an archive.
pub(in crate::pack) struct Job<'a> {
    fs: &'a dyn ImageFs,
    manifest: &'a Manifest,
    /// Those that are in the archive.
    done: BTreeSet<&'a ImagePath>,
    digester: Digester,
    first_links: BTreeMap<(u64, u64), Vec<u8>>,
    summary: LayerSummary,
}

impl<'a> Job<'a> {
    pub(in crate::pack) fn new(
        fs: &'a dyn ImageFs,
        manifest: &'a Manifest,
        digester: Digester,
    ) -> Self {
        Self {
            fs,
            manifest,
            done: BTreeSet::new(),
            digester,
            first_links: BTreeMap::new(),
            summary: LayerSummary::default(),
        }
    }

    /// What is not in the archive yet, in its order.
    fn left(&self, has_directories_last: bool) -> Vec<(&'a ImagePath, &'a Entry)> {
        let entries = self.manifest.entries.iter();
        let mut left: Vec<_> = entries
            .filter(|(path, _)| !self.done.contains(path))
            .collect();
        left.sort_by(|(a, _), (b, _)| depth_first(a).cmp(depth_first(b)));
        if has_directories_last {
            left.sort_by_key(|(_, entry)| is_directory(entry));
        }
        left
    }

    fn layer<'b>(&mut self, stream: Stream<'b>, pieces: Option<&'b mut Pieces>) -> Layer<'b>
    where
        'a: 'b,
    {
        Layer {
            digester: std::mem::take(&mut self.digester),
            fs: self.fs,
            stream,
            first_links: std::mem::take(&mut self.first_links),
            buffer: vec![0; COPY_BUFFER],
            summary: std::mem::take(&mut self.summary),
            pieces,
        }
    }

    /// Takes the entries that are in the archive already; the others are no pieces any more.
    ///
    /// # Errors
    /// As [`super::write_layer`]. All pieces stay.
    pub(in crate::pack) fn skip(&mut self, pieces: &mut Pieces) -> Result<(), PackError> {
        let mut nowhere = io::sink();
        pieces.same = Some(0);
        let known = |piece: &Piece| self.manifest.entries.get_key_value(&piece.path);
        let written: Vec<_> = pieces
            .pieces
            .iter()
            .map_while(known)
            .take_while(|(_, entry)| !is_directory(entry))
            .collect();
        let mut failed = None;
        let mut done = BTreeSet::new();
        let mut layer = self.layer(Stream::counted(&mut nowhere), Some(pieces));
        for (path, entry) in written {
            let before = layer.counts();
            let taken = layer.entry(path, entry);
            let same = layer.pieces.as_ref().and_then(|pieces| pieces.same);
            if same != Some(done.len() + 1) || taken.is_err() {
                tracing::debug!(
                    "{path} is not as it was packed ahead: all behind it is packed again"
                );
                layer.go_back(before, entry);
                failed = taken.err();
                break;
            }
            done.insert(path);
        }
        self.digester = layer.digester;
        self.first_links = layer.first_links;
        self.summary = layer.summary;
        self.done = done;
        let same = pieces.same.take().unwrap_or(0);
        match failed {
            Some(error) => Err(error),
            None => {
                pieces.pieces.truncate(same);
                Ok(())
            }
        }
    }

    /// Writes the rest, and the end of the archive. With pieces, directories come last.
    ///
    /// # Errors
    /// As [`super::write_layer`]. The pieces are those that are whole.
    pub(in crate::pack) fn write<'b>(
        mut self,
        stream: Stream<'b>,
        pieces: Option<&'b mut Pieces>,
    ) -> Result<(LayerSummary, Digests), PackError>
    where
        'a: 'b,
    {
        let left = self.left(pieces.is_some());
        let mut pieces = pieces;
        if let Some(pieces) = &mut pieces {
            pieces.same = None;
            pieces.current = None;
        }
        let mut layer = self.layer(stream, pieces);
        for (path, entry) in left {
            layer.entry(path, entry)?;
            let end = layer.stream.position();
            let is_torn = layer.summary.changed.last() == Some(path);
            if let Some(pieces) = &mut layer.pieces {
                pieces.finish(path, end, layer.digester.of(path), is_torn);
            }
        }
        let mut summary = layer.summary;
        (summary.tar_bytes, summary.sha256) = layer.stream.finish().map_err(PackError::writing)?;
        Ok((summary, layer.digester.into_digests()))
    }
}

fn is_directory(entry: &Entry) -> bool {
    entry.kind == FileKind::Directory
}

/// How far a summary had come.
struct Counts {
    entries: u64,
    content_bytes: u64,
    sparse_entries: u64,
    losses: usize,
    links: usize,
}

impl Layer<'_> {
    fn counts(&self) -> Counts {
        Counts {
            entries: self.summary.entries,
            content_bytes: self.summary.content_bytes,
            sparse_entries: self.summary.sparse_entries,
            losses: self.summary.losses.len(),
            links: self.first_links.len(),
        }
    }

    /// Forgets an entry that has to be written.
    fn go_back(&mut self, to: Counts, entry: &Entry) {
        self.summary.entries = to.entries;
        self.summary.content_bytes = to.content_bytes;
        self.summary.sparse_entries = to.sparse_entries;
        self.summary.losses.truncate(to.losses);
        if let Some(meta) = entry.meta
            && self.first_links.len() > to.links
        {
            self.first_links.remove(&(meta.dev, meta.ino));
        }
    }
}
