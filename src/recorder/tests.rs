//! What is kept of events, and in which order they arrive.

use super::*;
use crate::image_path::ImagePath;
use crate::recording::{Access, Origin, Place};

fn path(text: &str) -> ImagePath {
    ImagePath::new(text).expect("absolute")
}

fn used(text: &str, access: Access, pid: i32) -> Event {
    Event::Used {
        place: Place::at(path(text)),
        access,
        origin: Origin {
            pid,
            program: None,
            call: "open".into(),
        },
    }
}

#[test]
fn the_first_user_is_kept_and_all_ways_are_added() {
    let mut recorder = Recorder::default();
    recorder.record(used("/a", Access::PROBE, 1));
    recorder.record(used("/a", Access::OPEN, 2));
    let recording = recorder.finish();
    let seen = &recording.uses[&Place::at(path("/a"))];
    assert_eq!(seen.first.pid, 1);
    assert_eq!(seen.access, Access::PROBE.with(Access::OPEN));
}

#[test]
fn what_was_removed_before_it_was_made_again_is_not_new() {
    let mut recorder = Recorder::default();
    recorder.record(Event::Removed(path("/etc/conf")));
    recorder.record(Event::Created(path("/etc/conf")));
    recorder.record(Event::Created(path("/etc/new")));
    let recording = recorder.finish();
    assert_eq!(
        recording.created.into_iter().collect::<Vec<_>>(),
        [path("/etc/new")]
    );
}

#[test]
fn what_was_made_before_is_not_taken_from_the_image_by_removing_it() {
    let mut recorder = Recorder::default();
    recorder.record(Event::Created(path("/new")));
    recorder.record(Event::Removed(path("/new")));
    recorder.record(Event::Removed(path("/new/below")));
    recorder.record(Event::Removed(path("/newer")));
    let recording = recorder.finish();
    let removed: Vec<_> = recording.removed.into_iter().collect();
    assert_eq!(removed, [path("/newer")]);
}

#[test]
fn equal_losses_are_counted() {
    let mut recorder = Recorder::default();
    for _ in 0..3 {
        recorder.record(Event::Lost(Loss {
            what: "x".to_owned(),
            count: 1,
        }));
    }
    let losses = recorder.finish().losses;
    assert_eq!(losses.first().map(|loss| loss.count), Some(3));
}

#[test]
fn a_look_sees_what_is_held_back_and_changes_nothing() {
    let (thread, mut emitter) = RecorderThread::start(Context::default(), None).expect("started");
    let handle = thread.handle();
    emitter.emit(used("/a", Access::OPEN, 1));
    handle.record(vec![used("/b", Access::OPEN, 2)]);
    let seen = handle.look(Recorder::snapshot).expect("it records");
    assert_eq!(seen.uses.len(), 2);
    emitter.emit(used("/c", Access::OPEN, 1));
    let recording = thread.finish(0).expect("a recording");
    assert_eq!(recording.uses.len(), 3);
}

#[test]
fn the_recording_is_over_when_it_is_finished_whoever_holds_a_handle() {
    let (thread, emitter) = RecorderThread::start(Context::default(), None).expect("started");
    let handle = thread.handle();
    thread.finish(0).expect("a recording");
    handle.record(vec![used("/late", Access::OPEN, 1)]);
    assert!(handle.look(|_| ()).is_none());
    drop(emitter);
}
