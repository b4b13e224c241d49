//! What `run` does for the lake after its own work.
//!
//! Owns: when something is due. Looking costs nothing: the logs have just been read; only a vacuum lists the lake, once
//! a day. Invariant: no rewrite begins after the time that it may take.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::Mode;
use super::optimize::{OptimizeReport, Until, optimize_until};
use super::plan::OptimizeOptions;
use super::retain::{RetainReport, first_day, retain};
use super::vacuum::{VacuumOptions, VacuumReport, vacuum};
use crate::error::Result;
use crate::ingest::Stop;
use crate::lake::Lake;

/// Between two vacuums.
const VACUUM_EVERY: chrono::Duration = chrono::Duration::hours(24);

/// What is kept up.
#[derive(Debug, Clone)]
pub struct MaintainOptions {
    /// Compaction.
    pub optimize: OptimizeOptions,
    /// Vacuum.
    pub vacuum: VacuumOptions,
    /// Days that are kept; all where absent.
    pub retain_days: Option<u32>,
    /// After this time no further rewrite is begun; the next run goes on.
    pub budget: Duration,
}

/// What was done; what was not due is absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct MaintainReport {
    /// Days dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retain: Option<RetainReport>,
    /// Files rewritten.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optimize: Option<OptimizeReport>,
    /// Files deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vacuum: Option<VacuumReport>,
}

/// Does what is due: retention (when its first day moves on), compaction, vacuum (once a day).
///
/// # Errors
/// As the steps; what was done before stays.
pub async fn maintain(
    lake: &Lake,
    options: &MaintainOptions,
    now: DateTime<Utc>,
    stop: &Stop,
) -> Result<MaintainReport> {
    let deadline = Instant::now() + options.budget;
    let mut report = MaintainReport::default();
    if let Some(days) = options.retain_days
        && lake.first_day().await? != Some(first_day(days, now))
    {
        report.retain = Some(retain(lake, days, Mode::Act, now).await?);
    }
    let until = Until { stop, deadline: Some(deadline) };
    let optimized = optimize_until(lake, &options.optimize, now, until).await?;
    let idle = optimized.tables.is_empty() && optimized.conflicts.is_empty() && optimized.left == 0;
    report.optimize = (!idle).then_some(optimized);
    let vacuumed = lake.vacuumed_at().await?;
    if !until.is_over() && vacuumed.is_none_or(|at| now - at >= VACUUM_EVERY) {
        report.vacuum = Some(vacuum(lake, &options.vacuum, Mode::Act, now).await?);
    }
    Ok(report)
}
