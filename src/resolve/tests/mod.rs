//! The rules of the resolver, over trees in memory.

mod changes;
mod directories;
mod earlier;
mod includes;
mod lists;
mod mounted;
mod paths;
mod presets;
mod properties;
mod starts;
mod volumes;

use super::closure::{Closures, Load, Needs};
use super::*;
use crate::image_fs::MemFs;
use crate::manifest::{Entry, Exclusion, Source};
use crate::past::Before;
use crate::recording::{Access, Body, Exec, Origin, Original, Place, Use};
use std::collections::BTreeMap;

fn path(text: impl AsRef<[u8]>) -> ImagePath {
    ImagePath::new(text).expect("absolute")
}

/// Answers from a table of physical files; every other ELF file needs nothing.
#[derive(Default)]
struct Table {
    needs: BTreeMap<ImagePath, Needs>,
    asked: Vec<Load>,
}

impl Closures for Table {
    fn closure(&mut self, load: &Load) -> Result<Needs, String> {
        self.asked.push(load.clone());
        Ok(self.needs.get(&load.file).cloned().unwrap_or_default())
    }
}

/// A recording and options, built up by a test.
#[derive(Default)]
struct Case {
    fs: MemFs,
    recording: Recording,
    options: Options,
    table: Table,
    spool: MemFs,
}

impl Case {
    fn new(fs: MemFs) -> Self {
        Self {
            fs,
            ..Self::default()
        }
    }

    fn uses(self, access: Access, text: impl AsRef<[u8]>) -> Self {
        self.uses_by(access, text, None)
    }

    fn uses_by(mut self, access: Access, text: impl AsRef<[u8]>, program: Option<&str>) -> Self {
        let used = Use {
            access,
            first: Origin {
                pid: 7,
                program: program.map(path),
                call: "openat".into(),
            },
        };
        self.recording.uses.insert(Place::at(path(text)), used);
        self
    }

    fn opens(self, text: impl AsRef<[u8]>) -> Self {
        self.uses(Access::OPEN, text)
    }

    fn created(mut self, text: &str) -> Self {
        self.recording.created.insert(path(text));
        self
    }

    /// Kept as a file of this content before it was changed, replaced or removed.
    fn kept(mut self, text: &str, content: &str) -> Self {
        let number = self.recording.originals.len() as u64;
        let fs = MemFs::new().file(text, content);
        let original = Original {
            path: path(text),
            meta: fs.lstat(&path(text)).expect("there"),
            xattrs: Vec::new(),
            body: Body::Saved {
                file: number,
                length: content.len() as u64,
            },
        };
        self.spool = std::mem::take(&mut self.spool).file(format!("/{number}"), content);
        self.recording.originals.insert(path(text), original);
        self
    }

    fn starts(self, program: &str, file: Option<&str>) -> Self {
        self.starts_in(program, file, |_| {})
    }

    fn starts_in(
        mut self,
        program: &str,
        file: Option<&str>,
        change: impl FnOnce(&mut Exec),
    ) -> Self {
        let mut exec = Exec {
            root: ImagePath::root(),
            program: path(program),
            file: file.map(path),
            cwd: None,
            path: None,
            ld_library_path: None,
            ld_preload: None,
        };
        change(&mut exec);
        self.recording.execs.insert(exec);
        self
    }

    fn options(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(&mut self.options);
        self
    }

    fn mounts(self, lines: &str) -> Self {
        self.options(|options| {
            options.mounts = Mounts::parse(lines.as_bytes()).expect("mount table");
        })
    }

    fn resolve(&mut self) -> Manifest {
        let before = Before::new(&self.fs, &self.spool, &self.recording);
        resolve_with(&before, &self.recording, &self.options, &mut self.table)
    }
}

fn patterns(texts: &[&str]) -> Patterns {
    Patterns::new(texts).expect("patterns")
}

/// The shipped paths but for the root, `/tmp`, `/var` and `/var/tmp`.
fn shipped(manifest: &Manifest) -> Vec<String> {
    let always = ["/", "/tmp", "/var", "/var/tmp"];
    manifest
        .entries
        .keys()
        .map(ToString::to_string)
        .filter(|path| !always.contains(&path.as_str()))
        .collect()
}

fn entry<'a>(manifest: &'a Manifest, of: &str) -> &'a Entry {
    match manifest.entries.get(&path(of)) {
        Some(entry) => entry,
        None => panic!("{of} is not in {:?}", shipped(manifest)),
    }
}

fn excluded<'a>(manifest: &'a Manifest, of: &str) -> Option<&'a Exclusion> {
    manifest.excluded.get(&path(of))
}

fn losses(manifest: &Manifest) -> Vec<&str> {
    let lines = manifest.losses.iter();
    lines.map(|loss| loss.what.as_str()).collect()
}

fn empty(mode: u32) -> Source {
    Source::EmptyDirectory {
        mode,
        uid: 0,
        gid: 0,
    }
}
