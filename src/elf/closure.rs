//! The objects of one process as its loader maps them, breadth first.

use super::facts::{Facts, Tag};
use super::files::{File, Files};
use super::system::{Libc, System};
use super::{Closure, Missing, Object, ObjectKind, glibc, musl};
use crate::image_path::ImagePath;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::rc::Rc;

/// A file that a search ended at, under the path it was found by.
#[derive(Clone, Debug)]
pub(super) struct Hit {
    pub(super) path: ImagePath,
    pub(super) file: Rc<File>,
}

/// A mapped object.
#[derive(Debug)]
pub(super) struct Mapped {
    /// As the loader spells it.
    pub(super) path: ImagePath,
    pub(super) facts: Rc<Facts>,
    /// The object that had it mapped.
    pub(super) loader: Option<usize>,
    /// What `$ORIGIN` stands for.
    pub(super) origin: Vec<u8>,
    /// DT_RPATH; of musl also DT_RUNPATH, which it treats alike.
    pub(super) rpath: Vec<ImagePath>,
    /// DT_RUNPATH.
    pub(super) runpath: Vec<ImagePath>,
    kind: ObjectKind,
    edges: Vec<Edge>,
    missing: Vec<Vec<u8>>,
}

/// One object asking for another.
#[derive(Debug)]
struct Edge {
    name: Vec<u8>,
    to: usize,
    /// The path that the search found, where it is not the one the object was mapped by.
    also_at: Option<ImagePath>,
    /// The file that asked, when it is not the object.
    asked_by: Option<ImagePath>,
}

/// One process: what is mapped, and what the search depends on.
pub(super) struct Process<'a, 'fs> {
    pub(super) files: &'a mut Files<'fs>,
    pub(super) system: &'a System,
    /// LD_LIBRARY_PATH, split and expanded.
    pub(super) library_path: Vec<ImagePath>,
    pub(super) consulted: BTreeSet<ImagePath>,
    /// The program first, then in the order of mapping.
    pub(super) mapped: Vec<Mapped>,
    by_name: HashMap<Vec<u8>, usize>,
    by_id: HashMap<(u64, u64), usize>,
    /// Objects whose needs are still to be mapped.
    next: usize,
    /// Variants found beside a mapped object: they come last, as no loader maps both.
    alternatives: VecDeque<(usize, Vec<u8>, Hit)>,
}

impl<'a, 'fs> Process<'a, 'fs> {
    pub(super) fn new(files: &'a mut Files<'fs>, system: &'a System) -> Self {
        Self {
            files,
            system,
            library_path: Vec::new(),
            consulted: BTreeSet::new(),
            mapped: Vec::new(),
            by_name: HashMap::new(),
            by_id: HashMap::new(),
            next: 0,
            alternatives: VecDeque::new(),
        }
    }

    /// Maps a file that nothing in the process asked for: the program, or a library that it
    /// opens by its path. Its needs are not yet mapped.
    pub(super) fn map_root(&mut self, path: ImagePath, file: Rc<File>) -> usize {
        if let Some(known) = self.by_id.get(&file.id) {
            return *known;
        }
        // The kernel tells a program's own path with all symlinks followed.
        let origin_of = match file.facts.interpreter {
            Some(_) => &file.physical,
            None => &path,
        };
        let origin = origin_of.parent().unwrap_or_else(ImagePath::root);
        self.push(None, None, Hit { path, file }, origin, ObjectKind::Loaded)
    }

    /// Maps all that the mapped objects still need.
    pub(super) fn map_needs(&mut self) {
        loop {
            while self.next < self.mapped.len() {
                let object = self.next;
                self.next += 1;
                let facts = Rc::clone(&self.mapped[object].facts);
                for (tag, name) in &facts.wants {
                    self.want(object, *tag, name);
                }
            }
            let Some((from, name, hit)) = self.alternatives.pop_front() else {
                return;
            };
            self.connect(from, name, hit, None, ObjectKind::Alternative);
        }
    }

    fn want(&mut self, object: usize, tag: Tag, name: &[u8]) {
        let name = match &self.system.libc {
            Libc::Musl(_) if tag != Tag::Needed => return,
            Libc::Musl(_) => name.to_vec(),
            Libc::Glibc(glibc) => match glibc::expand(glibc, &self.mapped[object].origin, name) {
                Some(name) => name,
                None => return self.miss(object, tag, name),
            },
        };
        if !self.map(object, &name, None) {
            self.miss(object, tag, &name);
        }
    }

    fn miss(&mut self, object: usize, tag: Tag, name: &[u8]) {
        let missing = &mut self.mapped[object].missing;
        if tag != Tag::Auxiliary && !missing.iter().any(|known| known == name) {
            missing.push(name.to_vec());
        }
    }

    /// Maps what `name` means to `object`. False when there is nothing.
    pub(super) fn map(&mut self, object: usize, name: &[u8], asked_by: Option<ImagePath>) -> bool {
        if self.system.own_names.iter().any(|own| own == name) {
            return true;
        }
        if let Some(known) = self.by_name.get(name) {
            let edge = Edge {
                name: name.to_vec(),
                to: *known,
                also_at: None,
                asked_by,
            };
            self.mapped[object].edges.push(edge);
            return true;
        }
        let system = self.system;
        let hits = match &system.libc {
            Libc::Glibc(glibc) => glibc::search(self, glibc, object, name),
            Libc::Musl(_) if musl::is_libc(name) => return true,
            Libc::Musl(musl) => musl::search(self, musl, object, name),
        };
        let mut hits = hits.into_iter();
        let Some(hit) = hits.next() else {
            return false;
        };
        for other in hits {
            self.alternatives.push_back((object, name.to_vec(), other));
        }
        let kind = match self.mapped[object].kind {
            ObjectKind::Alternative => ObjectKind::Alternative,
            _ => ObjectKind::Loaded,
        };
        self.connect(object, name.to_vec(), hit, asked_by, kind);
        true
    }

    fn connect(
        &mut self,
        from: usize,
        name: Vec<u8>,
        hit: Hit,
        asked_by: Option<ImagePath>,
        kind: ObjectKind,
    ) {
        let mut also_at = None;
        let to = match self.by_id.get(&hit.file.id) {
            Some(known) => {
                if self.mapped[*known].path != hit.path {
                    also_at = Some(hit.path);
                }
                self.by_name.entry(name.clone()).or_insert(*known);
                *known
            }
            None => {
                let origin = hit.path.parent().unwrap_or_else(ImagePath::root);
                self.push(Some(&name), Some(from), hit, origin, kind)
            }
        };
        self.mapped[from].edges.push(Edge {
            name,
            to,
            also_at,
            asked_by,
        });
    }

    fn push(
        &mut self,
        name: Option<&[u8]>,
        loader: Option<usize>,
        hit: Hit,
        origin: ImagePath,
        kind: ObjectKind,
    ) -> usize {
        let index = self.mapped.len();
        let facts = Rc::clone(&hit.file.facts);
        let origin = origin.as_bytes().to_vec();
        let mut names: Vec<Vec<u8>> = name.map(<[u8]>::to_vec).into_iter().collect();
        let (rpath, runpath) = match &self.system.libc {
            Libc::Glibc(glibc) => {
                names.push(hit.path.as_bytes().to_vec());
                names.extend(facts.soname.clone());
                glibc::search_paths(glibc, &origin, &facts)
            }
            Libc::Musl(_) => {
                names.retain(|name| !name.contains(&b'/'));
                (musl::search_path(&origin, &facts), Vec::new())
            }
        };
        for name in names {
            self.by_name.entry(name).or_insert(index);
        }
        self.by_id.insert(hit.file.id, index);
        self.mapped.push(Mapped {
            path: hit.path,
            facts,
            loader,
            origin,
            rpath,
            runpath,
            kind,
            edges: Vec::new(),
            missing: Vec::new(),
        });
        index
    }

    /// What is reachable from one object.
    pub(super) fn closure(self, root: usize) -> Closure {
        let mut closure = Closure {
            interpreter: self.system.interpreter.clone(),
            consulted: self.consulted.into_iter().collect(),
            ..Closure::default()
        };
        let mut seen = vec![false; self.mapped.len()];
        seen[root] = true;
        let mut order = VecDeque::from([root]);
        let mut paths: BTreeSet<ImagePath> = BTreeSet::new();
        while let Some(index) = order.pop_front() {
            let object = &self.mapped[index];
            // What only a variant lacks does not keep this processor's program from running.
            if object.kind != ObjectKind::Alternative {
                closure
                    .missing
                    .extend(object.missing.iter().map(|name| Missing {
                        name: name.clone(),
                        needed_by: object.path.clone(),
                        hint: None,
                    }));
            }
            for edge in &object.edges {
                let target = &self.mapped[edge.to];
                let found = |path: &ImagePath, kind| Object {
                    name: edge.name.clone(),
                    path: path.clone(),
                    needed_by: edge.asked_by.as_ref().unwrap_or(&object.path).clone(),
                    kind,
                };
                if !std::mem::replace(&mut seen[edge.to], true) {
                    order.push_back(edge.to);
                    paths.insert(target.path.clone());
                    closure.objects.push(found(&target.path, target.kind));
                }
                if let Some(path) = &edge.also_at
                    && paths.insert(path.clone())
                {
                    closure.objects.push(found(path, ObjectKind::SameFile));
                }
            }
        }
        closure
    }
}
