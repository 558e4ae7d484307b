//! Byte strings in JSON: as text where they are UTF-8, as an array of numbers where they are not.
//!
//! A path of the image is bytes. Both forms are read, so that whatever was written is read back
//! the same, and what people look at stays text. For `#[serde(with = "byte_string")]`.

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserializer, Serialize, Serializer};
use std::fmt;

/// Writes `bytes`.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(
    bytes: &(impl AsRef<[u8]> + ?Sized),
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let bytes = bytes.as_ref();
    match std::str::from_utf8(bytes) {
        Ok(text) => serializer.serialize_str(text),
        Err(_) => bytes.serialize(serializer),
    }
}

/// Reads either form.
///
/// # Errors
/// When it is neither, or a number is no byte.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    deserializer.deserialize_any(Bytes)
}

struct Bytes;

impl<'de> Visitor<'de> for Bytes {
    type Value = Vec<u8>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a string or an array of bytes")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vec<u8>, E> {
        Ok(text.as_bytes().to_vec())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Vec<u8>, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = sequence.next_element()? {
            bytes.push(byte);
        }
        Ok(bytes)
    }
}

/// The same for what may be missing (`null`).
pub mod option {
    use super::ByteString;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// Writes `bytes`, or `null`.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(
        bytes: &Option<Vec<u8>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        bytes.clone().map(ByteString).serialize(serializer)
    }

    /// Reads either form, or `null`.
    ///
    /// # Errors
    /// When it is none of them.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Vec<u8>>, D::Error> {
        let bytes: Option<ByteString> = Option::deserialize(deserializer)?;
        Ok(bytes.map(|ByteString(bytes)| bytes))
    }
}

/// Bytes of their own: an argument of a command, for instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ByteString(#[serde(with = "crate::byte_string")] pub Vec<u8>);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_stays_readable_and_other_bytes_become_numbers() {
        let written = |bytes: &[u8]| serde_json::to_string(&ByteString(bytes.to_vec()));
        assert_eq!(written(b"/etc/x\n").ok().as_deref(), Some(r#""/etc/x\n""#));
        assert_eq!(written(b"\xE9a").ok().as_deref(), Some("[233,97]"));
    }

    #[test]
    fn what_is_no_byte_is_refused() {
        for text in ["[256]", "[-1]", "[\"a\"]", "7", "null"] {
            assert!(serde_json::from_str::<ByteString>(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back(bytes: Vec<u8>) {
            let bytes = ByteString(bytes);
            let text = serde_json::to_string(&bytes).expect("writes");
            prop_assert_eq!(serde_json::from_str::<ByteString>(&text).expect("reads"), bytes);
        }
    }
}
