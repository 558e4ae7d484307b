//! Writers: manifest to files. Each output is deterministic, is streamed, and gets its final
//! name only when it is complete.

mod header;
mod output;
mod pax;
mod sparse;
mod stream;
mod xattrs;

pub mod layer;

pub use layer::{LayerSummary, write_layer};
pub use output::{Output, OutputError};

use crate::image_path::ImagePath;
use std::io;
use thiserror::Error;

/// Why a file could not be written. Each is one line that names the path and the operation.
#[derive(Debug, Error)]
pub enum PackError {
    /// An entry that was there when the manifest was made is gone.
    #[error("{path} vanished before it was packed (cannot {operation} it): pack again")]
    Vanished {
        /// The entry.
        path: ImagePath,
        /// What was tried.
        operation: &'static str,
    },
    /// An entry could not be read.
    #[error("cannot {operation} {path}: {source}")]
    Read {
        /// The entry.
        path: ImagePath,
        /// What was tried.
        operation: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A file became shorter after its length had been written into its header.
    #[error("{path} shrank from {expected} to {found} bytes while it was packed: pack again")]
    Shrank {
        /// The file.
        path: ImagePath,
        /// Bytes when it was opened.
        expected: u64,
        /// Where reading it came to its end.
        found: u64,
    },
    /// The output could not be written; the message names it.
    #[error(transparent)]
    Output(OutputError),
    /// The output could not be written.
    #[error("cannot write the output: {0}")]
    Write(io::Error),
}

impl PackError {
    fn reading(path: &ImagePath, operation: &'static str, source: io::Error) -> Self {
        let path = path.clone();
        if source.kind() == io::ErrorKind::NotFound {
            return Self::Vanished { path, operation };
        }
        Self::Read {
            path,
            operation,
            source,
        }
    }

    /// An [`Output`] wraps its own error, which already names the file and the remedy.
    fn writing(error: io::Error) -> Self {
        match error.downcast::<OutputError>() {
            Ok(output) => Self::Output(output),
            Err(error) => Self::Write(error),
        }
    }
}
