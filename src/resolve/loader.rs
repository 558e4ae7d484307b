//! Answers what an ELF file needs through the search of [`crate::elf`], once for each root
//! directory that processes had.

use super::cache::Chrooted;
use super::closure::{Closures, Load, Needs};
use crate::elf::{Closure, Loader, LoaderEnv};
use crate::image_fs::ImageFs;
use crate::image_path::ImagePath;
use crate::recording::Recording;
use std::collections::{BTreeMap, BTreeSet};

/// The file system as seen from every root directory of a recording.
pub(super) struct Roots<'a>(Vec<Chrooted<'a>>);

impl<'a> Roots<'a> {
    pub(super) fn of(fs: &'a dyn ImageFs, recording: &Recording) -> Self {
        let used = recording.uses.keys().map(|place| &place.root);
        let started = recording.execs.iter().map(|exec| &exec.root);
        let mut roots: BTreeSet<&ImagePath> = used.chain(started).collect();
        let root = ImagePath::root();
        roots.insert(&root);
        let seen = roots.into_iter().map(|root| Chrooted {
            fs,
            root: root.clone(),
        });
        Self(seen.collect())
    }
}

/// One loader search for each root; each remembers what it read.
pub(super) struct Loaders<'a>(BTreeMap<&'a ImagePath, Loader<'a>>);

impl<'a> Loaders<'a> {
    pub(super) fn new(roots: &'a Roots<'a>) -> Self {
        let loaders = roots.0.iter().map(|seen| (&seen.root, Loader::new(seen)));
        Self(loaders.collect())
    }
}

impl Closures for Loaders<'_> {
    fn closure(&mut self, load: &Load) -> Result<Needs, String> {
        let Some(loader) = self.0.get_mut(&load.root) else {
            return Err(format!("no process had the root directory {}", load.root));
        };
        let env = LoaderEnv {
            ld_library_path: load.variables.library_path.clone(),
            ld_preload: load.variables.preload.clone(),
        };
        loader
            .closure(&load.file, load.program.as_ref(), &env)
            .map(needs)
            .map_err(|error| error.to_string())
    }
}

fn needs(closure: Closure) -> Needs {
    let libraries = closure.objects.into_iter();
    let missing = closure.missing.into_iter();
    Needs {
        interpreter: closure.interpreter,
        libraries: libraries
            .map(|object| (object.path, object.needed_by))
            .collect(),
        missing: missing
            .map(|missing| (missing.name, missing.needed_by))
            .collect(),
        configuration: closure.consulted,
    }
}

/// The ELF interpreter of a program.
pub(super) fn interpreter(
    fs: &dyn ImageFs,
    program: &ImagePath,
) -> Result<Option<ImagePath>, String> {
    Loader::new(fs)
        .closure(program, None, &LoaderEnv::default())
        .map(|closure| closure.interpreter)
        .map_err(|error| error.to_string())
}
