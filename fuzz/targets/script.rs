//! Scripts: the `#!` line and what it starts.

use super::{resolve_start, tree_with_program};

pub fn run(data: &[u8]) {
    let fs = tree_with_program()
        .program("/bin/sh", super::DYNAMIC)
        .program("/bin/env", super::DYNAMIC)
        .program("/program", data);
    resolve_start(&fs);
}
