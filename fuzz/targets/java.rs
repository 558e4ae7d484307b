//! Archives of Java: zip, and what tells of packages in it.

use super::language::packages_of;
use micropacker::image_fs::MemFs;

pub fn run(data: &[u8]) {
    packages_of(&MemFs::new().file("/srv/app.jar", data));
}
