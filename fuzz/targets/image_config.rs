//! The configuration of the original image, and instructions that change it.

use micropacker::pack::{ImageConfig, change, parse_image_config};

pub fn run(data: &[u8]) {
    let _ = parse_image_config(data);
    if let Ok(text) = std::str::from_utf8(data) {
        let mut config = ImageConfig::default();
        for instruction in text.lines() {
            let _ = change(&mut config, instruction);
        }
    }
}
