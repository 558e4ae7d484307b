//! The control socket: asking a supervisor at work what it has seen, having it write the outputs
//! or stop, and adding what further commands use.

mod address;
mod census;
mod client;
mod gate;
mod joined;
mod lines;
mod peer;
pub mod protocol;
mod remote_keeper;
mod server;
mod session;
#[cfg(test)]
mod tests;

use super::keeping::Originals;
use super::signals::hurry_up;
use crate::byte_string::ByteString;
use crate::recorder::RecorderHandle;
use crate::recording::Recording;
use crate::sys::Tid;
use crate::tracer::engine::Engine;
use census::Census;
pub use client::{Connection, FindError};
use joined::Registry;
use protocol::{Answer, Main, Packed, Refusal, Status, line};
pub use session::{Session, SessionEmitter, Telling};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Writes the outputs from a recording; several may call it at once. An error is one line.
pub type PackNow = Arc<dyn Fn(&Recording) -> Result<Packed, String> + Send + Sync>;

/// How long joined commands may take to end once everything else has.
const LAST_CALL: Duration = Duration::from_secs(1);
/// How long joined commands may take to send what they hold back: longer than any that is not
/// stuck takes.
const FLUSH: Duration = Duration::from_secs(5);
/// How long those who wait for the outputs may take to hear that they are there: where we are
/// PID 1 our end is theirs.
const FAREWELL: Duration = Duration::from_secs(1);

/// What is served.
pub struct About {
    /// What was seen.
    pub recorder: RecorderHandle,
    /// What is kept of changed files.
    pub originals: Originals,
    /// How it is traced.
    pub engine: Engine,
    /// Whether all system calls are counted: those of joined commands too then.
    pub counts_calls: bool,
    /// The command and its arguments.
    pub argv: Vec<Vec<u8>>,
    /// Its process.
    pub main: Tid,
    /// The process that is sent SIGTERM to stop it.
    pub stopped_by: Tid,
    /// Set to have those who write the outputs at the end hurry.
    pub hurry: Arc<AtomicBool>,
    /// The files that will be written.
    pub outputs: Vec<PathBuf>,
    /// Writes them.
    pub pack: PackNow,
    /// Hears of the processes of micropacker itself that connect.
    pub greet: Box<dyn Fn(Tid) + Send + Sync>,
}

/// What the threads of the control socket share with the ptrace loop.
struct Shared {
    about: About,
    own_uid: u32,
    began: Instant,
    census: Mutex<Census>,
    joined: Registry,
    /// Whether the trace is over: the outputs are being written.
    is_over: AtomicBool,
    /// Those who wait for the outputs.
    waiting: Mutex<Vec<UnixStream>>,
}

/// The supervisor's hold of its control socket.
#[derive(Clone)]
pub struct Control {
    shared: Arc<Shared>,
}

impl Control {
    /// Opens the socket. Where that is not possible the trace goes on without it, and it is told.
    pub fn start(about: About) -> Self {
        let control = Self::new(about);
        if let Err(error) = server::start(Arc::clone(&control.shared)) {
            tracing::warn!(
                "the control socket cannot be opened: {error}; micropacker exec and ctl will not \
                 find this trace"
            );
        }
        control
    }

    fn new(about: About) -> Self {
        let shared = Arc::new(Shared {
            own_uid: nix::unistd::geteuid().as_raw(),
            began: Instant::now(),
            census: Mutex::new(Census::new(about.main)),
            joined: Registry::default(),
            is_over: AtomicBool::new(false),
            waiting: Mutex::default(),
            about,
        });
        Self { shared }
    }

    /// A thread of the application has come to life or ended.
    pub fn on_change(&self, tid: Tid, lives: bool) {
        self.shared.census().on_change(tid, lives);
    }

    /// Writes the outputs from what was seen so far, as for one that asks for it.
    ///
    /// # Errors
    /// One line.
    pub fn pack(&self) -> Result<Packed, Refusal> {
        server::pack(&self.shared)
    }

    /// Everything that we follow has ended. Joined commands get a moment to end too; of those
    /// that do not, all that was seen until now is recorded.
    pub fn on_end_of_trace(&self) {
        self.shared.joined.close(LAST_CALL);
        self.shared.joined.flush(FLUSH);
        self.shared.is_over.store(true, Ordering::Relaxed);
    }

    /// Somebody wants the end. Where the outputs at the end are being written these hurry: whether
    /// that is so.
    pub fn hurry_if_over(&self) -> bool {
        self.shared.hurry_if_over()
    }

    /// Tells those who wait what became of the outputs, and gives them time to hear it.
    pub fn tell_outputs(&self, outcome: Result<Packed, String>) {
        let last = match outcome {
            Ok(packed) => Answer::Packed(packed),
            Err(error) => Answer::Error(Refusal::output(error)),
        };
        let last = line(&last);
        let mut waiting = std::mem::take(&mut *self.shared.waiting());
        waiting.retain_mut(|stream| {
            let _ = stream.set_write_timeout(Some(FAREWELL));
            stream.write_all(&last).is_ok() && stream.shutdown(Shutdown::Write).is_ok()
        });
        let deadline = Instant::now() + FAREWELL;
        for mut stream in waiting {
            // It closes its end when it has told its user.
            let left = deadline.saturating_duration_since(Instant::now());
            if !left.is_zero() && stream.set_read_timeout(Some(left)).is_ok() {
                let _ = stream.read(&mut [0]);
            }
        }
    }
}

impl Shared {
    fn status(&self) -> Result<Status, Refusal> {
        let seen = self.about.recorder.look(|recorder| {
            let seen = recorder.so_far();
            (seen.uses.len(), seen.execs.len(), recorder.losses())
        });
        let (paths, programs, losses) =
            seen.ok_or_else(|| Refusal::new("the trace has ended: the outputs are being written"))?;
        let (processes, lives) = {
            let census = self.census();
            (census.count(), census.main_lives())
        };
        let about = &self.about;
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id() as i32,
            engine: about.engine.name().to_owned(),
            uptime_ms: u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            command: about.argv.iter().cloned().map(ByteString).collect(),
            main: Main {
                pid: about.main,
                lives,
            },
            processes,
            paths: paths as u64,
            programs: programs as u64,
            losses: losses.into_iter().collect(),
            joined: self.joined.list(),
            outputs: about
                .outputs
                .iter()
                .map(|path| ByteString(path.as_os_str().as_bytes().to_vec()))
                .collect(),
        })
    }

    fn hurry_if_over(&self) -> bool {
        let is_over = self.is_over.load(Ordering::Relaxed);
        if is_over {
            hurry_up(&self.about.hurry);
        }
        is_over
    }

    fn census(&self) -> MutexGuard<'_, Census> {
        self.census.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<UnixStream>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
