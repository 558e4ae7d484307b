//! `/etc/ld.so.conf`: the directories that ldconfig(8) puts into the cache.
//!
//! The loader itself never reads this file, only the cache made from it; it serves to say why a
//! library is missing.

use crate::image_fs::{FileKind, ImageFs, walk};
use crate::image_path::ImagePath;

/// Beyond this a file of directories is no real one.
const MAX_CONF: u64 = 1 << 20;
/// Files that include each other must end somewhere.
const MAX_DEPTH: usize = 8;

/// The directories in the order of the files, those of included files where `include` stands.
/// Files that cannot be read count as empty, as ldconfig goes on without them.
pub fn directories(fs: &dyn ImageFs, conf: &ImagePath) -> Vec<ImagePath> {
    let mut found = Vec::new();
    read(fs, conf, 0, &mut found);
    found
}

fn read(fs: &dyn ImageFs, conf: &ImagePath, depth: usize, found: &mut Vec<ImagePath>) {
    let Ok((physical, _)) = walk(fs, conf, true).end else {
        return;
    };
    let Ok(text) = fs.read(&physical, MAX_CONF) else {
        return;
    };
    for line in text.split(|byte| *byte == b'\n') {
        let end = line.iter().position(|byte| *byte == b'#');
        let line = line[..end.unwrap_or(line.len())].trim_ascii();
        match directive(line) {
            Some((b"include", patterns)) if depth < MAX_DEPTH => {
                let here = conf.parent().unwrap_or_else(ImagePath::root);
                for pattern in patterns.split(u8::is_ascii_whitespace) {
                    for file in included(fs, &here, pattern) {
                        read(fs, &file, depth + 1, found);
                    }
                }
            }
            Some((b"include" | b"hwcap", _)) => {}
            // `directory=type` is of the days of libc5.
            _ => {
                let path = line.split(|byte| *byte == b'=').next().unwrap_or_default();
                if let Some(directory) = ImagePath::new(path.trim_ascii_end())
                    && !found.contains(&directory)
                {
                    found.push(directory);
                }
            }
        }
    }
}

fn directive(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = line.iter().position(u8::is_ascii_whitespace)?;
    Some((&line[..end], line[end..].trim_ascii_start()))
}

/// The files a pattern of glob(7) names, sorted; relative to the including file's directory.
fn included(fs: &dyn ImageFs, here: &ImagePath, pattern: &[u8]) -> Vec<ImagePath> {
    if pattern.is_empty() {
        return Vec::new();
    }
    let Some(absolute) = here.join(pattern) else {
        return Vec::new();
    };
    let mut matched = vec![ImagePath::root()];
    for component in absolute.components() {
        let is_pattern = component.iter().any(|byte| b"*?[\\".contains(byte));
        matched = matched
            .iter()
            .flat_map(|directory| {
                let names = if is_pattern {
                    names_in(fs, directory)
                } else {
                    vec![component.to_vec()]
                };
                names
                    .into_iter()
                    .filter(|name| !is_pattern || matches(component, name))
                    .filter_map(|name| directory.join(&name))
                    .collect::<Vec<_>>()
            })
            .collect();
    }
    matched
}

fn names_in(fs: &dyn ImageFs, directory: &ImagePath) -> Vec<Vec<u8>> {
    match walk(fs, directory, true).end {
        Ok((physical, meta)) if meta.kind == FileKind::Directory => {
            fs.list(&physical).unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

/// glob(7) within one component: `*`, `?`, `[…]` and `\`; none matches a leading dot.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    if name.first() == Some(&b'.') && pattern.first() != Some(&b'.') {
        return false;
    }
    // Where to go on after the last `*`, if what follows it did not match.
    let mut retry: Option<(usize, usize)> = None;
    let (mut at, mut done) = (0, 0);
    while done < name.len() {
        if pattern.get(at) == Some(&b'*') {
            at += 1;
            retry = Some((at, done));
        } else if let Some(length) = matches_one(&pattern[at..], name[done]) {
            at += length;
            done += 1;
        } else if let Some((after, from)) = retry {
            at = after;
            done = from + 1;
            retry = Some((after, done));
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// How many bytes of the pattern one byte of a name takes; `None` when it does not match.
fn matches_one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [b'?', ..] => Some(1),
        [b'\\', literal, ..] => (*literal == byte).then_some(2),
        [b'[', set @ ..] => {
            let negated = matches!(set.first(), Some(b'!' | b'^'));
            let set = &set[usize::from(negated)..];
            // A `]` that stands first belongs to the set.
            let end = 1 + set.iter().skip(1).position(|byte| *byte == b']')?;
            let inside = in_set(&set[..end], byte);
            (inside != negated).then_some(end + 2 + usize::from(negated))
        }
        [literal, ..] => (*literal == byte).then_some(1),
        [] => None,
    }
}

fn in_set(set: &[u8], byte: u8) -> bool {
    let mut rest = set;
    loop {
        match rest {
            [first, b'-', last, tail @ ..] => {
                if (*first..=*last).contains(&byte) {
                    return true;
                }
                rest = tail;
            }
            [one, tail @ ..] => {
                if *one == byte {
                    return true;
                }
                rest = tail;
            }
            [] => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image_fs::MemFs;
    use proptest::prelude::*;

    fn listed(fs: &MemFs) -> Vec<String> {
        let conf = ImagePath::new("/etc/ld.so.conf").expect("absolute");
        directories(fs, &conf)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn included_files_stand_in_sorted_order_where_the_directive_stands() {
        let fs = MemFs::new()
            .file(
                "/etc/ld.so.conf",
                "/first\ninclude ld.so.conf.d/*.conf # all\nhwcap 1 nosegneg\n/last \n",
            )
            .file("/etc/ld.so.conf.d/b.conf", "/b=libc6\n")
            .file("/etc/ld.so.conf.d/a.conf", "# none\n\t/a/lib\n/first\n")
            .file("/etc/ld.so.conf.d/.hidden.conf", "/hidden\n")
            .file("/etc/ld.so.conf.d/a.txt", "/txt\n");
        assert_eq!(listed(&fs), ["/first", "/a/lib", "/b", "/last"]);
    }

    #[test]
    fn a_file_that_includes_itself_ends() {
        let fs = MemFs::new().file("/etc/ld.so.conf", "include /etc/ld.so.conf\n/x\nrelative\n");
        assert_eq!(listed(&fs), ["/x"]);
        assert!(listed(&MemFs::new()).is_empty());
    }

    #[test]
    fn patterns_match_as_glob_says() {
        for (pattern, name, expected) in [
            ("*.conf", "a.conf", true),
            ("*.conf", ".conf", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("?x", "ax", true),
            ("[a-c]1", "b1", true),
            ("[!a-c]1", "b1", false),
            ("[]x]", "]", true),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("[a", "[a", false),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), name.as_bytes()),
                expected,
                "{pattern} {name}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_pattern_ends_without_a_panic(
            pattern in proptest::collection::vec(prop_oneof![Just(b'*'), Just(b'['), Just(b']'),
                Just(b'\\'), Just(b'-'), Just(b'!'), any::<u8>()], 0..12),
            name in proptest::collection::vec(any::<u8>(), 0..12),
        ) {
            let _ = matches(&pattern, &name);
        }
    }
}
