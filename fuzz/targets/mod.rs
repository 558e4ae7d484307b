//! What is fuzzed: each parser of bytes that others wrote. cargo-fuzz runs these functions, and
//! so does `cargo test` (tests/fuzz_smoke.rs), over the seeds and simple changes of them.
//!
//! A new target is a file here with `pub fn run(data: &[u8])`, a line in [`TARGETS`], and a seed or
//! two in `seeds/NAME`.

mod control;
mod elf;
mod event;
mod file_list;
mod image_config;
mod java;
mod journal;
mod language;
mod ld_so_cache;
mod ld_so_conf;
mod mountinfo;
mod packages;
mod patterns;
mod proc_net;
mod proc_status;
mod report;
mod rpm;
mod script;
mod tarball;

use micropacker::image_fs::MemFs;
use micropacker::image_path::ImagePath;
use micropacker::manifest::Manifest;
use micropacker::recording::{Exec, Recording};
use micropacker::resolve::{Options, resolve};

/// What takes any bytes and must not panic.
pub type Target = fn(&[u8]);

/// By name.
pub const TARGETS: &[(&str, Target)] = &[
    ("control", control::run),
    ("elf", elf::run),
    ("event", event::run),
    ("file_list", file_list::run),
    ("image_config", image_config::run),
    ("java", java::run),
    ("journal", journal::run),
    ("language", language::run),
    ("ld_so_cache", ld_so_cache::run),
    ("ld_so_conf", ld_so_conf::run),
    ("mountinfo", mountinfo::run),
    ("packages", packages::run),
    ("patterns", patterns::run),
    ("proc_net", proc_net::run),
    ("proc_status", proc_status::run),
    ("report", report::run),
    ("rpm", rpm::run),
    ("script", script::run),
    ("tarball", tarball::run),
];

/// The target of this name.
///
/// # Panics
/// When there is none.
pub fn named(name: &str) -> Target {
    let found = TARGETS.iter().find(|(known, _)| *known == name);
    found.expect("a target of this name").1
}

/// A small program that glibc's loader starts.
const DYNAMIC: &[u8] = include_bytes!("../seeds/elf/dynamic");

fn path(text: impl AsRef<[u8]>) -> ImagePath {
    ImagePath::new(text).expect("an absolute path")
}

/// Resolves the start of `/program` in a tree.
fn resolve_start(fs: &MemFs) -> Manifest {
    let mut recording = Recording::default();
    recording.execs.insert(Exec {
        root: ImagePath::root(),
        program: path("/program"),
        file: Some(path("/program")),
        cwd: Some(ImagePath::root()),
        path: Some(b"/bin:/lib".to_vec()),
        ld_library_path: None,
        ld_preload: None,
    });
    resolve(fs, &recording, &Options::default())
}

/// A tree with a program, the loader it names, and a library.
fn tree_with_program() -> MemFs {
    MemFs::new()
        .program("/program", DYNAMIC)
        .program("/lib64/ld-linux-x86-64.so.2", DYNAMIC)
        .file("/lib/libc.so.6", DYNAMIC)
}
