//! PAX extended header records (POSIX.1-2017, pax, "pax Extended Header").

use crate::image_fs::FileTime;

/// The records of one extended header, in the order in which they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    bytes: Vec<u8>,
    binary: bool,
}

impl Records {
    /// Adds `keyword=value`. The value may hold any byte; the keyword must not hold `=`.
    pub fn push(&mut self, keyword: &[u8], value: &[u8]) {
        self.bytes.extend(record(keyword, value));
    }

    /// Adds a path: where it is not UTF-8, as the format asks, the header says so.
    pub fn push_path(&mut self, keyword: &[u8], path: &[u8]) {
        self.binary |= std::str::from_utf8(path).is_err();
        self.push(keyword, path);
    }

    /// Adds all records of `other` behind these.
    pub fn append(&mut self, other: &Records) {
        self.binary |= other.binary;
        self.bytes.extend_from_slice(&other.bytes);
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes of all records so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The content of the extended header.
    pub fn encode(&self) -> Vec<u8> {
        // First, since it says how the records after it are to be read. GNU tar and Go take
        // paths as bytes anyway; libarchive needs it.
        let mut encoded = if self.binary {
            record(b"hdrcharset", b"BINARY")
        } else {
            Vec::new()
        };
        encoded.extend_from_slice(&self.bytes);
        encoded
    }
}

/// `LENGTH KEYWORD=VALUE\n`, where LENGTH counts its own digits too.
fn record(keyword: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = keyword.len() + value.len() + 3;
    let mut length = rest + digits(rest);
    // Adding the digits may itself add a digit, once.
    length = rest + digits(length);
    let mut record = format!("{length} ").into_bytes();
    record.extend_from_slice(keyword);
    record.push(b'=');
    record.extend_from_slice(value);
    record.push(b'\n');
    record
}

fn digits(number: usize) -> usize {
    number.to_string().len()
}

/// The records of an extended header that someone wrote; `None` where it is malformed.
pub fn parse(mut header: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut records = Vec::new();
    while !header.is_empty() {
        let space = header.iter().position(|byte| *byte == b' ')?;
        let length: usize = std::str::from_utf8(&header[..space]).ok()?.parse().ok()?;
        let record = header.get(space + 1..length)?.strip_suffix(b"\n")?;
        let equals = record.iter().position(|byte| *byte == b'=')?;
        records.push((&record[..equals], &record[equals + 1..]));
        header = &header[length..];
    }
    Some(records)
}

/// The value of an `mtime` record: seconds, and a fraction where there is one.
///
/// Before 1970 the readers disagree on a fraction (libarchive adds what GNU tar and Go
/// subtract), so there a time is rounded down to the whole second on which all agree.
pub fn time(time: FileTime) -> String {
    if time.nanoseconds == 0 || time.seconds < 0 {
        return time.seconds.to_string();
    }
    let text = format!("{}.{:09}", time.seconds, time.nanoseconds);
    text.trim_end_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_record_counts_its_own_length() {
        assert_eq!(record(b"path", b"a"), b"9 path=a\n");
        assert_eq!(record(b"path", b""), b"8 path=\n");
    }

    #[test]
    fn a_path_that_is_not_utf8_says_so_before_it_comes() {
        let mut records = Records::default();
        records.push_path(b"path", b"caf\xE9");
        assert_eq!(records.encode(), b"21 hdrcharset=BINARY\n13 path=caf\xE9\n");
    }

    #[test]
    fn times_carry_only_the_digits_they_need() {
        let at = |seconds, nanoseconds| {
            time(FileTime {
                seconds,
                nanoseconds,
            })
        };
        assert_eq!(at(5, 0), "5");
        assert_eq!(at(5, 120_000_000), "5.12");
        assert_eq!(at(5, 1), "5.000000001");
        assert_eq!(at(-2, 500_000_000), "-2");
    }

    #[test]
    fn malformed_records_are_none() {
        for bad in [
            "x", "9", "9 path=", "0 a=b\n", "99 a=b\n", "6 a=b", "-1 a=b\n", "2 ",
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(parse(b""), Some(Vec::new()));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..5)
        ) {
            let mut records = Records::default();
            for value in &values {
                records.push(b"k", value);
            }
            let encoded = records.encode();
            let parsed = parse(&encoded).expect("well-formed");
            let found: Vec<_> = parsed.into_iter().map(|(_, value)| value.to_vec()).collect();
            prop_assert_eq!(found, values);
        }

        #[test]
        fn reading_anything_does_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn the_written_length_is_the_length(value in proptest::collection::vec(any::<u8>(), 0..1200)) {
            let bytes = record(b"SCHILY.xattr.user.x", &value);
            let text = bytes.split(|byte| *byte == b' ').next().expect("a length");
            let length: usize = std::str::from_utf8(text).expect("digits").parse().expect("a number");
            prop_assert_eq!(length, bytes.len());
        }
    }
}
