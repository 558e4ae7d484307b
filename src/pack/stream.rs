//! A tar stream that is counted and hashed while it is written.

use sha2::{Digest, Sha256};
use std::io::{self, Write};

/// Every header and every content fills whole blocks of this many bytes.
pub const BLOCK: u64 = 512;

const ZEROS: [u8; 16 * 1024] = [0; 16 * 1024];

/// Hands bytes on to a writer, and knows how many there were and their SHA-256.
pub struct Stream<'a> {
    out: &'a mut dyn Write,
    /// `None` where somebody else hashes.
    hash: Option<Sha256>,
    written: u64,
}

impl<'a> Stream<'a> {
    /// Starts with nothing written.
    pub fn new(out: &'a mut dyn Write) -> Self {
        Self {
            out,
            hash: Some(Sha256::new()),
            written: 0,
        }
    }

    /// Starts with nothing written, for a writer that hashes by itself.
    pub fn counted(out: &'a mut dyn Write) -> Self {
        Self {
            out,
            hash: None,
            written: 0,
        }
    }

    /// Goes on where so many bytes were written before, for a writer that hashes by itself.
    pub fn resumed(out: &'a mut dyn Write, written: u64) -> Self {
        Self {
            out,
            hash: None,
            written,
        }
    }

    /// How many bytes there were.
    pub fn position(&self) -> u64 {
        self.written
    }

    /// Writes `count` NUL bytes.
    pub fn zeros(&mut self, mut count: u64) -> io::Result<()> {
        while count > 0 {
            let chunk = count.min(ZEROS.len() as u64);
            // Cannot be cut short: `chunk` is at most the length of the array.
            self.write_all(&ZEROS[..chunk as usize])?;
            count -= chunk;
        }
        Ok(())
    }

    /// Fills the last block.
    pub fn pad(&mut self) -> io::Result<()> {
        self.zeros(self.written.next_multiple_of(BLOCK) - self.written)
    }

    /// Ends the archive with its two empty blocks; gives its length and SHA-256.
    pub fn finish(mut self) -> io::Result<(u64, [u8; 32])> {
        self.zeros(2 * BLOCK)?;
        self.flush()?;
        Ok(self.sum())
    }

    /// The length and SHA-256 of what was written; zeros where it is not hashed here.
    pub fn sum(self) -> (u64, [u8; 32]) {
        let hash = self.hash.map(|hash| hash.finalize().into());
        (self.written, hash.unwrap_or_default())
    }
}

impl Write for Stream<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        if let Some(hash) = &mut self.hash {
            hash.update(bytes.get(..written).unwrap_or(bytes));
        }
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
