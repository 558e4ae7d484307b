//! One run of an application: its container made, started, waited for, used, stopped, removed.

use super::call::Call;
use super::exercise::{Exercise, Outcome, Subject, inside};
use super::image::Original;
use super::ready::{Readiness, Wait, Waited};
use super::run_options::RunOptions;
use super::site::Site;
use super::trouble::Trouble;
use std::ffi::OsString;
use std::time::{Duration, Instant};

/// How long a traced application may take to end and to be packed.
const PACKING: u64 = 24 * 3600;

/// What to do about an application that ends by itself.
const JOB: &str = ": --ready end, if that is as it should be";

/// What all runs have in common.
pub struct Terms<'a> {
    /// The original image.
    pub original: &'a Original,
    /// Options of the user's for the container.
    pub options: &'a RunOptions,
    /// When it is ready.
    pub readiness: &'a Readiness,
    /// Whether the user chose that.
    pub readiness_is_asked: bool,
    /// Ports that it listens on.
    pub ports: &'a [u16],
    /// How long it may take to get ready.
    pub ready_limit: Duration,
    /// How long it may take to end.
    pub stop_seconds: u64,
    /// What is done with it.
    pub exercise: &'a Exercise,
    /// What checks its health: run within the trace too, since what enters from outside may be
    /// seen too late.
    pub health_check: Option<Vec<OsString>>,
    /// Somebody uses it by hand where nothing else does.
    pub by_hand: bool,
}

/// Which image is run, and how.
pub enum Role {
    /// The original as it is.
    Untraced,
    /// The original under micropacker, with these options of `run`.
    Traced(Vec<OsString>),
    /// The micro image with this ID.
    Micro(String),
    /// A micro image that fails, under micropacker.
    Asked(String, Vec<OsString>),
}

/// What came of a run.
#[derive(Debug, Default)]
pub struct Ran {
    /// Its exit status.
    pub exit: i32,
    /// What was done.
    pub outcomes: Vec<Outcome>,
    /// What was done with it took so long.
    pub used: Duration,
    /// What it printed on standard output.
    pub stdout: Vec<u8>,
    /// What it printed on both streams.
    pub log: Vec<u8>,
    /// What is left of the container, for its files.
    pub id: String,
    /// Whether micropacker stood in its place.
    pub is_traced: bool,
    /// Whether it was stopped, and did not end by itself.
    pub is_stopped: bool,
}

/// Why a run came to nothing.
#[derive(Debug)]
pub enum Stumble {
    /// Of our own: no more runs.
    Trouble(Trouble),
    /// The application's fault, as one line, and what it printed.
    Fault(String, Vec<u8>),
}

impl From<Trouble> for Stumble {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl Role {
    fn name(&self) -> &'static str {
        match self {
            Self::Untraced => "original",
            Self::Traced(_) => "traced",
            Self::Micro(_) => "micro",
            Self::Asked(..) => "asked",
        }
    }

    fn is_traced(&self) -> bool {
        matches!(self, Self::Traced(_) | Self::Asked(..))
    }
}

impl Terms<'_> {
    /// Runs it once. The container is left, stopped, when all went well: whoever needs nothing of
    /// it removes it.
    ///
    /// # Errors
    /// [`Stumble`]; the container is removed then.
    pub fn run(&self, site: &Site, role: &Role) -> Result<Ran, Stumble> {
        let id = self.create(site, role)?;
        let result = self.run_made(site, role, &id);
        if result.is_err() {
            site.remove(&id);
        }
        result
    }

    /// The engine's complaints about the options or the image are the application's fault.
    fn create(&self, site: &Site, role: &Role) -> Result<String, Stumble> {
        let fault = |trouble: Trouble| match trouble.is_interruption() {
            true => Stumble::Trouble(trouble),
            false => Stumble::Fault(trouble.message, Vec::new()),
        };
        let mut words = self.options.passed.clone();
        let command = self.options.command.iter().flatten().cloned();
        match role {
            Role::Untraced | Role::Micro(_) => {
                if let Some(entrypoint) = &self.options.entrypoint {
                    words.extend(["--entrypoint".into(), entrypoint.clone()]);
                }
                words.push(match role {
                    Role::Micro(id) => id.into(),
                    _ => (&self.original.id).into(),
                });
                words.extend(command);
            }
            Role::Traced(tracing) | Role::Asked(_, tracing) => {
                let mount = format!("{}:{}", site.volume, super::site::PLACE);
                words.extend(["--volume", &mount, "--entrypoint"].map(Into::into));
                words.push(super::site::PROGRAM.into());
                words.push(match role {
                    Role::Asked(id, _) => id.into(),
                    _ => (&self.original.id).into(),
                });
                words.push("run".into());
                words.extend_from_slice(tracing);
                words.push("--".into());
                words.extend(self.original.argv(self.options).unwrap_or_default());
            }
        }
        site.create(&words).map_err(fault)
    }

    fn run_made(&self, site: &Site, role: &Role, id: &str) -> Result<Ran, Stumble> {
        let began = Instant::now();
        site.start(id)
            .map_err(|trouble| match trouble.is_interruption() {
                true => Stumble::Trouble(trouble),
                false => Stumble::Fault(trouble.message, Vec::new()),
            })?;
        let wait = Wait {
            site,
            image: &self.original.id,
            readiness: self.readiness,
            ports: self.ports,
            looks_at_ports: self.looks_at_ports(),
            limit: self.ready_limit,
        };
        let waited = wait.on(id)?;
        let mut ran = Ran {
            id: id.to_owned(),
            is_traced: role.is_traced(),
            ..Ran::default()
        };
        tracing::debug!("{waited:?} after {:.1} s", began.elapsed().as_secs_f64());
        match waited {
            Waited::Not(why) => return Err(self.fault(site, role, id, why)),
            Waited::Ended(status) => {
                if let Some(why) = self.why_not_ended(status) {
                    return Err(self.fault(site, role, id, why));
                }
                ran.used = began.elapsed();
            }
            Waited::Ready(ports) => {
                let subject = Subject {
                    site,
                    id,
                    image: &self.original.id,
                    role: role.name(),
                    is_traced: role.is_traced(),
                    ports: &ports,
                    on_host_network: self.options.on_host_network,
                };
                if let (Some(check), true) = (&self.health_check, role.is_traced()) {
                    inside(&subject, check)?;
                }
                let began = Instant::now();
                if self.by_hand && matches!(role, Role::Traced(_)) {
                    super::by_hand::wait(&subject)?;
                } else {
                    ran.outcomes = self.exercise.on(&subject)?;
                }
                for outcome in &ran.outcomes {
                    match role {
                        Role::Untraced | Role::Traced(_) => tracing::info!("  {outcome}"),
                        Role::Micro(_) | Role::Asked(..) => tracing::debug!("  {outcome}"),
                    }
                }
                ran.used = match ran.outcomes.is_empty() {
                    true => began.elapsed(),
                    false => ran.outcomes.iter().map(|outcome| outcome.took).sum(),
                };
                self.stop(site, role, id)?;
                ran.is_stopped = true;
            }
        }
        let state = site.state(id)?;
        ran.exit = state.exit_code;
        let (stdout, stderr) = site.logs(id)?;
        ran.log = both((stdout.clone(), stderr));
        ran.stdout = stdout;
        Ok(ran)
    }

    /// Ports are looked at where something waits for them or goes there.
    fn looks_at_ports(&self) -> bool {
        let scripts_want_them = !self.exercise.scripts.is_empty() && !self.ports.is_empty();
        *self.readiness == Readiness::Port || self.exercise.needs_ports() || scripts_want_them
    }

    /// A job that ends by itself is fine unless something was to be done with it.
    fn why_not_ended(&self, status: i32) -> Option<String> {
        let early = format!("it ended with status {status} before it was ready");
        let may_end = !self.readiness_is_asked || *self.readiness == Readiness::End;
        match self.exercise.is_empty() && may_end {
            true if *self.readiness == Readiness::End || status == 0 => None,
            true => Some(format!("it ended with status {status}{JOB}")),
            false => Some(early),
        }
    }

    /// A fault, with what micropacker in there says of it.
    fn fault(&self, site: &Site, role: &Role, id: &str, why: String) -> Stumble {
        let log = site.logs(id).map(both).unwrap_or_default();
        let told = match role.is_traced() {
            true => last_word(&log),
            false => None,
        };
        let why = match told {
            // It never ran.
            Some(told) => format!("{} ({told})", why.trim_end_matches(JOB)),
            None => why,
        };
        Stumble::Fault(why, log)
    }

    fn stop(&self, site: &Site, role: &Role, id: &str) -> Result<(), Trouble> {
        // Micropacker limits the application's time by itself, and packs then.
        let seconds = match role.is_traced() {
            true => PACKING,
            false => self.stop_seconds,
        };
        let call = Call {
            limit: None,
            ..site.engine.call(["stop", "-t", &seconds.to_string(), id])
        };
        site.engine.ask(call).map(drop)
    }
}

fn both((mut stdout, stderr): (Vec<u8>, Vec<u8>)) -> Vec<u8> {
    stdout.extend(stderr);
    stdout
}

/// What micropacker said last of what went wrong; nothing where it came to its good end.
pub fn last_word(log: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(log);
    let mut words = text
        .lines()
        .filter_map(|line| line.strip_prefix("micropacker: "));
    let last = words.rfind(|line| !line.starts_with("warning: "))?;
    (!last.contains("; traced by ")).then(|| last.to_owned())
}

/// Each warning of micropacker's in what a container printed.
pub fn warnings(log: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(log);
    let words = text.lines();
    words
        .filter_map(|line| line.strip_prefix("micropacker: warning: "))
        .map(str::to_owned)
        .collect()
}

/// The end of what a container printed, before the line that says what is wrong: of micropacker's
/// own words in there the warnings.
pub fn show(log: &[u8]) {
    const LINES: usize = 20;
    let text = String::from_utf8_lossy(log);
    let counts = |line: &&str| match line.strip_prefix("micropacker: ") {
        Some(ours) => ours.starts_with("warning: "),
        None => true,
    };
    let lines: Vec<&str> = text.lines().filter(counts).collect();
    for line in &lines[lines.len().saturating_sub(LINES)..] {
        eprintln!("  | {line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn micropackers_words_are_found_among_the_applications() {
        let log = b"micropacker: warning: x\nhello\nmicropacker: /nope: not found\nbye\n";
        assert_eq!(last_word(log).as_deref(), Some("/nope: not found"));
        assert_eq!(warnings(log), ["x"]);
        assert_eq!(last_word(b"hello\n"), None);
        let good = b"micropacker: used: 8 paths\nmicropacker: 41 entries in x; traced by y\n";
        assert_eq!(last_word(good), None);
    }
}
