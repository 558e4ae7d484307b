//! Times as image configurations hold them (RFC 3339, section 5.6).

use crate::image_fs::FileTime;

const DAY: i64 = 24 * 60 * 60;

/// `1970-01-01T00:00:00Z`; `None` outside the years 0 to 9999, which the format cannot hold.
pub fn rfc3339(time: FileTime) -> Option<String> {
    let (year, month, day) = civil(time.seconds.div_euclid(DAY))?;
    let second = time.seconds.rem_euclid(DAY);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let fraction = match time.nanoseconds {
        0 => String::new(),
        nanoseconds => format!(".{nanoseconds:09}")
            .trim_end_matches('0')
            .to_owned(),
    };
    Some(format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z"
    ))
}

/// Year, month and day of a day since the epoch, in the proleptic Gregorian calendar; counted
/// in eras of 400 years that begin on 1 March, so that leap days come last.
fn civil(day: i64) -> Option<(i64, i64, i64)> {
    let day = day.checked_add(719_468)?;
    let (era, day) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    let year = era * 400 + year + carry;
    (0..=9999).contains(&year).then_some((year, month, day))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64, nanoseconds: u32) -> Option<String> {
        rfc3339(FileTime {
            seconds,
            nanoseconds,
        })
    }

    #[test]
    fn known_instants() {
        assert_eq!(at(0, 0).as_deref(), Some("1970-01-01T00:00:00Z"));
        assert_eq!(at(951_782_400, 0).as_deref(), Some("2000-02-29T00:00:00Z"));
        assert_eq!(
            at(1_700_000_000, 5_000_000).as_deref(),
            Some("2023-11-14T22:13:20.005Z")
        );
        assert_eq!(at(-1, 0).as_deref(), Some("1969-12-31T23:59:59Z"));
        assert_eq!(
            at(253_402_300_799, 0).as_deref(),
            Some("9999-12-31T23:59:59Z")
        );
    }

    #[test]
    fn years_beyond_the_format_are_none() {
        assert_eq!(at(253_402_300_800, 0), None);
        assert_eq!(at(i64::MAX, 0), None);
        assert_eq!(at(i64::MIN, 0), None);
    }
}
