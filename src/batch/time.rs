//! ISO 8601 instants, as CloudTrail writes them.

use chrono::{DateTime, NaiveDate};

/// Microseconds in a day.
pub const DAY_MICROS: i64 = 86_400_000_000;

/// An instant in microseconds since 1970, and whether `YYYY-MM-DDTHH:MM:SSZ` says all of its text.
pub fn parse(text: &str) -> Option<(i64, Form)> {
    match parse_canonical(text.as_bytes()) {
        Some(micros) => Some((micros, Form::Canonical)),
        None => DateTime::parse_from_rfc3339(text).ok().map(|time| (time.timestamp_micros(), Form::Other)),
    }
}

/// How an instant was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `YYYY-MM-DDTHH:MM:SSZ`
    Canonical,
    /// Another form of RFC 3339: fractions of a second, an offset.
    Other,
}

fn parse_canonical(text: &[u8]) -> Option<i64> {
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T', h0, h1, b':', n0, n1, b':', s0, s1, b'Z'] = text else {
        return None;
    };
    let year = two(*y0, *y1)? * 100 + two(*y2, *y3)?;
    let date = NaiveDate::from_ymd_opt(year as i32, two(*m0, *m1)?, two(*d0, *d1)?)?;
    let (hour, minute, second) = (two(*h0, *h1)?, two(*n0, *n1)?, two(*s0, *s1)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = i64::from(days(date)) * 86_400 + i64::from(hour * 3600 + minute * 60 + second);
    Some(seconds * 1_000_000)
}

fn two(tens: u8, ones: u8) -> Option<u32> {
    (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| u32::from(tens - b'0') * 10 + u32::from(ones - b'0'))
}

/// Days since 1970-01-01, Arrow's `Date32`.
pub fn days(date: NaiveDate) -> i32 {
    date.signed_duration_since(NaiveDate::default()).num_days() as i32
}

/// The UTC day (days since 1970) of an instant in microseconds.
pub fn day_of(micros: i64) -> i32 {
    micros.div_euclid(DAY_MICROS) as i32
}

/// `YYYY-MM-DD` of days since 1970.
pub fn date_of(day: i32) -> NaiveDate {
    NaiveDate::default() + chrono::Duration::days(i64::from(day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_read_agree() {
        for text in ["1970-01-01T00:00:00Z", "2024-02-29T23:59:59Z", "1969-12-31T23:59:59Z", "9999-12-31T00:00:00Z"] {
            let slow = DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros();
            assert_eq!(parse(text), Some((slow, Form::Canonical)), "{text}");
        }
    }

    #[test]
    fn other_forms_are_told_apart() {
        assert_eq!(parse("1970-01-01T01:00:00.5+01:00"), Some((500_000, Form::Other)));
        for text in ["", "2023-02-29T00:00:00Z", "2024-01-01T24:00:00Z", "2024-01-01 00:00:00", "+024-01-01T00:00:00Z"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn days_before_1970_round_down() {
        assert_eq!(day_of(-1), -1);
        assert_eq!(date_of(-1).to_string(), "1969-12-31");
        assert_eq!(days(date_of(20_000)), 20_000);
    }
}
