//! Programs that were started: scripts, interpreters, ELF closures.

use super::*;
use crate::image_fs::FileKind;
use crate::manifest::Reason;

const ELF: &[u8] = b"\x7fELF";

fn needs(case: &mut Case, file: &str, interpreter: &str, libraries: &[&str]) {
    let library = |name: &&str| (path(name), path(file));
    let needs = Needs {
        interpreter: Some(path(interpreter)),
        libraries: libraries.iter().map(library).collect(),
        ..Needs::default()
    };
    case.table.needs.insert(path(file), needs);
}

#[test]
fn a_program_brings_its_loader_and_libraries_link_by_link() {
    let fs = MemFs::new()
        .program("/app", ELF)
        .symlink("/lib64", "usr/lib64")
        .symlink("/usr/lib64/ld.so", "ld-2.so")
        .program("/usr/lib64/ld-2.so", ELF)
        .symlink("/usr/lib/libc.so", "libc-2.so")
        .file("/usr/lib/libc-2.so", ELF)
        .file("/etc/ld.so.cache", "");
    let mut case = Case::new(fs).starts("/app", None);
    needs(&mut case, "/app", "/lib64/ld.so", &["/usr/lib/libc.so"]);
    let table = case.table.needs.get_mut(&path("/app")).expect("set");
    table.configuration = vec![path("/etc/ld.so.cache"), path("/etc/ld.so.preload")];
    let manifest = case.resolve();
    assert_eq!(
        shipped(&manifest),
        [
            "/app",
            "/etc",
            "/etc/ld.so.cache",
            "/lib64",
            "/usr",
            "/usr/lib",
            "/usr/lib/libc-2.so",
            "/usr/lib/libc.so",
            "/usr/lib64",
            "/usr/lib64/ld-2.so",
            "/usr/lib64/ld.so"
        ]
    );
    let app = path("/app");
    assert_eq!(
        entry(&manifest, "/usr/lib64/ld-2.so").reasons,
        [Reason::LoaderOf(app.clone())]
    );
    assert_eq!(
        entry(&manifest, "/usr/lib/libc-2.so").reasons,
        [Reason::NeededBy(app.clone())]
    );
    assert_eq!(entry(&manifest, "/app").reasons, [Reason::Executed]);
    assert!(excluded(&manifest, "/etc/ld.so.preload").is_none());
}

#[test]
fn a_library_is_searched_for_as_the_program_that_opened_it_would() {
    let fs = MemFs::new().program("/app", ELF).file("/plugin.so", ELF);
    let mut case = Case::new(fs)
        .starts_in("/app", None, |exec| {
            exec.ld_library_path = Some(b"/one".to_vec())
        })
        .starts_in("/app", None, |exec| {
            exec.ld_library_path = Some(b"/two".to_vec())
        })
        .starts_in("/app", None, |exec| {
            exec.ld_library_path = Some(b"/two".to_vec());
            exec.cwd = Some(path("/elsewhere"));
        })
        .uses_by(Access::OPEN, "/plugin.so", Some("/app"));
    case.resolve();
    let asked = |file: &str| -> Vec<(Option<ImagePath>, Vec<u8>)> {
        let loads = case.table.asked.iter();
        loads
            .filter(|load| load.file == path(file))
            .map(|load| {
                let variables = load.variables.library_path.clone();
                (load.program.clone(), variables.unwrap_or_default())
            })
            .collect()
    };
    let by_app = Some(path("/app"));
    assert_eq!(
        asked("/plugin.so"),
        [
            (by_app.clone(), b"/one".to_vec()),
            (by_app, b"/two".to_vec())
        ]
    );
    assert_eq!(
        asked("/app"),
        [(None, b"/one".to_vec()), (None, b"/two".to_vec())]
    );
}

#[test]
fn a_missing_library_is_told_once_unless_it_was_opened_by_another_way() {
    let fs = MemFs::new()
        .program("/app", ELF)
        .file("/opt/vendor/libfound.so", ELF);
    let mut case = Case::new(fs)
        .starts("/app", None)
        .starts_in("/app", None, |exec| {
            exec.ld_preload = Some(b"/x".to_vec());
        })
        .opens("/opt/vendor/libfound.so");
    let names = [b"libgone.so".to_vec(), b"libfound.so".to_vec()];
    let missing = names.map(|name| (name, path("/app"))).to_vec();
    let answer = Needs {
        missing,
        ..Needs::default()
    };
    case.table.needs.insert(path("/app"), answer);
    assert_eq!(
        losses(&case.resolve()),
        [
            "/app needs the library libgone.so, which the loader would not find: install it, or leave the file out with --exclude"
        ]
    );
}

#[test]
fn a_chrooted_program_is_loaded_from_its_own_root() {
    let fs = MemFs::new()
        .program("/jail/app", ELF)
        .program("/jail/lib/ld.so", ELF)
        .program("/lib/ld.so", ELF);
    let mut case = Case::new(fs).starts_in("/jail/app", Some("/app"), |exec| {
        exec.root = path("/jail");
    });
    needs(&mut case, "/app", "/lib/ld.so", &[]);
    let manifest = case.resolve();
    assert_eq!(
        shipped(&manifest),
        ["/jail", "/jail/app", "/jail/lib", "/jail/lib/ld.so"]
    );
}

#[test]
fn a_started_script_brings_itself_and_every_interpreter() {
    let fs = MemFs::new()
        .symlink("/usr/bin/job", "/opt/job")
        .program("/opt/job", "#!/opt/wrap -x\n")
        .program("/opt/wrap", "#!/bin/sh\n")
        .symlink("/bin/sh", "dash")
        .program("/bin/dash", ELF)
        .program("/lib/ld.so", ELF);
    let mut case = Case::new(fs).starts("/bin/dash", Some("/usr/bin/job"));
    needs(&mut case, "/bin/dash", "/lib/ld.so", &[]);
    let manifest = case.resolve();
    assert_eq!(
        shipped(&manifest),
        [
            "/bin",
            "/bin/dash",
            "/bin/sh",
            "/lib",
            "/lib/ld.so",
            "/opt",
            "/opt/job",
            "/opt/wrap",
            "/usr",
            "/usr/bin",
            "/usr/bin/job"
        ]
    );
    assert_eq!(
        entry(&manifest, "/opt/wrap").reasons,
        [Reason::InterpreterOf(path("/opt/job"))]
    );
    assert!(manifest.losses.is_empty());
}

#[test]
fn env_is_followed_along_the_path_of_that_start() {
    let fs = MemFs::new()
        .program("/job", "#!/usr/bin/env -S A=b lang -u\n")
        .program("/usr/bin/env", ELF)
        .file("/one/lang", ELF)
        .program("/two/lang", ELF)
        .program("/usr/bin/lang", ELF);
    let case = |search: Option<&str>| {
        let fs = fs.clone();
        Case::new(fs).starts_in("/usr/bin/env", Some("/job"), |exec| {
            exec.path = search.map(|text| text.as_bytes().to_vec());
        })
    };
    let manifest = case(Some("/one:/two:/usr/bin")).resolve();
    let reason = Reason::InterpreterOf(path("/job"));
    assert_eq!(entry(&manifest, "/two/lang").reasons, [reason]);
    assert!(!manifest.entries.contains_key(&path("/usr/bin/lang")));
    entry(&case(None).resolve(), "/usr/bin/lang");
    assert_eq!(
        losses(&case(Some("/none")).resolve()),
        ["/job: /usr/bin/env would not find lang along PATH: name it with --include-exe"]
    );
}

#[test]
fn a_relative_interpreter_starts_in_the_current_directory() {
    let fs = MemFs::new()
        .program("/yard/job", "#!tools/run\n")
        .program("/yard/tools/run", ELF);
    let manifest = Case::new(fs)
        .starts_in("/yard/tools/run", Some("/yard/job"), |exec| {
            exec.cwd = Some(path("/yard"));
        })
        .uses_by(Access::EXEC, "/yard/job", Some("/bin/sh"))
        .resolve();
    assert_eq!(
        entry(&manifest, "/yard/tools/run").reasons,
        [Reason::Executed, Reason::InterpreterOf(path("/yard/job"))]
    );
    assert!(manifest.losses.is_empty());
}

#[test]
fn scripts_that_start_each_other_in_a_circle_end() {
    let fs = MemFs::new().program("/a", "#!/b\n").program("/b", "#!/a\n");
    let manifest = Case::new(fs).starts("/a", None).resolve();
    assert_eq!(shipped(&manifest), ["/a", "/b"]);
    assert_eq!(manifest.losses.len(), 1, "{:?}", manifest.losses);
}

#[test]
fn an_opened_script_brings_its_interpreter_if_it_could_be_started() {
    let fs = MemFs::new()
        .program("/run.sh", "#!/bin/sh\n")
        .file("/module.py", "#!/bin/python\n")
        .program("/stale.sh", "#!/bin/gone\n")
        .program("/bin/sh", ELF)
        .program("/bin/python", ELF);
    let manifest = Case::new(fs)
        .opens("/run.sh")
        .opens("/module.py")
        .opens("/stale.sh")
        .resolve();
    assert_eq!(
        shipped(&manifest),
        ["/bin", "/bin/sh", "/module.py", "/run.sh", "/stale.sh"]
    );
    assert!(manifest.losses.is_empty(), "nobody started it");
}

#[test]
fn the_missing_interpreter_of_a_started_script_is_told() {
    let fs = MemFs::new().program("/job", "#!/bin/gone\n");
    let manifest = Case::new(fs).uses(Access::EXEC, "/job").resolve();
    assert_eq!(
        losses(&manifest),
        ["/job: its #! interpreter /bin/gone is not in the image: include it, or mend the script"]
    );
}

#[test]
fn looked_at_files_are_not_looked_into() {
    let fs = MemFs::new()
        .program("/run.sh", "#!/bin/sh\n")
        .program("/bin/sh", ELF);
    let manifest = Case::new(fs).uses(Access::PROBE, "/run.sh").resolve();
    assert_eq!(shipped(&manifest), ["/run.sh"]);
}

#[test]
fn a_started_program_that_is_gone_is_told() {
    let manifest = Case::new(MemFs::new().directory("/opt"))
        .starts("/opt/gone", None)
        .resolve();
    assert_eq!(excluded(&manifest, "/opt/gone"), Some(&Exclusion::Vanished));
    assert_eq!(entry(&manifest, "/opt").kind, FileKind::Directory);
}
