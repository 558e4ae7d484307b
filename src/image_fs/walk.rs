//! Following a path link by link, as the kernel does (path_resolution(7)), and noting each
//! symlink on the way.

use super::{FileKind, ImageFs, Meta};
use crate::image_path::ImagePath;
use nix::errno::Errno;
use std::io;

/// The kernel gives up with ELOOP after this many symlinks (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// Where a walk led.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walk {
    /// The physical paths of the symlinks that were followed, in order.
    pub links: Vec<ImagePath>,
    /// The physical directories that a `..` stepped out of, in order: `/a/b/../c` fails unless
    /// `/a/b` is there, although nothing in it is used.
    pub left: Vec<ImagePath>,
    /// The physical path of what the walk ended at, and what it is; a symlink only if that was
    /// not to be followed. Or why it ended early: `NotFound`, `NotADirectory`,
    /// `FilesystemLoop`, or what the file system said.
    pub end: Result<(ImagePath, Meta), Errno>,
    /// The deepest directory on the way that is there, physical.
    pub deepest: ImagePath,
    /// The physical path of the component where the walk ended: that of `end`, or of what was
    /// missing.
    pub last: ImagePath,
}

/// Walks `path` from `/`, following a symlink at its end too when `follow_last`.
pub fn walk(fs: &dyn ImageFs, path: &ImagePath, follow_last: bool) -> Walk {
    walk_in(fs, &ImagePath::root(), path, follow_last)
}

/// Walks `path` for a process whose root directory is `root` (chroot(2)): absolute targets and
/// `..` stay below it. All paths of the result are seen from `/`.
pub fn walk_in(fs: &dyn ImageFs, root: &ImagePath, path: &ImagePath, follow_last: bool) -> Walk {
    let mut pending: Vec<Vec<u8>> = path.components().rev().map(<[u8]>::to_vec).collect();
    let mut links = Vec::new();
    let mut left = Vec::new();
    let mut here = root.clone();
    let mut meta = match fs.lstat(root) {
        Ok(meta) => meta,
        Err(error) => return ended((links, left), Err(errno(&error)), ImagePath::root(), here),
    };
    while let Some(component) = pending.pop() {
        if meta.kind != FileKind::Directory {
            let deepest = here.parent().unwrap_or_else(ImagePath::root);
            return ended((links, left), Err(Errno::ENOTDIR), deepest, here);
        }
        if component == b".." {
            if here != *root {
                left.push(here.clone());
                here = here.parent().unwrap_or_else(ImagePath::root);
            }
            continue;
        }
        let Some(next) = here.join(&component) else {
            return ended((links, left), Err(Errno::EINVAL), here.clone(), here);
        };
        let found = match fs.lstat(&next) {
            Ok(found) => found,
            Err(error) => return ended((links, left), Err(errno(&error)), here, next),
        };
        if found.kind != FileKind::Symlink || (pending.is_empty() && !follow_last) {
            here = next;
            meta = found;
            continue;
        }
        if links.len() == MAX_LINKS {
            return ended((links, left), Err(Errno::ELOOP), here, next);
        }
        let target = match fs.read_link(&next) {
            Ok(target) => target,
            Err(error) => return ended((links, left), Err(errno(&error)), here, next),
        };
        links.push(next);
        if target.first() == Some(&b'/') {
            here = root.clone();
        }
        pending.extend(
            target
                .split(|byte| *byte == b'/')
                .filter(|part| !part.is_empty() && *part != b".")
                .rev()
                .map(<[u8]>::to_vec),
        );
    }
    let deepest = if meta.kind == FileKind::Directory {
        here.clone()
    } else {
        here.parent().unwrap_or_else(ImagePath::root)
    };
    ended((links, left), Ok((here.clone(), meta)), deepest, here)
}

fn errno(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

fn ended(
    (links, left): (Vec<ImagePath>, Vec<ImagePath>),
    end: Result<(ImagePath, Meta), Errno>,
    deepest: ImagePath,
    last: ImagePath,
) -> Walk {
    Walk {
        links,
        left,
        end,
        deepest,
        last,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image_fs::MemFs;

    fn path(text: &str) -> ImagePath {
        ImagePath::new(text).expect("absolute")
    }

    fn led_to(walk: &Walk) -> String {
        match &walk.end {
            Ok((path, _)) => path.to_string(),
            Err(errno) => format!("{errno:?}"),
        }
    }

    #[test]
    fn every_link_on_the_way_is_noted_in_order() {
        let fs = MemFs::new()
            .symlink("/var/run", "/run")
            .symlink("/run/app", "../data/v1")
            .file("/data/v1/pid", "1");
        let walk = walk(&fs, &path("/var/run/app/pid"), true);
        assert_eq!(led_to(&walk), "/data/v1/pid");
        assert_eq!(walk.links, [path("/var/run"), path("/run/app")]);
    }

    #[test]
    fn dotdot_after_a_link_leaves_the_targets_parent() {
        let fs = MemFs::new()
            .symlink("/a", "/b/c")
            .file("/b/x", "")
            .directory("/b/c");
        assert_eq!(led_to(&walk(&fs, &path("/a/../x"), true)), "/b/x");
        assert_eq!(led_to(&walk(&fs, &path("/../../b/x"), true)), "/b/x");
        assert_eq!(walk(&fs, &path("/a/../x"), true).left, [path("/b/c")]);
    }

    #[test]
    fn a_last_link_is_followed_only_when_asked() {
        let fs = MemFs::new().symlink("/l", "t").file("/t", "");
        assert_eq!(led_to(&walk(&fs, &path("/l"), false)), "/l");
        assert_eq!(led_to(&walk(&fs, &path("/l"), true)), "/t");
    }

    #[test]
    fn a_dangling_link_tells_how_far_it_came() {
        let fs = MemFs::new().symlink("/d/l", "gone/x").directory("/d");
        let walk = walk(&fs, &path("/d/l"), true);
        assert_eq!(walk.end, Err(Errno::ENOENT));
        assert_eq!(walk.links, [path("/d/l")]);
        assert_eq!((walk.deepest, walk.last), (path("/d"), path("/d/gone")));
    }

    #[test]
    fn loops_and_files_as_directories_end_the_walk() {
        let fs = MemFs::new()
            .symlink("/a", "/b")
            .symlink("/b", "/a")
            .file("/f", "");
        assert_eq!(led_to(&walk(&fs, &path("/a"), true)), "ELOOP");
        assert_eq!(led_to(&walk(&fs, &path("/f/x"), true)), "ENOTDIR");
    }

    #[test]
    fn a_chroot_holds_absolute_links_and_dotdot() {
        let fs = MemFs::new()
            .symlink("/jail/etc/l", "/etc/real")
            .file("/jail/etc/real", "")
            .file("/etc/real", "");
        let root = path("/jail");
        let inside = walk_in(&fs, &root, &path("/etc/l"), true);
        assert_eq!(led_to(&inside), "/jail/etc/real");
        let up = walk_in(&fs, &root, &path("/../../etc/real"), true);
        assert_eq!(led_to(&up), "/jail/etc/real");
    }
}
