//! `build` against an engine that is played by a script: what it asks for and what comes of it,
//! and that nothing is left behind.

mod fake_engine;
mod pty;

use fake_engine::{Fake, image, report};
use std::fs;

#[test]
fn a_verified_image_has_its_name_and_nothing_else_is_left() {
    let fake = Fake::new();
    let (status, stdout, stderr) =
        fake.build(&["--exercise", "test -n \"$CID\"", "--exec", "a 'b c'"]);
    assert_eq!(status, 0, "{stderr}");
    assert!(
        stderr.contains("app-micro: verified against app"),
        "{stderr}"
    );
    assert!(
        stdout.contains("files                          100            1"),
        "{stdout}"
    );
    fake.assert_clean(&[("app-micro", "sha256:micro")]);
    assert!(fake.at("artifacts/image.tar").exists());
    let calls = fake.read("calls");
    assert!(
        calls.contains("/.micropacker/micropacker exec --quiet -- a b c"),
        "{calls}"
    );
}

#[test]
fn a_health_check_is_run_within_the_trace_too() {
    let fake = Fake::new();
    let health = r#""Healthcheck":{"Test":["CMD-SHELL","a | b"]},"Cmd""#;
    let image = image(std::env::consts::ARCH).replace("\"Cmd\"", health);
    fake.write("image.json", &image);
    let (status, _, stderr) = fake.build(&["--ready", "port"]);
    assert_eq!(status, 0, "{stderr}");
    let calls = fake.read("calls");
    let within = "/.micropacker/micropacker exec --quiet -- /bin/sh -c a | b\n";
    assert_eq!(calls.matches(within).count(), 1, "{calls}");
}

#[test]
fn an_application_has_the_time_to_end_that_the_user_gives_it() {
    let fake = Fake::new();
    for (options, seconds) in [
        (&[][..], 10),
        (&["--", "--stop-timeout", "20"], 20),
        (&["--stop-timeout", "30", "--", "--stop-timeout=20"], 30),
    ] {
        let (status, _, stderr) = fake.build(options);
        assert_eq!(status, 0, "{stderr}");
        let calls = fake.read("calls");
        assert!(calls.contains(&format!("\nstop -t {seconds} c")), "{calls}");
        let traced = format!(" --stop-timeout {seconds} --tag ");
        assert!(calls.contains(&traced), "{calls}");
    }
}

#[test]
fn a_script_can_run_commands_inside_within_the_trace() {
    let fake = Fake::new();
    let (status, _, stderr) = fake.build(&["--exercise", "$EXEC x y"]);
    assert_eq!(status, 0, "{stderr}");
    let calls = fake.read("calls");
    let entered: Vec<&str> = calls
        .lines()
        .filter(|line| line.starts_with("exec ") && line.ends_with(" x y"))
        .collect();
    let [traced, micro] = entered.as_slice() else {
        panic!("not twice: {calls}");
    };
    assert!(traced.ends_with(" /.micropacker/micropacker exec --quiet -- x y"));
    assert!(!micro.contains("micropacker"), "{micro}");
}

#[test]
fn options_of_the_user_reach_both_containers_and_ours_only_the_traced_one() {
    let fake = Fake::new();
    let options = [
        "--",
        "-p",
        "80:80",
        "--rm",
        "--entrypoint",
        "/run",
        "--",
        "fast",
    ];
    let (status, _, stderr) = fake.build(&options);
    assert_eq!(status, 0, "{stderr}");
    assert!(stderr.contains("--rm is not passed on"), "{stderr}");
    let calls = fake.read("calls");
    let made: Vec<&str> = calls
        .lines()
        .filter(|line| line.contains("-p 80:80"))
        .collect();
    let [traced, micro] = made.as_slice() else {
        panic!("not two containers: {made:?}");
    };
    assert!(
        traced.contains("--entrypoint /.micropacker/micropacker sha256:app run -o"),
        "{traced}"
    );
    assert!(traced.ends_with("-- /run fast"), "{traced}");
    assert!(
        micro.ends_with("-p 80:80 --entrypoint /run sha256:micro fast"),
        "{micro}"
    );
    assert!(
        !calls.contains("--rm -p") && !micro.contains("volume"),
        "{calls}"
    );
}

#[test]
fn the_summary_is_one_json_object_on_request() {
    let fake = Fake::new();
    let (_, stdout, _) = fake.build(&["--json", "--baseline", "--quiet"]);
    let summary: serde_json::Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(summary["verified"], true);
    assert_eq!(summary["original"]["set_id"], 3);
    assert_eq!(summary["micro"]["files"], 1);
    assert!(summary["seconds"]["untraced"].is_number(), "{summary}");
    let kept = fs::read_to_string(fake.at("artifacts/summary.json")).expect("it is kept");
    assert_eq!(kept, stdout);
}

#[test]
fn what_the_original_answers_is_shown() {
    let fake = Fake::new();
    fake.write("requests", "GET /\n");
    let requests = fake.at("requests");
    let requests = requests.to_str().expect("UTF-8");
    let (status, _, stderr) = fake.build(&["--http", requests, "--exercise", "true"]);
    assert_eq!(status, 0, "{stderr}");
    for shown in ["micropacker:   GET /: 200, ", "micropacker:   true: 0, "] {
        assert_eq!(stderr.matches(shown).count(), 1, "{stderr}");
    }
}

#[test]
fn who_has_no_handler_for_the_stop_signal_is_killed_as_pid_1_and_that_is_no_difference() {
    let fake = Fake::new();
    fake.write("exit-traced", "143");
    fake.write("exit-micro", "137");
    fake.write("exit-original", "137");
    for options in [&[][..], &["--baseline"]] {
        let (status, _, stderr) = fake.build(options);
        assert_eq!(status, 0, "{stderr}");
        assert!(!stderr.contains("warning"), "{stderr}");
    }
}

#[test]
fn a_published_port_is_one_that_it_listens_on_where_the_image_names_none() {
    let fake = Fake::new();
    let exposed = r#","ExposedPorts":{"80/tcp":{}}"#;
    let image = image(std::env::consts::ARCH).replace(exposed, "");
    fake.write("image.json", &image);
    let (status, _, stderr) = fake.build(&["--", "--publish", "8080:81"]);
    assert_eq!(status, 0, "{stderr}");
    let calls = fake.read("calls");
    assert!(
        calls.contains("probe --timeout 60 --listen=81\n"),
        "{calls}"
    );
}

#[test]
fn a_micro_image_that_does_otherwise_is_not_there_and_the_name_means_what_it_meant() {
    let fake = Fake::new();
    fake.write("images/app-micro", "sha256:before");
    fake.write("images/sha256:before", "sha256:before");
    fake.write("exit-micro", "3");
    let (status, stdout, stderr) = fake.build(&["--json"]);
    assert_eq!(status, 1, "{stderr}");
    let summary: serde_json::Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(
        summary["differences"][0],
        "it ended with status 3 instead of 0"
    );
    assert_eq!(summary["id"], serde_json::Value::Null);
    fake.assert_clean(&[("app-micro", "sha256:before")]);
    assert!(!fake.at("images/sha256:micro").exists());
}

/// What a failing micro image asked for.
const ASKED: &str = r#"{"path":"/etc/app.conf","access":["open"],"first":{"pid":7,"program":null,"call":"openat"}}"#;

#[test]
fn what_a_failing_image_lacks_is_named_and_with_fix_added() {
    let fake = Fake::new();
    fake.write("outputs/asked/missing.jsonl", ASKED);
    fake.write(
        "outputs/again/report.json",
        &report(&["/bin/app", "/etc/app.conf"]),
    );
    fake.write("exit-micro", "3");
    let (status, _, stderr) = fake.build(&[]);
    assert_eq!(status, 1, "{stderr}");
    assert!(stderr.contains("--include /etc/app.conf"), "{stderr}");
    fake.assert_clean(&[]);

    // The second image that is loaded works.
    fake.write(
        "hook",
        "[ $1 != load ] || [ ! -e loaded ] || rm -f exit-micro; [ $1 != load ] || touch loaded",
    );
    let (status, stdout, stderr) = fake.build(&["--fix", "--json"]);
    assert_eq!(status, 0, "{stderr}");
    let summary: serde_json::Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(summary["fixes"], 1);
    assert_eq!(summary["missing"][0], "/etc/app.conf");
    assert_eq!(summary["micro"]["files"], 2);
    fake.assert_clean(&[("app-micro", "sha256:micro")]);
}

#[test]
fn where_a_failing_image_asks_for_nothing_the_original_is_traced_again() {
    let fake = Fake::new();
    let more = report(&["/bin/app", "/lib/module"]);
    fake.write("outputs/again/report.json", &more);
    fake.write("exit-micro", "3");
    let (status, _, stderr) = fake.build(&[]);
    assert_eq!(status, 1, "{stderr}");
    let said =
        "it looked for nothing that app has and it has not; with --fix that is traced once more";
    assert!(stderr.contains(said), "{stderr}");

    // The second image that is loaded works.
    fake.write(
        "hook",
        "[ $1 != load ] || [ ! -e loaded ] || rm -f exit-micro; [ $1 != load ] || touch loaded",
    );
    let (status, stdout, stderr) = fake.build(&["--fix", "--json"]);
    assert_eq!(status, 0, "{stderr}");
    let summary: serde_json::Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(summary["missing"][0], "/lib/module");
    let calls = fake.read("calls");
    let again = "run -o /.micropacker/asked/rootfs.tar --artifacts /.micropacker/asked ";
    assert_eq!(calls.matches(again).count(), 1, "{calls}");
    fake.assert_clean(&[("app-micro", "sha256:micro")]);
}

#[test]
fn rounds_of_fixing_come_to_an_end() {
    let fake = Fake::new();
    fake.write("outputs/asked/missing.jsonl", ASKED);
    fake.write(
        "outputs/again/report.json",
        &report(&["/bin/app", "/etc/app.conf"]),
    );
    fake.write("exit-micro", "3");
    // The first round brings what was asked for; it helps nothing, and nothing else is asked for.
    let (status, _, stderr) = fake.build(&["--fix"]);
    assert_eq!(status, 1, "{stderr}");
    assert!(
        stderr.contains("it looked for nothing that app has and it has not"),
        "{stderr}"
    );
    assert_eq!(fake.read("calls").matches("\nload ").count(), 2);
    fake.assert_clean(&[]);
}

#[test]
fn somebody_at_a_terminal_uses_it_by_hand_until_enter() {
    let fake = Fake::new();
    let binary = env!("CARGO_BIN_EXE_micropacker").to_owned();
    let fake_place = format!("FAKE={}", fake.place.path().display());
    let mut line = vec!["env".to_owned(), fake_place, binary];
    line.extend(fake.arguments(&[]));
    let mut terminal = pty::Session::start(&line);
    terminal.expect("press Enter").send("\n");
    let (_, status) = terminal.end();
    assert!(status.success());
    fake.assert_clean(&[("app-micro", "sha256:micro")]);
}
