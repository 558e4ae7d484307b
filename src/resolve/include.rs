//! What the user asked for by name: `--include` and `--include-exe`.

use super::patterns::{Pattern, PatternKind, glob};
use super::plan::{Plan, Wish};
use super::programs::{DEFAULT_PATH, Programs, Role, Setting, is_program, search};
use super::rules::Verdict;
use crate::image_fs::{FileKind, Meta, walk};
use crate::image_path::ImagePath;
use globset::GlobMatcher;

/// Takes everything that a pattern of `--include` names; of a directory all below it.
pub(super) fn include(
    plan: &mut Plan,
    programs: &mut Programs,
    pattern: &Pattern,
    setting: &Setting,
) {
    let wish = Wish::included(&pattern.text);
    if !take_pattern(plan, programs, pattern, &wish, setting) {
        plan.lose(format!(
            "nothing matches --include {}: mend or drop the pattern",
            pattern.text
        ));
    }
}

/// Takes everything that a pattern names; whether there is anything.
pub(super) fn take_pattern(
    plan: &mut Plan,
    programs: &mut Programs,
    pattern: &Pattern,
    wish: &Wish,
    setting: &Setting,
) -> bool {
    let named = match &pattern.kind {
        PatternKind::Literal(path) => vec![path.clone()],
        PatternKind::Glob(components) => expand(plan, components),
    };
    let mut found = false;
    for path in named {
        let reached = walk(plan.fs, &path, true);
        // A dangling symlink is a file as well; what it names is not missed.
        if reached.end.is_err() && walk(plan.fs, &path, false).end.is_err() {
            continue;
        }
        found = true;
        match plan.take_walk(&reached, &path, wish) {
            Some(end) => take_tree(plan, programs, end, wish, setting),
            None if reached.end.is_ok() => tell_refused(plan, &path, &reached.last),
            None => {}
        }
    }
    found
}

/// Takes a program with everything it needs to start: a name along PATH, or a path.
pub(super) fn include_exe(
    plan: &mut Plan,
    programs: &mut Programs,
    name: &[u8],
    setting: &Setting,
) {
    let text = name.escape_ascii().to_string();
    let path = setting.path.as_deref().unwrap_or(DEFAULT_PATH);
    let found = search(plan.fs, &setting.root, &setting.cwd, path, name, is_program);
    let Some(found) = found else {
        plan.lose(format!(
            "--include-exe {text}: no such program along PATH: give its path"
        ));
        return;
    };
    let wish = Wish::included(&text);
    match plan.follow(&setting.root, &found, true, &wish) {
        Some(end) => programs.add(plan, end, setting, Role::Started(0)),
        None => plan.lose(format!(
            "--include-exe {text}: {found} may not be shipped: see what excludes it"
        )),
    }
}

/// Looks into a file, and into everything below a directory; a symlink there brings what it
/// leads to, of a directory only itself.
fn take_tree(
    plan: &mut Plan,
    programs: &mut Programs,
    top: (ImagePath, Meta),
    wish: &Wish,
    setting: &Setting,
) {
    let mut pending = vec![top];
    while let Some((path, meta)) = pending.pop() {
        if meta.kind != FileKind::Directory {
            let role = Role::Opened(None);
            programs.add(plan, (path, meta), setting, role);
            continue;
        }
        if plan.rules().judge(&path, meta.kind, true) != Verdict::Ship {
            tell_refused(plan, &path, &path);
            continue;
        }
        let names = match plan.fs.list_with_made(&path) {
            Ok(names) => names,
            Err(error) => {
                plan.unreadable(&path, &error);
                continue;
            }
        };
        for child in names.iter().rev().filter_map(|name| path.join(name)) {
            let end = plan.follow(&ImagePath::root(), &child, true, wish);
            pending.extend(
                end.filter(|(end, meta)| meta.kind != FileKind::Directory || *end == child),
            );
        }
    }
}

fn tell_refused(plan: &mut Plan, named: &ImagePath, physical: &ImagePath) {
    let why = match plan.rules().foreign_mount(physical) {
        Some(mount) => format!(
            "it lies on a mount ({}): add --include-mount {}",
            mount.fs_type, mount.mount_point
        ),
        None => "it is excluded: see the report".to_owned(),
    };
    plan.lose(format!("{named} was to be included and is not: {why}"));
}

/// The paths that a glob names, as a shell would find them: symlinks to directories are
/// followed, but not by `**`.
fn expand(plan: &mut Plan, components: &[String]) -> Vec<ImagePath> {
    let spans = |component: &String| component.contains("**") || component.contains('{');
    let single = components.iter().take_while(|part| !spans(part)).count();
    let mut found = vec![ImagePath::root()];
    for component in &components[..single] {
        found = match component.contains(['*', '?', '[', '\\']) {
            false => found
                .iter()
                .filter_map(|place| place.join(component))
                .collect(),
            true => match glob(component) {
                Ok(part) => children(plan, &found, &part.compile_matcher()),
                Err(_) => Vec::new(),
            },
        };
    }
    if single == components.len() {
        return found;
    }
    match glob(&format!("/{}", components.join("/"))) {
        Ok(whole) => descendants(plan, found, &whole.compile_matcher()),
        Err(_) => Vec::new(),
    }
}

fn children(plan: &mut Plan, places: &[ImagePath], matcher: &GlobMatcher) -> Vec<ImagePath> {
    let mut found = Vec::new();
    for place in places {
        let named = list(plan, place, true).into_iter().filter(|child| {
            child
                .file_name()
                .is_some_and(|name| matcher.is_match(as_path(name)))
        });
        found.extend(named);
    }
    found
}

fn descendants(plan: &mut Plan, places: Vec<ImagePath>, matcher: &GlobMatcher) -> Vec<ImagePath> {
    let mut found = Vec::new();
    let mut pending: Vec<(ImagePath, bool)> =
        places.into_iter().map(|place| (place, true)).collect();
    while let Some((place, follow)) = pending.pop() {
        for child in list(plan, &place, follow) {
            if matcher.is_match(child.as_path()) {
                found.push(child.clone());
            }
            pending.push((child, false));
        }
    }
    found.sort_unstable();
    found
}

/// The paths in a directory that may be shipped; none of anything else.
fn list(plan: &mut Plan, place: &ImagePath, follow: bool) -> Vec<ImagePath> {
    let Ok((directory, meta)) = walk(plan.fs, place, follow).end else {
        return Vec::new();
    };
    let shippable = plan.rules().judge(&directory, meta.kind, true) == Verdict::Ship;
    if meta.kind != FileKind::Directory || !shippable || is_kernels(&directory) {
        return Vec::new();
    }
    match plan.fs.list_with_made(&directory) {
        Ok(names) => names.iter().filter_map(|name| place.join(name)).collect(),
        Err(error) => {
            plan.unreadable(&directory, &error);
            Vec::new()
        }
    }
}

/// Their content is without end, and no pattern with wildcards means it.
fn is_kernels(directory: &ImagePath) -> bool {
    matches!(directory.as_bytes(), b"/proc" | b"/sys" | b"/dev")
}

fn as_path(name: &[u8]) -> &std::path::Path {
    use std::os::unix::ffi::OsStrExt;
    std::path::Path::new(std::ffi::OsStr::from_bytes(name))
}
