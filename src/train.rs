//! Training: the events of changed dates become rows of `baselines`, once.
//!
//! Owns: when there is something to do. Refuses: to read a date whose number of events did not change.
//! Invariant: see `detect::walk`, which does it.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
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
    /// Dates of whose calls something was forgotten, as they were too many different ones to hold, and what.
    pub limits: BTreeMap<NaiveDate, String>,
}

impl TrainReport {
    /// What a walk did.
    pub fn of(walk: &Walk<'_>) -> Self {
        Self {
            dates: walk.dates.len() as u64,
            dates_updated: walk.updated.dates,
            events_read: walk.updated.events,
            baseline_rows: walk.updated.rows,
            limits: walk.limits.clone(),
        }
    }
}

/// Brings the baselines up to date with the events.
///
/// # Errors
/// Whatever reading or writing the lake gives.
pub async fn train(lake: &Lake, options: &QueryOptions, now: DateTime<Utc>) -> Result<TrainReport> {
    bring_up_to_date(Walk::open(lake, options, now).await?).await
}

/// Counts the baselines of all dates that have events anew, whatever was kept of them.
///
/// # Errors
/// As [`train`].
pub async fn train_anew(lake: &Lake, options: &QueryOptions, now: DateTime<Utc>) -> Result<TrainReport> {
    bring_up_to_date(Walk::open(lake, options, now).await?.anew()).await
}

async fn bring_up_to_date(mut walk: Walk<'_>) -> Result<TrainReport> {
    let stale = walk.stale().await?;
    for date in walk.way(&stale) {
        walk.arrive(date);
        walk.learn(date, stale.contains(&date)).await?;
    }
    let report = TrainReport::of(&walk);
    tracing::debug!(?report, "trained");
    Ok(report)
}
