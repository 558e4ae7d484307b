//! Resolving over the file system of this machine.

use micropacker::elf::{Loader, LoaderEnv};
use micropacker::image_fs::{FileKind, HostFs, ImageFs, walk};
use micropacker::image_path::ImagePath;
use micropacker::manifest::{Manifest, Reason};
use micropacker::mounts::Mounts;
use micropacker::packages::Owners;
use micropacker::recording::{Access, Exec, Origin, Place, Recording, Use};
use micropacker::resolve::{Options, add_interpreter, from_list, resolve};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

fn path(text: impl AsRef<[u8]>) -> ImagePath {
    ImagePath::new(text).expect("absolute")
}

fn holds(manifest: &Manifest, name: &[u8]) -> bool {
    let names = manifest.entries.keys().filter_map(ImagePath::file_name);
    names.into_iter().any(|other| other.starts_with(name))
}

/// The first of these programs that is dynamically linked on this machine.
fn dynamic_program(fs: &HostFs) -> Option<(ImagePath, ImagePath)> {
    let mut loader = Loader::new(fs);
    ["/usr/bin/env", "/bin/ls", "/bin/bash"]
        .into_iter()
        .map(path)
        .find_map(|program| {
            let env = LoaderEnv::default();
            let closure = loader.closure(&program, None, &env).ok()?;
            Some((program, closure.interpreter?))
        })
}

#[test]
fn a_program_of_this_machine_comes_with_loader_and_libc() {
    let host = HostFs::new("/");
    let Some((program, interpreter)) = dynamic_program(&host) else {
        eprintln!("skipped: no dynamically linked program here");
        return;
    };
    let table = fs::read("/proc/self/mountinfo").expect("proc is mounted");
    let options = Options {
        mounts: Mounts::parse(&table).expect("the kernel's own table"),
        ..Options::default()
    };
    let (physical, _) = walk(&host, &program, true).end.expect("it is there");
    let mut recording = Recording::default();
    recording.execs.insert(Exec {
        root: ImagePath::root(),
        program: physical,
        file: Some(program.clone()),
        cwd: Some(ImagePath::root()),
        path: None,
        ld_library_path: None,
        ld_preload: None,
    });
    let manifest = resolve(&host, &recording, &options);
    for wanted in [&program, &interpreter] {
        let walk = walk(&host, wanted, true);
        let (end, _) = walk.end.expect("it is there");
        for step in walk.links.iter().chain([&end]) {
            assert!(manifest.entries.contains_key(step), "{step}");
        }
    }
    assert!(holds(&manifest, b"libc.") || holds(&manifest, b"ld-musl"));
    assert!(manifest.losses.is_empty(), "{:?}", manifest.losses);
    let libraries = manifest.entries.values();
    let files = libraries.filter(|entry| entry.kind == FileKind::Regular);
    assert!(files.count() < 40, "a closure, not a system");
}

#[test]
fn a_tree_on_disk_is_resolved_as_it_lies_there() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name);
    fs::create_dir_all(at("app/bin")).expect("made");
    fs::write(at("app/bin/run"), "#!/app/bin/tool -x\n").expect("written");
    fs::write(at("app/bin/tool"), "tool").expect("written");
    fs::set_permissions(at("app/bin/run"), fs::Permissions::from_mode(0o755)).expect("mode");
    symlink("bin/run", at("app/start")).expect("linked");
    let image = HostFs::new(directory.path());
    let (recording, report) = from_list(&image, b"/app/start\n/none\n", b"/bin", &path("/"));
    assert_eq!((report.taken, report.missing.len()), (1, 1));
    let manifest = resolve(&image, &recording, &Options::default());
    let shipped: Vec<String> = manifest.entries.keys().map(ToString::to_string).collect();
    assert_eq!(
        shipped,
        [
            "/",
            "/app",
            "/app/bin",
            "/app/bin/run",
            "/app/bin/tool",
            "/app/start",
            "/tmp",
            "/var",
            "/var/tmp"
        ]
    );
}

#[test]
fn the_interpreter_of_a_program_joins_a_list() {
    let host = HostFs::new("/");
    let Some((program, interpreter)) = dynamic_program(&host) else {
        eprintln!("skipped: no dynamically linked program here");
        return;
    };
    let mut recording = Recording::default();
    let added = add_interpreter(&host, &program, &mut recording);
    assert_eq!(added, Ok(Some(interpreter.clone())));
    assert!(recording.uses.contains_key(&Place::at(interpreter)));
    assert!(add_interpreter(&host, &path("/no/such"), &mut recording).is_err());
}

/// Milliseconds that this process has used, in user and kernel mode.
fn processor_time() -> i64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("it is us");
    usage.user_time().num_milliseconds() + usage.system_time().num_milliseconds()
}

/// Up to 30,000 files of this machine, as if all had been opened: no figure is held, the run
/// tells it (`--nocapture`).
#[test]
#[ignore = "reads much of this machine: run by hand for its figure"]
fn many_uses_of_a_real_tree() {
    let host = HostFs::new("/");
    let mut uses = BTreeMap::new();
    let mut pending = vec![
        path("/etc"),
        path("/usr"),
        path("/usr/lib"),
        path("/usr/bin"),
    ];
    while let Some(place) = pending.pop() {
        for child in host.list(&place).into_iter().flatten() {
            let Some(child) = place.join(child) else {
                continue;
            };
            match host.lstat(&child).map(|meta| meta.kind) {
                Ok(FileKind::Directory) => pending.push(child),
                Ok(_) if uses.len() < 30_000 => {
                    let first = Origin {
                        pid: 1,
                        program: None,
                        call: "openat".into(),
                    };
                    let access = Access::OPEN;
                    uses.insert(Place::at(child), Use { access, first });
                }
                _ => {}
            }
        }
    }
    let recording = Recording {
        uses,
        ..Recording::default()
    };
    let before = processor_time();
    let start = std::time::Instant::now();
    let manifest = resolve(&host, &recording, &Options::default());
    let busy = processor_time() - before;
    println!(
        "{} uses, {} entries, {} losses, {:?}, of it {busy} ms of processor time",
        recording.uses.len(),
        manifest.entries.len(),
        manifest.losses.len(),
        start.elapsed()
    );
    let start = std::time::Instant::now();
    let owners = Owners::load(&host);
    println!(
        "{} packages, {:?}",
        owners.packages().len(),
        start.elapsed()
    );
    let closures = manifest.entries.values().filter(|entry| {
        let needed = |reason: &Reason| matches!(reason, Reason::NeededBy(_));
        entry.reasons.iter().any(needed)
    });
    println!("{} libraries needed", closures.count());
    for loss in manifest.losses.iter().take(20) {
        println!("{}", loss.what);
    }
}
