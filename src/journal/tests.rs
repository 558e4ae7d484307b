//! A journal is read back as far as it is intact, whatever was done to it.

use super::*;
use crate::recording::{Access, Origin, Place};
use proptest::prelude::*;

fn path(text: &str) -> ImagePath {
    ImagePath::new(text).expect("absolute")
}

fn used(name: &str) -> Event {
    Event::Used {
        place: Place::at(path(name)),
        access: Access::OPEN,
        origin: Origin {
            pid: 7,
            program: None,
            call: "openat".into(),
        },
    }
}

fn header() -> Header {
    Header {
        format: FORMAT,
        micropacker: "0.1.0".to_owned(),
        command: Start {
            argv: vec![ByteString(b"sh".to_vec()), ByteString(b"\xFF".to_vec())],
            ..Start::default()
        },
        ..Header::default()
    }
}

fn written(lines: &[Line]) -> Vec<u8> {
    let mut text = Vec::new();
    for line in lines {
        write_line(line, &mut text).expect("JSON");
    }
    text
}

fn read_back(text: &[u8]) -> (Contents, Vec<Event>) {
    let mut events = Vec::new();
    let mut take = |seen| {
        if let Seen::Event(event) = seen {
            events.push(event);
        }
    };
    let contents = read(&mut &*text, &mut take).expect("a journal");
    (contents, events)
}

fn error_of(text: &[u8]) -> String {
    let told = read(&mut &*text, &mut |_| {}).expect_err("no journal");
    told.to_string()
}

fn whole() -> Vec<Line> {
    vec![
        Line::Run(Box::new(header())),
        Line::Event(used("/a")),
        Line::Event(Event::Created(path("/new"))),
        Line::End { status: 3 },
        Line::Packed {},
    ]
}

#[test]
fn what_was_written_is_read_back() {
    let (contents, events) = read_back(&written(&whole()));
    assert_eq!(events, [used("/a"), Event::Created(path("/new"))]);
    assert_eq!(contents.header, Some(header()));
    assert_eq!((contents.runs, contents.events), (1, 2));
    assert_eq!((contents.status, contents.is_packed), (Some(3), true));
    assert!(!contents.is_torn && contents.damaged.is_empty() && contents.unknown.is_empty());
}

#[test]
fn a_line_is_its_checksum_and_one_json_object() {
    let text = written(&[Line::End { status: 0 }]);
    assert_eq!(text, b"f01f6b12 {\"end\":{\"status\":0}}\n");
}

#[test]
fn a_run_that_goes_on_is_not_at_its_end() {
    let mut lines = whole();
    lines.push(Line::Run(Box::new(header())));
    let (contents, _) = read_back(&written(&lines));
    assert_eq!(contents.runs, 2);
    assert_eq!((contents.status, contents.is_packed), (None, false));
}

#[test]
fn damaged_lines_are_told_by_number_and_the_others_count() {
    let mut text = written(&whole());
    let second = text.iter().position(|byte| *byte == b'\n').expect("lines") + 1;
    text[second + 20] ^= 1;
    let (contents, events) = read_back(&text);
    assert_eq!(contents.damaged, [2]);
    assert_eq!(events, [Event::Created(path("/new"))]);
}

#[test]
fn a_run_goes_on_behind_a_torn_line() {
    let mut text = written(&whole()[..2]);
    text.truncate(text.len() - 5);
    assert!(read_back(&text).0.is_torn);
    text.extend(b"\n");
    text.extend(written(&whole()));
    let (contents, events) = read_back(&text);
    assert_eq!((contents.damaged, contents.is_torn), (vec![2], false));
    assert_eq!(events.len(), 2);
}

#[test]
fn a_journal_that_ends_within_its_first_line_recorded_nothing() {
    let text = written(&whole()[..1]);
    let error = |text: &[u8]| read(&mut &*text, &mut |_| {}).expect_err("nothing to read");
    for length in [17, text.len() / 2, text.len() - 2] {
        assert!(matches!(error(&text[..length]), JournalError::OnlyBegun));
    }
    assert!(matches!(error(&text[..5]), JournalError::NoJournal));
    let damaged = [b"x", &text[1..]].concat();
    assert!(matches!(error(&damaged), JournalError::NoJournal));
}

#[test]
fn what_a_newer_one_tells_is_named_and_passed_over() {
    let mut text = written(&whole()[..1]);
    for json in [r#"{"event":{"painted":["/a","/b"]}}"#, r#"{"pause":{}}"#] {
        text.extend(format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes())).bytes());
    }
    text.extend(written(&whole()[1..]));
    let (contents, events) = read_back(&text);
    assert_eq!(events.len(), 2);
    let names: Vec<_> = contents.unknown.into_iter().collect();
    let expected = [
        ("event painted".to_owned(), vec![2]),
        ("pause".to_owned(), vec![3]),
    ];
    assert_eq!(names, expected);
}

#[test]
fn another_format_is_an_error_that_says_who_can_read_it() {
    let newer = Header {
        format: 9,
        micropacker: "7.0.0".to_owned(),
        ..header()
    };
    let told = error_of(&written(&[Line::Run(Box::new(newer))]));
    assert!(
        told.contains("format 9") && told.contains("7.0.0"),
        "{told}"
    );
    let json = r#"{"run":{"format":2,"all":"else is different"}}"#;
    let text = format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes()));
    assert!(error_of(text.as_bytes()).contains("format 2"));
}

#[test]
fn what_holds_no_intact_line_is_no_journal() {
    for text in [&b""[..], b"/etc/passwd\n", b"\0\0\0", b"00000000 {}\n"] {
        assert!(error_of(text).contains("no journal"), "{text:?}");
    }
}

#[test]
fn a_journal_is_known_by_its_beginning() {
    let text = written(&whole());
    assert!(looks_like_journal(&text));
    for other in [&b""[..], b"/etc/passwd", b"00000000", &text[5..]] {
        assert!(!looks_like_journal(other));
    }
}

#[test]
fn a_container_is_known_by_what_its_engine_mounts() {
    let name = "0123456789abcdef".repeat(4);
    let docker = format!(
        "1 0 0:1 / / rw - overlay overlay rw\n\
         2 1 8:1 /lib/docker/containers/{name}/hostname /etc/hostname rw - ext4 /dev/a rw\n"
    );
    assert_eq!(container_of(docker.as_bytes()), Some(name));
    assert_eq!(container_of(b"1 0 0:1 / / rw - ext4 /dev/a rw\n"), None);
    assert_eq!(container_of(b"garbage"), None);
}

proptest! {
    /// Cut off anywhere: all lines before the cut are there, and nothing else.
    #[test]
    fn a_prefix_gives_the_events_that_were_whole_in_it(
        names in proptest::collection::vec("[a-z\u{e9}\\n]{1,9}", 0..20), cut: prop::sample::Index,
    ) {
        let events: Vec<Event> = names.iter().map(|name| used(&format!("/{name}"))).collect();
        let mut text = written(&whole()[..1]);
        let smallest = text.len();
        let mut ends = Vec::new();
        for event in &events {
            text.extend(written(&[Line::Event(event.clone())]));
            ends.push(text.len());
        }
        let cut = smallest + cut.index(text.len() - smallest + 1);
        let (contents, read) = read_back(&text[..cut]);
        // A line that lacks only its newline is whole.
        let whole = ends.iter().filter(|end| **end <= cut + 1).count();
        prop_assert_eq!(&read[..], &events[..whole]);
        prop_assert!(contents.damaged.is_empty());
    }

    /// Overwritten anywhere: no event is invented, and what was not touched is there.
    #[test]
    fn garbage_costs_only_the_lines_it_lies_on(
        at: prop::sample::Index, garbage in proptest::collection::vec(any::<u8>(), 1..200),
    ) {
        let events: Vec<Event> = (0..50).map(|number| used(&format!("/{number}"))).collect();
        let mut text = written(&whole()[..1]);
        let (mut starts, first) = (Vec::new(), text.len());
        for event in &events {
            starts.push(text.len());
            text.extend(written(&[Line::Event(event.clone())]));
        }
        let at = first + at.index(text.len() - first);
        let end = (at + garbage.len()).min(text.len());
        text[at..end].copy_from_slice(&garbage[..end - at]);
        let (_, read) = read_back(&text);
        let untouched = |index: usize| {
            let next = starts.get(index + 1).copied().unwrap_or(text.len());
            next < at || starts[index] > end
        };
        for (index, event) in events.iter().enumerate() {
            prop_assert!(!untouched(index) || read.contains(event));
        }
        prop_assert!(read.iter().all(|event| events.contains(event)));
    }

    #[test]
    fn nothing_makes_the_reader_fail_in_another_way(text: Vec<u8>) {
        let _ = read(&mut &*text, &mut |_| {});
    }
}
