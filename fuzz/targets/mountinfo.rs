//! The mount table.

use micropacker::image_path::ImagePath;
use micropacker::mounts::Mounts;

pub fn run(data: &[u8]) {
    let Ok(mounts) = Mounts::parse(data) else {
        return;
    };
    for mount in mounts.iter().take(64) {
        let chain = mounts.chain(&mount.mount_point);
        let covers = |of: &ImagePath| mount.mount_point.is_at_or_below(of);
        assert!(chain.iter().all(|mount| covers(&mount.mount_point)));
        let _ = (mount.volume(), mount.is_pseudo());
    }
}
