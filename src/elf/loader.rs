//! The entrance: closures over one file system, with everything read once.

use super::cache::LdCache;
use super::closure::Process;
use super::conf;
use super::cpu::Cpu;
use super::facts::{ElfKind, Facts, Target};
use super::files::{File, Files, Located};
use super::system::{Libc, System, guess_interpreter, read_cache};
use super::{Closure, ElfError, LoaderEnv, Missing, glibc, musl};
use crate::image_fs::ImageFs;
use crate::image_path::ImagePath;
use std::collections::HashMap;
use std::rc::Rc;

/// `/etc/ld.so.preload` is a handful of names.
const MAX_PRELOAD: u64 = 1 << 20;

/// Answers for one file system what its dynamic loaders would do. The file system must not
/// change meanwhile: facts, caches and searches are remembered.
pub struct Loader<'fs> {
    files: Files<'fs>,
    cpu: Cpu,
    systems: HashMap<(Option<ImagePath>, Target), Rc<System>>,
    cache: Option<Option<Rc<LdCache>>>,
    preload: Option<Rc<[Vec<u8>]>>,
    conf_directories: Option<Rc<[ImagePath]>>,
}

impl<'fs> Loader<'fs> {
    /// For the processor this program runs on.
    pub fn new(fs: &'fs dyn ImageFs) -> Self {
        Self::for_cpu(fs, Cpu::this())
    }

    /// For a given processor.
    pub fn for_cpu(fs: &'fs dyn ImageFs, cpu: Cpu) -> Self {
        Self {
            files: Files::new(fs),
            cpu,
            systems: HashMap::new(),
            cache: None,
            preload: None,
            conf_directories: None,
        }
    }

    /// The facts of the file at a physical path. `None`: it is not an ELF file.
    ///
    /// # Errors
    /// When it cannot be read, or begins like ELF and contradicts it.
    pub fn facts(&mut self, physical: &ImagePath) -> Result<Option<Rc<Facts>>, ElfError> {
        self.files.facts(physical)
    }

    /// What the loader maps to run or open `file`, a path of any spelling. For a library without
    /// PT_INTERP, `program` is the executable that loads it, if known: its loader, its DT_RPATH
    /// and what it has mapped already decide. Both are empty for static files.
    ///
    /// # Errors
    /// When `file` is not there, is no ELF file or a malformed one. Libraries that are missing
    /// or malformed are no error but part of the answer.
    pub fn closure(
        &mut self,
        file: &ImagePath,
        program: Option<&ImagePath>,
        env: &LoaderEnv,
    ) -> Result<Closure, ElfError> {
        let root = self.files.open(file)?;
        if is_static(&root.facts) {
            return Ok(Closure::default());
        }
        let program = self.program(program, &root.facts);
        let interpreter = self.interpreter(&root.facts, program.as_ref());
        if root.facts.wants.is_empty() && interpreter.is_none() {
            return Ok(Closure::default());
        }
        let spelled = interpreter.as_ref().and_then(ImagePath::new);
        let system = self.system(spelled, root.facts.target);
        let preload = self.preload();
        let mut process = Process::new(&mut self.files, &system);
        let main = match program {
            Some((path, program)) => process.map_root(path, program),
            None => process.map_root(file.clone(), Rc::clone(&root)),
        };
        prepare(&mut process, main, env, &preload);
        process.map_needs();
        let root = process.map_root(file.clone(), root);
        process.map_needs();
        let mut closure = process.closure(root);
        self.add_missing_interpreter(&mut closure, interpreter, file);
        self.add_hints(&mut closure);
        Ok(closure)
    }

    /// The executable that loads a library, unless it cannot.
    fn program(
        &mut self,
        program: Option<&ImagePath>,
        library: &Facts,
    ) -> Option<(ImagePath, Rc<File>)> {
        if library.interpreter.is_some() {
            return None;
        }
        let program = program?;
        let file = self.files.open(program).ok()?;
        let runs = file.facts.interpreter.is_some() && file.facts.target.accepts(library.target);
        runs.then(|| (program.clone(), file))
    }

    /// PT_INTERP of the file or of its program; for a library alone a guess.
    fn interpreter(
        &mut self,
        facts: &Facts,
        program: Option<&(ImagePath, Rc<File>)>,
    ) -> Option<Vec<u8>> {
        if let Some(interpreter) = &facts.interpreter {
            return Some(interpreter.clone());
        }
        if let Some((_, program)) = program {
            return program.facts.interpreter.clone();
        }
        if facts.wants.is_empty() {
            return None;
        }
        guess_interpreter(&mut self.files, facts).map(|path| path.as_bytes().to_vec())
    }

    fn system(&mut self, interpreter: Option<ImagePath>, target: Target) -> Rc<System> {
        let key = (interpreter, target);
        if let Some(known) = self.systems.get(&key) {
            return Rc::clone(known);
        }
        let cache = self
            .cache
            .get_or_insert_with(|| read_cache(&self.files))
            .clone();
        let system = System::new(&mut self.files, key.0.clone(), target, self.cpu, cache);
        let system = Rc::new(system);
        self.systems.insert(key, Rc::clone(&system));
        system
    }

    /// The names in `/etc/ld.so.preload`: separated by white space and colons, `#` comments.
    fn preload(&mut self) -> Rc<[Vec<u8>]> {
        let read = || {
            let text = preload_path().and_then(|path| self.files.read(&path, MAX_PRELOAD))?;
            Some(
                text.split(|byte| *byte == b'\n')
                    .filter_map(|line| line.split(|byte| *byte == b'#').next())
                    .flat_map(|line| line.split(|byte| b" \t:".contains(byte)))
                    .filter(|name| !name.is_empty())
                    .map(<[u8]>::to_vec)
                    .collect(),
            )
        };
        let known = self
            .preload
            .get_or_insert_with(|| read().unwrap_or_default());
        Rc::clone(known)
    }

    fn add_missing_interpreter(
        &mut self,
        closure: &mut Closure,
        interpreter: Option<Vec<u8>>,
        file: &ImagePath,
    ) {
        let Some(name) = interpreter else {
            return;
        };
        let there = closure
            .interpreter
            .as_ref()
            .is_some_and(|path| !matches!(self.files.locate(path), Located::Absent));
        if !there {
            let missing = Missing {
                name,
                needed_by: file.clone(),
                hint: None,
            };
            closure.missing.insert(0, missing);
        }
    }

    fn add_hints(&mut self, closure: &mut Closure) {
        for missing in &mut closure.missing {
            if missing.name.contains(&b'/') {
                continue;
            }
            let read = || {
                let conf = ImagePath::new("/etc/ld.so.conf");
                conf.map(|conf| conf::directories(self.files.fs, &conf).into())
            };
            let directories = self
                .conf_directories
                .get_or_insert_with(|| read().unwrap_or_default());
            missing.hint = directories
                .iter()
                .filter_map(|directory| directory.join(&missing.name))
                .find(|path| matches!(self.files.locate(path), Located::There(_)));
        }
    }
}

/// No loader takes part: a static or static-pie program, or no program and no library.
fn is_static(facts: &Facts) -> bool {
    match facts.kind {
        ElfKind::Executable => facts.interpreter.is_none(),
        ElfKind::Shared => facts.interpreter.is_none() && facts.pie,
        ElfKind::Other => true,
    }
}

fn preload_path() -> Option<ImagePath> {
    ImagePath::new("/etc/ld.so.preload")
}

/// What the environment and `/etc/ld.so.preload` add to a process before its own needs.
fn prepare(process: &mut Process<'_, '_>, main: usize, env: &LoaderEnv, preload_file: &[Vec<u8>]) {
    let library_path = env.ld_library_path.as_deref().unwrap_or_default();
    let preload = env.ld_preload.as_deref().unwrap_or_default();
    let preload = preload.split(|byte| b" :".contains(byte));
    let origin = process.mapped[main].origin.clone();
    match &process.system.libc {
        Libc::Glibc(glibc) => {
            process.library_path = glibc::split(glibc, &origin, library_path, b":;");
            let facts = Rc::clone(&process.mapped[main].facts);
            let audit = facts.audit.as_deref().unwrap_or_default();
            let named = preload.chain(audit.split(|byte| *byte == b':'));
            for name in named.filter(|name| !name.is_empty()) {
                if let Some(name) = glibc::expand(glibc, &origin, name) {
                    process.map(main, &name, None);
                }
            }
            if !preload_file.is_empty() {
                process.consulted.extend(preload_path());
            }
            for name in preload_file {
                if let Some(name) = glibc::expand(glibc, &origin, name) {
                    process.map(main, &name, preload_path());
                }
            }
        }
        Libc::Musl(_) => {
            process.library_path = musl::split(library_path);
            for name in preload.filter(|name| !name.is_empty()) {
                process.map(main, name, None);
            }
        }
    }
}

#[cfg(test)]
mod tests;
