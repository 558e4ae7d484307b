//! When to pass a signal on, when to insist, and when to end what is left: pure decisions.

use crate::sys::Tid;
use std::time::{Duration, Instant};

/// Where a signal that reached us comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Whomever it concerns has it already, and it is no word to us: a terminal's Ctrl-C, the
    /// application's own `kill 0`.
    Settled,
    /// It was sent to our whole process group: the command has it already.
    Group,
    /// This process sent it to us alone; 0 for one outside of our PID namespace.
    Process(Tid),
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Send the signal on to the command, with all that came along.
    PassOn,
    /// Send it on to our own parent.
    PassUp,
    /// Send this signal to everything that is followed.
    SignalAll(i32),
}

/// How long the rest may take once the command itself has ended on a stop request. As PID 1 the
/// command would have taken them along at once.
const GRACE: Duration = Duration::from_secs(1);

/// What comes so soon is no second request: timeout(1) signals us and our group, some send
/// SIGTERM and SIGINT at once.
const ONE_REQUEST: Duration = Duration::from_millis(500);

/// How long the command may take once a second stop signal has come.
const HURRY: Duration = Duration::from_secs(2);

/// The PID that stands for the application in a container: who signals it means the command.
const INIT: Tid = 1;

/// The state of stopping.
#[derive(Debug)]
pub struct StopPolicy {
    main: Tid,
    main_lives: bool,
    own: Tid,
    timeout: Option<Duration>,
    /// Since when.
    stopping: Option<Instant>,
    /// Whether those that outlive the command have been asked to end.
    rest_asked: bool,
    deadline: Option<Instant>,
}

impl StopPolicy {
    /// For a command that runs as `main` below us, `own`; `timeout` is how long it may take to
    /// end.
    pub fn new(main: Tid, own: Tid, timeout: Option<Duration>) -> Self {
        Self {
            main,
            main_lives: true,
            own,
            timeout,
            stopping: None,
            rest_asked: false,
            deadline: None,
        }
    }

    /// Whether a stop was asked for.
    pub fn is_stopping(&self) -> bool {
        self.stopping.is_some()
    }

    /// We received `signal`: it goes to the command once, however many of us have got it.
    pub fn on_signal(&mut self, signal: i32, source: Source, now: Instant) -> Vec<Order> {
        match source {
            Source::Settled => return Vec::new(),
            // What the command tells its parent is not for itself.
            Source::Process(sender) if sender == self.main && self.own != INIT => {
                return vec![Order::PassUp];
            }
            Source::Group | Source::Process(_) => {}
        }
        if is_stop_request(signal)
            && let Some(since) = self.stopping
        {
            if now >= since + ONE_REQUEST {
                self.limit(now + HURRY);
            }
        } else if is_stop_request(signal) {
            self.stopping = Some(now);
            self.rest_asked = !self.main_lives;
            self.deadline = self.timeout.map(|timeout| now + timeout);
        }
        match (self.main_lives, source) {
            (false, _) => vec![Order::SignalAll(signal)],
            (true, Source::Group) => Vec::new(),
            (true, _) => vec![Order::PassOn],
        }
    }

    /// The command itself has ended; others may live on.
    pub fn on_main_ended(&mut self) {
        self.main_lives = false;
    }

    /// Some time has passed.
    pub fn on_tick(&mut self, now: Instant) -> Vec<Order> {
        if self.stopping.is_none() {
            return Vec::new();
        }
        if let Some(deadline) = self.deadline
            && now >= deadline
        {
            return vec![Order::SignalAll(libc::SIGKILL)];
        }
        if !self.main_lives && !self.rest_asked {
            self.rest_asked = true;
            self.limit(now + GRACE);
            return vec![Order::SignalAll(libc::SIGTERM)];
        }
        Vec::new()
    }

    fn limit(&mut self, deadline: Instant) {
        self.deadline = Some(self.deadline.map_or(deadline, |known| known.min(deadline)));
    }
}

/// Whether a signal asks for the end of the application.
pub fn is_stop_request(signal: i32) -> bool {
    matches!(signal, libc::SIGTERM | libc::SIGINT | libc::SIGQUIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIN: Tid = 7;
    const OWN: Tid = 6;
    const OUTSIDE: Source = Source::Process(0);

    fn policy(timeout: Option<u64>) -> (StopPolicy, Instant) {
        let timeout = timeout.map(Duration::from_secs);
        (StopPolicy::new(MAIN, OWN, timeout), Instant::now())
    }

    #[test]
    fn each_signal_goes_to_the_command_once() {
        let (mut policy, now) = policy(None);
        for signal in [libc::SIGTERM, libc::SIGTERM, libc::SIGHUP, 64] {
            assert_eq!(policy.on_signal(signal, OUTSIDE, now), [Order::PassOn]);
        }
    }

    #[test]
    fn what_a_terminal_sent_to_everybody_is_not_sent_again() {
        let (mut policy, now) = policy(None);
        assert_eq!(policy.on_signal(libc::SIGINT, Source::Settled, now), []);
        assert!(!policy.is_stopping());
    }

    #[test]
    fn what_the_whole_group_was_sent_is_not_sent_again_but_heard() {
        let (mut policy, now) = policy(None);
        assert_eq!(policy.on_signal(libc::SIGHUP, Source::Group, now), []);
        assert!(!policy.is_stopping());
        assert_eq!(policy.on_signal(libc::SIGTERM, Source::Group, now), []);
        assert!(policy.is_stopping());
    }

    #[test]
    fn what_the_command_sends_its_parent_reaches_ours() {
        let (mut policy, now) = policy(None);
        let source = Source::Process(MAIN);
        let orders = policy.on_signal(libc::SIGTERM, source, now);
        assert_eq!(orders, [Order::PassUp]);
        assert!(!policy.is_stopping());
    }

    #[test]
    fn pid_1_stands_for_the_command() {
        let mut policy = StopPolicy::new(MAIN, INIT, None);
        let orders = policy.on_signal(libc::SIGTERM, Source::Process(MAIN), Instant::now());
        assert_eq!(orders, [Order::PassOn]);
        assert!(policy.is_stopping());
    }

    #[test]
    fn without_a_timeout_the_command_may_take_as_long_as_it_likes() {
        let (mut policy, now) = policy(None);
        policy.on_signal(libc::SIGTERM, OUTSIDE, now);
        assert_eq!(policy.on_tick(now + Duration::from_secs(3600)), []);
    }

    #[test]
    fn a_timeout_ends_everything() {
        let (mut policy, now) = policy(Some(5));
        policy.on_signal(libc::SIGTERM, OUTSIDE, now);
        assert_eq!(policy.on_tick(now + Duration::from_secs(4)), []);
        let orders = policy.on_tick(now + Duration::from_secs(5));
        assert_eq!(orders, [Order::SignalAll(libc::SIGKILL)]);
    }

    #[test]
    fn a_second_stop_signal_is_passed_on_and_hurries() {
        for timeout in [None, Some(60)] {
            let (mut policy, now) = policy(timeout);
            policy.on_signal(libc::SIGTERM, OUTSIDE, now);
            let later = now + Duration::from_secs(10);
            let orders = policy.on_signal(libc::SIGINT, OUTSIDE, later);
            assert_eq!(orders, [Order::PassOn]);
            assert_eq!(policy.on_tick(later + HURRY / 2), []);
            let orders = policy.on_tick(later + HURRY);
            assert_eq!(orders, [Order::SignalAll(libc::SIGKILL)]);
        }
    }

    #[test]
    fn signals_in_one_breath_are_one_request() {
        let (mut policy, now) = policy(None);
        policy.on_signal(libc::SIGTERM, OUTSIDE, now);
        let orders = policy.on_signal(libc::SIGTERM, OUTSIDE, now + ONE_REQUEST / 2);
        assert_eq!(orders, [Order::PassOn]);
        assert_eq!(policy.on_tick(now + Duration::from_secs(3600)), []);
    }

    #[test]
    fn a_third_one_gives_no_more_time_and_other_signals_do_not_hurry() {
        let (mut policy, now) = policy(None);
        policy.on_signal(libc::SIGTERM, OUTSIDE, now);
        policy.on_signal(libc::SIGHUP, OUTSIDE, now);
        assert_eq!(policy.on_tick(now + HURRY), []);
        policy.on_signal(libc::SIGTERM, OUTSIDE, now + HURRY);
        policy.on_signal(libc::SIGTERM, OUTSIDE, now + HURRY * 3 / 2);
        let orders = policy.on_tick(now + HURRY * 2);
        assert_eq!(orders, [Order::SignalAll(libc::SIGKILL)]);
    }

    #[test]
    fn what_outlives_a_stopped_command_is_asked_then_ended() {
        let (mut policy, now) = policy(None);
        policy.on_signal(libc::SIGTERM, OUTSIDE, now);
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
    }

    #[test]
    fn a_daemon_is_asked_once_and_may_take_its_time() {
        let (mut policy, now) = policy(None);
        policy.on_main_ended();
        let orders = policy.on_signal(libc::SIGTERM, OUTSIDE, now);
        assert_eq!(orders, [Order::SignalAll(libc::SIGTERM)]);
        assert_eq!(policy.on_tick(now + Duration::from_secs(3600)), []);
    }
}
