//! musl's rules one by one, over images in memory.

use crate::elf::testing::ElfFile;
use crate::elf::{Closure, Loader, LoaderEnv};
use crate::image_fs::MemFs;
use crate::image_path::ImagePath;

const LD: &str = "/lib/ld-musl-x86_64.so.1";

fn path(text: &str) -> ImagePath {
    ImagePath::new(text).expect("absolute")
}

fn lib() -> ElfFile {
    ElfFile::x86_64()
}

fn program() -> ElfFile {
    ElfFile::x86_64()
        .interpreter(LD)
        .needs("libc.musl-x86_64.so.1")
}

fn image() -> MemFs {
    MemFs::new().program(LD, lib().build())
}

fn closure(fs: &MemFs, file: &str, library_path: Option<&str>) -> Closure {
    let env = LoaderEnv {
        ld_library_path: library_path.map(|list| list.as_bytes().to_vec()),
        ld_preload: None,
    };
    Loader::new(fs)
        .closure(&path(file), None, &env)
        .expect("an ELF file")
}

fn paths(closure: &Closure) -> Vec<String> {
    closure
        .objects
        .iter()
        .map(|object| object.path.to_string())
        .collect()
}

#[test]
fn names_of_the_libc_are_the_loader_itself() {
    let fs = image().program(
        "/bin/app",
        program()
            .needs("libc.so")
            .needs("libm.so.6")
            .needs("libpthread.so.0")
            .build(),
    );
    let closure = closure(&fs, "/bin/app", None);
    assert_eq!(closure.interpreter, Some(path(LD)));
    assert!(closure.objects.is_empty() && closure.missing.is_empty());
}

#[test]
fn ld_library_path_goes_before_rpath_and_the_defaults_last() {
    let fs = image()
        .program(
            "/bin/app",
            program()
                .rpath("/own")
                .needs("liba.so")
                .needs("libb.so")
                .needs("libd.so")
                .build(),
        )
        .file("/env/liba.so", lib().build())
        .file("/own/liba.so", lib().build())
        .file("/own/libb.so", lib().build())
        .file("/usr/local/lib/libb.so", lib().build())
        .file("/usr/local/lib/libd.so", lib().build())
        .file("/usr/lib/libd.so", lib().build());
    assert_eq!(
        paths(&closure(&fs, "/bin/app", Some("/none:/env"))),
        ["/env/liba.so", "/own/libb.so", "/usr/local/lib/libd.so"]
    );
}

#[test]
fn runpath_is_inherited_as_rpath_is() {
    let fs = image()
        .program(
            "/opt/bin/app",
            program().runpath("$ORIGIN/../lib").needs("liba.so").build(),
        )
        .file("/opt/lib/liba.so", lib().needs("libb.so").build())
        .file("/opt/lib/libb.so", lib().build());
    assert_eq!(
        paths(&closure(&fs, "/opt/bin/app", None)),
        ["/opt/bin/../lib/liba.so", "/opt/bin/../lib/libb.so"]
    );
}

#[test]
fn the_path_file_replaces_the_defaults_and_is_noted() {
    let fs = image()
        .program(
            "/bin/app",
            program().needs("liba.so").needs("libb.so").build(),
        )
        .file("/etc/ld-musl-x86_64.path", "/one:/two\n/three\n")
        .file("/three/liba.so", lib().build())
        .file("/lib/libb.so", lib().build());
    let closure = closure(&fs, "/bin/app", None);
    assert_eq!(paths(&closure), ["/three/liba.so"]);
    assert_eq!(closure.missing[0].name, b"libb.so");
    assert_eq!(closure.consulted, [path("/etc/ld-musl-x86_64.path")]);
}

#[test]
fn a_loader_below_another_prefix_reads_the_path_file_of_that_prefix() {
    let interpreter = "/usr/local/musl/lib/ld-musl-x86_64.so.1";
    let fs = MemFs::new()
        .program(interpreter, lib().build())
        .program(
            "/bin/app",
            lib().interpreter(interpreter).needs("liba.so").build(),
        )
        .file("/usr/local/musl/etc/ld-musl-x86_64.path", "/there")
        .file("/there/liba.so", lib().build());
    assert_eq!(paths(&closure(&fs, "/bin/app", None)), ["/there/liba.so"]);
}

#[test]
fn the_first_file_is_taken_even_if_it_does_not_fit() {
    let fs = image()
        .program(
            "/bin/app",
            program().rpath("/one:/two").needs("liba.so").build(),
        )
        .file("/one/liba.so", ElfFile::i386().build())
        .file("/two/liba.so", lib().build());
    assert_eq!(closure(&fs, "/bin/app", None).missing[0].name, b"liba.so");
}

#[test]
fn sonames_do_not_answer_for_names() {
    let fs = image()
        .program(
            "/bin/app",
            program().needs("/opt/custom.so").needs("liba.so").build(),
        )
        .file("/opt/custom.so", lib().soname("liba.so").build())
        .file("/lib/liba.so", lib().build());
    assert_eq!(
        paths(&closure(&fs, "/bin/app", None)),
        ["/opt/custom.so", "/lib/liba.so"]
    );
}

#[test]
fn a_library_alone_is_given_the_loader_of_the_libc_it_needs() {
    let fs = image()
        .program("/lib64/ld-linux-x86-64.so.2", lib().build())
        .file(
            "/usr/lib/libm.so",
            lib().needs("libc.musl-x86_64.so.1").build(),
        )
        .file("/usr/lib/libg.so", lib().needs("libc.so.6").build());
    let interpreter = |file| closure(&fs, file, None).interpreter;
    assert_eq!(interpreter("/usr/lib/libm.so"), Some(path(LD)));
    assert_eq!(
        interpreter("/usr/lib/libg.so"),
        Some(path("/lib64/ld-linux-x86-64.so.2"))
    );
}

#[test]
fn filters_mean_nothing_to_musl() {
    let fs = image()
        .program("/bin/app", program().string(0x7fff_ffff, "libf.so").build())
        .file("/lib/libf.so", lib().build());
    let closure = closure(&fs, "/bin/app", None);
    assert!(closure.objects.is_empty() && closure.missing.is_empty());
}

#[test]
fn a_loader_of_another_machine_is_no_guess() {
    let fs = image().file("/l.so", ElfFile::i386().needs("libc.so").build());
    assert_eq!(closure(&fs, "/l.so", None).interpreter, None);
}
