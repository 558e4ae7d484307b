//! Small outputs that are written in one go, and the time that all of them carry.

use crate::image_fs::FileTime;
use crate::pack::Output;
use anyhow::{Context, Result};
use std::io::Write;
use std::path::Path;

/// Writes a file that gets its name only when it is complete.
///
/// # Errors
/// Names the file and the remedy.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut output = Output::create(path)?;
    output
        .write_all(bytes)
        .with_context(|| format!("cannot write {}", path.display()))?;
    output.commit()?;
    Ok(())
}

/// <https://reproducible-builds.org/specs/source-date-epoch/>
///
/// # Errors
/// When the variable holds no number.
pub fn source_date_epoch() -> Result<Option<FileTime>> {
    let Some(value) = std::env::var_os("SOURCE_DATE_EPOCH") else {
        return Ok(None);
    };
    let seconds = value
        .to_str()
        .and_then(|text| text.parse().ok())
        .with_context(|| {
            format!("SOURCE_DATE_EPOCH is {value:?}: give whole seconds since 1970")
        })?;
    Ok(Some(FileTime {
        seconds,
        nanoseconds: 0,
    }))
}
