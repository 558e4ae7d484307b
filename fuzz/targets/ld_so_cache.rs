//! `/etc/ld.so.cache`.

use super::{resolve_start, tree_with_program};
use micropacker::elf::LdCache;

pub fn run(data: &[u8]) {
    if let Ok(cache) = LdCache::parse(data) {
        assert!(cache.len() <= data.len());
        assert!(cache.entries(b"libc.so.6").len() <= cache.len());
    }
    resolve_start(&tree_with_program().file("/etc/ld.so.cache", data));
}
