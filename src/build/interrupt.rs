//! SIGINT, SIGTERM, SIGHUP and SIGQUIT: noted, and looked at between the steps, so that what was made in
//! the engine is removed before the end.

use nix::sys::signal::{SigSet, Signal};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

/// Whether one of these signals has come.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    signal: Arc<AtomicI32>,
}

impl Interrupt {
    /// Takes these signals from now on. To be called before another thread exists: it blocks them
    /// for this one and all that come. Started programs have none blocked (std's `Command`).
    ///
    /// # Errors
    /// When the thread that waits for them cannot be started.
    pub fn watch() -> std::io::Result<Self> {
        use Signal::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
        let taken: SigSet = [SIGINT, SIGTERM, SIGHUP, SIGQUIT].into_iter().collect();
        taken.thread_block()?;
        let interrupt = Self::default();
        let noted = interrupt.signal.clone();
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                while let Ok(signal) = taken.wait() {
                    noted.store(signal as i32, Ordering::SeqCst);
                }
            })?;
        Ok(interrupt)
    }

    /// One that has come.
    #[cfg(test)]
    pub fn of(signal: Signal) -> Self {
        let interrupt = Self::default();
        interrupt.signal.store(signal as i32, Ordering::SeqCst);
        interrupt
    }

    /// The signal that has come.
    pub fn signal(&self) -> Option<i32> {
        match self.signal.load(Ordering::SeqCst) {
            0 => None,
            signal => Some(signal),
        }
    }

    /// The signal that has come; it is as if it had not afterwards.
    pub fn take(&self) -> Option<i32> {
        match self.signal.swap(0, Ordering::SeqCst) {
            0 => None,
            signal => Some(signal),
        }
    }
}
