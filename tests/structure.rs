//! The house rules of docs/design.md, read off the source tree.

mod source_code;

use source_code::{code_of, imports, words};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Each top-level module and what it may use. Lowest first: a room may only use rooms that stand
/// before it, so no two can use each other.
const ROOMS: &[(&str, &[&str])] = &[
    // The words that all rooms share.
    ("accounts", &[]),
    ("exit", &[]),
    ("sockets", &[]),
    ("byte_string", &[]),
    ("image_path", &["byte_string"]),
    ("image_fs", &["image_path"]),
    ("mounts", &["image_path", "image_fs"]),
    ("recording", &["byte_string", "image_path", "image_fs"]),
    (
        "event",
        &["byte_string", "image_path", "image_fs", "recording"],
    ),
    (
        "journal",
        &[
            "byte_string",
            "image_path",
            "image_fs",
            "recording",
            "event",
        ],
    ),
    (
        "past",
        &["byte_string", "image_path", "image_fs", "recording"],
    ),
    ("manifest", &["image_path", "image_fs", "recording"]),
    // From stops to a recording.
    ("sys", &["exit"]),
    (
        "tracer",
        &[
            "sys",
            "event",
            "past",
            "mounts",
            "sockets",
            "recording",
            "image_fs",
            "image_path",
        ],
    ),
    (
        "recorder",
        &[
            "sys",
            "journal",
            "event",
            "recording",
            "image_fs",
            "image_path",
            "byte_string",
        ],
    ),
    (
        "supervisor",
        &[
            "sys",
            "tracer",
            "recorder",
            "event",
            "past",
            "recording",
            "image_fs",
            "image_path",
            "byte_string",
            "exit",
        ],
    ),
    // From a recording to a manifest.
    ("elf", &["image_fs", "image_path"]),
    ("packages", &["manifest", "image_fs", "image_path"]),
    (
        "resolve",
        &[
            "elf",
            "packages",
            "manifest",
            "past",
            "recording",
            "mounts",
            "image_fs",
            "image_path",
        ],
    ),
    // From a manifest to files.
    (
        "pack",
        &["sys", "manifest", "recording", "image_fs", "image_path"],
    ),
    // What is told of it.
    (
        "report",
        &[
            "pack",
            "packages",
            "manifest",
            "recording",
            "image_fs",
            "image_path",
            "byte_string",
        ],
    ),
    // On the host: containers in which all that happens.
    (
        "build",
        &[
            "pack",
            "report",
            "manifest",
            "sockets",
            "image_fs",
            "image_path",
            "exit",
        ],
    ),
    // The command line.
    ("cli", &[]),
    ("logging", &["sys"]),
    (
        "command",
        &[
            "cli",
            "logging",
            "accounts",
            "exit",
            "build",
            "supervisor",
            "tracer",
            "recorder",
            "journal",
            "event",
            "past",
            "resolve",
            "pack",
            "report",
            "packages",
            "elf",
            "manifest",
            "recording",
            "mounts",
            "image_fs",
            "image_path",
            "byte_string",
        ],
    ),
    ("main", &["cli", "command"]),
];

/// Files that may be longer than [`MAX_LINES`]: up to how many lines, and why.
const LONG_FILES: &[(&str, usize, &str)] = &[];

const MAX_LINES: usize = 400;

#[test]
fn every_source_file_begins_by_saying_what_it_owns() {
    let silent: Vec<_> = sources()
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//!"))
        .map(|(path, _)| path)
        .collect();
    assert!(silent.is_empty(), "no //! at the head of {silent:?}");
}

#[test]
fn unsafe_code_is_in_sys_alone() {
    let elsewhere: Vec<_> = sources()
        .into_iter()
        .filter(|(path, _)| room_of(path) != Some("sys"))
        .filter(|(_, text)| words(&code_of(text)).any(|word| word == "unsafe"))
        .map(|(path, _)| path)
        .collect();
    assert!(elsewhere.is_empty(), "unsafe code in {elsewhere:?}");
}

#[test]
fn lower_rooms_never_import_higher_ones() {
    let allowed: BTreeMap<&str, &[&str]> = ROOMS.iter().copied().collect();
    let mut broken = BTreeSet::new();
    for (path, text) in sources() {
        let Some(room) = room_of(&path) else { continue };
        for used in imports(&path, &code_of(&text)) {
            let is_room = allowed.contains_key(used.as_str());
            if is_room && used != room && !allowed[room].contains(&used.as_str()) {
                broken.insert(format!("{path} ({room}) uses {used}"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn the_table_of_rooms_is_whole_and_has_no_circles() {
    let declared: BTreeSet<String> = sources()
        .into_iter()
        .filter_map(|(path, _)| room_of(&path).map(str::to_owned))
        .collect();
    let listed: BTreeSet<String> = ROOMS.iter().map(|(room, _)| (*room).to_owned()).collect();
    assert_eq!(declared, listed);
    let mut below = BTreeSet::new();
    for (room, uses) in ROOMS {
        for used in *uses {
            assert!(below.contains(used), "{room} uses {used}, listed above it");
        }
        below.insert(room);
    }
}

#[test]
fn a_file_is_short_or_has_a_reason() {
    let exceptions: BTreeMap<&str, usize> = LONG_FILES
        .iter()
        .map(|(path, most, reason)| {
            assert!(!reason.is_empty(), "{path} has no reason to be long");
            (*path, *most)
        })
        .collect();
    for (path, text) in sources() {
        let lines = text.lines().count();
        let most = exceptions.get(path.as_str()).copied().unwrap_or(MAX_LINES);
        assert!(
            lines <= most,
            "{path} has {lines} lines: split it by purpose"
        );
        let needless = exceptions.contains_key(path.as_str()) && lines <= MAX_LINES;
        assert!(!needless, "{path} is short: drop its exception");
    }
}

#[test]
fn no_file_names_a_place_of_one_machine() {
    // Put together here, so that this file does not hold them.
    let places = ["work", "farm"].map(|name| format!("/{name}/"));
    let mut found = Vec::new();
    for path in tracked_files() {
        let Ok(text) = fs::read_to_string(root().join(&path)) else {
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            if places.iter().any(|place| begins_somewhere(line, place)) {
                found.push(format!("{path}:{}: {line}", number + 1));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

/// Whether `place` stands in `line` as the beginning of a path, not within one (`$x/tmp/`).
fn begins_somewhere(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|before| !before.is_alphanumeric() && !"._-}".contains(before))
    })
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Paths below the repository's root, as git knows them; without git, all that are there.
fn tracked_files() -> Vec<String> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached"])
        .current_dir(root())
        .output();
    let files: Vec<String> = match listed {
        Ok(output) if output.status.success() => String::from_utf8(output.stdout)
            .expect("UTF-8 names")
            .split_terminator('\0')
            .map(str::to_owned)
            .collect(),
        _ => files_below(root()),
    };
    assert!(files.iter().any(|path| path == "Cargo.toml"), "{files:?}");
    files
}

fn files_below(directory: &Path) -> Vec<String> {
    let mut files = Vec::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).expect("a directory").flatten() {
            let kind = entry.file_type().expect("a file type");
            let path = entry.path();
            if kind.is_file() {
                files.push(relative(&path));
            } else if kind.is_dir() && path != root().join("target") {
                pending.push(path);
            }
        }
    }
    files
}

fn relative(path: &Path) -> String {
    let path = path.strip_prefix(root()).expect("below the root");
    path.to_str().expect("UTF-8 names").to_owned()
}

/// Every Rust file with its text, tracked by git or not yet.
fn sources() -> Vec<(String, String)> {
    let sources: Vec<(String, String)> = ["src", "tests"]
        .into_iter()
        .flat_map(|directory| files_below(&root().join(directory)))
        .filter(|path| path.ends_with(".rs"))
        .map(|path| {
            let text = fs::read_to_string(root().join(&path)).expect("UTF-8 source");
            (path, text)
        })
        .collect();
    assert!(!sources.is_empty());
    sources
}

/// `tracer` of `src/tracer/task.rs` and of `src/tracer.rs`; none of tests and of `lib.rs`.
fn room_of(path: &str) -> Option<&str> {
    let below = path.strip_prefix("src/")?;
    let first = below.split('/').next()?;
    let room = first.strip_suffix(".rs").unwrap_or(first);
    (room != "lib").then_some(room)
}
