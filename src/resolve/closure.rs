//! The seam to the loader search: what else an ELF file needs to start, and who answers that.

use crate::image_path::ImagePath;

/// The variables of a process that steer the dynamic loader (ld.so(8)).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct LoaderVariables {
    pub library_path: Option<Vec<u8>>,
    pub preload: Option<Vec<u8>>,
}

/// One ELF file to be loaded. All paths are physical and seen from `root`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Load {
    pub root: ImagePath,
    pub file: ImagePath,
    /// The program that loads it, for a library; `None` for a program itself.
    pub program: Option<ImagePath>,
    pub variables: LoaderVariables,
}

/// What the loader would open. All paths are seen from the root of the [`Load`], their symlinks
/// not followed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    pub interpreter: Option<ImagePath>,
    /// Each library, and who needs it.
    pub libraries: Vec<(ImagePath, ImagePath)>,
    /// Names that were not found, and who needs them.
    pub missing: Vec<(Vec<u8>, ImagePath)>,
    /// Configuration that the search depends on.
    pub configuration: Vec<ImagePath>,
}

/// Finds closures.
pub(super) trait Closures {
    /// The closure of one file, or why it could not be told.
    fn closure(&mut self, load: &Load) -> Result<Needs, String>;
}
