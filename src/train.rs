//! Training: the events of changed dates become rows of `baselines`, once.
//!
//! Owns: when there is something to do. Refuses: to read a date whose number of events did not change.
//! Invariant: see `detect::walk`, which does it.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::detect::walk::Walk;
use crate::error::Result;
use crate::lake::Lake;
use crate::query::QueryOptions;

/// What a training run did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TrainReport {
    /// Dates that have events.
    pub dates: u64,
    /// Dates whose baselines were made anew.
    pub dates_updated: u64,
    /// Events read for that.
    pub events_read: u64,
    /// Rows of `baselines` written.
    pub baseline_rows: u64,
}

impl TrainReport {
    /// What a walk did.
    pub fn of(walk: &Walk<'_>) -> Self {
        Self {
            dates: walk.dates.len() as u64,
            dates_updated: walk.updated.dates,
            events_read: walk.updated.events,
            baseline_rows: walk.updated.rows,
        }
    }
}

/// Brings the baselines up to date with the events.
///
/// # Errors
/// Whatever reading or writing the lake gives.
pub async fn train(lake: &Lake, options: &QueryOptions, now: DateTime<Utc>) -> Result<TrainReport> {
    let mut walk = Walk::open(lake, options, now).await?;
    let stale = walk.stale().await?;
    for date in walk.way(&stale) {
        walk.arrive(date);
        walk.learn(date, stale.contains(&date)).await?;
    }
    let report = TrainReport::of(&walk);
    tracing::debug!(?report, "trained");
    Ok(report)
}
