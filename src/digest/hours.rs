//! Digests by the hour.
//!
//! Owns: which hour a digest counts to, what is late, and when an hour is complete.
//! A trail's digests are an hour long but start at any minute, so a clock's hour is usually covered by two: counts go to
//! the hour that holds a digest's middle (of a full one: what its key tells is enough), coverage is that of both.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use serde::Serialize;

/// Time that a digest is of, usually.
pub const HOUR: TimeDelta = TimeDelta::hours(1);

/// A hole between two digests that is too short to mean anything.
pub const TOLERANCE: TimeDelta = TimeDelta::minutes(1);

/// The clock's hour of an instant.
pub fn floor(time: DateTime<Utc>) -> DateTime<Utc> {
    time.duration_trunc(HOUR).unwrap_or(time)
}

/// The hour that the digest ending then counts to.
pub fn hour_of(ends: DateTime<Utc>) -> DateTime<Utc> {
    floor(ends - HOUR / 2)
}

/// The hours (first and last) whose digests hold all log files of events between two instants: an event is delivered
/// within about [`DELIVERY`], and a digest counts to an hour at most half an hour away.
pub fn hours_of_events(from: DateTime<Utc>, to: DateTime<Utc>) -> (DateTime<Utc>, DateTime<Utc>) {
    (floor(from - HOUR / 2), floor(to + DELIVERY + HOUR / 2))
}

/// Time within which CloudTrail usually delivers an event.
pub const DELIVERY: TimeDelta = TimeDelta::minutes(15);

/// Whether a log file came late: its oldest event happened more than an hour before the time its digest is of.
pub fn is_late(digest_starts: DateTime<Utc>, oldest_event: Option<DateTime<Utc>>) -> bool {
    oldest_event.is_some_and(|oldest| oldest < digest_starts - HOUR)
}

/// What an hour's digests are worth; the worst of them counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DigestStatus {
    /// All of the hour is covered by digests that CloudTrail signed.
    #[default]
    Valid,
    /// Some of the hour has no digest, and nothing says that there ever was one.
    None,
    /// A digest could not be checked: no signature, no key, not readable.
    Unverified,
    /// A digest that there must have been is not there.
    Missing,
    /// A digest is not what CloudTrail wrote.
    Invalid,
}

impl DigestStatus {
    /// The column's text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::None => "none",
            Self::Unverified => "unverified",
            Self::Missing => "missing",
            Self::Invalid => "invalid",
        }
    }
}

/// Log files of an hour, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Listed by digests.
    pub expected: u64,
    /// Of these, there and what they were when they were delivered.
    pub verified: u64,
    /// Not there.
    pub missing: u64,
    /// There, but changed.
    pub modified: u64,
    /// Could not be read now.
    pub unreadable: u64,
    /// With events from more than an hour before the digest's time.
    pub late: u64,
    /// In the lake.
    pub ingested: u64,
}

impl Counts {
    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        self.expected += other.expected;
        self.verified += other.verified;
        self.missing += other.missing;
        self.modified += other.modified;
        self.unreadable += other.unreadable;
        self.late += other.late;
        self.ingested += other.ingested;
    }
}

/// A clock's hour of one trail in one account and region.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hour {
    /// Digests that count to it.
    pub digests: u32,
    /// Their log files.
    pub counts: Counts,
    /// The worst of the digests that overlap it.
    worst: DigestStatus,
    /// Seconds of the hour that valid digests are of: beginning and end.
    covered: Vec<(i64, i64)>,
}

impl Hour {
    /// Notes a digest's time (or a hole's) where it overlaps the hour that starts at `hour`.
    pub fn overlap(&mut self, hour: DateTime<Utc>, from: DateTime<Utc>, to: DateTime<Utc>, status: DigestStatus) {
        let second = |time: DateTime<Utc>| (time - hour).num_seconds().clamp(0, 3600);
        let span = (second(from), second(to));
        if span.0 >= span.1 {
            return;
        }
        self.worst = self.worst.max(status);
        if status == DigestStatus::Valid {
            self.covered.push(span);
            self.covered.sort_unstable();
        }
    }

    /// What its digests are worth.
    pub fn digest_status(&self) -> DigestStatus {
        if self.is_covered() { self.worst } else { self.worst.max(DigestStatus::None) }
    }

    fn is_covered(&self) -> bool {
        let mut reached = 0;
        for &(from, to) in &self.covered {
            if from - reached > TOLERANCE.num_seconds() {
                return false;
            }
            reached = reached.max(to);
        }
        3600 - reached <= TOLERANCE.num_seconds()
    }

    /// What the hour is worth, in a word.
    pub fn status(&self) -> HourStatus {
        let Counts { missing, modified, unreadable, expected, ingested, .. } = self.counts;
        let digest = self.digest_status();
        match digest {
            DigestStatus::Invalid => HourStatus::Modified,
            _ if modified > 0 => HourStatus::Modified,
            DigestStatus::Missing => HourStatus::Missing,
            _ if missing > 0 => HourStatus::Missing,
            DigestStatus::None => HourStatus::NoDigest,
            DigestStatus::Unverified => HourStatus::Unverified,
            DigestStatus::Valid if unreadable > 0 => HourStatus::Unverified,
            DigestStatus::Valid if ingested < expected => HourStatus::NotIngested,
            DigestStatus::Valid => HourStatus::Complete,
        }
    }
}

/// An hour in a word; the first that fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HourStatus {
    /// A digest or a log file was changed.
    Modified,
    /// A digest or a log file is gone.
    Missing,
    /// No digest covers all of it.
    NoDigest,
    /// Something could not be checked.
    Unverified,
    /// All is there, not all is in the lake.
    NotIngested,
    /// All that CloudTrail delivered is there, unchanged and in the lake.
    Complete,
}

impl HourStatus {
    /// The column's text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Modified => "modified",
            Self::Missing => "missing",
            Self::NoDigest => "no_digest",
            Self::Unverified => "unverified",
            Self::NotIngested => "not_ingested",
            Self::Complete => "complete",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-01-31T{text}Z").parse().unwrap()
    }

    fn covered(spans: &[(&str, &str, DigestStatus)]) -> DigestStatus {
        let mut hour = Hour::default();
        for (from, to, status) in spans {
            hour.overlap(at("14:00:00"), at(from), at(to), *status);
        }
        hour.digest_status()
    }

    #[test]
    fn an_hour_is_covered_by_the_digests_that_reach_into_it() {
        use DigestStatus::{Invalid, Missing, None, Valid};
        assert_eq!(covered(&[]), None);
        assert_eq!(covered(&[("14:00:00", "15:00:00", Valid)]), Valid);
        assert_eq!(covered(&[("13:01:31", "14:01:31", Valid)]), None);
        assert_eq!(covered(&[("14:01:31", "15:01:31", Valid), ("13:01:31", "14:01:31", Valid)]), Valid);
        assert_eq!(covered(&[("14:20:00", "15:20:00", Valid), ("13:01:31", "14:01:31", Valid)]), None);
        assert_eq!(covered(&[("14:00:00", "15:00:00", Invalid)]), Invalid);
        assert_eq!(covered(&[("14:01:31", "15:01:31", Missing), ("13:01:31", "14:01:31", Valid)]), Missing);
        assert_eq!(covered(&[("15:00:00", "16:00:00", Invalid), ("14:00:00", "15:00:00", Valid)]), Valid);
        assert_eq!(covered(&[("12:00:00", "17:00:00", Valid)]), Valid);
        assert_eq!(covered(&[("14:00:40", "14:59:30", Valid)]), Valid, "seconds mean nothing");
    }

    #[test]
    fn counts_go_to_the_hour_of_the_middle() {
        for (ends, hour) in
            [("15:00:00", "14:00:00"), ("15:01:31", "14:00:00"), ("14:59:59", "14:00:00"), ("15:31:00", "15:00:00")]
        {
            assert_eq!(hour_of(at(ends)), at(hour), "{ends}");
        }
    }

    #[test]
    fn an_hour_in_a_word() {
        let mut hour = Hour::default();
        assert_eq!(hour.status(), HourStatus::NoDigest);
        hour.overlap(at("14:00:00"), at("14:00:00"), at("15:00:00"), DigestStatus::Valid);
        assert_eq!(hour.status(), HourStatus::Complete, "an hour without calls is complete");
        hour.counts = Counts { expected: 3, verified: 2, ingested: 2, unreadable: 1, ..Counts::default() };
        assert_eq!(hour.status(), HourStatus::Unverified);
        hour.counts = Counts { expected: 3, verified: 3, ingested: 2, ..Counts::default() };
        assert_eq!(hour.status(), HourStatus::NotIngested);
        hour.counts = Counts { expected: 3, verified: 2, missing: 1, ..Counts::default() };
        assert_eq!(hour.status(), HourStatus::Missing);
        hour.counts = Counts { expected: 3, verified: 1, missing: 1, modified: 1, ..Counts::default() };
        assert_eq!(hour.status(), HourStatus::Modified);
    }

    proptest! {
        #[test]
        fn the_hours_of_an_event_have_every_digest_that_can_list_it(
            event in 0i64..4_000_000_000, delay in 0i64..=900, rest in 1i64..=3600,
        ) {
            let event = DateTime::from_timestamp(event, 0).unwrap();
            let ends = event + TimeDelta::seconds(delay + rest);
            let (first, last) = hours_of_events(event, event);
            prop_assert!((first..=last).contains(&hour_of(ends)), "{} {}", event, ends);
        }
    }
}
