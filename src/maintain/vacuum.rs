//! Vacuum: what no version within the retention needs, what dead writers left, and the log's own upkeep.

use std::time::Instant;

use chrono::{DateTime, Duration, Utc};
use serde::Serialize;

use super::Mode;
use crate::error::Result;
use crate::lake::{Garbage, Lake, LogTended, Reason};
use crate::schema::TABLES;

/// How long old versions stay readable.
#[derive(Debug, Clone, Copy)]
pub struct VacuumOptions {
    /// Since a file gave way.
    pub retention: Duration,
}

impl Default for VacuumOptions {
    fn default() -> Self {
        Self { retention: Duration::days(7) }
    }
}

/// What became of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TableVacuumed {
    /// Its name.
    pub table: String,
    /// Files of old versions.
    pub expired_files: u64,
    /// Files that never came into the log.
    pub orphan_files: u64,
    /// Writes to the local disk that were cut off.
    pub debris_files: u64,
    /// Bytes of all of them.
    pub bytes: u64,
    /// The log.
    pub log: LogTended,
    /// The files, sorted by path.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<Garbage>,
}

/// What a vacuum did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct VacuumReport {
    /// Nothing was deleted, only told.
    pub dry_run: bool,
    /// Every table.
    pub tables: Vec<TableVacuumed>,
    /// Elapsed seconds.
    pub seconds: f64,
}

/// Deletes, or tells, what can go.
///
/// # Errors
/// `Usage` where the retention is longer than the log remembers; as the store answers.
pub async fn vacuum(lake: &Lake, options: &VacuumOptions, mode: Mode, now: DateTime<Utc>) -> Result<VacuumReport> {
    let started = Instant::now();
    let mut report = VacuumReport { dry_run: mode == Mode::Tell, ..VacuumReport::default() };
    for table in TABLES {
        let survey = lake.survey(table, options.retention, now).await?;
        let mut done = count(table.name, &survey.garbage);
        if mode == Mode::Act {
            lake.delete_garbage(&survey.garbage).await?;
            done.log = lake.tend_log(table, &survey).await?;
        } else {
            done.files = survey.garbage;
        }
        report.tables.push(done);
    }
    if mode == Mode::Act {
        lake.note_vacuum(now).await?;
    }
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

fn count(table: &str, garbage: &[Garbage]) -> TableVacuumed {
    let of = |reason: Reason| garbage.iter().filter(|file| file.reason == reason).count() as u64;
    TableVacuumed {
        table: table.to_owned(),
        expired_files: of(Reason::Expired),
        orphan_files: of(Reason::Orphan),
        debris_files: of(Reason::Debris),
        bytes: garbage.iter().map(|file| file.bytes).sum(),
        ..TableVacuumed::default()
    }
}
