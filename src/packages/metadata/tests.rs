//! What is added so that scanners can tell the packages of an image.

use super::*;
use crate::image_fs::MemFs;
use crate::manifest::{Reason, Source};

const STATUS: &str = "Package: bash\nStatus: install ok installed\nArchitecture: amd64\n\
Version: 5.2\nConffiles:\n /etc/bash.bashrc 0123\n /etc/skel/.bashrc 4567\nDescription: shell\n of GNU\n\n\
Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.36\n\n\n\
Package: libc6\nStatus: install ok installed\nArchitecture: i386\nVersion: 2.36\n\n\
Package: perl\nVersion: 5.36\n";

fn debian() -> MemFs {
    MemFs::new()
        .symlink("/lib", "usr/lib")
        .file("/usr/lib/libc.so.6", "")
        .file("/usr/lib/libm.so.6", "")
        .file("/usr/lib/i386/libc.so.6", "")
        .file("/bin/bash", "")
        .file("/var/lib/dpkg/status", STATUS)
        .file("/var/lib/dpkg/info/bash.list", "/bin/bash\n/bin\n")
        .file(
            "/var/lib/dpkg/info/libc6:amd64.list",
            "/lib/libc.so.6\n/lib/libm.so.6\n",
        )
        .file(
            "/var/lib/dpkg/info/libc6:i386.list",
            "/usr/lib/i386/libc.so.6\n",
        )
        .file("/var/lib/dpkg/info/perl.list", "/bin\n")
        .file(
            "/var/lib/dpkg/info/libc6:amd64.md5sums",
            "aa  lib/libc.so.6\nbb  lib/libm.so.6\n",
        )
}

fn metadata(fs: &MemFs, kept: &[&str], how: PackageMetadata) -> Vec<(String, String)> {
    let mut entries = Entries::new();
    for path in kept.iter().filter_map(ImagePath::new) {
        let meta = fs.lstat(&path).expect("there");
        let entry = Entry {
            kind: meta.kind,
            meta: Some(meta),
            source: Source::Image,
            reasons: vec![Reason::Always],
        };
        entries.insert(path, entry);
    }
    let files = MetadataFiles::of(fs, &Owners::load(fs), &entries, how);
    let made = files
        .made
        .into_iter()
        .map(|(path, content)| (path.to_string(), String::from_utf8(content).expect("text")));
    let is_there = |path: &ImagePath| fs.lstat(path).is_ok();
    let kept = files.kept.into_iter().filter(is_there);
    made.chain(kept.map(|path| (path.to_string(), "kept".to_owned())))
        .collect()
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = of
        .iter()
        .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
    owned.collect()
}

#[test]
fn each_kept_package_of_dpkg_has_a_file_with_its_control_data() {
    let fs = debian().file("/etc/debian_version", "12.1\n");
    let kept = [
        "/bin",
        "/bin/bash",
        "/usr/lib/libc.so.6",
        "/usr/lib/i386/libc.so.6",
    ];
    let bash = "Package: bash\nArchitecture: amd64\nVersion: 5.2\nDescription: shell\n of GNU\n";
    let libc = "Package: libc6\nArchitecture: amd64\nVersion: 2.36\n";
    let other = "Package: libc6\nArchitecture: i386\nVersion: 2.36\n";
    assert_eq!(
        metadata(&fs, &kept, PackageMetadata::Auto),
        pairs(&[
            ("/var/lib/dpkg/status.d/bash", bash),
            ("/var/lib/dpkg/status.d/libc6", libc),
            ("/var/lib/dpkg/status.d/libc6:i386", other),
            ("/etc/debian_version", "kept"),
        ])
    );
    assert!(metadata(&fs, &kept, PackageMetadata::Off).is_empty());
}

#[test]
fn full_has_the_sums_of_the_kept_files() {
    let files = metadata(&debian(), &["/usr/lib/libc.so.6"], PackageMetadata::Full);
    let sums = (
        "/var/lib/dpkg/status.d/libc6.md5sums",
        "aa  lib/libc.so.6\n",
    );
    assert_eq!(files[1..], pairs(&[sums]));
}

#[test]
fn to_a_database_that_the_application_uses_only_the_release_is_added() {
    let kept = ["/bin/bash", "/var/lib/dpkg/status"];
    assert!(metadata(&debian(), &kept, PackageMetadata::Full).is_empty());
    let fs = alpine();
    let kept = ["/lib/apk/db/installed", "/bin/sh"];
    assert_eq!(
        metadata(&fs, &kept, PackageMetadata::Auto),
        pairs(&[("/etc/alpine-release", "kept")])
    );
}

#[test]
fn metadata_of_kept_python_and_node_packages_that_nobody_read_is_added() {
    let six = "/v/site-packages/six-1.16.dist-info/METADATA";
    let text = "Name: six\nVersion: 1.16\nDescription: of\n        the\nLicense: MIT\n\nName: x\n";
    let fs = MemFs::new()
        .file("/v/site-packages/six.py", "")
        .file(six, text)
        .file(
            "/v/site-packages/six-1.16.dist-info/RECORD",
            "six.py,sha256=x,1\n",
        )
        .file("/v/site-packages/other-1.dist-info/METADATA", text)
        .file("/n/node_modules/@s/a/lib.js", "")
        .file(
            "/n/node_modules/@s/a/package.json",
            r#"{"name":"@s/a","version":"1"}"#,
        );
    let kept = ["/v/site-packages/six.py", "/n/node_modules/@s/a/lib.js"];
    let node = ("/n/node_modules/@s/a/package.json", "kept");
    let short = (six, "Name: six\nVersion: 1.16\nLicense: MIT\n");
    let sorted = |how| {
        let mut found = metadata(&fs, &kept, how);
        found.sort();
        found
    };
    assert_eq!(sorted(PackageMetadata::Auto), pairs(&[node, short]));
    assert_eq!(sorted(PackageMetadata::Full), pairs(&[node, (six, "kept")]));
    assert!(sorted(PackageMetadata::Off).is_empty());
    let both = [&kept[..], &[six, node.0]].concat();
    assert!(metadata(&fs, &both, PackageMetadata::Auto).is_empty());
}

#[test]
fn the_files_that_name_the_distribution_bring_in_their_package() {
    let fs = debian()
        .file("/usr/lib/os-release", "ID=debian\n")
        .symlink("/etc/os-release", "../usr/lib/os-release")
        .file(
            "/var/lib/dpkg/info/perl.list",
            "/etc/os-release\n/usr/lib/os-release\n",
        );
    let found = metadata(&fs, &["/bin/bash"], PackageMetadata::Auto);
    let names: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
    let of = ["bash", "perl"].map(|name| format!("/var/lib/dpkg/status.d/{name}"));
    assert_eq!(names, [&of[0], &of[1], "/etc/os-release"]);
}

#[test]
fn an_image_without_packages_gets_nothing() {
    let fs = debian().file("/app", "");
    assert!(metadata(&fs, &["/app", "/bin"], PackageMetadata::Full).is_empty());
}

#[test]
fn files_of_a_distroless_image_are_kept_as_they_are() {
    let fs = MemFs::new()
        .file("/app", "")
        .file("/var/lib/dpkg/status.d/a", "Package: a\nVersion: 1\n")
        .file("/var/lib/dpkg/status.d/a.md5sums", "0  app\n")
        .file("/var/lib/dpkg/status.d/b", "Package: b\nVersion: 1\n");
    let one = ("/var/lib/dpkg/status.d/a", "kept");
    assert_eq!(
        metadata(&fs, &["/app"], PackageMetadata::Auto),
        pairs(&[one])
    );
    let two = ("/var/lib/dpkg/status.d/a.md5sums", "kept");
    assert_eq!(
        metadata(&fs, &["/app"], PackageMetadata::Full),
        pairs(&[one, two])
    );
}

const APK: &str = "C:Q1x=\nP:busybox\nV:1.36\nA:x86_64\nF:bin\nR:sh\na:0:0:777\nZ:Q1\n\n\
P:musl\nV:1.2\nF:lib\nM:0:0:755\nR:libc.so\n";

fn alpine() -> MemFs {
    MemFs::new()
        .file("/bin/sh", "")
        .file("/lib/apk/db/installed", APK)
        .file("/etc/alpine-release", "3.20\n")
}

#[test]
fn apks_database_keeps_the_paragraphs_of_kept_packages() {
    let release = ("/etc/alpine-release", "kept");
    let place = "/lib/apk/db/installed";
    let short = (place, "C:Q1x=\nP:busybox\nV:1.36\nA:x86_64\n\n");
    let found = metadata(&alpine(), &["/bin/sh"], PackageMetadata::Auto);
    assert_eq!(found, pairs(&[short, release]));
    let (long, _) = APK.split_once("P:musl").expect("there");
    let found = metadata(&alpine(), &["/bin/sh"], PackageMetadata::Full);
    assert_eq!(found, pairs(&[(place, long), release]));
}

#[test]
fn the_last_paragraph_of_a_database_may_end_without_an_empty_line() {
    let database = APK.trim_end();
    let fs = MemFs::new()
        .file("/lib/libc.so", "")
        .file("/lib/apk/db/installed", database);
    let found = metadata(&fs, &["/lib/libc.so"], PackageMetadata::Auto);
    assert_eq!(
        found,
        pairs(&[("/lib/apk/db/installed", "P:musl\nV:1.2\n\n")])
    );
}
