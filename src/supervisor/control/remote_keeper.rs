//! How a joined command has originals kept: the supervisor keeps them, and its tracee waits.

use super::protocol::Told;
use super::session::Order;
use crate::image_fs::{FileKind, HostFs, ImageFs};
use crate::image_path::ImagePath;
use crate::recording::{Body, Level, Original};
use crate::tracer::observe::Keeper;
use crossbeam_channel::{Receiver, Sender};

/// Asks the supervisor to keep.
pub struct SessionKeeper {
    orders: Sender<Order>,
    answers: Receiver<(u64, bool)>,
    last: u64,
    fs: HostFs,
}

impl SessionKeeper {
    /// Asks by way of the thread that talks, and hears from the one that listens.
    pub(super) fn new(orders: Sender<Order>, answers: Receiver<(u64, bool)>) -> Self {
        Self {
            orders,
            answers,
            last: 0,
            fs: HostFs::new("/"),
        }
    }
}

impl Keeper for SessionKeeper {
    /// What is told here is never recorded: it is only remembered what the file was.
    fn keep(&mut self, then: &ImagePath, now: &ImagePath, level: Level) -> Option<Original> {
        let meta = self.fs.lstat(now).ok()?;
        self.last += 1;
        let told = Told::Keep {
            number: self.last,
            path: now.clone(),
            level,
        };
        self.orders.send(Order::Keep(told)).ok()?;
        // When the supervisor is gone nobody answers, and nothing is recorded any more.
        let kept = loop {
            let (number, kept) = self.answers.recv().ok()?;
            if number == self.last {
                break kept;
            }
        };
        let body = match (meta.kind, level) {
            (FileKind::Regular, Level::Meta) => Body::InPlace,
            _ => Body::None,
        };
        kept.then(|| Original {
            path: then.clone(),
            meta,
            xattrs: Vec::new(),
            body,
        })
    }

    /// The supervisor has answered, so it has recorded.
    fn settle(&mut self) {}
}
