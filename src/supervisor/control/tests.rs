//! Both ends of the control socket, over pairs of sockets.

use super::client::Connection;
use super::protocol::{Ask, Told};
use super::*;
use crate::event::Event;
use crate::image_path::ImagePath;
use crate::recorder::spool::Spool;
use crate::recorder::{Emitter, Recorder, RecorderThread};
use crate::recording::{Access, Body, Context, Level, Origin, Place};
use crate::tracer::observe::Keeper;
use proptest::prelude::*;
use session::Session;
use std::io::{BufRead, BufReader};
use std::thread::JoinHandle;

struct Scene {
    recorder: RecorderThread,
    emitter: Emitter,
    control: Control,
}

impl Scene {
    fn new() -> Self {
        let (recorder, emitter) = RecorderThread::start(Context::default(), None).expect("started");
        let pack = |recording: &Recording| match recording.uses.len() {
            0 => Err("nothing was used".to_owned()),
            entries => Ok(Packed {
                summary: "done".to_owned(),
                entries: entries as u64,
                bytes: 0,
            }),
        };
        let spool = Spool::new("/nonexistent".into(), None, Box::new(|_, _| true));
        let spool = Arc::new(Mutex::new(spool));
        let about = About {
            recorder: recorder.handle(),
            originals: Originals::new(spool, recorder.handle(), Vec::new()),
            engine: Engine::Notify,
            counts_calls: false,
            argv: vec![b"app".to_vec()],
            main: 7,
            stopped_by: 7,
            hurry: Arc::default(),
            outputs: vec![PathBuf::from("/out/rootfs.tar")],
            pack: Arc::new(pack),
            greet: Box::new(|_| {}),
        };
        Self {
            recorder,
            emitter,
            control: Control::new(about),
        }
    }

    /// A client's end, and the thread that serves it.
    fn connect(&self) -> (UnixStream, JoinHandle<()>) {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let shared = Arc::clone(&self.control.shared);
        let server = std::thread::spawn(move || server::serve(&shared, theirs));
        (ours, server)
    }

    fn client(&self) -> Connection {
        let (stream, _server) = self.connect();
        Connection::over(stream, 1).expect("a connection")
    }

    /// What is answered to these bytes, until the connection is closed.
    fn answers(&self, bytes: &[u8]) -> Vec<String> {
        let (mut stream, server) = self.connect();
        // A server that has refused already does not read on.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(Shutdown::Write);
        let lines = BufReader::new(stream).lines().map_while(Result::ok);
        let answers = lines.collect();
        server.join().expect("no panic");
        answers
    }

    /// The end of the trace.
    fn finish(self) -> Recording {
        drop(self.emitter);
        self.control.on_end_of_trace();
        self.recorder.finish(0).expect("a recording")
    }
}

fn path(text: &str) -> ImagePath {
    ImagePath::new(text).expect("absolute")
}

fn used(text: &str) -> Event {
    Event::Used {
        place: Place::at(path(text)),
        access: Access::OPEN,
        origin: Origin {
            pid: 7,
            program: None,
            call: "open".into(),
        },
    }
}

fn request(ask: Ask) -> Vec<u8> {
    line(&protocol::Request {
        protocol: protocol::PROTOCOL,
        ask,
    })
}

#[test]
fn who_asks_for_the_end_while_the_outputs_are_written_hurries_them_and_signals_nobody() {
    let scene = Scene::new();
    let hurry = Arc::clone(&scene.control.shared.about.hurry);
    assert!(!scene.control.hurry_if_over());
    scene.control.on_end_of_trace();
    // Process 7 is none of ours: a signal to it would be refused.
    let answers = scene.answers(&request(Ask::Stop { wait: false }));
    assert_eq!(answers, [r#"{"stopping":{}}"#]);
    assert!(hurry.load(Ordering::Relaxed));
}

fn join() -> Ask {
    Ask::Join {
        command: vec![ByteString(b"ls".to_vec())],
    }
}

#[test]
fn the_status_counts_what_the_emitter_holds_back() {
    let mut scene = Scene::new();
    scene.emitter.emit(used("/etc/x"));
    let Ok(Answer::Status(status)) = scene.client().ask(Ask::Status) else {
        panic!("no status");
    };
    assert_eq!((status.paths, status.engine.as_str()), (1, "notify"));
    assert_eq!(
        status.main,
        Main {
            pid: 7,
            lives: true
        }
    );
    assert_eq!(status.command, [ByteString(b"app".to_vec())]);
}

#[test]
fn a_pack_is_made_of_what_was_seen_so_far() {
    let mut scene = Scene::new();
    let refusal = scene.client().ask(Ask::Pack).expect_err("nothing to pack");
    assert_eq!(
        (refusal.message.as_str(), refusal.status),
        ("nothing was used", 125)
    );
    scene.emitter.emit(used("/etc/x"));
    let Ok(Answer::Packed(packed)) = scene.client().ask(Ask::Pack) else {
        panic!("not packed");
    };
    assert_eq!(packed.entries, 1);
    scene.emitter.emit(used("/etc/y"));
    assert_eq!(scene.finish().uses.len(), 2);
}

#[test]
fn what_a_joined_command_uses_is_recorded_when_it_has_finished() {
    let scene = Scene::new();
    let session = Session::join(scene.client(), &[b"ls".to_vec()]).expect("joined");
    let (mut emitter, telling, _keeper) = session.start().expect("started");
    for number in 0..1000 {
        emitter.emit(used(&format!("/etc/{number}")));
    }
    drop(emitter);
    telling.finish();
    let seen = scene
        .control
        .shared
        .about
        .recorder
        .look(|recorder| recorder.so_far().uses.len());
    assert_eq!(seen, Some(1000));
    assert_eq!(scene.finish().losses.len(), 0);
}

#[test]
fn what_a_joined_command_holds_back_is_fetched_for_a_pack_and_at_the_end() {
    let scene = Scene::new();
    let session = Session::join(scene.client(), &[b"ls".to_vec()]).expect("joined");
    let (mut emitter, _telling, _keeper) = session.start().expect("started");
    emitter.emit(used("/etc/x"));
    let Ok(Answer::Packed(packed)) = scene.client().ask(Ask::Pack) else {
        panic!("not packed");
    };
    assert_eq!(packed.entries, 1);
    emitter.emit(used("/etc/y"));
    assert_eq!(scene.finish().uses.len(), 2);
}

#[test]
fn a_recording_that_breaks_off_is_a_loss() {
    let scene = Scene::new();
    let mut bytes = request(join());
    bytes.extend(line(&Told::Event(used("/etc/x"))));
    let answers = scene.answers(&bytes);
    assert_eq!(answers.len(), 2, "{answers:?}");
    let recording = scene.finish();
    assert_eq!(recording.uses.len(), 1);
    let told = recording.losses.first().expect("a loss");
    assert!(
        told.what.contains("ls") && told.what.contains("broke off"),
        "{told:?}"
    );
}

#[test]
fn after_the_end_of_the_trace_nobody_joins_and_nothing_is_packed() {
    let scene = Scene::new();
    let shared = Arc::clone(&scene.control.shared);
    scene.finish();
    for ask in [join(), Ask::Pack, Ask::Status] {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let shared = Arc::clone(&shared);
        std::thread::spawn(move || server::serve(&shared, theirs));
        let mut connection = Connection::over(ours, 1).expect("a connection");
        let refusal = connection.ask(ask).expect_err("refused");
        assert!(refusal.message.contains("trace has ended"), "{refusal}");
    }
}

#[test]
fn those_who_wait_for_the_outputs_hear_of_them() {
    let scene = Scene::new();
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    scene.control.shared.waiting().push(theirs);
    let client = std::thread::spawn(move || {
        let mut connection = Connection::over(ours, 1).expect("a connection");
        connection.answer()
    });
    scene
        .control
        .tell_outputs(Err("the disk is full".to_owned()));
    let refusal = client.join().expect("no panic").expect_err("an error");
    assert_eq!(
        (refusal.message.as_str(), refusal.status),
        ("the disk is full", 125)
    );
}

#[test]
fn what_cannot_be_understood_is_answered_with_an_error() {
    let scene = Scene::new();
    let too_long = vec![b'x'; protocol::MAX_REQUEST + 2];
    let mut bad_event = request(join());
    bad_event.extend(b"{\"event\":{\"created\":\"relative\"}}\n");
    for bytes in [&b"hello\n"[..], b"no end", &too_long, &bad_event] {
        let answers = scene.answers(bytes);
        let last = answers.last().expect("an answer");
        assert!(last.starts_with("{\"error\":"), "{last}");
    }
    assert_eq!(scene.answers(b""), Vec::<String>::new());
}

proptest! {
    #[test]
    fn random_bytes_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..300), joined: bool) {
        let scene = Scene::new();
        let mut sent = if joined { request(join()) } else { Vec::new() };
        sent.extend(&bytes);
        let answers = scene.answers(&sent);
        let last = answers.last();
        let refused = last.is_some_and(|last| last.starts_with("{\"error\":"));
        prop_assert!(refused || (bytes.is_empty() && !joined), "{:?}", answers);
    }
}

#[test]
fn a_joined_command_has_originals_kept_before_it_goes_on() {
    let scene = Scene::new();
    let home = tempfile::tempdir().expect("a directory");
    let file = home.path().canonicalize().expect("there").join("conf");
    std::fs::write(&file, "old").expect("written");
    let file = ImagePath::new(file.as_os_str().as_bytes()).expect("absolute");
    let session = Session::join(scene.client(), &[b"sed".to_vec()]).expect("joined");
    let (_emitter, telling, mut keeper) = session.start().expect("started");
    let kept = keeper.keep(&file, &file, Level::Meta).expect("kept");
    assert_eq!((&kept.path, kept.meta.size), (&file, 3));
    let recorded = scene.recorder.handle().look(Recorder::snapshot);
    let originals = recorded.expect("it records").originals;
    assert_eq!(originals[&file].body, Body::InPlace);
    telling.finish();
    scene.finish();
}
