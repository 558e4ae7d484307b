//! `micropacker pack` and `micropacker elf` as a user meets them.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn micropacker(arguments: &[&str], directory: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_micropacker"))
        .args(arguments)
        .current_dir(directory)
        .output()
        .expect("started")
}

fn names_in(tarball: &Path) -> Vec<String> {
    let mut archive = tar::Archive::new(fs::File::open(tarball).expect("a tarball"));
    let entries = archive.entries().expect("entries");
    entries
        .map(|entry| {
            let entry = entry.expect("an entry");
            String::from_utf8_lossy(&entry.path_bytes()).into_owned()
        })
        .collect()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// An unpacked image of a few files.
fn image() -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a temporary directory");
    let root = home.path().join("root");
    for directory in ["data/pre", "data/tree/deep", "usr/bin"] {
        fs::create_dir_all(root.join(directory)).expect("made");
    }
    for file in [
        "data/pre.txt",
        "data/pre/x",
        "data/tree/deep/y",
        "usr/bin/tool",
    ] {
        fs::write(root.join(file), file).expect("written");
    }
    home
}

#[test]
fn the_ancestors_command_line_packs_the_ancestors_list() {
    let home = image();
    let list = "/data/tree\n/data/pre\n/data/pre.txt\n<NA>\n/gone\n";
    fs::write(home.path().join("files.txt"), list).expect("written");
    let output = micropacker(
        &[
            "pack",
            "-i=files.txt",
            "-o=rootfs.tar",
            "-d=true",
            "--root=root",
            "-p=packages.txt",
        ],
        home.path(),
    );
    let told = told(&output);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("2 of 5 lines name nothing"), "{told}");
    assert!(told.contains("names nothing: /gone"), "{told}");
    let names = names_in(&home.path().join("rootfs.tar"));
    for wanted in ["data/pre/x", "data/pre.txt", "data/tree/deep/y", "tmp/"] {
        assert!(
            names.iter().any(|name| name == wanted),
            "{wanted}: {names:?}"
        );
    }
    assert!(!names.iter().any(|name| name.contains("tool")), "{names:?}");
    assert!(home.path().join("packages.txt").exists());
}

#[test]
fn a_list_or_root_that_is_missing_is_a_usage_error_that_names_it() {
    let home = image();
    let output = micropacker(&["pack", "-i", "none.txt", "--root", "root"], home.path());
    assert_eq!(output.status.code(), Some(2));
    assert!(told(&output).contains("none.txt"), "{}", told(&output));
    let output = micropacker(&["pack", "-i", "x", "--root", "no-root"], home.path());
    assert_eq!(output.status.code(), Some(2));
    assert!(told(&output).contains("no-root"), "{}", told(&output));
}

#[test]
fn files_txt_of_a_run_packs_the_same_files() {
    let home = image();
    let out = home.path().join("out");
    let out_name = out.to_str().expect("UTF-8");
    let traced = micropacker(
        &[
            "-o",
            "first.tar",
            "--artifacts",
            out_name,
            "--",
            "cat",
            "/etc/hostname",
        ],
        home.path(),
    );
    assert!(traced.status.success(), "{}", told(&traced));
    let list = out.join("files.txt");
    let list = list.to_str().expect("UTF-8");
    let packed = micropacker(&["pack", "-i", list, "-o", "second.tar"], home.path());
    assert!(packed.status.success(), "{}", told(&packed));
    let files = |name: &str| -> Vec<String> {
        let mut names = names_in(&home.path().join(name));
        names.retain(|name| !name.ends_with('/'));
        names
    };
    let (first, second) = (files("first.tar"), files("second.tar"));
    for name in &first {
        assert!(second.contains(name), "{name} is lost");
    }
}

#[test]
fn elf_tells_interpreter_and_libraries_and_what_it_cannot_read() {
    let home = image();
    let output = micropacker(&["elf", "/bin/sh"], home.path());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && text.contains("libc.so"),
        "{text}"
    );
    let output = micropacker(&["elf", "/no/such/file"], home.path());
    assert_eq!(output.status.code(), Some(1));
    assert!(
        told(&output).starts_with("micropacker: /no/such/file"),
        "{}",
        told(&output)
    );
}
