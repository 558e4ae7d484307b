//! When an application is ready to be used.

use super::call::{Call, Running};
use super::engine::Kind;
use super::probe::Finding;
use super::site::Site;
use super::trouble::Trouble;
use std::fmt;
use std::time::{Duration, Instant};

/// From one look at a container to the next.
const BEAT: Duration = Duration::from_millis(200);
/// So long something without ports and health check runs before it counts as started.
const STEADY: Duration = Duration::from_secs(2);

/// What is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// The image's HEALTHCHECK says healthy.
    Health,
    /// One of the ports listens.
    Port,
    /// This text stands in a line of its output.
    Log(String),
    /// So long after its start.
    After(Duration),
    /// It has ended by itself.
    End,
}

impl Readiness {
    /// `health`, `port`, `log:TEXT`, `after:SECONDS`, `end`.
    ///
    /// # Errors
    /// What there is to choose from.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (how, value) = text.split_once(':').unwrap_or((text, ""));
        match (how, value) {
            ("health", "") => Ok(Self::Health),
            ("port", "") => Ok(Self::Port),
            ("end", "") => Ok(Self::End),
            ("log", value) if !value.is_empty() => Ok(Self::Log(value.to_owned())),
            ("after", value) => {
                let seconds: f64 = value.parse().map_err(|_| "after: needs seconds")?;
                Duration::try_from_secs_f64(seconds)
                    .map(Self::After)
                    .map_err(|_| "after: needs seconds".to_owned())
            }
            _ => Err("choose health, port, log:TEXT, after:SECONDS or end".to_owned()),
        }
    }

    /// What suits an image: its health check, else a port that it says it listens on, else that
    /// it runs on.
    pub fn fitting(has_health: bool, has_ports: bool) -> Self {
        match (has_health, has_ports) {
            (true, _) => Self::Health,
            (false, true) => Self::Port,
            (false, false) => Self::After(STEADY),
        }
    }
}

/// After "ready when".
impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Health => f.write_str("its health check succeeds"),
            Self::Port => f.write_str("a port listens"),
            Self::Log(text) => write!(f, "it prints {text:?}"),
            Self::After(time) => write!(f, "it has run for {} s", time.as_secs_f64()),
            Self::End => f.write_str("it has ended"),
        }
    }
}

/// What came of waiting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waited {
    /// It is ready, and listens on these ports, where they were looked at.
    Ready(Vec<u16>),
    /// It has ended, with this status.
    Ended(i32),
    /// Neither, and why.
    Not(String),
}

/// One that looks at the ports.
#[derive(Default)]
struct Beside {
    running: Option<Running>,
    failures: u32,
}

/// How to wait.
pub struct Wait<'a> {
    /// Where the containers are.
    pub site: &'a Site,
    /// The image in which micropacker looks at the container's network.
    pub image: &'a str,
    /// What for.
    pub readiness: &'a Readiness,
    /// Ports that may listen; any when empty.
    pub ports: &'a [u16],
    /// Whether to look at the ports.
    pub looks_at_ports: bool,
    /// How long.
    pub limit: Duration,
}

impl Wait<'_> {
    /// Waits for a container that was started.
    ///
    /// # Errors
    /// When the engine fails, or a signal has come.
    pub fn on(&self, id: &str) -> Result<Waited, Trouble> {
        let began = Instant::now();
        let mut beside = Beside::default();
        let mut found = None;
        let mut is_ready = false;
        loop {
            if let Some(signal) = self.site.engine.interrupt.signal() {
                return Err(Trouble::interrupted(signal));
            }
            let state = self.site.state(id)?;
            if !state.running {
                return Ok(Waited::Ended(state.exit_code));
            }
            if found.is_none() && self.looks_at_ports {
                found = self.listening(id, &mut beside)?;
            }
            is_ready = is_ready
                || match self.readiness {
                    Readiness::Health => self.is_healthy(id, state.health.as_deref())?,
                    Readiness::Port => found.is_some(),
                    Readiness::Log(text) => self.has_printed(id, text)?,
                    Readiness::After(time) => began.elapsed() >= *time,
                    Readiness::End => false,
                };
            if is_ready && (found.is_some() || !self.looks_at_ports) {
                return Ok(Waited::Ready(found.unwrap_or_default()));
            }
            if began.elapsed() > self.limit {
                return Ok(Waited::Not(self.why(is_ready, state.health.as_deref())));
            }
            std::thread::sleep(BEAT);
        }
    }

    fn why(&self, is_ready: bool, health: Option<&str>) -> String {
        let ports: Vec<String> = self.ports.iter().map(ToString::to_string).collect();
        let missing = match self.readiness {
            _ if is_ready || *self.readiness == Readiness::Port => match ports.as_slice() {
                [] => "nothing listens".to_owned(),
                [port] => format!("nothing listens on port {port}"),
                _ => format!("nothing listens on any of the ports {}", ports.join(", ")),
            },
            Readiness::Health => match health {
                None => "it has no health check".to_owned(),
                Some(health) => format!("its health check says {health}"),
            },
            Readiness::Log(text) => format!("it did not print {text:?}"),
            _ => "it has not ended".to_owned(),
        };
        format!("{missing} within {} s", self.limit.as_secs())
    }

    /// podman leaves health checks to systemd, which may not be there.
    fn is_healthy(&self, id: &str, health: Option<&str>) -> Result<bool, Trouble> {
        let engine = &self.site.engine;
        if engine.kind == Kind::Podman && health != Some("healthy") {
            let done = engine.make(engine.call(["healthcheck", "run", id]))?;
            return Ok(done.status.success());
        }
        Ok(health == Some("healthy"))
    }

    fn has_printed(&self, id: &str, text: &str) -> Result<bool, Trouble> {
        let (stdout, stderr) = self.site.logs(id)?;
        let has = |output: &[u8]| String::from_utf8_lossy(output).contains(text);
        Ok(has(&stdout) || has(&stderr))
    }

    /// Asks one beside the container, which is started when there is none.
    fn listening(&self, id: &str, beside: &mut Beside) -> Result<Option<Vec<u16>>, Trouble> {
        let running = match &mut beside.running {
            Some(running) => running,
            None => beside.running.insert(self.start_beside(id)?),
        };
        let Some(done) = running.poll() else {
            return Ok(None);
        };
        beside.running = None;
        for finding in findings(&done.stdout) {
            match finding {
                Finding::Listening(ports) if !ports.is_empty() => return Ok(Some(ports)),
                // It has waited in vain.
                Finding::Listening(_) => return Ok(None),
                _ => {}
            }
        }
        // Once, the container may have ended meanwhile.
        beside.failures += 1;
        match beside.failures {
            1 => Ok(None),
            _ => Err(Trouble::cannot_run(format!(
                "cannot look at the container's ports: {}",
                done.complaint()
            ))),
        }
    }

    fn start_beside(&self, id: &str) -> Result<Running, Trouble> {
        let mut words = vec!["probe".to_owned(), "--timeout".to_owned()];
        words.push(self.limit.as_secs().to_string());
        match self.ports {
            [] => words.push("--listen=any".to_owned()),
            ports => words.extend(ports.iter().map(|port| format!("--listen={port}"))),
        }
        let call = self.site.beside(id, self.image, &words);
        self.site.engine.start(call)
    }
}

/// What a probe printed; lines that are none of its own are passed over.
pub fn findings(printed: &[u8]) -> Vec<Finding> {
    let lines = printed.split(|byte| *byte == b'\n');
    lines
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect()
}

impl Site {
    /// A call of micropacker in a container of its own, in the network of another one.
    pub fn beside(&self, id: &str, image: &str, words: &[String]) -> Call<'_> {
        let network = format!("container:{id}");
        let mut all: Vec<std::ffi::OsString> = ["run", "--rm", "--label", self.label()]
            .map(Into::into)
            .into();
        all.extend(["--no-healthcheck", "--network", &network].map(Into::into));
        all.extend(self.own_options());
        all.push(image.into());
        all.extend(words.iter().map(Into::into));
        Call {
            limit: None,
            ..self.engine.call(all)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_to_be_ready_are_read() {
        assert_eq!(Readiness::parse("health"), Ok(Readiness::Health));
        assert_eq!(
            Readiness::parse("log:a: b"),
            Ok(Readiness::Log("a: b".to_owned()))
        );
        let half = Duration::from_millis(500);
        assert_eq!(Readiness::parse("after:0.5"), Ok(Readiness::After(half)));
        for wrong in [
            "", "log:", "log", "after:", "after:-1", "after:x", "port:80", "soon",
        ] {
            assert!(Readiness::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_health_check_is_preferred_and_then_a_port() {
        assert_eq!(Readiness::fitting(true, true), Readiness::Health);
        assert_eq!(Readiness::fitting(false, true), Readiness::Port);
        assert_eq!(Readiness::fitting(false, false), Readiness::After(STEADY));
    }

    #[test]
    fn foreign_lines_among_findings_are_passed_over() {
        let printed = b"WARNING: x\n{\"listening\":[80]}\n";
        assert_eq!(findings(printed), [Finding::Listening(vec![80])]);
    }
}
