//! The ledger: which objects need not be read again, and how often those were tried that could not be.
//!
//! Owns: the rows of `objects`.
//! Invariant: an object is entered after its events are committed. Where a run dies in between, the object is read
//! again and its events are found in the lake: nothing is lost, and nothing doubled.
//!
//! An object that could not be read gets a row for every attempt. With the last attempt that it is given it is in
//! quarantine, and known. The latest row counts, and `done` before any other.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use chrono::{DateTime, Utc};
use futures::StreamExt;
use sha2::{Digest, Sha256};

use super::worker::{ObjectDone, Status};
use super::{Quarantine, rejects};
use crate::batch::time::days;
use crate::error::{Error, ErrorKind, Result};
use crate::lake::Lake;
use crate::schema::{OBJECTS, Table};
use crate::source::ObjectInfo;
use crate::table::{DataFile, TableSnapshot};

/// Files of the ledger read at the same time.
const FILES_AT_ONCE: usize = 16;

/// `objects.status`: every record is accounted for.
const DONE: &str = "done";

/// `objects.status`: no log, and nothing to read.
const SKIPPED: &str = "skipped";

/// `objects.status`: it could not be read, and will be tried again.
const FAILED: &str = "failed";

/// `objects.status`: it could not be read, and is not tried again.
const QUARANTINED: &str = "quarantined";

/// Releases before quarantine gave an object up at once.
const REJECTED: &str = "rejected";

/// Names and versions of objects, 16 bytes each.
#[derive(Default)]
pub(super) struct Known {
    objects: HashSet<u128>,
    failing: HashMap<u128, Trouble>,
}

/// What is known of an object that could not be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trouble {
    at: i64,
    attempts: u32,
    is_given_up: bool,
}

/// 128 bits of an object's name and version.
pub(super) fn fingerprint(name: &str, version: &str) -> u128 {
    let digest = Sha256::new().chain_update(name).chain_update([0]).chain_update(version).finalize();
    u128::from_be_bytes(digest[..16].try_into().expect("a SHA-256 has 32 bytes"))
}

impl Known {
    /// Whether an object need not be read: it was, or it is given up.
    pub(super) fn contains(&self, object: &ObjectInfo, quarantine: Quarantine) -> bool {
        let object = fingerprint(&object.name, &object.version);
        let is_given_up = || self.failing.get(&object).is_some_and(|trouble| trouble.is_given_up);
        self.objects.contains(&object) || quarantine == Quarantine::Keep && is_given_up()
    }

    /// Whether an object is in quarantine.
    pub(super) fn is_given_up(&self, object: &ObjectInfo) -> bool {
        let object = fingerprint(&object.name, &object.version);
        !self.objects.contains(&object) && self.failing.get(&object).is_some_and(|trouble| trouble.is_given_up)
    }

    /// Adds what other files of the ledger say.
    pub(super) fn merge(&mut self, other: Self) {
        self.objects.extend(other.objects);
        other.failing.into_iter().for_each(|(object, trouble)| self.note_trouble(object, trouble));
    }

    /// What earlier runs noted of an object that is still to be read.
    pub(super) fn trouble(&self, object: &ObjectInfo, quarantine: Quarantine) -> Option<(u128, Trouble)> {
        let object = fingerprint(&object.name, &object.version);
        let trouble = self.failing.get(&object).filter(|_| !self.objects.contains(&object))?;
        (quarantine == Quarantine::Keep || !trouble.is_given_up).then_some((object, *trouble))
    }

    fn note(&mut self, batch: &RecordBatch) {
        let text = |index: usize| batch.column(index).as_string::<i32>();
        let (names, versions, statuses) = (text(0), text(1), text(2));
        let attempts = batch.column(3).as_primitive::<Int64Type>();
        let times = batch.column(4).as_primitive::<TimestampMicrosecondType>();
        for row in 0..batch.num_rows() {
            let object = fingerprint(names.value(row), versions.value(row));
            if matches!(statuses.value(row), DONE | SKIPPED) {
                self.objects.insert(object);
                continue;
            }
            let counted = if attempts.is_valid(row) { attempts.value(row) } else { 1 };
            let trouble = Trouble {
                at: times.value(row),
                attempts: u32::try_from(counted).unwrap_or(u32::MAX),
                is_given_up: matches!(statuses.value(row), QUARANTINED | REJECTED),
            };
            self.note_trouble(object, trouble);
        }
    }

    fn note_trouble(&mut self, object: u128, trouble: Trouble) {
        let latest = self.failing.entry(object).or_insert(trouble);
        if (latest.at, latest.attempts) < (trouble.at, trouble.attempts) {
            *latest = trouble;
        }
    }
}

/// What some of the ledger's files say, several read at a time: a day has a small one per commit.
pub(super) async fn known_objects(lake: &Lake, snapshot: &TableSnapshot, files: &[&DataFile]) -> Result<Known> {
    const COLUMNS: [&str; 5] = ["key", "version", "status", "attempts", "ingested_at"];
    let reads = files.iter().map(|&file| async move {
        let mut known = Known::default();
        lake.scan(&OBJECTS, snapshot, &[file], &COLUMNS, |batch| known.note(batch)).await.map(|()| known)
    });
    let mut all = Known::default();
    let mut reads = futures::stream::iter(reads).buffer_unordered(FILES_AT_ONCE);
    while let Some(known) = reads.next().await {
        all.merge(known?);
    }
    Ok(all)
}

/// What earlier runs could not read, as far as this run comes upon it.
#[derive(Default)]
pub(super) struct Troubles {
    failing: HashMap<u128, Trouble>,
    /// Names of objects that have open rejects.
    rejected: HashSet<String>,
}

impl Troubles {
    /// What is known before any object is looked at: the open rejects.
    pub(super) async fn open(lake: &Lake) -> Result<Self> {
        Ok(Self { failing: HashMap::new(), rejected: rejects::open_objects(lake).await? })
    }

    /// Takes notice of objects that are about to be tried again.
    pub(super) fn learn(&mut self, failing: impl IntoIterator<Item = (u128, Trouble)>) {
        self.failing.extend(failing);
    }

    /// Whether records of the object, or the object itself, are open rejects of an earlier run.
    pub(super) fn is_rejected(&self, name: &str) -> bool {
        self.rejected.contains(name)
    }

    /// What to enter of a batch's objects. A fetch that failed counts as an attempt only where the object answered for
    /// itself, and others could be fetched: an outage or expired credentials are no fault of the object.
    pub(super) fn entries<'d>(&self, done: &'d [ObjectDone], max_attempts: u32, fetched: bool) -> Vec<Entry<'d>> {
        let counts = |done: &&ObjectDone| match &done.status {
            Status::Failed { is_own, .. } => *is_own && fetched,
            _ => true,
        };
        done.iter().filter(counts).map(|done| self.entry(done, max_attempts)).collect()
    }

    fn entry<'d>(&self, done: &'d ObjectDone, max_attempts: u32) -> Entry<'d> {
        let before = self.failing.get(&fingerprint(&done.object.name, &done.object.version));
        let attempts = before.map_or(0, |trouble| trouble.attempts).saturating_add(1);
        let status = match done.status {
            Status::Done => DONE,
            Status::Other(_) => SKIPPED,
            _ if attempts >= max_attempts => QUARANTINED,
            _ => FAILED,
        };
        Entry { done, attempts, status }
    }
}

/// A row of the ledger.
#[derive(Debug)]
pub(super) struct Entry<'d> {
    done: &'d ObjectDone,
    attempts: u32,
    status: &'static str,
}

impl Entry<'_> {
    pub(super) fn is_given_up(&self) -> bool {
        self.status == QUARANTINED
    }

    /// The name of the object, where it is not to be tried again.
    pub(super) fn settled(&self) -> Option<&str> {
        (self.status != FAILED).then_some(self.done.object.name.as_str())
    }
}

/// Enters objects.
pub(super) async fn enter(lake: &Lake, entries: &[Entry<'_>], now: DateTime<Utc>) -> Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    for entry in entries.iter().filter(|entry| entry.is_given_up()) {
        let (name, attempts) = (&entry.done.object.name, entry.attempts);
        tracing::warn!("{name}: in quarantine after {attempts} attempts; release it with --retry-quarantined");
    }
    lake.append(&OBJECTS, &[object_rows(entries, now)?]).await.map(drop)
}

fn object_rows(entries: &[Entry<'_>], now: DateTime<Utc>) -> Result<RecordBatch> {
    let text = |get: fn(&Entry<'_>) -> Option<String>| -> ArrayRef {
        Arc::new(entries.iter().map(get).collect::<StringArray>())
    };
    let number = |get: fn(&ObjectDone) -> u64| -> ArrayRef {
        Arc::new(entries.iter().map(|entry| Some(get(entry.done) as i64)).collect::<Int64Array>())
    };
    let dates: Date32Array = entries.iter().map(|entry| Some(days(entry.done.object.date))).collect();
    let attempts: Int64Array = entries.iter().map(|entry| Some(i64::from(entry.attempts))).collect();
    let columns = vec![
        text(|entry| Some(entry.done.object.name.clone())),
        text(|entry| Some(entry.done.object.version.clone())),
        number(|done| done.object.bytes),
        number(|done| done.tally.seen),
        number(|done| done.tally.rows),
        number(|done| done.tally.duplicates),
        number(|done| done.tally.rejects),
        text(|entry| Some(entry.status.to_owned())),
        text(|entry| match &entry.done.status {
            Status::Done => None,
            Status::Other(kind) => Some(format!("no log but {kind:?}").to_lowercase()),
            Status::Rejected(why) | Status::Failed { why, .. } => Some(why.clone()),
        }),
        instants(now, entries.len()),
        text(|entry| entry.done.sha256.clone()),
        Arc::new(attempts),
        Arc::new(dates),
    ];
    rows(&OBJECTS, columns)
}

/// A column of one instant.
pub(super) fn instants(now: DateTime<Utc>, count: usize) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_value(now.timestamp_micros(), count).with_timezone("UTC"))
}

/// A batch of a table's rows.
pub(super) fn rows(table: &'static Table, columns: Vec<ArrayRef>) -> Result<RecordBatch> {
    RecordBatch::try_new(table.schema(), columns)
        .map_err(|error| Error::new(ErrorKind::Internal, format!("rows of {}", table.name)).source(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Tally;

    fn object(name: &str) -> ObjectInfo {
        ObjectInfo { name: name.into(), bytes: 1, version: "v".into(), date: chrono::NaiveDate::default() }
    }

    fn done(name: &str, status: Status) -> ObjectDone {
        ObjectDone { object: object(name), tally: Tally::default(), status, sha256: None }
    }

    /// What the ledger knows after some runs that ended an object so, at a limit of three attempts.
    fn after(statuses: &[Status]) -> (Known, Vec<&'static str>) {
        let (mut rows, mut told) = (Vec::new(), Vec::new());
        for (run, status) in statuses.iter().enumerate() {
            let mut known = Known::default();
            rows.iter().for_each(|batch| known.note(batch));
            let mut troubles = Troubles::default();
            troubles.learn(known.trouble(&object("a"), Quarantine::Keep));
            let done = [done("a", status.clone())];
            let entries = troubles.entries(&done, 3, true);
            told.extend(entries.iter().map(|entry| entry.status));
            let now = DateTime::from_timestamp(run as i64, 0).unwrap();
            let batch = object_rows(&entries, now).unwrap();
            let wanted = ["key", "version", "status", "attempts", "ingested_at"];
            let wanted: Vec<usize> = wanted.iter().map(|name| batch.schema().index_of(name).unwrap()).collect();
            rows.push(batch.project(&wanted).unwrap());
        }
        let mut known = Known::default();
        rows.iter().for_each(|batch| known.note(batch));
        (known, told)
    }

    fn broken() -> Status {
        Status::Rejected("broken".into())
    }

    #[test]
    fn a_broken_object_is_tried_up_to_the_limit() {
        let (known, told) = after(&[broken(), broken()]);
        assert!(!known.contains(&object("a"), Quarantine::Keep) && !known.is_given_up(&object("a")));
        assert_eq!(told, [FAILED, FAILED]);
        let (known, told) = after(&[broken(), broken(), broken()]);
        assert!(known.contains(&object("a"), Quarantine::Keep) && known.is_given_up(&object("a")));
        assert_eq!(told, [FAILED, FAILED, QUARANTINED]);
        assert!(!known.contains(&object("a"), Quarantine::Release));
        assert!(known.trouble(&object("a"), Quarantine::Release).is_none(), "as if it had never been tried");
    }

    #[test]
    fn an_object_that_was_read_after_all_is_known() {
        let (known, told) = after(&[broken(), Status::Done]);
        assert!(known.contains(&object("a"), Quarantine::Release) && !known.is_given_up(&object("a")));
        assert!(known.trouble(&object("a"), Quarantine::Keep).is_none());
        assert_eq!(told, [FAILED, DONE]);
    }

    #[test]
    fn only_failures_of_the_object_itself_are_counted() {
        let failed = |is_own| done("a", Status::Failed { why: "why".into(), is_own });
        let all = [failed(true), failed(false)];
        assert_eq!(Troubles::default().entries(&all, 3, true).len(), 1);
        assert_eq!(Troubles::default().entries(&all, 3, false).len(), 0);
    }
}
