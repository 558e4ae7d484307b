//! The options that shape the image: as they were given, as a journal keeps them, and as the
//! resolver takes them.

use crate::byte_string::ByteString;
use crate::cli::{
    CompressName, ListedName, PackageMetadataName, PresetName, ProbedName, SelectArgs,
};
use crate::image_path::ImagePath;
use crate::journal::Shape;
use crate::mounts::Mounts;
use crate::pack::Compression;
use crate::packages::PackageMetadata;
use crate::resolve::patterns::{Patterns, parse_file};
use crate::resolve::presets::Preset;
use crate::resolve::{Listed, Options, Probed};
use anyhow::{Context, Result};
use clap::ValueEnum;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What was asked for; the files that name patterns are read.
///
/// # Errors
/// Names the file that cannot be read.
pub fn shape(select: &SelectArgs, keep_env: &[String], tag: Option<&str>) -> Result<Shape> {
    let mut include = bytes_of(&select.include);
    for file in &select.include_from {
        let text = fs::read(file)
            .with_context(|| format!("cannot read --include-from {}", file.display()))?;
        include.extend(parse_file(&text).into_iter().map(ByteString));
    }
    Ok(Shape {
        include,
        exclude: bytes_of(&select.exclude),
        include_exe: include_exe(select),
        preset: select.preset.iter().copied().map(name_of).collect(),
        include_mount: bytes_of(&select.include_mount),
        listed: name_of(select.listed),
        probed: name_of(select.probed),
        package_metadata: name_of(select.keep_package_metadata),
        keep_env: keep_env.to_vec(),
        tag: tag.map(str::to_owned),
        ..Shape::default()
    })
}

/// A shell is a program like any other, under the name that scripts know.
fn include_exe(select: &SelectArgs) -> Vec<ByteString> {
    let shell = select
        .include_shell
        .then(|| ByteString(b"/bin/sh".to_vec()));
    let named = bytes_of(&select.include_exe);
    named.into_iter().chain(shell).collect()
}

/// What was asked for when the journal was written, and now: lists are put together, and of two
/// choices the one that is not the default holds, the one of now before the other.
pub fn merged(then: Shape, now: Shape) -> Shape {
    let lists = |mut then: Vec<ByteString>, now: Vec<ByteString>| {
        then.extend(now);
        then
    };
    let choice = |then: String, now: String, default: String| match () {
        () if now != default || then.is_empty() => now,
        () => then,
    };
    Shape {
        include: lists(then.include, now.include),
        exclude: lists(then.exclude, now.exclude),
        include_exe: lists(then.include_exe, now.include_exe),
        preset: [then.preset, now.preset].concat(),
        include_mount: lists(then.include_mount, now.include_mount),
        listed: choice(then.listed, now.listed, name_of(ListedName::Auto)),
        probed: choice(then.probed, now.probed, name_of(ProbedName::Full)),
        package_metadata: choice(
            then.package_metadata,
            now.package_metadata,
            name_of(PackageMetadataName::Auto),
        ),
        keep_env: [then.keep_env, now.keep_env].concat(),
        tag: now.tag.or(then.tag),
        image_config: now.image_config.or(then.image_config),
        change: [then.change, now.change].concat(),
        compress: choice(then.compress, now.compress, name_of(CompressName::None)),
    }
}

/// How the image's layer is compressed.
pub fn compression(shape: &Shape) -> Compression {
    match CompressName::from_str(&shape.compress, false) {
        Ok(CompressName::Gzip) => Compression::Gzip,
        Ok(CompressName::Zstd) => Compression::Zstd,
        Ok(CompressName::None) | Err(_) => Compression::None,
    }
}

/// The resolver's options.
///
/// # Errors
/// Names the pattern or path that is wrong.
pub fn options(shape: &Shape, mounts: Mounts) -> Result<Options> {
    let words =
        |list: &[ByteString]| -> Vec<Vec<u8>> { list.iter().map(|word| word.0.clone()).collect() };
    let mount = |path: &ByteString| {
        ImagePath::new(&path.0).with_context(|| {
            let path = path.0.escape_ascii();
            format!("--include-mount {path}: give an absolute path")
        })
    };
    Ok(Options {
        listed: match ListedName::from_str(&shape.listed, false) {
            Ok(ListedName::Full) => Listed::Full,
            Ok(ListedName::Skip) => Listed::Skip,
            Ok(ListedName::Auto) | Err(_) => Listed::Auto,
        },
        probed: match ProbedName::from_str(&shape.probed, false) {
            Ok(ProbedName::Skip) => Probed::Skip,
            Ok(ProbedName::Full) | Err(_) => Probed::Full,
        },
        package_metadata: match PackageMetadataName::from_str(&shape.package_metadata, false) {
            Ok(PackageMetadataName::Full) => PackageMetadata::Full,
            Ok(PackageMetadataName::Off) => PackageMetadata::Off,
            Ok(PackageMetadataName::Auto) | Err(_) => PackageMetadata::Auto,
        },
        include: Patterns::new(words(&shape.include)).context("--include")?,
        exclude: Patterns::new(words(&shape.exclude)).context("--exclude")?,
        include_exe: words(&shape.include_exe),
        presets: shape
            .preset
            .iter()
            .filter_map(|name| preset(name))
            .collect(),
        include_mounts: shape
            .include_mount
            .iter()
            .map(mount)
            .collect::<Result<_>>()?,
        mounts,
        ..Options::default()
    })
}

/// `None` for one that a newer version knows.
fn preset(name: &str) -> Option<Preset> {
    Some(match PresetName::from_str(name, false).ok()? {
        PresetName::CaCertificates => Preset::CaCertificates,
        PresetName::Nss => Preset::Nss,
        PresetName::Tzdata => Preset::Tzdata,
        PresetName::Locales => Preset::Locales,
        PresetName::PythonPackage => Preset::PythonPackage,
    })
}

/// The text of our own mount table.
///
/// # Errors
/// When it cannot be read.
pub fn mount_table() -> Result<Vec<u8>> {
    fs::read("/proc/self/mountinfo").context("cannot read /proc/self/mountinfo: is /proc mounted?")
}

/// The mount table matters where we look at `/`; in an unpacked image nothing is mounted.
///
/// # Errors
/// When it cannot be read or understood.
pub fn mounts(root: &Path) -> Result<Mounts> {
    if root != Path::new("/") {
        return Ok(Mounts::none());
    }
    Ok(Mounts::parse(&mount_table()?)?)
}

/// A choice as it is written on the command line and in a journal.
pub fn name_of(choice: impl ValueEnum) -> String {
    let value = choice.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

fn bytes_of(words: &[OsString]) -> Vec<ByteString> {
    words
        .iter()
        .map(|word| ByteString(word.as_bytes().to_vec()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(listed: &str, include: &str, tag: Option<&str>) -> Shape {
        Shape {
            include: vec![ByteString(include.as_bytes().to_vec())],
            listed: listed.to_owned(),
            probed: "full".to_owned(),
            tag: tag.map(str::to_owned),
            ..Shape::default()
        }
    }

    #[test]
    fn what_was_asked_for_then_holds_unless_something_else_is_asked_for_now() {
        let both = merged(shape("skip", "/a", Some("x")), shape("auto", "/b", None));
        assert_eq!((both.listed.as_str(), both.include.len()), ("skip", 2));
        assert_eq!(both.tag.as_deref(), Some("x"));
        let both = merged(
            shape("skip", "/a", Some("x")),
            shape("full", "/b", Some("y")),
        );
        assert_eq!(
            (both.listed.as_str(), both.tag.as_deref()),
            ("full", Some("y"))
        );
        let without_header = merged(Shape::default(), shape("auto", "/b", None));
        assert_eq!(without_header.listed, "auto");
    }

    #[test]
    fn a_choice_that_is_written_down_is_the_one_that_is_read() {
        for listed in [ListedName::Auto, ListedName::Full, ListedName::Skip] {
            let written = name_of(listed);
            assert_eq!(ListedName::from_str(&written, false), Ok(listed));
        }
        let told = options(&shape("full", "/a", None), Mounts::none()).expect("options");
        assert_eq!(told.listed, Listed::Full);
    }
}
