//! The copies of changed files that journals have brought along.

use crate::image_fs::{HostFs, ImageFs, Meta, ReadAt};
use crate::image_path::ImagePath;
use crate::recording::{Body, Recording};
use nix::errno::Errno;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The directories of copies, one for each journal. Copies are known by their numbers; in a number
/// stands that of the journal too.
#[derive(Debug, Default)]
pub struct Copies(Vec<PathBuf>);

const SHIFT: u32 = 48;

impl Copies {
    /// All of them.
    pub fn directories(&self) -> impl Iterator<Item = ImagePath> {
        let directories = self.0.iter();
        directories.filter_map(|directory| ImagePath::new(directory.as_os_str().as_bytes()))
    }

    /// Adds the next journal's, to which the numbers in `seen` belong from now on.
    pub fn add(&mut self, directory: PathBuf, seen: &mut Recording) {
        let journal = (self.0.len() as u64) << SHIFT;
        for original in seen.originals.values_mut() {
            if let Body::Saved { file, .. } = &mut original.body {
                *file |= journal;
            }
        }
        self.0.push(directory);
    }

    fn directory(&self, file: u64) -> Option<&Path> {
        self.0
            .get(usize::try_from(file >> SHIFT).ok()?)
            .map(PathBuf::as_path)
    }

    /// Whether it is there.
    pub fn has(&self, file: u64) -> bool {
        let name = (file & ((1 << SHIFT) - 1)).to_string();
        self.directory(file)
            .is_some_and(|directory| directory.join(name).exists())
    }

    /// What has no copy any more is shipped as it is, and told.
    pub fn forget_missing(&self, seen: &mut Recording) {
        for original in seen.originals.values_mut() {
            let Body::Saved { file, .. } = original.body else {
                continue;
            };
            if self.has(file) {
                continue;
            }
            let directory = self.directory(file).unwrap_or(Path::new(""));
            original.body = Body::Unsaved(match directory.as_os_str().is_empty() {
                true => "its journal does not tell any more where its copy is".to_owned(),
                false => format!("its copy in {} is not there", directory.display()),
            });
            seen.losses.extend(original.loss());
        }
    }

    /// The directory of a copy, and its name in there.
    fn place(&self, path: &ImagePath) -> io::Result<(HostFs, ImagePath)> {
        let name = path.file_name().and_then(|name| str::from_utf8(name).ok());
        let file: u64 = name
            .and_then(|name| name.parse().ok())
            .ok_or(Errno::ENOENT)?;
        let directory = self.directory(file).ok_or(Errno::ENOENT)?;
        let name = ImagePath::root().join((file & ((1 << SHIFT) - 1)).to_string());
        Ok((HostFs::new(directory), name.ok_or(Errno::ENOENT)?))
    }
}

/// Its files are named by their numbers.
impl ImageFs for Copies {
    fn lstat(&self, path: &ImagePath) -> io::Result<Meta> {
        let (fs, name) = self.place(path)?;
        fs.lstat(&name)
    }

    fn read_link(&self, path: &ImagePath) -> io::Result<Vec<u8>> {
        let (fs, name) = self.place(path)?;
        fs.read_link(&name)
    }

    fn list(&self, _path: &ImagePath) -> io::Result<Vec<Vec<u8>>> {
        Err(Errno::ENOTDIR.into())
    }

    fn open(&self, path: &ImagePath) -> io::Result<Box<dyn ReadAt>> {
        let (fs, name) = self.place(path)?;
        fs.open(&name)
    }

    fn xattrs(&self, path: &ImagePath) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let (fs, name) = self.place(path)?;
        fs.xattrs(&name)
    }
}
