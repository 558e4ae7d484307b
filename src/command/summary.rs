//! What a person wants to know when the outputs are written.

use super::artifacts::Traced;
use super::ship::{IMAGE, Outputs, Shipped};
use crate::manifest::{Exclusion, Manifest};
use crate::pack::Remarks;
use crate::recording::Recording;
use crate::report::Inventory;
use crate::report::text::size;
use std::collections::BTreeMap;

/// Tells in a few lines what was seen, kept, left out and lost; the closing line last.
pub fn tell_summary(outputs: &Outputs, shipped: &Shipped, seen: &Recording, traced: &Traced) {
    if traced.engine.is_some() {
        let lasted = traced.lasted.unwrap_or_default().as_secs_f64();
        let (paths, programs) = (seen.uses.len(), seen.execs.len());
        tracing::info!("used: {paths} paths, {programs} program starts, in {lasted:.1} s");
    }
    if let Some(inventory) = &shipped.inventory {
        tracing::info!("packages: {}", packages(inventory));
    }
    if let Some(left_out) = left_out(&shipped.manifest) {
        tracing::info!("left out: {left_out}");
    }
    if let Some(guessed) = guessed(&shipped.remarks) {
        tracing::info!(
            "guessed for the image: {guessed}; --image-config takes the original's, --change \
             corrects it"
        );
    }
    match shipped.lost {
        0 => {}
        1 => tracing::info!("not seen or packed completely: a warning above says what"),
        lost => tracing::info!("not seen or packed completely: {lost} warnings above say what"),
    }
    match &traced.engine {
        Some(engine) => tracing::info!("{}; traced by {engine}", summary(outputs, shipped)),
        None => tracing::info!("{}", summary(outputs, shipped)),
    }
}

/// The closing line of a run.
pub fn summary(outputs: &Outputs, shipped: &Shipped) -> String {
    let artifacts = outputs.artifacts.as_ref();
    let image = artifacts.map_or_else(|| outputs.rootfs.clone(), |artifacts| artifacts.join(IMAGE));
    format!(
        "{} entries, {} in {}",
        shipped.layer.entries,
        size(shipped.layer.content_bytes),
        image.display()
    )
}

/// `files of 7 of 92, 9.1 MB of 110.3 MB; 3 of python`.
fn packages(inventory: &Inventory) -> String {
    let all = inventory.owners.packages().len();
    let bytes = inventory.kept.iter().map(|kept| kept.bytes).sum();
    let mut text = format!(
        "files of {} of {all}, {} of {}",
        inventory.kept.len(),
        size(bytes),
        size(inventory.installed_bytes())
    );
    let mut languages: BTreeMap<String, usize> = BTreeMap::new();
    for package in &inventory.languages {
        *languages.entry(package.ecosystem.to_string()).or_default() += 1;
    }
    for (ecosystem, count) in languages {
        text.push_str(&format!("; {count} of {ecosystem}"));
    }
    text
}

/// `EXPOSE 80/tcp 443/tcp, VOLUME /data`.
fn guessed(remarks: &Remarks) -> Option<String> {
    let ports: Vec<&str> = remarks.ports.keys().map(String::as_str).collect();
    let volumes = remarks.volumes.keys().map(ToString::to_string);
    let volumes: Vec<String> = volumes.collect();
    let parts = [("EXPOSE", ports.join(" ")), ("VOLUME", volumes.join(" "))];
    let parts = parts.iter().filter(|(_, words)| !words.is_empty());
    let parts: Vec<String> = parts
        .map(|(name, words)| format!("{name} {words}"))
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// How many used paths are not in the image, by reason; what nobody misses is not counted.
fn left_out(manifest: &Manifest) -> Option<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for why in manifest.excluded.values() {
        let reason = match why {
            Exclusion::Mount(_) => "on mounts",
            Exclusion::Created => "made at run time",
            Exclusion::Earlier => "made before the trace",
            Exclusion::Vanished => "gone since",
            Exclusion::Pattern(_) => "by --exclude",
            Exclusion::ListedOnly => "directories only listed",
            Exclusion::ProbedOnly => "only looked at",
            Exclusion::Unreadable(_) => "unreadable",
            Exclusion::BuiltIn | Exclusion::Socket | Exclusion::Own => continue,
        };
        *counts.entry(reason).or_default() += 1;
    }
    let parts: Vec<String> = counts
        .iter()
        .map(|(reason, count)| format!("{count} {reason}"))
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}
