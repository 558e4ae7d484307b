//! The root file system as one tar stream, deterministic: sorted depth first, numeric owners,
//! times of the files themselves.
//!
//! Names are relative without a leading `./`; the root directory is the entry `./`. What we
//! make ourselves carries the epoch as its time.

mod pieces;

pub(super) use pieces::{Job, Pieces};

use super::PackError;
use super::digests::{Content, Digester, Digests};
use super::header::EntryHeader;
use super::pax::Records;
use super::sparse::{self, SparseMap};
use super::stream::Stream;
use super::xattrs;
use crate::image_fs::{FileKind, ImageFs, Meta, ReadAt, Stamp};
use crate::image_path::ImagePath;
use crate::manifest::{Entry, Manifest, Source};
use crate::recording::Loss;
use std::collections::BTreeMap;
use std::io::{self, Write};
use tar::EntryType;

const COPY_BUFFER: usize = 256 * 1024;

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LayerSummary {
    /// Entries of the archive.
    pub entries: u64,
    /// Bytes of regular files, hard links counted once, holes counted in.
    pub content_bytes: u64,
    /// Files that were written as sparse entries. Docker and podman unpack those, but cannot
    /// push or save what they imported from them; [`super::write_image`] writes them out.
    pub sparse_entries: u64,
    /// Length of the tar stream.
    pub tar_bytes: u64,
    /// SHA-256 of the tar stream.
    pub sha256: [u8; 32],
    /// Files that were changed while they were read: what is in the archive may be half of the one
    /// and half of the other content.
    pub changed: Vec<ImagePath>,
    /// What the manifest holds and the archive does not.
    pub losses: Vec<Loss>,
}

/// Writes every entry of `manifest`, bytes taken from `fs`, as an uncompressed tar stream.
///
/// Left out as losses are sockets, files that may not be read, names that an image layer would
/// take for a whiteout (`.wh.`, OCI image specification, layer.md), and extended attributes
/// that cannot be carried.
///
/// # Errors
/// [`PackError`] when an entry vanished, shrank or could not be read, or `out` failed. What was
/// written up to then is no archive.
pub fn write_layer(
    fs: &dyn ImageFs,
    manifest: &Manifest,
    out: &mut dyn Write,
) -> Result<LayerSummary, PackError> {
    write_stream(fs, manifest, Digester::default(), Stream::new(out)).map(|(summary, _)| summary)
}

/// [`write_layer`], and the digest of each regular file that was written.
///
/// # Errors
/// As [`write_layer`].
pub fn write_layer_with_digests(
    fs: &dyn ImageFs,
    manifest: &Manifest,
    out: &mut dyn Write,
) -> Result<(LayerSummary, Digests), PackError> {
    write_stream(fs, manifest, Digester::wanted(true), Stream::new(out))
}

/// The same into a stream, which may leave the hashing to somebody else.
fn write_stream<'a>(
    fs: &'a dyn ImageFs,
    manifest: &'a Manifest,
    digester: Digester,
    stream: Stream<'a>,
) -> Result<(LayerSummary, Digests), PackError> {
    Job::new(fs, manifest, digester).write(stream, None)
}

struct Layer<'a> {
    digester: Digester,
    fs: &'a dyn ImageFs,
    stream: Stream<'a>,
    /// The name in the archive of the first link to each (device, inode).
    first_links: BTreeMap<(u64, u64), Vec<u8>>,
    buffer: Vec<u8>,
    summary: LayerSummary,
    /// What was written ahead, where the next outputs may go on from these.
    pieces: Option<&'a mut Pieces>,
}

/// What follows a header.
enum Body<'a> {
    Nothing,
    Bytes(&'a [u8]),
    File(Option<Stamp>),
}

impl Layer<'_> {
    fn entry(&mut self, path: &ImagePath, entry: &Entry) -> Result<(), PackError> {
        if path.components().any(|name| name.starts_with(b".wh.")) {
            self.lose(format!(
                "{path}: left out, an image layer takes names that begin with .wh. for deletions"
            ));
            return Ok(());
        }
        match &entry.source {
            Source::EmptyDirectory { mode, uid, gid } => {
                let name = archive_name(path, FileKind::Directory);
                let mut header = EntryHeader::directory(&name, *mode);
                (header.uid, header.gid) = (*uid, *gid);
                self.write_header(&header, Body::Nothing).map(drop)
            }
            Source::Bytes { mode, content } => {
                let name = archive_name(path, FileKind::Regular);
                let header = EntryHeader::file(&name, *mode, content.len() as u64);
                let is_new = self.write_header(&header, Body::Bytes(content))?;
                self.summary.content_bytes += content.len() as u64;
                let mut digest = self.digester.begin();
                digest.add(content);
                self.digester.finish(path, digest);
                if !is_new {
                    return Ok(());
                }
                self.stream
                    .write_all(content)
                    .and_then(|()| self.stream.pad())
                    .map_err(PackError::writing)
            }
            Source::Image => {
                let meta = match entry.meta {
                    Some(meta) => meta,
                    None => self
                        .fs
                        .lstat(path)
                        .map_err(|error| PackError::reading(path, "look at", error))?,
                };
                self.image_entry(path, &meta)
            }
        }
    }

    fn image_entry(&mut self, path: &ImagePath, meta: &Meta) -> Result<(), PackError> {
        let name = archive_name(path, meta.kind);
        let mut header = EntryHeader {
            name: &name,
            stand_in: None,
            kind: EntryType::Regular,
            mode: meta.mode,
            uid: meta.uid,
            gid: meta.gid,
            size: 0,
            mtime: meta.mtime,
            link: None,
            device: None,
            records: Records::default(),
        };
        if meta.kind == FileKind::Socket {
            self.lose(format!("{path}: left out, a socket cannot be shipped"));
            return Ok(());
        }
        // Links carry the attributes too: Docker's chown of a link strips its file's
        // capabilities, and only the link's own header can bring them back.
        self.add_xattrs(path, &mut header.records)?;
        let inode =
            (meta.kind != FileKind::Directory && meta.nlink > 1).then_some((meta.dev, meta.ino));
        if let Some(first) = inode
            .and_then(|inode| self.first_links.get(&inode))
            .cloned()
        {
            header.kind = EntryType::Link;
            header.link = Some(&first);
            self.digester.link(path, &first);
            return self.write_header(&header, Body::Nothing).map(drop);
        }
        match meta.kind {
            FileKind::Regular => {
                if !self.regular(path, meta, header)? {
                    return Ok(());
                }
            }
            FileKind::Symlink => {
                let target = self
                    .fs
                    .read_link(path)
                    .map_err(|error| PackError::reading(path, "read the symlink", error))?;
                header.kind = EntryType::Symlink;
                header.link = Some(&target);
                self.write_header(&header, Body::Nothing)?;
            }
            FileKind::Directory => {
                header.kind = EntryType::Directory;
                self.write_header(&header, Body::Nothing)?;
            }
            FileKind::Fifo => {
                header.kind = EntryType::Fifo;
                self.write_header(&header, Body::Nothing)?;
            }
            FileKind::CharDevice | FileKind::BlockDevice => {
                header.kind = match meta.kind {
                    FileKind::CharDevice => EntryType::Char,
                    _ => EntryType::Block,
                };
                header.device = Some(meta.rdev);
                self.write_header(&header, Body::Nothing)?;
            }
            FileKind::Socket => {}
        }
        if let Some(inode) = inode {
            self.first_links.insert(inode, name);
        }
        Ok(())
    }

    /// Writes a file; `false` where it may not be read.
    fn regular(
        &mut self,
        path: &ImagePath,
        meta: &Meta,
        mut header: EntryHeader,
    ) -> Result<bool, PackError> {
        let file = match self.fs.open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.lose(format!("{path}: left out, no permission to read it"));
                return Ok(false);
            }
            Err(error) => return Err(PackError::reading(path, "open", error)),
        };
        let size = file.len();
        self.summary.content_bytes += size;
        let Some(map) = sparse_map(path, meta, file.as_ref())? else {
            header.size = size;
            if !self.write_header(&header, Body::File(file.stamp()))? {
                return Ok(self.take_over(path));
            }
            let mut content = self.digester.begin();
            self.copy(path, file.as_ref(), (0, size), &mut content)?;
            self.stream.pad().map_err(PackError::writing)?;
            self.digester.finish(path, content);
            return self.notice_change(path, file.as_ref()).map(|()| true);
        };
        self.summary.sparse_entries += 1;
        map.announce(header.name, &mut header.records);
        header.stand_in = Some(sparse::stand_in(header.name));
        header.size = map.stored();
        if !self.write_header(&header, Body::File(file.stamp()))? {
            return Ok(self.take_over(path));
        }
        self.stream
            .write_all(&map.encode())
            .map_err(PackError::writing)?;
        let mut content = self.digester.begin();
        let mut end = 0;
        for (offset, length) in map.runs() {
            content.add_zeros(offset - end);
            self.copy(path, file.as_ref(), (*offset, *length), &mut content)?;
            end = offset + length;
        }
        content.add_zeros(size - end);
        self.stream.pad().map_err(PackError::writing)?;
        self.digester.finish(path, content);
        self.notice_change(path, file.as_ref()).map(|()| true)
    }

    fn notice_change(&mut self, path: &ImagePath, file: &dyn ReadAt) -> Result<(), PackError> {
        let is_unchanged = file.is_unchanged();
        if !is_unchanged.map_err(|error| PackError::reading(path, "look at", error))? {
            self.summary.changed.push(path.clone());
        }
        Ok(())
    }

    fn copy(
        &mut self,
        path: &ImagePath,
        file: &dyn ReadAt,
        (offset, length): (u64, u64),
        content: &mut Content,
    ) -> Result<(), PackError> {
        let mut done = 0;
        while done < length {
            let wanted = (length - done).min(self.buffer.len() as u64);
            let chunk = &mut self.buffer[..wanted as usize];
            let read = file
                .read_at(chunk, offset + done)
                .map_err(|error| PackError::reading(path, "read", error))?;
            if read == 0 {
                return Err(PackError::Shrank {
                    path: path.clone(),
                    expected: file.len(),
                    found: offset + done,
                });
            }
            content.add(&chunk[..read]);
            self.stream
                .write_all(&chunk[..read])
                .map_err(PackError::writing)?;
            done += read as u64;
        }
        Ok(())
    }

    fn add_xattrs(&mut self, path: &ImagePath, records: &mut Records) -> Result<(), PackError> {
        match self.fs.xattrs(path) {
            Ok(attributes) => {
                for lost in xattrs::add(&attributes, records) {
                    self.lose(format!("{path}: {lost}"));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(PackError::reading(path, "read the attributes of", error));
            }
            Err(error) => self.lose(format!("{path}: its attributes cannot be read: {error}")),
        }
        Ok(())
    }

    /// Whether what follows has to be written too: not where it was written ahead.
    fn write_header(&mut self, header: &EntryHeader, body: Body) -> Result<bool, PackError> {
        self.summary.entries += 1;
        let Some(pieces) = &mut self.pieces else {
            header.write(&mut self.stream).map_err(PackError::writing)?;
            return Ok(true);
        };
        let mut bytes = Vec::new();
        header
            .write(&mut Stream::counted(&mut bytes))
            .map_err(PackError::writing)?;
        let is_new = pieces.begin(&bytes, &body);
        if is_new {
            self.stream.write_all(&bytes).map_err(PackError::writing)?;
        }
        Ok(is_new)
    }

    /// The content is there already.
    fn take_over(&mut self, path: &ImagePath) -> bool {
        let digest = self.pieces.as_ref().and_then(|pieces| pieces.digest());
        if let Some(digest) = digest {
            self.digester.know(path, digest);
        }
        true
    }

    fn lose(&mut self, what: String) {
        self.summary.losses.push(Loss { what, count: 1 });
    }
}

/// Sorts all that is below `/a` before `/a-b`: when GNU tar meets an entry outside a directory,
/// it takes that directory for complete and sets its time.
fn depth_first(path: &ImagePath) -> impl Iterator<Item = u8> {
    let lowest_slash = |byte: &u8| if *byte == b'/' { 0 } else { *byte };
    path.as_bytes().iter().map(lowest_slash)
}

/// `/usr/bin` as `usr/bin/`, the root as `./`.
fn archive_name(path: &ImagePath, kind: FileKind) -> Vec<u8> {
    let relative = path.as_bytes().strip_prefix(b"/").unwrap_or_default();
    // bsdtar takes these for Windows paths and strips their beginning.
    let mut name = match relative {
        [] => b".".to_vec(),
        [b'\\', ..] | [b'a'..=b'z' | b'A'..=b'Z', b':', ..] => [b"./", relative].concat(),
        _ => relative.to_vec(),
    };
    if kind == FileKind::Directory {
        name.push(b'/');
    }
    name
}

fn sparse_map(
    path: &ImagePath,
    meta: &Meta,
    file: &dyn ReadAt,
) -> Result<Option<SparseMap>, PackError> {
    if meta.allocated >= meta.size {
        return Ok(None);
    }
    let runs = file
        .data_runs()
        .map_err(|error| PackError::reading(path, "find the holes of", error))?;
    Ok(SparseMap::new(file.len(), &runs))
}

#[cfg(test)]
mod tests;
