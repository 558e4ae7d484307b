//! The program of all targets: `FUZZ_TARGET` names the one that runs.

#![no_main]

mod targets;

use std::sync::LazyLock;

static TARGET: LazyLock<targets::Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").expect("FUZZ_TARGET names a target");
    targets::named(&name)
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| TARGET(data));
