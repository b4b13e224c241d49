//! How a lake is, table by table, and what is due.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;

use super::plan::{OptimizeOptions, tasks};
use super::vacuum::VacuumOptions;
use crate::error::Result;
use crate::lake::{Lake, LogState, Survey, day_of};
use crate::schema::{TABLES, Table};
use crate::table::TableSnapshot;

/// Commits since the last checkpoint from which one is overdue: commits write one by themselves before.
const OVERDUE: u64 = 50;

/// One table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableStatus {
    /// Its name.
    pub table: String,
    /// Its version; -1 where it does not exist yet.
    pub version: i64,
    /// Rows.
    pub rows: u64,
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files below a quarter of the target size.
    pub small_files: u64,
    /// Oldest day.
    pub oldest: Option<NaiveDate>,
    /// Newest day.
    pub newest: Option<NaiveDate>,
    /// Bytes that only older versions need.
    pub history_bytes: u64,
    /// Bytes on their way into the log, or left by a writer that died lately.
    pub staged_bytes: u64,
    /// Files that a vacuum would delete.
    pub garbage_files: u64,
    /// Their bytes.
    pub garbage_bytes: u64,
    /// The log.
    pub log: LogState,
    /// Commits since its last checkpoint.
    pub commits_since_checkpoint: u64,
    /// What there is to do, in words.
    pub due: Vec<String>,
}

/// A lake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LakeStatus {
    /// First day that is kept, where there is a retention.
    pub first_day: Option<NaiveDate>,
    /// When it was last vacuumed.
    pub vacuumed_at: Option<DateTime<Utc>>,
    /// Every table.
    pub tables: Vec<TableStatus>,
}

/// Looks at every table.
///
/// # Errors
/// As the store answers.
pub async fn status(
    lake: &Lake,
    optimize: &OptimizeOptions,
    vacuum: &VacuumOptions,
    now: DateTime<Utc>,
) -> Result<LakeStatus> {
    let mut tables = Vec::with_capacity(TABLES.len());
    for table in TABLES {
        let survey = lake.survey(table, vacuum.retention, now).await?;
        let snapshot = lake.snapshot(table).await?;
        tables.push(table_status(table, &survey, &snapshot, optimize, now));
    }
    Ok(LakeStatus { first_day: lake.first_day().await?, vacuumed_at: lake.vacuumed_at().await?, tables })
}

fn table_status(
    table: &Table,
    survey: &Survey,
    snapshot: &TableSnapshot,
    optimize: &OptimizeOptions,
    now: DateTime<Utc>,
) -> TableStatus {
    let days: BTreeSet<NaiveDate> = survey.live.iter().filter_map(day_of).collect();
    let sum = |of: fn(&crate::table::DataFile) -> u64| survey.live.iter().map(of).sum();
    TableStatus {
        table: table.name.to_owned(),
        version: survey.version,
        rows: sum(|file| file.rows.unwrap_or(0)),
        files: survey.live.len() as u64,
        bytes: sum(|file| file.size),
        small_files: survey.live.iter().filter(|file| file.size < optimize.target_size / 4).count() as u64,
        oldest: days.first().copied(),
        newest: days.last().copied(),
        history_bytes: survey.history_bytes,
        staged_bytes: survey.young_bytes,
        garbage_files: survey.garbage.len() as u64,
        garbage_bytes: survey.garbage_bytes(),
        log: survey.log.clone(),
        commits_since_checkpoint: survey.commits_since_checkpoint(),
        due: due(survey, snapshot, optimize, now),
    }
}

fn due(survey: &Survey, snapshot: &TableSnapshot, options: &OptimizeOptions, now: DateTime<Utc>) -> Vec<String> {
    let mut due = Vec::new();
    let tasks = tasks(snapshot, options, now.date_naive());
    if !tasks.is_empty() {
        let files: usize = tasks.iter().map(|task| task.files.len()).sum();
        let days = tasks.iter().filter_map(|task| task.day).collect::<BTreeSet<_>>().len();
        let of_days = if days > 0 { format!(" of {days} days") } else { String::new() };
        due.push(format!("optimize ({files} files{of_days})"));
    }
    if !survey.garbage.is_empty() {
        due.push(format!("vacuum ({} files)", survey.garbage.len()));
    }
    if survey.version >= 0 && survey.commits_since_checkpoint() >= OVERDUE {
        due.push("checkpoint (vacuum writes it)".to_owned());
    }
    due
}
