//! Which processes are followed, for those who ask.

use super::protocol::Count;
use crate::sys::{self, Tid};
use std::collections::BTreeSet;

/// Processes, their further threads not counted.
#[derive(Debug)]
pub struct Census {
    main: Tid,
    live: BTreeSet<Tid>,
    ever: u64,
}

impl Census {
    /// Of a command that has just been started.
    pub fn new(main: Tid) -> Self {
        Self {
            main,
            live: BTreeSet::from([main]),
            ever: 1,
        }
    }

    /// A thread has come to life or ended.
    pub fn on_change(&mut self, tid: Tid, lives: bool) {
        if !lives {
            self.live.remove(&tid);
        } else if sys::leads_a_process(tid) && self.live.insert(tid) {
            self.ever += 1;
        }
    }

    /// Now and ever.
    pub fn count(&self) -> Count {
        Count {
            now: self.live.len() as u64,
            ever: self.ever,
        }
    }

    /// Whether the command itself lives.
    pub fn main_lives(&self) -> bool {
        self.live.contains(&self.main)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_not_counted_and_the_dead_are_remembered() {
        let own = std::process::id() as Tid;
        let mut census = Census::new(1);
        census.on_change(own, true);
        census.on_change(own, true);
        let thread = std::thread::spawn(|| nix::unistd::gettid().as_raw());
        let thread = thread.join().expect("a thread ID");
        census.on_change(thread, true);
        assert_eq!(census.count(), Count { now: 2, ever: 2 });
        census.on_change(1, false);
        assert_eq!(census.count(), Count { now: 1, ever: 2 });
        assert!(!census.main_lives());
    }
}
