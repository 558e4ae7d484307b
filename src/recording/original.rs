//! What a file of the image was before the application changed it.

use super::Loss;
use crate::byte_string::{self, ByteString};
use crate::image_fs::{FileKind, Meta};
use crate::image_path::ImagePath;
use serde::{Deserialize, Serialize};

/// How much of an original is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Metadata and extended attributes: the content stays as it is, here or under another name.
    Meta,
    /// The content too.
    Whole,
}

/// An entry of the image as it was when the trace began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Original {
    /// Its physical path when the trace began.
    pub path: ImagePath,
    /// What lstat(2) told.
    pub meta: Meta,
    /// Its extended attributes, sorted by name.
    pub xattrs: Vec<(ByteString, ByteString)>,
    /// Where its content is.
    pub body: Body,
}

/// Where the content of an original is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Body {
    /// It has none: a directory, a device node, a FIFO, a socket.
    None,
    /// A symlink's target.
    Target(#[serde(with = "byte_string")] Vec<u8>),
    /// A regular file whose bytes are the same still, under whatever name it has now.
    InPlace,
    /// A regular file whose bytes are in the spool. They were there, whole, before this was told.
    Saved {
        /// The name of the file in the spool.
        file: u64,
        /// Its length in bytes.
        length: u64,
    },
    /// A regular file that could not be saved, and why: it is shipped as it is found.
    Unsaved(String),
}

impl Original {
    /// How much of it is kept.
    pub fn level(&self) -> Level {
        match self.body {
            Body::InPlace => Level::Meta,
            _ => Level::Whole,
        }
    }

    /// Whether other names may have had the same inode: what changes it changes all of them.
    pub fn has_links(&self) -> bool {
        self.meta.kind != FileKind::Directory && self.meta.nlink > 1
    }

    /// What is lost of it, for those who are told.
    pub fn loss(&self) -> Option<Loss> {
        let Body::Unsaved(why) = &self.body else {
            return None;
        };
        let path = &self.path;
        Some(Loss {
            what: format!(
                "the original of {path}, which was changed and is shipped as it is now: {why}"
            ),
            count: 1,
        })
    }

    /// Takes in what was told of the same path later: what it was is known from the first time,
    /// only its content may have been saved since.
    pub fn update(&mut self, later: Original) {
        if self.body == Body::InPlace {
            self.body = later.body;
        }
    }
}
