//! Names of images.

use super::PackError;

/// `name` as `name:latest`, checked as Docker checks it (distribution, reference/regexp.go).
///
/// # Errors
/// When no image can have this name.
pub fn full_tag(tag: &str) -> Result<String, PackError> {
    let bad = || PackError::Tag(tag.escape_debug().to_string());
    let after_host = tag.rfind('/').map_or(0, |at| at + 1);
    let (name, version) = match tag[after_host..].find(':') {
        Some(at) => (&tag[..after_host + at], &tag[after_host + at + 1..]),
        None => (tag, "latest"),
    };
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let is_version = version.len() <= 128
        && version.bytes().next().is_some_and(word)
        && version
            .bytes()
            .all(|byte| word(byte) || b".-".contains(&byte));
    let mut components = name.split('/');
    let host = name.contains('/').then(|| components.next()).flatten();
    let is_host = host.is_none_or(|host| {
        let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:".contains(&byte);
        host.bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_alphanumeric())
            && host.bytes().all(inside)
    });
    let is_component = |component: &str| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let bytes = component.as_bytes();
        bytes.first().is_some_and(|byte| plain(*byte))
            && bytes.last().is_some_and(|byte| plain(*byte))
            && bytes
                .iter()
                .all(|byte| plain(*byte) || b"._-".contains(byte))
    };
    if is_version && is_host && components.all(is_component) {
        return Ok(format!("{name}:{version}"));
    }
    Err(bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_images_are_completed_and_checked() {
        for (given, full) in [
            ("app", "app:latest"),
            ("app:1.0-x", "app:1.0-x"),
            ("host:5000/a/b", "host:5000/a/b:latest"),
            ("Host.example/a_b:v", "Host.example/a_b:v"),
        ] {
            assert_eq!(full_tag(given).expect("a name"), full);
        }
        for bad in "|App|a:|a b|a:b:c|a/|/a|a@sha256:x|\u{e9}|a:.x".split('|') {
            assert!(full_tag(bad).is_err(), "{bad}");
        }
    }
}
