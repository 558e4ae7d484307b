//! Processes that run micropacker itself and have said so over the control socket: they trace on
//! their own, or use nothing that belongs into an image, and often live too shortly to be looked
//! at.

use crate::sys::Tid;
use std::sync::{Arc, Mutex, PoisonError};

/// Shared by whoever takes their connections and the finder.
#[derive(Clone, Default)]
pub struct Colleagues(Arc<Mutex<Vec<Tid>>>);

impl Colleagues {
    /// This process has spoken to us.
    pub fn announce(&self, pid: Tid) {
        self.lock().push(pid);
    }

    /// Who has, since the last time.
    pub fn take(&self) -> Vec<Tid> {
        std::mem::take(&mut self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Tid>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
