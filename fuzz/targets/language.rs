//! Metadata of packages of Python, Node.js and Ruby.

use super::path;
use micropacker::image_fs::MemFs;
use micropacker::packages::{LanguagePackage, Owners, language_packages};
use micropacker::recording::Recording;
use micropacker::resolve::patterns::Patterns;
use micropacker::resolve::{Options, resolve};

pub fn run(data: &[u8]) {
    let fs = MemFs::new()
        .file("/srv/site-packages/a.dist-info/METADATA", data)
        .file("/srv/site-packages/a.dist-info/RECORD", data)
        .file("/srv/site-packages/b.egg-info", data)
        .file("/srv/site-packages/b/__init__.py", "")
        .file("/srv/node_modules/c/package.json", data)
        .file("/srv/specifications/d.gemspec", data);
    assert!(packages_of(&fs).len() <= 4);
}

/// What is told of a tree of which all below `/srv` is kept.
pub fn packages_of(fs: &MemFs) -> Vec<LanguagePackage> {
    let options = Options {
        include: Patterns::new([b"/srv".to_vec()]).expect("a pattern"),
        ..Options::default()
    };
    let manifest = resolve(fs, &Recording::default(), &options);
    assert!(manifest.entries.contains_key(&path("/srv")));
    language_packages(fs, &manifest.entries, &Owners::default())
}
