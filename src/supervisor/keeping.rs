//! Originals of files that are about to be changed: one place where all who trace have them kept.

use super::missing::Missing;
use crate::event::Event;
use crate::image_fs::{HostFs, ImageFs, Meta};
use crate::image_path::ImagePath;
use crate::past::Past;
use crate::recorder::RecorderHandle;
use crate::recorder::spool::Spool;
use crate::recording::{Access, Level, Origin, Original, Place};
use crate::tracer::observe::Keeper;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What an observer needs to have originals kept.
pub struct Keeping {
    /// What has happened to the tree, shared by all of this process who observe it.
    pub past: Arc<Mutex<Past>>,
    /// Who keeps.
    pub keeper: Box<dyn Keeper + Send>,
}

/// The originals of a recording, kept by whoever is about to change them.
#[derive(Clone)]
pub struct Originals {
    past: Arc<Mutex<Past>>,
    spool: Arc<Mutex<Spool>>,
    recorder: RecorderHandle,
    missing: Option<Arc<Mutex<Missing>>>,
}

impl Originals {
    /// Those that this recorder is told of; some may be kept already.
    pub fn new(spool: Arc<Mutex<Spool>>, recorder: RecorderHandle, kept: Vec<Original>) -> Self {
        let mut past = Past::default();
        kept.iter().for_each(|original| past.note(original));
        recorder.record(kept.into_iter().map(Event::Kept).collect());
        Self {
            past: Arc::new(Mutex::new(past)),
            spool,
            recorder,
            missing: None,
        }
    }

    /// What our own observer is asked for and is not there is written down there.
    #[must_use]
    pub fn noting(mut self, missing: Option<Missing>) -> Self {
        self.missing = missing.map(|missing| Arc::new(Mutex::new(missing)));
        self
    }

    /// For our own observer.
    pub fn keeping(&self) -> Keeping {
        Keeping {
            past: Arc::clone(&self.past),
            keeper: Box::new(self.clone()),
        }
    }

    /// Keeps what is at the path `now` for somebody else, who is this user where that matters, and
    /// returns when it is recorded. Whether it is kept.
    pub fn keep_for(&self, uid: Option<u32>, now: &ImagePath, level: Level) -> bool {
        let fs = HostFs::new("/");
        let Ok(meta) = fs.lstat(now) else {
            return false;
        };
        // Who may not change it need not have it kept, and must not fill the spool.
        if uid.is_some_and(|uid| !may_change(&fs, now, &meta, uid)) {
            return false;
        }
        let Some(then) = self.past().then_of(&fs, now) else {
            return false;
        };
        if !self.past().has_to_keep(&then, &meta, level) {
            return self.past().is_kept(&then);
        }
        let Some(original) = self.spool().keep(&then, now, level) else {
            self.past().disregard(&then);
            return false;
        };
        self.past().note(&original);
        let loss = original.loss().map(Event::Lost);
        let kept = std::iter::once(Event::Kept(original)).chain(loss);
        self.recorder.record(kept.collect());
        self.recorder.look(|_| ()).is_some()
    }

    /// Somebody else tells what they are about to do. Whether that is to be recorded.
    pub fn on_told(&self, event: &Event, fs: &dyn ImageFs) -> bool {
        match event {
            Event::Created(made) => self.past().add_made(fs, made.clone()),
            Event::Moved { from, to } => return self.past().moved(from, to),
            _ => {}
        }
        true
    }

    fn past(&self) -> MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spool(&self) -> MutexGuard<'_, Spool> {
        self.spool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keeper for Originals {
    fn keep(&mut self, then: &ImagePath, now: &ImagePath, level: Level) -> Option<Original> {
        self.spool().keep(then, now, level)
    }

    fn settle(&mut self) {
        // After the end of the recording nothing is changed under trace any more.
        let _ = self.recorder.look(|_| ());
    }

    fn wants_absent(&self) -> bool {
        self.missing.is_some()
    }

    fn absent(&mut self, place: &Place, access: Access, origin: Origin) {
        if let Some(missing) = &self.missing {
            let mut missing = missing.lock().unwrap_or_else(PoisonError::into_inner);
            missing.note(place, access, &origin);
        }
    }
}

/// Whether a user without privileges may change a file or take its name away, as far as owners
/// and modes tell; rather yes than no.
fn may_change(fs: &dyn ImageFs, path: &ImagePath, meta: &Meta, uid: u32) -> bool {
    const OTHERS_WRITE: u32 = 0o022;
    let is_open = |meta: &Meta| meta.uid == uid || meta.mode & OTHERS_WRITE != 0;
    let parent = path.parent().and_then(|parent| fs.lstat(&parent).ok());
    is_open(meta) || parent.is_some_and(|parent| is_open(&parent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image_fs::{FileKind, MemFs};

    #[test]
    fn who_may_not_change_a_file_has_nothing_kept() {
        let fs = MemFs::new()
            .file("/etc/passwd", "")
            .node("/srv/shared", FileKind::Regular, 0o666, "")
            .file("/tmp/x", "")
            .with_meta("/tmp", |meta| meta.mode = 0o1777);
        for (text, expected) in [
            ("/etc/passwd", false),
            ("/srv/shared", true),
            ("/tmp/x", true),
        ] {
            let path = ImagePath::new(text).expect("absolute");
            let meta = fs.lstat(&path).expect("there");
            assert_eq!(may_change(&fs, &path, &meta, 1000), expected, "{text}");
            assert!(may_change(&fs, &path, &meta, 0));
        }
    }
}
