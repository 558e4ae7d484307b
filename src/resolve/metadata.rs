//! What lets scanners tell the packages of the image.

use super::Options;
use super::plan::{Plan, Wish};
use crate::image_path::ImagePath;
use crate::manifest::Reason;
use crate::packages::{MetadataFiles, Owners, PackageMetadata};

/// Adds what `--keep-package-metadata` asks for.
pub(super) fn take_package_metadata(plan: &mut Plan, options: &Options) {
    let how = options.package_metadata;
    if how == PackageMetadata::Off {
        return;
    }
    let owners = Owners::load(plan.fs);
    for problem in owners.problems() {
        plan.lose_once(problem);
    }
    let files = MetadataFiles::of(plan.fs, &owners, plan.entries(), how);
    let root = ImagePath::root();
    for path in files.kept {
        if plan.fs.lstat(&path).is_ok() {
            let wish = Wish::because(Reason::PackageMetadata);
            plan.follow(&root, &path, true, &wish);
        }
    }
    for (path, content) in files.made {
        plan.make_file(&path, content, Reason::PackageMetadata);
    }
}
