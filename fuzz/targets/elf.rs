//! ELF files: the facts, and the closure of one that is started.

use super::{path, resolve_start, tree_with_program};
use micropacker::elf::Facts;
use micropacker::image_fs::{ImageFs, MemFs};

pub fn run(data: &[u8]) {
    let fs = MemFs::new().file("/file", data);
    let file = fs.open(&path("/file")).expect("there");
    if let Ok(Some(facts)) = Facts::read(&*file) {
        assert!(facts.needed().all(|name| name.len() <= data.len()));
    }
    resolve_start(&tree_with_program().program("/program", data));
}
