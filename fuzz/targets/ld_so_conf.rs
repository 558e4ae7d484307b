//! `/etc/ld.so.conf`, and musl's search path.

use super::{resolve_start, tree_with_program};

pub fn run(data: &[u8]) {
    let fs = tree_with_program()
        .file("/etc/ld.so.conf", data)
        .file("/etc/ld.so.conf.d/again.conf", data)
        .file("/etc/ld-musl-x86_64.path", data);
    resolve_start(&fs);
}
