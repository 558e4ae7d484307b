//! What the kernel and the loader open for a file to start: `#!` chains and ELF closures.

use super::cache::seen_from;
use super::closure::{Closures, Load, LoaderVariables, Needs};
use super::plan::{Plan, Wish};
use super::script::{EnvCommand, HEAD, MAX_DEPTH, Shebang};
use crate::image_fs::{FileKind, ImageFs, Meta, walk_in};
use crate::image_path::ImagePath;
use crate::manifest::Reason;
use crate::recording::{Context, Exec};
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::rc::Rc;

/// Where execvp(3) looks when the environment has no PATH: more than any libc does.
pub(super) const DEFAULT_PATH: &[u8] =
    b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The circumstances a program starts in.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Setting {
    pub root: ImagePath,
    /// Below `root`.
    pub cwd: ImagePath,
    pub path: Option<Vec<u8>>,
    pub variables: LoaderVariables,
}

impl Setting {
    pub(super) fn plain(root: &ImagePath) -> Self {
        Self {
            root: root.clone(),
            cwd: ImagePath::root(),
            path: None,
            variables: LoaderVariables::default(),
        }
    }

    pub(super) fn of_exec(exec: &Exec) -> Self {
        Self {
            root: exec.root.clone(),
            cwd: exec.cwd.clone().unwrap_or_else(ImagePath::root),
            path: exec.path.clone(),
            variables: LoaderVariables {
                library_path: exec.ld_library_path.clone(),
                preload: exec.ld_preload.clone(),
            },
        }
    }

    pub(super) fn of_context(context: &Context) -> Self {
        let variable = |name: &[u8]| {
            let assigned = |line: &&Vec<u8>| {
                line.strip_prefix(name)
                    .is_some_and(|rest| rest.first() == Some(&b'='))
            };
            let line = context.env.iter().find(assigned)?;
            line.get(name.len() + 1..).map(<[u8]>::to_vec)
        };
        Self {
            root: ImagePath::root(),
            cwd: context.cwd.clone().unwrap_or_else(ImagePath::root),
            path: variable(b"PATH"),
            variables: LoaderVariables {
                library_path: variable(b"LD_LIBRARY_PATH"),
                preload: variable(b"LD_PRELOAD"),
            },
        }
    }

    fn search_path(&self) -> &[u8] {
        self.path.as_deref().unwrap_or(DEFAULT_PATH)
    }

    fn changed_by(&self, command: &EnvCommand) -> Self {
        let mut changed = self.clone();
        if command.clear {
            changed.path = None;
            changed.variables = LoaderVariables::default();
        }
        let unset = command.unset.iter().map(|name| (name, None));
        let set = command.set.iter().map(|(name, value)| (name, Some(value)));
        for (name, value) in unset.chain(set) {
            let place = match name.as_slice() {
                b"PATH" => &mut changed.path,
                b"LD_LIBRARY_PATH" => &mut changed.variables.library_path,
                b"LD_PRELOAD" => &mut changed.variables.preload,
                _ => continue,
            };
            *place = value.cloned();
        }
        if let Some(directory) = &command.directory {
            changed.cwd = self.cwd.join(directory).unwrap_or(changed.cwd);
        }
        changed
    }
}

/// Looks a name up as execvp(3) does: along `path` unless it holds a slash, empty parts of
/// `path` being the current directory. The path of the first hit that `accept` takes, its
/// symlinks not followed.
pub(super) fn search(
    fs: &dyn ImageFs,
    root: &ImagePath,
    cwd: &ImagePath,
    path: &[u8],
    name: &[u8],
    accept: impl Fn(&Meta) -> bool,
) -> Option<ImagePath> {
    let directories = if name.contains(&b'/') { b"" } else { path };
    directories
        .split(|byte| *byte == b':')
        .filter_map(|directory| cwd.join(directory)?.join(name))
        .find(|found| {
            let end = walk_in(fs, root, found, true).end;
            end.is_ok_and(|(_, meta)| accept(&meta))
        })
}

/// Whether execve(2) may start it.
pub(super) fn is_program(meta: &Meta) -> bool {
    meta.kind == FileKind::Regular && meta.mode & 0o111 != 0
}

/// How a file came to be looked into.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Role {
    /// It is started; the number of `#!` lines that led to it.
    Started(usize),
    /// A process of this program opened it.
    Opened(Option<ImagePath>),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Job {
    /// Physical, seen from `/`.
    file: ImagePath,
    setting: Setting,
    role: Role,
}

/// What the first bytes of a file tell.
enum Head {
    Script(Shebang),
    Elf,
    Other,
}

/// Takes files and adds all that they need, until nothing new comes up.
pub(super) struct Programs<'a> {
    closures: &'a mut dyn Closures,
    heads: HashMap<ImagePath, Rc<Head>>,
    seen: HashSet<Job>,
    queue: VecDeque<Job>,
    loads: HashSet<Load>,
    /// Where each path that a loader opens led to, by root: most programs open the same few.
    taken: HashMap<ImagePath, HashMap<ImagePath, Option<ImagePath>>>,
    /// Libraries that were not found, with who needs them: told at the end.
    missing: BTreeSet<(ImagePath, Vec<u8>)>,
}

impl<'a> Programs<'a> {
    pub(super) fn new(closures: &'a mut dyn Closures) -> Self {
        Self {
            closures,
            heads: HashMap::new(),
            seen: HashSet::new(),
            queue: VecDeque::new(),
            loads: HashSet::new(),
            taken: HashMap::new(),
            missing: BTreeSet::new(),
        }
    }

    /// Looks into a shipped file: a script or an ELF file brings in what it needs.
    pub(super) fn add(
        &mut self,
        plan: &mut Plan,
        (file, meta): (ImagePath, Meta),
        setting: &Setting,
        role: Role,
    ) {
        if meta.kind != FileKind::Regular || meta.size == 0 {
            return;
        }
        let relevant = match *self.head(plan, &file) {
            // The kernel starts no script without permission; opened, it is mere text.
            Head::Script(_) => matches!(role, Role::Started(_)) || is_program(&meta),
            Head::Elf => true,
            Head::Other => false,
        };
        let job = Job {
            file,
            setting: setting.clone(),
            role,
        };
        if relevant && self.seen.insert(job.clone()) {
            self.queue.push_back(job);
        }
    }

    /// Whether looking into it would bring in anything.
    pub(super) fn is_of_interest(&mut self, plan: &mut Plan, file: &ImagePath) -> bool {
        !matches!(*self.head(plan, file), Head::Other)
    }

    /// Works until nothing new comes up.
    pub(super) fn run(&mut self, plan: &mut Plan) {
        while let Some(job) = self.queue.pop_front() {
            match &*self.head(plan, &job.file) {
                Head::Script(line) => self.script(plan, &job, line),
                Head::Elf => self.elf(plan, &job),
                Head::Other => {}
            }
        }
    }

    /// Tells of libraries that were not found. A library that was opened by another way, as
    /// dlopen(3) with a path does, is not missed by those that need it later.
    pub(super) fn tell_missing(&self, plan: &mut Plan) {
        let names: HashSet<&[u8]> = plan
            .entries()
            .iter()
            .filter(|(_, entry)| entry.kind != FileKind::Directory)
            .filter_map(|(path, _)| path.file_name())
            .collect();
        let lost: Vec<String> = self
            .missing
            .iter()
            .filter(|(_, name)| !names.contains(name.as_slice()))
            .map(|(file, name)| {
                let name = name.escape_ascii();
                format!("{file} needs the library {name}, which the loader would not find: install it, or leave the file out with --exclude")
            })
            .collect();
        lost.into_iter().for_each(|what| plan.lose(what));
    }

    fn head(&mut self, plan: &mut Plan, file: &ImagePath) -> Rc<Head> {
        if let Some(known) = self.heads.get(file) {
            return Rc::clone(known);
        }
        let read = plan.fs.open(file).and_then(|open| open.bytes_at(0, HEAD));
        let head = Rc::new(match read {
            Ok(bytes) if bytes.starts_with(b"\x7fELF") => Head::Elf,
            Ok(bytes) => Shebang::parse(&bytes).map_or(Head::Other, Head::Script),
            Err(error) => {
                plan.withdraw(file, &error);
                Head::Other
            }
        });
        self.heads.insert(file.clone(), Rc::clone(&head));
        head
    }

    fn script(&mut self, plan: &mut Plan, job: &Job, line: &Shebang) {
        let started = match job.role {
            Role::Started(depth) => Some(depth),
            Role::Opened(_) => None,
        };
        let depth = started.unwrap_or(0);
        if depth == MAX_DEPTH {
            plan.lose(format!(
                "{}: the kernel follows no more than {MAX_DEPTH} #! lines in a row",
                job.file
            ));
            return;
        }
        let setting = &job.setting;
        let wish = Wish::because(Reason::InterpreterOf(job.file.clone()));
        let interpreter = setting.cwd.join(&line.interpreter);
        let Some(program) = interpreter
            .as_ref()
            .and_then(|path| self.start(plan, setting, path, &wish, depth + 1))
        else {
            if started.is_some() {
                let name = line.interpreter.escape_ascii();
                plan.lose(format!(
                    "{}: its #! interpreter {name} is not in the image: include it, or mend the script",
                    job.file
                ));
            }
            return;
        };
        let Some(command) = line.env_command() else {
            return;
        };
        let changed = setting.changed_by(&command);
        let found = search(
            plan.fs,
            &changed.root,
            &changed.cwd,
            changed.search_path(),
            &command.name,
            is_program,
        );
        match found {
            Some(path) => {
                self.start(plan, &changed, &path, &wish, 0);
            }
            None if started.is_some() => {
                let name = command.name.escape_ascii();
                plan.lose(format!(
                    "{}: {program} would not find {name} along PATH: name it with --include-exe",
                    job.file
                ));
            }
            None => {}
        }
    }

    /// Ships a program by its path below the root of `setting`, and looks into it.
    fn start(
        &mut self,
        plan: &mut Plan,
        setting: &Setting,
        path: &ImagePath,
        wish: &Wish,
        depth: usize,
    ) -> Option<ImagePath> {
        let walk = walk_in(plan.fs, &setting.root, path, true);
        // An interpreter that is not there was never used: nothing has vanished.
        walk.end.as_ref().ok()?;
        let (program, meta) = plan.take_walk(&walk, &path.rebased(&setting.root), wish)?;
        self.add(plan, (program.clone(), meta), setting, Role::Started(depth));
        Some(program)
    }

    fn elf(&mut self, plan: &mut Plan, job: &Job) {
        let Some(load) = load(job) else { return };
        if !self.loads.insert(load.clone()) {
            return;
        }
        match self.closures.closure(&load) {
            Ok(needs) => self.take_needs(plan, job, &load.root, needs),
            Err(error) => plan.lose(format!(
                "{}: what it needs to be loaded cannot be told: {error}",
                job.file
            )),
        }
    }

    fn take_needs(&mut self, plan: &mut Plan, job: &Job, root: &ImagePath, needs: Needs) {
        if let Some(interpreter) = needs.interpreter {
            let reason = Reason::LoaderOf(job.file.clone());
            self.take(plan, root, &interpreter, reason);
        }
        for (library, by) in needs.libraries {
            self.take(plan, root, &library, Reason::NeededBy(by.rebased(root)));
        }
        for file in needs.configuration {
            if walk_in(plan.fs, root, &file, true).end.is_ok() {
                self.take(plan, root, &file, Reason::NeededBy(job.file.clone()));
            }
        }
        let missing = needs.missing.into_iter();
        self.missing
            .extend(missing.map(|(name, by)| (by.rebased(root), name)));
    }

    fn take(&mut self, plan: &mut Plan, root: &ImagePath, path: &ImagePath, reason: Reason) {
        let known = self.taken.get(root).and_then(|taken| taken.get(path));
        if let Some(end) = known {
            if let Some(end) = end {
                plan.add_reason(end, reason);
            }
            return;
        }
        let end = plan.follow(root, path, true, &Wish::because(reason));
        let taken = self.taken.entry(root.clone()).or_default();
        taken.insert(path.clone(), end.map(|(end, _)| end));
    }
}

/// A file that lies outside of its process's root (fexecve(3) of an inherited descriptor) is
/// loaded as seen from `/`.
fn load(job: &Job) -> Option<Load> {
    let root = &job.setting.root;
    let (root, file) = match seen_from(root, &job.file) {
        Some(file) => (root.clone(), file),
        None => (ImagePath::root(), job.file.clone()),
    };
    let program = match &job.role {
        Role::Started(_) => None,
        Role::Opened(program) => program
            .as_ref()
            .filter(|program| **program != job.file)
            .and_then(|program| seen_from(&root, program)),
    };
    Some(Load {
        root,
        file,
        program,
        variables: job.setting.variables.clone(),
    })
}
