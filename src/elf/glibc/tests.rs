//! glibc's rules of the search one by one, over images in memory.

use crate::elf::cache::tests::{V2, V3, Writer};
use crate::elf::testing::{
    ElfFile, closure, closure_on, image, lib, missing, of_kind, path, paths, program,
};
use crate::elf::{LoaderEnv, ObjectKind};
use goblin::elf::dynamic::{DF_1_NODEFLIB, DT_AUDIT};

const DT_AUXILIARY: u64 = 0x7fff_fffd;
const DT_FILTER: u64 = 0x7fff_ffff;

#[test]
fn rpath_is_inherited_up_the_chain_and_runpath_is_not() {
    let with = |asking: ElfFile| {
        image()
            .program("/bin/app", asking.needs("liba.so").build())
            .file("/opt/liba.so", lib().needs("libb.so").build())
            .file("/opt/libb.so", lib().build())
    };
    let rpath = closure(&with(program().rpath("/opt")), "/bin/app");
    assert_eq!(paths(&rpath), ["/opt/liba.so", "/opt/libb.so"]);
    let runpath = closure(&with(program().runpath("/opt")), "/bin/app");
    assert_eq!(paths(&runpath), ["/opt/liba.so"]);
    assert_eq!(missing(&runpath), ["libb.so"]);
    assert_eq!(runpath.missing[0].needed_by, path("/opt/liba.so"));
}

#[test]
fn an_object_with_runpath_ignores_every_rpath_and_its_own_too() {
    let fs = image()
        .program("/bin/app", program().rpath("/opt").needs("liba.so").build())
        .file(
            "/opt/liba.so",
            lib()
                .rpath("/own")
                .runpath("/none")
                .needs("libb.so")
                .build(),
        )
        .file("/opt/libb.so", lib().build())
        .file("/own/libb.so", lib().build());
    assert_eq!(missing(&closure(&fs, "/bin/app")), ["libb.so"]);
}

#[test]
fn rpath_goes_before_ld_library_path_and_runpath_after() {
    let env = LoaderEnv {
        ld_library_path: Some(b"/none;/env::".to_vec()),
        ld_preload: None,
    };
    let found = |asking: ElfFile| {
        let fs = image()
            .program("/bin/app", asking.needs("liba.so").build())
            .file("/env/liba.so", lib().build())
            .file("/own/liba.so", lib().build());
        paths(&closure_on(&fs, 1, "/bin/app", &env))
    };
    assert_eq!(found(program().rpath("/own")), ["/own/liba.so"]);
    assert_eq!(found(program().runpath("/own")), ["/env/liba.so"]);
}

#[test]
fn origin_of_a_program_is_physical_and_of_a_library_as_spelled() {
    let fs = image()
        .program(
            "/opt/app/bin/app",
            program().rpath("$ORIGIN/../lib").needs("liba.so").build(),
        )
        .symlink("/bin/app", "/opt/app/bin/app")
        .symlink("/opt/app/lib/liba.so", "/real/liba.so.1")
        .file(
            "/real/liba.so.1",
            lib().runpath("${ORIGIN}/sub").needs("libb.so").build(),
        )
        .file("/opt/app/lib/sub/libb.so", lib().build())
        .file("/real/sub/libb.so", lib().build());
    assert_eq!(
        paths(&closure(&fs, "/bin/app")),
        [
            "/opt/app/bin/../lib/liba.so",
            "/opt/app/bin/../lib/sub/libb.so"
        ]
    );
}

#[test]
fn lib_is_the_loaders_first_directory_and_platform_the_kernels_name() {
    let fs = image()
        .program(
            "/bin/app",
            program()
                .rpath("/opt/$LIB:/opt/$PLATFORM")
                .needs("liba.so")
                .needs("libb.so")
                .build(),
        )
        .file("/opt/lib64/liba.so", lib().build())
        .file("/opt/x86_64/libb.so", lib().build());
    assert_eq!(
        paths(&closure(&fs, "/bin/app")),
        ["/opt/lib64/liba.so", "/opt/x86_64/libb.so"]
    );
}

#[test]
fn files_of_another_machine_are_passed_over_and_files_that_are_no_elf_stop_the_search() {
    let fs = |first: Vec<u8>| {
        image()
            .program(
                "/bin/app",
                program().rpath("/one:/two").needs("liba.so").build(),
            )
            .file("/one/liba.so", first)
            .file("/two/liba.so", lib().build())
    };
    let other = closure(&fs(ElfFile::i386().build()), "/bin/app");
    assert_eq!(paths(&other), ["/two/liba.so"]);
    let script = closure(&fs(b"GROUP(liba.a)".to_vec()), "/bin/app");
    assert_eq!(missing(&script), ["liba.so"]);
}

#[test]
fn a_name_with_a_slash_is_a_path_with_tokens() {
    let fs = image()
        .program(
            "/opt/app",
            program()
                .needs("$ORIGIN/x/liba.so")
                .needs("/y/libb.so")
                .build(),
        )
        .file("/opt/x/liba.so", lib().build())
        .file("/y/libb.so", lib().build());
    assert_eq!(
        paths(&closure(&fs, "/opt/app")),
        ["/opt/x/liba.so", "/y/libb.so"]
    );
}

#[test]
fn nodeflib_closes_the_default_directories() {
    let fs = image()
        .program(
            "/bin/app",
            program().flags_1(DF_1_NODEFLIB).needs("liba.so").build(),
        )
        .file("/lib64/liba.so", lib().build());
    assert_eq!(missing(&closure(&fs, "/bin/app")), ["liba.so"]);
}

#[test]
fn filters_must_be_there_and_auxiliaries_and_auditors_need_not() {
    let asking = program()
        .string(DT_FILTER, "libf.so")
        .string(DT_AUXILIARY, "libx.so")
        .string(DT_AUXILIARY, "liby.so")
        .string(DT_AUDIT, "libaudit.so:libnone.so");
    let fs = image()
        .program("/bin/app", asking.build())
        .file("/lib64/libx.so", lib().build())
        .file("/lib64/libaudit.so", lib().build());
    let closure = closure(&fs, "/bin/app");
    assert_eq!(paths(&closure), ["/lib64/libaudit.so", "/lib64/libx.so"]);
    assert_eq!(missing(&closure), ["libf.so"]);
}

#[test]
fn the_processors_variant_is_loaded_and_the_others_are_alternatives() {
    let variant = |level: &str| format!("/lib64/glibc-hwcaps/x86-64-{level}/liba.so");
    let fs = image()
        .program("/bin/app", program().needs("liba.so").build())
        .file("/lib64/liba.so", lib().build())
        .file(variant("v2"), lib().build())
        .file(variant("v3"), lib().needs("libfast.so").build())
        .file("/usr/lib64/libfast.so", lib().build());
    let on = |level| closure_on(&fs, level, "/bin/app", &LoaderEnv::default());
    assert_eq!(of_kind(&on(1), ObjectKind::Loaded), ["/lib64/liba.so"]);
    assert_eq!(of_kind(&on(2), ObjectKind::Loaded), [variant("v2")]);
    let best = on(4);
    assert_eq!(
        of_kind(&best, ObjectKind::Loaded),
        [variant("v3"), "/usr/lib64/libfast.so".into()]
    );
    let mut alternatives = of_kind(&best, ObjectKind::Alternative);
    alternatives.sort();
    assert_eq!(alternatives, [variant("v2"), "/lib64/liba.so".into()]);
    for level in 1..=4 {
        let mut all = paths(&on(level));
        all.sort();
        assert_eq!(
            all.len(),
            4,
            "level {level} keeps every variant and its needs"
        );
    }
}

#[test]
fn legacy_variants_are_alternatives_only() {
    let fs = image()
        .program("/bin/app", program().needs("liba.so").build())
        .file("/lib64/liba.so", lib().build())
        .file("/lib64/haswell/liba.so", lib().build());
    let closure = closure(&fs, "/bin/app");
    assert_eq!(of_kind(&closure, ObjectKind::Loaded), ["/lib64/liba.so"]);
    assert_eq!(
        of_kind(&closure, ObjectKind::Alternative),
        ["/lib64/haswell/liba.so"]
    );
}

#[test]
fn the_cache_goes_before_the_default_directories_and_is_noted() {
    let cache = Writer::new()
        .entry(0x303, 0, "liba.so", "/opt/liba.so")
        .entry(0x303, 0, "libstale.so", "/opt/libstale.so");
    let asking = program().needs("liba.so").needs("libstale.so");
    let fs = image()
        .program("/bin/app", asking.build())
        .file("/etc/ld.so.cache", cache.new_format(true))
        .file("/opt/liba.so", lib().build())
        .file("/lib64/liba.so", lib().build())
        .file("/lib64/libstale.so", lib().build());
    let closure = closure(&fs, "/bin/app");
    assert_eq!(paths(&closure), ["/opt/liba.so", "/lib64/libstale.so"]);
    assert_eq!(closure.consulted, [path("/etc/ld.so.cache")]);
}

#[test]
fn a_cache_that_no_search_reached_is_not_noted() {
    let fs = image()
        .program("/bin/app", program().rpath("/opt").needs("liba.so").build())
        .file("/etc/ld.so.cache", Writer::new().new_format(true))
        .file("/opt/liba.so", lib().build());
    assert!(closure(&fs, "/bin/app").consulted.is_empty());
}

#[test]
fn nodeflib_closes_what_the_cache_has_of_the_default_directories_only() {
    let cache = Writer::new()
        .entry(0x303, 0, "liba.so", "/lib64/liba.so")
        .entry(0x303, 0, "libb.so", "/opt/libb.so");
    let asking = program().flags_1(DF_1_NODEFLIB);
    let fs = image()
        .program("/bin/app", asking.needs("liba.so").needs("libb.so").build())
        .file("/etc/ld.so.cache", cache.new_format(true))
        .file("/lib64/liba.so", lib().build())
        .file("/opt/libb.so", lib().build());
    let closure = closure(&fs, "/bin/app");
    assert_eq!(paths(&closure), ["/opt/libb.so"]);
    assert_eq!(missing(&closure), ["liba.so"]);
}

#[test]
fn variants_that_only_the_cache_names_are_kept_for_other_processors_and_loaders() {
    let mut cache = Writer::new()
        .entry(0x303, V2, "liba.so", "/two/liba.so")
        .entry(0x303, V3, "liba.so", "/three/liba.so")
        .entry(0x303, 0, "liba.so", "/base/liba.so")
        .entry(0x303, 1 << 40, "libb.so", "/old/libb.so")
        .entry(0x303, 0, "libb.so", "/base/libb.so");
    cache.hwcaps = vec!["x86-64-v2", "x86-64-v3"];
    let mut fs = image()
        .program(
            "/bin/app",
            program().needs("liba.so").needs("libb.so").build(),
        )
        .file("/etc/ld.so.cache", cache.new_format(true));
    for file in [
        "/two/liba.so",
        "/three/liba.so",
        "/base/liba.so",
        "/old/libb.so",
        "/base/libb.so",
    ] {
        fs = fs.file(file, lib().build());
    }
    let closure = closure_on(&fs, 2, "/bin/app", &LoaderEnv::default());
    assert_eq!(
        of_kind(&closure, ObjectKind::Loaded),
        ["/two/liba.so", "/base/libb.so"]
    );
    assert_eq!(
        of_kind(&closure, ObjectKind::Alternative),
        ["/three/liba.so", "/base/liba.so", "/old/libb.so"]
    );
}

#[test]
fn nothing_relative_is_searched() {
    let fs = image()
        .program(
            "/bin/app",
            program()
                .rpath("lib::.")
                .needs("liba.so")
                .needs("lib/libb.so")
                .build(),
        )
        .file("/lib/liba.so", lib().build())
        .file("/liba.so", lib().build())
        .file("/lib/libb.so", lib().build());
    assert_eq!(
        missing(&closure(&fs, "/bin/app")),
        ["liba.so", "lib/libb.so"]
    );
}

#[test]
fn rpath_of_the_library_between_is_inherited_too() {
    let fs = image()
        .program("/bin/app", program().needs("liba.so").build())
        .file(
            "/lib64/liba.so",
            lib().rpath("/opt").needs("libb.so").build(),
        )
        .file("/lib64/libb.so", lib().needs("libc.so").build())
        .file("/opt/libc.so", lib().build());
    assert_eq!(
        paths(&closure(&fs, "/bin/app")),
        ["/lib64/liba.so", "/lib64/libb.so", "/opt/libc.so"]
    );
}

#[test]
fn what_only_a_variant_lacks_is_not_missing() {
    let variant = "/lib64/glibc-hwcaps/x86-64-v4/liba.so";
    let fs = image()
        .program("/bin/app", program().needs("liba.so").build())
        .file("/lib64/liba.so", lib().build())
        .file(variant, lib().needs("libnone.so").build());
    let closure = closure(&fs, "/bin/app");
    assert_eq!(of_kind(&closure, ObjectKind::Alternative), [variant]);
    assert!(closure.missing.is_empty());
}

#[test]
fn a_directory_of_the_librarys_name_stops_the_search() {
    let fs = image()
        .program(
            "/bin/app",
            program().rpath("/one:/two").needs("liba.so").build(),
        )
        .directory("/one/liba.so")
        .file("/two/liba.so", lib().build());
    assert_eq!(missing(&closure(&fs, "/bin/app")), ["liba.so"]);
}
