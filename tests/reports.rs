//! What tells of an image, as a user meets it: artifacts of a run, reports packed again,
//! explained and compared.

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn micropacker(arguments: &[&str], directory: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_micropacker"))
        .args(arguments)
        .current_dir(directory)
        .env("SOURCE_DATE_EPOCH", "1700000000")
        .output()
        .expect("started")
}

fn succeed(arguments: &[&str], directory: &Path) -> String {
    let output = micropacker(arguments, directory);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {told}");
    told
}

fn json(file: &Path) -> Value {
    serde_json::from_slice(&fs::read(file).expect("read")).expect("JSON")
}

/// An unpacked image with a package of dpkg.
fn image() -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a temporary directory");
    let root = home.path().join("root");
    for (file, content) in [
        ("usr/bin/tool", "tool"),
        ("usr/share/data", "data"),
        ("etc/os-release", "ID=debian\nVERSION_ID=12\n"),
        (
            "var/lib/dpkg/status",
            "Package: tool\nVersion: 1\nArchitecture: all\n",
        ),
        ("var/lib/dpkg/info/tool.list", "/usr/bin/tool\n"),
    ] {
        let file = root.join(file);
        fs::create_dir_all(file.parent().expect("a parent")).expect("made");
        fs::write(file, content).expect("written");
    }
    fs::write(home.path().join("tool.txt"), "/usr/bin/tool\n").expect("written");
    fs::write(home.path().join("data.txt"), "/usr/share/data\n").expect("written");
    home
}

fn pack(home: &Path, inputs: &[&str], to: &str) -> Value {
    let artifacts = home.join(to);
    let artifacts_name = artifacts.to_str().expect("UTF-8").to_owned();
    let tarball = format!("{to}.tar");
    let mut arguments = vec!["pack", "--root", "root", "-o", &tarball];
    arguments.extend(["--artifacts", &artifacts_name]);
    arguments.extend(inputs.iter().flat_map(|input| ["-i", input]));
    succeed(&arguments, home);
    json(&artifacts.join("report.json"))
}

fn paths(report: &Value) -> Vec<&str> {
    let entries = report["entries"].as_array().expect("entries");
    entries
        .iter()
        .filter_map(|entry| entry["path"].as_str())
        .collect()
}

#[test]
fn a_run_tells_entries_packages_and_reasons_and_its_report_packs_the_same_image() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let out = home.path().join("out");
    let out_name = out.to_str().expect("UTF-8");
    let told = succeed(
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
    for line in ["used: ", "packages: ", " entries, "] {
        assert!(told.contains(line), "no '{line}' in {told}");
    }
    for name in [
        "packages.txt",
        "sbom.spdx.json",
        "report.json",
        "report.html",
    ] {
        assert!(out.join(name).is_file(), "no {name}");
    }
    let report = json(&out.join("report.json"));
    assert_eq!(report["schema"], 1);
    assert_eq!(report["command"]["argv"][0], "cat");
    assert_eq!(report["milliseconds"], Value::Null);
    let entries = report["entries"].as_array().expect("entries");
    let hostname = entries
        .iter()
        .find(|entry| entry["path"] == "/etc/hostname");
    let used = &hostname.expect("kept")["reasons"][0]["used"];
    assert!(
        used["first"]["program"]
            .as_str()
            .is_some_and(|program| program.contains("cat"))
    );
    let report_name = format!("{out_name}/report.json");
    let again = home.path().join("again");
    let again_name = again.to_str().expect("UTF-8");
    succeed(
        &[
            "pack",
            "-i",
            &report_name,
            "-o",
            "second.tar",
            "--artifacts",
            again_name,
        ],
        home.path(),
    );
    let second = json(&again.join("report.json"));
    let first = paths(&report);
    let missing: Vec<_> = first
        .iter()
        .filter(|path| !paths(&second).contains(path))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(second["command"]["argv"], report["command"]["argv"]);
    let explained = micropacker(&["explain", &report_name, "/etc/hostname"], home.path());
    let text = String::from_utf8_lossy(&explained.stdout).into_owned();
    assert!(
        explained.status.success() && text.contains("opened"),
        "{text}"
    );
}

#[test]
fn explain_names_those_who_started_the_process_that_used_a_file() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let script = "sh -c 'cat /etc/hostname; :' >/dev/null; :";
    let arguments = [
        "-o",
        "r.tar",
        "--artifacts",
        "out",
        "--",
        "sh",
        "-c",
        script,
    ];
    succeed(&arguments, home.path());
    let explained = micropacker(
        &["explain", "out/report.json", "/etc/hostname"],
        home.path(),
    );
    let text = String::from_utf8_lossy(&explained.stdout).into_owned();
    let started: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("started by /"))
        .collect();
    assert_eq!(started.len(), 2, "{text}");
    assert!(
        text.contains("first by /") && text.contains("cat ("),
        "{text}"
    );
    let report = json(&home.path().join("out/report.json"));
    let processes = report["recording"]["processes"].as_array().expect("a list");
    let first = processes.iter().filter(|one| one["parent"] == Value::Null);
    assert_eq!(first.count(), 1, "{processes:?}");
}

#[test]
fn reports_and_lists_are_packed_together() {
    let home = image();
    let tool = pack(home.path(), &["tool.txt"], "tool");
    assert!(!paths(&tool).contains(&"/usr/share/data"));
    let both = pack(home.path(), &["tool/report.json", "data.txt"], "both");
    for path in ["/usr/bin/tool", "/usr/share/data"] {
        assert!(paths(&both).contains(&path), "{path}");
    }
    // The same input, the same bytes.
    let once = fs::read(home.path().join("tool/report.json")).expect("read");
    pack(home.path(), &["tool.txt"], "tool");
    let twice = fs::read(home.path().join("tool/report.json")).expect("read");
    assert!(once == twice, "not reproducible");
}

#[test]
fn kept_packages_are_in_the_bill_and_in_the_image() {
    let home = image();
    let report = pack(home.path(), &["tool.txt"], "out");
    assert_eq!(report["packages"][0]["name"], "tool");
    let status = "/var/lib/dpkg/status.d/tool";
    assert!(paths(&report).contains(&status), "{:?}", paths(&report));
    let bill = json(&home.path().join("out/sbom.spdx.json"));
    assert_eq!(
        bill["packages"][1]["externalRefs"][0]["referenceLocator"],
        "pkg:deb/debian/tool@1?arch=all&distro=debian-12"
    );
    assert_eq!(bill["creationInfo"]["created"], "2023-11-14T22:13:20Z");
    let list = fs::read_to_string(home.path().join("out/packages.txt")).expect("read");
    assert!(list.contains("tool (1): /usr/bin/tool"), "{list}");
    let files = fs::read_to_string(home.path().join("out/files.txt")).expect("read");
    assert!(!files.contains("status.d"), "{files}");
}

#[test]
fn explain_tells_kept_from_left_out_by_its_status() {
    let home = image();
    pack(home.path(), &["tool.txt"], "out");
    let explain = |arguments: &[&str]| {
        let all = [&["explain", "out/report.json"], arguments].concat();
        let output = micropacker(&all, home.path());
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    };
    let (status, text) = explain(&["/usr/bin/tool"]);
    assert_eq!(status, Some(0));
    assert!(
        text.contains("named by a list") && text.contains("package tool 1"),
        "{text}"
    );
    let (status, text) = explain(&["/usr/bin/tool", "usr/share/data"]);
    assert_eq!(status, Some(1));
    assert!(text.contains("--include /usr/share/data"), "{text}");
    let (_, text) = explain(&["--json", "/usr/bin"]);
    let told: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(told[0]["chain"][0]["reason"]["parent-of"], "/usr/bin/tool");
}

#[test]
fn diff_tells_what_only_one_has_by_its_status() {
    let home = image();
    pack(home.path(), &["tool.txt"], "a");
    pack(home.path(), &["tool.txt", "data.txt"], "b");
    let diff = |arguments: &[&str]| {
        let output = micropacker(&[&["diff"], arguments].concat(), home.path());
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    };
    let (status, text) = diff(&["a/report.json", "b/report.json"]);
    assert_eq!(status, Some(1));
    assert!(
        text.contains("only in b/report.json: 2 entries, 4 bytes"),
        "{text}"
    );
    assert!(
        text.contains("/usr/share/data, 4 bytes: named by a list"),
        "{text}"
    );
    assert_eq!(
        diff(&["a/report.json", "a/report.json"]),
        (Some(0), String::new())
    );
    assert_eq!(diff(&["a", "a"]), (Some(0), String::new()));
    let (_, text) = diff(&["--json", "b/report.json", "a/report.json"]);
    let told: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(told["only_first"].as_array().map(Vec::len), Some(2));
}

#[test]
fn what_is_no_report_is_a_usage_error_that_names_it() {
    let home = image();
    fs::write(home.path().join("cut.json"), "{\"schema\":1,\n").expect("written");
    fs::write(home.path().join("new.json"), "{\"schema\":99}").expect("written");
    for (arguments, word) in [
        (&["explain", "tool.txt", "/x"][..], "tool.txt"),
        (&["explain", "none.json", "/x"], "none.json"),
        (&["explain", ".", "/x"], "./report.json"),
        (&["diff", "cut.json", "cut.json"], "cut.json"),
        (&["diff", "new.json", "new.json"], "newer"),
        (&["pack", "--root", "root", "-i", "cut.json"], "cut.json"),
        (&["pack", "--root", "root", "-i", "new.json"], "newer"),
    ] {
        let output = micropacker(arguments, home.path());
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
        assert!(told.contains(word), "{arguments:?}: {told}");
    }
}
