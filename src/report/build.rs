//! A report of what was seen, resolved and packed.

use super::inventory::Inventory;
use super::model::{
    CallItem, Image, Item, LanguageItem, LeftOut, MountItem, PackageItem, PortItem, ProcessItem,
    Recorded, Report, SCHEMA, Started, UsedPath,
};
use crate::byte_string::ByteString;
use crate::image_fs::{FileKind, ImageFs};
use crate::image_path::ImagePath;
use crate::manifest::{Entry, Manifest, Source};
use crate::pack::{Digests, LayerSummary};
use crate::packages::Package;
use crate::recording::{Context, Place, Recording, Use};
use std::collections::{BTreeMap, BTreeSet};

/// What a report is made of.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// Where the files are.
    pub fs: &'a dyn ImageFs,
    /// What was seen.
    pub recording: &'a Recording,
    /// The environment without what looks like a secret.
    pub env: &'a [Vec<u8>],
    /// The plan.
    pub manifest: &'a Manifest,
    /// The packages.
    pub inventory: &'a Inventory,
    /// What was written.
    pub layer: &'a LayerSummary,
    /// The digests of the files.
    pub digests: &'a Digests,
    /// The image's name, or that of its tarball.
    pub name: &'a str,
    /// How it was traced, and for how long.
    pub engine: Option<&'a str>,
    /// See [`Report::milliseconds`].
    pub milliseconds: Option<u64>,
}

impl Report {
    /// Puts it together.
    pub fn new(sources: &Sources) -> Self {
        let Sources {
            recording,
            manifest,
            inventory,
            layer,
            ..
        } = sources;
        let packages = inventory.kept.iter().enumerate();
        let indexes = packages
            .map(|(index, kept)| (&kept.package, index))
            .collect();
        let losses = manifest.losses.iter().chain(&layer.losses);
        Self {
            schema: SCHEMA,
            tool: concat!("micropacker ", env!("CARGO_PKG_VERSION")).to_owned(),
            command: started(&recording.context, sources.env),
            engine: sources.engine.map(str::to_owned),
            milliseconds: sources.milliseconds,
            image: image(sources),
            entries: manifest
                .entries
                .iter()
                .map(|(path, entry)| item(sources, path, entry, &indexes))
                .collect(),
            excluded: manifest
                .excluded
                .iter()
                .map(|(path, why)| LeftOut {
                    path: path.clone(),
                    why: why.clone(),
                })
                .collect(),
            mounts: manifest
                .mounts
                .iter()
                .map(|mount| MountItem {
                    mount_point: mount.mount_point.clone(),
                    fs_type: mount.fs_type.clone(),
                    root: ByteString(mount.root.clone()),
                    fate: mount.fate,
                })
                .collect(),
            packages: packages_of(inventory),
            packages_dropped: dropped(inventory),
            languages: languages_of(inventory),
            losses: losses.cloned().collect(),
            recording: recorded(recording),
        }
    }

    /// What was seen, to be resolved again, perhaps together with what others have seen.
    pub fn into_recording(self) -> Recording {
        let mut recording = Recording::default();
        for one in self.recording.uses {
            let place = Place {
                root: one.root,
                path: one.path,
            };
            let used = Use {
                access: one.access,
                first: one.first,
            };
            recording
                .uses
                .entry(place)
                .and_modify(|known| known.access |= used.access)
                .or_insert(used);
        }
        recording.execs.extend(self.recording.execs);
        recording.created.extend(self.recording.created);
        for item in self.recording.processes {
            recording.processes.add(item.pid, item.process);
        }
        for item in self.recording.calls {
            recording.calls.note(item.call, item.outcome);
        }
        for item in self.recording.ports {
            let known = recording.endpoints.entry(item.endpoint);
            known.or_insert(item.first);
        }
        recording.losses.extend(self.recording.losses);
        if let Some(command) = self.command {
            let bytes = |words: Vec<ByteString>| words.into_iter().map(|word| word.0).collect();
            recording.context = Context {
                argv: bytes(command.argv),
                env: bytes(command.env),
                cwd: command.cwd,
                uid: command.uid,
                gid: command.gid,
                ..Context::default()
            };
        }
        recording
    }
}

fn started(context: &Context, env: &[Vec<u8>]) -> Option<Started> {
    let words = |words: &[Vec<u8>]| words.iter().cloned().map(ByteString).collect();
    (!context.argv.is_empty()).then(|| Started {
        argv: words(&context.argv),
        env: words(env),
        cwd: context.cwd.clone(),
        uid: context.uid,
        gid: context.gid,
    })
}

fn image(sources: &Sources) -> Image {
    let inventory = sources.inventory;
    let distribution = &inventory.distribution;
    let named = format!("{} {}", distribution.id, distribution.version);
    Image {
        name: sources.name.to_owned(),
        layer_sha256: hex(&sources.layer.sha256),
        tar_bytes: sources.layer.tar_bytes,
        bytes: sources.layer.content_bytes,
        distribution: named.trim().to_owned(),
        packages_before: inventory.owners.packages().len() as u64,
        bytes_before: inventory.installed_bytes(),
    }
}

fn item(
    sources: &Sources,
    path: &ImagePath,
    entry: &Entry,
    indexes: &BTreeMap<&Package, usize>,
) -> Item {
    let (mode, uid, gid, size) = match (&entry.source, &entry.meta) {
        (Source::EmptyDirectory { mode, uid, gid }, _) => (*mode, *uid, *gid, 0),
        (Source::Bytes { mode, content }, _) => (*mode, 0, 0, content.len() as u64),
        (Source::Image, Some(meta)) => (meta.mode, meta.uid, meta.gid, meta.size),
        (Source::Image, None) => (0, 0, 0, 0),
    };
    let target = (entry.kind == FileKind::Symlink)
        .then(|| sources.fs.read_link(path).ok().map(ByteString))
        .flatten();
    let owner = sources.inventory.owners.package_of(path);
    Item {
        path: path.clone(),
        kind: entry.kind,
        size: match entry.kind {
            FileKind::Regular => size,
            _ => 0,
        },
        sha256: sources.digests.get(path).map(|digest| hex(digest)),
        mode: format!("{mode:04o}"),
        uid,
        gid,
        target,
        package: owner.and_then(|owner| indexes.get(owner)).copied(),
        reasons: entry.reasons.clone(),
    }
}

fn packages_of(inventory: &Inventory) -> Vec<PackageItem> {
    let kept = inventory.kept.iter();
    kept.map(|kept| package_item(&kept.package, kept.files, kept.bytes))
        .collect()
}

fn dropped(inventory: &Inventory) -> Vec<PackageItem> {
    let kept: BTreeSet<&Package> = inventory.kept.iter().map(|kept| &kept.package).collect();
    let all: BTreeSet<&Package> = inventory.owners.packages().iter().collect();
    all.difference(&kept)
        .map(|package| package_item(package, 0, 0))
        .collect()
}

fn package_item(package: &Package, files: u64, bytes: u64) -> PackageItem {
    PackageItem {
        manager: package.manager.to_string(),
        name: package.name.clone(),
        version: package.version.clone(),
        arch: package.arch.clone(),
        files,
        bytes,
        bytes_before: package.size,
    }
}

fn languages_of(inventory: &Inventory) -> Vec<LanguageItem> {
    let languages = inventory.languages.iter();
    languages
        .map(|one| LanguageItem {
            ecosystem: one.ecosystem.to_string(),
            name: match one.group.as_str() {
                "" => one.name.clone(),
                group => format!("{group}:{}", one.name),
            },
            version: one.version.clone(),
            metadata: one.metadata.clone(),
        })
        .collect()
}

fn recorded(recording: &Recording) -> Recorded {
    let uses = recording.uses.iter().map(|(place, used)| UsedPath {
        root: place.root.clone(),
        path: place.path.clone(),
        access: used.access,
        first: used.first.clone(),
    });
    // The image had these before; the copies of them are not kept with the report.
    let is_originals = |path: &&ImagePath| recording.originals.contains_key(*path);
    let made = recording.created.iter().filter(|path| !is_originals(path));
    Recorded {
        uses: uses.collect(),
        execs: recording.execs.iter().cloned().collect(),
        created: made.cloned().collect(),
        processes: recording
            .processes
            .iter()
            .map(|(pid, process)| ProcessItem {
                pid,
                process: process.clone(),
            })
            .collect(),
        calls: recording
            .calls
            .iter()
            .map(|(call, outcome)| CallItem {
                call: call.clone(),
                outcome,
            })
            .collect(),
        ports: recording
            .endpoints
            .iter()
            .map(|(endpoint, first)| PortItem {
                endpoint: *endpoint,
                first: first.clone(),
            })
            .collect(),
        losses: recording.losses.iter().cloned().collect(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
