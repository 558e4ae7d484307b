//! The image's files as the loader's search sees them, each looked at once.

use super::ElfError;
use super::facts::{Facts, FactsError};
use crate::image_fs::{FileKind, ImageFs, Meta, walk};
use crate::image_path::ImagePath;
use std::collections::HashMap;
use std::io;
use std::rc::Rc;

/// An ELF file that a path leads to.
#[derive(Debug)]
pub(super) struct File {
    pub(super) physical: ImagePath,
    /// Device and inode: what tells the loader that two names are one file.
    pub(super) id: (u64, u64),
    pub(super) facts: Rc<Facts>,
}

/// What a path that the search tries leads to.
#[derive(Clone, Debug)]
pub(super) enum Located {
    /// Nothing: the search goes on.
    Absent,
    /// Something that no loader can map: the search ends with an error.
    Broken,
    /// An ELF file, of any machine.
    There(Rc<File>),
}

/// Caches over one file system.
pub(super) struct Files<'fs> {
    pub(super) fs: &'fs dyn ImageFs,
    facts: HashMap<ImagePath, Option<Rc<Facts>>>,
    located: HashMap<ImagePath, Located>,
    directories: HashMap<ImagePath, Option<ImagePath>>,
}

impl<'fs> Files<'fs> {
    pub(super) fn new(fs: &'fs dyn ImageFs) -> Self {
        Self {
            fs,
            facts: HashMap::new(),
            located: HashMap::new(),
            directories: HashMap::new(),
        }
    }

    /// The facts of a file at its physical path; `None` when it is not ELF.
    pub(super) fn facts(&mut self, physical: &ImagePath) -> Result<Option<Rc<Facts>>, ElfError> {
        if let Some(known) = self.facts.get(physical) {
            return Ok(known.clone());
        }
        let io_error = |source| ElfError::Io {
            path: physical.clone(),
            source,
        };
        let file = self.fs.open(physical).map_err(io_error)?;
        let facts = Facts::read(file.as_ref()).map_err(|error| match error {
            FactsError::Io(source) => io_error(source),
            FactsError::Malformed(what) => ElfError::Malformed {
                path: physical.clone(),
                what,
            },
        })?;
        let facts = facts.map(Rc::new);
        self.facts.insert(physical.clone(), facts.clone());
        Ok(facts)
    }

    /// The ELF file that a path of any spelling leads to.
    pub(super) fn open(&mut self, path: &ImagePath) -> Result<Rc<File>, ElfError> {
        let (physical, meta) = walk(self.fs, path, true)
            .end
            .map_err(|errno| ElfError::Io {
                path: path.clone(),
                source: errno.into(),
            })?;
        let not_elf = || ElfError::NotElf(path.clone());
        if meta.kind != FileKind::Regular {
            return Err(not_elf());
        }
        let facts = self.facts(&physical)?.ok_or_else(not_elf)?;
        Ok(Rc::new(File {
            physical,
            id: (meta.dev, meta.ino),
            facts,
        }))
    }

    /// What a candidate of the search is.
    pub(super) fn locate(&mut self, path: &ImagePath) -> Located {
        if let Some(known) = self.located.get(path) {
            return known.clone();
        }
        let located = match self.follow(path) {
            Some((physical, meta)) if meta.kind == FileKind::Regular => {
                match self.facts(&physical) {
                    Ok(Some(facts)) => Located::There(Rc::new(File {
                        physical,
                        id: (meta.dev, meta.ino),
                        facts,
                    })),
                    // The loader passes over what it may not open.
                    Err(ElfError::Io { source, .. })
                        if source.kind() == io::ErrorKind::PermissionDenied =>
                    {
                        Located::Absent
                    }
                    _ => Located::Broken,
                }
            }
            Some(_) => Located::Broken,
            None => Located::Absent,
        };
        self.located.insert(path.clone(), located.clone());
        located
    }

    /// The physical path of a directory; `None` when there is no directory.
    pub(super) fn directory(&mut self, path: &ImagePath) -> Option<ImagePath> {
        if let Some(known) = self.directories.get(path) {
            return known.clone();
        }
        let physical = match walk(self.fs, path, true).end {
            Ok((physical, meta)) if meta.kind == FileKind::Directory => Some(physical),
            _ => None,
        };
        self.directories.insert(path.clone(), physical.clone());
        physical
    }

    /// The content of a small file of any spelling; `None` when it cannot be read.
    pub(super) fn read(&self, path: &ImagePath, limit: u64) -> Option<Vec<u8>> {
        let (physical, _) = walk(self.fs, path, true).end.ok()?;
        self.fs.read(&physical, limit).ok()
    }

    /// A walk whose way to the last component is remembered: most candidates of a search
    /// share a directory.
    fn follow(&mut self, path: &ImagePath) -> Option<(ImagePath, Meta)> {
        let name = path.file_name()?;
        let physical = self.directory(&path.parent()?)?.join(name)?;
        let meta = self.fs.lstat(&physical).ok()?;
        if meta.kind == FileKind::Symlink {
            return walk(self.fs, &physical, true).end.ok();
        }
        Some((physical, meta))
    }
}
