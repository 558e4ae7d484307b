//! `build` when a signal ends it: nothing of what it made in the engine is left.

mod fake_engine;

use fake_engine::Fake;
use std::process::{self, Stdio};
use std::time::{Duration, Instant};

#[test]
fn a_signal_ends_it_with_everything_that_it_made() {
    for (signal, status) in [("TERM", 143), ("INT", 130), ("HUP", 129), ("QUIT", 131)] {
        let fake = Fake::new();
        let script = format!("touch {}; sleep 600", fake.at("begun").display());
        let ended = interrupted(&fake, &["--exercise", &script], signal);
        assert_eq!(ended, status, "{signal}");
        fake.assert_clean(&[]);
        assert!(!fake.at("artifacts").exists());
    }
}

/// Runs it, sends it a signal when the file `begun` is there, and makes the file `go`. Its status.
fn interrupted(fake: &Fake, options: &[&str], signal: &str) -> i32 {
    let mut child = process::Command::new(env!("CARGO_BIN_EXE_micropacker"))
        .env("FAKE", fake.place.path())
        .args(fake.arguments(options))
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("starts");
    let began = Instant::now();
    while !fake.at("begun").exists() {
        assert!(began.elapsed() < Duration::from_secs(120), "it never began");
        std::thread::sleep(Duration::from_millis(10));
    }
    let pid = child.id().to_string();
    let killed = process::Command::new("kill")
        .args(["-s", signal, &pid])
        .status();
    assert!(killed.expect("kill runs").success());
    fake.write("go", "");
    child.wait().expect("ends").code().expect("a status")
}

#[test]
fn a_signal_in_any_phase_leaves_nothing_in_the_engine() {
    // Which call is under way when it comes, and whether that comes to its own end.
    let phases = [
        ("version", false),
        ("image", false),
        ("volume", true),
        ("create", true),
        ("cp", false),
        ("start", false),
        ("run", false),
        ("exec", false),
        ("stop", false),
        ("logs", false),
        ("load", true),
    ];
    for (phase, ends) in phases {
        let fake = Fake::new();
        let wait = match ends {
            true => "while [ ! -e go ]; do sleep 0.01; done",
            false => "sleep 600",
        };
        let hook = format!("[ $1 != {phase} ] || [ -e begun ] || {{ touch begun; {wait}; }}");
        fake.write("hook", &hook);
        let ended = interrupted(&fake, &["--exec", "true"], "INT");
        assert_eq!(ended, 130, "{phase}");
        fake.assert_clean(&[]);
    }
}

#[test]
fn what_is_made_while_it_ends_is_removed_too() {
    let fake = Fake::new();
    // One that appears after the containers were listed holds the volume.
    fake.write(
        "hook",
        "[ $1 != ps ] || [ -e late ] || { echo late >late; echo x >containers/c99; exit 0; }
         [ \"$1 $2\" != 'volume rm' ] || [ ! -e containers/c99 ] || complain 'volume is in use'",
    );
    let (status, _, stderr) = fake.build(&[]);
    assert_eq!(status, 0, "{stderr}");
    fake.assert_clean(&[("app-micro", "sha256:micro")]);
}
