//! The one pass over all files that makes the tarball and the image of it.

use super::attempts::Attempt;
use super::ship::{Outputs, writing};
use crate::image_fs::ImageFs;
use crate::manifest::Manifest;
use crate::pack::{Digests, Finished, ImageSpec, LayerSummary, Output, write_layer_and_image};
use anyhow::Result;
use std::path::Path;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;

/// The tarball, and the image where it can be written in the same pass, all but their final names;
/// from where it has come to, what was written ahead.
///
/// # Errors
/// Names the output, or the entry that could not be packed.
pub fn write_files(
    fs: &dyn ImageFs,
    manifest: &Manifest,
    outputs: &Outputs,
    image: Option<(&Path, &ImageSpec)>,
    attempt: Attempt,
) -> Result<(Finished, LayerSummary, Digests)> {
    let named = |error| writing(&outputs.rootfs, error);
    let wish = image.map(|(_, wish)| wish);
    let mut begun = outputs.ahead.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(ahead) = &mut *begun {
        let (layer, digests) = ahead.advance(fs, manifest).map_err(named)?;
        attempt.accept(&layer)?;
        if let Some(ahead) = begun.take() {
            let finished = ahead.finish(&layer, wish).map_err(named)?;
            return Ok((finished, layer, digests));
        }
    }
    let mut rootfs = Output::create(&outputs.rootfs)?;
    let path = image.map(|(path, _)| path);
    let mut image = path.map(Output::create).transpose()?;
    let one_pass = image.as_mut().filter(|image| image.is_seekable());
    let written = write_layer_and_image(fs, manifest, &mut rootfs, one_pass.zip(wish));
    let written = written.map_err(named)?;
    attempt.accept(&written.layer)?;
    let finished = Finished {
        rootfs,
        image: image.zip(written.image),
    };
    Ok((finished, written.layer, written.digests))
}

/// Gives both their final names: the disk works on both at once.
///
/// # Errors
/// Of one of them.
pub fn commit_both(rootfs: Output, image: Output, hurry: &AtomicBool) -> Result<()> {
    std::thread::scope(|scope| {
        let other = scope.spawn(|| image.commit_unless(hurry));
        let committed = rootfs.commit_unless(hurry);
        match other.join() {
            Ok(other) => committed.and(other).map_err(anyhow::Error::from),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
