//! Files of patterns, and globs.

use super::path;
use micropacker::image_fs::MemFs;
use micropacker::recording::Recording;
use micropacker::resolve::patterns::{Patterns, parse_file};
use micropacker::resolve::{Options, resolve};

pub fn run(data: &[u8]) {
    let Ok(include) = Patterns::new(parse_file(data)) else {
        return;
    };
    let _ = include.covering(&path("/etc/passwd"));
    let fs = MemFs::new().file("/etc/passwd", "").file("/srv/[a]*", "");
    let options = Options {
        include,
        ..Options::default()
    };
    resolve(&fs, &Recording::default(), &options);
}
