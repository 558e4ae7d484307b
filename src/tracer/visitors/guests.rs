//! Who has entered from outside, or runs without us, and what is to be done about each: pure
//! decisions.

use super::door::Answer;
use super::process::{Status, Whereabouts};
use crate::sys::Tid;
use crate::tracer::task::Lineage;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What is known of one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Guest {
    since: Instant,
    state: State,
    next: Instant,
    /// As it was called last.
    name: String,
    /// Whether it was told that it may not be followed, or that it is not for a while.
    told: bool,
    /// As what it is followed.
    lineage: Lineage,
    /// Whether it runs micropacker itself, as far as is known.
    ours: bool,
    /// Who has started it.
    parent: Tid,
}

impl Guest {
    fn new(ours: bool, now: Instant) -> Self {
        Self {
            since: now,
            state: if ours { State::LetGo } else { State::Waits },
            next: now,
            name: String::new(),
            told: false,
            lineage: Lineage::Visitor,
            ours,
            parent: 0,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// To be followed as soon as the kernel permits it.
    Waits,
    Followed,
    /// Not to be followed as long as it runs what it runs.
    LetGo,
}

/// What the report has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It ended before it could be followed.
    Missed(String),
    /// It has been there for long, and the kernel does not permit to follow it.
    Refused(String),
}

/// What came in since the last time.
#[derive(Default)]
pub struct Round {
    /// Those that were due, and their status; `None` for those that are gone.
    pub looks: Vec<(Tid, Option<Status>)>,
    /// Who has announced itself until after the looks.
    pub colleagues: Vec<Tid>,
    /// What the tracer has said until after the looks.
    pub answers: Vec<(Tid, Answer)>,
}

/// All that have entered and have not ended.
pub struct Guests {
    guests: BTreeMap<Tid, Guest>,
    /// Those that ended unfollowed while it was not known whether micropacker had started them.
    unsettled: Vec<Guest>,
    own: Tid,
    /// Those that started us: never to be followed.
    ancestors: Vec<Tid>,
    /// Whether it matters who has entered from outside.
    takes_visitors: bool,
    /// Whether some process of the command ran without us: who is handed to us may be its child.
    has_released: bool,
    /// Whether PID 1, to which orphans are handed, is us or the command: what it has started
    /// itself is followed.
    init_is_ours: bool,
}

/// The engine's `runc init` is there for 30 to 100 ms before it becomes the program, which it may
/// be for less than one: only who tries often catches it. Who waits for longer is in no hurry.
const PACES: [(Duration, Duration); 2] = [
    (Duration::from_millis(500), Duration::from_micros(500)),
    (LONG, Duration::from_millis(2)),
];
const SLOWEST: Duration = Duration::from_millis(50);
/// How long the engine never takes.
const LONG: Duration = Duration::from_secs(5);
/// How long it may take to hear of micropacker's own processes.
const SETTLED: Duration = Duration::from_secs(2);
/// How often those that are there for long are looked at.
const LOOK: Duration = Duration::from_millis(50);

impl Guests {
    /// None yet; `own` is our process.
    pub fn new(own: Tid, ancestors: Vec<Tid>) -> Self {
        Self {
            guests: BTreeMap::new(),
            unsettled: Vec::new(),
            own,
            ancestors,
            takes_visitors: true,
            has_released: false,
            init_is_ours: own == 1,
        }
    }

    /// For this command, which may be PID 1 in our place.
    pub fn of(mut self, main: Tid) -> Self {
        self.init_is_ours |= main == 1;
        self
    }

    /// Whoever enters from outside is let be.
    pub fn without_visitors(mut self) -> Self {
        self.takes_visitors = false;
        self
    }

    /// A process that was followed runs without us from now on, and is to be followed again. It
    /// was told what that costs.
    pub fn on_release(&mut self, pid: Tid, lineage: Lineage, now: Instant) {
        self.has_released |= lineage == Lineage::Command;
        let guest = Guest {
            lineage,
            told: true,
            ..Guest::new(false, now)
        };
        self.guests.insert(pid, guest);
    }

    /// Whether it matters who has entered from outside.
    pub fn takes_visitors(&self) -> bool {
        self.takes_visitors
    }

    /// Whether a process of the command ever ran without us.
    pub fn has_released(&self) -> bool {
        self.has_released
    }

    /// Whether anybody is not followed that should be.
    pub fn has_unfollowed(&self) -> bool {
        let waits = |guest: &Guest| guest.state == State::Waits;
        self.guests.values().any(waits)
    }

    /// Takes in what a process ID turned out to be. True when somebody new has entered.
    pub fn on_sight(&mut self, pid: Tid, status: Status, now: Instant) -> bool {
        if !status.leads || !status.runs || status.tracer != 0 {
            return false;
        }
        if pid == self.own || self.ancestors.contains(&pid) || self.guests.contains_key(&pid) {
            return false;
        }
        // Children of the command are traced from birth. Who is not, and is an orphan that we
        // were handed, is the child of somebody that was not.
        let orphan = self.init_is_ours && status.parent == 1;
        let (lineage, told) = if let Some(parent) = self.guests.get(&status.parent) {
            (parent.lineage, parent.told)
        } else if orphan && self.has_released {
            (Lineage::Command, true)
        } else if (orphan || status.parent == 0) && self.takes_visitors {
            (Lineage::Visitor, false)
        } else {
            return false;
        };
        // What micropacker starts, it traces by itself, if it is to be traced at all.
        let ours = self.is_ours(status.parent);
        let guest = Guest {
            parent: status.parent,
            lineage,
            told,
            ..Guest::new(ours, now)
        };
        self.guests.insert(pid, guest);
        true
    }

    fn is_ours(&self, pid: Tid) -> bool {
        self.guests.get(&pid).is_some_and(|guest| guest.ours)
    }

    /// Those that were missed, now that it is known who had started them, or long enough was not:
    /// `exec` starts processes before we have heard that it is one of ours.
    pub fn settle(&mut self, now: Instant) -> Vec<Finding> {
        let (missed, unsettled) = std::mem::take(&mut self.unsettled)
            .into_iter()
            .filter(|gone| !self.is_ours(gone.parent))
            .partition(|gone| {
                !self.guests.contains_key(&gone.parent)
                    || now.saturating_duration_since(gone.since) >= SETTLED
            });
        self.unsettled = unsettled;
        let missed: Vec<Guest> = missed;
        missed
            .into_iter()
            .map(|gone| Finding::Missed(gone.name))
            .collect()
    }

    /// What micropacker has started stays micropacker's business when `parent` is gone.
    fn inherit(&mut self, parent: Tid) {
        self.unsettled.retain(|gone| gone.parent != parent);
        for child in self.guests.values_mut() {
            if child.parent == parent {
                child.ours = true;
                if child.state == State::Waits {
                    child.state = State::LetGo;
                }
            }
        }
    }

    /// A process that runs micropacker itself: it may have been seen already, and it may be gone.
    fn on_colleague(&mut self, pid: Tid, now: Instant) {
        if pid == self.own || self.ancestors.contains(&pid) {
            return;
        }
        let guest = self.guests.entry(pid);
        let guest = guest.or_insert_with(|| Guest::new(true, now));
        guest.ours = true;
        if guest.state == State::Waits {
            guest.state = State::LetGo;
        }
    }

    /// Takes in what the tracer said.
    fn on_answer(&mut self, pid: Tid, answer: Answer) {
        if let Some(guest) = self.guests.get_mut(&pid) {
            guest.state = match answer {
                Answer::Followed => State::Followed,
                Answer::LetGo => State::LetGo,
            };
        }
    }

    /// Whom to look at now.
    pub fn due(&self, now: Instant) -> Vec<Tid> {
        let due = |guest: &&Guest| guest.next <= now;
        let due = self.guests.iter().filter(|(_, guest)| due(guest));
        due.map(|(pid, _)| *pid).collect()
    }

    /// Takes in what came in. Who is still there was looked at before the tracer spoke; who is gone
    /// may have been followed, or have announced itself, before it ended.
    pub fn on_round(
        &mut self,
        round: Round,
        place: impl Fn(Tid) -> Whereabouts,
        name: impl Fn(Tid) -> Option<String>,
        now: Instant,
    ) -> Vec<Finding> {
        for pid in round.colleagues {
            self.on_colleague(pid, now);
        }
        let runs = |look: &(Tid, Option<Status>)| look.1.is_some_and(|status| status.runs);
        let (there, gone): (Vec<_>, Vec<_>) = round.looks.into_iter().partition(runs);
        let mut findings = Vec::new();
        for (pid, status) in there {
            findings.extend(self.on_look(pid, status, || place(pid), || name(pid), now));
        }
        for (pid, answer) in round.answers {
            self.on_answer(pid, answer);
        }
        for (pid, status) in gone {
            findings.extend(self.on_look(pid, status, || place(pid), || name(pid), now));
        }
        findings
    }

    /// Takes in a look at one that was due: its status, `None` when it is gone.
    fn on_look(
        &mut self,
        pid: Tid,
        status: Option<Status>,
        place: impl FnOnce() -> Whereabouts,
        name: impl FnOnce() -> Option<String>,
        now: Instant,
    ) -> Option<Finding> {
        let guest = self.guests.get_mut(&pid)?;
        let Some(status) = status.filter(|status| status.runs) else {
            let gone = self.guests.remove(&pid)?;
            // It may have been seen before it was known who had started it.
            let ours = gone.ours || self.is_ours(gone.parent);
            if ours {
                self.inherit(pid);
            }
            let missed = gone.state == State::Waits && !gone.told && !ours;
            if missed && self.guests.contains_key(&gone.parent) {
                self.unsettled.push(gone);
                return None;
            }
            return missed.then_some(Finding::Missed(gone.name));
        };
        let age = now.saturating_duration_since(guest.since);
        if age >= PACES[0].0 {
            guest.next = now + LOOK;
        }
        if status.tracer != 0 {
            // By us, or by one that will not share it.
            guest.state = State::Followed;
            return None;
        }
        let place = place();
        guest.ours = match place {
            Whereabouts::Ours => true,
            Whereabouts::Here | Whereabouts::Elsewhere => false,
            Whereabouts::Unknown => guest.ours,
        };
        // A traced process that has lost its tracer was replaced by one of its untraced threads.
        guest.state = match place {
            _ if guest.ours => State::LetGo,
            _ if guest.lineage == Lineage::Command => State::Waits,
            Whereabouts::Here | Whereabouts::Unknown => State::Waits,
            // nsenter(1) may still be on its way to our mounts.
            Whereabouts::Elsewhere | Whereabouts::Ours => State::LetGo,
        };
        if guest.state == State::LetGo {
            return None;
        }
        if let Some(name) = name() {
            guest.name = name;
        }
        let refused = age >= LONG && !guest.told;
        guest.told |= refused;
        refused.then(|| Finding::Refused(guest.name.clone()))
    }

    /// Whom the tracer should try to follow, and how often.
    pub fn wanted(&self, now: Instant) -> (Vec<(Tid, Lineage)>, Duration) {
        let waits = |guest: &&Guest| guest.state == State::Waits;
        let pace = self.guests.values().filter(waits).map(|guest| {
            let age = now.saturating_duration_since(guest.since);
            let pace = PACES.iter().find(|(until, _)| age < *until);
            pace.map_or(SLOWEST, |(_, pace)| *pace)
        });
        let pace = pace.min().unwrap_or(SLOWEST);
        let waiting = self.guests.iter().filter(|(_, guest)| waits(guest));
        let waiting = waiting.map(|(pid, guest)| (*pid, guest.lineage));
        (waiting.collect(), pace)
    }
}

#[cfg(test)]
mod tests;
