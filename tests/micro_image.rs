//! `scripts/micro-image`, the job for a CI system, against an engine that is played by a script.

mod fake_engine;

use fake_engine::Fake;
use std::path::Path;
use std::process::Command;

/// Runs the job; gives its status and what the job's page says.
fn job(fake: &Fake) -> (i32, String) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(root.join("scripts/micro-image"))
        .args(["app", "--exec", "true", "--", "--env", "A=1"])
        .env("FAKE", fake.place.path())
        .env("MICROPACKER", env!("CARGO_BIN_EXE_micropacker"))
        .env("MICRO_OUT", fake.at("artifacts"))
        .env(
            "MICROPACKER_CONTAINER_ENGINE",
            root.join("tests/fake_engine/engine.sh"),
        )
        .env("GITHUB_STEP_SUMMARY", fake.at("page"))
        .output()
        .expect("it runs");
    let kept = fake.read("artifacts/summary.txt");
    assert_eq!(String::from_utf8_lossy(&output.stdout), kept);
    let status = output.status.code().expect("a status");
    (status, fake.read("page"))
}

#[test]
fn a_verified_image_is_told_with_its_sizes() {
    let fake = Fake::new();
    let (status, page) = job(&fake);
    assert_eq!(status, 0, "{page}");
    let told = "The micro image of app does what app does.\n```\n";
    assert!(page.starts_with(told), "{page}");
    assert!(
        page.contains("\nfiles   ") && page.ends_with("```\n"),
        "{page}"
    );
    fake.assert_clean(&[("app-micro", "sha256:micro")]);
    assert!(fake.at("artifacts/summary.json").exists());
}

#[test]
fn a_job_without_a_verified_image_fails_as_build_does() {
    let fake = Fake::new();
    fake.write("exit-micro", "3");
    let (status, page) = job(&fake);
    assert_eq!(status, 1, "{page}");
    assert!(page.contains("of app does not do what app does, and is not there"));
    fake.write("exec-status", "3");
    let (status, page) = job(&fake);
    assert_eq!(status, 126, "{page}");
    assert!(page.contains("of app was not made: status 126"), "{page}");
    fake.assert_clean(&[]);
}

#[test]
fn an_engine_that_comes_up_late_is_waited_for() {
    let fake = Fake::new();
    // It answers the second time.
    fake.write(
        "hook",
        "[ $1 != version ] || [ -e up ] || { touch up; complain 'not yet'; }",
    );
    let (status, page) = job(&fake);
    assert_eq!(status, 0, "{page}");
    assert_eq!(fake.read("calls").lines().next(), Some("version"));
}
