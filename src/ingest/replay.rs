//! Rejects, tried again: after an upgrade, or when a limit was raised.
//!
//! Owns: which text is tried: a record's own where it was kept whole, otherwise the whole object's, read again.
//! Invariant: a reject is resolved after its events are committed. Where a run dies in between it is tried again, and
//! its events are found in the lake.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Instant;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::rejects::{self, Key, Open, Resolution};
use super::worker::{ObjectDone, Status};
use super::{IngestOptions, IngestReport, Run, Stop, Supply, ledger};
use crate::error::Result;
use crate::lake::Lake;
use crate::schema::{OBJECTS, REJECTS};
use crate::source::{ObjectInfo, Source};

/// The accounts of a replay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ReplayCounts {
    /// Rejects that were open.
    pub open: u64,
    /// Of these, those that are resolved now.
    pub resolved: u64,
    /// Of these, those that are still open.
    pub left: u64,
}

/// Tries the open rejects again.
///
/// # Errors
/// As [`super::ingest`].
pub async fn replay(
    source: &Source,
    lake: &Lake,
    options: &IngestOptions,
    now: DateTime<Utc>,
    stop: &Stop,
) -> Result<IngestReport> {
    let started = Instant::now();
    let mut report = IngestReport::default();
    let mut counts = ReplayCounts::default();
    let mut replay = Replay { run: Run::new(lake, options, now).await?, source, now };
    let mut tried = HashSet::new();
    // a file at a time, which is what one commit has kept: that bounds the texts
    let snapshot = lake.snapshot(&REJECTS).await?;
    for file in &snapshot.files {
        if stop.is_requested() {
            report.interrupted = true;
            break;
        }
        let open = rejects::open_in(lake, &snapshot, file).await?;
        counts.open += open.len() as u64;
        let resolved = replay.try_all(&open, &mut tried, &mut report).await?;
        counts.resolved += resolved;
    }
    counts.left = counts.open - counts.resolved;
    report.replay = Some(counts);
    replay.run.end(&mut report).await?;
    report.seconds.total = started.elapsed().as_secs_f64();
    Ok(report)
}

struct Replay<'r> {
    run: Run<'r>,
    source: &'r Source,
    now: DateTime<Utc>,
}

impl Replay<'_> {
    /// Tries some rejects and answers how many are resolved. `objects` are those that were read again before.
    async fn try_all(
        &mut self,
        open: &[Open],
        objects: &mut HashSet<String>,
        report: &mut IngestReport,
    ) -> Result<u64> {
        let (own, rest): (Vec<&Open>, Vec<&Open>) =
            open.iter().partition(|open| open.raw.is_some() && open.position.is_some());
        let mut good = self.texts(&own, report).await?;
        good.extend(self.objects(&rest, objects, report).await?);
        let resolution = |key: &Key<'_>| {
            let key = (key.object.to_owned(), key.version.to_owned(), key.position);
            good.contains(&key).then_some(Resolution::Replayed)
        };
        if !good.is_empty() {
            rejects::resolve(self.run.lake, resolution, self.now).await?;
        }
        let is_good = |open: &&Open| good.contains(&(open.object.clone(), open.version.clone(), open.position));
        Ok(open.iter().filter(is_good).count() as u64)
    }

    /// Tries records by their own text; answers those that became rows, or are in the lake already.
    async fn texts(&mut self, open: &[&Open], report: &mut IngestReport) -> Result<HashSet<Found>> {
        let (mut texts, mut objects, mut places) = (BTreeMap::new(), Vec::new(), HashMap::new());
        for open in open {
            // a record is told by its object's name, as that is what its row will say, and a version of its own
            let version = format!("{}#{}", open.version, open.position.unwrap_or_default());
            let text = Bytes::from(open.raw.clone().unwrap_or_default());
            let bytes = text.len() as u64;
            texts.insert((open.object.clone(), version.clone()), text);
            places.insert((open.object.clone(), version.clone()), found(open));
            let date = self.now.date_naive();
            objects.push(ObjectInfo { name: open.object.clone(), bytes, version, date });
        }
        if objects.is_empty() {
            return Ok(HashSet::new());
        }
        let result = self.run.records(&Supply::Texts(&texts), &objects, report).await?;
        let good = result.done.into_iter().filter(is_good);
        Ok(good.filter_map(|done| places.remove(&(done.object.name, done.object.version))).collect())
    }

    /// Reads whole objects again; answers the rejects whose record is fine now.
    async fn objects(
        &mut self,
        open: &[&Open],
        tried: &mut HashSet<String>,
        report: &mut IngestReport,
    ) -> Result<HashSet<Found>> {
        let names: BTreeSet<&str> =
            open.iter().map(|open| open.object.as_str()).filter(|name| !tried.contains(*name)).collect();
        tried.extend(names.iter().map(|&name| name.to_owned()));
        let objects = self.known(&names).await?;
        if objects.is_empty() {
            return Ok(HashSet::new());
        }
        let result = self.run.records(&Supply::Source(self.source), &objects, report).await?;
        let bad: HashSet<(&str, Option<u64>)> =
            result.rejects.iter().map(|(object, reject)| (object.name.as_str(), reject.position)).collect();
        let read: HashSet<&str> = result
            .done
            .iter()
            .filter(|done| !matches!(done.status, Status::Failed { .. }))
            .map(|done| done.object.name.as_str())
            .collect();
        // what is read whole need not be tried by later runs
        let whole: Vec<ObjectDone> = result.done.iter().filter(|done| done.status == Status::Done).cloned().collect();
        let entries = self.run.troubles.entries(&whole, u32::MAX, true);
        ledger::enter(self.run.lake, &entries, self.now).await?;
        let is_good = |open: &&&Open| {
            read.contains(open.object.as_str()) && !bad.contains(&(open.object.as_str(), open.position))
        };
        Ok(open.iter().filter(is_good).map(|open| found(open)).collect())
    }

    /// Objects of those names, as the ledger has them.
    async fn known(&self, names: &BTreeSet<&str>) -> Result<Vec<ObjectInfo>> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let lake = self.run.lake;
        let snapshot = lake.snapshot(&OBJECTS).await?;
        let mut objects: BTreeMap<String, ObjectInfo> = BTreeMap::new();
        for file in &snapshot.files {
            let date = file.partition.as_deref().and_then(|date| date.parse().ok());
            lake.scan(&OBJECTS, &snapshot, &[file], &["key", "version", "bytes"], |batch| {
                let (keys, versions) = (batch.column(0).as_string::<i32>(), batch.column(1).as_string::<i32>());
                let sizes = batch.column(2).as_primitive::<Int64Type>();
                for row in (0..batch.num_rows()).filter(|&row| names.contains(keys.value(row))) {
                    let object = ObjectInfo {
                        name: keys.value(row).to_owned(),
                        bytes: sizes.value(row).unsigned_abs(),
                        version: versions.value(row).to_owned(),
                        date: date.unwrap_or_else(|| self.now.date_naive()),
                    };
                    objects.insert(object.name.clone(), object);
                }
            })
            .await?;
        }
        Ok(objects.into_values().collect())
    }
}

/// A reject's object, version and position.
type Found = (String, String, Option<u64>);

fn found(open: &Open) -> Found {
    (open.object.clone(), open.version.clone(), open.position)
}

fn is_good(done: &ObjectDone) -> bool {
    done.status == Status::Done && done.tally.rejects == 0 && done.tally.seen > 0
}
