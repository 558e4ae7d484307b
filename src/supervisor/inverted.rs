//! The inverted mode: the command keeps the process that micropacker was started as, PID 1 for
//! instance, and its tracer is a child of it that it does not see. Nothing is passed on then, no
//! signal and no exit status: all that is the command's own.

use super::control::{About, Control};
use super::follow::{answer, choose, observe, raise_own_file_limit};
use super::keeping::Originals;
use super::{Request, SuperviseError, Traced};
use crate::recorder::RecorderThread;
use crate::sys::{self, Tid};
use crate::tracer::engine::{Choice, Follower, Pause, Watcher};
use crate::tracer::launch::inverted::{Attacher, Failed, Side, split};
use crate::tracer::launch::{LaunchError, Launched};
use crate::tracer::observe::Observer;
use crate::tracer::stop::End;
use crate::tracer::tracees::ProcTracees;
use crate::tracer::visitors::{self, Search, Visitors};
use crossbeam_channel::{Receiver, Sender, bounded};
use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::unistd::getppid;
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};
use std::sync::{Arc, Mutex, PoisonError};

/// Makes this process the command, traced by a child of ours. Call it before another thread is
/// started. Comes back only where the command does not run.
///
/// The tracer keeps no descriptor of ours but standard error and those that an output is written
/// to. It calls `conclude` once, when it has seen all that it will see; where the command
/// is PID 1, that is held at its end meanwhile.
pub fn supervise_inverted(request: Request, conclude: impl FnOnce(Traced)) -> SuperviseError {
    // As in a tracer's own child: it inherits what we are, and must be open to its tracer.
    let _ = nix::sys::prctl::set_dumpable(true);
    let choice = match choose(request.manner) {
        Ok(choice) => choice,
        Err(error) => return error,
    };
    let request = Request {
        visitors: request.visitors.settled(),
        ..request
    };
    let place = Place::of_this_process();
    let saved = sys::take_over_signals();
    match split() {
        Err(error) => error.into(),
        Ok(Side::Command(forerunner)) => {
            match forerunner.become_command(&request.command, &choice, &saved) {
                Failed::Launch(error) => error.into(),
                Failed::NotRun(not_run) => not_run.into(),
            }
        }
        Ok(Side::Tracer(attacher)) => {
            let status = match trace(attacher, request, choice, place, conclude) {
                Ok(()) => 0,
                Err(errno) => {
                    tracing::error!("{}", SuperviseError::Trace(errno));
                    i32::from(crate::exit::OUTPUT)
                }
            };
            sys::exit_now(status)
        }
    }
}

/// What the end of the command is the end of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// It is PID 1: of everybody, at once.
    Init,
    /// It is the child of PID 1 of a container, which is likely to end then.
    BelowInit,
    /// Of itself.
    Elsewhere,
}

impl Place {
    fn of_this_process() -> Self {
        if sys::is_init() {
            Place::Init
        } else if getppid().as_raw() == 1 && visitors::in_container() {
            Place::BelowInit
        } else {
            Place::Elsewhere
        }
    }
}

/// The tracer's whole life. An error is one that no rule explains; the command is killed by our
/// end then.
fn trace(
    attacher: Attacher,
    request: Request,
    choice: Choice,
    place: Place,
    conclude: impl FnOnce(Traced),
) -> nix::Result<()> {
    let _ = nix::unistd::setsid();
    match Trace::prepare(&attacher, request, choice) {
        Ok(trace) => trace.follow(place, conclude),
        Err(error) => {
            attacher.refuse(&error);
            Ok(())
        }
    }
}

/// The end of what the command shares with nobody but us: a reader of its pipes must see their
/// end.
fn leave_descriptors(channel: RawFd, streams: &BTreeSet<RawFd>) -> io::Result<()> {
    const STANDARD_ERROR: RawFd = 2;
    let mut kept = vec![STANDARD_ERROR, channel];
    kept.extend(streams);
    sys::close_all_but(&kept)?;
    // No file that is opened later may be taken for a standard stream.
    loop {
        let file = File::open("/dev/null").or_else(|_| File::open("/"))?;
        if file.as_raw_fd() > STANDARD_ERROR {
            return Ok(());
        }
        let _ = file.into_raw_fd();
    }
}

fn start_error(error: &io::Error) -> LaunchError {
    LaunchError::Start(error.raw_os_error().map_or(Errno::EAGAIN, Errno::from_raw))
}

/// A command that is traced and waits for its tracer to be ready.
struct Trace {
    launched: Launched,
    choice: Choice,
    observer: Arc<Mutex<Observer<ProcTracees>>>,
    recorder: RecorderThread,
    control: Control,
    visitors: Option<Visitors>,
}

impl Trace {
    fn prepare(attacher: &Attacher, request: Request, choice: Choice) -> Result<Self, LaunchError> {
        let failed = |error: io::Error| start_error(&error);
        leave_descriptors(attacher.channel(), &request.kept).map_err(failed)?;
        let mut launched = attacher.attach(&choice)?;
        raise_own_file_limit();
        let argv = request.context.argv.clone();
        let (recorder, mut emitter) =
            RecorderThread::start(request.context, request.journal).map_err(failed)?;
        let (hush, pack) = (visitors::Hush::default(), request.pack);
        let hushed = hush.clone();
        let colleagues = visitors::Colleagues::default();
        let announced = colleagues.clone();
        let originals = Originals::new(request.spool, recorder.handle(), request.originals)
            .noting(request.missing);
        let control = Control::start(About {
            recorder: recorder.handle(),
            originals: originals.clone(),
            engine: choice.engine,
            counts_calls: choice.counts_calls,
            argv,
            main: launched.pid,
            stopped_by: launched.pid,
            hurry: request.hurry,
            outputs: request.outputs,
            pack: Arc::new(move |recording| hushed.during(|| pack(recording))),
            greet: Box::new(move |pid| announced.announce(pid)),
        });
        if let Some(meanwhile) = request.meanwhile {
            meanwhile(recorder.handle(), hush.clone());
        }
        let observer = observe(&choice, originals.keeping(), move |event| {
            emitter.emit(event)
        });
        if let Some(listener) = launched.listener.take() {
            answer(listener, &observer).map_err(failed)?;
        }
        let ties = (hush, colleagues);
        let search = Search {
            visitors: request.visitors,
            released: choice.releases_gains,
        };
        let visitors = Visitors::start(search, launched.pid, ties, &observer);
        Ok(Self {
            visitors: visitors.map_err(failed)?,
            launched,
            choice,
            observer,
            recorder,
            control,
        })
    }

    fn follow(self, place: Place, conclude: impl FnOnce(Traced)) -> nix::Result<()> {
        let main = self.launched.pid;
        let observer = Arc::clone(&self.observer);
        let mut watchers = Watchers {
            early: EarlyPacking::start(&self.control),
            control: self.control.clone(),
        };
        let door = self.visitors.as_ref();
        let door = door.map(|visitors| Arc::clone(visitors.door()));
        self.launched.go();
        let mut follower = Follower::new(main, &self.choice, &observer, &mut watchers)
            .with_visitors(door)
            .to_its_end(main);
        let mut rest = Some((self, conclude));
        loop {
            let (end, is_over) = match follower.follow()? {
                Pause::MainEnds(end) => (end, false),
                Pause::Over(outcome) => (outcome.end, true),
            };
            // It tells by itself why it could not become the command.
            let is_null = !follower.ran() && matches!(end, End::Exited(_));
            let is_last = is_over || place == Place::Init || follower.main_is_alone();
            match rest.take() {
                Some(_) if is_null => {}
                Some((trace, conclude)) if is_last => {
                    trace.finish(end, conclude, || {
                        if place == Place::Init {
                            follower.kill_others();
                        }
                    });
                }
                Some((trace, conclude)) => {
                    if place == Place::BelowInit {
                        trace.pack_in_between();
                    }
                    rest = Some((trace, conclude));
                }
                None => {}
            }
            if is_over {
                return Ok(());
            }
            follower.let_main_end()?;
        }
    }

    /// Nothing more will be seen. `silence` ends those that nobody waits for.
    fn finish(self, end: End, conclude: impl FnOnce(Traced), silence: impl FnOnce()) {
        if let Some(visitors) = self.visitors {
            visitors.finish();
        }
        self.control.on_end_of_trace();
        silence();
        self.observer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .close();
        match self.recorder.finish(end.exit_status()) {
            Some(recording) => conclude(Traced {
                end,
                recording,
                choice: self.choice,
                control: self.control,
            }),
            None => tracing::error!("no output is written: the recorder failed"),
        }
    }

    /// The command ends, and the container with it, it may be; others live on for all that is
    /// known.
    fn pack_in_between(&self) {
        match self.control.pack() {
            Ok(packed) => tracing::info!(
                "{}; the command has ended, others of it go on",
                packed.summary
            ),
            Err(refusal) => tracing::warn!("nothing is packed at the command's end: {refusal}"),
        }
    }
}

struct Watchers {
    control: Control,
    early: EarlyPacking,
}

impl Watcher for Watchers {
    fn on_change(&mut self, tid: Tid, lives: bool) {
        self.control.on_change(tid, lives);
    }

    // Whoever has to see the command stop sees it.
    fn on_stopped(&mut self, _: Tid, _: i32) {}

    fn on_vain_stop(&mut self, signal: i32) {
        self.early.ask(signal);
    }
}

/// Packing when somebody wants the end and the command does not: what comes next is SIGKILL, in
/// ten seconds perhaps.
struct EarlyPacking(Sender<i32>);

impl EarlyPacking {
    /// Starts two threads. Without them there are no early outputs.
    fn start(control: &Control) -> Self {
        let (sender, signals) = bounded(1);
        let (control, ending) = (control.clone(), control.clone());
        let pack = move || pack_early(&control, &signals);
        let early = Self(sender);
        let to_us = Self(early.0.clone());
        // Whoever tells all processes to end tells us as well.
        let listen = move || {
            loop {
                let signal = sys::wait_signal(None).map(|received| received.signal);
                if let Some(signal @ (libc::SIGTERM | libc::SIGINT | libc::SIGQUIT)) = signal
                    && !ending.hurry_if_over()
                {
                    to_us.ask(signal);
                }
            }
        };
        let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
        let started = thread("early")
            .spawn(pack)
            .and_then(|_| thread("signals").spawn(listen));
        if let Err(error) = started {
            tracing::warn!("no outputs will be written before the end: {error}");
        }
        early
    }

    /// While it is at work one more may wait: what that one will pack is the newest.
    fn ask(&self, signal: i32) {
        let _ = self.0.try_send(signal);
    }
}

fn pack_early(control: &Control, signals: &Receiver<i32>) {
    for signal in signals {
        let name = Signal::try_from(signal).map_or("a signal", Signal::as_str);
        match control.pack() {
            Ok(packed) => tracing::info!(
                "{}; packed early: {name} has not ended the application",
                packed.summary
            ),
            Err(refusal) => tracing::warn!(
                "{name} has not ended the application, and nothing is packed before its end: \
                 {refusal}"
            ),
        }
    }
}
