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
    let (month, day) = (two(*m0, *m1)?, two(*d0, *d1)?);
    let (hour, minute, second) = (two(*h0, *h1)?, two(*n0, *n1)?, two(*s0, *s1)?);
    if hour > 23 || minute > 59 || second > 59 || !is_date(year, month, day) {
        return None;
    }
    let seconds = days_before(year, month, day) * 86_400 + i64::from(hour * 3600 + minute * 60 + second);
    Some(seconds * 1_000_000)
}

fn two(tens: u8, ones: u8) -> Option<u32> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| u32::from(tens) * 10 + u32::from(ones))
}

fn is_date(year: u32, month: u32, day: u32) -> bool {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(leap),
        _ => 0,
    };
    (1..=days).contains(&day)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar. Years are counted from March, so that the leap day is the
/// last of its year (<https://howardhinnant.github.io/date_algorithms.html>, `days_from_civil`).
fn days_before(year: u32, month: u32, day: u32) -> i64 {
    let year = i64::from(year) - i64::from(month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * i64::from((month + 9) % 12) + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
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
    fn every_day_of_four_centuries_is_where_the_calendar_has_it() {
        let mut date = NaiveDate::from_ymd_opt(1899, 12, 30).unwrap();
        while date < NaiveDate::from_ymd_opt(2301, 1, 2).unwrap() {
            let expected = i64::from(days(date)) * DAY_MICROS;
            assert_eq!(parse(&format!("{date}T00:00:00Z")), Some((expected, Form::Canonical)));
            date = date.succ_opt().unwrap();
        }
        for no_date in ["2026-00-01", "2026-13-01", "2026-04-31", "2026-02-00", "1900-02-29", "2023-02-29"] {
            assert_eq!(parse(&format!("{no_date}T00:00:00Z")), None);
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
