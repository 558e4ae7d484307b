//! What is kept of events, and in which order they arrive.

use super::*;
use crate::image_fs::{ImageFs, MemFs, Meta};
use crate::image_path::ImagePath;
use crate::recording::{Access, Body, Origin, Original, Place};

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

fn kept(name: &str, mode: u32, body: Body) -> Event {
    let meta = MemFs::new().file("/f", "old").lstat(&path("/f"));
    Event::Kept(Original {
        path: path(name),
        meta: Meta {
            mode,
            ..meta.expect("there")
        },
        xattrs: Vec::new(),
        body,
    })
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
fn an_original_is_what_it_was_first_and_its_content_may_come_later() {
    let saved = |file| Body::Saved { file, length: 3 };
    let mut recorder = Recorder::default();
    recorder.record(kept("/f", 0o644, Body::InPlace));
    recorder.record(kept("/f", 0o600, saved(1)));
    recorder.record(kept("/f", 0o000, saved(2)));
    let recording = recorder.finish();
    let original = &recording.originals[&path("/f")];
    assert_eq!((original.meta.mode, &original.body), (0o644, &saved(1)));
}

#[test]
fn what_was_made_before_the_container_was_started_again_is_no_original() {
    let mut recorder = Recorder::default();
    recorder.record(kept("/old", 0o644, Body::InPlace));
    for name in ["/new", "/old"] {
        recorder.record(Event::Created(path(name)));
    }
    recorder.begin_run();
    for name in ["/new", "/new/below", "/newer", "/old"] {
        recorder.record(kept(name, 0o600, Body::InPlace));
    }
    let originals = recorder.finish().originals;
    let names: Vec<_> = originals.into_keys().collect();
    assert_eq!(names, [path("/newer"), path("/old")]);
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
