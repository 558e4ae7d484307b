//! Packages of language runtimes, by metadata as their managers write it.

use super::*;
use crate::image_fs::MemFs;
use crate::manifest::{Entry, Reason, Source};

fn kept(fs: &MemFs, files: &[&str]) -> Vec<String> {
    let mut entries = BTreeMap::new();
    for file in files {
        let path = ImagePath::new(file).expect("absolute");
        let meta = fs.lstat(&path).expect("there");
        let entry = Entry {
            kind: meta.kind,
            meta: Some(meta),
            source: Source::Image,
            reasons: vec![Reason::Always],
        };
        entries.insert(path, entry);
    }
    language_packages(fs, &entries, &Owners::load(fs))
        .iter()
        .map(|one| {
            let group = match one.group.as_str() {
                "" => String::new(),
                group => format!("{group}:"),
            };
            let LanguagePackage {
                ecosystem,
                name,
                version,
                license,
                ..
            } = one;
            format!("{ecosystem} {group}{name} {version} {license}")
                .trim_end()
                .to_owned()
        })
        .collect()
}

#[test]
fn a_python_distribution_is_kept_with_any_file_of_its_record() {
    let fs = MemFs::new()
        .file("/v/site-packages/six.py", "")
        .file("/v/site-packages/yaml/loader.py", "")
        .file(
            "/v/site-packages/six-1.16.0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: six\nVersion: 1.16.0\nLicense: MIT\n\nName: body\n",
        )
        .file(
            "/v/site-packages/six-1.16.0.dist-info/RECORD",
            "six.py,sha256=x,12\n",
        )
        .file(
            "/v/site-packages/PyYAML-6.0.dist-info/METADATA",
            "Name: PyYAML\nVersion: 6.0\n",
        )
        .file(
            "/v/site-packages/PyYAML-6.0.dist-info/RECORD",
            "\"yaml/loader.py\",,\n",
        )
        .file(
            "/v/site-packages/old-1.egg-info",
            "Name: old\nVersion: 1\nLicense: UNKNOWN\n",
        );
    let six = "python six 1.16.0 MIT";
    assert_eq!(kept(&fs, &["/v/site-packages/six.py"]), [six]);
    let all = [
        "/v/site-packages/yaml/loader.py",
        "/v/site-packages/old-1.egg-info",
    ];
    assert_eq!(kept(&fs, &all), ["python PyYAML 6.0", "python old 1"]);
}

#[test]
fn what_a_system_package_installed_is_left_to_it() {
    let fs = MemFs::new()
        .file("/d/dist-packages/six-1.egg-info", "Name: six\nVersion: 1\n")
        .file(
            "/var/lib/dpkg/info/python3-six.list",
            "/d/dist-packages/six-1.egg-info\n",
        );
    assert!(kept(&fs, &["/d/dist-packages/six-1.egg-info"]).is_empty());
}

#[test]
fn a_node_package_is_kept_with_any_of_its_files() {
    let fs = MemFs::new()
        .file("/app/package.json", r#"{"name":"app","version":"1.0.0"}"#)
        .file(
            "/app/node_modules/@s/x/package.json",
            r#"{"name":"@s/x","version":"2.0.0","license":"ISC"}"#,
        )
        .file("/app/node_modules/@s/x/lib/x.js", "")
        .file(
            "/app/node_modules/y/package.json",
            r#"{"name":"y","version":"3.0.0","license":{"type":"MIT"}}"#,
        )
        .file(
            "/app/node_modules/y/esm/package.json",
            r#"{"type":"module"}"#,
        );
    assert_eq!(
        kept(
            &fs,
            &["/app/package.json", "/app/node_modules/@s/x/lib/x.js"]
        ),
        ["node @s/x 2.0.0 ISC", "node app 1.0.0"]
    );
    let inner = "/app/node_modules/y/esm/package.json";
    assert_eq!(kept(&fs, &[inner]), ["node y 3.0.0 MIT"]);
}

#[test]
fn a_gem_is_told_by_its_specification() {
    let gem = "Gem::Specification.new do |s|\n  s.name = \"rack\".freeze\n  s.version = \"3.1\"\n  s.licenses = [\"MIT\".freeze]\nend\n";
    let path = "/usr/local/lib/ruby/gems/3.3.0/specifications/rack-3.1.gemspec";
    assert_eq!(
        kept(&MemFs::new().file(path, gem), &[path]),
        ["ruby rack 3.1 MIT"]
    );
}

/// A zip archive of members, each stored or deflated.
fn archive(members: &[(&str, &[u8], bool)]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut directory = Vec::new();
    for (name, content, deflate) in members {
        let stored = match deflate {
            true => miniz_oxide::deflate::compress_to_vec(content, 6),
            false => content.to_vec(),
        };
        let offset = (file.len() as u32).to_le_bytes();
        let mut common = vec![
            20,
            0,
            0,
            0,
            if *deflate { 8 } else { 0 },
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
        ];
        common.extend((stored.len() as u32).to_le_bytes());
        common.extend((content.len() as u32).to_le_bytes());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        file.extend([&b"PK\x03\x04"[..], &common, name.as_bytes(), &stored].concat());
        directory.extend(
            [
                &b"PK\x01\x02\x14\0"[..],
                &common,
                &[0; 10],
                &offset,
                name.as_bytes(),
            ]
            .concat(),
        );
    }
    let start = (file.len() as u32).to_le_bytes();
    let length = (directory.len() as u32).to_le_bytes();
    file.extend(&directory);
    file.extend(
        [
            &b"PK\x05\x06"[..],
            &[0; 8],
            &length,
            &start,
            &[4, 0],
            b"note",
        ]
        .concat(),
    );
    file
}

#[test]
fn a_java_archive_is_told_by_maven_or_its_manifest_and_so_are_those_in_it() {
    let manifest = b"Manifest-Version: 1.0\r\nBundle-SymbolicName: org.ex\r\n ample;x:=1\r\nBundle-Version: 4.2\r\n\r\nName: x\r\n";
    let inner = archive(&[("META-INF/MANIFEST.MF", manifest, true)]);
    let nameless = archive(&[("a.class", b"", false)]);
    let pom = b"#c\nversion=1.5\ngroupId=org.app\nartifactId=app\n";
    let outer = archive(&[
        ("META-INF/maven/org.app/app/pom.properties", pom, true),
        ("BOOT-INF/lib/example.jar", &inner, false),
        ("BOOT-INF/lib/commons-io-2.11.jar", &nameless, true),
    ]);
    let fs = MemFs::new()
        .file("/app.jar", &outer)
        .file("/cut.jar", &outer[..outer.len() - 30]);
    assert_eq!(
        kept(&fs, &["/app.jar", "/cut.jar"]),
        [
            "java commons-io 2.11",
            "java org.example 4.2",
            "java org.app:app 1.5"
        ]
    );
}
