//! Processes that ran before they were followed, and files that only a log tells of.

use super::*;

fn path(text: &str) -> ImagePath {
    ImagePath::new(text).expect("absolute")
}

#[test]
fn what_a_process_holds_when_it_is_first_seen_counts_as_used() {
    let mut scene = Scene::new(files());
    scene.observer.tracees.executed = Some("/usr/bin/script");
    scene.observer.tracees.holdings = vec![
        ("maps", "/lib/libc.so.6"),
        ("fd", "/dev/pts/0"),
        ("cwd", "/yard"),
    ];
    assert!(scene.observer.on_arrival(TID));
    let mut told: Vec<Event> = scene.events.try_iter().collect();
    told.retain(|event| !matches!(event, Event::Introduced(_)));
    let [Event::Started(exec), rest @ ..] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(exec.file, Some(path("/usr/bin/script")));
    let used: Vec<_> = rest
        .iter()
        .map(|event| match event {
            Event::Used {
                place,
                access,
                origin,
            } => (place.path.to_string(), *access, origin.call.clone()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        used,
        [
            ("/lib/libc.so.6".to_owned(), Access::OPEN, "maps".into()),
            ("/yard".to_owned(), Access::ENTER, "cwd".into())
        ]
    );
}

#[test]
fn a_program_that_is_none_of_the_images_tells_nothing() {
    let mut scene = Scene::new(files());
    assert!(!scene.observer.on_arrival(TID));
    assert!(scene.told().is_empty());
}

#[test]
fn a_relative_name_of_a_program_starts_where_the_process_is() {
    let mut scene = Scene::new(files());
    for (name, file) in [
        ("tool", Some(path("/yard/tool"))),
        ("/dev/fd/3", None),
        ("", None),
    ] {
        scene.observer.tracees.executed = Some(name);
        assert_eq!(scene.observer.executed(TID), file);
    }
}

#[test]
fn a_logged_file_is_told_once_and_only_if_nobody_was_seen_to_open_it() {
    let mut scene = Scene::new(files());
    scene.open("/yard/data", libc::O_RDONLY);
    scene.observer.on_logged(path("/yard/data"));
    scene.observer.on_logged(path("/gone"));
    assert!(scene.told().is_empty());
    let mut scene = Scene::new(files());
    scene.observer.on_logged(path("/yard/data"));
    scene.observer.on_logged(path("/yard/data"));
    assert_eq!(scene.told(), ["used /yard/data"]);
}

#[test]
fn a_logged_file_that_the_application_has_made_is_not_the_images() {
    let mut scene = Scene::new(files());
    scene.open("/yard/new", libc::O_CREAT | libc::O_WRONLY);
    scene.observer.on_logged(path("/yard/new"));
    assert!(!scene.told().contains(&"used /yard/new".to_owned()));
}
