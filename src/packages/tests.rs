//! Package ownership, over databases as they look in images.

use super::*;
use crate::image_fs::{FileKind, MemFs, Meta};
use crate::manifest::{Entry, Manifest, Reason, Source};

fn path(text: &str) -> ImagePath {
    ImagePath::new(text).expect("absolute")
}

fn owner(owners: &Owners, of: &str) -> Option<(String, String, String)> {
    owners.package_of(&path(of)).map(|package| {
        (
            package.name.clone(),
            package.version.clone(),
            package.arch.clone(),
        )
    })
}

fn told(name: &str, version: &str, arch: &str) -> Option<(String, String, String)> {
    Some((name.to_owned(), version.to_owned(), arch.to_owned()))
}

const STATUS: &str = "Package: bash\nStatus: install ok installed\nArchitecture: amd64\n\
Version: 5.2.15-2+b2\nDescription: shell\n Version: not a field\n\n\
Package: libc6\nArchitecture: i386\nVersion: 2.36-9\n\n\
Package: libc6\nArchitecture: amd64\nVersion: 2.36-9+deb12u9\n";

fn debian() -> MemFs {
    MemFs::new()
        .symlink("/bin", "usr/bin")
        .symlink("/lib", "usr/lib")
        .program("/usr/bin/bash", "")
        .directory("/usr/lib")
        .file("/var/lib/dpkg/status", STATUS)
        .file(
            "/var/lib/dpkg/info/bash.list",
            "/.\n/bin\n/bin/bash\n/usr/share/doc/bash\n",
        )
        .file(
            "/var/lib/dpkg/info/libc6:amd64.list",
            "/.\n/lib/libc.so.6\n",
        )
        .file(
            "/var/lib/dpkg/info/libc6:i386.list",
            "/.\n/lib32/libc.so.6\n",
        )
        .file("/var/lib/dpkg/info/odd.list", "/opt/odd\n")
        .file("/var/lib/dpkg/info/bash.md5sums", "garbage")
}

#[test]
fn dpkg_lists_name_the_owner_with_version_and_architecture() {
    let owners = Owners::load(&debian());
    assert_eq!(
        owner(&owners, "/usr/share/doc/bash"),
        told("bash", "5.2.15-2+b2", "amd64")
    );
    assert_eq!(
        owner(&owners, "/lib32/libc.so.6"),
        told("libc6", "2.36-9", "i386")
    );
    assert_eq!(owner(&owners, "/opt/odd"), told("odd", "", ""));
    assert_eq!(owner(&owners, "/"), None);
    assert_eq!(owner(&owners, "/usr/share/doc"), None);
}

#[test]
fn a_source_package_is_known_by_name_and_version() {
    let source = |fs: MemFs, of: &str| {
        let owners = Owners::load(&fs);
        let package = owners.package_of(&path(of)).expect("owned").clone();
        let Package {
            source,
            source_version,
            license,
            maintainer,
            size,
            ..
        } = package;
        format!("{source}|{source_version}|{license}|{maintainer}|{size}")
    };
    let status = "Package: a\nVersion: 1+b1\nSource: src (1)\nMaintainer: J\u{f6} <j@x>\nInstalled-Size: 2\n\n\
                  Package: b\nVersion: 2\n";
    let dpkg = MemFs::new()
        .file("/var/lib/dpkg/status", status)
        .file("/var/lib/dpkg/info/a.list", "/a\n")
        .file("/var/lib/dpkg/info/b.list", "/b\n");
    assert_eq!(source(dpkg.clone(), "/a"), "src|1||J\u{f6} <j@x>|2048");
    assert_eq!(source(dpkg, "/b"), "b|2|||0");
    let apk = "P:ssl_client\nV:1.36-r2\no:busybox\nL:GPL-2.0-only\nm:N <n@x>\nI:9\nF:\nR:x\n";
    let apk = MemFs::new().file("/lib/apk/db/installed", apk);
    assert_eq!(source(apk, "/x"), "busybox|1.36-r2|GPL-2.0-only|N <n@x>|9");
}

#[test]
fn a_merged_usr_makes_both_names_one() {
    let owners = Owners::load(&debian());
    assert_eq!(owner(&owners, "/usr/bin/bash"), owner(&owners, "/bin/bash"));
    assert_eq!(
        owner(&owners, "/usr/lib/libc.so.6"),
        told("libc6", "2.36-9+deb12u9", "amd64")
    );
    assert_eq!(owner(&owners, "/bin/bashful"), None);
    assert_eq!(
        owner(&owners, "/usr/bin"),
        owner(&owners, "/usr/share/doc/bash")
    );
    assert_eq!(owner(&owners, "/bin"), None);
}

#[test]
fn distroless_status_files_own_what_their_sums_name() {
    let fs = MemFs::new()
        .file(
            "/var/lib/dpkg/status.d/tzdata",
            "Package: tzdata\nVersion: 2024a\nArchitecture: all\n",
        )
        .file(
            "/var/lib/dpkg/status.d/tzdata.md5sums",
            "0123  usr/share/zoneinfo/UTC\n",
        );
    let owners = Owners::load(&fs);
    assert_eq!(
        owner(&owners, "/usr/share/zoneinfo/UTC"),
        told("tzdata", "2024a", "all")
    );
    assert_eq!(owner(&owners, "/usr/share"), None);
}

#[test]
fn apk_names_directories_and_the_files_in_them() {
    let database = "C:Q1\nP:musl\nV:1.2.5-r0\nA:x86_64\nF:lib\nR:ld-musl-x86_64.so.1\na:0:0:755\n\n\
P:busybox\nV:1.36\nA:x86_64\nF:\nR:linuxrc\nF:bin\nR:sh\nM:0:0:1777\n";
    let owners = Owners::load(&MemFs::new().file("/lib/apk/db/installed", database));
    assert_eq!(
        owner(&owners, "/lib/ld-musl-x86_64.so.1"),
        told("musl", "1.2.5-r0", "x86_64")
    );
    assert_eq!(owner(&owners, "/lib"), told("musl", "1.2.5-r0", "x86_64"));
    assert_eq!(
        owner(&owners, "/linuxrc"),
        told("busybox", "1.36", "x86_64")
    );
    assert_eq!(owner(&owners, "/bin/sh"), told("busybox", "1.36", "x86_64"));
    assert_eq!(owners.packages().len(), 2);
}

#[test]
fn garbage_in_a_database_owns_nothing() {
    let fs = MemFs::new()
        .file("/lib/apk/db/installed", b"\xFF\n:\nR:x\n\n\nF:a\0b\n")
        .file("/var/lib/dpkg/status", b"\xFFPackage\nPackage:\n\n:\n \n")
        .file("/var/lib/dpkg/info/.list", b"relative\n\0\n");
    let owners = Owners::load(&fs);
    assert_eq!(owner(&owners, "/x"), None);
    assert!(owners.problems().is_empty());
    assert!(!owners.has_unread_database());
    assert!(Owners::load(&MemFs::new().directory("/var/lib/rpm")).has_unread_database());
}

#[test]
fn the_text_has_a_heading_for_each_manager_and_a_line_for_each_owned_file() {
    let fs = debian().file("/usr/lib/apk/db/installed", "P:extra\nV:1\nF:opt\nR:x\n");
    let owners = Owners::load(&fs);
    let mut manifest = Manifest::default();
    for (file, kind) in [
        ("/usr/bin/bash", FileKind::Regular),
        ("/usr/bin", FileKind::Directory),
        ("/opt/x", FileKind::Regular),
        ("/opt/odd", FileKind::Regular),
        ("/srv/own", FileKind::Regular),
    ] {
        let entry = Entry {
            kind,
            meta: None::<Meta>,
            source: Source::Image,
            reasons: vec![Reason::Always],
        };
        manifest.entries.insert(path(file), entry);
    }
    assert_eq!(
        String::from_utf8(packages_text(&manifest, &owners)).expect("text"),
        "apk packages:\nextra (1): /opt/x\n\n\
         dpkg packages:\nbash (5.2.15-2+b2): /usr/bin/bash\nodd (): /opt/odd\n"
    );
}
