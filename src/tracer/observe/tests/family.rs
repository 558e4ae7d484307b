//! Who is told of as whose child, and when.

use super::*;

/// Lets the tracee open this file and gives who was introduced for it.
fn introduced(scene: &mut Scene, path: &str) -> Vec<(i32, Option<i32>)> {
    let path = scene.path(path);
    let call = CALLS.iter().find(|call| call.name == "openat");
    let args = [CWD, path, libc::O_RDONLY as u64, 0, 0, 0];
    scene.observer.on_call(TID, call.expect("a call"), &args);
    let events = scene.events.try_iter();
    let told = events.filter_map(|event| match event {
        Event::Introduced(process) => Some((process.pid, process.parent)),
        _ => None,
    });
    told.collect()
}

#[test]
fn the_first_to_use_something_is_introduced_once_with_those_it_descends_from() {
    let mut scene = Scene::new(files().file("/etc/a", "").file("/etc/b", ""));
    scene.observer.on_child(2, 1);
    scene.observer.on_child(TID, 2);
    let family = [(TID, Some(2)), (2, Some(1)), (1, None)];
    assert_eq!(introduced(&mut scene, "/etc/a"), family);
    assert!(introduced(&mut scene, "/etc/b").is_empty());
}

#[test]
fn a_parent_that_is_known_later_is_told_later() {
    let mut scene = Scene::new(files().file("/etc/a", "").file("/etc/b", ""));
    assert_eq!(introduced(&mut scene, "/etc/a"), [(TID, None)]);
    scene.observer.on_child(TID, 2);
    let family = [(TID, Some(2)), (2, None)];
    assert_eq!(introduced(&mut scene, "/etc/b"), family);
}
