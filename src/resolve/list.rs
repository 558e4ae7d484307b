//! The ancestor's `files.txt`: one path a line, made by a trace of another tool or by hand.

use super::programs::search;
use crate::image_fs::{FileKind, ImageFs, Meta, walk};
use crate::image_path::ImagePath;
use crate::recording::{Access, Loss, Origin, Place, Recording, Use};
use std::collections::BTreeSet;

/// What became of the lines of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListReport {
    /// Distinct lines that named something.
    pub taken: usize,
    /// Distinct lines that named nothing, sorted.
    pub missing: Vec<Vec<u8>>,
}

/// Reads a list as the ancestor did: absolute paths; relative ones from `cwd`; what is not
/// there is looked up along `path_var`, the first hit that is no directory. A listed directory
/// is taken with everything below it, on its own file system, unless a listed file lies below.
/// A trailing CR is part of the name only where a file of that name exists.
pub fn from_list(
    fs: &dyn ImageFs,
    text: &[u8],
    path_var: &[u8],
    cwd: &ImagePath,
) -> (Recording, ListReport) {
    let lines: BTreeSet<&[u8]> = text
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty() && *line != b"\r")
        .collect();
    let mut recording = Recording::default();
    let mut report = ListReport::default();
    let mut directories = BTreeSet::new();
    let mut files = BTreeSet::new();
    for line in lines {
        let without_cr = line.strip_suffix(b"\r");
        let found =
            named(fs, line, path_var, cwd).or_else(|| named(fs, without_cr?, path_var, cwd));
        let Some(path) = found else {
            report.missing.push(without_cr.unwrap_or(line).to_vec());
            continue;
        };
        report.taken += 1;
        let reached = walk(fs, &path, true);
        match reached.end {
            Ok((end, meta)) if meta.kind == FileKind::Directory => {
                directories.insert(end);
            }
            Ok((end, _)) => {
                files.insert(end);
            }
            Err(_) => {}
        }
        files.extend(reached.links);
        add(&mut recording, path);
    }
    let parents_of_files: BTreeSet<ImagePath> = files.iter().flat_map(ancestors).collect();
    for directory in directories.difference(&parents_of_files) {
        add_tree(fs, directory, &mut recording);
    }
    (recording, report)
}

/// Adds the ELF interpreter of `program` to what was used, as `-x` of the ancestor does. The
/// interpreter, or `None` for a program that has none.
///
/// # Errors
/// Why the program cannot be read as an ELF file.
pub fn add_interpreter(
    fs: &dyn ImageFs,
    program: &ImagePath,
    recording: &mut Recording,
) -> Result<Option<ImagePath>, String> {
    let (physical, _) = walk(fs, program, true)
        .end
        .map_err(|errno| errno.desc().to_owned())?;
    let interpreter = super::loader::interpreter(fs, &physical)?;
    if let Some(path) = &interpreter {
        add(recording, path.clone());
    }
    Ok(interpreter)
}

fn named(fs: &dyn ImageFs, line: &[u8], path_var: &[u8], cwd: &ImagePath) -> Option<ImagePath> {
    let path = cwd.join(line)?;
    let is_there = walk(fs, &path, false).end.is_ok();
    if is_there || line.first() == Some(&b'/') {
        return is_there.then_some(path);
    }
    let is_file = |meta: &Meta| meta.kind != FileKind::Directory;
    path_var
        .split(|byte| *byte == b':')
        .filter(|directory| !directory.is_empty())
        .find_map(|directory| {
            // Each by itself: a line that holds a slash is looked up along PATH as well.
            let place = cwd.join(directory)?;
            search(fs, &ImagePath::root(), &place, b"", line, is_file)
        })
}

fn ancestors(path: &ImagePath) -> Vec<ImagePath> {
    std::iter::successors(path.parent(), ImagePath::parent).collect()
}

fn add(recording: &mut Recording, path: ImagePath) {
    recording.uses.entry(Place::at(path)).or_insert(Use {
        access: Access::OPEN,
        first: Origin {
            pid: 0,
            program: None,
            call: "list".into(),
        },
    });
}

fn add_tree(fs: &dyn ImageFs, top: &ImagePath, recording: &mut Recording) {
    let Ok(device) = fs.lstat(top).map(|meta| meta.dev) else {
        return;
    };
    let mut pending = vec![top.clone()];
    while let Some(directory) = pending.pop() {
        let names = match fs.list(&directory) {
            Ok(names) => names,
            Err(error) => {
                recording.losses.insert(Loss {
                    what: format!(
                        "{directory} cannot be listed: {error}: run micropacker as a user that may"
                    ),
                    count: 1,
                });
                continue;
            }
        };
        for child in names.iter().filter_map(|name| directory.join(name)) {
            let meta = fs.lstat(&child);
            if meta.is_ok_and(|meta| meta.kind == FileKind::Directory && meta.dev == device) {
                pending.push(child.clone());
            }
            add(recording, child);
        }
    }
}
