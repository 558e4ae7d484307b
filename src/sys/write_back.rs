//! Having the kernel write to the disk what is still in memory.

use std::fs::File;
use std::os::fd::AsRawFd;

/// Has the kernel begin to write a file's content to the disk, all that it does not write yet
/// (sync_file_range(2)). Nothing is waited for, and a file system that cannot do it does not.
pub fn start_write_back(file: &File) {
    // SAFETY: plain numbers for a descriptor that lives as long as the borrow.
    unsafe { libc::sync_file_range(file.as_raw_fd(), 0, 0, libc::SYNC_FILE_RANGE_WRITE) };
}
