//! What the user names by pattern: globs over absolute paths, as bytes.

use crate::image_path::ImagePath;
use globset::{Candidate, Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use thiserror::Error;

/// A pattern that cannot be used, and why.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the messages say it all")]
pub enum PatternError {
    #[error("pattern {0:?} is not absolute: begin it with /")]
    Relative(String),
    #[error("pattern {0:?} has wildcards and is not UTF-8: write ? for the odd bytes")]
    NotUtf8(String),
    #[error("pattern {0:?} is no glob: {1}")]
    Glob(String, String),
}

/// One pattern of a list.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// As the user wrote it, for messages.
    pub text: String,
    /// What it stands for.
    pub kind: PatternKind,
}

/// A name, or a glob.
#[derive(Clone, Debug)]
pub enum PatternKind {
    /// Holds no wildcard: this path.
    Literal(ImagePath),
    /// The components of a glob, as written.
    Glob(Vec<String>),
}

/// A list of patterns. `*` and `?` stay within a component, `**` crosses them.
#[derive(Clone, Debug, Default)]
pub struct Patterns {
    patterns: Vec<Pattern>,
    literals: BTreeMap<ImagePath, usize>,
    globs: GlobSet,
    /// The pattern of each glob of the set.
    glob_patterns: Vec<usize>,
}

impl Patterns {
    /// No pattern: matches nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// Takes patterns as the user wrote them.
    ///
    /// # Errors
    /// The first that is not absolute, is no glob, or has wildcards in a name that is not UTF-8.
    pub fn new(texts: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Result<Self, PatternError> {
        let mut list = Self::default();
        let mut globs = GlobSetBuilder::new();
        for text in texts {
            let pattern = parse(text.as_ref())?;
            let index = list.patterns.len();
            match &pattern.kind {
                PatternKind::Literal(path) => {
                    list.literals.entry(path.clone()).or_insert(index);
                }
                PatternKind::Glob(components) => {
                    globs.add(glob(&format!("/{}", components.join("/")))?);
                    list.glob_patterns.push(index);
                }
            }
            list.patterns.push(pattern);
        }
        list.globs = globs.build().map_err(|error| {
            PatternError::Glob(
                error.glob().unwrap_or_default().to_owned(),
                error.to_string(),
            )
        })?;
        Ok(list)
    }

    /// The patterns, in the order they were given.
    pub fn iter(&self) -> impl Iterator<Item = &Pattern> {
        self.patterns.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// The pattern that names `path` or a directory it lies in.
    pub fn covering(&self, path: &ImagePath) -> Option<&str> {
        if self.is_empty() {
            return None;
        }
        let mut here = Some(path.clone());
        while let Some(place) = here {
            if let Some(index) = self.matching(&place) {
                return self
                    .patterns
                    .get(index)
                    .map(|pattern| pattern.text.as_str());
            }
            here = place.parent();
        }
        None
    }

    fn matching(&self, path: &ImagePath) -> Option<usize> {
        if let Some(index) = self.literals.get(path) {
            return Some(*index);
        }
        if self.globs.is_empty() {
            return None;
        }
        let candidate = Candidate::from_bytes(path.as_bytes());
        let first = *self.globs.matches_candidate(&candidate).first()?;
        self.glob_patterns.get(first).copied()
    }
}

/// The patterns of an `--include-from` file: one a line, spaces around it and a trailing CR
/// ignored, lines that begin with `#` and empty ones left out.
pub fn parse_file(text: &[u8]) -> Vec<Vec<u8>> {
    text.split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty() && line[0] != b'#')
        .map(<[u8]>::to_vec)
        .collect()
}

/// A glob whose wildcards stay within a component.
pub(super) fn glob(text: &str) -> Result<Glob, PatternError> {
    GlobBuilder::new(text)
        .literal_separator(true)
        .backslash_escape(true)
        .build()
        .map_err(|error| PatternError::Glob(text.to_owned(), error.kind().to_string()))
}

fn parse(bytes: &[u8]) -> Result<Pattern, PatternError> {
    let text = OsStr::from_bytes(bytes).display().to_string();
    let absolute = if bytes.starts_with(b"**") {
        [b"/", bytes].concat()
    } else {
        bytes.to_vec()
    };
    let path = ImagePath::new(&absolute).ok_or_else(|| PatternError::Relative(text.clone()))?;
    if !bytes.iter().any(|byte| b"*?[{\\".contains(byte)) {
        let kind = PatternKind::Literal(path);
        return Ok(Pattern { text, kind });
    }
    let components = path
        .components()
        .map(|component| String::from_utf8(component.to_vec()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| PatternError::NotUtf8(text.clone()))?;
    let kind = PatternKind::Glob(components);
    Ok(Pattern { text, kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covering(patterns: &[&str], path: impl AsRef<[u8]>) -> Option<String> {
        let path = ImagePath::new(path).expect("absolute");
        let patterns = Patterns::new(patterns).expect("patterns");
        patterns.covering(&path).map(str::to_owned)
    }

    #[test]
    fn a_name_covers_itself_and_all_below_by_whole_components() {
        assert_eq!(
            covering(&["/data/pre/"], "/data/pre").as_deref(),
            Some("/data/pre/")
        );
        assert!(covering(&["/data/pre"], "/data/pre/a/b").is_some());
        assert!(covering(&["/data/pre"], "/data/pre.txt").is_none());
    }

    #[test]
    fn a_star_stays_within_a_component_and_two_cross_them() {
        assert!(covering(&["/var/*.log"], "/var/a.log").is_some());
        assert!(covering(&["/var/*.log"], "/var/x/a.log").is_none());
        assert!(covering(&["/var/**/*.log"], "/var/x/y/a.log").is_some());
        assert!(covering(&["**/*.pyc"], "/usr/lib/a.pyc").is_some());
        assert!(covering(&["/var/{a,b}"], "/var/b/c").is_some());
    }

    #[test]
    fn names_are_bytes() {
        assert!(covering(&["/caf?"], b"/caf\xE9").is_some());
        let literal = Patterns::new([b"/caf\xE9"]).expect("bytes");
        assert!(
            literal
                .covering(&ImagePath::new(b"/caf\xE9/x").expect("absolute"))
                .is_some()
        );
        assert!(matches!(
            Patterns::new([b"/caf\xE9*"]),
            Err(PatternError::NotUtf8(_))
        ));
    }

    #[test]
    fn a_wrong_pattern_is_told_with_its_text() {
        let told = |text| Patterns::new([text]).expect_err("wrong").to_string();
        assert!(told("etc/passwd").contains("begin it with /"));
        assert!(told("/etc/[a").contains("/etc/[a"));
    }

    #[test]
    fn a_file_of_patterns_has_comments_and_empty_lines() {
        let text = b"# mine\n/etc/a\r\n\n  /etc/b c \n#/etc/d\n/last";
        assert_eq!(parse_file(text), [&b"/etc/a"[..], b"/etc/b c", b"/last"]);
    }
}
