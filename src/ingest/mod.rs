//! Objects -> lake: list, fetch, decode, parse, dedupe, batch, encode, commit.
//!
//! Owns: the order of things that makes ingest exactly once, and the run's accounts.
//! Invariant: every record seen is a row, a duplicate or a reject; checked before every commit.
//!
//! A commit is made of a bounded batch of objects: first the events, then the rejects, then the ledger. Events are in
//! the lake once because each is checked against the lake's own events; the ledger only saves reading objects again.

mod dry;
mod gate;
mod known;
mod ledger;
mod listings;
mod plan;
mod queue;
mod rejects;
mod replay;
mod seen;
mod side;
mod worker;

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::StreamExt;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

pub use dry::{DryRun, Share, dry_run};
pub use queue::{QueueCounts, Until, ingest_queue};
pub use replay::{ReplayCounts, replay};
pub use worker::{Hashing, StageSeconds};

use crate::error::{Error, ErrorKind, Result};
use crate::event::Tally;
use crate::lake::Lake;
use crate::schema::REJECTS;
use crate::source::{Kind, ObjectInfo, Payload, Selection, Source};
use gate::Gate;
use ledger::Troubles;
use plan::Plan;
use worker::{BatchResult, ObjectDone, Status, Worker};

/// How an ingest is bounded.
#[derive(Debug, Clone)]
pub struct IngestOptions {
    /// Workers that decode, parse and encode.
    pub threads: usize,
    /// Objects fetched at the same time.
    pub concurrency: usize,
    /// Bytes of memory for fetched objects and for known events together.
    pub memory_limit: u64,
    /// Uncompressed bytes of an object that are accepted.
    pub max_object_size: u64,
    /// Bytes of objects (as stored) that are committed together.
    pub commit_bytes: u64,
    /// Whether the hash of every object is kept.
    pub hashing: Hashing,
    /// Which objects of the source.
    pub selection: Selection,
    /// Which of them are looked for again.
    pub relist: Relist,
    /// Attempts at an object that cannot be read before it is put into quarantine.
    pub max_attempts: u32,
    /// What is done about objects in quarantine.
    pub quarantine: Quarantine,
}

/// What is listed although it was listed before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relist {
    /// Days before today, of which objects may still come late.
    pub days: u32,
    /// Everything.
    pub all: bool,
}

impl Default for Relist {
    fn default() -> Self {
        Self { days: 3, all: false }
    }
}

/// What is done about objects that were given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quarantine {
    /// They are left alone.
    Keep,
    /// They are read again, as if they had never been tried.
    Release,
}

impl Default for IngestOptions {
    fn default() -> Self {
        Self {
            threads: std::thread::available_parallelism().map_or(2, usize::from),
            concurrency: 32,
            memory_limit: 512 << 20,
            max_object_size: crate::decode::DEFAULT_LIMIT,
            commit_bytes: 64 << 20,
            hashing: Hashing::Off,
            selection: Selection::default(),
            relist: Relist::default(),
            max_attempts: 5,
            quarantine: Quarantine::Keep,
        }
    }
}

/// Asks a run to end after its current commit.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks.
    pub fn request(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked.
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Returns soon after it was asked.
    pub async fn requested(&self) {
        while !self.is_requested() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// How far a run is; told after every object.
#[derive(Debug, Clone, Copy, Default)]
pub struct Progress {
    /// Objects to read in this run.
    pub objects: u64,
    /// Objects read.
    pub done: u64,
}

/// Takes notice of a run's progress.
pub type Observer<'o> = dyn Fn(Progress) + Sync + 'o;

/// What became of the source's objects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ObjectCounts {
    /// Log objects found.
    pub listed: u64,
    /// Of these, of days before the first that the lake keeps.
    pub expired: u64,
    /// In the ledger already.
    pub known: u64,
    /// Read in this run.
    pub read: u64,
    /// Fetched in this run and not readable as a log; tried again by the next runs, up to a limit.
    pub rejected: u64,
    /// Not fetched in this run; left for the next.
    pub failed: u64,
    /// Of the rejected and failed, those that reached the limit in this run: they are not tried again.
    pub quarantined: u64,
    /// Of the known, those that are in quarantine since an earlier run.
    pub in_quarantine: u64,
    /// Not logs, by kind.
    pub skipped: BTreeMap<Kind, u64>,
    /// Logs that the filters left out, as far as they were listed at all.
    pub filtered: u64,
    /// Folders of accounts that hold no logs (digests, other services) and were not listed, by their name.
    pub left_out: BTreeMap<String, u64>,
}

/// Bytes read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ByteCounts {
    /// As stored.
    pub stored: u64,
    /// JSON text.
    pub json: u64,
    /// Parquet written.
    pub written: u64,
}

/// The accounts of an ingest.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct IngestReport {
    /// Objects.
    pub objects: ObjectCounts,
    /// Bytes.
    pub bytes: ByteCounts,
    /// Records seen.
    pub records: u64,
    /// Records that became rows.
    pub rows: u64,
    /// The same, by table.
    pub rows_by_table: BTreeMap<&'static str, u64>,
    /// Records whose event was in the lake already.
    pub duplicates: u64,
    /// Records that could not become rows.
    pub rejects: u64,
    /// Rejects of records and of whole objects, by reason.
    pub rejects_by_reason: BTreeMap<String, u64>,
    /// True where every record seen is a row, a duplicate or a reject, and the lake has the rows.
    pub accounted: bool,
    /// Commits of records.
    pub commits: u64,
    /// Version of the table `events` afterwards.
    pub version: i64,
    /// List requests.
    pub list_requests: u64,
    /// Messages, where a queue was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueCounts>,
    /// Ended early on request; the rest is left for the next run.
    pub interrupted: bool,
    /// Of a replay of rejects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay: Option<ReplayCounts>,
    /// What failed, the first hundred in words.
    pub failures: Vec<String>,
    /// Seconds by stage.
    pub seconds: StageSeconds,
}

/// Failures told in words; more are only counted.
const MAX_FAILURES: usize = 100;

impl IngestReport {
    /// True where something was rejected, failed or left.
    pub fn is_partial(&self) -> bool {
        self.interrupted
            || self.rejects > 0
            || self.objects.rejected > 0
            || self.objects.failed > 0
            || self.replay.is_some_and(|replay| replay.left > 0)
            || !self.failures.is_empty()
    }

    fn fail(&mut self, what: String) {
        tracing::warn!("{what}");
        if self.failures.len() < MAX_FAILURES {
            self.failures.push(what);
        }
    }

    fn tally(&mut self, tally: Tally) {
        self.records += tally.seen;
        self.rows += tally.rows;
        self.duplicates += tally.duplicates;
        self.rejects += tally.rejects;
    }

    /// The run's accounts at its end: what the records became, and what the commits added to the lake.
    fn check(&mut self) -> Result<()> {
        let tally = Tally { seen: self.records, rows: self.rows, duplicates: self.duplicates, rejects: self.rejects };
        let stored: u64 = self.rows_by_table.values().sum();
        self.accounted = tally.is_whole() && stored == tally.rows;
        if self.accounted {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Internal, format!("records do not add up: {tally:?}, {stored} rows in the lake"))
            .hint("what was committed stays; please report it"))
    }
}

/// Brings every event of the source that is not there yet into the lake.
///
/// # Errors
/// Where the source cannot be listed or the lake not be written; what was committed before stays, and the next run
/// goes on from there. Objects that fail on their own are in the report.
pub async fn ingest(
    source: &Source,
    lake: &Lake,
    options: &IngestOptions,
    now: DateTime<Utc>,
    stop: &Stop,
    observer: &Observer<'_>,
) -> Result<IngestReport> {
    let started = Instant::now();
    let mut report = IngestReport::default();
    let mut plan = Plan::start(source, Some(lake), options, now).await?;
    let mut run = Run::new(lake, options, now).await?;
    let mut progress = Progress::default();
    loop {
        // a long listing ends at once; a batch that is read is committed first
        let batch = tokio::select! {
            biased;
            () = stop.requested() => None,
            batch = plan.next(options.commit_bytes, &mut report) => Some(batch?),
        };
        let Some(batch) = batch else {
            report.interrupted = true;
            break;
        };
        if batch.is_empty() {
            break;
        }
        if source.given_up().is_some() {
            break;
        }
        run.troubles.learn(plan.failing());
        run.batch(&Supply::Source(source), &batch, &mut report).await?;
        progress = Progress { objects: plan.found(), done: progress.done + batch.len() as u64 };
        observer(progress);
    }
    if let Some(why) = source.given_up() {
        let asked = report.objects.read + report.objects.rejected + report.objects.failed;
        let left = plan.found().saturating_sub(asked);
        report.fail(format!("{why}; {left} objects or more were not asked for and are left for the next run"));
    } else if !report.interrupted {
        plan.remember(lake, options, now).await?;
    }
    run.end(&mut report).await?;
    report.seconds.total = started.elapsed().as_secs_f64();
    Ok(report)
}

/// An object on its way to a worker, with the share of memory that its bytes take.
struct Fetched {
    object: ObjectInfo,
    payload: Result<Payload>,
    _room: Option<OwnedSemaphorePermit>,
}

/// Work that workers take from.
type Queue = Arc<Mutex<mpsc::Receiver<Fetched>>>;

/// Where the objects of a batch come from.
enum Supply<'s> {
    /// They are fetched.
    Source(&'s Source),
    /// They are here already: the texts of records, by name and version.
    Texts(&'s BTreeMap<(String, String), Bytes>),
}

impl Supply<'_> {
    async fn fetch(&self, object: &ObjectInfo) -> Result<Payload> {
        match self {
            Self::Source(source) => source.fetch(object).await,
            Self::Texts(texts) => texts
                .get(&(object.name.clone(), object.version.clone()))
                .map(|text| Payload::Bytes(text.clone()))
                .ok_or_else(|| Error::new(ErrorKind::Internal, format!("no text of {}", object.name))),
        }
    }

    /// Whether it is no use to ask for more.
    fn given_up(&self) -> bool {
        matches!(self, Self::Source(source) if source.given_up().is_some())
    }
}

/// One run's state between its commits.
struct Run<'r> {
    lake: &'r Lake,
    options: &'r IngestOptions,
    now: DateTime<Utc>,
    gate: Arc<Gate>,
    workers: Vec<Worker>,
    /// Objects that earlier runs could not read.
    troubles: Troubles,
    /// Whether any object could be fetched: where none can, that is not the objects' fault.
    fetched: bool,
    /// Objects with open rejects that this run has read whole.
    recovered: Vec<ObjectInfo>,
}

impl<'r> Run<'r> {
    async fn new(lake: &'r Lake, options: &'r IngestOptions, now: DateTime<Utc>) -> Result<Self> {
        let gate = Arc::new(Gate::new(lake, options.memory_limit / 4).await?);
        let workers =
            (0..options.threads.max(1)).map(|_| Worker::new(options.max_object_size, options.hashing)).collect();
        let (troubles, recovered) = (Troubles::open(lake).await?, Vec::new());
        Ok(Self { lake, options, now, gate, workers, troubles, fetched: false, recovered })
    }

    /// Reads some objects and commits them; answers the names of those that must be tried again.
    async fn batch(
        &mut self,
        supply: &Supply<'_>,
        objects: &[ObjectInfo],
        report: &mut IngestReport,
    ) -> Result<HashSet<String>> {
        let result = self.records(supply, objects, report).await?;
        let started = Instant::now();
        rejects::keep(self.lake, &result.rejects, self.now).await?;
        self.fetched |= result.done.iter().any(|done| !matches!(done.status, Status::Failed { .. }));
        let entries = self.troubles.entries(&result.done, self.options.max_attempts, self.fetched);
        ledger::enter(self.lake, &entries, self.now).await?;
        report.objects.quarantined += entries.iter().filter(|entry| entry.is_given_up()).count() as u64;
        report.seconds.commit += started.elapsed().as_secs_f64();
        let whole = result.done.iter().filter(|done| done.status == Status::Done && done.tally.rejects == 0);
        self.recovered
            .extend(whole.filter(|done| self.troubles.is_rejected(&done.object.name)).map(|done| done.object.clone()));
        // what was not even asked for is no more settled than what failed
        let settled: HashSet<&str> = entries.iter().filter_map(ledger::Entry::settled).collect();
        let names = objects.iter().map(|object| object.name.as_str());
        Ok(names.filter(|name| !settled.contains(name)).map(str::to_owned).collect())
    }

    /// Brings the records of some objects into the lake, and accounts for them.
    async fn records(
        &mut self,
        supply: &Supply<'_>,
        objects: &[ObjectInfo],
        report: &mut IngestReport,
    ) -> Result<BatchResult> {
        let mut result = self.work(supply, objects, report).await?;
        let mut tally = Tally::default();
        result.done.iter().for_each(|done| tally.add(done.tally));
        if !tally.is_whole() {
            return Err(Error::new(ErrorKind::Internal, format!("records do not add up: {tally:?}"))
                .hint("nothing of this batch was committed; please report it"));
        }
        let started = Instant::now();
        for (table, done) in self.gate.commit(std::mem::take(&mut result.files)).await? {
            *report.rows_by_table.entry(table.name).or_default() += done.rows;
            report.commits += done.commits;
            report.bytes.written += done.bytes;
            (tally.rows, tally.duplicates) = (tally.rows - done.doubled, tally.duplicates + done.doubled);
        }
        report.seconds.commit += started.elapsed().as_secs_f64();
        report.tally(tally);
        self.account(&result.done, report);
        for (_, reject) in &result.rejects {
            *report.rejects_by_reason.entry(reject.reason.to_string()).or_default() += 1;
        }
        Ok(result)
    }

    /// What is left to do when all batches are committed.
    async fn end(&mut self, report: &mut IngestReport) -> Result<()> {
        rejects::supersede(self.lake, &std::mem::take(&mut self.recovered), self.now).await?;
        report.version = self.gate.version()?;
        report.check()
    }

    fn account(&self, done: &[ObjectDone], report: &mut IngestReport) {
        for ObjectDone { object, status, tally, .. } in done {
            report.bytes.stored += object.bytes;
            match status {
                Status::Done if tally.rejects > 0 => {
                    report.objects.read += 1;
                    report.fail(format!(
                        "{}: {} records rejected; see table {}",
                        object.name, tally.rejects, REJECTS.name
                    ));
                }
                Status::Done => report.objects.read += 1,
                Status::Other(kind) => *report.objects.skipped.entry(*kind).or_default() += 1,
                Status::Rejected(why) => {
                    report.objects.rejected += 1;
                    report.fail(format!("{}: rejected: {why}", object.name));
                }
                Status::Failed { why, .. } => {
                    report.objects.failed += 1;
                    report.fail(why.clone());
                }
            }
        }
    }

    /// Feeds the workers and gathers what they make of the objects.
    async fn work(
        &mut self,
        supply: &Supply<'_>,
        objects: &[ObjectInfo],
        report: &mut IngestReport,
    ) -> Result<BatchResult> {
        let (sender, receiver) = mpsc::channel(self.options.threads.max(1) * 2);
        let queue: Queue = Arc::new(Mutex::new(receiver));
        let handles: Vec<_> = std::mem::take(&mut self.workers)
            .into_iter()
            .map(|worker| {
                let (queue, gate) = (Arc::clone(&queue), Arc::clone(&self.gate));
                tokio::task::spawn_blocking(move || drain(worker, &queue, &gate))
            })
            .collect();
        drop(queue);
        report.seconds.fetch += self.feed(supply, objects, sender).await;
        let mut all = BatchResult::default();
        for handle in handles {
            let panicked = |error| Error::new(ErrorKind::Internal, "a worker ended in a panic").source(error);
            let (worker, result) = handle.await.map_err(panicked)?;
            self.workers.push(worker);
            let result = result?;
            for (shape, files) in result.files {
                all.files.entry(shape).or_default().extend(files);
            }
            all.done.extend(result.done);
            all.rejects.extend(result.rejects);
            report.bytes.json += result.json_bytes;
            report.seconds.add(&result.seconds);
        }
        all.done.sort_by(|a, b| a.object.name.cmp(&b.object.name));
        all.rejects.sort_by(|(a, x), (b, y)| (&a.name, x.position).cmp(&(&b.name, y.position)));
        Ok(all)
    }

    /// Fetches objects, some at a time, within half of the memory; answers the seconds spent waiting for them.
    async fn feed(&self, supply: &Supply<'_>, objects: &[ObjectInfo], sender: mpsc::Sender<Fetched>) -> f64 {
        let budget = u32::try_from(self.options.memory_limit / 2 / 1024).unwrap_or(u32::MAX).max(1);
        let room = Arc::new(Semaphore::new(budget as usize));
        let fetches = objects.iter().map(|object| {
            let (room, sender) = (Arc::clone(&room), sender.clone());
            async move {
                let size = u32::try_from(object.bytes / 1024).unwrap_or(u32::MAX).clamp(1, budget);
                let room = room.acquire_many_owned(size).await.ok();
                let started = Instant::now();
                if supply.given_up() {
                    return 0.0;
                }
                let payload = supply.fetch(object).await;
                let seconds = started.elapsed().as_secs_f64();
                // a closed queue means that a worker has failed; it tells why
                let _ = sender.send(Fetched { object: object.clone(), payload, _room: room }).await;
                seconds
            }
        });
        futures::stream::iter(fetches)
            .buffer_unordered(self.options.concurrency.max(1))
            .fold(0.0, async |a, b| a + b)
            .await
    }
}

/// A worker's life during a batch.
fn drain(mut worker: Worker, queue: &Queue, gate: &Gate) -> (Worker, Result<BatchResult>) {
    let mut failure = None;
    while let Some(Fetched { object, payload, _room }) = queue.lock().ok().and_then(|mut queue| queue.blocking_recv()) {
        let result = match payload {
            _ if failure.is_some() => continue,
            Ok(payload) => worker.object(object, payload, gate),
            Err(error) => {
                worker.failed(object, &error);
                Ok(())
            }
        };
        failure = result.err();
    }
    let result = worker.finish();
    (worker, failure.map_or(result, Err))
}
