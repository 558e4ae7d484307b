//! The thread that receives our signals and carries out the stop policy.

use super::stop_policy::{Order, Source, StopPolicy, is_stop_request};
use super::witness::Witness;
use crate::sys::{self, ComingStop, Received, Tid};
use crate::tracer::engine::Watcher;
use nix::unistd::{getpid, getppid};
use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often the policy is asked while a stop is under way.
const TICK: Duration = Duration::from_millis(50);

/// How long the command is watched for going on again before we stop as it has.
const SETTLING: Duration = Duration::from_millis(2);
const SETTLING_STEP: Duration = Duration::from_micros(200);

/// Shared between this thread and the ptrace loop.
struct State {
    policy: StopPolicy,
    live: BTreeSet<Tid>,
    main: Tid,
    witness: Option<Witness>,
    /// The trace is over: the outputs are being written.
    is_over: bool,
    hurry: Option<Arc<AtomicBool>>,
}

/// Handle on the signal thread, for the ptrace loop.
pub struct SignalThread {
    state: Arc<Mutex<State>>,
    stops_along: bool,
}

impl SignalThread {
    /// Starts it. All signals must be blocked already. `witness`: of the process group, where
    /// the command is in ours. `stops_along`: whether whoever watches us must see us stop as the
    /// command does. `hurry` is set by a stop signal that comes after [`Self::close`].
    pub fn start(
        main: Tid,
        timeout: Option<Duration>,
        witness: Option<Witness>,
        stops_along: bool,
        hurry: Option<Arc<AtomicBool>>,
    ) -> io::Result<Self> {
        let state = Arc::new(Mutex::new(State {
            policy: StopPolicy::new(main, getpid().as_raw(), timeout),
            live: BTreeSet::from([main]),
            main,
            witness,
            is_over: false,
            hurry,
        }));
        let shared = Arc::clone(&state);
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || receive(&shared))?;
        Ok(Self { state, stops_along })
    }

    /// The command has stopped by this signal: we do as it has, unless it has gone on meanwhile.
    ///
    /// Where the command is in our process group, a shell watches us in its place, and makes
    /// both go on by a signal to the group. One with a group of its own goes on by a signal to
    /// itself, and we must not stand still then.
    pub fn stop_along(&self, signal: i32, has_gone_on: impl Fn() -> bool) {
        if !self.stops_along {
            return;
        }
        // The witness forgets the stop that is over: it would stand against a later SIGCONT to us
        // alone.
        if signal != libc::SIGSTOP {
            lock(&self.state).group_has(signal);
        }
        let stop = ComingStop::prepare(signal);
        // What went on before the stop was prepared for is told by the next news of it.
        let until = Instant::now() + SETTLING;
        while Instant::now() < until {
            if has_gone_on() {
                return;
            }
            std::thread::sleep(SETTLING_STEP);
        }
        stop.stop();
    }

    /// The command has ended.
    pub fn on_end(&mut self, main: Tid) {
        self.on_change(main, false);
    }

    /// Nothing is left to be signalled.
    pub fn close(&self) {
        let mut state = lock(&self.state);
        state.witness = None;
        state.is_over = true;
    }
}

impl Watcher for SignalThread {
    fn on_change(&mut self, tid: Tid, lives: bool) {
        let mut state = lock(&self.state);
        if lives {
            state.live.insert(tid);
            return;
        }
        state.live.remove(&tid);
        if tid == state.main {
            state.policy.on_main_ended();
        }
    }

    /// Whoever started us must see the job stop: we stop as the command has. As PID 1 there is
    /// nobody to see it, and the kernel does not let us.
    fn on_stopped(&mut self, tid: Tid, signal: i32) {
        if sys::is_init() || tid != lock(&self.state).main {
            return;
        }
        self.stop_along(signal, || sys::has_news(tid));
    }
}

fn receive(state: &Mutex<State>) {
    loop {
        let ticks = {
            let state = lock(state);
            state.policy.is_stopping() && !state.is_over
        };
        let timeout = ticks.then_some(TICK);
        let received = sys::wait_signal(timeout);
        let mut state = lock(state);
        let now = Instant::now();
        if state.is_over {
            state.hurry_up(received.as_ref());
            continue;
        }
        let orders = match &received {
            Some(received) => {
                let source = state.source_of(received);
                state.policy.on_signal(received.signal, source, now)
            }
            None => state.policy.on_tick(now),
        };
        for order in orders {
            state.carry_out(order, received.as_ref());
        }
    }
}

impl State {
    fn source_of(&mut self, received: &Received) -> Source {
        // It is asked each time, so that it keeps nothing that would answer a later question.
        let group = self.group_has(received.signal);
        if received.from_kernel || (group && self.live.contains(&received.sender)) {
            Source::Settled
        } else if group {
            Source::Group
        } else {
            Source::Process(received.sender)
        }
    }

    /// Whether our process group has got this signal since it was last asked about it.
    fn group_has(&mut self, signal: i32) -> bool {
        let testimony = self.witness.as_mut().map(|it| it.has(signal));
        if let Some(Err(_)) = testimony {
            self.witness = None;
        }
        matches!(testimony, Some(Ok(true)))
    }

    /// Nobody is left to be signalled but us.
    fn hurry_up(&self, received: Option<&Received>) {
        let asked = received.is_some_and(|received| is_stop_request(received.signal));
        if let Some(hurry) = self.hurry.as_ref().filter(|_| asked) {
            hurry_up(hurry);
        }
    }

    /// Whoever has ended meanwhile needs no signal.
    fn carry_out(&self, order: Order, received: Option<&Received>) {
        match (order, received) {
            (Order::PassOn, Some(received)) => drop(received.pass_on(self.main)),
            (Order::PassUp, Some(received)) => {
                let parent = getppid().as_raw();
                if parent > 0 {
                    let _ = received.pass_on(parent);
                }
            }
            (Order::SignalAll(signal), _) => {
                // kill(2) takes a process for each of its threads: only the leader counts, or a
                // handler would run once for each.
                for tid in self.live.iter().filter(|tid| sys::leads_a_process(**tid)) {
                    let _ = sys::send_signal(*tid, signal);
                }
            }
            (Order::PassOn | Order::PassUp, None) => {}
        }
    }
}

/// Whoever writes the outputs is not to wait for the disk any more; that is told once.
pub fn hurry_up(hurry: &AtomicBool) {
    if !hurry.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            "another stop signal: the outputs are written whole, but not waited for until they are \
             on the disk"
        );
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
