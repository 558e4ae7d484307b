//! The process that traces a command of `exec`: beside it, in a session of its own, until nothing
//! of what the command started is left.

use super::control::{Session, Telling};
use super::follow::{Ground, Started};
use super::keeping::Keeping;
use super::{SuperviseError, let_go, resources};
use crate::event::Event;
use crate::sys::{self, Tid};
use crate::tracer::launch::{LaunchError, Line};
use crate::tracer::visitors;
use crossbeam_channel::{Receiver, unbounded};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The only word to the process in the foreground, once the command itself has ended.
#[derive(Debug, Serialize, Deserialize)]
pub enum Said {
    /// All that it has used is recorded.
    Ended,
    /// It never ran, or could not be followed to its end.
    Failed(Trouble),
}

/// A [`SuperviseError`] on its way to another process.
#[derive(Debug, Serialize, Deserialize)]
pub enum Trouble {
    Engine(String),
    Start(i32),
    Ptrace(i32),
    Traced(Tid),
    Filter(i32),
    User(i32),
    Exec(i32),
    Resources(String),
    Trace(i32),
}

impl From<SuperviseError> for Trouble {
    fn from(error: SuperviseError) -> Self {
        match error {
            SuperviseError::Engine(what) => Self::Engine(what),
            SuperviseError::Launch(LaunchError::Start(errno)) => Self::Start(errno as i32),
            SuperviseError::Launch(LaunchError::Ptrace(errno)) => Self::Ptrace(errno as i32),
            SuperviseError::Launch(LaunchError::Traced(tracer)) => Self::Traced(tracer),
            SuperviseError::Launch(LaunchError::Filter(errno)) => Self::Filter(errno as i32),
            SuperviseError::User(errno) => Self::User(errno as i32),
            SuperviseError::Exec(errno) => Self::Exec(errno as i32),
            SuperviseError::Resources(what) => Self::Resources(what),
            SuperviseError::Trace(errno) => Self::Trace(errno as i32),
        }
    }
}

/// In a process that was forked for it: traces the command whose ID comes over `foreground`, and
/// ends with the last of what that has started.
pub fn run(line: Line, ground: Ground, session: Session, mut foreground: UnixStream) -> ! {
    let Ground {
        choice,
        session: place,
        ..
    } = ground;
    // The terminal is not ours, and its signals concern others.
    drop(place);
    let _ = nix::unistd::setsid();
    // Keeps no file system busy.
    let _ = nix::unistd::chdir("/");
    let mut main = [0; size_of::<Tid>()];
    if foreground.read_exact(&mut main).is_err() {
        session.abandon();
        sys::exit_now(1);
    }
    let_go(&BTreeSet::new());
    let traced = match Started::by_another(line.to(Tid::from_ne_bytes(main)), choice) {
        Ok(started) => trace(started, session, &foreground),
        Err(error) => {
            session.abandon();
            Err(error)
        }
    };
    let status = match traced {
        Ok(()) => 0,
        Err(error) => {
            say(&foreground, Said::Failed(error.into()));
            1
        }
    };
    sys::exit_now(status)
}

/// Its errors are those of a command that never began to run.
fn trace(
    started: Started,
    session: Session,
    foreground: &UnixStream,
) -> Result<(), SuperviseError> {
    let main = started.pid();
    let (mut emitter, telling, keeper) = session.start().map_err(resources)?;
    let main_ended = Arc::new(AtomicBool::new(false));
    let watched = foreground.try_clone().map_err(resources)?;
    let ended = Arc::clone(&main_ended);
    std::thread::Builder::new()
        .name("foreground".to_owned())
        .spawn(move || watch(watched, main, &ended))
        .map_err(resources)?;
    let (news, received) = unbounded();
    let told = foreground.try_clone().map_err(resources)?;
    let farewell = std::thread::Builder::new()
        .name("farewell".to_owned())
        .spawn(move || take_leave(&received, telling, &told))
        .map_err(resources)?;
    let runs = Arc::new(AtomicBool::new(false));
    let (run, end) = (Arc::clone(&runs), news.clone());
    let result = started.follow(
        (None, None),
        (visitors::Wish::Off, Default::default()),
        Keeping {
            past: Arc::default(),
            keeper: Box::new(keeper),
        },
        move |event| {
            if matches!(event, Event::Started(_)) {
                run.store(true, Ordering::Relaxed);
            }
            emitter.emit(event);
        },
        move |tid, lives| {
            if tid == main && !lives {
                main_ended.store(true, Ordering::Relaxed);
                // One that could not run what it was to run is told of by the result.
                if runs.load(Ordering::Relaxed) {
                    let _ = end.send(News::MainEnded);
                }
            }
        },
    );
    let _ = news.send(News::Over(result.err()));
    let _ = farewell.join();
    Ok(())
}

/// Who ends the foreground with SIGKILL means the command, which would have got it in its place.
fn watch(mut foreground: UnixStream, main: Tid, main_ended: &AtomicBool) {
    while matches!(foreground.read(&mut [0]), Ok(1)) {}
    if !main_ended.load(Ordering::Relaxed) {
        let _ = sys::send_signal(main, libc::SIGKILL);
    }
}

enum News {
    /// The command itself has ended.
    MainEnded,
    /// Everything has, or could not be followed any further.
    Over(Option<SuperviseError>),
}

fn take_leave(news: &Receiver<News>, telling: Telling, foreground: &UnixStream) {
    let mut is_told = false;
    for news in news {
        match news {
            News::MainEnded => {
                telling.sync();
                // Whoever reads it waits for its end.
                let _ = sys::let_go_of_standard_error();
                say(foreground, Said::Ended);
                is_told = true;
            }
            News::Over(None | Some(SuperviseError::Exec(_))) if is_told => {
                return telling.finish();
            }
            News::Over(None) => {
                telling.finish();
                return say(foreground, Said::Ended);
            }
            News::Over(Some(error)) => {
                // Without a last word the supervisor tells that something is lost.
                if matches!(error, SuperviseError::Exec(_)) {
                    telling.finish();
                }
                return say(foreground, Said::Failed(error.into()));
            }
        }
    }
}

/// Nobody hears it any more who was killed, or was told already.
fn say(mut foreground: &UnixStream, said: Said) {
    let _ = foreground.write_all(&serde_json::to_vec(&said).unwrap_or_default());
    let _ = foreground.shutdown(Shutdown::Write);
}
