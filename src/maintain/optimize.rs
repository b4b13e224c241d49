//! Compaction: many files, in the order of their arrival, become few, in an order that queries skip by.
//!
//! Owns: that order, and the way of the rows: read, sorted, encoded, staged, put in the place of the old files.
//! Invariant: as many rows are written as were read, or nothing is committed. Memory: the sort's limit, and one file of
//! the target size per rewrite.

use std::sync::Arc;
use std::time::Instant;

use arrow::array::RecordBatch;
use chrono::{DateTime, NaiveDate, Utc};
use futures::StreamExt;
use futures::stream::BoxStream;
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::plan::{OptimizeOptions, Task, tasks};
use crate::error::{Error, ErrorKind, Result};
use crate::ingest::Stop;
use crate::lake::{FileWriter, Lake, Profile, StagedFile};
use crate::query;
use crate::schema::{TABLES, Table};
use crate::table::TableSnapshot;

/// Order of the rows of `events`; see ARCHITECTURE.md for what others cost.
const EVENTS_ORDER: [&str; 4] = ["recipientaccountid", "actor", "eventtime", "eventid"];

/// Columns that the rows of a rewritten file are ordered by: those by which the log lets a query skip files.
fn order(table: &'static Table) -> &'static [&'static str] {
    if table.name == "events" { &EVENTS_ORDER } else { table.stats }
}

/// What became of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TableOptimized {
    /// Its name.
    pub table: String,
    /// Commits: one per day, and per eight times the target size.
    pub commits: u64,
    /// Rows that were written anew.
    pub rows: u64,
    /// Files that gave way.
    pub files_before: u64,
    /// Files that took their place.
    pub files_after: u64,
    /// Bytes of the first.
    pub bytes_before: u64,
    /// Bytes of the second.
    pub bytes_after: u64,
}

/// What a compaction did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct OptimizeReport {
    /// Tables with something to do.
    pub tables: Vec<TableOptimized>,
    /// Rewrites that another writer overtook; nothing is lost, a later compaction does them.
    pub conflicts: Vec<String>,
    /// Rewrites left for a later compaction, because it was asked to end.
    pub left: u64,
    /// Elapsed seconds.
    pub seconds: f64,
}

/// Until when a compaction begins another rewrite.
#[derive(Debug, Clone, Copy)]
pub(super) struct Until<'s> {
    pub stop: &'s Stop,
    pub deadline: Option<Instant>,
}

impl Until<'_> {
    pub(super) fn is_over(&self) -> bool {
        self.stop.is_requested() || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }
}

/// Rewrites what is worth it, one part of one day after the other. Each is a commit of its own, so that what is done
/// stays done.
///
/// # Errors
/// Where the lake cannot be read or written, or memory does not suffice to sort a day.
pub async fn optimize(
    lake: &Lake,
    options: &OptimizeOptions,
    now: DateTime<Utc>,
    stop: &Stop,
) -> Result<OptimizeReport> {
    optimize_until(lake, options, now, Until { stop, deadline: None }).await
}

pub(super) async fn optimize_until(
    lake: &Lake,
    options: &OptimizeOptions,
    now: DateTime<Utc>,
    until: Until<'_>,
) -> Result<OptimizeReport> {
    let started = Instant::now();
    let mut report = OptimizeReport::default();
    for table in TABLES {
        let snapshot = lake.snapshot(table).await?;
        let mut done = TableOptimized { table: table.name.to_owned(), ..TableOptimized::default() };
        for task in tasks(&snapshot, options, now.date_naive()) {
            if until.is_over() {
                report.left += 1;
                continue;
            }
            match rewrite(lake, table, &snapshot, &task, options).await {
                Ok(one) => done.add(&one),
                Err(error) if error.kind() == ErrorKind::Conflict => report.conflicts.push(error.to_string()),
                Err(error) => return Err(error),
            }
        }
        if done.commits > 0 {
            report.tables.push(done);
        }
    }
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

impl TableOptimized {
    fn add(&mut self, one: &Self) {
        self.commits += one.commits;
        self.rows += one.rows;
        self.files_before += one.files_before;
        self.files_after += one.files_after;
        self.bytes_before += one.bytes_before;
        self.bytes_after += one.bytes_after;
    }
}

async fn rewrite(
    lake: &Lake,
    table: &'static Table,
    snapshot: &TableSnapshot,
    task: &Task,
    options: &OptimizeOptions,
) -> Result<TableOptimized> {
    let part = TableSnapshot { files: task.files.clone(), schema: Arc::clone(&snapshot.schema), ..empty(snapshot) };
    let rows = query::ordered(&part, order(table), &options.query).await?;
    let files = Files {
        lake: lake.clone(),
        table,
        version: snapshot.version,
        day: task.day,
        target_size: options.target_size,
        left: task.files.iter().map(|file| file.size).sum(),
        open: None,
        staged: Vec::new(),
        rows: 0,
    };
    let (staged, written) = write(files, rows).await?;
    let known: Option<u64> = task.files.iter().map(|file| file.rows).sum();
    if known.is_some_and(|known| known != written) {
        return Err(Error::new(
            ErrorKind::Internal,
            format!("a rewrite of {} has {written} rows, its files have {known:?}", table.name),
        )
        .hint("nothing was changed; please report it"));
    }
    let swapped = lake.rewrite(table, &task.files, &staged, options.target_size).await?;
    tracing::debug!(table = table.name, day = ?task.day, files = swapped.files, version = swapped.version, "rewritten");
    Ok(TableOptimized {
        table: table.name.to_owned(),
        commits: 1,
        rows: written,
        files_before: swapped.files,
        files_after: staged.len() as u64,
        bytes_before: swapped.bytes,
        bytes_after: staged.iter().map(StagedFile::bytes).sum(),
    })
}

fn empty(snapshot: &TableSnapshot) -> TableSnapshot {
    TableSnapshot {
        name: snapshot.name.clone(),
        version: snapshot.version,
        schema: Arc::clone(&snapshot.schema),
        partition: snapshot.partition.clone(),
        files: Vec::new(),
        store_url: snapshot.store_url.clone(),
        store: Arc::clone(&snapshot.store),
    }
}

/// Encodes rows as they come, on a thread of its own, and stages every file that is full.
async fn write(mut files: Files, mut rows: BoxStream<'static, Result<RecordBatch>>) -> Result<(Vec<StagedFile>, u64)> {
    let (sender, receiver) = mpsc::channel(2);
    let handle = Handle::current();
    let encoder =
        tokio::task::spawn_blocking(move || files.take_all(receiver, &handle).map(|()| (files.staged, files.rows)));
    let mut failure = None;
    while let Some(batch) = rows.next().await {
        let sent = match batch {
            Ok(batch) => sender.send(batch).await.is_ok(),
            Err(error) => {
                failure = Some(error);
                false
            }
        };
        // a closed channel means that the encoder has failed; it tells why
        if !sent {
            break;
        }
    }
    drop(sender);
    let written = encoder.await.map_err(|error| Error::new(ErrorKind::Internal, "a worker panicked").source(error))?;
    failure.map_or(written, Err)
}

/// Files under construction.
struct Files {
    lake: Lake,
    table: &'static Table,
    version: i64,
    day: Option<NaiveDate>,
    target_size: u64,
    /// Bytes of the files that are read, without those that were written.
    left: u64,
    open: Option<FileWriter>,
    staged: Vec<StagedFile>,
    rows: u64,
}

impl Files {
    fn take_all(&mut self, mut batches: mpsc::Receiver<RecordBatch>, handle: &Handle) -> Result<()> {
        while let Some(batch) = batches.blocking_recv() {
            self.take(&batch)?;
            if self.open.as_ref().is_some_and(|file| file.bytes() >= self.target_size) {
                self.close(handle)?;
            }
        }
        self.close(handle)
    }

    fn take(&mut self, batch: &RecordBatch) -> Result<()> {
        let columns = batch.columns().to_vec();
        let batch = RecordBatch::try_new(self.table.file_schema(), columns).map_err(|error| {
            Error::new(ErrorKind::Internal, format!("rows of {} came back changed", self.table.name)).source(error)
        })?;
        self.rows += batch.num_rows() as u64;
        let mut file = match self.open.take() {
            Some(file) => file,
            None => FileWriter::with(self.table, Profile::Compacted, self.buffer())?,
        };
        file.write(&batch)?;
        self.open = Some(file);
        Ok(())
    }

    /// Bytes that the next file may have: what is left, or a full one and its last row group.
    fn buffer(&self) -> usize {
        usize::try_from(self.left.min(self.target_size.saturating_add(self.target_size / 4))).unwrap_or_default()
    }

    fn close(&mut self, handle: &Handle) -> Result<()> {
        let Some(file) = self.open.take() else { return Ok(()) };
        let file = file.finish(self.day)?;
        self.left = self.left.saturating_sub(file.bytes.len() as u64);
        self.staged.push(handle.block_on(self.lake.stage_rewrite(self.table, &file, self.version))?);
        Ok(())
    }
}
