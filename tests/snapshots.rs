//! Everything that people and tools read, as a whole and to the letter: help texts, and all that is
//! told of one small image. The expected texts lie in `tests/snapshots`; after a wanted change
//! `RENEW_SNAPSHOTS=1 cargo test --test snapshots` writes them anew, for git to show what changed.

use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{getgid, getuid};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

const RENEW: &str = "RENEW_SNAPSHOTS";

fn snapshots() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots")
}

/// Compares with what is stored under this name, or stores it.
fn is_as_stored(name: &str, text: &str) {
    let file = snapshots().join(name);
    if std::env::var_os(RENEW).is_some_and(|value| !value.is_empty()) {
        fs::write(&file, text).expect("written");
        return;
    }
    let stored = fs::read_to_string(&file).unwrap_or_default();
    if stored == text {
        return;
    }
    let number = stored
        .lines()
        .zip(text.lines())
        .take_while(|(one, other)| one == other)
        .count();
    let line = |of: &str| of.lines().nth(number).unwrap_or("(its end)").to_owned();
    panic!(
        "tests/snapshots/{name} is not what is told now, from line {} on:\n- {}\n+ {}\n\
         if that is wanted, {RENEW}=1 stores it",
        number + 1,
        line(&stored),
        line(text)
    );
}

fn micropacker(arguments: &[&str], directory: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_micropacker"));
    command.args(arguments).current_dir(directory);
    // A help text shows the values of variables.
    let ours = std::env::vars_os().map(|(name, _)| name);
    for name in ours.filter(|name| name.to_string_lossy().starts_with("MICROPACKER_")) {
        command.env_remove(name);
    }
    command
        .env("SOURCE_DATE_EPOCH", "1700000000")
        .output()
        .expect("started")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// Standard output of a call, which ends with this status.
fn printed(arguments: &[&str], status: i32, directory: &Path) -> String {
    let output = micropacker(arguments, directory);
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {told}");
    text(&output.stdout)
}

#[test]
fn help_texts() {
    let here = Path::new(".");
    let first = printed(&["--help"], 0, here);
    let subcommands: Vec<&str> = first
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .map_while(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|name| !name.is_empty())
        .collect();
    assert!(subcommands.contains(&"run"), "{subcommands:?}");
    is_as_stored("help.txt", &first);
    for name in subcommands.iter().filter(|name| **name != "help") {
        let help = printed(&[name, "--help"], 0, here);
        is_as_stored(&format!("help-{name}.txt"), &help);
    }
    let stored: BTreeSet<String> = fs::read_dir(snapshots())
        .expect("listed")
        .filter_map(|file| file.expect("read").file_name().into_string().ok())
        .filter_map(|name| Some(name.strip_prefix("help-")?.strip_suffix(".txt")?.to_owned()))
        .collect();
    for name in stored {
        assert!(subcommands.contains(&name.as_str()), "help-{name}.txt");
    }
}

/// Path, permission bits, content.
const FILES: &[(&str, u32, &str)] = &[
    ("usr/bin/app", 0o755, "#!/bin/sh\nexec tool\n"),
    ("usr/bin/sh", 0o755, "a shell, perhaps"),
    ("usr/bin/tool", 0o4755, "a tool"),
    ("usr/share/doc/tool", 0o644, "never read"),
    ("run/other.pid", 0o644, "7\n"),
    ("srv/app.conf", 0o640, "port = 8080\n"),
    ("srv/locales/de.txt", 0o644, "hallo\n"),
    ("srv/locales/en.txt", 0o644, "hello\n"),
    ("srv/site-packages/six.py", 0o644, ""),
    (
        "srv/site-packages/six-1.16.dist-info/METADATA",
        0o644,
        "Metadata-Version: 2.1\nName: six\nVersion: 1.16\nLicense: MIT\n\nOne, two.\n",
    ),
    (
        "srv/site-packages/six-1.16.dist-info/RECORD",
        0o644,
        "six.py,sha256=x,1\n",
    ),
    (
        "usr/lib/os-release",
        0o644,
        "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID=\"12\"\n",
    ),
    (
        "var/lib/dpkg/status",
        0o644,
        "Package: base-files\nStatus: install ok installed\nInstalled-Size: 341\n\
         Architecture: amd64\nVersion: 12.4+deb12u5\n\n\
         Package: dash\nStatus: install ok installed\nMaintainer: A <a@example.org>\n\
         Installed-Size: 20\nArchitecture: amd64\nVersion: 0.5.12-2\n\n\
         Package: docs\nStatus: install ok installed\nInstalled-Size: 900\n\
         Architecture: all\nVersion: 1\n\n\
         Package: tool\nStatus: install ok installed\nMaintainer: B <b@example.org>\n\
         Installed-Size: 7\nArchitecture: amd64\nSource: toolbox (1:2.0-1)\nVersion: 1:2.0-1+b2\n",
    ),
    (
        "var/lib/dpkg/info/base-files.list",
        0o644,
        "/etc/os-release\n/usr/lib/os-release\n",
    ),
    ("var/lib/dpkg/info/dash.list", 0o644, "/bin/sh\n"),
    (
        "var/lib/dpkg/info/docs.list",
        0o644,
        "/usr/share/doc/tool\n",
    ),
    ("var/lib/dpkg/info/tool.list", 0o644, "/usr/bin/tool\n"),
];

const LINKS: &[(&str, &str)] = &[
    ("bin", "usr/bin"),
    ("etc/app.conf", "../srv/app.conf"),
    ("etc/os-release", "../usr/lib/os-release"),
];

/// An unpacked image whose files all have the same time, and what was seen in it.
fn home() -> TempDir {
    let home = tempfile::tempdir().expect("a temporary directory");
    let root = home.path().join("root");
    for (path, mode, content) in FILES {
        let file = root.join(path);
        fs::create_dir_all(file.parent().expect("a parent")).expect("made");
        fs::write(&file, content).expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(*mode)).expect("changed");
    }
    fs::create_dir(root.join("etc")).expect("made");
    for (path, target) in LINKS {
        symlink(target, root.join(path)).expect("made");
    }
    settle(&root);
    for seen in ["seen.json", "seen-again.json"] {
        fs::copy(snapshots().join("input").join(seen), home.path().join(seen)).expect("copied");
    }
    home
}

fn settle(path: &Path) {
    let is_directory = fs::symlink_metadata(path).expect("there").is_dir();
    if is_directory {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("changed");
        for entry in fs::read_dir(path).expect("listed") {
            settle(&entry.expect("read").path());
        }
    }
    let time = TimeSpec::new(1_600_000_000, 0);
    let here = UtimensatFlags::NoFollowSymlink;
    utimensat(AT_FDCWD, path, &time, &time, here).expect("changed");
}

/// Packs what was seen into the directory `to`; gives what was told on standard error.
fn pack(home: &Path, seen: &str, to: &str) -> String {
    let tarball = format!("{to}.tar");
    let words = [
        "pack",
        "--root",
        "root",
        "-i",
        seen,
        "-o",
        &tarball,
        "--artifacts",
        to,
        "--tag",
        "micro:1",
    ];
    let output = micropacker(&words, home);
    let told = text(&output.stderr);
    assert!(output.status.success(), "{told}");
    told
}

/// The same whoever runs the test, in whatever version.
fn normal(text: &str) -> String {
    let ids = format!("\"uid\":{},\"gid\":{}", getuid(), getgid());
    text.replace(&ids, "\"uid\":0,\"gid\":0")
        .replace(env!("CARGO_PKG_VERSION"), "VERSION")
}

/// `text` with what stands between these words, each time, given a name.
fn named(text: &str, before: &str, after: &str, name: &str) -> String {
    let mut parts = text.split(before);
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (_, rest) = part.split_once(after).expect("its end");
        result += &format!("{before}{name}{after}{rest}");
    }
    result
}

#[test]
fn what_is_told_of_an_image() {
    let home = home();
    let summary = pack(home.path(), "seen.json", "out");
    is_as_stored("summary.txt", &summary);
    let read = |name: &str| fs::read_to_string(home.path().join("out").join(name)).expect(name);
    for name in ["Dockerfile", "files.txt", "packages.txt"] {
        is_as_stored(name, &normal(&read(name)));
    }
    // Of the tarball, in which the owners are.
    let report = named(
        &normal(&read("report.json")),
        "\"layer_sha256\":\"",
        "\"",
        "…",
    );
    is_as_stored("report.json", &report);
    let bill = normal(&read("sbom.spdx.json"));
    let bill = named(&bill, "\"checksumValue\": \"", "\"", "…");
    let bill = named(&bill, "spdxdocs/micropacker-", "\"", "…");
    is_as_stored("sbom.spdx.json", &bill);

    let paths = [
        "/usr/bin/tool",
        "/etc/app.conf",
        "/bin/sh",
        "/srv",
        "/srv/locales/de.txt",
        "/var/lib/dpkg/status.d/tool",
        "/run/app.pid",
        "/srv/gone",
        "/usr/share/doc/tool",
    ];
    let words = [&["explain", "out/report.json"], &paths[..]].concat();
    is_as_stored("explain.txt", &printed(&words, 1, home.path()));
    let words = [&["explain", "--json", "out/report.json"], &paths[..3]].concat();
    is_as_stored("explain.json", &printed(&words, 0, home.path()));
}

#[test]
fn what_is_told_of_two_images() {
    let home = home();
    pack(home.path(), "seen.json", "monday");
    fs::write(home.path().join("root/srv/app.conf"), "port = 80\n").expect("written");
    pack(home.path(), "seen-again.json", "tuesday");
    let reports = ["monday/report.json", "tuesday/report.json"];
    let words = [&["diff"], &reports[..]].concat();
    is_as_stored("diff.txt", &printed(&words, 1, home.path()));
    let words = [&["diff", "--json"], &reports[..]].concat();
    is_as_stored("diff.json", &printed(&words, 1, home.path()));
}

#[test]
fn the_summary_of_a_run() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let script = "cat /etc/hostname; : >made; ls . >/dev/null";
    let words = ["--artifacts", "out", "--", "sh", "-c", script];
    let output = micropacker(&words, home.path());
    let told = text(&output.stderr);
    assert!(output.status.success(), "{told}");
    // How much it is depends on the machine.
    let (told, _) = told.rsplit_once("; traced by ").expect("an engine");
    let shapes: Vec<String> = told.lines().map(shape).collect();
    let shapes = shapes.join("\n");
    is_as_stored("summary-of-a-run.txt", &format!("{shapes}; traced by …\n"));
}

/// A line with `N` for each number and `B` for each unit; what is left out depends on mounts.
fn shape(line: &str) -> String {
    if let Some((before, _)) = line.split_once("left out: ") {
        return format!("{before}left out: …");
    }
    let words = line.split(' ').map(|word| {
        let is_number = word.starts_with(|first: char| first.is_ascii_digit());
        let end = word.find([',', ';']).unwrap_or(word.len());
        let (bare, mark) = word.split_at(end);
        match bare {
            _ if is_number => format!("N{mark}"),
            "bytes" | "kB" | "MB" | "GB" => format!("B{mark}"),
            _ => word.to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}
