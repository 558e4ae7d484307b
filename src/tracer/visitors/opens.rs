//! What inotify(7) tells of opened files: its records taken apart, and the paths they mean.

use crate::image_path::ImagePath;
use std::collections::{HashMap, HashSet};

/// Which events are asked for: opened files, and those that are made, which are not the image's.
pub const EVENTS: u32 = libc::IN_OPEN | libc::IN_CREATE | libc::IN_MOVED_TO;

/// `struct inotify_event` without its name.
const HEADER: usize = 16;

/// Opened files, each told once.
#[derive(Default)]
pub struct Opens {
    seen: HashSet<(i32, Vec<u8>)>,
    made: HashSet<(i32, Vec<u8>)>,
    /// Whether events were lost since the reader was too slow.
    pub overflowed: bool,
}

impl Opens {
    /// Takes in what read(2) gave; adds each file that was opened for the first time to `opened`.
    /// What `is_ours` is as if it were not opened. `directories` are the watches.
    pub fn take(
        &mut self,
        mut records: &[u8],
        is_ours: bool,
        directories: &HashMap<i32, ImagePath>,
        opened: &mut Vec<ImagePath>,
    ) {
        while let Some((header, rest)) = records.split_at_checked(HEADER) {
            let word = |index: usize| -> [u8; 4] {
                let mut word = [0; 4];
                word.copy_from_slice(&header[index * 4..index * 4 + 4]);
                word
            };
            let watch = i32::from_ne_bytes(word(0));
            let mask = u32::from_ne_bytes(word(1));
            let length = u32::from_ne_bytes(word(3)) as usize;
            let Some((name, rest)) = rest.split_at_checked(length) else {
                return;
            };
            records = rest;
            let end = name.iter().position(|byte| *byte == 0);
            if is_ours && mask & libc::IN_OPEN != 0 {
                continue;
            }
            self.on_event(
                watch,
                mask,
                &name[..end.unwrap_or(name.len())],
                directories,
                opened,
            );
        }
    }

    /// Tells files again that are opened again.
    pub fn forget(&mut self) {
        self.seen.clear();
    }

    fn on_event(
        &mut self,
        watch: i32,
        mask: u32,
        name: &[u8],
        directories: &HashMap<i32, ImagePath>,
        opened: &mut Vec<ImagePath>,
    ) {
        if mask & libc::IN_Q_OVERFLOW != 0 {
            self.overflowed = true;
            return;
        }
        // Directories are opened by us too, to find all of them.
        if mask & libc::IN_ISDIR != 0 || name.is_empty() {
            return;
        }
        let key = (watch, name.to_vec());
        if mask & libc::IN_OPEN == 0 {
            self.made.insert(key);
        } else if !self.made.contains(&key) && self.seen.insert(key) {
            opened.extend(
                directories
                    .get(&watch)
                    .and_then(|directory| directory.join(name)),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(watch: i32, mask: u32, name: &[u8], padding: usize) -> Vec<u8> {
        let length = (name.len() + padding) as u32;
        let mut record = watch.to_ne_bytes().to_vec();
        record.extend(mask.to_ne_bytes());
        record.extend(0u32.to_ne_bytes());
        record.extend(length.to_ne_bytes());
        record.extend(name);
        record.resize(record.len() + padding, 0);
        record
    }

    fn take(opens: &mut Opens, records: &[Vec<u8>]) -> Vec<String> {
        let etc = ImagePath::new("/etc").expect("absolute");
        let mut opened = Vec::new();
        opens.take(
            &records.concat(),
            false,
            &HashMap::from([(1, etc)]),
            &mut opened,
        );
        opened.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_opened_file_is_told_once() {
        let mut opens = Opens::default();
        let open = record(1, libc::IN_OPEN, b"passwd", 10);
        assert_eq!(
            take(&mut opens, &[open.clone(), open.clone()]),
            ["/etc/passwd"]
        );
        assert!(take(&mut opens, std::slice::from_ref(&open)).is_empty());
        opens.forget();
        assert_eq!(take(&mut opens, &[open]), ["/etc/passwd"]);
    }

    #[test]
    fn a_file_that_was_made_meanwhile_is_not_the_images() {
        let mut opens = Opens::default();
        for mask in [libc::IN_CREATE, libc::IN_MOVED_TO] {
            let made = record(1, mask, b"new", 5);
            assert!(take(&mut opens, &[made, record(1, libc::IN_OPEN, b"new", 5)]).is_empty());
        }
    }

    #[test]
    fn directories_and_watches_that_are_unknown_tell_nothing() {
        let mut opens = Opens::default();
        let listed = record(1, libc::IN_OPEN | libc::IN_ISDIR, b"ssl", 5);
        let itself = record(1, libc::IN_OPEN | libc::IN_ISDIR, b"", 0);
        assert!(
            take(
                &mut opens,
                &[listed, itself, record(9, libc::IN_OPEN, b"x", 7)]
            )
            .is_empty()
        );
    }

    #[test]
    fn an_overflow_is_noted() {
        let mut opens = Opens::default();
        take(&mut opens, &[record(-1, libc::IN_Q_OVERFLOW, b"", 0)]);
        assert!(opens.overflowed);
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            take(&mut Opens::default(), &[bytes]);
        }
    }
}
