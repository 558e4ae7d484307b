//! The list of what was packed, for `pack`.

use crate::image_fs::{FileKind, ImageFs};
use crate::manifest::{Manifest, Source};

/// The ancestor's list: one path a line. A listed directory would bring in all below it, so
/// only one that is empty is listed; a name that holds a newline cannot be.
pub fn file_list(fs: &dyn ImageFs, manifest: &Manifest, name: &str) -> Vec<u8> {
    let mut list = Vec::new();
    for (path, entry) in &manifest.entries {
        // What we made ourselves is nothing that `pack` could find.
        if matches!(entry.source, Source::Bytes { .. }) {
            continue;
        }
        let is_full = || !matches!(fs.list(path), Ok(names) if names.is_empty());
        if entry.kind == FileKind::Directory && is_full() {
            continue;
        }
        if path.as_bytes().contains(&b'\n') {
            tracing::warn!("{path} is not in {name}: a name in it cannot hold a newline");
            continue;
        }
        list.extend_from_slice(path.as_bytes());
        list.push(b'\n');
    }
    list
}
