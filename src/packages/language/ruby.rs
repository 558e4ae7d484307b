//! Gems, by the `specifications/*.gemspec` that RubyGems writes when it installs one.

use super::{Ecosystem, Kept, LanguagePackage};
use crate::image_path::ImagePath;

pub(super) fn find(kept: &Kept) -> Vec<LanguagePackage> {
    let specifications = kept.files().filter(|file| {
        let name = file.file_name().unwrap_or_default();
        let place = file.parent();
        let place = place.as_ref().and_then(ImagePath::file_name);
        name.ends_with(b".gemspec") && matches!(place, Some(b"specifications" | b"default"))
    });
    specifications.filter_map(|file| read(kept, file)).collect()
}

/// RubyGems writes plain assignments: `s.name = "rack".freeze`.
fn read(kept: &Kept, file: &ImagePath) -> Option<LanguagePackage> {
    let text = kept.text(file)?;
    let value = |name: &str| {
        text.lines().find_map(|line| {
            let (key, value) = line.trim().split_once(" = ")?;
            let value = value.trim_start_matches('[').strip_prefix('"')?;
            (key == name).then(|| value.split('"').next().unwrap_or_default().to_owned())
        })
    };
    Some(LanguagePackage {
        ecosystem: Ecosystem::Ruby,
        group: String::new(),
        name: value("s.name")?,
        version: value("s.version")?,
        license: value("s.licenses").unwrap_or_default(),
        metadata: file.clone(),
    })
}
