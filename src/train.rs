//! Training: the events of changed dates become rows of `baselines`, once.
//!
//! Owns: which dates are stale. Refuses: to read a date whose number of events did not change; training on 90 days
//! reads the new ones. Invariant: a date's baselines are replaced whole, with the number of events they came from, in
//! one commit.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use serde::Serialize;

use crate::detect::feature;
use crate::detect::workspace::{Window, Workspace};
use crate::error::{Error, ErrorKind, Result};
use crate::lake::Lake;
use crate::query::{self, QueryOptions};
use crate::schema;
use crate::table::TableSnapshot;

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

/// Brings the baselines up to date with the events. Dates after `now` are left out: a clock that jumped must not become
/// anybody's past.
///
/// # Errors
/// Whatever reading or writing the lake gives.
pub async fn train(lake: &Lake, options: &QueryOptions, now: DateTime<Utc>) -> Result<TrainReport> {
    let snapshots = [lake.snapshot(&schema::EVENTS).await?, lake.snapshot(&schema::BASELINES).await?];
    let workspace = Workspace::new(query::session(&snapshots, options)?).await?;
    let trained = workspace.trained_rows().await?;
    let mut report = TrainReport::default();
    for (date, rows) in dates(&snapshots[0]) {
        if date > now.date_naive() {
            continue;
        }
        report.dates += 1;
        let rows = match rows {
            Some(rows) => rows,
            None => workspace.count(date).await?,
        };
        if trained.get(&date) != Some(&rows) {
            report.baseline_rows += retrain(lake, &workspace, date, rows).await?;
            report.dates_updated += 1;
            report.events_read += rows.max(0) as u64;
        }
    }
    tracing::debug!(?report, "trained");
    Ok(report)
}

/// The dates of the events with their number of rows, where every file of the date tells it.
pub fn dates(events: &TableSnapshot) -> BTreeMap<NaiveDate, Option<i64>> {
    let mut out: BTreeMap<NaiveDate, Option<i64>> = BTreeMap::new();
    for file in &events.files {
        let Some(date) = file.partition.as_deref().and_then(|text| text.parse().ok()) else { continue };
        let rows = file.rows.and_then(|rows| i64::try_from(rows).ok());
        let sum = out.entry(date).or_insert(Some(0));
        *sum = sum.zip(rows).map(|(sum, rows)| sum + rows);
    }
    out
}

async fn retrain(lake: &Lake, workspace: &Workspace, date: NaiveDate, rows: i64) -> Result<u64> {
    let before = date.checked_add_days(Days::new(1)).unwrap_or(NaiveDate::MAX).and_time(NaiveTime::MIN).and_utc();
    let mut batches = vec![marker(date, rows)?];
    for batch in workspace.aggregate(Window { date, before }).await? {
        batches.push(baseline(&batch, date)?);
    }
    lake.replace_partition(&schema::BASELINES, date, &batches).await?;
    Ok(batches.iter().map(|batch| batch.num_rows() as u64).sum())
}

/// The row that remembers how many events the date had, and by which version of the features they were read.
fn marker(date: NaiveDate, rows: i64) -> Result<RecordBatch> {
    let text = |value: &str| -> ArrayRef { Arc::new(StringArray::from(vec![value])) };
    let events: ArrayRef = Arc::new(Int64Array::from(vec![rows]));
    build(vec![text(""), text(""), text("_rows"), text(feature::VERSION), events], date)
}

/// Rows of `aggregate.sql` as rows of `baselines`.
fn baseline(batch: &RecordBatch, date: NaiveDate) -> Result<RecordBatch> {
    let column = |name: &str, data_type: DataType| -> Result<ArrayRef> {
        let wrong = || Error::new(ErrorKind::Internal, format!("the aggregation gave no usable column {name}"));
        let array = batch.column_by_name(name).ok_or_else(wrong)?;
        cast(array, &data_type).map_err(|error| wrong().source(error))
    };
    let texts = ["actor", "account", "feature", "value"].map(|name| column(name, DataType::Utf8));
    let mut columns = texts.into_iter().collect::<Result<Vec<_>>>()?;
    columns.push(column("events", DataType::Int64)?);
    build(columns, date)
}

fn build(mut columns: Vec<ArrayRef>, date: NaiveDate) -> Result<RecordBatch> {
    let days = (date - NaiveDate::default()).num_days() as i32;
    columns.push(Arc::new(Date32Array::from(vec![days; columns[0].len()])));
    RecordBatch::try_new(schema::BASELINES.schema(), columns)
        .map_err(|error| Error::new(ErrorKind::Internal, format!("cannot build the baselines of {date}")).source(error))
}
