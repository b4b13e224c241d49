//! Which log files are in the lake: the ledger, a day at a time.

use std::collections::{BTreeMap, HashMap};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use chrono::{NaiveDate, TimeDelta};
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use crate::error::Result;
use crate::lake::Lake;
use crate::schema::OBJECTS;
use crate::table::{DataFile, TableSnapshot};

/// Days held beside the one that is worked on.
const KEPT: TimeDelta = TimeDelta::days(2);

/// What the ledger says of a log file that is in the lake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entered {
    /// SHA-256 of the text that was read last, where the ingest made it.
    pub hash: Option<[u8; 32]>,
    /// When that was, in microseconds since 1970.
    at: i64,
}

type Day = HashMap<u128, Entered>;

/// The ledger of a lake.
pub(super) struct Ledger<'l> {
    lake: &'l Lake,
    snapshot: TableSnapshot,
    days: Mutex<BTreeMap<NaiveDate, Day>>,
}

/// An object counts by its key from `AWSLogs/` on: a lake made of a copy is a lake of the same log files.
fn fingerprint(name: &str) -> u128 {
    let key = name.find("AWSLogs/").map_or(name, |at| &name[at..]);
    let digest = Sha256::digest(key);
    u128::from_be_bytes(digest[..16].try_into().expect("a SHA-256 has 32 bytes"))
}

impl<'l> Ledger<'l> {
    pub(super) async fn open(lake: &'l Lake) -> Result<Self> {
        Ok(Self { lake, snapshot: lake.snapshot(&OBJECTS).await?, days: Mutex::default() })
    }

    /// What the ledger says of objects, each given with its day.
    pub(super) async fn entered(&self, objects: &[(String, NaiveDate)]) -> Result<Vec<Option<Entered>>> {
        let mut days = self.days.lock().await;
        for &(_, date) in objects {
            if let std::collections::btree_map::Entry::Vacant(place) = days.entry(date) {
                place.insert(self.read(date).await?);
            }
        }
        Ok(objects.iter().map(|(name, date)| days.get(date)?.get(&fingerprint(name)).copied()).collect())
    }

    /// Forgets the days that are not near this one.
    pub(super) async fn keep_near(&self, date: NaiveDate) {
        self.days.lock().await.retain(|day, _| (*day - date).abs() <= KEPT);
    }

    /// Log files of some days that were read more than once, as they were another text the second time.
    pub(super) async fn changed(&self, days: impl Iterator<Item = NaiveDate>) -> Result<Vec<String>> {
        let mut changed = Vec::new();
        for date in days {
            let mut known = Day::new();
            self.scan(date, |name, entered| {
                if known.insert(fingerprint(name), entered).is_some_and(|other| other.hash != entered.hash) {
                    changed.push(name.to_owned());
                }
            })
            .await?;
        }
        Ok(changed)
    }

    async fn read(&self, date: NaiveDate) -> Result<Day> {
        let mut day = Day::new();
        self.scan(date, |name, entered| {
            let known = day.entry(fingerprint(name)).or_insert(entered);
            if entered.at > known.at {
                *known = entered;
            }
        })
        .await?;
        Ok(day)
    }

    async fn scan(&self, date: NaiveDate, mut visit: impl FnMut(&str, Entered)) -> Result<()> {
        let date = date.to_string();
        let of_day = |file: &&DataFile| file.partition.as_deref() == Some(date.as_str());
        let files: Vec<&DataFile> = self.snapshot.files.iter().filter(of_day).collect();
        let columns = ["key", "status", "ingested_at", "sha256"];
        let visit_batch = |batch: &RecordBatch| {
            let text = |name: &str| batch.column_by_name(name).map(|column| column.as_string::<i32>());
            let times =
                batch.column_by_name("ingested_at").map(|times| times.as_primitive::<TimestampMicrosecondType>());
            let (Some(keys), Some(statuses), Some(times)) = (text("key"), text("status"), times) else { return };
            let hashes = text("sha256");
            for row in (0..keys.len()).filter(|&row| statuses.value(row) == "done") {
                let hash = hashes.filter(|hashes| hashes.is_valid(row)).map(|hashes| hashes.value(row));
                let hash = hash.and_then(|hash| hex::decode(hash).ok()?.try_into().ok());
                visit(keys.value(row), Entered { hash, at: times.value(row) });
            }
        };
        self.lake.scan(&OBJECTS, &self.snapshot, &files, &columns, visit_batch).await
    }
}
