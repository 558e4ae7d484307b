//! `micropacker ctl`: asks the supervisor of this container.

use super::Failure;
use crate::byte_string::ByteString;
use crate::cli::{CtlAction, CtlArgs};
use crate::exit;
use crate::image_path::Escaped;
use crate::logging::{self, Detail};
use crate::supervisor::control::Connection;
use crate::supervisor::control::protocol::{Answer, Ask, Refusal, Status};
use anyhow::{Context, Result};
use serde::Serialize;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

/// Asks, and prints the answer.
pub fn run(args: &CtlArgs) -> Result<ExitCode> {
    logging::start(Detail::Normal, false);
    if args.wait && args.action != CtlAction::Stop {
        return Err(Failure::new(exit::USAGE, "--wait is for 'ctl stop'").into());
    }
    let mut connection =
        Connection::open(args.supervisor).map_err(|error| Failure::new(exit::CANNOT_RUN, error))?;
    let ask = match args.action {
        CtlAction::Status => Ask::Status,
        CtlAction::Pack => Ask::Pack,
        CtlAction::Stop => Ask::Stop { wait: args.wait },
    };
    let mut answer = connection.ask(ask).map_err(refused)?;
    if args.wait && matches!(answer, Answer::Stopping {}) {
        answer = connection.answer().map_err(refused)?.ok_or_else(|| {
            Failure::new(
                exit::OUTPUT,
                "micropacker ended without a word of the outputs",
            )
        })?;
    }
    // The connection is held until we end: the supervisor waits for that before it ends itself,
    // and takes the container along.
    match answer {
        Answer::Status(status) => print(args, &*status, &status_text(&status)),
        Answer::Packed(packed) => print(args, &packed, &format!("{}\n", packed.summary)),
        Answer::Stopping {} => print(args, &serde_json::json!({ "stopping": true }), ""),
        _ => Err(refused(Refusal::new("the answer makes no sense")).into()),
    }?;
    Ok(ExitCode::SUCCESS)
}

fn refused(refusal: Refusal) -> Failure {
    Failure::new(refusal.status, refusal)
}

fn print(args: &CtlArgs, answer: &impl Serialize, text: &str) -> Result<()> {
    let json = || serde_json::to_string(answer).map(|line| line + "\n");
    let text = if args.json { &json()? } else { text };
    let mut stdout = std::io::stdout();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .context("cannot write to standard output")
}

/// The status for people: a line for each question.
fn status_text(status: &Status) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: String| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name:<10}{value}");
    };
    row(
        "trace",
        format!(
            "by micropacker {}, process {}, for {}, engine {}",
            status.version,
            status.pid,
            duration(status.uptime_ms / 1000),
            status.engine
        ),
    );
    let main = &status.main;
    let state = if main.lives { "runs" } else { "has ended" };
    row(
        "command",
        format!("{}, process {}, {state}", words(&status.command), main.pid),
    );
    let processes = &status.processes;
    row(
        "followed",
        format!("{} processes now, {} in all", processes.now, processes.ever),
    );
    row(
        "seen",
        format!("{} paths, {} program starts", status.paths, status.programs),
    );
    for joined in &status.joined {
        row(
            "joined",
            format!(
                "{}, process {}, user {}",
                words(&joined.command),
                joined.pid,
                joined.uid
            ),
        );
    }
    for loss in &status.losses {
        let what = Escaped(loss.what.as_bytes());
        row("lost", format!("{what} ({} times)", loss.count));
    }
    if status.losses.is_empty() {
        row("lost", "nothing".to_owned());
    }
    for output in &status.outputs {
        row("output", Escaped(&output.0).to_string());
    }
    text
}

/// As a shell would take them, escaped so that they stay one line.
fn words(command: &[ByteString]) -> String {
    let quoted = command.iter().map(|ByteString(word)| {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_./=:,+@%".contains(byte);
        let shown = Escaped(word).to_string();
        if !word.is_empty() && word.iter().all(plain) {
            shown
        } else {
            format!("'{}'", shown.replace('\'', r"'\''"))
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

fn duration(seconds: u64) -> String {
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match (hours, minutes) {
        (0, 0) => format!("{seconds} s"),
        (0, _) => format!("{minutes} min {} s", seconds % 60),
        _ => format!("{hours} h {} min", minutes % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::Loss;
    use crate::supervisor::control::protocol::{Count, JoinedCommand, Main};

    fn bytes(words: &[&str]) -> Vec<ByteString> {
        let bytes = |word: &&str| ByteString(word.as_bytes().to_vec());
        words.iter().map(bytes).collect()
    }

    #[test]
    fn the_status_answers_a_question_a_line() {
        let status = Status {
            version: "1.2.3".to_owned(),
            pid: 1,
            engine: "notify".to_owned(),
            uptime_ms: 3_723_000,
            command: bytes(&["nginx", "-g", "daemon off;"]),
            main: Main {
                pid: 7,
                lives: true,
            },
            processes: Count { now: 3, ever: 5 },
            paths: 120,
            programs: 2,
            losses: vec![Loss {
                what: "a\nb".to_owned(),
                count: 2,
            }],
            joined: vec![JoinedCommand {
                pid: 9,
                uid: 33,
                command: bytes(&["ls"]),
            }],
            outputs: bytes(&["/out/rootfs.tar"]),
        };
        let expected = "\
trace     by micropacker 1.2.3, process 1, for 1 h 2 min, engine notify
command   nginx -g 'daemon off;', process 7, runs
followed  3 processes now, 5 in all
seen      120 paths, 2 program starts
joined    ls, process 9, user 33
lost      a\\nb (2 times)
output    /out/rootfs.tar
";
        assert_eq!(status_text(&status), expected);
    }

    #[test]
    fn durations_are_told_in_two_units() {
        assert_eq!(duration(59), "59 s");
        assert_eq!(duration(61), "1 min 1 s");
        assert_eq!(duration(7260), "2 h 1 min");
    }
}
