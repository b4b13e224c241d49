//! Retention: days before the first that is kept are dropped whole.
//!
//! Owns: what goes with the events of a day: its baselines, and the ledger of its objects.
//! Invariant: the first day is noted before anything is dropped, so that no ingest brings back what goes.

use chrono::{DateTime, Days, NaiveDate, Utc};
use serde::Serialize;

use super::Mode;
use crate::error::Result;
use crate::lake::{Lake, Swapped, day_of};
use crate::schema::{LISTINGS, TABLES, Table};

/// What became of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableRetained {
    /// Its name.
    pub table: String,
    /// What was dropped.
    #[serde(flatten)]
    pub dropped: Swapped,
}

/// What a retention did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RetainReport {
    /// Nothing was dropped, only told.
    pub dry_run: bool,
    /// First day that is kept.
    pub first_day: NaiveDate,
    /// Tables that are partitioned by day.
    pub tables: Vec<TableRetained>,
}

/// First day kept where today and the days before it are to be as many as `days`.
pub(super) fn first_day(days: u32, now: DateTime<Utc>) -> NaiveDate {
    now.date_naive().checked_sub_days(Days::new(u64::from(days.saturating_sub(1)))).unwrap_or(NaiveDate::MIN)
}

/// Keeps the last `days` days, today included. What is dropped stays readable in older versions until a vacuum.
///
/// # Errors
/// As the store answers; `Conflict` where others keep changing a table.
pub async fn retain(lake: &Lake, days: u32, mode: Mode, now: DateTime<Utc>) -> Result<RetainReport> {
    let first_day = first_day(days, now);
    if mode == Mode::Act {
        keep_from(lake, first_day).await?;
    }
    let mut tables = Vec::new();
    for table in TABLES.into_iter().filter(|table| table.partition.is_some()) {
        let dropped = match mode {
            Mode::Act => lake.drop_days_before(table, first_day).await?,
            Mode::Tell => before(lake, table, first_day).await?,
        };
        tables.push(TableRetained { table: table.name.to_owned(), dropped });
    }
    Ok(RetainReport { dry_run: mode == Mode::Tell, first_day, tables })
}

/// Notes the first day that is kept. Where more days are kept than before, what was remembered of the listings is
/// forgotten: it was true of the days that were kept, and the others must be listed again.
async fn keep_from(lake: &Lake, first_day: NaiveDate) -> Result<()> {
    if lake.first_day().await?.is_some_and(|before| first_day < before) {
        lake.replace(&LISTINGS, &[]).await?;
    }
    lake.set_first_day(first_day).await
}

async fn before(lake: &Lake, table: &'static Table, first_day: NaiveDate) -> Result<Swapped> {
    let snapshot = lake.snapshot(table).await?;
    let mut swapped = Swapped { version: snapshot.version, ..Swapped::default() };
    for file in snapshot.files.iter().filter(|file| day_of(file).is_some_and(|day| day < first_day)) {
        swapped.files += 1;
        swapped.rows += file.rows.unwrap_or(0);
        swapped.bytes += file.size;
    }
    Ok(swapped)
}
