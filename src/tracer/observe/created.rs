//! What the application has made where nothing was: it is not the image's.

use crate::image_fs::ImageFs;
use crate::image_path::ImagePath;
use std::collections::HashSet;

/// The first size at which names that are gone again are dropped.
const FIRST_SWEEP: usize = 4096;

/// Physical paths made during the trace. What lies below one of them was made too.
pub struct Created {
    paths: HashSet<ImagePath>,
    sweep_at: usize,
}

impl Default for Created {
    fn default() -> Self {
        Self {
            paths: HashSet::new(),
            sweep_at: FIRST_SWEEP,
        }
    }
}

impl Created {
    /// Whether nothing was made yet.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// Whether this path, or a directory above it, was made during the trace.
    pub fn contains(&self, path: &ImagePath) -> bool {
        let mut here = Some(path.clone());
        while let Some(path) = here {
            if self.paths.contains(&path) {
                return true;
            }
            here = path.parent();
        }
        false
    }

    /// Adds a path. A daemon that makes and removes temporary files for ever must not fill the
    /// memory: names that are gone are dropped each time the set has doubled.
    pub fn insert(&mut self, path: ImagePath, fs: &dyn ImageFs) {
        if self.paths.len() >= self.sweep_at {
            self.paths.retain(|path| fs.lstat(path).is_ok());
            self.sweep_at = (self.paths.len() * 2).max(FIRST_SWEEP);
        }
        self.paths.insert(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image_fs::MemFs;

    fn path(text: &str) -> ImagePath {
        ImagePath::new(text).expect("absolute")
    }

    #[test]
    fn what_lies_below_a_made_directory_was_made_too() {
        let mut created = Created::default();
        created.insert(path("/data/new"), &MemFs::new());
        assert!(created.contains(&path("/data/new/deep/file")));
        assert!(!created.contains(&path("/data/new.txt")));
        assert!(!created.contains(&path("/data")));
    }

    #[test]
    fn names_that_are_gone_are_dropped_in_time() {
        let fs = MemFs::new().file("/tmp/stays", "");
        let mut created = Created::default();
        created.insert(path("/tmp/stays"), &fs);
        for number in 0..3 * FIRST_SWEEP {
            created.insert(path(&format!("/tmp/{number}")), &fs);
        }
        assert!(created.paths.len() <= FIRST_SWEEP + 1);
        assert!(created.contains(&path("/tmp/stays")));
    }
}
