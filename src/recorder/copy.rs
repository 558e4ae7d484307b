//! Copies of files: by sharing blocks where that is possible, by the kernel where not, with the
//! holes left where they are.

use crate::sys;
use nix::errno::Errno;
use nix::unistd::{Whence, lseek};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::AsFd;

/// Copies all of `from` into the empty file `to`, unless that needs more than `room` bytes.
/// How many bytes were copied; `None` where there was no room, and then `to` is of no use.
///
/// # Errors
/// What reading the one or writing the other said.
pub fn copy(from: &mut File, to: &mut File, room: u64) -> io::Result<Option<u64>> {
    if sys::clone_file(from.as_fd(), to.as_fd()).is_ok() {
        return Ok(Some(0));
    }
    let length = from.metadata()?.len();
    let mut copied = 0;
    let mut position = 0;
    while position < length {
        let Some(start) = seek(from, position, Whence::SeekData)? else {
            break;
        };
        let end = seek(from, start, Whence::SeekHole)?.unwrap_or(length);
        let run = end.min(length).saturating_sub(start);
        if run == 0 {
            break;
        }
        if room - copied < run {
            return Ok(None);
        }
        from.seek(SeekFrom::Start(start))?;
        to.seek(SeekFrom::Start(start))?;
        // By copy_file_range(2) where both file systems can.
        let done = io::copy(&mut Read::take(&mut *from, run), to)?;
        if done < run {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        copied += run;
        position = start + run;
    }
    to.set_len(length)?;
    Ok(Some(copied))
}

/// `None` past the last data (lseek(2)).
fn seek(file: &File, offset: u64, whence: Whence) -> io::Result<Option<u64>> {
    let offset = i64::try_from(offset).map_err(io::Error::other)?;
    match lseek(file, offset, whence) {
        Ok(found) => Ok(u64::try_from(found).ok()),
        Err(Errno::ENXIO) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::MetadataExt;

    fn file() -> File {
        tempfile::tempfile().expect("a file")
    }

    fn content(file: &mut File) -> Vec<u8> {
        let mut content = Vec::new();
        file.rewind().expect("a regular file");
        file.read_to_end(&mut content).expect("read");
        content
    }

    #[test]
    fn a_copy_has_the_same_bytes_and_holes() {
        let (mut from, mut to) = (file(), file());
        from.set_len(8 << 20).expect("sparse");
        from.seek(SeekFrom::Start(4 << 20)).expect("seek");
        from.write_all(b"in the middle").expect("written");
        let copied = copy(&mut from, &mut to, 1 << 20).expect("copied");
        assert!(copied.expect("room") <= 1 << 16);
        assert_eq!(content(&mut from), content(&mut to));
        let blocks = |file: &File| file.metadata().expect("a file").blocks();
        assert!(blocks(&to) <= blocks(&from) + 16);
    }

    #[test]
    fn an_empty_file_and_one_that_is_a_hole_need_no_room() {
        for length in [0, 1 << 20] {
            let (mut from, mut to) = (file(), file());
            from.set_len(length).expect("a length");
            copy(&mut from, &mut to, 0).expect("copied").expect("room");
            assert_eq!(to.metadata().expect("a file").len(), length);
        }
    }

    #[test]
    fn without_room_nothing_is_taken_for_a_copy() {
        let (mut from, mut to) = (file(), file());
        from.write_all(&[7; 5000]).expect("written");
        let copied = copy(&mut from, &mut to, 4999).expect("tried");
        // Shared blocks need none.
        assert!(copied.is_none_or(|copied| copied == 0));
    }
}
