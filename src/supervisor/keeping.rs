//! Originals of files that the application is about to change: who keeps them.

use crate::image_path::ImagePath;
use crate::past::Past;
use crate::recorder::RecorderHandle;
use crate::recorder::spool::Spool;
use crate::recording::{Level, Original};
use crate::tracer::observe::Keeper;
use std::sync::{Arc, Mutex, PoisonError};

/// What an observer needs to have originals kept.
pub struct Keeping {
    /// What has happened to the tree, shared by all who observe it.
    pub past: Arc<Mutex<Past>>,
    /// Who keeps.
    pub keeper: Box<dyn Keeper + Send>,
}

/// Keeps originals in our own spool.
pub struct SpoolKeeper {
    /// Shared by all who keep.
    pub spool: Arc<Mutex<Spool>>,
    /// Of the recording that tells of them.
    pub recorder: RecorderHandle,
}

impl Keeper for SpoolKeeper {
    fn keep(&mut self, then: &ImagePath, now: &ImagePath, level: Level) -> Option<Original> {
        let mut spool = self.spool.lock().unwrap_or_else(PoisonError::into_inner);
        spool.keep(then, now, level)
    }

    fn settle(&mut self) {
        // After the end of the recording nothing is changed under trace any more.
        let _ = self.recorder.look(|_| ());
    }
}
