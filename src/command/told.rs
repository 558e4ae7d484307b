//! What the user is told of a manifest: what stays out, what was lost, and what others changed.

use super::Failure;
use crate::exit;
use crate::image_fs::{FileKind, FileTime, ImageFs};
use crate::image_path::ImagePath;
use crate::manifest::{Exclusion, Manifest, Source};
use crate::pack::LayerSummary;
use crate::recording::{Loss, Recording};
use anyhow::Result;

/// How many names a line shows.
const SHOWN: usize = 3;

/// Whether all could be read that the image needs.
///
/// # Errors
/// Names what could not be read since the machine failed.
pub fn check_failures(manifest: &Manifest) -> Result<()> {
    if let Some((path, error)) = manifest.failures.first_key_value() {
        let message = format!(
            "cannot read {path}: {error}; mend that, or leave it out with --exclude {path}"
        );
        return Err(Failure::new(exit::OUTPUT, message).into());
    }
    Ok(())
}

/// Tells what was used and is not in the image.
pub fn tell_exclusions(manifest: &Manifest) {
    let mut vanished = Vec::new();
    for (path, why) in &manifest.excluded {
        match why {
            Exclusion::Unreadable(error) => tracing::warn!("{path} is not in the image: {error}"),
            why => tracing::trace!("left out: {path}: {why:?}"),
        }
        if *why == Exclusion::Vanished {
            vanished.push(path);
        }
    }
    if !vanished.is_empty() {
        tracing::warn!(
            "{} used paths are gone and not in the image (-d shows all): {}",
            vanished.len(),
            examples(&vanished)
        );
    }
}

/// Tells of shipped files that were changed while the trace ran by processes that it does not
/// follow: nobody kept their originals. How many there are.
pub fn tell_changes_of_others(
    manifest: &Manifest,
    recording: &Recording,
    fs: &dyn ImageFs,
) -> usize {
    let Some(began) = recording.context.began else {
        return 0;
    };
    let changed = changed_by_others(manifest, recording, fs, began);
    for path in &changed {
        tracing::trace!("changed by others: {path}");
    }
    if !changed.is_empty() {
        tracing::warn!(
            "{} files were changed while the trace ran, by processes that it did not follow, and \
             are shipped as they are now (-d shows all): {}",
            changed.len(),
            examples(&changed)
        );
    }
    changed.len()
}

/// A directory changes with every name in it: that alone is no news.
fn changed_by_others<'a>(
    manifest: &'a Manifest,
    recording: &Recording,
    fs: &dyn ImageFs,
    began: FileTime,
) -> Vec<&'a ImagePath> {
    let entries = manifest.entries.iter();
    let changed = entries.filter(|(path, entry)| {
        entry.source == Source::Image
            && entry.kind != FileKind::Directory
            && entry.meta.is_some_and(|meta| meta.ctime > began)
            && !recording.originals.contains_key(path)
            && !fs.is_made(path)
    });
    changed.map(|(path, _)| path).collect()
}

/// Tells of files that did not hold still.
pub fn tell_torn(layer: &LayerSummary) {
    for path in &layer.changed {
        tracing::warn!(
            "{path} was changed while it was packed, and what was packed of it may be of different \
             moments: pack it when nobody writes to it"
        );
    }
}

/// Tells losses, each once.
pub fn tell(losses: &[Loss]) {
    for loss in losses {
        match loss.count {
            1 => tracing::warn!("{}", loss.what),
            count => tracing::warn!("{} ({count} times)", loss.what),
        }
    }
}

fn examples(paths: &[&ImagePath]) -> String {
    let shown = paths.iter().take(SHOWN).map(ToString::to_string);
    shown.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image_fs::MemFs;
    use crate::past::Before;
    use crate::recording::{Body, Original};
    use crate::resolve::{Options, patterns::Patterns, resolve};

    const BEGAN: FileTime = FileTime {
        seconds: 100,
        nanoseconds: 5,
    };

    fn path(text: &str) -> ImagePath {
        ImagePath::new(text).expect("absolute")
    }

    #[test]
    fn a_file_that_changed_since_and_was_not_kept_was_changed_by_others() {
        let mut fs = MemFs::new();
        for name in ["others", "ours", "made", "quiet"] {
            let nanoseconds = if name == "quiet" { 5 } else { 6 };
            fs = fs
                .file(format!("/d/{name}"), "")
                .with_meta(format!("/d/{name}"), |meta| {
                    meta.ctime = FileTime {
                        nanoseconds,
                        ..BEGAN
                    };
                });
        }
        fs = fs.with_meta("/d", |meta| meta.ctime.seconds = 200);
        let mut recording = Recording::default();
        recording.created.insert(path("/d/made"));
        let ours = Original {
            path: path("/d/ours"),
            meta: fs.lstat(&path("/d/ours")).expect("there"),
            xattrs: Vec::new(),
            body: Body::InPlace,
        };
        recording.originals.insert(path("/d/ours"), ours);
        let spool = MemFs::new();
        let before = Before::new(&fs, &spool, &recording);
        let options = Options {
            include: Patterns::new(["/d", "/d/made"]).expect("patterns"),
            ..Options::default()
        };
        let manifest = resolve(&before, &recording, &options);
        assert!(manifest.entries.contains_key(&path("/d/made")));
        let changed = changed_by_others(&manifest, &recording, &before, BEGAN);
        assert_eq!(changed, [&path("/d/others")]);
    }
}
