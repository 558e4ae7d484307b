//! Lines from a peer that may send anything, at any pace.

use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Lines of bounded length.
pub struct Lines<R> {
    reader: BufReader<R>,
}

impl<R: Read> Lines<R> {
    /// Of this stream.
    pub fn new(stream: R) -> Self {
        Self {
            reader: BufReader::new(stream),
        }
    }

    /// The next line without its newline; `None` at the end of the stream.
    ///
    /// # Errors
    /// InvalidData for a line of more than `limit` bytes, UnexpectedEof for one that has no end.
    pub fn next(&mut self, limit: usize) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let most = limit as u64 + 1;
        let mut bounded = (&mut self.reader).take(most);
        bounded.read_until(b'\n', &mut line)?;
        match line.pop() {
            None => Ok(None),
            Some(b'\n') => Ok(Some(line)),
            Some(_) if line.len() >= limit => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("a line has more than {limit} bytes"),
            )),
            Some(_) => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "a line has no end",
            )),
        }
    }

    /// Whether the next line would have to be waited for, or its end would.
    pub fn is_drained(&self) -> bool {
        !self.reader.buffer().contains(&b'\n')
    }

    /// The stream below.
    pub fn stream(&mut self) -> &mut R {
        self.reader.get_mut()
    }
}

/// A stream that may be told until when it has time.
pub struct Timed {
    stream: UnixStream,
    deadline: Option<Instant>,
}

impl Timed {
    /// All reads together have this much time.
    pub fn new(stream: UnixStream, limit: Duration) -> Self {
        Self {
            stream,
            deadline: Some(Instant::now() + limit),
        }
    }

    /// Reads have all the time in the world from now on.
    ///
    /// # Errors
    /// What setsockopt(2) says.
    pub fn lift(&mut self) -> io::Result<()> {
        self.deadline = None;
        self.stream.set_read_timeout(None)
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(deadline) = self.deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.stream.set_read_timeout(Some(left))?;
        }
        self.stream.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_come_one_by_one_and_then_the_end() {
        let mut lines = Lines::new(&b"one\n\nthree\n"[..]);
        for expected in ["one", "", "three"] {
            let line = lines.next(5).expect("read").expect("a line");
            assert_eq!(line, expected.as_bytes());
        }
        assert_eq!(lines.next(5).expect("read"), None);
    }

    #[test]
    fn a_line_may_be_as_long_as_the_limit_and_no_longer() {
        let kind = |text: &[u8]| Lines::new(text).next(4).map_err(|error| error.kind());
        assert_eq!(kind(b"four\n"), Ok(Some(b"four".to_vec())));
        assert_eq!(kind(b"fives\n"), Err(io::ErrorKind::InvalidData));
        assert_eq!(kind(b"fives"), Err(io::ErrorKind::InvalidData));
        assert_eq!(kind(b"no"), Err(io::ErrorKind::UnexpectedEof));
    }

    #[test]
    fn a_peer_that_is_late_is_not_waited_for() {
        let (ours, _theirs) = UnixStream::pair().expect("a pair");
        let error = Lines::new(Timed::new(ours, Duration::ZERO)).next(4);
        assert_eq!(
            error.map_err(|error| error.kind()),
            Err(io::ErrorKind::TimedOut)
        );
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_lines_or_an_error(bytes: Vec<u8>, limit in 0usize..20) {
            let mut lines = Lines::new(&bytes[..]);
            let mut seen = 0;
            while let Ok(Some(line)) = lines.next(limit) {
                prop_assert!(line.len() <= limit);
                seen += line.len() + 1;
            }
            prop_assert!(seen <= bytes.len());
        }
    }
}
