//! What a dynamic loader knows before it looks at any program: where it searches, read from the
//! image's own loader and configuration.

use super::cache::LdCache;
use super::cpu::Cpu;
use super::facts::{ElfKind, Facts, Target};
use super::files::{Files, Located};
use super::machine::Machine;
use crate::image_path::ImagePath;
use std::rc::Rc;

/// A loader is some 200 KB; musl's, which is the whole libc, under 1 MB.
const MAX_LOADER: u64 = 8 << 20;
const MAX_CACHE: u64 = 64 << 20;
const MAX_PATH_FILE: u64 = 1 << 20;

/// One loader of an image.
#[derive(Debug)]
pub(super) struct System {
    /// As PT_INTERP spells it; `None` when no loader is known.
    pub(super) interpreter: Option<ImagePath>,
    /// The loader's own names: asking for one of them loads nothing.
    pub(super) own_names: Vec<Vec<u8>>,
    pub(super) target: Target,
    pub(super) libc: Libc,
}

/// Whose rules the loader follows.
#[derive(Debug)]
pub(super) enum Libc {
    Glibc(Glibc),
    Musl(Musl),
}

/// glibc's ld.so(8). Unknown loaders are taken for it.
#[derive(Debug)]
pub(super) struct Glibc {
    pub(super) machine: Option<&'static Machine>,
    /// Searched last; each is there or the loader names it.
    pub(super) default_directories: Vec<ImagePath>,
    /// What `$LIB` stands for.
    pub(super) lib: Vec<u8>,
    pub(super) cache: Option<Rc<LdCache>>,
    /// How many of the machine's hwcaps subdirectories, from the best down, go unsearched.
    pub(super) unusable: usize,
}

/// musl's loader, which is its libc.
#[derive(Debug)]
pub(super) struct Musl {
    pub(super) directories: Vec<ImagePath>,
    /// The file that gave the directories, where there is one.
    pub(super) path_file: Option<ImagePath>,
}

impl System {
    pub(super) fn new(
        files: &mut Files<'_>,
        interpreter: Option<ImagePath>,
        target: Target,
        cpu: Cpu,
        cache: Option<Rc<LdCache>>,
    ) -> Self {
        let located = interpreter.as_ref().map(|path| files.locate(path));
        let file = match located {
            Some(Located::There(file)) => Some(file),
            _ => None,
        };
        let spelled_name = interpreter.as_ref().and_then(ImagePath::file_name);
        let physical_name = file.as_ref().and_then(|file| file.physical.file_name());
        let musl = [spelled_name, physical_name]
            .into_iter()
            .flatten()
            .find_map(musl_architecture);
        let mut own_names = Vec::new();
        if let Some(path) = &interpreter {
            own_names.push(path.as_bytes().to_vec());
        }
        let libc = if musl.is_some() || physical_name.is_some_and(is_musl_libc) {
            Libc::Musl(Musl::new(files, interpreter.as_ref(), musl))
        } else {
            own_names.extend(file.as_ref().and_then(|file| file.facts.soname.clone()));
            let image = file.and_then(|file| files.fs.read(&file.physical, MAX_LOADER).ok());
            Libc::Glibc(Glibc::new(files, target, image.as_deref(), cpu, cache))
        };
        Self {
            interpreter,
            own_names,
            target,
            libc,
        }
    }
}

impl Glibc {
    fn new(
        files: &mut Files<'_>,
        target: Target,
        loader: Option<&[u8]>,
        cpu: Cpu,
        cache: Option<Rc<LdCache>>,
    ) -> Self {
        let machine = Machine::of(target);
        let built_in = loader.map(built_in_directories).unwrap_or_default();
        let default_directories = if built_in.is_empty() {
            machine
                .map(Machine::default_directories)
                .unwrap_or_else(|| vec!["/lib".into(), "/usr/lib".into()])
                .iter()
                .filter_map(ImagePath::new)
                .filter(|directory| files.directory(directory).is_some())
                .collect()
        } else {
            built_in
        };
        // The loader's first built-in directory is the one its own libraries go to.
        let lib = default_directories.first().map_or(&b"lib"[..], |first| {
            let below_root = &first.as_bytes()[1..];
            below_root.strip_prefix(b"usr/").unwrap_or(below_root)
        });
        Self {
            machine,
            lib: lib.to_vec(),
            default_directories,
            cache,
            unusable: machine.map_or(0, |machine| cpu.unusable(machine)),
        }
    }
}

impl Musl {
    fn new(
        files: &Files<'_>,
        interpreter: Option<&ImagePath>,
        architecture: Option<Vec<u8>>,
    ) -> Self {
        // Of /prefix/lib/ld-musl-ARCH.so.1 the file is /prefix/etc/ld-musl-ARCH.path.
        let path_file = architecture.and_then(|architecture| {
            let prefix = interpreter?.parent()?.parent()?;
            let name = [&b"etc/ld-musl-"[..], &architecture, b".path"].concat();
            prefix.join(name)
        });
        let listed = path_file
            .as_ref()
            .and_then(|path| files.read(path, MAX_PATH_FILE));
        let (text, path_file) = match listed {
            Some(text) => (text, path_file),
            None => (b"/lib:/usr/local/lib:/usr/lib".to_vec(), None),
        };
        Self {
            directories: text
                .split(|byte| matches!(byte, b':' | b'\n'))
                .filter_map(ImagePath::new)
                .collect(),
            path_file,
        }
    }
}

/// `/etc/ld.so.cache` of the image; `None` when there is none that a loader would use.
pub(super) fn read_cache(files: &Files<'_>) -> Option<Rc<LdCache>> {
    let bytes = files.read(&cache_path()?, MAX_CACHE)?;
    LdCache::parse(&bytes).ok().map(Rc::new)
}

pub(super) fn cache_path() -> Option<ImagePath> {
    ImagePath::new("/etc/ld.so.cache")
}

/// The loader that would run a library, for a library alone: one of the image that takes its
/// machine. What it needs tells the libc; without a hint glibc's goes first.
pub(super) fn guess_interpreter(files: &mut Files<'_>, library: &Facts) -> Option<ImagePath> {
    let mut candidates: Vec<ImagePath> = Machine::of(library.target)
        .and_then(|machine| ImagePath::new(machine.loader))
        .into_iter()
        .collect();
    let lib = ImagePath::new("/lib")?;
    let names = files
        .directory(&lib)
        .and_then(|physical| files.fs.list(&physical).ok())
        .unwrap_or_default();
    let musl = names
        .iter()
        .filter(|name| musl_architecture(name).is_some())
        .filter_map(|name| lib.join(name));
    if needs_musl(library) {
        candidates.splice(0..0, musl);
    } else {
        candidates.extend(musl);
    }
    candidates.into_iter().find(|path| {
        matches!(files.locate(path), Located::There(file)
            if file.facts.kind != ElfKind::Other && file.facts.target.accepts(library.target))
    })
}

fn needs_musl(library: &Facts) -> bool {
    library
        .needed()
        .any(|name| name == b"libc.so" || name.starts_with(b"libc.musl-"))
}

/// ARCH of `ld-musl-ARCH.so.1`.
fn musl_architecture(name: &[u8]) -> Option<Vec<u8>> {
    let rest = name.strip_prefix(b"ld-musl-")?;
    rest.strip_suffix(b".so.1").map(<[u8]>::to_vec)
}

fn is_musl_libc(name: &[u8]) -> bool {
    name == b"libc.so" || name.starts_with(b"libc.musl-")
}

/// The directories that a glibc loader was built to search last, found in its own bytes: an
/// array of strings that begin and end with `/`, one after the other. Empty when there is none.
fn built_in_directories(loader: &[u8]) -> Vec<ImagePath> {
    let is_directory = |bytes: &[u8]| {
        bytes.len() > 2
            && bytes.starts_with(b"/")
            && bytes.ends_with(b"/")
            && bytes.iter().all(u8::is_ascii_graphic)
    };
    let is_for_libraries = |run: &[&[u8]]| {
        run.iter()
            .flat_map(|directory| directory.split(|byte| *byte == b'/'))
            .any(|component| component.starts_with(b"lib"))
    };
    let strings: Vec<&[u8]> = loader.split(|byte| *byte == 0).collect();
    // The same array may appear again from its second string on: the longest is the whole.
    let longest = strings
        .chunk_by(|one, next| is_directory(one) && is_directory(next))
        .filter(|run| run.iter().all(|one| is_directory(one)) && is_for_libraries(run))
        .reduce(|best, run| if run.len() > best.len() { run } else { best });
    longest
        .unwrap_or_default()
        .iter()
        .filter_map(ImagePath::new)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn built_in(loader: &[u8]) -> Vec<String> {
        built_in_directories(loader)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn the_loaders_own_array_of_directories_is_found_among_other_strings() {
        let loader = b"\x7fELF\0/proc/self/\0x\0\0/usr/lib/\0\0/var/tmp/\0/etc/\0/x/\0\0\
            /lib/x86_64-linux-gnu/\0/usr/lib/x86_64-linux-gnu/\0/lib/\0/usr/lib/\0\0end";
        assert_eq!(
            built_in(loader),
            [
                "/lib/x86_64-linux-gnu",
                "/usr/lib/x86_64-linux-gnu",
                "/lib",
                "/usr/lib"
            ]
        );
        assert!(built_in(b"/lib/ld.so\0/etc/\0lib/").is_empty());
    }

    proptest! {
        #[test]
        fn any_loader_is_searched_without_a_panic(
            bytes in proptest::collection::vec(prop_oneof![Just(0u8), Just(b'/'), any::<u8>()], 0..60)
        ) {
            let _ = built_in_directories(&bytes);
        }
    }
}
