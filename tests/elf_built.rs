//! Small programs and libraries, each built for one rule of the search, held against what the
//! real loader lists. Needs `cc` of a glibc system; musl's rules also `musl-gcc`.

mod elf_support;

use elf_support::{LOADER, Listing, difference, listed_by_loader, listing, ours, path, set};
use micropacker::elf::{Closure, Loader, LoaderEnv, ObjectKind};
use micropacker::image_fs::HostFs;
use micropacker::image_path::ImagePath;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const RPATH: &str = "-Wl,--disable-new-dtags";
const RUNPATH: &str = "-Wl,--enable-new-dtags";

/// A directory of built files.
struct Workshop {
    root: TempDir,
    compiler: &'static str,
}

impl Workshop {
    fn new(compiler: &'static str) -> Self {
        Self {
            root: tempfile::tempdir().expect("a temporary directory"),
            compiler,
        }
    }

    fn at(&self, file: &str) -> PathBuf {
        self.root.path().join(file)
    }

    fn image_path(&self, file: &str) -> ImagePath {
        path(self.at(file).as_os_str().as_bytes())
    }

    /// `ROOT` in an option stands for the directory.
    fn compile(&self, file: &str, source: &str, options: &[&str]) {
        let output = self.at(file);
        fs::create_dir_all(output.parent().expect("below the root")).expect("made");
        let source_file = self.at("source.c");
        fs::write(&source_file, source).expect("written");
        let root = self.root.path().to_str().expect("UTF-8");
        let built = Command::new(self.compiler)
            .arg("-o")
            .arg(&output)
            .arg(&source_file)
            .arg("-Wl,--no-as-needed")
            .args(options.iter().map(|option| option.replace("ROOT", root)))
            .output();
        let built = match built {
            Ok(built) => built,
            Err(error) => panic!("{} is needed to build the fixtures: {error}", self.compiler),
        };
        assert!(
            built.status.success(),
            "{} failed on {file}: {}",
            self.compiler,
            String::from_utf8_lossy(&built.stderr)
        );
    }

    /// A shared library; its name is that of the file unless the options give another.
    fn library(&self, file: &str, options: &[&str]) {
        let name = Path::new(file).file_name().expect("a file name");
        let soname = format!("-Wl,-soname,{}", name.to_str().expect("UTF-8"));
        let options = [&["-shared", "-fPIC", soname.as_str()], options].concat();
        self.compile(file, "int answer(void) { return 42; }", &options);
    }

    fn program(&self, file: &str, options: &[&str]) {
        self.compile(file, "int main(void) { return 0; }", options);
    }

    fn closure(&self, file: &str, env: &LoaderEnv) -> Closure {
        let fs = HostFs::new("/");
        Loader::new(&fs)
            .closure(&self.image_path(file), None, env)
            .expect("it was just built")
    }

    fn env(&self, library_path: &str) -> LoaderEnv {
        let root = self.root.path().to_str().expect("UTF-8");
        LoaderEnv {
            ld_library_path: Some(library_path.replace("ROOT", root).into_bytes()),
            ld_preload: None,
        }
    }

    /// Ours, once it was seen to be glibc's too.
    fn agreed(&self, file: &str, env: &LoaderEnv) -> Listing {
        let ours = ours(&self.closure(file, env));
        let theirs = listed_by_loader(&self.image_path(file), env).expect("it is loadable");
        assert!(ours == theirs, "{file}: {}", difference(&ours, &theirs));
        ours
    }
}

/// A workshop for the system's own libc. `None`, with a reason, where that is not glibc.
fn glibc() -> Option<Workshop> {
    if !Path::new(LOADER).exists() {
        eprintln!("skipped: there is no glibc loader at {LOADER}");
        return None;
    }
    Some(Workshop::new("cc"))
}

impl Workshop {
    #[track_caller]
    fn assert_found(&self, listing: &Listing, file: &str) {
        let expected = self.image_path(file);
        assert!(
            listing.paths.contains(expected.as_bytes()),
            "{expected} is not in {:?}",
            listing
                .paths
                .iter()
                .map(|path| String::from_utf8_lossy(path))
                .collect::<Vec<_>>()
        );
    }
}

fn no_env() -> LoaderEnv {
    LoaderEnv::default()
}

#[test]
fn rpath_reaches_the_needs_of_needs_and_runpath_does_not() {
    let Some(shop) = glibc() else { return };
    shop.library("lib/libdeep.so", &[]);
    shop.library("lib/libtop.so", &["-LROOT/lib", "-ldeep"]);
    let needs = [
        "-LROOT/lib",
        "-ltop",
        "-Wl,-rpath,ROOT/lib",
        "-Wl,--allow-shlib-undefined",
    ];
    let link = |tags| [&needs[..], &[tags, "-Wl,-rpath-link,ROOT/lib"]].concat();
    shop.program("by_rpath", &link(RPATH));
    shop.program("by_runpath", &link(RUNPATH));
    let rpath = shop.agreed("by_rpath", &no_env());
    shop.assert_found(&rpath, "lib/libdeep.so");
    let runpath = shop.agreed("by_runpath", &no_env());
    assert!(runpath.missing.contains(&b"libdeep.so"[..]));
}

#[test]
fn rpath_runpath_and_ld_library_path_have_their_order() {
    let Some(shop) = glibc() else { return };
    for directory in ["own", "env"] {
        shop.library(&format!("{directory}/liba.so"), &[]);
    }
    let link = |tags| ["-LROOT/own", "-la", "-Wl,-rpath,ROOT/own", tags];
    shop.program("by_rpath", &link(RPATH));
    shop.program("by_runpath", &link(RUNPATH));
    let env = shop.env("/nowhere;ROOT/env:");
    shop.assert_found(&shop.agreed("by_rpath", &env), "own/liba.so");
    shop.assert_found(&shop.agreed("by_runpath", &env), "env/liba.so");
    shop.assert_found(&shop.agreed("by_runpath", &no_env()), "own/liba.so");
}

#[test]
fn tokens_stand_for_what_the_loader_says() {
    let Some(shop) = glibc() else { return };
    let triplet = if Path::new("/lib/x86_64-linux-gnu").exists() {
        "lib/x86_64-linux-gnu"
    } else if Path::new("/lib/aarch64-linux-gnu").exists() {
        "lib/aarch64-linux-gnu"
    } else {
        "lib64"
    };
    let by_lib = format!("opt/{triplet}/liba.so");
    let platform = std::env::consts::ARCH;
    let by_platform = format!("opt/{platform}/libb.so");
    shop.library(&by_lib, &[]);
    shop.library(&by_platform, &[]);
    let lib = format!("-LROOT/opt/{triplet}");
    let plat = format!("-LROOT/opt/{platform}");
    let paths = "-Wl,-rpath,$ORIGIN/../opt/$LIB:${ORIGIN}/../opt/${PLATFORM}:$ORIGINAL";
    shop.program("bin/app", &[&lib, &plat, "-la", "-lb", paths]);
    let found = shop.agreed("bin/app", &no_env());
    let bin = shop.image_path("bin/..");
    for file in [by_lib, by_platform] {
        let spelled = bin.join(&file).expect("no NUL");
        assert!(found.paths.contains(spelled.as_bytes()), "{spelled}");
    }
}

#[test]
fn hwcaps_subdirectories_are_searched_as_this_processor_does() {
    let Some(shop) = glibc() else { return };
    let variants = ["x86-64-v2", "x86-64-v3", "x86-64-v4"]
        .map(|level| format!("lib/glibc-hwcaps/{level}/liba.so"));
    shop.library("lib/liba.so", &[]);
    for variant in &variants {
        shop.library(variant, &[]);
    }
    shop.program("app", &["-LROOT/lib", "-la", "-Wl,-rpath,ROOT/lib"]);
    shop.agreed("app", &no_env());
    if cfg!(target_arch = "x86_64") {
        let closure = shop.closure("app", &no_env());
        let of_liba = closure
            .objects
            .iter()
            .filter(|object| object.name == b"liba.so");
        let (loaded, others): (Vec<_>, Vec<_>) =
            of_liba.partition(|object| object.kind == ObjectKind::Loaded);
        assert_eq!((loaded.len(), others.len()), (1, variants.len()));
    }
}

#[test]
fn a_path_in_needed_and_a_soname_are_matched_as_the_loader_does() {
    let Some(shop) = glibc() else { return };
    shop.library("odd/custom.so", &["-Wl,-soname,ROOT/odd/custom.so"]);
    shop.library("lib/liba.so.1", &[]);
    symlink("liba.so.1", shop.at("lib/liba.so")).expect("linked");
    shop.library("lib/libname.so", &["-Wl,-soname,liba.so"]);
    shop.program(
        "app",
        &[
            "ROOT/odd/custom.so",
            "ROOT/lib/liba.so.1",
            "ROOT/lib/libname.so",
            "-Wl,-rpath,ROOT/lib",
        ],
    );
    let found = shop.agreed("app", &no_env());
    shop.assert_found(&found, "odd/custom.so");
    let closure = shop.closure("app", &no_env());
    let same: Vec<_> = closure
        .objects
        .iter()
        .filter(|object| object.kind == ObjectKind::SameFile)
        .map(|object| object.path.clone())
        .collect();
    assert_eq!(same, [shop.image_path("lib/liba.so")]);
}

#[test]
fn files_of_another_machine_are_passed_over() {
    let Some(shop) = glibc() else { return };
    shop.library("two/liba.so", &[]);
    let mut other = fs::read(shop.at("two/liba.so")).expect("built");
    // e_machine of elf(5): no loader of this machine runs AVR.
    other[18..20].copy_from_slice(&[83, 0]);
    fs::create_dir(shop.at("one")).expect("made");
    fs::write(shop.at("one/liba.so"), other).expect("written");
    shop.program("app", &["ROOT/two/liba.so", "-Wl,-rpath,ROOT/one:ROOT/two"]);
    shop.assert_found(&shop.agreed("app", &no_env()), "two/liba.so");
}

#[test]
fn preloads_filters_and_auxiliaries_are_mapped() {
    let Some(shop) = glibc() else { return };
    for file in ["pre/libp.so", "lib/libfilter.so", "lib/libaux.so"] {
        shop.library(file, &[]);
    }
    let paths = "-Wl,-rpath,ROOT/lib";
    shop.library(
        "lib/liba.so",
        &[
            "-Wl,-f,libaux.so",
            "-Wl,-f,libnone.so",
            "-Wl,-F,libfilter.so",
            paths,
        ],
    );
    shop.program("app", &["-LROOT/lib", "-la", paths]);
    let mut env = shop.env("ROOT/pre");
    env.ld_preload = Some(b"libp.so".to_vec());
    let found = shop.agreed("app", &env);
    for file in [
        "pre/libp.so",
        "lib/libfilter.so",
        "lib/libaux.so",
        "lib/liba.so",
    ] {
        shop.assert_found(&found, file);
    }
}

#[test]
fn nodefaultlib_closes_the_default_directories_and_their_part_of_the_cache() {
    let Some(shop) = glibc() else { return };
    shop.program("app", &["-Wl,-z,nodefaultlib"]);
    let theirs = listed_by_loader(&shop.image_path("app"), &no_env()).expect("it is loadable");
    let closure = shop.closure("app", &no_env());
    // With nothing mapped the loader does not list itself either.
    assert_eq!(ours(&closure).missing, theirs.missing);
    assert!(theirs.missing.contains(&b"libc.so.6"[..]));
    assert!(closure.objects.is_empty() && theirs.paths.is_empty());
}

#[test]
fn static_programs_have_no_closure() {
    let Some(shop) = glibc() else { return };
    shop.program("static", &["-static"]);
    shop.program("static_pie", &["-static-pie"]);
    for file in ["static", "static_pie"] {
        assert_eq!(shop.closure(file, &no_env()), Closure::default(), "{file}");
    }
}

#[test]
fn musls_loader_lists_the_same_by_its_own_rules() {
    if Command::new("musl-gcc").arg("--version").output().is_err() {
        eprintln!("skipped: there is no musl-gcc");
        return;
    }
    let shop = Workshop::new("musl-gcc");
    shop.library("lib/libdeep.so", &[]);
    shop.library("env/libdeep.so", &[]);
    shop.library("lib/libtop.so", &["-LROOT/lib", "-ldeep"]);
    for (file, tags) in [("bin/by_rpath", RPATH), ("bin/by_runpath", RUNPATH)] {
        shop.program(
            file,
            &[
                "-LROOT/lib",
                "-ltop",
                tags,
                "-Wl,-rpath,$ORIGIN/../lib",
                "-Wl,-rpath-link,ROOT/lib",
            ],
        );
    }
    for file in ["bin/by_rpath", "bin/by_runpath"] {
        for env in [no_env(), shop.env("ROOT/env")] {
            let closure = shop.closure(file, &env);
            let interpreter = closure.interpreter.clone().expect("musl's loader");
            let mut command = Command::new(OsStr::from_bytes(interpreter.as_bytes()));
            set(&mut command, &env);
            command.arg("--list").arg(shop.at(file));
            let theirs = listing(&mut command).expect("it is loadable");
            let ours = ours(&closure);
            assert!(ours == theirs, "{file}: {}", difference(&ours, &theirs));
            assert_eq!(ours.paths.len(), 3);
        }
    }
}
