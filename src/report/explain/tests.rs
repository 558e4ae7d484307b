//! Chains of reasons, and remedies.

use super::super::testing::{item, opened, path, report};
use super::*;
use crate::image_fs::FileKind;
use crate::recording::Process;
use crate::report::model::{MountItem, PackageItem, ProcessItem};

fn chain(explanation: &Explanation) -> Vec<String> {
    let steps = explanation.chain.iter();
    steps
        .map(|step| format!("{}: {}", step.path, words::reason(&step.reason)))
        .collect()
}

#[test]
fn the_chain_goes_down_to_the_process_by_the_shortest_way() {
    let libm = item(
        "/lib/libm.so",
        &[
            Reason::NeededBy(path("/lib/libx.so")),
            Reason::NeededBy(path("/bin/app")),
        ],
    );
    let libx = item("/lib/libx.so", &[Reason::NeededBy(path("/bin/other"))]);
    let other = item("/bin/other", &[Reason::InterpreterOf(path("/s"))]);
    let script = item("/s", &[opened()]);
    let app = item("/bin/app", &[Reason::Executed]);
    let report = report(vec![libm, libx, other, script, app], &[]);
    let explanation = Index::new(&report).explain(&path("/lib/libm.so"));
    assert!(explanation.kept);
    assert_eq!(
        chain(&explanation),
        [
            "/lib/libm.so: library that /bin/app needs",
            "/bin/app: started as a program"
        ]
    );
    assert_eq!(explanation.other_reasons, 1);
    let explanation = Index::new(&report).explain(&path("/bin/other"));
    assert_eq!(
        chain(&explanation)[1],
        "/s: opened, first by /bin/app (openat, process 7)"
    );
}

#[test]
fn reasons_in_a_circle_or_of_what_is_gone_end() {
    let a = item("/a", &[Reason::LinkTo(path("/b"))]);
    let b = item(
        "/b",
        &[
            Reason::ParentOf(path("/a")),
            Reason::ParentOf(path("/gone")),
        ],
    );
    let report = report(vec![a, b], &[]);
    let explanation = Index::new(&report).explain(&path("/a"));
    assert_eq!(chain(&explanation)[1], "/b: directory above /gone");
}

#[test]
fn a_path_through_symlinks_is_its_entry() {
    let mut link = item("/lib", &[Reason::Always]);
    link.kind = FileKind::Symlink;
    link.target = Some(ByteString(b"./usr//lib".to_vec()));
    let mut file = item("/usr/lib/x", &[opened()]);
    file.package = Some(0);
    let mut endless = item("/loop", &[opened()]);
    endless.target = Some(ByteString(b"/loop".to_vec()));
    let mut report = report(vec![link, file, endless], &[]);
    report.packages.push(PackageItem {
        name: "x".to_owned(),
        version: "1".to_owned(),
        ..PackageItem::default()
    });
    let index = Index::new(&report);
    let explanation = index.explain(&path("/lib/../lib/x"));
    assert_eq!(explanation.entry, path("/usr/lib/x"));
    assert_eq!(explanation.package.as_deref(), Some("x 1"));
    assert_eq!(index.explain(&path("/lib")).entry, path("/lib"));
    assert!(!index.explain(&path("/loop/y")).kept);
}

#[test]
fn what_is_left_out_has_its_reason_or_that_of_what_it_lies_in_and_a_remedy() {
    let report = report(
        vec![],
        &[
            ("/data", Exclusion::Mount("ext4".to_owned())),
            ("/data/made", Exclusion::Created),
            ("/etc/d", Exclusion::ListedOnly),
            ("/gone", Exclusion::Vanished),
        ],
    );
    let index = Index::new(&report);
    let told = |at: &str| {
        let explanation = index.explain(&path(at));
        assert!(!explanation.kept && explanation.chain.is_empty());
        (explanation.excluded, explanation.remedy.unwrap_or_default())
    };
    assert_eq!(told("/data/x").0, Some(Exclusion::Mount("ext4".to_owned())));
    assert!(told("/data/x").1.contains("--include-mount /data/x"));
    assert_eq!(told("/data/made/x").0, Some(Exclusion::Created));
    assert_eq!(told("/etc/d/x").0, Some(Exclusion::ListedOnly));
    assert_eq!(told("/etc/d/deep/x").0, None);
    assert_eq!(told("/gone/x").0, None);
    assert!(told("/etc/d/deep/x").1.contains("nothing used it"));
}

#[test]
fn what_nobody_used_and_no_include_would_bring_in_is_told_from_what_it_would() {
    let mut report = report(vec![], &[]);
    let mount = |at: &str, fs_type: &str, fate| MountItem {
        mount_point: path(at),
        fs_type: fs_type.to_owned(),
        root: ByteString(b"/".to_vec()),
        fate,
    };
    report.mounts = vec![
        mount("/", "overlay", MountFate::Image),
        mount("/data", "ext4", MountFate::Foreign),
        mount("/data/own", "ext4", MountFate::Included),
        mount("/etc/hosts", "ext4", MountFate::Engine),
    ];
    let told = |at: &str| Index::new(&report).explain(&path(at));
    assert_eq!(told("/etc/motd").excluded, None);
    assert_eq!(told("/data/own/x").excluded, None);
    let on_volume = told("/data/x");
    assert_eq!(
        on_volume.excluded,
        Some(Exclusion::Mount("ext4".to_owned()))
    );
    assert!(
        on_volume
            .remedy
            .is_some_and(|it| it.contains("--include-mount /data/x"))
    );
    for of_engine in ["/etc/hosts", "/proc/1/maps", "/dev/null"] {
        assert_eq!(told(of_engine).excluded, Some(Exclusion::BuiltIn));
    }
}

#[test]
fn the_chain_ends_with_those_who_started_the_process() {
    let process = |pid, parent, programs: &[&str]| ProcessItem {
        pid,
        process: Process {
            parent,
            programs: programs.iter().map(|text| path(text)).collect(),
        },
    };
    let mut report = report(vec![item("/etc/x", &[opened()])], &[]);
    let ancestors = |report: &Report| -> Vec<String> {
        let explanation = Index::new(report).explain(&path("/etc/x"));
        let ancestors = explanation.started_by.iter();
        let shown = |one: &Ancestor| match &one.program {
            Some(program) => format!("{program} {}", one.pid),
            None => one.pid.to_string(),
        };
        ancestors.map(shown).collect()
    };
    assert!(ancestors(&report).is_empty());
    // What a process was forked with is what its parent ran at that time.
    report.recording.processes = vec![
        process(1, None, &["/bin/sh", "/sbin/server"]),
        process(5, Some(1), &["/bin/sh", "/bin/make"]),
        process(7, Some(5), &["/bin/make", "/bin/app"]),
    ];
    assert_eq!(ancestors(&report), ["/bin/make 5", "/bin/sh 1"]);
    // Of another container, packed together with this one.
    let mut other = report.clone();
    other.recording.processes[2].process.programs = vec![path("/bin/other")];
    assert!(ancestors(&other).is_empty());
    // An ID that was given twice.
    report.recording.processes[0].process.parent = Some(7);
    assert_eq!(ancestors(&report).len(), MAX_ANCESTORS);
}
