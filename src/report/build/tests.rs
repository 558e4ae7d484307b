//! A report holds what there is, and is read back as it was written.

use super::*;
use crate::image_fs::MemFs;
use crate::manifest::{Exclusion, MountDecision, MountFate, Reason};
use crate::recording::{Access, Endpoint, Exec, Loss, Origin, Protocol};
use proptest::prelude::*;
use std::net::Ipv6Addr;

fn path(bytes: impl AsRef<[u8]>) -> ImagePath {
    ImagePath::new(bytes).expect("absolute")
}

fn origin(program: &[u8]) -> Origin {
    Origin {
        pid: 7,
        program: ImagePath::new(program),
        call: "openat".into(),
    }
}

fn http() -> Endpoint {
    Endpoint {
        protocol: Protocol::Tcp,
        port: 80,
        address: Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// One of everything, with these names in it.
fn recording(name: &[u8]) -> Recording {
    let odd = path([b"/d/", name].concat());
    let odd_program = [b"/bin/", name].concat();
    let used = Use {
        access: Access::OPEN.with(Access::NO_FOLLOW),
        first: origin(b"/bin/x"),
    };
    let place = Place {
        root: path("/jail"),
        path: odd.clone(),
    };
    let exec = Exec {
        root: ImagePath::root(),
        program: path("/bin/x"),
        file: Some(odd.clone()),
        cwd: None,
        path: Some(name.to_vec()),
        ld_library_path: None,
        ld_preload: None,
    };
    Recording {
        context: Context {
            argv: vec![b"x".to_vec(), name.to_vec()],
            env: vec![b"SECRET=1".to_vec()],
            cwd: Some(path("/d")),
            uid: 1,
            gid: 2,
            ..Context::default()
        },
        uses: [(Place::at(odd.clone()), used.clone()), (place, used)].into(),
        execs: [exec].into(),
        created: [odd.clone()].into(),
        endpoints: [(http(), origin(&odd_program))].into(),
        losses: [Loss {
            what: "lost".to_owned(),
            count: 2,
        }]
        .into(),
        ..Recording::default()
    }
}

fn report(name: &[u8]) -> Report {
    let recording = recording(name);
    let file = [b"/d/", name].concat();
    let fs = MemFs::new()
        .file(&file, "content")
        .symlink("/link", name)
        .file("/var/lib/dpkg/info/p.list", [b"/d/", name, b"\n"].concat());
    let mut manifest = Manifest::default();
    for (at, reason) in [
        (path(&file), Reason::NeededBy(path(&file))),
        (path("/link"), Reason::LinkTo(path(&file))),
    ] {
        let meta = fs.lstat(&at).expect("there");
        let entry = Entry {
            kind: meta.kind,
            meta: Some(meta),
            source: Source::Image,
            reasons: vec![reason, Reason::Executed],
        };
        manifest.entries.insert(at, entry);
    }
    manifest
        .excluded
        .insert(path("/v"), Exclusion::Mount("ext4".to_owned()));
    manifest.mounts.push(MountDecision {
        mount_point: path("/v"),
        fs_type: "ext4".to_owned(),
        root: name.to_vec(),
        fate: MountFate::NamedVolume,
    });
    let inventory = Inventory::take(&fs, &manifest);
    Report::new(&Sources {
        fs: &fs,
        recording: &recording,
        env: &[b"A=b".to_vec()],
        manifest: &manifest,
        inventory: &inventory,
        layer: &LayerSummary::default(),
        digests: &[(path(&file), [0xab; 32])].into(),
        name: "app",
        engine: Some("seccomp stops"),
        milliseconds: Some(5),
    })
}

#[test]
fn a_report_tells_each_entry_with_digest_target_owner_and_package() {
    let report = report(b"f");
    let [file, link] = report.entries.as_slice() else {
        panic!("{:?}", report.entries);
    };
    assert_eq!(
        (file.size, file.mode.as_str(), file.package),
        (7, "0644", Some(0))
    );
    assert_eq!(file.sha256, Some("ab".repeat(32)));
    assert_eq!(link.target, Some(ByteString(b"f".to_vec())));
    assert_eq!((link.size, link.package), (0, None));
    assert_eq!(report.packages[0].name, "p");
    let command = report.command.expect("a command");
    assert_eq!(command.env, [ByteString(b"A=b".to_vec())]);
}

#[test]
fn what_is_written_has_an_entry_a_line() {
    let mut text = Vec::new();
    report(b"f").write(&mut text).expect("written");
    let text = String::from_utf8(text).expect("UTF-8");
    let line = text
        .lines()
        .find(|line| line.starts_with("{\"path\":\"/d/f\",\"kind\""));
    assert!(
        line.is_some_and(|line| line.contains("{\"needed-by\":\"/d/f\"}")),
        "{text}"
    );
}

#[test]
fn a_report_is_told_from_a_list_by_how_it_begins() {
    assert!(Report::is_one(b"{\"schema\":1,\"tool\""));
    assert!(Report::is_one(b" {\n  \"schema\": 1,"));
    assert!(!Report::is_one(b"/etc/passwd\n"));
    assert!(!Report::is_one(b"{}\n"));
    assert!(!Report::is_one(b""));
}

#[test]
fn a_newer_form_and_other_texts_are_refused() {
    let newer = Report::read(b"{\"schema\":2}")
        .expect_err("newer")
        .to_string();
    assert!(newer.contains("form 2"), "{newer}");
    for text in [
        "",
        "{}",
        "[1]",
        "{\"schema\":1}",
        "{\"schema\":1,\"tool\":\"x\"",
    ] {
        assert!(Report::read(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn two_reports_are_merged_into_what_both_saw() {
    let mut merged = Recording::default();
    merged.merge(report(b"a").into_recording());
    merged.merge(report(b"b").into_recording());
    assert_eq!(merged.uses.len(), 4);
    assert_eq!(merged.execs.len(), 2);
    assert_eq!(merged.endpoints[&http()], origin(b"/bin/a"));
    assert_eq!(merged.context.argv[1], b"a");
    let mut again = report(b"a");
    again.recording.uses[0].access = Access::PROBE;
    merged.merge(again.into_recording());
    let used = &merged.uses[&Place::at(path("/d/a"))];
    assert_eq!(used.access, Access::OPEN.with(Access::PROBE));
}

proptest! {
    #[test]
    fn a_report_is_read_back_with_names_of_any_bytes(
        name in proptest::collection::vec(1..=255_u8, 1..20)
            .prop_filter("a name", |name| !name.contains(&b'/') && name != b"." && name != b".."),
    ) {
        let report = report(&name);
        let mut text = Vec::new();
        report.write(&mut text).expect("written");
        prop_assert!(Report::is_one(&text));
        let read = Report::read(&text).expect("read");
        prop_assert_eq!(&read, &report);
        let loaded = read.into_recording();
        let mut expected = recording(&name);
        expected.context.env = vec![b"A=b".to_vec()];
        prop_assert_eq!(&loaded, &expected);
        let mut merged = Recording::default();
        merged.merge(loaded);
        prop_assert_eq!(merged, expected);
    }
}
