//! Why a path is in an image: the chain of reasons down to the process that used it. Or that it
//! is not, why not, and what would bring it in.

use super::model::{Item, Report};
use super::words;
use crate::byte_string::ByteString;
use crate::image_path::ImagePath;
use crate::manifest::{Exclusion, MountFate, Reason};
use crate::recording::Process;
use serde::Serialize;
use std::collections::{HashMap, HashSet, VecDeque};

/// As many symlinks as the kernel follows (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// More would hide what matters, and IDs that the kernel gave twice may go round in circles.
const MAX_ANCESTORS: usize = 6;

/// The entries of a report by their paths.
pub struct Index<'a> {
    report: &'a Report,
    by_path: HashMap<&'a ImagePath, &'a Item>,
}

/// What there is to say of a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// As it was asked for.
    pub path: ImagePath,
    /// Whether it is in the image.
    pub kept: bool,
    /// The entry that it leads to, through symlinks; of one that is not in the image as far as
    /// the links tell.
    pub entry: ImagePath,
    /// Name and version of the package that owns it.
    pub package: Option<String>,
    /// From the entry down to a reason that stands for itself.
    pub chain: Vec<Step>,
    /// Who started the process that the chain ends at, and so on.
    pub started_by: Vec<Ancestor>,
    /// How many other reasons the entry has.
    pub other_reasons: usize,
    /// Why it is not in the image, where that is known.
    pub excluded: Option<Exclusion>,
    /// What would bring it in.
    pub remedy: Option<String>,
}

/// A process that has started another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ancestor {
    /// Its ID.
    pub pid: i32,
    /// What it ran then, where that is known.
    pub program: Option<ImagePath>,
}

/// A link of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// An entry of the image.
    pub path: ImagePath,
    /// Why it is there.
    pub reason: Reason,
}

impl<'a> Index<'a> {
    /// Of the whole report.
    pub fn new(report: &'a Report) -> Self {
        let entries = report.entries.iter();
        Self {
            report,
            by_path: entries.map(|item| (&item.path, item)).collect(),
        }
    }

    /// Of the process that the chain ends at, the nearest first.
    fn ancestors(&self, chain: &[Step]) -> Vec<Ancestor> {
        let known = |pid: i32| {
            let processes = &self.report.recording.processes;
            let found = processes.binary_search_by_key(&pid, |item| item.pid);
            found.ok().map(|index| &processes[index].process)
        };
        let mut ancestors: Vec<Ancestor> = Vec::new();
        let Some(Reason::Used { first, .. }) = chain.last().map(|step| &step.reason) else {
            return ancestors;
        };
        // IDs mean different processes in reports that were packed together.
        let is_it = |process: &&Process| match &first.program {
            Some(program) => process.programs.contains(program),
            None => true,
        };
        let mut next = known(first.pid).filter(is_it);
        while let Some(process) = next {
            let Some(pid) = process.parent else { break };
            if ancestors.len() == MAX_ANCESTORS {
                break;
            }
            // What a child was forked with is what its parent ran then.
            let parent = known(pid);
            let program = process.programs.first();
            let program = program.or_else(|| parent?.programs.last());
            ancestors.push(Ancestor {
                pid,
                program: program.cloned(),
            });
            next = parent;
        }
        ancestors
    }

    /// Explains one path.
    pub fn explain(&self, path: &ImagePath) -> Explanation {
        let entry = self.follow(path);
        match self.by_path.get(path).or_else(|| self.by_path.get(&entry)) {
            Some(item) => self.kept(path, item),
            None => self.left_out(path, entry),
        }
    }

    fn kept(&self, path: &ImagePath, item: &Item) -> Explanation {
        let package = item
            .package
            .and_then(|index| self.report.packages.get(index));
        let chain = self.chain(item);
        Explanation {
            path: path.clone(),
            kept: true,
            entry: item.path.clone(),
            package: package.map(|package| format!("{} {}", package.name, package.version)),
            started_by: self.ancestors(&chain),
            chain,
            other_reasons: item.reasons.len().saturating_sub(1),
            excluded: None,
            remedy: None,
        }
    }

    fn left_out(&self, path: &ImagePath, entry: ImagePath) -> Explanation {
        let excluded = self.exclusion(&entry).cloned();
        let excluded = excluded.or_else(|| self.elsewhere(&entry));
        let remedy = words::remedy(&entry, excluded.as_ref());
        Explanation {
            path: path.clone(),
            kept: false,
            entry,
            package: None,
            chain: Vec::new(),
            started_by: Vec::new(),
            other_reasons: 0,
            excluded,
            remedy: Some(remedy),
        }
    }

    /// The exclusion of a path, or of what it lies below. A directory that was only listed, or
    /// could not be, says nothing of what is deeper in it.
    fn exclusion(&self, path: &ImagePath) -> Option<&Exclusion> {
        let mut nearest: Option<(usize, &Exclusion)> = None;
        for left in &self.report.excluded {
            let depth = left.path.as_bytes().len();
            let is_it = left.path == *path;
            let covers = match left.why {
                Exclusion::ListedOnly => path.parent().as_ref() == Some(&left.path),
                Exclusion::Unreadable(_) | Exclusion::Vanished => false,
                _ => path.is_at_or_below(&left.path),
            };
            if (is_it || covers) && nearest.is_none_or(|(known, _)| known <= depth) {
                nearest = Some((depth, &left.why));
            }
        }
        nearest.map(|(_, why)| why)
    }

    /// Why what nobody used could not be included either: it is no part of the image.
    fn elsewhere(&self, path: &ImagePath) -> Option<Exclusion> {
        let of_kernel = ["/proc", "/sys", "/dev"].iter().filter_map(ImagePath::new);
        if of_kernel
            .into_iter()
            .any(|place| path.is_at_or_below(&place))
        {
            return Some(Exclusion::BuiltIn);
        }
        let mounts = self.report.mounts.iter();
        let over = mounts.filter(|mount| path.is_at_or_below(&mount.mount_point));
        // Of several in the same place the last one is seen.
        let mount = over.max_by_key(|mount| mount.mount_point.as_bytes().len())?;
        match mount.fate {
            MountFate::Image | MountFate::Included | MountFate::Prefilled => None,
            MountFate::Engine => Some(Exclusion::BuiltIn),
            MountFate::NamedVolume | MountFate::Pseudo | MountFate::Foreign => {
                Some(Exclusion::Mount(mount.fs_type.clone()))
            }
        }
    }

    /// The shortest way to a reason that names no other entry.
    fn chain(&self, item: &'a Item) -> Vec<Step> {
        let mut ways: VecDeque<Vec<Step>> = VecDeque::from([Vec::new()]);
        let mut ends = VecDeque::from([item]);
        let mut seen = HashSet::from([&item.path]);
        let mut fallback = Vec::new();
        while let (Some(way), Some(end)) = (ways.pop_front(), ends.pop_front()) {
            for reason in &end.reasons {
                let mut longer = way.clone();
                longer.push(Step {
                    path: end.path.clone(),
                    reason: reason.clone(),
                });
                match reason.of().and_then(|of| self.by_path.get(of)) {
                    None if reason.of().is_none() => return longer,
                    // What it stands for is not in the image: a removed file, for instance.
                    None => {
                        if fallback.is_empty() {
                            fallback = longer;
                        }
                    }
                    Some(next) if seen.insert(&next.path) => {
                        ways.push_back(longer);
                        ends.push_back(next);
                    }
                    Some(_) => {}
                }
            }
        }
        fallback
    }

    /// Where a path leads by the symlinks of the image.
    fn follow(&self, path: &ImagePath) -> ImagePath {
        let mut pending: Vec<Vec<u8>> = path.components().rev().map(<[u8]>::to_vec).collect();
        let mut here = ImagePath::root();
        let mut links = 0;
        while let Some(name) = pending.pop() {
            if name == b".." {
                here = here.parent().unwrap_or(here);
                continue;
            }
            let Some(next) = here.join(&name) else {
                continue;
            };
            let target = self
                .by_path
                .get(&next)
                .and_then(|item| item.target.as_ref());
            match target {
                Some(ByteString(target)) if links < MAX_LINKS => {
                    links += 1;
                    if target.starts_with(b"/") {
                        here = ImagePath::root();
                    }
                    let names = target.split(|byte| *byte == b'/').rev();
                    let names = names.filter(|name| !matches!(*name, b"" | b"."));
                    pending.extend(names.map(<[u8]>::to_vec));
                }
                _ => here = next,
            }
        }
        here
    }
}

#[cfg(test)]
mod tests;
