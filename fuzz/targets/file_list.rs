//! The ancestor's file lists.

use micropacker::image_fs::MemFs;
use micropacker::image_path::ImagePath;
use micropacker::resolve::{Options, from_list, resolve};

pub fn run(data: &[u8]) {
    let fs = MemFs::new()
        .file("/etc/passwd", "")
        .program("/bin/sh", "")
        .symlink("/link", "etc")
        .symlink("/circle", "circle");
    let (recording, _) = from_list(&fs, data, b"/bin:relative:", &ImagePath::root());
    resolve(&fs, &recording, &Options::default());
}
