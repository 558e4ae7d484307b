//! rpm's databases: SQLite's, its write-ahead log, and ndb. The first byte of each says which it is.

use super::path;
use micropacker::image_fs::MemFs;
use micropacker::packages::Owners;

const DATABASE: &[u8] = include_bytes!("../../tests/databases/rpmdb.sqlite");

pub fn run(data: &[u8]) {
    let fs = match data.first() {
        Some(b'S') => MemFs::new().file(place("rpmdb.sqlite"), data),
        Some(b'7') => MemFs::new()
            .file(place("rpmdb.sqlite"), DATABASE)
            .file(place("rpmdb.sqlite-wal"), data),
        _ => MemFs::new().file(place("Packages.db"), data),
    };
    let owners = Owners::load(&fs);
    let _ = owners.package_of(&path("/usr/bin"));
}

fn place(name: &str) -> String {
    format!("/usr/lib/sysimage/rpm/{name}")
}
