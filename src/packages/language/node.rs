//! Node.js' packages, by the `package.json` above the kept files.

use super::{Ecosystem, Kept, LanguagePackage};
use crate::image_path::ImagePath;
use serde_json::Value;
use std::collections::BTreeSet;

const FILE: &[u8] = b"package.json";
const MODULES: &[u8] = b"node_modules";

/// Every package in `node_modules` of which a file is kept, and every kept `package.json`.
pub(super) fn find(kept: &Kept) -> Vec<LanguagePackage> {
    let files: BTreeSet<ImagePath> = kept.files().filter_map(metadata_of).collect();
    let read = files.into_iter().filter_map(|file| read(kept, file));
    read.collect()
}

fn metadata_of(file: &ImagePath) -> Option<ImagePath> {
    let names: Vec<&[u8]> = file.components().collect();
    let Some(modules) = names.iter().rposition(|name| *name == MODULES) else {
        return (file.file_name() == Some(FILE)).then(|| file.clone());
    };
    let scoped = names.get(modules + 1)?.starts_with(b"@");
    let package = names.get(..modules + if scoped { 3 } else { 2 })?;
    ImagePath::root().join(package.join(&b'/'))?.join(FILE)
}

fn read(kept: &Kept, metadata: ImagePath) -> Option<LanguagePackage> {
    let json: Value = serde_json::from_slice(&kept.read(&metadata)?).ok()?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let license = json
        .get("license")
        .and_then(|license| text(license).or_else(|| license.get("type").and_then(text)));
    Some(LanguagePackage {
        ecosystem: Ecosystem::Node,
        group: String::new(),
        name: json
            .get("name")
            .and_then(text)
            .filter(|name| !name.is_empty())?,
        version: json.get("version").and_then(text)?,
        license: license.unwrap_or_default(),
        metadata,
    })
}
