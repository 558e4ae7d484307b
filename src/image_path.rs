//! Absolute paths inside an image, as bytes: never `String`, never lossy.

use crate::byte_string;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The longest path the kernel takes, its final NUL not counted (path_resolution(7)).
pub const PATH_MAX: usize = 4095;

/// An absolute path in the image: begins with `/`, holds no NUL, no empty and no `.` component,
/// and does not end in `/` (but for the root itself).
///
/// `..` stays: what it means depends on the symlinks before it, so only a walk over an
/// [`crate::image_fs::ImageFs`] may take it out.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImagePath(Vec<u8>);

impl ImagePath {
    /// The root directory.
    pub fn root() -> Self {
        Self(b"/".to_vec())
    }

    /// Takes an absolute path; `None` when it is relative, empty, or holds a NUL.
    pub fn new(bytes: impl AsRef<[u8]>) -> Option<Self> {
        let bytes = bytes.as_ref();
        (bytes.first() == Some(&b'/') && !bytes.contains(&0)).then(|| {
            let mut path = Self(Vec::with_capacity(bytes.len()));
            path.push_components(bytes);
            path
        })
    }

    /// `path` as seen from this directory: an absolute one replaces it, as in openat(2).
    /// `None` when `path` holds a NUL.
    pub fn join(&self, path: impl AsRef<[u8]>) -> Option<Self> {
        let path = path.as_ref();
        if path.first() == Some(&b'/') {
            return Self::new(path);
        }
        (!path.contains(&0)).then(|| {
            let mut joined = self.clone();
            joined.push_components(path);
            joined
        })
    }

    /// This path below another root: `/etc/x` rebased on `/jail` is `/jail/etc/x`.
    pub fn rebased(&self, root: &ImagePath) -> Self {
        let mut joined = root.clone();
        joined.push_components(&self.0);
        joined
    }

    fn push_components(&mut self, bytes: &[u8]) {
        if self.0 == b"/" {
            self.0.clear();
        }
        for component in bytes.split(|byte| *byte == b'/') {
            if !component.is_empty() && component != b"." {
                self.0.push(b'/');
                self.0.extend_from_slice(component);
            }
        }
        if self.0.is_empty() {
            self.0.push(b'/');
        }
    }

    /// The bytes, beginning with `/`.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// For calls into `std`.
    pub fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }

    /// Whether this is the root directory.
    pub fn is_root(&self) -> bool {
        self.0 == b"/"
    }

    /// The components between the slashes; none for the root.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0
            .split(|byte| *byte == b'/')
            .filter(|component| !component.is_empty())
    }

    /// The last component; `None` for the root.
    pub fn file_name(&self) -> Option<&[u8]> {
        self.components().next_back()
    }

    /// Everything but the last component; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        let name = self.file_name()?;
        let end = self.0.len() - name.len() - 1;
        Some(if end == 0 {
            Self::root()
        } else {
            Self(self.0[..end].to_vec())
        })
    }

    /// Whether `self` is `ancestor` or lies below it, by whole components:
    /// `/a/bc` is not below `/a/b`.
    pub fn is_at_or_below(&self, ancestor: &ImagePath) -> bool {
        ancestor.is_root()
            || self
                .0
                .strip_prefix(ancestor.0.as_slice())
                .is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
    }
}

impl Serialize for ImagePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        byte_string::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for ImagePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = byte_string::deserialize(deserializer)?;
        Self::new(&bytes).ok_or_else(|| D::Error::custom("not an absolute path without NUL"))
    }
}

/// For messages: bytes that are not printable UTF-8 appear as `\xE9` and control characters
/// escaped, so that one message stays one line.
impl fmt::Display for ImagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Escaped(&self.0), f)
    }
}

impl fmt::Debug for ImagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Escaped(&self.0), f)
    }
}

/// Bytes of a foreign name for messages, escaped as a path is.
#[derive(Clone, Copy)]
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                if character.is_control() || character == '\\' {
                    write!(f, "{}", character.escape_default())?;
                } else {
                    write!(f, "{character}")?;
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02X}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(text: &str) -> ImagePath {
        ImagePath::new(text).expect("absolute")
    }

    #[test]
    fn empty_and_dot_components_vanish_and_dotdot_stays() {
        assert_eq!(path("//a/./b//").as_bytes(), b"/a/b");
        assert_eq!(path("/a/../b").as_bytes(), b"/a/../b");
        assert_eq!(path("/./").as_bytes(), b"/");
    }

    #[test]
    fn relative_empty_and_nul_are_no_path() {
        assert_eq!(ImagePath::new("a"), None);
        assert_eq!(ImagePath::new(""), None);
        assert_eq!(ImagePath::new("/a\0b"), None);
        assert_eq!(ImagePath::root().join("a\0"), None);
    }

    #[test]
    fn joining_an_absolute_path_replaces() {
        assert_eq!(path("/a").join("b/c"), Some(path("/a/b/c")));
        assert_eq!(path("/a").join("/c"), Some(path("/c")));
        assert_eq!(path("/a").join(""), Some(path("/a")));
        assert_eq!(path("/etc/x").rebased(&path("/jail")), path("/jail/etc/x"));
    }

    #[test]
    fn below_counts_whole_components() {
        assert!(path("/a/b").is_at_or_below(&path("/a")));
        assert!(path("/a").is_at_or_below(&path("/a")));
        assert!(path("/a").is_at_or_below(&path("/")));
        assert!(!path("/data/pre.txt").is_at_or_below(&path("/data/pre")));
    }

    #[test]
    fn display_is_one_line_and_lossless() {
        let odd = ImagePath::new(b"/caf\xE9\n\\x").expect("absolute");
        assert_eq!(odd.to_string(), "/caf\\xE9\\n\\\\x");
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing(bytes in proptest::collection::vec(
            prop_oneof![Just(b'/'), Just(b'.'), 1u8..=255], 0..40)) {
            let mut absolute = vec![b'/'];
            absolute.extend(bytes);
            let once = ImagePath::new(&absolute).expect("absolute");
            prop_assert_eq!(ImagePath::new(once.as_bytes()), Some(once.clone()));
            if let (Some(parent), Some(name)) = (once.parent(), once.file_name()) {
                prop_assert_eq!(parent.join(name), Some(once.clone()));
            }
        }
    }
}
