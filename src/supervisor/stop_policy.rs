//! When to pass a signal on, when to insist, and when to end what is left: pure decisions.

use crate::sys::Tid;
use std::time::{Duration, Instant};

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Send this signal to this process.
    Signal(Tid, i32),
    /// Send this signal to everything that is followed.
    SignalAll(i32),
}

/// How long the rest may take once the command itself has ended on a stop request. As PID 1 the
/// command would have taken them along at once.
const GRACE: Duration = Duration::from_secs(1);

/// The state of stopping.
#[derive(Debug)]
pub struct StopPolicy {
    main: Tid,
    main_lives: bool,
    timeout: Option<Duration>,
    terminations: u32,
    stopping: bool,
    deadline: Option<Instant>,
}

impl StopPolicy {
    /// For a command that runs as `main`; `timeout` is how long it may take to end.
    pub fn new(main: Tid, timeout: Option<Duration>) -> Self {
        Self {
            main,
            main_lives: true,
            timeout,
            terminations: 0,
            stopping: false,
            deadline: None,
        }
    }

    /// Whether a stop was asked for.
    pub fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// We received `signal`. What the kernel sends from a terminal, the whole foreground group
    /// has received already; everything else goes to the command, once.
    pub fn on_signal(&mut self, signal: i32, from_kernel: bool, now: Instant) -> Vec<Order> {
        if from_kernel || signal == libc::SIGCHLD {
            return Vec::new();
        }
        if signal == libc::SIGTERM {
            self.terminations += 1;
            if self.terminations > 1 {
                return vec![Order::SignalAll(libc::SIGKILL)];
            }
        }
        if matches!(signal, libc::SIGTERM | libc::SIGINT | libc::SIGQUIT) && !self.stopping {
            self.stopping = true;
            self.deadline = self.timeout.map(|timeout| now + timeout);
        }
        vec![if self.main_lives {
            Order::Signal(self.main, signal)
        } else {
            Order::SignalAll(signal)
        }]
    }

    /// The command itself has ended; others may live on.
    pub fn on_main_ended(&mut self) {
        self.main_lives = false;
    }

    /// Some time has passed.
    pub fn on_tick(&mut self, now: Instant) -> Vec<Order> {
        if !self.stopping {
            return Vec::new();
        }
        if let Some(deadline) = self.deadline
            && now >= deadline
        {
            return vec![Order::SignalAll(libc::SIGKILL)];
        }
        let grace_ends = now + GRACE;
        if !self.main_lives && self.deadline.is_none_or(|deadline| deadline > grace_ends) {
            self.deadline = Some(grace_ends);
            return vec![Order::SignalAll(libc::SIGTERM)];
        }
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIN: Tid = 7;

    fn policy(timeout: Option<u64>) -> (StopPolicy, Instant) {
        let timeout = timeout.map(Duration::from_secs);
        (StopPolicy::new(MAIN, timeout), Instant::now())
    }

    #[test]
    fn each_signal_goes_to_the_command_once() {
        let (mut policy, now) = policy(None);
        for signal in [libc::SIGTERM, libc::SIGHUP, libc::SIGUSR1, 64] {
            let orders = policy.on_signal(signal, false, now);
            assert_eq!(orders, [Order::Signal(MAIN, signal)]);
        }
    }

    #[test]
    fn what_a_terminal_sent_to_everybody_is_not_sent_again() {
        let (mut policy, now) = policy(None);
        assert_eq!(policy.on_signal(libc::SIGINT, true, now), []);
        assert!(!policy.is_stopping());
    }

    #[test]
    fn a_second_sigterm_ends_everything() {
        let (mut policy, now) = policy(None);
        policy.on_signal(libc::SIGTERM, false, now);
        let orders = policy.on_signal(libc::SIGTERM, false, now);
        assert_eq!(orders, [Order::SignalAll(libc::SIGKILL)]);
    }

    #[test]
    fn without_a_timeout_the_command_may_take_as_long_as_it_likes() {
        let (mut policy, now) = policy(None);
        policy.on_signal(libc::SIGTERM, false, now);
        assert_eq!(policy.on_tick(now + Duration::from_secs(3600)), []);
    }

    #[test]
    fn a_timeout_ends_everything() {
        let (mut policy, now) = policy(Some(5));
        policy.on_signal(libc::SIGTERM, false, now);
        assert_eq!(policy.on_tick(now + Duration::from_secs(4)), []);
        let orders = policy.on_tick(now + Duration::from_secs(5));
        assert_eq!(orders, [Order::SignalAll(libc::SIGKILL)]);
    }

    #[test]
    fn what_outlives_a_stopped_command_is_asked_then_ended() {
        let (mut policy, now) = policy(None);
        policy.on_signal(libc::SIGTERM, false, now);
        policy.on_main_ended();
        assert_eq!(policy.on_tick(now), [Order::SignalAll(libc::SIGTERM)]);
        assert_eq!(policy.on_tick(now), []);
        let orders = policy.on_tick(now + GRACE);
        assert_eq!(orders, [Order::SignalAll(libc::SIGKILL)]);
    }

    #[test]
    fn daemons_live_on_when_the_command_ends_by_itself() {
        let (mut policy, now) = policy(Some(1));
        policy.on_main_ended();
        assert_eq!(policy.on_tick(now + Duration::from_secs(10)), []);
        let orders = policy.on_signal(libc::SIGTERM, false, now);
        assert_eq!(orders, [Order::SignalAll(libc::SIGTERM)]);
    }
}
