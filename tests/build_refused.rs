//! `build` when something is wrong before there is a verdict: one line that names it, the right
//! status, and nothing is left behind.

mod fake_engine;

use assert_cmd::Command;
use fake_engine::{Fake, image};
use std::fs;

#[test]
fn a_health_check_that_is_not_there_is_not_waited_for() {
    let fake = Fake::new();
    let said = "--ready health: app has no health check";
    fake.assert_fails(&["--ready", "health"], 2, said);
    assert!(!fake.read("calls").contains("create"));
}

#[test]
fn what_the_application_printed_is_shown_and_not_how_it_was_packed() {
    let fake = Fake::new();
    let log = "cannot start\nmicropacker: warning: w\nmicropacker: 1 entries in x; traced by y\n";
    fake.write("log-traced", log);
    let said = "app itself fails the exercise: false: 1 instead of 0";
    fake.assert_fails(&["--exercise", "false"], 126, said);
    let (_, _, stderr) = fake.build(&["--exercise", "false"]);
    assert!(
        stderr.contains("  | cannot start\n  | micropacker: warning: w\nmicropacker: app itself")
    );
    fake.write(
        "hook",
        "[ \"$1-$(role $id 2>/dev/null)\" != start-traced ] || exit 0",
    );
    fake.write("exit-traced", "1");
    let said = "app: it ended with status 1 before it was ready";
    fake.assert_fails(&["--exercise", "true"], 126, said);
}

#[test]
fn an_engine_that_is_not_there_is_named() {
    let mut command = Command::cargo_bin("micropacker").expect("the binary");
    let options = ["build", "app", "--engine", "/does/not/exist"];
    let output = command.args(options).output().expect("runs");
    assert_eq!(output.status.code(), Some(127));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        told.contains("there is no /does/not/exist: install"),
        "{told}"
    );
}

#[test]
fn an_engine_that_does_not_answer_is_named_with_its_words() {
    let fake = Fake::new();
    fake.write(
        "hook",
        "[ $1 != version ] || { echo 'Cannot connect to the daemon. Is it running?' >&2; exit 1; }",
    );
    fake.assert_fails(
        &[],
        126,
        "Cannot connect to the daemon. Is it running?; start it",
    );
}

#[test]
fn an_image_that_is_not_there_is_pulled_and_otherwise_named() {
    let fake = Fake::new();
    fs::remove_file(fake.at("images/app")).expect("removed");
    fake.assert_fails(
        &[],
        127,
        "there is no image app, and it cannot be pulled: pull access denied",
    );
    assert!(fake.read("calls").contains("\npull app\n"));
    let platform = ["--", "--platform", "linux/s390x"];
    fake.assert_fails(&platform, 127, "there is no image app");
    let calls = fake.read("calls");
    assert!(
        calls.contains("\npull --platform linux/s390x app\n"),
        "{calls}"
    );
}

#[test]
fn an_image_of_another_architecture_is_refused_before_anything_is_made() {
    let fake = Fake::new();
    fake.write("image.json", &image("s390x"));
    fake.assert_fails(&[], 126, "app is an image for linux/s390x");
    assert!(!fake.read("calls").contains("create"));
}

#[test]
fn what_the_engine_refuses_is_said_in_its_words() {
    let fake = Fake::new();
    fake.write("hook", "[ \"$1-$(role $id 2>/dev/null)\" != start-traced ] || complain 'port is already allocated.'");
    fake.assert_fails(
        &[],
        126,
        "app: docker start: port is already allocated"
            .replace("docker", "engine.sh")
            .as_str(),
    );
}

#[test]
fn an_exercise_that_the_original_fails_is_no_matter_of_the_micro_image() {
    let fake = Fake::new();
    fake.assert_fails(
        &["--exercise", "exit 7"],
        126,
        "app itself fails the exercise: exit 7: 7 instead of 0",
    );
    assert!(!fake.read("calls").contains("load"));
    fake.write("requests", "GET / 404\n");
    let requests = fake.at("requests");
    let requests = requests.to_str().expect("UTF-8");
    fake.assert_fails(&["--http", requests], 126, "GET /: 200 instead of 404");
}

#[test]
fn an_application_that_ends_too_early_is_told_with_what_micropacker_said() {
    let fake = Fake::new();
    fake.write(
        "hook",
        "[ \"$1-$(role $id 2>/dev/null)\" != start-traced ] || exit 0",
    );
    fake.write("exit-traced", "127");
    fake.write("log-traced", "micropacker: /bin/app: not found\n");
    fake.assert_fails(
        &["--exec", "true"],
        126,
        "ended with status 127 before it was ready (/bin/app: not found)",
    );
    fake.assert_fails(&[], 126, "ended with status 127 (/bin/app: not found)");
    fake.write("log-traced", "");
    fake.assert_fails(&[], 126, "ended with status 127: --ready end, if that is");
}

#[test]
fn outputs_that_are_not_whole_get_no_name() {
    let fake = Fake::new();
    fs::remove_file(fake.at("outputs/out/report.json")).expect("removed");
    fake.write(
        "log-traced",
        "micropacker: cannot write /out/x: No space left on device\n",
    );
    let (status, _, stderr) = fake.build(&[]);
    assert_eq!(status, 125);
    let said = "wrote no image: cannot write /out/x: No space left on device";
    assert!(stderr.contains(said), "{stderr}");
    fake.assert_clean(&[]);
    assert_eq!(fake.names_in("artifacts"), ["traced.log"]);
}

#[test]
fn wrong_usage_asks_no_engine() {
    let fake = Fake::new();
    let usages: [(&[&str], &str); 6] = [
        (&["--tag", "No Name"], "no name of an image"),
        (
            &["--http", "/does/not/exist"],
            "cannot read /does/not/exist",
        ),
        (&["--merge", "/dev/null"], "no report"),
        (&["--exec", "a 'b"], "not closed"),
        (&["--change", "MAINTAINER x"], "--change"),
        (&["--", "serve"], "behind a second --"),
    ];
    for (options, said) in usages {
        fake.assert_fails(options, 2, said);
    }
    assert_eq!(fake.read("calls"), "");
    let mut command = Command::cargo_bin("micropacker").expect("the binary");
    let output = command
        .args(["build", "sha256:0011"])
        .output()
        .expect("runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--tag"));
}
