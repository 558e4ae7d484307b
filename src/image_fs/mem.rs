//! A file system in memory: what the tests of pure logic run over.

use super::{FileKind, FileTime, ImageFs, Meta, ReadAt};
use crate::image_path::ImagePath;
use nix::errno::Errno;
use std::collections::BTreeMap;
use std::io;

/// Files in a map. Building it makes missing parents, as `mkdir -p` would.
#[derive(Clone, Debug, Default)]
pub struct MemFs {
    nodes: BTreeMap<ImagePath, Node>,
    next_ino: u64,
}

#[derive(Clone, Debug)]
struct Node {
    meta: Meta,
    content: Vec<u8>,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl MemFs {
    /// Holds nothing but the root directory.
    pub fn new() -> Self {
        let mut empty = Self::default();
        empty.insert(ImagePath::root(), FileKind::Directory, 0o755, Vec::new());
        empty
    }

    /// Adds a regular file of mode 0644.
    pub fn file(self, path: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        self.node(path, FileKind::Regular, 0o644, content)
    }

    /// Adds a regular file of mode 0755.
    pub fn program(self, path: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        self.node(path, FileKind::Regular, 0o755, content)
    }

    /// Adds a symlink.
    pub fn symlink(self, path: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.node(path, FileKind::Symlink, 0o777, target)
    }

    /// Adds a directory of mode 0755.
    pub fn directory(self, path: impl AsRef<[u8]>) -> Self {
        self.node(path, FileKind::Directory, 0o755, "")
    }

    /// Adds an entry of any kind; `content` is a file's bytes or a symlink's target.
    ///
    /// # Panics
    /// When `path` is not absolute: a mistake of the test that builds the tree.
    pub fn node(
        mut self,
        path: impl AsRef<[u8]>,
        kind: FileKind,
        mode: u32,
        content: impl AsRef<[u8]>,
    ) -> Self {
        let path = ImagePath::new(path).expect("an absolute path");
        let mut above = path.parent();
        while let Some(parent) = above {
            if !self.nodes.contains_key(&parent) {
                self.insert(parent.clone(), FileKind::Directory, 0o755, Vec::new());
            }
            above = parent.parent();
        }
        self.insert(path, kind, mode, content.as_ref().to_vec());
        self
    }

    /// Changes what lstat tells of an entry that was added before.
    ///
    /// # Panics
    /// When nothing was added at `path`.
    pub fn with_meta(mut self, path: impl AsRef<[u8]>, change: impl FnOnce(&mut Meta)) -> Self {
        let path = ImagePath::new(path).expect("an absolute path");
        change(&mut self.nodes.get_mut(&path).expect("added before").meta);
        self
    }

    /// Sets an extended attribute of an entry that was added before.
    ///
    /// # Panics
    /// When nothing was added at `path`.
    pub fn with_xattr(
        mut self,
        path: impl AsRef<[u8]>,
        name: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Self {
        let path = ImagePath::new(path).expect("an absolute path");
        let node = self.nodes.get_mut(&path).expect("added before");
        node.xattrs
            .push((name.as_ref().to_vec(), value.as_ref().to_vec()));
        node.xattrs.sort_unstable();
        self
    }

    fn insert(&mut self, path: ImagePath, kind: FileKind, mode: u32, content: Vec<u8>) {
        self.next_ino += 1;
        let meta = Meta {
            kind,
            mode,
            uid: 0,
            gid: 0,
            size: content.len() as u64,
            allocated: content.len() as u64,
            mtime: FileTime::default(),
            ctime: FileTime::default(),
            dev: 1,
            ino: self.next_ino,
            nlink: 1,
            rdev: (0, 0),
        };
        let xattrs = Vec::new();
        self.nodes.insert(
            path,
            Node {
                meta,
                content,
                xattrs,
            },
        );
    }

    fn node_at(&self, path: &ImagePath) -> io::Result<&Node> {
        self.nodes.get(path).ok_or_else(|| Errno::ENOENT.into())
    }
}

impl ImageFs for MemFs {
    fn lstat(&self, path: &ImagePath) -> io::Result<Meta> {
        self.node_at(path).map(|node| node.meta)
    }

    fn read_link(&self, path: &ImagePath) -> io::Result<Vec<u8>> {
        let node = self.node_at(path)?;
        if node.meta.kind != FileKind::Symlink {
            return Err(Errno::EINVAL.into());
        }
        Ok(node.content.clone())
    }

    fn list(&self, path: &ImagePath) -> io::Result<Vec<Vec<u8>>> {
        if self.node_at(path)?.meta.kind != FileKind::Directory {
            return Err(Errno::ENOTDIR.into());
        }
        Ok(self
            .nodes
            .keys()
            .filter(|child| child.parent().as_ref() == Some(path))
            .filter_map(|child| child.file_name().map(<[u8]>::to_vec))
            .collect())
    }

    fn open(&self, path: &ImagePath) -> io::Result<Box<dyn ReadAt>> {
        let node = self.node_at(path)?;
        if node.meta.kind != FileKind::Regular {
            return Err(Errno::EINVAL.into());
        }
        Ok(Box::new(MemFile(node.content.clone())))
    }

    fn xattrs(&self, path: &ImagePath) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        self.node_at(path).map(|node| node.xattrs.clone())
    }
}

/// A file's bytes held in memory.
struct MemFile(Vec<u8>);

impl ReadAt for MemFile {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let start = usize::try_from(offset).map_or(self.0.len(), |at| at.min(self.0.len()));
        let length = buffer.len().min(self.0.len() - start);
        buffer[..length].copy_from_slice(&self.0[start..start + length]);
        Ok(length)
    }

    fn data_runs(&self) -> io::Result<Vec<(u64, u64)>> {
        Ok(if self.0.is_empty() {
            Vec::new()
        } else {
            vec![(0, self.len())]
        })
    }
}
