//! Where the originals of changed files are kept, and of which files.

use super::super::ship::Outputs;
use crate::cli::RunArgs;
use crate::image_fs::HostFs;
use crate::image_path::ImagePath;
use crate::recorder::spool::{self, Spool};
use crate::resolve::{Options, may_ship};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Beside the root file system tarball; where that is a stream, among the temporary files.
pub fn place_of_originals(outputs: &Outputs) -> PathBuf {
    let place = if outputs.rootfs_is_a_file() {
        let mut name = std::path::absolute(&outputs.rootfs)
            .unwrap_or_else(|_| outputs.rootfs.clone())
            .into_os_string();
        name.push(".originals");
        name.into()
    } else {
        std::env::temp_dir().join(format!("micropacker-{}.originals", std::process::id()))
    };
    spool::free_place(&place)
}

/// Keeps there what may be shipped and is no output of ours.
pub fn spool_for(args: &RunArgs, outputs: &Outputs, options: &Options, place: &Path) -> Spool {
    let mut own = outputs.own(Path::new("/"), &[]);
    own.extend(ImagePath::new(place.as_os_str().as_bytes()));
    let options = Options {
        own,
        ..options.clone()
    };
    let interest = move |path: &ImagePath, kind| may_ship(&HostFs::new("/"), &options, path, kind);
    Spool::new(place.to_owned(), args.originals_limit, Box::new(interest))
}
