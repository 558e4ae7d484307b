//! The digest of each file while it is written.

use crate::image_path::ImagePath;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// SHA-256 of the content of regular files, holes as zeros.
pub type Digests = BTreeMap<ImagePath, [u8; 32]>;

/// Computes digests where they are wanted: a file is hashed a second time for that.
#[derive(Debug, Default)]
pub(super) struct Digester(Option<Digests>);

/// A file's content on its way.
pub(super) struct Content(Option<Sha256>);

impl Digester {
    pub(super) fn wanted(wanted: bool) -> Self {
        Self(wanted.then(Digests::new))
    }

    pub(super) fn begin(&self) -> Content {
        Content(self.0.is_some().then(Sha256::new))
    }

    pub(super) fn finish(&mut self, path: &ImagePath, content: Content) {
        if let (Some(digests), Some(hash)) = (&mut self.0, content.0) {
            digests.insert(path.clone(), hash.finalize().into());
        }
    }

    /// The digest of a file that is known already.
    pub(super) fn know(&mut self, path: &ImagePath, digest: [u8; 32]) {
        if let Some(digests) = &mut self.0 {
            digests.insert(path.clone(), digest);
        }
    }

    /// The digest of a file that was finished.
    pub(super) fn of(&self, path: &ImagePath) -> Option<[u8; 32]> {
        self.0.as_ref()?.get(path).copied()
    }

    /// A further link to the file whose name in the archive is `first`.
    pub(super) fn link(&mut self, path: &ImagePath, first: &[u8]) {
        let first = ImagePath::root().join(first);
        if let Some(digests) = &mut self.0
            && let Some(digest) = first.and_then(|first| digests.get(&first)).copied()
        {
            digests.insert(path.clone(), digest);
        }
    }

    pub(super) fn into_digests(self) -> Digests {
        self.0.unwrap_or_default()
    }
}

impl Content {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        if let Some(hash) = &mut self.0 {
            hash.update(bytes);
        }
    }

    /// A hole.
    pub(super) fn add_zeros(&mut self, length: u64) {
        const ZEROS: [u8; 4096] = [0; 4096];
        let Some(hash) = &mut self.0 else { return };
        let mut left = length;
        while left > 0 {
            let part = left.min(ZEROS.len() as u64);
            hash.update(&ZEROS[..part as usize]);
            left -= part;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_count_as_zeros() {
        let path = ImagePath::root();
        let mut digester = Digester::wanted(true);
        let mut content = digester.begin();
        content.add(b"a");
        content.add_zeros(5000);
        digester.finish(&path, content);
        let expected: [u8; 32] = Sha256::digest([&b"a"[..], &[0; 5000]].concat()).into();
        assert_eq!(digester.into_digests().get(&path), Some(&expected));
    }
}
