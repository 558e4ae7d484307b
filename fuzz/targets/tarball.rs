//! The root file system's tarball, which is read again for the image.

use micropacker::pack::{Compression, ImageConfig, ImageSpec, write_image};
use std::io::{self, Cursor};

pub fn run(data: &[u8]) {
    let config = ImageConfig::default();
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let spec = ImageSpec {
            config: &config,
            tag: None,
            created: None,
            compression,
        };
        let mut tarball = Cursor::new(data);
        let written = write_image(&mut tarball, [0; 32], &spec, &mut io::sink());
        if let Err(error) = written {
            assert!(!error.to_string().contains('\n'));
        }
    }
}
