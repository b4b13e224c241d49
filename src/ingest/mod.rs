//! Objects -> lake: list, fetch, decode, parse, dedupe, batch, encode, commit.
//!
//! Owns: the order of things that makes ingest exactly once, and the run's accounts.
//! Invariant: every record seen is a row, a duplicate or a reject; checked before every commit.
//!
//! A commit is made of a bounded batch of objects: first the events, then the rejects, then the ledger. Events are in
//! the lake once because each is checked against the lake's own events; the ledger only saves reading objects again.

mod dry;
mod known;
mod ledger;
mod listings;
mod plan;
mod queue;
mod seen;
mod worker;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arrow::array::{Array, AsArray, BooleanArray};
use chrono::{DateTime, Utc};
use futures::StreamExt;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

pub use dry::{DryRun, Share, dry_run};
pub use queue::{QueueCounts, Until, ingest_queue};
pub use worker::{Hashing, StageSeconds};

use crate::batch::time::days;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{EventKey, Tally};
use crate::lake::{Base, EncodedFile, FileWriter, Lake, rewrite_of};
use crate::schema::{EVENTS, REJECTS};
use crate::source::{Kind, ObjectInfo, Payload, Selection, Source};
use crate::table::{DataFile, TableSnapshot};
use plan::Plan;
use seen::Seen;
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
    /// Rejected as a whole in this run.
    pub rejected: u64,
    /// Not readable in this run; left for the next.
    pub failed: u64,
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
    /// Records whose event was in the lake already.
    pub duplicates: u64,
    /// Records that could not become rows.
    pub rejects: u64,
    /// Rejects of records and of whole objects, by reason.
    pub rejects_by_reason: BTreeMap<String, u64>,
    /// Commits of events.
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
        let batch = plan.next(options.commit_bytes, &mut report).await?;
        if batch.is_empty() {
            break;
        }
        if stop.is_requested() {
            report.interrupted = true;
            break;
        }
        if source.given_up().is_some() {
            break;
        }
        run.batch(source, &batch, &mut report).await?;
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
    report.version = run.snapshot.version;
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

/// One run's state between its commits.
struct Run<'r> {
    lake: &'r Lake,
    options: &'r IngestOptions,
    now: DateTime<Utc>,
    /// The events that are committed, as far as this run knows.
    snapshot: TableSnapshot,
    seen: Arc<Mutex<Seen>>,
    workers: Vec<Worker>,
}

impl<'r> Run<'r> {
    async fn new(lake: &'r Lake, options: &'r IngestOptions, now: DateTime<Utc>) -> Result<Self> {
        let snapshot = lake.snapshot(&EVENTS).await?;
        let workers =
            (0..options.threads.max(1)).map(|_| Worker::new(options.max_object_size, options.hashing)).collect();
        Ok(Self { lake, options, now, snapshot, seen: Arc::default(), workers })
    }

    /// Reads some objects and commits them; answers the names of those that could not be read this time.
    async fn batch(
        &mut self,
        source: &Source,
        objects: &[ObjectInfo],
        report: &mut IngestReport,
    ) -> Result<HashSet<String>> {
        let result = self.work(source, objects, report).await?;
        let mut tally = Tally::default();
        result.done.iter().for_each(|done| tally.add(done.tally));
        if !tally.is_whole() {
            return Err(Error::new(ErrorKind::Internal, format!("records do not add up: {tally:?}"))
                .hint("nothing of this batch was committed; please report it"));
        }
        let started = Instant::now();
        let doubled = self.commit(result.files, report).await?;
        (tally.rows, tally.duplicates) = (tally.rows - doubled, tally.duplicates + doubled);
        ledger::keep_rejects(self.lake, &result.rejects, self.now).await?;
        ledger::enter(self.lake, &result.done, self.now).await?;
        report.seconds.commit += started.elapsed().as_secs_f64();
        report.tally(tally);
        self.account(&result.done, report);
        for (_, reject) in &result.rejects {
            *report.rejects_by_reason.entry(reject.reason.to_string()).or_default() += 1;
        }
        lock(&self.seen)?.next_batch(self.options.memory_limit / 2);
        // what was not even asked for is no more settled than what failed
        let settled = result.done.iter().filter(|done| !matches!(done.status, Status::Failed(_)));
        let settled: HashSet<&str> = settled.map(|done| done.object.name.as_str()).collect();
        let names = objects.iter().map(|object| &object.name);
        Ok(names.filter(|name| !settled.contains(name.as_str())).cloned().collect())
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
                Status::Rejected(why) => {
                    report.objects.rejected += 1;
                    report.fail(format!("{}: rejected: {why}", object.name));
                }
                Status::Failed(why) => {
                    report.objects.failed += 1;
                    report.fail(why.clone());
                }
            }
        }
    }

    /// Feeds the workers and gathers what they make of the objects.
    async fn work(
        &mut self,
        source: &Source,
        objects: &[ObjectInfo],
        report: &mut IngestReport,
    ) -> Result<BatchResult> {
        let (sender, receiver) = mpsc::channel(self.options.threads.max(1) * 2);
        let queue: Queue = Arc::new(Mutex::new(receiver));
        let handles: Vec<_> = std::mem::take(&mut self.workers)
            .into_iter()
            .map(|worker| {
                let (queue, seen) = (Arc::clone(&queue), Arc::clone(&self.seen));
                let (lake, snapshot, handle) = (self.lake.clone(), self.snapshot.clone(), Handle::current());
                tokio::task::spawn_blocking(move || drain(worker, &queue, &seen, &lake, &snapshot, &handle))
            })
            .collect();
        drop(queue);
        report.seconds.fetch += self.feed(source, objects, sender).await;
        let mut all = BatchResult::default();
        for handle in handles {
            let panicked = |error| Error::new(ErrorKind::Internal, "a worker ended in a panic").source(error);
            let (worker, result) = handle.await.map_err(panicked)?;
            self.workers.push(worker);
            let result = result?;
            all.files.extend(result.files);
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
    async fn feed(&self, source: &Source, objects: &[ObjectInfo], sender: mpsc::Sender<Fetched>) -> f64 {
        let budget = u32::try_from(self.options.memory_limit / 2 / 1024).unwrap_or(u32::MAX).max(1);
        let room = Arc::new(Semaphore::new(budget as usize));
        let fetches = objects.iter().map(|object| {
            let (room, sender) = (Arc::clone(&room), sender.clone());
            async move {
                let size = u32::try_from(object.bytes / 1024).unwrap_or(u32::MAX).clamp(1, budget);
                let room = room.acquire_many_owned(size).await.ok();
                let started = Instant::now();
                if source.given_up().is_some() {
                    return 0.0;
                }
                let payload = source.fetch(object).await;
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

    /// Commits the events and answers how many of them another writer had committed first.
    async fn commit(&mut self, mut files: Vec<EncodedFile>, report: &mut IngestReport) -> Result<u64> {
        let mut doubled = 0;
        files.sort_by_key(|file| file.date);
        let mut staged = self.lake.stage(&EVENTS, &files).await?;
        while !files.is_empty() {
            match self.lake.commit_staged(&EVENTS, &staged, Base::Version(self.snapshot.version)).await {
                Ok(snapshot) => {
                    self.snapshot = snapshot;
                    report.commits += 1;
                    report.bytes.written += files.iter().map(|file| file.bytes.len() as u64).sum::<u64>();
                    break;
                }
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    let removed = self.catch_up(&mut files).await?;
                    if removed > 0 {
                        staged = self.lake.stage(&EVENTS, &files).await?;
                    }
                    doubled += removed;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(doubled)
    }

    /// Reads what others have committed since, takes the events they had first out of the files, and answers how many.
    /// The snapshot moves on here and after a commit of our own only, so that `seen` has every event that it has.
    async fn catch_up(&mut self, files: &mut Vec<EncodedFile>) -> Result<u64> {
        let latest = self.lake.snapshot(&EVENTS).await?;
        let known: HashSet<_> = self.snapshot.files.iter().map(|file| file.path.clone()).collect();
        let mut news = latest.clone();
        // a compaction of what this run knows is no news, however large
        let at = self.snapshot.version;
        let is_news = |file: &DataFile| !known.contains(&file.path) && rewrite_of(file).is_none_or(|of| of > at);
        news.files.retain(is_news);
        self.snapshot = latest;
        let mut theirs = HashSet::new();
        for date in news.files.iter().filter_map(|file| file.partition.clone()).collect::<BTreeSet<_>>() {
            let Some(day) = date.parse().ok().map(days) else { continue };
            let hours = (i64::from(day) * 24..(i64::from(day) + 1) * 24).collect();
            let keys = self.lake.event_keys(&news, day, &hours).await?;
            theirs.extend(keys.iter().map(|&(_, key)| key));
            lock(&self.seen)?.learn(&BTreeSet::new(), keys);
        }
        let mut removed = 0;
        let mut kept = Vec::with_capacity(files.len());
        for file in files.drain(..) {
            let (count, file) = without(file, &theirs)?;
            removed += count;
            kept.extend(file);
        }
        *files = kept;
        Ok(removed)
    }
}

fn lock(seen: &Mutex<Seen>) -> Result<std::sync::MutexGuard<'_, Seen>> {
    seen.lock().map_err(|_| Error::new(ErrorKind::Internal, "a worker ended in a panic"))
}

/// A worker's life during a batch.
fn drain(
    mut worker: Worker,
    queue: &Queue,
    seen: &Mutex<Seen>,
    lake: &Lake,
    snapshot: &TableSnapshot,
    handle: &Handle,
) -> (Worker, Result<BatchResult>) {
    let load = |day: i32, hours: &BTreeSet<i64>| handle.block_on(lake.event_keys(snapshot, day, hours));
    let mut failure = None;
    while let Some(Fetched { object, payload, _room }) = queue.lock().ok().and_then(|mut queue| queue.blocking_recv()) {
        let result = match payload {
            _ if failure.is_some() => continue,
            Ok(payload) => worker.object(object, payload, seen, &load),
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

/// The file without some events, and how many those were; no file where nothing is left.
fn without(file: EncodedFile, events: &HashSet<EventKey>) -> Result<(u64, Option<EncodedFile>)> {
    let fail = |error: parquet::errors::ParquetError| {
        Error::new(ErrorKind::Internal, "cannot read back a file that was just written").source(error)
    };
    let mut writer = FileWriter::new(&EVENTS)?;
    let mut removed = 0;
    for batch in ParquetRecordBatchReaderBuilder::try_new(file.bytes.clone()).and_then(|b| b.build()).map_err(fail)? {
        let batch = batch.map_err(|error| fail(error.into()))?;
        let mask = new_events(&batch, events);
        removed += mask.false_count() as u64;
        let kept = arrow::compute::filter_record_batch(&batch, &mask).map_err(|error| fail(error.into()))?;
        writer.write(&kept)?;
    }
    match removed {
        0 => Ok((0, Some(file))),
        all if all == file.rows => Ok((all, None)),
        some => writer.finish(file.date).map(|file| (some, Some(file))),
    }
}

fn new_events(batch: &arrow::array::RecordBatch, known: &HashSet<EventKey>) -> BooleanArray {
    let column = |name: &str| batch.column_by_name(name).map(|column| column.as_string::<i32>());
    let (ids, hashes) = (column("eventid"), column("eventhash"));
    let key = |row: usize| match (ids, hashes) {
        (_, Some(hashes)) if hashes.is_valid(row) => EventKey::of_event_hash(hashes.value(row)),
        (Some(ids), _) if ids.is_valid(row) => Some(EventKey::of_event_id(ids.value(row))),
        _ => None,
    };
    (0..batch.num_rows()).map(|row| Some(key(row).is_none_or(|key| !known.contains(&key)))).collect()
}
