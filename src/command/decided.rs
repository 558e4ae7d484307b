//! What a manifest decided about mounts and about the time before the trace, on standard error.

use crate::image_path::ImagePath;
use crate::manifest::{Exclusion, Manifest, MountFate};

/// How many names a warning gives.
const SHOWN: usize = 3;

/// Every mount and what was decided: those of the kernel only with `-d`.
pub fn mounts(manifest: &Manifest) {
    for mount in &manifest.mounts {
        let (place, kind) = (&mount.mount_point, &mount.fs_type);
        match mount.fate {
            MountFate::Image => tracing::trace!("{place} ({kind}): part of the image"),
            MountFate::Pseudo => tracing::trace!("{place} ({kind}): left out, its directory kept"),
            MountFate::Included => {
                tracing::debug!("{place} ({kind}): taken, as --include-mount asks");
            }
            MountFate::Prefilled => tracing::debug!(
                "{place} ({kind}): a volume without a name: what the engine copied into it from \
                 the image is taken"
            ),
            MountFate::NamedVolume => tracing::debug!(
                "{place} ({kind}): a volume with a name: only what was copied into it from the \
                 image for this container is taken; --include-mount {place} takes the rest"
            ),
            MountFate::Engine => {
                tracing::debug!("{place} ({kind}): left out, engines write it for each container");
            }
            MountFate::Foreign => tracing::debug!(
                "{place} ({kind}): left out, its mount point kept; --include-mount {place} takes \
                 its used files"
            ),
        }
    }
}

/// What was made or changed in the container before the trace began.
pub fn earlier(manifest: &Manifest) {
    let excluded = manifest.excluded.iter();
    let unknown: Vec<&ImagePath> = excluded
        .filter(|(_, why)| **why == Exclusion::Earlier)
        .map(|(path, _)| path)
        .collect();
    if !unknown.is_empty() {
        tracing::warn!(
            "{} used paths were made or changed in this container before the trace began, and \
             nothing tells that they are the image's: they are left out (--include brings one in; \
             -d shows all): {}",
            unknown.len(),
            first(&unknown)
        );
    }
    let changed: Vec<&ImagePath> = manifest.changed_before.iter().collect();
    if !changed.is_empty() {
        tracing::warn!(
            "{} files of the image were changed in this container before the trace began, and \
             are shipped as they were then; trace a fresh container for their originals: {}",
            changed.len(),
            first(&changed)
        );
    }
}

fn first(paths: &[&ImagePath]) -> String {
    let names: Vec<String> = paths.iter().take(SHOWN).map(ToString::to_string).collect();
    names.join(", ") + if paths.len() > SHOWN { ", …" } else { "" }
}
