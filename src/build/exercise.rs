//! Using an application: requests, commands inside, scripts; and comparing what two of it did.

use super::call::Call;
use super::probe::Finding;
use super::ready::findings;
use super::requests::{Request, written};
use super::site::{BROUGHT, PROGRAM, Site};
use super::state::State;
use super::trouble::Trouble;
use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

/// The list of requests among what is brought along.
pub const REQUESTS: &str = "requests";

/// What is done with an application.
#[derive(Clone, Debug, Default)]
pub struct Exercise {
    /// Made by one beside it.
    pub requests: Vec<Request>,
    /// Run inside; each is its words.
    pub commands: Vec<Vec<OsString>>,
    /// Given to the shell of this machine.
    pub scripts: Vec<OsString>,
}

/// What one thing led to: what it was, and its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// `GET /`, a command, a script.
    pub what: String,
    /// The status of an answer, an exit status, or what is wrong.
    pub result: Result<i32, String>,
    /// How long it took: of a request, without the container that makes it.
    pub took: Duration,
    /// What it should have been; of requests without an expected status whatever it was.
    pub expected: Option<i32>,
}

/// `GET /: 200, 0.003 s`.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.took.as_secs_f64();
        write!(f, "{}: {}, {seconds:.3} s", self.what, said(self))
    }
}

/// A container that is used.
pub struct Subject<'a> {
    /// Where it is.
    pub site: &'a Site,
    /// Its ID.
    pub id: &'a str,
    /// The image in which micropacker works beside it.
    pub image: &'a str,
    /// `original`, `traced`, `micro`.
    pub role: &'static str,
    /// Whether commands inside join a trace.
    pub is_traced: bool,
    /// The ports it listens on, the first one first.
    pub ports: &'a [u16],
    /// Whether it has the network of this machine.
    pub on_host_network: bool,
}

impl Exercise {
    /// Whether nothing is done.
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty() && self.commands.is_empty() && self.scripts.is_empty()
    }

    /// Whether the ports must be known.
    pub fn needs_ports(&self) -> bool {
        self.requests.iter().any(|request| request.port.is_none())
    }

    /// The list of requests, as it is brought along.
    pub fn list(&self) -> String {
        written(&self.requests)
    }

    /// Does all of it, in this order: requests, commands, scripts.
    ///
    /// # Errors
    /// When the engine fails, or a signal has come.
    pub fn on(&self, subject: &Subject) -> Result<Vec<Outcome>, Trouble> {
        let mut outcomes = Vec::new();
        if !self.requests.is_empty() {
            outcomes.extend(self.request(subject)?);
        }
        for command in &self.commands {
            outcomes.push(inside(subject, command)?);
        }
        for script in &self.scripts {
            outcomes.push(outside(subject, script)?);
        }
        Ok(outcomes)
    }

    fn request(&self, subject: &Subject) -> Result<Vec<Outcome>, Trouble> {
        let port = subject.ports.first().copied().unwrap_or(80);
        let list = format!("{BROUGHT}/{REQUESTS}");
        let words = ["probe", "--http", &list, "--port", &port.to_string()].map(str::to_owned);
        let Subject {
            site, id, image, ..
        } = subject;
        let done = site.engine.make(site.beside(id, image, &words))?;
        let mut answers = findings(&done.stdout)
            .into_iter()
            .filter_map(|one| match one {
                Finding::Answer {
                    status,
                    error,
                    microseconds,
                    ..
                } => Some((status, error, microseconds)),
                _ => None,
            });
        let outcomes = self.requests.iter().map(|request| {
            let (result, took) = match answers.next() {
                Some((Some(status), _, took)) => (Ok(i32::from(status)), took),
                Some((None, error, took)) => (Err(error.unwrap_or_default()), took),
                None => (Err(done.complaint()), 0),
            };
            Outcome {
                what: request.to_string(),
                result,
                took: Duration::from_micros(took),
                expected: request.expected.map(i32::from),
            }
        });
        Ok(outcomes.collect())
    }
}

/// Runs a command in the container; where it is traced, within the trace.
///
/// # Errors
/// When the engine fails, or a signal has come.
pub fn inside(subject: &Subject, command: &[OsString]) -> Result<Outcome, Trouble> {
    let engine = &subject.site.engine;
    let mut words: Vec<OsString> = vec!["exec".into(), subject.id.into()];
    if subject.is_traced {
        words.extend([PROGRAM, "exec", "--quiet", "--"].map(Into::into));
    }
    words.extend_from_slice(command);
    let call = Call {
        shown: true,
        limit: None,
        ..engine.call(words)
    };
    let began = Instant::now();
    let done = engine.make(call)?;
    Ok(Outcome {
        what: shown(command),
        result: Ok(done.code()),
        took: began.elapsed(),
        expected: Some(0),
    })
}

fn shown(words: &[OsString]) -> String {
    let words: Vec<String> = words
        .iter()
        .map(|word| word.display().to_string())
        .collect();
    words.join(" ")
}

/// A script of this machine. What it prints is shown.
fn outside(subject: &Subject, script: &OsString) -> Result<Outcome, Trouble> {
    let engine = &subject.site.engine;
    let call = Call {
        arguments: vec!["-c".into(), script.clone()],
        environment: environment(subject, &subject.site.state(subject.id)?),
        shown: true,
        interrupt: Some(&engine.interrupt),
        ..Call::default()
    };
    let began = Instant::now();
    let done = call
        .run(Path::new("/bin/sh"))
        .map_err(|error| match error {
            super::call::CallError::Interrupted(signal) => Trouble::interrupted(signal),
            other => Trouble::cannot_run(format!("cannot run {}: {other:?}", script.display())),
        })?;
    Ok(Outcome {
        what: script.display().to_string(),
        result: Ok(done.code()),
        took: began.elapsed(),
        expected: Some(0),
    })
}

/// The words that run a command in the container; in the traced one as part of the trace.
fn entering(subject: &Subject) -> OsString {
    let mut words = subject.site.engine.words();
    words.push(format!(" exec {}", subject.id));
    if subject.is_traced {
        words.push(format!(" {PROGRAM} exec --quiet --"));
    }
    words
}

/// What a script knows: `CID`, `ENGINE`, `EXEC`, `RUN`, and of the ports `HOST`, `PORT`, `PORT_N`, `URL`.
fn environment(subject: &Subject, state: &State) -> Vec<(String, OsString)> {
    let mut variables = vec![
        ("CID".to_owned(), subject.id.into()),
        ("ENGINE".to_owned(), subject.site.engine.words()),
        ("EXEC".to_owned(), entering(subject)),
        ("RUN".to_owned(), subject.role.into()),
    ];
    let machine = subject.site.engine.machine();
    for (index, port) in subject.ports.iter().enumerate() {
        let Some((host, outside)) = state.reach(*port, &machine, subject.on_host_network) else {
            continue;
        };
        variables.push((format!("PORT_{port}"), outside.to_string().into()));
        if index == 0 {
            variables.push(("PORT".to_owned(), outside.to_string().into()));
            variables.push(("URL".to_owned(), format!("http://{host}:{outside}").into()));
            variables.push(("HOST".to_owned(), host.into()));
        }
    }
    variables
}

/// What an outcome is, in words.
fn said(outcome: &Outcome) -> String {
    match &outcome.result {
        Ok(status) => status.to_string(),
        Err(why) => why.clone(),
    }
}

/// What is wrong with what the original did: it must do what is asked of it.
pub fn failures(outcomes: &[Outcome]) -> Vec<String> {
    let wrong = outcomes
        .iter()
        .filter(|outcome| match (&outcome.result, outcome.expected) {
            (Err(_), _) => true,
            (Ok(status), Some(expected)) => *status != expected,
            (Ok(_), None) => false,
        });
    wrong
        .map(|outcome| match outcome.expected {
            Some(expected) => format!("{}: {} instead of {expected}", outcome.what, said(outcome)),
            None => format!("{}: {}", outcome.what, said(outcome)),
        })
        .collect()
}

/// What the micro image does otherwise than the original.
pub fn differences(original: &[Outcome], micro: &[Outcome]) -> Vec<String> {
    let pairs = original.iter().zip(micro);
    let others = pairs.filter(|(one, other)| one.result != other.result);
    others
        .map(|(one, other)| format!("{}: {} instead of {}", one.what, said(other), said(one)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(what: &str, status: i32, expected: Option<i32>) -> Outcome {
        Outcome {
            what: what.to_owned(),
            result: Ok(status),
            took: Duration::ZERO,
            expected,
        }
    }

    #[test]
    fn the_original_must_do_what_is_asked() {
        let fine = [
            outcome("GET /", 404, None),
            outcome("GET /x", 404, Some(404)),
            outcome("t", 0, Some(0)),
        ];
        assert!(failures(&fine).is_empty());
        assert_eq!(failures(&[outcome("t", 3, Some(0))]), ["t: 3 instead of 0"]);
        assert_eq!(fine[1].to_string(), "GET /x: 404, 0.000 s");
        let mut silent = outcome("GET /", 0, None);
        silent.result = Err("connection refused".to_owned());
        assert_eq!(failures(&[silent]), ["GET /: connection refused"]);
    }

    #[test]
    fn the_micro_image_must_do_the_same() {
        let original = [outcome("GET /", 404, None), outcome("t", 0, Some(0))];
        assert!(differences(&original, &original).is_empty());
        let micro = [outcome("GET /", 500, None), outcome("t", 1, Some(0))];
        let expected = ["GET /: 500 instead of 404", "t: 1 instead of 0"];
        assert_eq!(differences(&original, &micro), expected);
    }
}
