//! POSIX ACLs as text, beside their attribute: GNU tar takes either, libarchive only the text,
//! Docker and podman only the attribute.

/// Version of `posix_acl_xattr_header` (linux/posix_acl_xattr.h).
const VERSION: [u8; 4] = [2, 0, 0, 0];

/// The records that hold an ACL's text, for the attribute that holds the ACL itself.
pub fn text_keyword(attribute: &[u8]) -> Option<&'static [u8]> {
    match attribute {
        b"system.posix_acl_access" => Some(b"SCHILY.acl.access"),
        b"system.posix_acl_default" => Some(b"SCHILY.acl.default"),
        _ => None,
    }
}

/// The short text form (acl(5)) with numeric qualifiers; `None` for what the kernel would not
/// have written.
pub fn text(value: &[u8]) -> Option<String> {
    let entries = value.strip_prefix(&VERSION)?;
    let (entries, rest) = entries.as_chunks::<8>();
    if !rest.is_empty() {
        return None;
    }
    let words: Option<Vec<_>> = entries.iter().map(entry).collect();
    Some(words?.join(","))
}

/// One `posix_acl_xattr_entry`: tag and permissions of 16 bits, ID of 32, little-endian.
fn entry([tag, tag_high, bits, bits_high, id @ ..]: &[u8; 8]) -> Option<String> {
    let id = u32::from_le_bytes(*id);
    let (who, id) = match u16::from_le_bytes([*tag, *tag_high]) {
        0x01 => ("user", None),
        0x02 => ("user", Some(id)),
        0x04 => ("group", None),
        0x08 => ("group", Some(id)),
        0x10 => ("mask", None),
        0x20 => ("other", None),
        _ => return None,
    };
    let bits = u16::from_le_bytes([*bits, *bits_high]);
    let id = id.map(|id| id.to_string()).unwrap_or_default();
    let letter = |bit, letter| if bits & bit == 0 { '-' } else { letter };
    let (read, write, search) = (letter(4, 'r'), letter(2, 'w'), letter(1, 'x'));
    Some(format!("{who}:{id}:{read}{write}{search}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_kind_of_entry_has_its_words() {
        let mut value = VERSION.to_vec();
        for (tag, bits, id) in [(1, 6, u32::MAX), (2, 4, 1000), (4, 5, u32::MAX), (32, 0, 0)] {
            value.extend([tag, 0, bits, 0]);
            value.extend(id.to_le_bytes());
        }
        assert_eq!(
            text(&value).as_deref(),
            Some("user::rw-,user:1000:r--,group::r-x,other::---")
        );
    }

    #[test]
    fn anything_else_is_none() {
        assert_eq!(text(b""), None);
        assert_eq!(text(&[2, 0, 0, 0, 1]), None);
        assert_eq!(text(&[2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]), None);
        assert_eq!(text(&[3, 0, 0, 0]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..50)) {
            let _ = text(&bytes);
        }
    }
}
