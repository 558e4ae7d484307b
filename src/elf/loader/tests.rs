//! What one process maps, by glibc's rules, over images in memory.

use crate::elf::testing::{
    ElfFile, LD, closure, closure_on, image, lib, missing, of_kind, path, paths, program,
};
use crate::elf::{Closure, ElfError, Loader, LoaderEnv, ObjectKind};
use crate::image_fs::{ImageFs, MemFs, Meta, ReadAt};
use crate::image_path::ImagePath;
use goblin::elf::dynamic::DF_1_PIE;
use std::io;

#[test]
fn objects_come_breadth_first_and_once() {
    let fs = image()
        .program(
            "/bin/app",
            program().needs("liba.so").needs("libb.so").build(),
        )
        .file("/lib64/liba.so", lib().needs("libc.so").build())
        .file("/lib64/libb.so", lib().needs("liba.so").build())
        .file(
            "/usr/lib64/libc.so",
            lib().needs("ld-linux-x86-64.so.2").build(),
        );
    let closure = closure(&fs, "/bin/app");
    assert_eq!(closure.interpreter, Some(path(LD)));
    assert_eq!(
        paths(&closure),
        ["/lib64/liba.so", "/lib64/libb.so", "/usr/lib64/libc.so"]
    );
    assert_eq!(closure.objects[2].needed_by, path("/lib64/liba.so"));
    assert!(closure.missing.is_empty() && closure.consulted.is_empty());
}

#[test]
fn a_soname_of_a_loaded_object_answers_for_its_name() {
    let fs = image()
        .program(
            "/bin/app",
            program().needs("/opt/custom.so").needs("liba.so.1").build(),
        )
        .file("/opt/custom.so", lib().soname("liba.so.1").build())
        .file("/lib64/liba.so.1", lib().build());
    assert_eq!(paths(&closure(&fs, "/bin/app")), ["/opt/custom.so"]);
}

#[test]
fn a_second_name_of_a_loaded_file_is_kept_as_such() {
    let fs = image()
        .program(
            "/bin/app",
            program().needs("liba.so.1").needs("liba.so").build(),
        )
        .file("/lib64/liba.so.1", lib().build())
        .symlink("/lib64/liba.so", "liba.so.1");
    let closure = closure(&fs, "/bin/app");
    assert_eq!(of_kind(&closure, ObjectKind::Loaded), ["/lib64/liba.so.1"]);
    assert_eq!(of_kind(&closure, ObjectKind::SameFile), ["/lib64/liba.so"]);
}

#[test]
fn preloaded_objects_come_first_and_the_loader_goes_on_without_missing_ones() {
    let fs = image()
        .program("/bin/app", program().needs("liba.so").build())
        .file("/lib64/liba.so", lib().build())
        .file("/lib64/libone.so", lib().build())
        .file("/lib64/libcomment.so", lib().build())
        .file("/opt/two.so", lib().build())
        .file(
            "/etc/ld.so.preload",
            "# not /lib64/libcomment.so\n/opt/two.so:none.so\n",
        );
    let env = LoaderEnv {
        ld_library_path: None,
        ld_preload: Some(b"libone.so none.so".to_vec()),
    };
    let closure = closure_on(&fs, 1, "/bin/app", &env);
    assert_eq!(
        paths(&closure),
        ["/lib64/libone.so", "/opt/two.so", "/lib64/liba.so"]
    );
    assert_eq!(closure.objects[1].needed_by, path("/etc/ld.so.preload"));
    assert_eq!(closure.consulted, [path("/etc/ld.so.preload")]);
    assert!(closure.missing.is_empty());
}

#[test]
fn without_a_cache_ld_so_conf_only_gives_a_hint() {
    let fs = image()
        .program("/bin/app", program().needs("liba.so").build())
        .file("/etc/ld.so.conf", "/opt/lib\n")
        .file("/opt/lib/liba.so", lib().build());
    let closure = closure(&fs, "/bin/app");
    assert!(closure.objects.is_empty());
    assert_eq!(closure.missing[0].hint, Some(path("/opt/lib/liba.so")));
}

#[test]
fn a_library_sees_what_its_program_has_mapped_and_inherits_its_rpath() {
    let fs = image()
        .program("/bin/app", program().rpath("/opt").needs("liba.so").build())
        .file(
            "/opt/liba.so",
            lib().soname("liba.so").needs("libdeep.so").build(),
        )
        .file("/opt/libdeep.so", lib().build())
        .file("/opt/libb.so", lib().build())
        .file("/lib64/liba.so", lib().build())
        .file(
            "/plug/in.so",
            lib().needs("liba.so").needs("libb.so").build(),
        );
    let mut loader = Loader::new(&fs);
    let env = LoaderEnv::default();
    let (plugin, app) = (path("/plug/in.so"), path("/bin/app"));
    let within = loader.closure(&plugin, Some(&app), &env).expect("ELF");
    assert_eq!(
        paths(&within),
        ["/opt/liba.so", "/opt/libb.so", "/opt/libdeep.so"]
    );
    assert_eq!(within.interpreter, Some(path(LD)));
    let alone = loader.closure(&plugin, None, &env).expect("ELF");
    assert_eq!(paths(&alone), ["/lib64/liba.so"]);
    assert_eq!(alone.interpreter, Some(path(LD)));
    assert_eq!(missing(&alone), ["libb.so"]);
}

#[test]
fn static_programs_have_no_closure() {
    let fs = image()
        .program("/bin/pie", lib().flags_1(DF_1_PIE).needs("liba.so").build())
        .program("/bin/exec", ElfFile { kind: 2, ..lib() }.build())
        .file("/x.o", ElfFile { kind: 1, ..lib() }.build())
        .file("/lone.so", lib().build());
    for file in ["/bin/pie", "/bin/exec", "/x.o", "/lone.so"] {
        assert_eq!(closure(&fs, file), Closure::default(), "{file}");
    }
}

#[test]
fn a_loader_that_is_not_there_is_missing_and_the_machines_directories_are_searched() {
    let fs = MemFs::new()
        .program("/bin/app", program().needs("liba.so").build())
        .file("/usr/lib/x86_64-linux-gnu/liba.so", lib().build());
    let closure = closure(&fs, "/bin/app");
    assert_eq!(missing(&closure), [LD]);
    assert_eq!(paths(&closure), ["/usr/lib/x86_64-linux-gnu/liba.so"]);
}

#[test]
fn files_that_are_no_elf_or_not_there_are_errors() {
    let fs = image()
        .file("/script", "#!/bin/sh\n")
        .file("/bad", "\x7fELF");
    let mut loader = Loader::new(&fs);
    let mut error = |file| {
        loader
            .closure(&path(file), None, &LoaderEnv::default())
            .expect_err("no closure")
    };
    assert!(matches!(error("/script"), ElfError::NotElf(_)));
    assert!(matches!(error("/lib64"), ElfError::NotElf(_)));
    assert!(matches!(error("/bad"), ElfError::Malformed { .. }));
    assert!(matches!(error("/none"), ElfError::Io { .. }));
}

#[test]
fn a_program_is_not_loaded_by_another_program() {
    let fs = image()
        .program("/bin/shell", program().rpath("/opt").build())
        .program("/bin/app", program().needs("liba.so").build())
        .file("/opt/liba.so", lib().build());
    let closure = Loader::new(&fs)
        .closure(
            &path("/bin/app"),
            Some(&path("/bin/shell")),
            &LoaderEnv::default(),
        )
        .expect("ELF");
    assert_eq!(missing(&closure), ["liba.so"]);
}

#[test]
fn a_program_of_another_machine_does_not_load_the_library() {
    let fs = image()
        .program(
            "/bin/app",
            ElfFile::i386()
                .interpreter("/lib/ld-linux.so.2")
                .rpath("/opt")
                .build(),
        )
        .file("/plug.so", lib().needs("liba.so").build())
        .file("/opt/liba.so", lib().build());
    let closure = Loader::new(&fs)
        .closure(
            &path("/plug.so"),
            Some(&path("/bin/app")),
            &LoaderEnv::default(),
        )
        .expect("ELF");
    assert_eq!(closure.interpreter, Some(path(LD)));
    assert_eq!(missing(&closure), ["liba.so"]);
}

/// Denies one file to whoever opens it.
struct Denying {
    fs: MemFs,
    file: &'static str,
}

impl ImageFs for Denying {
    fn lstat(&self, path: &ImagePath) -> io::Result<Meta> {
        self.fs.lstat(path)
    }

    fn read_link(&self, path: &ImagePath) -> io::Result<Vec<u8>> {
        self.fs.read_link(path)
    }

    fn list(&self, path: &ImagePath) -> io::Result<Vec<Vec<u8>>> {
        self.fs.list(path)
    }

    fn open(&self, path: &ImagePath) -> io::Result<Box<dyn ReadAt>> {
        if path.as_bytes() == self.file.as_bytes() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        self.fs.open(path)
    }

    fn xattrs(&self, path: &ImagePath) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        self.fs.xattrs(path)
    }
}

#[test]
fn a_library_that_may_not_be_opened_is_passed_over() {
    let fs = Denying {
        fs: image()
            .program(
                "/bin/app",
                program().rpath("/one:/two").needs("liba.so").build(),
            )
            .file("/one/liba.so", lib().build())
            .file("/two/liba.so", lib().build()),
        file: "/one/liba.so",
    };
    let closure = Loader::new(&fs)
        .closure(&path("/bin/app"), None, &LoaderEnv::default())
        .expect("ELF");
    assert_eq!(paths(&closure), ["/two/liba.so"]);
}
