//! Bounded reads from a tracee's memory through `/proc/TID/mem` (proc_pid_mem(5)): works while
//! the tracee is not ptrace-stopped, where process_vm_readv(2) is forbidden, and after the
//! tracee has dropped its privileges if the file was opened before.

use super::credentials;
use crate::image_path::PATH_MAX;
use crate::sys::Tid;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

const PAGE: u64 = 4096;
/// Most paths are short: the first read takes no more than this.
const FIRST_READ: u64 = 256;
/// Beyond this many open files the longest-unused ones are closed.
const MAX_OPEN: usize = 512;

/// Memory files of the tracees, one per thread that was read from.
pub struct Memories {
    files: HashMap<Tid, Opened>,
    /// Threads whose memory may not be opened.
    refused: HashSet<Tid>,
    clock: u64,
    /// Whether it was told that no file can be opened.
    is_starved: bool,
}

struct Opened {
    file: File,
    last_use: u64,
}

impl Memories {
    /// With nothing open.
    pub fn new() -> Self {
        Self {
            files: HashMap::new(),
            refused: HashSet::new(),
            clock: 0,
            is_starved: false,
        }
    }

    /// Opens a thread's memory now, while that is surely allowed. Failure shows when it is read.
    pub fn open(&mut self, tid: Tid) {
        self.files.remove(&tid);
        if self.files.len() >= MAX_OPEN {
            self.close_longest_unused();
        }
        self.refused.remove(&tid);
        let path = format!("/proc/{tid}/mem");
        let open = || credentials::as_tracee(tid, || File::open(&path));
        let mut opened = open();
        while opened.as_ref().is_err_and(is_lack_of_files) && !self.files.is_empty() {
            self.close_longest_unused();
            opened = open();
        }
        match opened {
            Ok(file) => {
                self.clock += 1;
                let last_use = self.clock;
                self.files.insert(tid, Opened { file, last_use });
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.refused.insert(tid);
            }
            Err(error) if is_lack_of_files(&error) => self.tell_starved(&error),
            // It has ended.
            Err(_) => {}
        }
    }

    fn tell_starved(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.is_starved, true) {
            tracing::warn!(
                "{error}: what the application uses cannot be read, and files will be missing in \
                 the image: raise the limit of micropacker (ulimit -n, docker run --ulimit nofile)"
            );
        }
    }

    /// Closes a thread's memory: it ended, or runs a new program in a new address space.
    pub fn forget(&mut self, tid: Tid) {
        self.files.remove(&tid);
        self.refused.remove(&tid);
    }

    fn close_longest_unused(&mut self) {
        let mut uses: Vec<u64> = self.files.values().map(|opened| opened.last_use).collect();
        uses.sort_unstable();
        let limit = uses[uses.len() / 2];
        self.files.retain(|_, opened| opened.last_use > limit);
    }

    /// Reads up to `buffer.len()` bytes at `address`; fewer where the mapping ends. Any address
    /// may be given: what is not mapped reads as nothing.
    pub fn read(&mut self, tid: Tid, address: u64, buffer: &mut [u8]) -> usize {
        if let Some(read) = self.try_read(tid, address, buffer).filter(|read| *read > 0) {
            return read;
        }
        // The file may belong to an address space that an exec has replaced: it reads as empty.
        self.open(tid);
        self.try_read(tid, address, buffer).unwrap_or(0)
    }

    fn try_read(&mut self, tid: Tid, address: u64, buffer: &mut [u8]) -> Option<usize> {
        let opened = self.files.get_mut(&tid)?;
        self.clock += 1;
        opened.last_use = self.clock;
        opened.file.read_at(buffer, address).ok()
    }

    /// Whether this thread's memory may not be looked at.
    pub fn is_refused(&self, tid: Tid) -> bool {
        self.refused.contains(&tid)
    }
}

impl Default for Memories {
    fn default() -> Self {
        Self::new()
    }
}

fn is_lack_of_files(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// Reads a NUL-terminated path at `address` into `path`, without its NUL, through `read`, which
/// reads up to a buffer's length and less where the mapping ends. False for NULL, for what
/// cannot be read up to its NUL, and for more than [`PATH_MAX`] bytes: no path.
pub fn read_path(
    address: u64,
    path: &mut Vec<u8>,
    mut read: impl FnMut(u64, &mut [u8]) -> usize,
) -> bool {
    path.clear();
    if address == 0 {
        return false;
    }
    let mut chunk = [0; PAGE as usize];
    let mut at = address;
    let mut limit = FIRST_READ;
    while path.len() <= PATH_MAX {
        // Never across a page: the next one may not be mapped, and the path may end before.
        let length = (PAGE - at % PAGE).min(limit);
        let chunk = &mut chunk[..length as usize];
        let read = read(at, chunk);
        let chunk = &chunk[..read.min(chunk.len())];
        if let Some(end) = chunk.iter().position(|byte| *byte == 0) {
            path.extend_from_slice(&chunk[..end]);
            return path.len() <= PATH_MAX;
        }
        path.extend_from_slice(chunk);
        if (chunk.len() as u64) < length {
            return false;
        }
        let Some(next) = at.checked_add(length) else {
            return false;
        };
        at = next;
        limit = PAGE;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Memory that is mapped from `start` on, as far as `bytes` go.
    fn mapped(start: u64, bytes: &[u8]) -> impl FnMut(u64, &mut [u8]) -> usize + '_ {
        move |address, buffer| {
            assert_eq!(
                address / PAGE,
                (address + (buffer.len() as u64 - 1)) / PAGE,
                "a read crosses a page"
            );
            let Some(offset) = address.checked_sub(start).map(|offset| offset as usize) else {
                return 0;
            };
            let available = bytes.get(offset..).unwrap_or_default();
            let length = available.len().min(buffer.len());
            buffer[..length].copy_from_slice(&available[..length]);
            length
        }
    }

    fn path_at(address: u64, start: u64, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut path = Vec::new();
        read_path(address, &mut path, mapped(start, bytes)).then_some(path)
    }

    #[test]
    fn null_and_unmapped_addresses_are_no_path() {
        assert_eq!(path_at(0, 0, b"/etc\0"), None);
        assert_eq!(path_at(8, 0x1000, b"/etc\0"), None);
        assert_eq!(path_at(u64::MAX, 0x1000, b"/etc\0"), None);
    }

    #[test]
    fn a_path_may_end_with_the_last_mapped_byte() {
        let start = 0x2000 - 5;
        assert_eq!(path_at(start, start, b"/etc\0"), Some(b"/etc".to_vec()));
        assert_eq!(path_at(start, start, b"/etcx"), None);
    }

    #[test]
    fn a_path_may_cross_pages() {
        let mut bytes = vec![b'/'; 300];
        bytes.push(0);
        let start = 0x2000 - 100;
        assert_eq!(
            path_at(start, start, &bytes).map(|path| path.len()),
            Some(300)
        );
    }

    #[test]
    fn the_longest_path_is_4095_bytes() {
        let mut bytes = vec![b'x'; 4095];
        bytes.push(0);
        assert_eq!(
            path_at(0x1234, 0x1234, &bytes).map(|path| path.len()),
            Some(4095)
        );
        bytes.insert(0, b'x');
        assert_eq!(path_at(0x1234, 0x1234, &bytes), None);
    }
}
