//! An engine that `engine.sh` plays, for one test each.
#![allow(missing_docs, reason = "tests read it whole")]
#![allow(dead_code, reason = "each test crate uses its own part of this module")]

use assert_cmd::Command;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A report as `run` writes it, with these paths.
pub fn report(paths: &[&str]) -> String {
    let used = r#"{"used":{"access":["open"],"first":{"pid":1,"program":null,"call":"open"}}}"#;
    let entries = paths.iter().map(|path| {
        format!(
            r#"{{"path":"{path}","kind":"regular","size":3,"mode":"0644","uid":0,"gid":0,"reasons":[{used}]}}"#
        )
    });
    let entries: Vec<String> = entries.collect();
    format!(
        r#"{{"schema":1,"tool":"micropacker","engine":"seccomp","image":{{"name":"app-micro","layer_sha256":"",
        "tar_bytes":1,"bytes":3,"distribution":"","packages_before":9,"bytes_before":9}},"entries":[{}]}}"#,
        entries.join(",")
    )
}

/// An engine with one image, `app`, and a place for outputs.
pub struct Fake {
    pub place: TempDir,
}

impl Fake {
    pub fn new() -> Self {
        let fake = Self {
            place: tempfile::tempdir().expect("a directory"),
        };
        for directory in ["containers", "volumes", "images", "outputs"] {
            fs::create_dir(fake.at(directory)).expect("made");
        }
        for directory in ["out", "again", "asked"] {
            let directory = fake.at("outputs").join(directory);
            fs::create_dir(&directory).expect("made");
            fs::write(directory.join("report.json"), report(&["/bin/app"])).expect("written");
            fs::write(directory.join("image.tar"), "image").expect("written");
        }
        fake.write("images/app", "sha256:app");
        fake.write("images/sha256:app", "sha256:app");
        fake.write("image.json", &image(std::env::consts::ARCH));
        fake
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.at(name), text).expect("written");
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).unwrap_or_default()
    }

    pub fn names_in(&self, directory: &str) -> Vec<String> {
        let entries = fs::read_dir(self.at(directory)).expect("a directory");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        names
            .map(|name| name.to_string_lossy().into_owned())
            .collect()
    }

    pub fn arguments(&self, options: &[&str]) -> Vec<String> {
        let engine = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake_engine/engine.sh");
        let engine = engine.to_str().expect("UTF-8").to_owned();
        let out = self.at("artifacts").to_str().expect("UTF-8").to_owned();
        let first = ["build", "app", "--engine", &engine, "--artifacts", &out];
        first
            .iter()
            .chain(options)
            .map(ToString::to_string)
            .collect()
    }

    /// Runs it; gives its exit status and its two streams.
    pub fn build(&self, options: &[&str]) -> (i32, String, String) {
        let mut command = Command::cargo_bin("micropacker").expect("the binary");
        command
            .env("FAKE", self.place.path())
            .args(self.arguments(options));
        let output = command.output().expect("runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let status = output.status.code().expect("an exit status");
        (status, text(&output.stdout), text(&output.stderr))
    }

    /// Nothing is left in the engine but `app` and this.
    pub fn assert_clean(&self, images: &[(&str, &str)]) {
        assert!(
            self.names_in("containers").is_empty(),
            "{}",
            self.read("calls")
        );
        assert!(
            self.names_in("volumes").is_empty(),
            "{}",
            self.read("calls")
        );
        let name = self.read("images/app-micro");
        let expected = images.iter().find(|(name, _)| *name == "app-micro");
        assert_eq!(name.trim(), expected.map_or("", |(_, id)| id));
    }

    /// It fails with this status and says this in its last line; nothing is left.
    pub fn assert_fails(&self, options: &[&str], status: i32, said: &str) {
        let (found, stdout, stderr) = self.build(options);
        assert_eq!(found, status, "{stderr}");
        let last = stderr.lines().next_back().unwrap_or_default();
        assert!(
            last.starts_with("micropacker: ") && last.contains(said),
            "{stderr}"
        );
        assert_eq!(stdout, "");
        self.assert_clean(&[]);
        assert!(!self.at("artifacts").exists());
    }
}

pub fn image(architecture: &str) -> String {
    let architecture = match architecture {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!(
        r#"[{{"Id":"ID","Size":1000,"Os":"linux","Architecture":"{architecture}",
        "Config":{{"Entrypoint":["/bin/app"],"Cmd":["serve"],"ExposedPorts":{{"80/tcp":{{}}}}}}}}]"#
    )
}
