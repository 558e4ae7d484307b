//! The root file system's tarball, which is read again for the image.

use micropacker::pack::{ImageConfig, write_image};
use std::io::{self, Cursor};

pub fn run(data: &[u8]) {
    let config = ImageConfig::default();
    let mut tarball = Cursor::new(data);
    let written = write_image(&mut tarball, [0; 32], &config, None, None, &mut io::sink());
    if let Err(error) = written {
        assert!(!error.to_string().contains('\n'));
    }
}
