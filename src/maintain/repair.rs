//! Repair: files that a table's log names and that are lost or damaged.
//!
//! Owns: what has to be forgotten so that the next ingest reads again what they held.
//! Invariant: the ledger forgets the objects before the files leave their tables. Where a repair is interrupted the files are
//! still named, and the next one finds them; the other way round their events would be missing and nobody would know.

use chrono::{Days, NaiveDate};
use futures::{StreamExt, TryStreamExt};
use serde::Serialize;

use super::Mode;
use crate::error::Result;
use crate::lake::{Depth, Lake, day_of};
use crate::schema::{AGGREGATED, EVENTS, INSIGHTS, LISTINGS, OBJECTS, TABLES, Table};
use crate::table::DataFile;

/// Files looked at at the same time.
const FILES_AT_ONCE: usize = 16;

/// Tables whose rows were read from a trail's objects.
const FROM_OBJECTS: [&Table; 3] = [&EVENTS, &INSIGHTS, &AGGREGATED];

/// A file that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DamagedFile {
    /// Its table.
    pub table: String,
    /// Its path in the store.
    pub path: String,
    /// Rows that it held, as the log says.
    pub rows: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// What a repair found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RepairReport {
    /// Nothing was changed, only told.
    pub dry_run: bool,
    /// Files that were looked at.
    pub files: u64,
    /// Those that cannot be read, sorted by table and path.
    pub damaged: Vec<DamagedFile>,
    /// Objects that were delivered on this day or later are read again; `None` where no object need be.
    pub read_again_from: Option<NaiveDate>,
    /// How many the ledger knew of these.
    pub objects: u64,
}

/// A table's damaged files.
struct Damage {
    table: &'static Table,
    files: Vec<DataFile>,
}

/// Takes lost and damaged files out of their tables, and lets the next ingest read their events again.
///
/// # Errors
/// As the store answers: a file is called lost only where the store says so.
pub async fn repair(lake: &Lake, depth: Depth, mode: Mode) -> Result<RepairReport> {
    let mut report = RepairReport { dry_run: mode == Mode::Tell, ..RepairReport::default() };
    let mut damages = Vec::new();
    for table in TABLES {
        damages.push(Damage { table, files: look(lake, table, depth, &mut report).await? });
    }
    report.read_again_from = read_again_from(&damages);
    if let Some(first) = report.read_again_from {
        report.objects = forget(lake, first, mode).await?;
    }
    if mode == Mode::Act {
        for Damage { table, files } in damages.iter().filter(|damage| !damage.files.is_empty()) {
            lake.drop_files(table, &|file| files.iter().any(|damaged| damaged.path == file.path)).await?;
        }
    }
    Ok(report)
}

/// Finds a table's damaged files.
async fn look(lake: &Lake, table: &'static Table, depth: Depth, report: &mut RepairReport) -> Result<Vec<DataFile>> {
    let snapshot = lake.snapshot(table).await?;
    let snapshot = &snapshot;
    let checks = snapshot.files.iter().map(|file| async move {
        let reason = lake.check(snapshot, file, depth).await?;
        Ok(reason.map(|reason| (file, reason)))
    });
    let found: Vec<_> = futures::stream::iter(checks).buffered(FILES_AT_ONCE).try_collect().await?;
    report.files += snapshot.files.len() as u64;
    let damaged: Vec<(&DataFile, String)> = found.into_iter().flatten().collect();
    report.damaged.extend(damaged.iter().map(|(file, reason)| DamagedFile {
        table: table.name.to_owned(),
        path: file.path.to_string(),
        rows: file.rows.unwrap_or(0),
        reason: reason.clone(),
    }));
    Ok(damaged.into_iter().map(|(file, _)| file.clone()).collect())
}

/// The first day whose objects can hold what was lost: an event is delivered after it happened, by clocks that may differ.
/// What the ledger itself lost is forgotten already, but its days must be listed again.
fn read_again_from(damages: &[Damage]) -> Option<NaiveDate> {
    let from_objects = |table: &Table| FROM_OBJECTS.iter().any(|other| other.name == table.name);
    let days = damages.iter().flat_map(|damage| {
        let lead = Days::new(u64::from(from_objects(damage.table)));
        let reads = from_objects(damage.table) || damage.table.name == OBJECTS.name;
        damage.files.iter().filter(move |_| reads).filter_map(day_of).map(move |day| day.checked_sub_days(lead))
    });
    days.map(|day| day.unwrap_or(NaiveDate::MIN)).min()
}

/// Forgets that objects from a day on were read, and that their days need not be listed. Answers how many.
async fn forget(lake: &Lake, first: NaiveDate, mode: Mode) -> Result<u64> {
    let is_forgotten = |file: &DataFile| day_of(file).is_none_or(|day| day >= first);
    let snapshot = lake.snapshot(&OBJECTS).await?;
    if mode == Mode::Act && snapshot.version >= 0 {
        lake.replace(&LISTINGS, &[]).await?;
        lake.drop_files(&OBJECTS, &is_forgotten).await?;
    }
    Ok(snapshot.files.iter().filter(|file| is_forgotten(file)).filter_map(|file| file.rows).sum())
}
