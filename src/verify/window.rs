//! Whether the lake has all events of some time.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::table;
use crate::digest::hours::{HourStatus, hours_of_events};
use crate::error::Result;
use crate::lake::Lake;

const COMPLETE: &str = HourStatus::Complete.as_str();

/// How complete the events of an account and region are between two instants. An hour is complete where one trail is.
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
    let mut best: BTreeMap<DateTime<Utc>, String> = BTreeMap::new();
    for ((trail, hour), row) in rows {
        if trail.account == account && trail.region == region && (first..=last).contains(&hour) {
            let known = best.entry(hour).or_insert_with(|| row.status.clone());
            // one trail that has it all is enough; the rest is told in a fixed order
            if row.status == COMPLETE || (*known != COMPLETE && row.status < *known) {
                *known = row.status;
            }
        }
    }
    let hours = (last - first).num_hours().unsigned_abs() + 1;
    let unknown = hours - best.len() as u64;
    let incomplete: Vec<_> = best.into_iter().filter(|(_, status)| status != COMPLETE).collect();
    let complete = hours - unknown - incomplete.len() as u64;
    Ok(WindowCompleteness { hours, complete, unknown, incomplete })
}
