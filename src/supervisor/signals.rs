//! The thread that receives our signals and carries out the stop policy.

use super::stop_policy::{Order, StopPolicy};
use crate::sys::{self, Tid};
use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often the policy is asked while a stop is under way.
const TICK: Duration = Duration::from_millis(50);

/// Shared between this thread and the ptrace loop.
struct State {
    policy: StopPolicy,
    live: BTreeSet<Tid>,
    main: Tid,
}

/// Handle on the signal thread, for the ptrace loop.
pub struct SignalThread {
    state: Arc<Mutex<State>>,
}

impl SignalThread {
    /// Starts it. All signals must be blocked already.
    pub fn start(main: Tid, timeout: Option<Duration>) -> io::Result<Self> {
        let state = Arc::new(Mutex::new(State {
            policy: StopPolicy::new(main, timeout),
            live: BTreeSet::from([main]),
            main,
        }));
        let shared = Arc::clone(&state);
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || receive(&shared))?;
        Ok(Self { state })
    }

    /// A thread of the application has come to life or ended.
    pub fn on_change(&self, tid: Tid, lives: bool) {
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
}

fn receive(state: &Mutex<State>) {
    loop {
        let timeout = lock(state).policy.is_stopping().then_some(TICK);
        let received = sys::wait_signal(timeout);
        let mut state = lock(state);
        let now = Instant::now();
        let orders = match received {
            Some((signal, from_kernel)) => state.policy.on_signal(signal, from_kernel, now),
            None => state.policy.on_tick(now),
        };
        for order in orders {
            // Whoever has ended meanwhile needs no signal.
            match order {
                Order::Signal(pid, signal) => drop(sys::send_signal(pid, signal)),
                Order::SignalAll(signal) => {
                    for tid in state.live.iter().filter(|tid| leads_a_process(**tid)) {
                        let _ = sys::send_signal(*tid, signal);
                    }
                }
            }
        }
    }
}

/// kill(2) takes a process for each of its threads: only the leader counts, or a handler would
/// run once for each.
fn leads_a_process(tid: Tid) -> bool {
    std::fs::read_to_string(format!("/proc/{tid}/status")).is_ok_and(|status| {
        status
            .lines()
            .find_map(|line| line.strip_prefix("Tgid:"))
            .is_some_and(|tgid| tgid.trim() == tid.to_string())
    })
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
