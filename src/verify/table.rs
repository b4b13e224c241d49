//! Rows of the table `completeness`.
//!
//! Owns: that a trail's hour has one row, the newest; a day is written as a whole, with the rows of those hours that were not
//! looked at as they were.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use chrono::{DateTime, NaiveDate, Utc};

use super::accounts::OpenHour;
use super::chains::TrailId;
use crate::batch::time::days;
use crate::digest::hours::{Counts, DigestStatus, HourStatus};
use crate::error::{Error, ErrorKind, Result};
use crate::lake::Lake;
use crate::schema::COMPLETENESS;
use crate::table::DataFile;

/// A row, but for the day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub status: String,
    pub digest: String,
    pub digests: u64,
    pub counts: Counts,
    pub problems: Option<String>,
    pub verified_at: DateTime<Utc>,
}

/// What a row is of.
pub(super) type RowKey = (TrailId, DateTime<Utc>);

impl Row {
    pub(super) fn of(open: &OpenHour, now: DateTime<Utc>) -> Self {
        let problems = (!open.problems.is_empty()).then(|| {
            let mut problems = open.problems.clone();
            problems.sort();
            serde_json::Value::from(problems).to_string()
        });
        Self {
            status: open.hour.status().as_str().to_owned(),
            digest: open.hour.digest_status().as_str().to_owned(),
            digests: open.hour.digests.into(),
            counts: open.hour.counts,
            problems,
            verified_at: now,
        }
    }

    /// Whether nothing can be found by looking again.
    pub(super) fn is_settled(&self) -> bool {
        self.status == HourStatus::Complete.as_str() && self.digest == DigestStatus::Valid.as_str()
    }

    /// Whether it says the same as another one.
    fn says(&self, other: &Self) -> bool {
        let undated = |row: &Self| Self { verified_at: DateTime::UNIX_EPOCH, ..row.clone() };
        undated(self) == undated(other)
    }
}

/// Puts rows into the table, beside what the day has of other hours. Rows that say what is there already are not written.
pub(super) async fn write(lake: &Lake, date: NaiveDate, new: BTreeMap<RowKey, Row>) -> Result<()> {
    let mut rows = read(lake, Some((date, date))).await?;
    if new.iter().all(|(key, row)| rows.get(key).is_some_and(|old| old.says(row))) {
        return Ok(());
    }
    rows.extend(new);
    let sorted: BTreeMap<&RowKey, &Row> = rows.iter().collect();
    lake.replace_partition(&COMPLETENESS, date, &[encode(date, &sorted)?]).await.map(drop)
}

/// Rows of some days, or of all.
pub(super) async fn read(lake: &Lake, dates: Option<(NaiveDate, NaiveDate)>) -> Result<HashMap<RowKey, Row>> {
    let snapshot = lake.snapshot(&COMPLETENESS).await?;
    let wanted = |file: &&DataFile| {
        let date = file.partition.as_deref().and_then(|date| date.parse::<NaiveDate>().ok());
        dates.is_none_or(|(from, to)| date.is_some_and(|date| from <= date && date <= to))
    };
    let files: Vec<&DataFile> = snapshot.files.iter().filter(wanted).collect();
    let mut rows = HashMap::new();
    lake.scan(&COMPLETENESS, &snapshot, &files, &NAMES, |batch| rows.extend(decode(batch))).await?;
    Ok(rows)
}

/// The newest day that has rows; none where there are no rows.
pub(super) async fn newest_day(lake: &Lake) -> Result<Option<NaiveDate>> {
    let snapshot = lake.snapshot(&COMPLETENESS).await?;
    Ok(snapshot.files.iter().filter_map(|file| file.partition.as_deref()?.parse().ok()).max())
}

const NAMES: [&str; 19] = [
    "account",
    "region",
    "trail",
    "trail_region",
    "organization",
    "hour",
    "status",
    "digest",
    "digests",
    "expected",
    "verified",
    "ingested",
    "missing",
    "modified",
    "unreadable",
    "late",
    "problems",
    "verified_at",
    "hour_date",
];

fn encode(date: NaiveDate, rows: &BTreeMap<&RowKey, &Row>) -> Result<RecordBatch> {
    let id = |get: fn(&TrailId) -> &str| -> ArrayRef {
        Arc::new(rows.keys().map(|(trail, _)| Some(get(trail))).collect::<StringArray>())
    };
    let text = |get: fn(&Row) -> Option<&str>| -> ArrayRef {
        Arc::new(rows.values().map(|row| get(row)).collect::<StringArray>())
    };
    let number = |get: fn(&Row) -> u64| -> ArrayRef {
        Arc::new(rows.values().map(|row| Some(get(row) as i64)).collect::<Int64Array>())
    };
    let instants =
        |times: Vec<i64>| -> ArrayRef { Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")) };
    let columns = vec![
        id(|trail| &trail.account),
        id(|trail| &trail.region),
        id(|trail| &trail.trail),
        id(|trail| &trail.trail_region),
        id(|trail| &trail.organization),
        instants(rows.keys().map(|(_, hour)| hour.timestamp_micros()).collect()),
        text(|row| Some(&row.status)),
        text(|row| Some(&row.digest)),
        number(|row| row.digests),
        number(|row| row.counts.expected),
        number(|row| row.counts.verified),
        number(|row| row.counts.ingested),
        number(|row| row.counts.missing),
        number(|row| row.counts.modified),
        number(|row| row.counts.unreadable),
        number(|row| row.counts.late),
        text(|row| row.problems.as_deref()),
        instants(rows.values().map(|row| row.verified_at.timestamp_micros()).collect()),
        Arc::new(Date32Array::from_value(days(date), rows.len())),
    ];
    RecordBatch::try_new(COMPLETENESS.schema(), columns)
        .map_err(|error| Error::new(ErrorKind::Internal, "rows of completeness").source(error))
}

fn decode(batch: &RecordBatch) -> Vec<(RowKey, Row)> {
    let column = |name: &str| batch.column_by_name(name);
    let text = |name: &str, row: usize| {
        column(name)
            .map(|column| column.as_string::<i32>())
            .filter(|column| column.is_valid(row))
            .map(|column| column.value(row).to_owned())
    };
    let number = |name: &str, row: usize| {
        column(name).map_or(0, |column| column.as_primitive::<Int64Type>().value(row)).unsigned_abs()
    };
    let instant = |name: &str, row: usize| {
        let micros = column(name).map(|column| column.as_primitive::<TimestampMicrosecondType>().value(row));
        micros.and_then(DateTime::from_timestamp_micros).unwrap_or_default()
    };
    let word = |name: &str, row: usize| text(name, row).unwrap_or_default();
    let read = |row: usize| {
        let trail = TrailId {
            account: word("account", row),
            region: word("region", row),
            trail: word("trail", row),
            trail_region: word("trail_region", row),
            organization: word("organization", row),
        };
        let counts = Counts {
            expected: number("expected", row),
            verified: number("verified", row),
            missing: number("missing", row),
            modified: number("modified", row),
            unreadable: number("unreadable", row),
            late: number("late", row),
            ingested: number("ingested", row),
        };
        let value = Row {
            status: word("status", row),
            digest: word("digest", row),
            digests: number("digests", row),
            counts,
            problems: text("problems", row),
            verified_at: instant("verified_at", row),
        };
        ((trail, instant("hour", row)), value)
    };
    (0..batch.num_rows()).map(read).collect()
}
