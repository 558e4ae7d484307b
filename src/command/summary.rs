//! What a person wants to know when the outputs are written.

use super::ship::{IMAGE, Outputs, Shipped};

/// The closing line of a run.
pub fn summary(outputs: &Outputs, shipped: &Shipped) -> String {
    let artifacts = outputs.artifacts.as_ref();
    let image = artifacts.map_or_else(|| outputs.rootfs.clone(), |artifacts| artifacts.join(IMAGE));
    format!(
        "{} entries, {} in {}",
        shipped.layer.entries,
        megabytes(shipped.layer.content_bytes),
        image.display()
    )
}

/// Decimal, as `docker images` shows sizes.
fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
