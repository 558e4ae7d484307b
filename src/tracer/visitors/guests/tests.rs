//! Who has entered, and what is done about each.

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
fn micropacker_itself_and_what_it_starts_are_never_missed() {
    let (mut guests, now) = guests();
    guests.on_sight(40, ENTERED, now);
    guests.on_colleague(40, now);
    let child = Status {
        parent: 40,
        ..ENTERED
    };
    guests.on_sight(50, child, now);
    guests.on_colleague(60, now);
    assert!(guests.wanted(now).0.is_empty());
    guests.on_sight(70, ENTERED, now);
    let short = Status {
        parent: 70,
        ..ENTERED
    };
    guests.on_sight(80, short, now);
    guests.on_colleague(70, now);
    let gone = guests.on_look(80, None, || Whereabouts::Unknown, || None, now);
    assert_eq!(gone, None, "seen before its parent was known");
    let unknown = || Whereabouts::Unknown;
    for pid in guests.due(now) {
        let late = now + LONG;
        assert_eq!(
            guests.on_look(pid, Some(ENTERED), unknown, || None, late),
            None
        );
        assert!(guests.wanted(late).0.is_empty(), "{pid}");
        assert_eq!(guests.on_look(pid, None, unknown, || None, late), None);
    }
    assert!(guests.due(now + 2 * LONG).is_empty());
}

#[test]
fn what_micropacker_started_is_not_missed_when_both_are_gone() {
    let (mut guests, now) = guests();
    let child = |parent| Status { parent, ..ENTERED };
    guests.on_sight(40, ENTERED, now);
    guests.on_sight(50, child(40), now);
    guests.on_sight(60, child(50), now);
    guests.on_colleague(40, now);
    for pid in guests.due(now) {
        let finding = guests.on_look(pid, None, || Whereabouts::Unknown, || None, now);
        assert_eq!(finding, None, "{pid}");
    }
}

#[test]
fn what_somebody_unknown_started_is_missed_unless_that_turns_out_to_be_micropacker() {
    let missed = || vec![Finding::Missed(String::new())];
    let child = |parent| Status { parent, ..ENTERED };
    let gone = |guests: &mut Guests, pid, now| {
        guests.on_look(pid, None, || Whereabouts::Unknown, || None, now)
    };
    for is_ours in [true, false] {
        for parent_ends in [true, false] {
            let (mut guests, now) = guests();
            guests.on_sight(40, ENTERED, now);
            guests.on_sight(50, child(40), now);
            assert_eq!(gone(&mut guests, 50, now), None);
            assert_eq!(guests.settle(now), [], "not yet known");
            if is_ours {
                guests.on_colleague(40, now);
            }
            if parent_ends {
                gone(&mut guests, 40, now);
            }
            let later = if parent_ends { now } else { now + SETTLED };
            let expected = if is_ours { vec![] } else { missed() };
            assert_eq!(guests.settle(later), expected);
            assert_eq!(guests.settle(later), [], "told once");
        }
    }
}

#[test]
fn one_that_ran_micropacker_and_runs_something_else_now_has_entered() {
    let (mut guests, now) = guests();
    guests.on_colleague(40, now);
    look(&mut guests, Some(ENTERED), Whereabouts::Here, now);
    assert!(is_wanted(&guests, now));
    let finding = look(&mut guests, None, Whereabouts::Unknown, now);
    assert_eq!(finding, Some(Finding::Missed("cat".to_owned())));
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

/// A round that looked at process 40.
fn round(guests: &mut Guests, status: Option<Status>, round: Round, now: Instant) -> Vec<Finding> {
    let looks = vec![(40, status)];
    let name = |_| Some("cat".to_owned());
    guests.on_round(Round { looks, ..round }, |_| Whereabouts::Here, name, now)
}

#[test]
fn what_came_in_before_one_was_found_gone_counts() {
    let followed = Round {
        answers: vec![(40, Answer::Followed)],
        ..Round::default()
    };
    let announced = Round {
        colleagues: vec![40],
        ..Round::default()
    };
    for news in [followed, announced] {
        let (mut guests, now) = guests();
        guests.on_sight(40, ENTERED, now);
        assert_eq!(round(&mut guests, None, news, now), []);
    }
    let (mut guests, now) = guests();
    guests.on_sight(40, ENTERED, now);
    let missed = round(&mut guests, None, Round::default(), now);
    assert_eq!(missed, [Finding::Missed(String::new())]);
}

#[test]
fn an_answer_is_newer_than_the_look_of_its_round() {
    let (mut guests, now) = guests();
    guests.on_sight(40, ENTERED, now);
    let followed = Round {
        answers: vec![(40, Answer::Followed)],
        ..Round::default()
    };
    assert_eq!(round(&mut guests, Some(ENTERED), followed, now), []);
    assert!(!is_wanted(&guests, now));
    assert_eq!(round(&mut guests, None, Round::default(), now), []);
}
