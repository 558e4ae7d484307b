//! The document, over small inventories. `scripts/check-sbom` has SPDX's own tools judge one.

use super::*;
use crate::image_fs::{ImageFs, MemFs};
use crate::image_path::ImagePath;
use crate::manifest::{Entry, Manifest, Reason, Source};

fn inventory(fs: &MemFs, kept: &[&str]) -> Inventory {
    let mut manifest = Manifest::default();
    for path in kept.iter().filter_map(ImagePath::new) {
        let meta = fs.lstat(&path).expect("there");
        let entry = Entry {
            kind: meta.kind,
            meta: Some(meta),
            source: Source::Image,
            reasons: vec![Reason::Always],
        };
        manifest.entries.insert(path, entry);
    }
    Inventory::take(fs, &manifest)
}

fn document(inventory: &Inventory) -> Value {
    let described = Described {
        name: "app".to_owned(),
        ..Described::default()
    };
    let text = sbom(&described, inventory);
    assert_eq!(text, sbom(&described, inventory), "not reproducible");
    serde_json::from_slice(&text).expect("JSON")
}

fn purls(document: &Value) -> Vec<&str> {
    let packages = document["packages"].as_array().expect("packages");
    packages
        .iter()
        .filter_map(|package| package["externalRefs"][0]["referenceLocator"].as_str())
        .collect()
}

const STATUS: &str = "Package: libstdc++6\nArchitecture: amd64\nVersion: 1:12.2.0-14+b1\n\
Source: gcc-12 (1:12.2.0-14)\nMaintainer: GCC <g@x>\n\n\
Package: unused\nVersion: 1\n";

fn debian() -> MemFs {
    MemFs::new()
        .file("/etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n")
        .file("/usr/lib/libstdc++.so.6", "")
        .file("/var/lib/dpkg/status", STATUS)
        .file(
            "/var/lib/dpkg/info/libstdc++6.list",
            "/usr/lib/libstdc++.so.6\n",
        )
        .file("/var/lib/dpkg/info/unused.list", "/usr/lib\n")
}

#[test]
fn the_document_describes_the_image_which_contains_the_packages_with_kept_files() {
    let kept = ["/usr/lib", "/usr/lib/libstdc++.so.6"];
    let document = document(&inventory(&debian(), &kept));
    assert_eq!(document["packages"].as_array().map(Vec::len), Some(2));
    let package = &document["packages"][1];
    assert_eq!(package["name"], "libstdc++6");
    assert_eq!(package["versionInfo"], "1:12.2.0-14+b1");
    assert_eq!(package["supplier"], "Organization: GCC (g@x)");
    assert_eq!(package["sourceInfo"], "built from gcc-12 1:12.2.0-14");
    assert_eq!(
        purls(&document),
        [
            "pkg:deb/debian/libstdc%2B%2B6@1%3A12.2.0-14%2Bb1?arch=amd64&distro=debian-12\
          &upstream=gcc-12%401%3A12.2.0-14"
        ]
    );
    let relations = document["relationships"].as_array().expect("relations");
    let told: Vec<String> = relations
        .iter()
        .map(|one| {
            let [from, kind, to] = ["spdxElementId", "relationshipType", "relatedSpdxElement"]
                .map(|key| one[key].as_str().unwrap_or_default());
            format!("{from} {kind} {to}")
        })
        .collect();
    assert_eq!(
        told,
        [
            "SPDXRef-DOCUMENT DESCRIBES SPDXRef-Image",
            "SPDXRef-Image CONTAINS SPDXRef-Package-1"
        ]
    );
}

#[test]
fn the_namespace_follows_the_content() {
    let namespace = |kept: &[&str]| {
        let document = document(&inventory(&debian(), kept));
        document["documentNamespace"].as_str().map(str::to_owned)
    };
    let one = namespace(&["/usr/lib/libstdc++.so.6"]);
    assert_ne!(one, namespace(&[]));
    assert!(one.is_some_and(|one| one.starts_with("https://")));
}

#[test]
fn each_kind_of_package_has_its_url() {
    let fs = MemFs::new()
        .file("/etc/os-release", "ID=fedora\nVERSION_ID=40\n")
        .file(
            "/usr/lib/sysimage/rpm/rpmdb.sqlite",
            include_bytes!("../../../tests/databases/rpmdb.sqlite"),
        )
        .file("/usr/bin/tool2", "")
        .file(
            "/lib/apk/db/installed",
            "P:musl\nV:1.2-r0\nA:x86_64\no:musl\nF:lib\nR:c.so\n",
        )
        .file("/lib/c.so", "")
        .file(
            "/n/package.json",
            r#"{"name":"@s/n","version":"1","license":"Odd"}"#,
        )
        .file("/p/site-packages/A_b.egg-info", "Name: A_b\nVersion: 2\n");
    let kept = [
        "/usr/bin/tool2",
        "/lib/c.so",
        "/n/package.json",
        "/p/site-packages/A_b.egg-info",
    ];
    let document = document(&inventory(&fs, &kept));
    assert_eq!(
        purls(&document),
        [
            "pkg:apk/fedora/musl@1.2-r0?arch=x86_64&distro=fedora-40",
            "pkg:rpm/fedora/tool2@1.2-2.el9?arch=noarch&distro=fedora-40&epoch=1\
             &upstream=tool2-1.2-2.el9.src.rpm",
            "pkg:npm/%40s/n@1",
            "pkg:pypi/a-b@2",
        ]
    );
    assert_eq!(
        document["packages"][2]["licenseDeclared"],
        "MIT AND GPL-2.0-or-later"
    );
    let odd = document["packages"][3]["licenseDeclared"].as_str();
    let quoted = document["hasExtractedLicensingInfos"][0]["licenseId"].as_str();
    assert!(odd.is_some() && odd == quoted);
}

#[test]
fn a_maven_package_has_a_group_or_no_url() {
    let java = |group: &str| LanguagePackage {
        ecosystem: crate::packages::Ecosystem::Java,
        group: group.to_owned(),
        name: "io".to_owned(),
        version: "2".to_owned(),
        license: String::new(),
        metadata: ImagePath::root(),
    };
    let url = purl::of_language(&java("org.x"));
    assert_eq!(url.as_deref(), Some("pkg:maven/org.x/io@2"));
    assert_eq!(purl::of_language(&java("")), None);
}
