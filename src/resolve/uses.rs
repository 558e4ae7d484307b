//! What was seen while the application ran, path by path and start by start.

use super::listed::{self, Listing};
use super::plan::{Plan, Wish};
use super::programs::{Programs, Role, Setting};
use super::rules::Verdict;
use super::{Listed, Options, Probed};
use crate::image_fs::{FileKind, Walk, walk_in};
use crate::image_path::ImagePath;
use crate::manifest::{Exclusion, Reason};
use crate::packages::Owners;
use crate::recording::{Access, Exec, Place, Recording, Use};
use std::collections::{BTreeMap, BTreeSet};

/// Listed directories, physical, each with the programs that listed it.
pub(super) type Listings = BTreeMap<ImagePath, BTreeSet<Option<ImagePath>>>;

/// One used path, walked.
struct Walked<'a> {
    place: &'a Place,
    used: &'a Use,
    walk: Walk,
}

/// Takes every used path; the directories among them that were listed are for later.
pub(super) fn take_uses(
    plan: &mut Plan,
    programs: &mut Programs,
    recording: &Recording,
    options: &Options,
) -> Listings {
    let walked: Vec<Walked> = recording
        .uses
        .iter()
        .map(|(place, used)| Walked {
            walk: walk_in(plan.fs, &place.root, &place.path, follows(used.access)),
            place,
            used,
        })
        .collect();
    let accesses = accesses(&walked);
    let settings = Settings::of(recording);
    let seen_to_start: BTreeSet<Place> = recording.execs.iter().flat_map(started).collect();
    let mut listings = Listings::new();
    for Walked { place, used, walk } in &walked {
        if options.probed == Probed::Skip
            && let Ok((end, meta)) = &walk.end
            && meta.kind != FileKind::Directory
            && is_only_probe(accesses.get(end).copied().unwrap_or_default())
        {
            plan.note(end, Exclusion::ProbedOnly);
            continue;
        }
        let wish = Wish::because(Reason::Used {
            access: used.access,
            first: used.first.clone(),
        });
        let spelled = place.path.rebased(&place.root);
        let Some((end, meta)) = plan.take_walk(walk, &spelled, &wish) else {
            continue;
        };
        if used.access.contains(Access::LIST) && meta.kind == FileKind::Directory {
            let programs = listings.entry(end.clone()).or_default();
            programs.insert(used.first.program.clone());
        }
        let executed = used.access.contains(Access::EXEC);
        // A start that was seen as such is looked into later, in its own circumstances.
        let looked_into =
            (executed || used.access.contains(Access::OPEN)) && !seen_to_start.contains(place);
        if !looked_into || meta.kind != FileKind::Regular || !programs.is_of_interest(plan, &end) {
            continue;
        }
        let program = used.first.program.clone();
        for setting in settings.for_file(&place.root, program.as_ref()) {
            let role = match executed {
                true => Role::Started(0),
                false => Role::Opened(program.clone()),
            };
            programs.add(plan, (end.clone(), meta), &setting, role);
        }
    }
    listings
}

/// A place that was used in several ways holds all of them: an open follows the link that an
/// lstat of the same place did not.
fn follows(access: Access) -> bool {
    let opened = [Access::OPEN, Access::EXEC, Access::LIST, Access::ENTER];
    !access.contains(Access::NO_FOLLOW) || opened.into_iter().any(|way| access.contains(way))
}

fn is_only_probe(access: Access) -> bool {
    access.without(Access::NO_FOLLOW) == Access::PROBE
}

fn accesses(walked: &[Walked]) -> BTreeMap<ImagePath, Access> {
    let mut accesses: BTreeMap<ImagePath, Access> = BTreeMap::new();
    for one in walked {
        if let Ok((end, _)) = &one.walk.end {
            *accesses.entry(end.clone()).or_default() |= one.used.access;
        }
    }
    accesses
}

/// The circumstances each program ran in.
struct Settings<'a>(BTreeMap<&'a ImagePath, BTreeSet<Setting>>);

impl<'a> Settings<'a> {
    fn of(recording: &'a Recording) -> Self {
        let mut settings: BTreeMap<&ImagePath, BTreeSet<Setting>> = BTreeMap::new();
        for exec in &recording.execs {
            // What it opens depends on its variables. Directories it started in are many, and
            // only a relative `#!` line would tell them apart.
            let setting = Setting {
                cwd: ImagePath::root(),
                ..Setting::of_exec(exec)
            };
            settings.entry(&exec.program).or_default().insert(setting);
        }
        Self(settings)
    }

    fn for_file(&self, root: &ImagePath, program: Option<&ImagePath>) -> Vec<Setting> {
        let known = program.and_then(|program| self.0.get(program));
        match known {
            Some(settings) => settings
                .iter()
                .map(|setting| Setting {
                    root: root.clone(),
                    ..setting.clone()
                })
                .collect(),
            None => vec![Setting::plain(root)],
        }
    }
}

/// Takes every program that was started, and the script it was started by.
pub(super) fn take_execs(plan: &mut Plan, programs: &mut Programs, recording: &Recording) {
    let wish = Wish::because(Reason::Executed);
    for exec in &recording.execs {
        let setting = Setting::of_exec(exec);
        for Place { root, path } in started(exec) {
            if let Some(end) = plan.follow(&root, &path, true, &wish) {
                programs.add(plan, end, &setting, Role::Started(0));
            }
        }
    }
}

/// The script or link that a start was given, and the binary that ran.
fn started(exec: &Exec) -> impl Iterator<Item = Place> {
    let file = exec.file.clone().map(|path| Place {
        root: exec.root.clone(),
        path,
    });
    file.into_iter().chain([Place::at(exec.program.clone())])
}

/// What the application made is not shipped, but the directory it did that in must be there.
pub(super) fn keep_parents_of_changes(plan: &mut Plan, recording: &Recording) {
    for path in &recording.created {
        // Judged, not merely noted: what lies on a mount is excluded for that.
        if let Ok(meta) = plan.fs.lstat(path)
            && let Verdict::Out(why) = plan.rules().judge(path, meta.kind, false)
        {
            plan.exclude(path, why);
        } else if let Some(parent) = path.parent() {
            plan.keep_directory(&parent, Reason::ParentOf(path.clone()));
        }
    }
}

/// Takes the entries of listed directories, as `--listed` says.
pub(super) fn take_listings(plan: &mut Plan, listings: &Listings, options: &Options) {
    let owners = match options.listed {
        Listed::Auto if !listings.is_empty() => Owners::load(plan.fs),
        _ => Owners::default(),
    };
    for problem in owners.problems() {
        plan.lose_once(problem);
    }
    let (taken, left): (Vec<_>, Vec<_>) = listings.iter().partition(|(directory, programs)| {
        let own = |program: &Option<ImagePath>| {
            let program = program.as_ref();
            listed::is_applications_own(plan.fs, &owners, &Listing { directory, program })
        };
        match options.listed {
            Listed::Auto => programs.iter().all(own),
            Listed::Full => true,
            Listed::Skip => false,
        }
    });
    for (directory, _) in taken {
        listed::take_entries(plan, directory);
    }
    for (directory, _) in left {
        listed::note_left_out(plan, directory);
    }
}
