//! The program of each target: the binary's name says which (`[[bin]]` in Cargo.toml).

#![no_main]

mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::run(env!("CARGO_BIN_NAME"), data));
