//! Which open descriptor the name of an output means, if it means one.

use std::ffi::OsStr;
use std::os::fd::RawFd;
use std::path::{Component, Path, PathBuf};

/// As many links as the kernel follows (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// The descriptor through which `path` will be opened: `-`, `/dev/stdout`, `/dev/fd/N`,
/// `/proc/self/fd/N`, what lies below one of them, and links to any of these.
pub fn descriptor_of(path: &Path) -> Option<RawFd> {
    descriptor(path, |link| std::fs::read_link(link).ok())
}

fn descriptor(path: &Path, read_link: impl Fn(&Path) -> Option<PathBuf>) -> Option<RawFd> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        if path == Path::new("-") {
            return Some(libc::STDOUT_FILENO);
        }
        if let Some(fd) = named(&path) {
            return Some(fd);
        }
        // Only the last name: who reaches a descriptor by a link in the middle opens a directory.
        let target = read_link(&path)?;
        path = path.parent().unwrap_or(Path::new("/")).join(target);
    }
    None
}

fn named(path: &Path) -> Option<RawFd> {
    let mut parts = path.components().map(|part| match part {
        Component::Normal(name) => name,
        _ => OsStr::new("/"),
    });
    let mut next = || parts.next()?.to_str();
    if next()? != "/" {
        return None;
    }
    match (next()?, next()?) {
        ("dev", "stdin") => return Some(libc::STDIN_FILENO),
        ("dev", "stdout") => return Some(libc::STDOUT_FILENO),
        ("dev", "stderr") => return Some(libc::STDERR_FILENO),
        ("dev", "fd") => {}
        ("proc", process) if is_ours(process) && next()? == "fd" => {}
        _ => return None,
    }
    next()?.parse().ok()
}

fn is_ours(process: &str) -> bool {
    process == "self" || process == "thread-self" || process.parse() == Ok(std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str) -> Option<RawFd> {
        descriptor(Path::new(path), |link| match link.to_str()? {
            "/var/link" => Some(PathBuf::from("../dev/stdout")),
            "/link" => Some(PathBuf::from("dev/fd/5")),
            "/circle" => Some(PathBuf::from("circle")),
            _ => None,
        })
    }

    #[test]
    fn names_of_descriptors_are_known() {
        for (path, fd) in [
            ("-", 1),
            ("/dev/stdout", 1),
            ("/dev/stderr", 2),
            ("/dev/fd/63", 63),
            ("/dev/fd/7/below", 7),
            ("/proc/self/fd/9", 9),
            ("/proc/thread-self/fd/9", 9),
            ("/link", 5),
        ] {
            assert_eq!(found(path), Some(fd), "{path}");
        }
        let own = format!("/proc/{}/fd/4", std::process::id());
        assert_eq!(found(&own), Some(4));
    }

    #[test]
    fn other_names_mean_no_descriptor() {
        for path in [
            "rootfs.tar",
            "/out/rootfs.tar",
            "/dev/null",
            "/dev/fd/x",
            "/proc/1/status",
            "dev/fd/1",
            "/circle",
        ] {
            assert_eq!(found(path), None, "{path}");
        }
    }
}
