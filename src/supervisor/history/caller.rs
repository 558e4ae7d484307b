//! A tracee that exists only here.

use crate::image_fs::{HostFs, walk};
use crate::image_path::ImagePath;
use crate::sys::Tid;
use crate::tracer::gains::Privileges;
use crate::tracer::tracees::{Link, NoLink, Tracees};
use std::io;
use std::sync::{Arc, Mutex};

/// Where the caller's memory begins.
pub const MAPPED: u64 = 0x1_0000;

/// A caller that has nothing but memory, which holds the paths of its call.
pub struct Caller {
    pub memory: Arc<Mutex<Vec<u8>>>,
    pub fs: HostFs,
}

impl Tracees for Caller {
    fn read(&mut self, _: Tid, address: u64, buffer: &mut [u8]) -> usize {
        let memory = self.memory.lock().expect("whole");
        let start = usize::try_from(address - MAPPED).expect("an address");
        let rest = memory.get(start..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        length
    }

    fn link(&mut self, _: Tid, _: Link) -> Result<ImagePath, NoLink> {
        Err(NoLink::Nothing)
    }

    fn is_refused(&self, _: Tid) -> bool {
        false
    }

    fn environment(&mut self, _: Tid) -> io::Result<Vec<u8>> {
        Ok(Vec::new())
    }

    fn exists(&mut self, path: &[u8], follow: bool) -> bool {
        ImagePath::new(path).is_some_and(|path| walk(&self.fs, &path, follow).end.is_ok())
    }

    fn privileges(&mut self, _: Tid) -> Option<Privileges> {
        None
    }

    fn may_gain(&mut self, _: &ImagePath) -> bool {
        false
    }

    fn on_start(&mut self, _: Tid) {}

    fn on_end(&mut self, _: Tid) {}

    fn runs_what_is_seen(&mut self, _: Tid) -> bool {
        true
    }

    fn holdings(&mut self, _: Tid) -> Vec<(&'static str, ImagePath)> {
        Vec::new()
    }

    fn executed(&mut self, _: Tid) -> Option<Vec<u8>> {
        None
    }
}
