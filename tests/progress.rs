//! On a terminal, a line says how far the outputs are; messages go around it, and whoever asked
//! for none of it sees none.

mod pty;

use pty::{PROMPT, Session};
use std::fs;
use tempfile::TempDir;

const MICROPACKER: &str = env!("CARGO_BIN_EXE_micropacker");
const ERASE: &str = "\r\x1b[K";

fn home() -> TempDir {
    let home = tempfile::tempdir().expect("a directory");
    fs::write(home.path().join("list"), "/etc/passwd\n/no/such/file\n").expect("written");
    home
}

/// Packs with these options on a terminal of this kind; what it showed.
fn shown(term: &str, options: &[&str]) -> String {
    let home = home();
    let file = |name: &str| home.path().join(name).to_str().expect("text").to_owned();
    let (list, output, artifacts) = (file("list"), file("rootfs.tar"), file("artifacts"));
    let mut line = vec!["env", term, MICROPACKER, "pack", "-i", &list, "-o", &output];
    line.extend(["--artifacts", &artifacts]);
    line.extend(options);
    let (transcript, status) = Session::start(&line).end();
    assert!(status.success(), "{transcript}");
    transcript.replace(home.path().to_str().expect("text"), "HOME")
}

/// What a terminal shows in the end: each line without what was erased of it.
fn on_screen(transcript: &str) -> Vec<&str> {
    let lines = transcript.split("\r\n");
    lines
        .map(|line| line.rsplit(ERASE).next().unwrap_or_default())
        .collect()
}

#[test]
fn a_terminal_shows_what_is_being_done_and_messages_are_whole() {
    let transcript = shown("TERM=xterm", &[]);
    for step in ["resolving", "packing [----", "writing the reports"] {
        let drawn = format!("{ERASE}micropacker: {step}");
        assert!(transcript.contains(&drawn), "{step}: {transcript:?}");
    }
    let plain = shown("TERM=dumb", &[]);
    assert_eq!(on_screen(&transcript), on_screen(&plain));
}

#[test]
fn nothing_is_drawn_for_who_wants_none() {
    for (term, option) in [
        ("TERM=xterm", "-q"),
        ("TERM=xterm", "--log-format=json"),
        ("TERM=dumb", "-v"),
        ("TERM=", "-v"),
    ] {
        let transcript = shown(term, &[option]);
        assert!(!transcript.contains('\x1b'), "{option}: {transcript:?}");
        assert!(
            !transcript.contains("resolving"),
            "{option}: {transcript:?}"
        );
    }
}

#[test]
fn a_job_in_the_background_draws_nothing() {
    let home = home();
    let mut session = Session::start(&["bash", "--norc", "--noediting", "-i"]);
    session.expect(PROMPT);
    session.at_prompt(&format!("cd {}; export TERM=xterm", home.path().display()));
    session.at_prompt(&format!(
        "{MICROPACKER} pack -i list -o rootfs.tar & wait $!; echo \"status $?\""
    ));
    session.send("exit\n");
    let (transcript, _) = session.end();
    assert!(transcript.contains("status 0"), "{transcript:?}");
    assert!(transcript.contains("entries, "), "{transcript:?}");
    assert!(!transcript.contains("\x1b[K"), "{transcript:?}");
}
