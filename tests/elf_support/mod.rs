//! Running a real dynamic loader and reading what it lists.

use micropacker::elf::{Closure, LoaderEnv, ObjectKind};
use micropacker::image_path::ImagePath;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

#[cfg(target_arch = "x86_64")]
pub const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";
#[cfg(target_arch = "aarch64")]
pub const LOADER: &str = "/lib/ld-linux-aarch64.so.1";

/// Paths that are mapped and names that are not found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Listing {
    pub paths: BTreeSet<Vec<u8>>,
    pub missing: BTreeSet<Vec<u8>>,
}

pub fn path(text: impl AsRef<[u8]>) -> ImagePath {
    ImagePath::new(text).expect("an absolute path")
}

/// What the loader prints. `None` when it refuses the file. `--list` gives up at the first
/// library that is missing; what ldd(1) sets makes it go on.
pub fn listed_by_loader(file: &ImagePath, env: &LoaderEnv) -> Option<Listing> {
    let listed = listing(command(env).arg("--list").arg(file.as_path()));
    listed.or_else(|| {
        listing(
            command(env)
                .arg(file.as_path())
                .env("LD_TRACE_LOADED_OBJECTS", "1"),
        )
    })
}

fn command(env: &LoaderEnv) -> Command {
    let mut command = Command::new(LOADER);
    set(&mut command, env);
    command
}

/// Gives a loader nothing of this process's environment but what `env` says.
pub fn set(command: &mut Command, env: &LoaderEnv) {
    command.env_clear();
    if let Some(list) = &env.ld_library_path {
        command.env("LD_LIBRARY_PATH", OsStr::from_bytes(list));
    }
    if let Some(list) = &env.ld_preload {
        command.env("LD_PRELOAD", OsStr::from_bytes(list));
    }
}

pub fn listing(command: &mut Command) -> Option<Listing> {
    let output = command.output().expect("the loader runs");
    let mut listing = Listing::default();
    for line in output.stdout.split(|byte| *byte == b'\n') {
        let Some(line) = line.strip_prefix(b"\t") else {
            continue;
        };
        let (name, value) = match line.windows(4).position(|window| window == b" => ") {
            Some(at) => (&line[..at], &line[at + 4..]),
            None => (line, line),
        };
        if value == b"not found" {
            listing.missing.insert(name.to_vec());
        } else if let Some(end) = value.windows(4).rposition(|window| window == b" (0x")
            && value.starts_with(b"/")
        {
            listing
                .paths
                .insert(path(&value[..end]).as_bytes().to_vec());
        }
    }
    (listing != Listing::default()).then_some(listing)
}

pub fn ours(closure: &Closure) -> Listing {
    let objects = closure
        .objects
        .iter()
        .filter(|object| object.kind == ObjectKind::Loaded)
        .map(|object| &object.path);
    Listing {
        paths: objects
            .chain(&closure.interpreter)
            .map(|path| path.as_bytes().to_vec())
            .collect(),
        missing: closure
            .missing
            .iter()
            .map(|missing| missing.name.clone())
            .collect(),
    }
}

pub fn difference(ours: &Listing, theirs: &Listing) -> String {
    let only = |one: &BTreeSet<Vec<u8>>, other: &BTreeSet<Vec<u8>>| {
        one.difference(other)
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
            .collect::<Vec<_>>()
    };
    format!(
        "only ours {:?}, only the loader's {:?}; missing only to us {:?}, only to the loader {:?}",
        only(&ours.paths, &theirs.paths),
        only(&theirs.paths, &ours.paths),
        only(&ours.missing, &theirs.missing),
        only(&theirs.missing, &ours.missing),
    )
}
