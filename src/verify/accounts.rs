//! Hours under way: what the digests of a day say until the day can be written.
//!
//! Owns: which hours of a trail get a row. An hour gets one where a digest counts to it or a missing one would have, and where
//! it lies between a trail's first digest and the time by which the next one is due, though no digest covers it.
//! Invariant: an hour of which only a part was looked at gets none.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};

use crate::digest::hours::{Counts, DigestStatus, HOUR, Hour, floor, hour_of};

/// Problems of an hour kept in words.
const MAX_HOUR_PROBLEMS: usize = 20;

/// An hour of a trail on its way to a row.
#[derive(Debug, Clone, Default)]
pub(super) struct OpenHour {
    pub hour: Hour,
    /// A digest that was read, or a missing one, counts to it.
    fresh: bool,
    /// A digest counts to it that was checked in an earlier run.
    known: bool,
    /// What is wrong, in words.
    pub problems: Vec<String>,
}

/// The time of a trail that hours are written of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    /// The first hour.
    pub first: DateTime<Utc>,
    /// Hours that end later are not over yet.
    pub horizon: DateTime<Utc>,
}

/// The hours of a day, by trail (its number) and hour.
pub(super) type DayHours = BTreeMap<(u32, DateTime<Utc>), OpenHour>;

/// Open hours by day.
#[derive(Debug, Default)]
pub(super) struct OpenHours(BTreeMap<NaiveDate, DayHours>);

impl OpenHours {
    fn at(&mut self, trail: u32, hour: DateTime<Utc>) -> &mut OpenHour {
        self.0.entry(hour.date_naive()).or_default().entry((trail, hour)).or_default()
    }

    fn cover(&mut self, trail: u32, from: DateTime<Utc>, to: DateTime<Utc>, status: DigestStatus) {
        let mut hour = floor(from);
        while hour < to {
            self.at(trail, hour).hour.overlap(hour, from, to, status);
            hour += HOUR;
        }
    }

    /// Notes a digest that was read: its time, what it is worth, its log files.
    pub(super) fn digest(
        &mut self,
        trail: u32,
        ends: DateTime<Utc>,
        span: (DateTime<Utc>, DateTime<Utc>),
        status: DigestStatus,
        counts: &Counts,
    ) {
        self.cover(trail, span.0, span.1, status);
        let open = self.at(trail, hour_of(ends));
        open.fresh = true;
        open.hour.digests += 1;
        open.hour.counts.add(counts);
    }

    /// Notes a digest that was found valid before.
    pub(super) fn known(&mut self, trail: u32, ends: DateTime<Utc>) {
        self.cover(trail, ends - HOUR, ends, DigestStatus::Valid);
        self.at(trail, hour_of(ends)).known = true;
    }

    /// Notes digests that are missing.
    pub(super) fn missing(&mut self, trail: u32, from: DateTime<Utc>, to: DateTime<Utc>) {
        let mut hour = floor(from);
        while hour < to {
            let open = self.at(trail, hour);
            open.hour.overlap(hour, from, to, DigestStatus::Missing);
            open.fresh |= open.hour.digest_status() == DigestStatus::Missing;
            hour += HOUR;
        }
    }

    /// Keeps a problem with its hour.
    pub(super) fn problem(&mut self, trail: u32, hour: DateTime<Utc>, text: String) {
        let problems = &mut self.at(trail, hour).problems;
        if problems.len() < MAX_HOUR_PROBLEMS {
            problems.push(text);
        }
    }

    /// Takes out the days from this one on.
    pub(super) fn close(&mut self, from: NaiveDate) -> BTreeMap<NaiveDate, DayHours> {
        self.0.split_off(&from)
    }
}

/// The hours of a day that get a row, with those that no digest covers.
pub(super) fn rows(day: NaiveDate, mut open: DayHours, spans: &[Span]) -> DayHours {
    for (trail, span) in spans.iter().enumerate() {
        let mut hour = day.and_time(NaiveTime::MIN).and_utc().max(span.first);
        let end = (day + Days::new(1)).and_time(NaiveTime::MIN).and_utc().min(span.horizon);
        while hour + HOUR <= end {
            open.entry((trail as u32, hour)).or_default().fresh = true;
            hour += HOUR;
        }
    }
    open.retain(|&(trail, hour), open| {
        let span = &spans[trail as usize];
        let over = hour + HOUR <= span.horizon;
        let missed = open.hour.digest_status() == DigestStatus::Missing;
        !open.known && open.fresh && over && (hour >= span.first || missed)
    });
    open
}
