//! A tar stream that is counted and hashed while it is written.

use sha2::{Digest, Sha256};
use std::io::{self, Write};

/// Every header and every content fills whole blocks of this many bytes.
pub const BLOCK: u64 = 512;

const ZEROS: [u8; 16 * 1024] = [0; 16 * 1024];

/// Hands bytes on to a writer, and knows how many there were and their SHA-256.
pub struct Stream<'a> {
    out: &'a mut dyn Write,
    hash: Sha256,
    written: u64,
}

impl<'a> Stream<'a> {
    /// Starts with nothing written.
    pub fn new(out: &'a mut dyn Write) -> Self {
        Self {
            out,
            hash: Sha256::new(),
            written: 0,
        }
    }

    /// Writes all of `bytes`.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.hash.update(bytes);
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Writes `count` NUL bytes.
    pub fn zeros(&mut self, mut count: u64) -> io::Result<()> {
        while count > 0 {
            let chunk = count.min(ZEROS.len() as u64);
            // Cannot be cut short: `chunk` is at most the length of the array.
            self.write(&ZEROS[..chunk as usize])?;
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
        self.out.flush()?;
        Ok((self.written, self.hash.finalize().into()))
    }
}
