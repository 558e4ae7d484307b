//! Files that share their blocks (ioctl_ficlone(2)).

use nix::errno::Errno;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `FICLONE` of <linux/fs.h>, which libc does not have for every target.
const FICLONE: u32 = 0x4004_9409;

/// Makes `to` hold what `from` holds, without copying it.
///
/// # Errors
/// EOPNOTSUPP, EXDEV or EINVAL where the file systems cannot share blocks.
pub fn clone_file(from: BorrowedFd, to: BorrowedFd) -> nix::Result<()> {
    // The type of a request differs between C libraries.
    let request = FICLONE as _;
    // SAFETY: two open descriptors and a plain number; the kernel checks them.
    if unsafe { libc::ioctl(to.as_raw_fd(), request, from.as_raw_fd()) } == -1 {
        return Err(Errno::last());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::{Read, Seek, Write};
    use std::os::fd::AsFd;

    #[test]
    fn a_clone_holds_the_same_or_is_refused() {
        let mut from = tempfile::tempfile().expect("a file");
        let mut to: File = tempfile::tempfile().expect("a file");
        from.write_all(b"content").expect("written");
        let mut text = String::new();
        match clone_file(from.as_fd(), to.as_fd()) {
            Ok(()) => {
                to.rewind().expect("a regular file");
                to.read_to_string(&mut text).expect("read");
                assert_eq!(text, "content");
            }
            Err(errno) => assert!(
                matches!(errno, Errno::EOPNOTSUPP | Errno::EINVAL | Errno::ENOTTY),
                "{errno}"
            ),
        }
    }
}
