//! The ledger: which objects need not be read again, and what was rejected.
//!
//! Owns: the rows of `objects` and `rejects`.
//! Invariant: an object is entered after its events are committed. Where a run dies in between, the object is read
//! again and its events are found in the lake: nothing is lost, and nothing doubled.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use chrono::{DateTime, Utc};
use futures::StreamExt;
use sha2::{Digest, Sha256};

use super::worker::{ObjectDone, Status};
use crate::batch::time::days;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Reject;
use crate::lake::Lake;
use crate::schema::{OBJECTS, REJECTS, Table};
use crate::source::ObjectInfo;
use crate::table::{DataFile, TableSnapshot};

/// Files of the ledger read at the same time.
const FILES_AT_ONCE: usize = 16;

/// Names and versions of objects, 16 bytes each.
#[derive(Default)]
pub(super) struct Known(HashSet<u128>);

fn fingerprint(name: &str, version: &str) -> u128 {
    let digest = Sha256::new().chain_update(name).chain_update([0]).chain_update(version).finalize();
    u128::from_be_bytes(digest[..16].try_into().expect("a SHA-256 has 32 bytes"))
}

impl Known {
    pub(super) fn contains(&self, object: &ObjectInfo) -> bool {
        self.0.contains(&fingerprint(&object.name, &object.version))
    }

    /// Adds others.
    pub(super) fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Reads some files of a table, several at a time: a day of the ledger has a small one per commit.
    async fn read(
        lake: &Lake,
        table: &'static Table,
        snapshot: &TableSnapshot,
        files: &[&DataFile],
        columns: [&str; 2],
    ) -> Result<Self> {
        let reads = files.iter().map(|&file| async move {
            let mut known = Self::default();
            lake.scan(table, snapshot, &[file], &columns, |batch| {
                let texts =
                    columns.map(|name| batch.column_by_name(name).map(|column| column.as_string::<i32>().clone()));
                if let [Some(names), Some(versions)] = texts {
                    known.0.extend((0..names.len()).map(|row| fingerprint(names.value(row), versions.value(row))));
                }
            })
            .await
            .map(|()| known)
        });
        let mut all = Self::default();
        let mut reads = futures::stream::iter(reads).buffer_unordered(FILES_AT_ONCE);
        while let Some(known) = reads.next().await {
            all.merge(known?);
        }
        Ok(all)
    }
}

/// Objects that need not be read again, by some of the ledger's files.
pub(super) async fn known_objects(lake: &Lake, snapshot: &TableSnapshot, files: &[&DataFile]) -> Result<Known> {
    Known::read(lake, &OBJECTS, snapshot, files, ["key", "version"]).await
}

/// Objects whose rejects are kept already.
async fn known_rejects(lake: &Lake) -> Result<Known> {
    let snapshot = lake.snapshot(&REJECTS).await?;
    let files: Vec<_> = snapshot.files.iter().collect();
    Known::read(lake, &REJECTS, &snapshot, &files, ["object", "version"]).await
}

/// Keeps the rejects of a batch. A run that died before it entered the objects has left theirs, so those are skipped.
pub(super) async fn keep_rejects(lake: &Lake, rejects: &[(ObjectInfo, Reject)], now: DateTime<Utc>) -> Result<()> {
    if rejects.is_empty() {
        return Ok(());
    }
    let known = known_rejects(lake).await?;
    let new: Vec<&(ObjectInfo, Reject)> = rejects.iter().filter(|(object, _)| !known.contains(object)).collect();
    lake.append(&REJECTS, &[reject_rows(&new, now)?]).await.map(drop)
}

fn reject_rows(rejects: &[&(ObjectInfo, Reject)], now: DateTime<Utc>) -> Result<RecordBatch> {
    let text = |get: fn(&(ObjectInfo, Reject)) -> &str| -> ArrayRef {
        Arc::new(rejects.iter().map(|reject| Some(get(reject))).collect::<StringArray>())
    };
    let positions: Int64Array = rejects.iter().map(|(_, reject)| reject.position.map(|at| at as i64)).collect();
    let bytes: Int64Array = rejects.iter().map(|(_, reject)| Some(reject.raw_bytes as i64)).collect();
    let columns = vec![
        text(|(object, _)| &object.name),
        text(|(object, _)| &object.version),
        Arc::new(positions),
        text(|(_, reject)| reject.reason.as_str()),
        text(|(_, reject)| &reject.detail),
        text(|(_, reject)| &reject.raw),
        Arc::new(bytes),
        instants(now, rejects.len()),
    ];
    rows(&REJECTS, columns)
}

/// Enters the objects of a batch that need not be read again.
pub(super) async fn enter(lake: &Lake, done: &[ObjectDone], now: DateTime<Utc>) -> Result<()> {
    let done: Vec<&ObjectDone> = done.iter().filter(|done| !matches!(done.status, Status::Failed(_))).collect();
    if done.is_empty() {
        return Ok(());
    }
    lake.append(&OBJECTS, &[object_rows(&done, now)?]).await.map(drop)
}

fn object_rows(done: &[&ObjectDone], now: DateTime<Utc>) -> Result<RecordBatch> {
    let text = |get: fn(&ObjectDone) -> Option<&str>| -> ArrayRef {
        Arc::new(done.iter().map(|done| get(done)).collect::<StringArray>())
    };
    let number = |get: fn(&ObjectDone) -> u64| -> ArrayRef {
        Arc::new(done.iter().map(|done| Some(get(done) as i64)).collect::<Int64Array>())
    };
    let dates: Date32Array = done.iter().map(|done| Some(days(done.object.date))).collect();
    let columns = vec![
        text(|done| Some(&done.object.name)),
        text(|done| Some(&done.object.version)),
        number(|done| done.object.bytes),
        number(|done| done.tally.seen),
        number(|done| done.tally.rows),
        number(|done| done.tally.duplicates),
        number(|done| done.tally.rejects),
        text(|done| Some(if done.status == Status::Done { "done" } else { "rejected" })),
        text(|done| match &done.status {
            Status::Done => None,
            Status::Rejected(why) | Status::Failed(why) => Some(why),
        }),
        instants(now, done.len()),
        text(|done| done.sha256.as_deref()),
        Arc::new(dates),
    ];
    rows(&OBJECTS, columns)
}

fn instants(now: DateTime<Utc>, count: usize) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_value(now.timestamp_micros(), count).with_timezone("UTC"))
}

fn rows(table: &'static Table, columns: Vec<ArrayRef>) -> Result<RecordBatch> {
    RecordBatch::try_new(table.schema(), columns)
        .map_err(|error| Error::new(ErrorKind::Internal, format!("rows of {}", table.name)).source(error))
}
