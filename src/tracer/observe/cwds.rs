//! Current directories of processes that change their IDs: some of them may not be looked at
//! afterwards, so that their relative paths can be told only from what was seen before.

use crate::image_path::ImagePath;
use crate::sys::Tid;
use std::collections::HashMap;

/// The directory each such thread was last seen in.
#[derive(Default)]
pub struct Cwds(HashMap<Tid, ImagePath>);

impl Cwds {
    /// A thread is in this directory now.
    pub fn remember(&mut self, tid: Tid, directory: ImagePath) {
        self.0.insert(tid, directory);
    }

    /// A child begins where its parent is.
    pub fn inherit(&mut self, tid: Tid, parent: Option<Tid>) {
        let directory = parent.and_then(|parent| self.0.get(&parent)).cloned();
        if let Some(directory) = directory {
            self.0.entry(tid).or_insert(directory);
        }
    }

    /// Whether a thread's directory has to be followed.
    pub fn tracks(&self, tid: Tid) -> bool {
        self.0.contains_key(&tid)
    }

    /// Where a thread was last seen.
    pub fn of(&self, tid: Tid) -> Option<&ImagePath> {
        self.0.get(&tid)
    }

    /// A thread has ended.
    pub fn forget(&mut self, tid: Tid) {
        self.0.remove(&tid);
    }
}
