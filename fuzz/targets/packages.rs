//! The databases of dpkg and apk.

use super::path;
use micropacker::image_fs::MemFs;
use micropacker::packages::Owners;

pub fn run(data: &[u8]) {
    let fs = MemFs::new()
        .file("/var/lib/dpkg/status", data)
        .file("/var/lib/dpkg/info/app.list", data)
        .file("/var/lib/dpkg/status.d/app", data)
        .file("/var/lib/dpkg/status.d/app.md5sums", data)
        .file("/lib/apk/db/installed", data);
    let owners = Owners::load(&fs);
    assert!(owners.packages().len() <= data.len() + 2);
    let _ = owners.package_of(&path("/bin/sh"));
}
