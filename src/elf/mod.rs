//! One ELF file's facts, and the search of the dynamic loader, without running it.
//!
//! [`Loader::closure`] answers what `ld.so --list` answers, from the image's files alone: no
//! code of the image runs, so it works for images without a loader of their own machine, without
//! `ldd`, and for files that are not trusted. glibc's rules are those of ld.so(8), musl's those
//! of its manual.
//!
//! Where the answer depends on what only a running process knows, more is taken rather than
//! less:
//! - `glibc-hwcaps` variants for other processors than this one, and those of the mechanism
//!   that glibc 2.37 gave up, are objects too, marked [`ObjectKind::Alternative`].
//! - A second name under which an already loaded file was asked for is an object, marked
//!   [`ObjectKind::SameFile`]: without the name the search of a smaller image would fail.
//!
//! What is left out: search paths relative to the working directory of a process, and the
//! restrictions of set-user-ID programs. `$PLATFORM` is what the kernel gives (AT_PLATFORM).

mod cache;
mod closure;
mod conf;
mod cpu;
mod describe;
mod facts;
mod files;
mod glibc;
mod loader;
mod machine;
mod musl;
mod system;
#[cfg(test)]
mod testing;
mod tokens;

use crate::image_path::ImagePath;
use std::io;

pub use cache::{CacheEntry, CacheError, Hwcap, LdCache};
pub use cpu::Cpu;
pub use describe::describe;
pub use facts::{ElfKind, Facts, FactsError, Tag, Target};
pub use loader::Loader;

/// Variables of a process's environment that change the loader's search (ld.so(8)).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LoaderEnv {
    /// LD_LIBRARY_PATH.
    pub ld_library_path: Option<Vec<u8>>,
    /// LD_PRELOAD.
    pub ld_preload: Option<Vec<u8>>,
}

/// Why an ELF file gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ElfError {
    /// It could not be found or read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: ImagePath,
        /// What the file system said.
        source: io::Error,
    },
    /// It begins like ELF, but contradicts elf(5).
    #[error("{path}: not a valid ELF file: {what}")]
    Malformed {
        /// The file.
        path: ImagePath,
        /// What is wrong with it.
        what: &'static str,
    },
    /// It is not ELF at all.
    #[error("{0}: not an ELF file")]
    NotElf(ImagePath),
}

/// Everything that the loader would map for one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Closure {
    /// PT_INTERP of the executable. For a library that of the program, or a loader of the image
    /// that takes the library's machine. `None` for static files.
    pub interpreter: Option<ImagePath>,
    /// The libraries, in the order in which the loader would reach them: breadth first. The
    /// interpreter is not repeated here, though libraries often need it by name.
    pub objects: Vec<Object>,
    /// What was asked for and not found. LD_PRELOAD and DT_AUXILIARY may be missing: the loader
    /// goes on without them.
    pub missing: Vec<Missing>,
    /// Configuration that the search read: `ld.so.cache`, `ld.so.preload`, `ld-musl-*.path`.
    /// Sorted. Without these files the same search may end elsewhere.
    pub consulted: Vec<ImagePath>,
}

/// One library of a closure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// The string that asked for it, tokens expanded.
    pub name: Vec<u8>,
    /// As the loader spells it; symlinks are not followed.
    pub path: ImagePath,
    /// The object that asked first, or the configuration file that did.
    pub needed_by: ImagePath,
    /// Whether this processor's loader maps it.
    pub kind: ObjectKind,
}

/// How an object came into the closure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ObjectKind {
    /// The loader of this processor maps it.
    Loaded,
    /// Another path of a file that is mapped already.
    SameFile,
    /// A loader on another processor, or of another version, maps it instead.
    Alternative,
}

/// A library that the loader would not find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The string that asked for it.
    pub name: Vec<u8>,
    /// The object that asked.
    pub needed_by: ImagePath,
    /// Where `/etc/ld.so.conf` would find it, if `ldconfig` ran.
    pub hint: Option<ImagePath>,
}
