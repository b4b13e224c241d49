//! Whether the lake has all events of some time.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::table;
use crate::digest::hours::{HOUR, HourStatus, hours_of_events};
use crate::error::Result;
use crate::lake::Lake;

/// How complete the events of an account and region are between two instants, by the digests of the trail that is best.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct WindowCompleteness {
    /// Hours whose digests can list the log files of these events.
    pub hours: u64,
    /// Of these, complete.
    pub complete: u64,
    /// Of these, not verified: no row.
    pub unknown: u64,
    /// The others: hour and status, from the earliest.
    pub incomplete: Vec<(DateTime<Utc>, String)>,
}

impl WindowCompleteness {
    /// Whether every event that CloudTrail delivered is in the lake.
    pub fn is_complete(&self) -> bool {
        self.complete == self.hours
    }
}

/// Answers for the events of an account and region between two instants, from the table `completeness`.
///
/// # Errors
/// Where the lake cannot be read.
pub async fn window_completeness(
    lake: &Lake,
    account: &str,
    region: &str,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<WindowCompleteness> {
    let (first, last) = hours_of_events(from, to);
    let rows = table::read(lake, Some((first.date_naive(), last.date_naive()))).await?;
    let hours: Vec<DateTime<Utc>> = (0..=(last - first).num_hours()).map(|n| first + TimeDelta::hours(n)).collect();
    let mut trails: Vec<_> = rows
        .keys()
        .filter(|(trail, _)| trail.account == account && trail.region == region)
        .map(|(trail, _)| trail.clone())
        .collect();
    trails.sort();
    trails.dedup();
    let of_trail = |trail| {
        let mut window = WindowCompleteness { hours: hours.len() as u64, ..WindowCompleteness::default() };
        for &hour in &hours {
            match rows.get(&(Clone::clone(trail), hour)) {
                Some(row) if row.status == HourStatus::Complete.as_str() => window.complete += 1,
                Some(row) => window.incomplete.push((hour, row.status.clone())),
                None => window.unknown += 1,
            }
        }
        window
    };
    let best = trails.iter().map(of_trail).max_by_key(|window| window.complete);
    let none = WindowCompleteness { hours: hours.len() as u64, unknown: hours.len() as u64, ..Default::default() };
    debug_assert!(hours.windows(2).all(|pair| pair[1] - pair[0] == HOUR));
    Ok(best.unwrap_or(none))
}
