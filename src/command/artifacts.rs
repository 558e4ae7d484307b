//! The artifacts that tell of an image: its packages, its bill of materials, its report.

use super::ship::{Outputs, source_date_epoch, write_whole};
use super::told::tell;
use crate::image_fs::ImageFs;
use crate::manifest::Manifest;
use crate::pack::{Digests, ImageConfig, LayerSummary, Output};
use crate::packages::packages_text;
use crate::recording::{Loss, Recording};
use crate::report::html::page;
use crate::report::{Described, Inventory, Report, Sources, sbom};
use anyhow::{Context, Result};
use std::path::Path;
use std::time::Duration;

/// The list of what was packed.
pub const FILES: &str = "files.txt";
const PACKAGES: &str = "packages.txt";
const SBOM: &str = "sbom.spdx.json";
/// What `explain` and `diff` read.
pub const REPORT: &str = "report.json";
const PAGE: &str = "report.html";

/// The names of all of them.
pub const NAMES: [&str; 5] = [FILES, PACKAGES, SBOM, REPORT, PAGE];

/// How the recording came to be, where it was made now.
#[derive(Clone, Debug, Default)]
pub struct Traced {
    /// What traced it.
    pub engine: Option<String>,
    /// From the start of the command.
    pub lasted: Option<Duration>,
    /// Whether somebody waits for the outputs and nothing else: a terminal shows how far they are.
    pub is_awaited: bool,
}

/// What the artifacts tell of.
pub struct Made<'a> {
    /// Where the files are.
    pub fs: &'a dyn ImageFs,
    /// What was seen.
    pub recording: &'a Recording,
    /// How.
    pub traced: &'a Traced,
    /// The plan.
    pub manifest: &'a Manifest,
    /// What was written.
    pub layer: &'a LayerSummary,
    /// The digests of the files.
    pub digests: &'a Digests,
}

/// Writes them into `artifacts`. The packages, for the summary.
///
/// # Errors
/// Names the file and the remedy.
pub fn write_tellers(made: &Made, outputs: &Outputs, artifacts: &Path) -> Result<Inventory> {
    let inventory = Inventory::take(made.fs, made.manifest);
    let told = |problem: &&String| {
        made.manifest
            .losses
            .iter()
            .any(|loss| loss.what == **problem)
    };
    let problems = inventory.owners.problems().iter();
    let news = problems.filter(|problem| !told(problem)).map(|what| Loss {
        what: what.clone(),
        count: 1,
    });
    tell(&news.collect::<Vec<_>>());
    let packages = packages_text(made.manifest, &inventory.owners);
    write_whole(&artifacts.join(PACKAGES), &packages)?;

    let rootfs = outputs.rootfs.file_name().unwrap_or_default();
    let rootfs = rootfs.to_string_lossy().into_owned();
    let name = outputs.tag.clone().unwrap_or(rootfs);
    let created = source_date_epoch()?;
    let described = Described {
        name: name.clone(),
        layer_sha256: made.layer.sha256,
        created,
    };
    write_whole(&artifacts.join(SBOM), &sbom(&described, &inventory))?;

    let keep = |name: &str| outputs.keep_env.iter().any(|kept| kept == name);
    let (config, _) = ImageConfig::from_context(&made.recording.context, &keep);
    let lasted = made.traced.lasted.filter(|_| created.is_none());
    let report = Report::new(&Sources {
        fs: made.fs,
        recording: made.recording,
        env: &config.env,
        manifest: made.manifest,
        inventory: &inventory,
        layer: made.layer,
        digests: made.digests,
        name: &name,
        engine: made.traced.engine.as_deref(),
        milliseconds: lasted.and_then(|lasted| u64::try_from(lasted.as_millis()).ok()),
    });
    write_report(&report, &artifacts.join(REPORT))?;
    write_whole(&artifacts.join(PAGE), page(&report).as_bytes())?;
    Ok(inventory)
}

fn write_report(report: &Report, path: &Path) -> Result<()> {
    let mut output = Output::create(path)?;
    report
        .write(&mut output)
        .with_context(|| format!("cannot write {}", path.display()))?;
    output.commit()?;
    Ok(())
}
