//! Journals on a real disk: who may write where, what goes on, and what a full disk costs.

use super::*;
use crate::byte_string::ByteString;
use crate::image_path::ImagePath;
use crate::journal::{FORMAT, Seen, Start};
use std::os::unix::fs::PermissionsExt;

fn header(container: Option<&str>, command: &str) -> Header {
    Header {
        format: FORMAT,
        container: container.map(str::to_owned),
        command: Start {
            argv: vec![ByteString(command.as_bytes().to_vec())],
            ..Start::default()
        },
        ..Header::default()
    }
}

fn created(name: &str) -> Event {
    Event::Created(ImagePath::new(name).expect("absolute"))
}

fn read_back(path: &Path) -> (Contents, Vec<Event>) {
    let file = File::open(path).expect("opened");
    let mut events = Vec::new();
    let mut take = |seen| {
        if let Seen::Event(event) = seen {
            events.push(event);
        }
    };
    let contents = read(&mut BufReader::new(file), &mut take);
    (contents.expect("a journal"), events)
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .expect("listed")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("text")
        })
        .collect();
    names.sort();
    names
}

/// A run that is killed after it has seen this.
fn killed_run(path: &Path, header: &Header, event: &Event) {
    let (mut journal, _) = Journal::open(path, false, header).expect("opened");
    journal.write_events(std::slice::from_ref(event));
}

#[test]
fn what_was_recorded_is_in_the_file_at_once_and_only_its_owner_may_read_it() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("j");
    let (mut journal, _keeper) = Journal::open(&path, false, &header(None, "x")).expect("opened");
    journal.write_events(&[created("/a"), created("/b")]);
    let (contents, events) = read_back(&path);
    assert_eq!(events, [created("/a"), created("/b")]);
    assert_eq!(contents.header, Some(header(None, "x")));
    let mode = fs::metadata(&path).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    journal.write_end(7);
    assert_eq!(read_back(&path).0.status, Some(7));
}

#[test]
fn a_container_that_is_started_again_goes_on() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("j");
    let header = header(Some("c"), "x");
    killed_run(&path, &header, &created("/a"));
    // In the middle of a line.
    let length = fs::metadata(&path).expect("there").len();
    let torn = OpenOptions::new().append(true).open(&path).expect("opened");
    (&torn).write_all(b"0011").expect("written");
    assert!(fs::metadata(&path).expect("there").len() > length);
    let (mut journal, keeper) = Journal::open(&path, false, &header).expect("opened");
    assert_eq!(journal.take_earlier(), [created("/a")]);
    journal.write_events(&[created("/b")]);
    let (contents, events) = read_back(&path);
    assert_eq!(events, [created("/a"), created("/b")]);
    assert_eq!((contents.runs, contents.damaged.len()), (2, 1));
    drop(journal);
    // What the first run saw is not thrown away with the second.
    keeper.nothing_ran();
    assert!(path.exists());
}

#[test]
fn a_journal_of_anybody_else_is_moved_aside() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("j");
    killed_run(&path, &header(Some("c"), "x"), &created("/a"));
    let others = [
        header(Some("d"), "x"),
        header(Some("d"), "y"),
        header(None, "y"),
        header(None, "y"),
    ];
    for (number, other) in others.iter().enumerate() {
        let event = created(&format!("/{number}"));
        killed_run(&path, other, &event);
        assert_eq!(read_back(&path).1, [event]);
    }
    fs::write(&path, "something else\n").expect("written");
    killed_run(&path, &header(Some("c"), "x"), &created("/z"));
    assert_eq!(names(home.path()), ["j", "j.1", "j.2", "j.3", "j.4", "j.5"]);
    assert_eq!(read_back(&home.path().join("j.1")).1, [created("/a")]);
    let last = fs::read_to_string(home.path().join("j.5")).expect("text");
    assert_eq!(last, "something else\n");
}

#[test]
fn a_run_whose_outputs_were_written_does_not_go_on() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("j");
    let header = header(Some("c"), "x");
    let (journal, keeper) = Journal::open(&path, true, &header).expect("opened");
    drop(journal);
    keeper.outputs_written();
    assert!(read_back(&path).0.is_packed);
    let (mut journal, _) = Journal::open(&path, true, &header).expect("opened");
    assert_eq!(journal.take_earlier(), []);
    assert_eq!(names(home.path()), ["j", "j.1"]);
}

#[test]
fn two_that_run_at_once_have_a_journal_each() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("j");
    let header = header(Some("c"), "x");
    let (_one, _keeper) = Journal::open(&path, false, &header).expect("opened");
    let (_two, keeper) = Journal::open(&path, false, &header).expect("opened");
    assert_eq!(keeper.path(), home.path().join("j.1"));
}

#[test]
fn a_journal_that_nobody_named_goes_with_the_outputs() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("j");
    let open = || Journal::open(&path, false, &header(None, "x")).expect("opened");
    open().1.outputs_written();
    assert!(!path.exists());
    open().1.nothing_ran();
    assert!(!path.exists());
}

#[test]
fn what_is_no_file_holds_no_journal() {
    let home = tempfile::tempdir().expect("a directory");
    for place in [home.path(), Path::new("/dev/null"), Path::new("/no/such/j")] {
        assert!(Journal::open(place, true, &header(None, "x")).is_err());
    }
}

/// A file that takes no more than it has room for, as on a full disk.
#[test]
fn what_a_full_disk_did_not_take_is_written_when_it_does() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("j");
    let (mut journal, _keeper) = Journal::open(&path, false, &header(None, "x")).expect("opened");
    let full = OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .expect("opened");
    let full = Arc::new(
        Flock::lock(full, FlockArg::LockShared)
            .map_err(|(_, errno)| errno)
            .expect("locked"),
    );
    let disk = std::mem::replace(&mut journal.file, full);
    journal.write_events(&[created("/a")]);
    journal.write_events(&[created("/b")]);
    assert!(journal.is_failing);
    assert_eq!(read_back(&path).1, []);
    journal.file = disk;
    journal.write_events(&[created("/c")]);
    assert!(!journal.is_failing);
    let (contents, events) = read_back(&path);
    assert_eq!(events, [created("/a"), created("/b"), created("/c")]);
    assert!(contents.damaged.is_empty() && !contents.is_torn);
}
