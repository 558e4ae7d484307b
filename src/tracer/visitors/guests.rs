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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// To be followed as soon as the kernel permits it.
    Waits,
    Followed,
    /// Not to be followed as long as it runs what it runs.
    LetGo,
}

impl Guest {
    fn new(lineage: Lineage, told: bool, now: Instant) -> Self {
        Self {
            since: now,
            state: State::Waits,
            next: now,
            name: String::new(),
            told,
            lineage,
        }
    }
}

/// What the report has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It ended before it could be followed.
    Missed(String),
    /// It has been there for long, and the kernel does not permit to follow it.
    Refused(String),
}

/// All that have entered and have not ended.
pub struct Guests {
    guests: BTreeMap<Tid, Guest>,
    own: Tid,
    /// Those that started us: never to be followed.
    ancestors: Vec<Tid>,
    /// Whether it matters who has entered from outside.
    takes_visitors: bool,
    /// Whether some process of the command ran without us: who is handed to us may be its child.
    has_released: bool,
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
/// How often those that are there for long are looked at.
const LOOK: Duration = Duration::from_millis(50);

impl Guests {
    /// None yet; `own` is our process.
    pub fn new(own: Tid, ancestors: Vec<Tid>) -> Self {
        Self {
            guests: BTreeMap::new(),
            own,
            ancestors,
            takes_visitors: true,
            has_released: false,
        }
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
        self.guests.insert(pid, Guest::new(lineage, true, now));
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
        let orphan = self.own == 1 && status.parent == self.own;
        let guest = if let Some(parent) = self.guests.get(&status.parent) {
            Guest::new(parent.lineage, parent.told, now)
        } else if orphan && self.has_released {
            Guest::new(Lineage::Command, true, now)
        } else if (orphan || status.parent == 0) && self.takes_visitors {
            Guest::new(Lineage::Visitor, false, now)
        } else {
            return false;
        };
        self.guests.insert(pid, guest);
        true
    }

    /// Takes in what the tracer said.
    pub fn on_answer(&mut self, pid: Tid, answer: Answer) {
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

    /// Takes in a look at one that was due: its status, `None` when it is gone.
    pub fn on_look(
        &mut self,
        pid: Tid,
        status: Option<Status>,
        place: impl FnOnce() -> Whereabouts,
        name: impl FnOnce() -> Option<String>,
        now: Instant,
    ) -> Option<Finding> {
        let guest = self.guests.get_mut(&pid)?;
        let Some(status) = status.filter(|status| status.runs) else {
            let missed = guest.state == State::Waits && !guest.told;
            let name = std::mem::take(&mut guest.name);
            self.guests.remove(&pid);
            return missed.then_some(Finding::Missed(name));
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
        // A traced process that has lost its tracer was replaced by one of its untraced threads.
        guest.state = match place() {
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
mod tests {
    use super::*;

    const ENTERED: Status = Status {
        leader: 40,
        leads: true,
        parent: 0,
        tracer: 0,
        runs: true,
    };
    const TRACED: Status = Status {
        tracer: 1,
        ..ENTERED
    };

    fn guests() -> (Guests, Instant) {
        (Guests::new(1, vec![]), Instant::now())
    }

    /// Looks at process 40.
    fn look(
        guests: &mut Guests,
        status: Option<Status>,
        place: Whereabouts,
        now: Instant,
    ) -> Option<Finding> {
        guests.on_look(40, status, || place, || Some("cat".to_owned()), now)
    }

    fn is_wanted(guests: &Guests, now: Instant) -> bool {
        guests.wanted(now).0 == [(40, Lineage::Visitor)]
    }

    #[test]
    fn who_has_no_parent_here_and_no_tracer_has_entered() {
        let (mut guests, now) = guests();
        assert!(!guests.on_sight(1, ENTERED, now), "ourselves");
        assert!(!guests.on_sight(40, TRACED, now));
        let thread = Status {
            leads: false,
            ..ENTERED
        };
        assert!(!guests.on_sight(41, thread, now));
        let zombie = Status {
            runs: false,
            ..ENTERED
        };
        assert!(!guests.on_sight(42, zombie, now));
        assert!(guests.on_sight(40, ENTERED, now));
        assert!(!guests.on_sight(40, ENTERED, now), "it is known already");
        assert_eq!(guests.due(now), [40]);
    }

    #[test]
    fn what_an_unfollowed_visitor_started_or_left_has_entered_too() {
        let (mut guests, now) = guests();
        let child = |parent| Status { parent, ..ENTERED };
        assert!(!guests.on_sight(50, child(40), now));
        guests.on_sight(40, ENTERED, now);
        assert!(guests.on_sight(50, child(40), now));
        assert!(guests.on_sight(60, child(1), now), "an orphan");
    }

    #[test]
    fn whoever_started_us_is_never_followed() {
        let now = Instant::now();
        let mut guests = Guests::new(30, vec![20, 10]);
        assert!(!guests.on_sight(10, ENTERED, now));
        let child = Status {
            parent: 30,
            ..ENTERED
        };
        assert!(!guests.on_sight(31, child, now), "not yet traced");
        assert!(guests.on_sight(40, ENTERED, now));
    }

    #[test]
    fn one_that_waits_is_tried_until_it_is_followed() {
        let (mut guests, now) = guests();
        guests.on_sight(40, ENTERED, now);
        assert_eq!(
            look(&mut guests, Some(ENTERED), Whereabouts::Unknown, now),
            None
        );
        assert!(is_wanted(&guests, now));
        guests.on_answer(40, Answer::Followed);
        assert!(!is_wanted(&guests, now));
        assert_eq!(
            look(&mut guests, Some(TRACED), Whereabouts::Here, now),
            None
        );
        assert!(!is_wanted(&guests, now));
        assert_eq!(look(&mut guests, None, Whereabouts::Unknown, now), None);
        assert!(guests.due(now + LONG).is_empty());
    }

    #[test]
    fn the_longer_one_waits_the_rarer_it_is_tried() {
        let (mut guests, now) = guests();
        guests.on_sight(40, ENTERED, now);
        let pace = |guests: &Guests, age| guests.wanted(now + age).1;
        assert_eq!(pace(&guests, Duration::ZERO), PACES[0].1);
        assert_eq!(pace(&guests, PACES[0].0), PACES[1].1);
        assert_eq!(pace(&guests, LONG), SLOWEST);
        guests.on_sight(41, ENTERED, now + LONG);
        assert_eq!(pace(&guests, LONG), PACES[0].1);
    }

    #[test]
    fn one_that_lost_its_tracer_is_wanted_again() {
        let (mut guests, now) = guests();
        guests.on_sight(40, ENTERED, now);
        look(&mut guests, Some(TRACED), Whereabouts::Here, now);
        look(&mut guests, Some(ENTERED), Whereabouts::Here, now);
        assert!(is_wanted(&guests, now));
    }

    #[test]
    fn one_that_ends_unfollowed_was_missed() {
        let (mut guests, now) = guests();
        guests.on_sight(40, ENTERED, now);
        look(&mut guests, Some(ENTERED), Whereabouts::Here, now);
        let finding = look(&mut guests, None, Whereabouts::Unknown, now);
        assert_eq!(finding, Some(Finding::Missed("cat".to_owned())));
    }

    #[test]
    fn one_that_may_not_be_followed_is_told_once() {
        let (mut guests, now) = guests();
        guests.on_sight(40, ENTERED, now);
        let later = now + LONG;
        let finding = look(&mut guests, Some(ENTERED), Whereabouts::Here, later);
        assert_eq!(finding, Some(Finding::Refused("cat".to_owned())));
        assert!(is_wanted(&guests, later), "it may run another program soon");
        let finding = look(&mut guests, Some(ENTERED), Whereabouts::Here, later);
        assert_eq!(finding, None);
    }

    #[test]
    fn one_with_other_mounts_or_our_own_program_is_let_go_until_that_changes() {
        let (mut guests, now) = guests();
        guests.on_sight(40, ENTERED, now);
        for place in [Whereabouts::Elsewhere, Whereabouts::Ours] {
            look(&mut guests, Some(ENTERED), place, now);
            assert!(!is_wanted(&guests, now));
        }
        look(&mut guests, Some(ENTERED), Whereabouts::Here, now);
        assert!(is_wanted(&guests, now));
        look(&mut guests, Some(ENTERED), Whereabouts::Ours, now);
        assert_eq!(look(&mut guests, None, Whereabouts::Unknown, now), None);
    }

    #[test]
    fn what_was_let_go_and_what_it_starts_is_wanted_back_as_what_it_was() {
        let now = Instant::now();
        let mut guests = Guests::new(1, vec![]).without_visitors();
        let child = |parent| Status { parent, ..ENTERED };
        assert!(!guests.on_sight(50, ENTERED, now), "a visitor");
        assert!(!guests.on_sight(50, child(1), now), "its orphan");
        guests.on_release(40, Lineage::Command, now);
        assert!(guests.on_sight(41, child(40), now));
        assert!(guests.on_sight(42, child(1), now), "an orphan of it");
        let of_command = |pid| (pid, Lineage::Command);
        let all = [40, 41, 42].map(of_command);
        assert_eq!(guests.wanted(now).0, all);
        // Its own mounts are its own affair.
        look(&mut guests, Some(ENTERED), Whereabouts::Elsewhere, now);
        assert_eq!(guests.wanted(now).0, all);
        let finding = look(&mut guests, None, Whereabouts::Unknown, now);
        assert_eq!(finding, None, "that was told when it was let go");
    }
}
