//! Objects that a queue tells of -> lake.
//!
//! Owns: what becomes of a message. It is deleted when everything it names is in the lake, or is nothing for the lake;
//! it is left where anything of it failed, or where it is not understood, so that it comes again and in the end goes
//! where the queue's redrive sends it. While a message is worked on it is kept out of sight.
//! Invariant: a message is deleted only after the commits that hold its objects' rows and their entries in the ledger.
//! So a worker that dies leaves its messages to others, who find its events in the lake.
//! Invariant: what is held is bounded by the messages and bytes of one batch.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use futures::StreamExt;
use serde::Serialize;
use tokio::task::JoinHandle;

use super::known::Ledger;
use super::ledger::Trouble;
use super::{IngestOptions, IngestReport, Observer, Progress, Run, Stop, Supply};
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::source::notice::{self, Named, Notice};
use crate::source::{Message, ObjectInfo, Queue, Source, key};

/// Messages of a batch at most. All are kept out of sight by a request for every ten.
const MAX_MESSAGES: usize = 5_000;

/// Requests to receive at the same time, while there is much to receive.
const RECEIVERS: usize = 8;

/// How long to wait for a message before the queue counts as empty. Waiting at all makes SQS ask all of its servers.
const EMPTY_AFTER: Duration = Duration::from_secs(1);

/// How long SQS waits at most.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// Messages that are remembered as left in the queue, so that they are told of once and do not keep a run going.
const MAX_LEFT: usize = 10_000;

/// Failures in a row after which a worker that follows a queue gives up.
const MAX_FAILURES: u32 = 8;

/// Objects held of the ledger's rows, in bytes each.
const ROW_BYTES: u64 = 32;

/// When to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// When the queue is empty.
    Empty,
    /// When asked to. A message waits this long for others to be committed together with it.
    Stopped(Duration),
}

/// What became of a queue's messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct QueueCounts {
    /// Received, however often.
    pub received: u64,
    /// Deleted.
    pub deleted: u64,
    /// Messages of S3 or CloudTrail that only say that messages arrive.
    pub tests: u64,
    /// Objects named that are no logs, or that were not made but deleted or restored.
    pub ignored: u64,
    /// Messages that are not understood; left to the queue's redrive.
    pub poison: u64,
    /// Messages left as they name an object that is not under the source.
    pub refused: u64,
    /// Messages left as an object of theirs could not be read.
    pub failed: u64,
}

/// Messages that are worked on, kept out of sight by a task of their own.
struct Held {
    receipts: Arc<Mutex<Vec<String>>>,
    heartbeat: JoinHandle<()>,
}

impl Held {
    fn start(queue: &Queue) -> Self {
        let receipts = Arc::<Mutex<Vec<String>>>::default();
        let heartbeat = tokio::spawn(beat(queue.clone(), Arc::clone(&receipts)));
        Self { receipts, heartbeat }
    }

    fn add(&self, receipt: &str) {
        if let Ok(mut receipts) = self.receipts.lock() {
            receipts.push(receipt.to_owned());
        }
    }

    fn all(&self) -> Vec<String> {
        self.receipts.lock().map(|receipts| receipts.clone()).unwrap_or_default()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.heartbeat.abort();
    }
}

async fn beat(queue: Queue, receipts: Arc<Mutex<Vec<String>>>) {
    loop {
        tokio::time::sleep(queue.visibility() / 3).await;
        let held = receipts.lock().map(|receipts| receipts.clone()).unwrap_or_default();
        match queue.hide(&held, queue.visibility()).await {
            Ok(0) => {}
            Ok(some) => tracing::debug!("{some} messages could not be kept out of sight; others may get them too"),
            Err(error) => tracing::warn!("messages could not be kept out of sight; others may get them too: {error}"),
        }
    }
}

/// What the buckets answered about objects, by their full names.
type Found = HashMap<String, std::result::Result<ObjectInfo, String>>;

/// A message of a batch.
struct Task {
    id: String,
    receipt: String,
    /// Full names of the objects to read for it.
    objects: Vec<String>,
    /// Must stay in the queue, whatever becomes of its objects.
    stays: bool,
}

/// Messages that are settled together.
struct Batch {
    held: Held,
    tasks: Vec<Task>,
    /// By day and name, each once.
    objects: BTreeMap<(chrono::NaiveDate, String), ObjectInfo>,
    bytes: u64,
}

impl Batch {
    fn new(queue: &Queue) -> Self {
        Self { held: Held::start(queue), tasks: Vec::new(), objects: BTreeMap::new(), bytes: 0 }
    }

    fn add(&mut self, object: ObjectInfo) {
        let at = (object.date, object.name.clone());
        let bytes = object.bytes;
        if self.objects.insert(at, object).is_none() {
            self.bytes = self.bytes.saturating_add(bytes);
        }
    }
}

/// A run's state between its batches.
struct Session<'s> {
    queue: &'s Queue,
    source: &'s Source,
    options: &'s IngestOptions,
    until: Until,
    stop: &'s Stop,
    ledger: Ledger,
    /// First day that the lake keeps.
    first_day: Option<chrono::NaiveDate>,
    report: IngestReport,
    counts: QueueCounts,
    /// Ids of messages that were left in the queue.
    left: HashSet<String>,
    /// What is known of the batch's objects that could not be read before.
    failing: Vec<(u128, Trouble)>,
    now: DateTime<Utc>,
    started: Instant,
}

/// Brings the events of the objects that a queue tells of into the lake.
///
/// # Errors
/// Where the queue cannot be received from or the lake not be written; the messages come again. A worker that follows a
/// queue tries again some times first.
#[expect(clippy::too_many_arguments, reason = "what a run is told, as for ingest, and the queue")]
pub async fn ingest_queue(
    queue: &Queue,
    until: Until,
    source: &Source,
    lake: &Lake,
    options: &IngestOptions,
    now: DateTime<Utc>,
    stop: &Stop,
    observer: &Observer<'_>,
) -> Result<IngestReport> {
    if !queue.redrives() {
        tracing::warn!("{} has no redrive policy: a message that is not understood comes again for ever", queue.url());
    }
    let ledger = Ledger::open(lake, options.memory_limit / 8 / ROW_BYTES, options.quarantine).await?;
    let first_day = lake.first_day().await?;
    let (report, counts) = (IngestReport::default(), QueueCounts::default());
    let (left, failing, started) = (HashSet::new(), Vec::new(), Instant::now());
    let mut session =
        Session { queue, source, options, until, stop, ledger, first_day, report, counts, left, failing, now, started };
    session.run(lake, observer).await?;
    session.report.queue = Some(session.counts);
    session.report.seconds.total = started.elapsed().as_secs_f64();
    Ok(session.report)
}

impl Session<'_> {
    async fn run(&mut self, lake: &Lake, observer: &Observer<'_>) -> Result<()> {
        let mut run = Run::new(lake, self.options, self.now).await?;
        let mut failures = 0;
        loop {
            let result = self.step(&mut run, observer).await;
            run.end(&mut self.report).await?;
            match result {
                Ok(true) => failures = 0,
                Ok(false) => return Ok(()),
                Err(error) => {
                    failures += 1;
                    self.recover(error, failures).await?;
                    // what the failed batch had taken for new is not in the lake
                    run = Run::new(lake, self.options, self.now).await?;
                }
            }
        }
    }

    /// Waits after a failure that may pass, in a worker that goes on for ever.
    async fn recover(&mut self, error: Error, failures: u32) -> Result<()> {
        let passes = error.is_transient() || error.kind() == crate::error::ErrorKind::Conflict;
        if self.until == Until::Empty || !passes || failures > MAX_FAILURES || self.stop.is_requested() {
            return Err(error);
        }
        let pause = Duration::from_secs(1 << failures.min(6));
        tracing::warn!("{error}; trying again in {} s", pause.as_secs());
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.stop.requested() => {}
        }
        Ok(())
    }

    /// One batch; false at the end.
    async fn step(&mut self, run: &mut Run<'_>, observer: &Observer<'_>) -> Result<bool> {
        let mut batch = Batch::new(self.queue);
        let more = match self.gather(&mut batch).await {
            Ok(more) => more,
            Err(error) => {
                self.give_back(&batch).await;
                return Err(error);
            }
        };
        if self.stop.is_requested() {
            self.report.interrupted = self.until == Until::Empty;
            self.give_back(&batch).await;
            return Ok(false);
        }
        if !batch.tasks.is_empty() {
            self.work(run, batch).await?;
        }
        if let Some(error) = self.source.given_up() {
            return self.given_up(error);
        }
        let objects = &self.report.objects;
        observer(Progress { objects: objects.listed, done: objects.known + objects.read + objects.failed });
        Ok(more)
    }

    /// What was not asked for stays in the queue: a run ends, a worker that goes on for ever tries again after a while.
    fn given_up(&mut self, error: Error) -> Result<bool> {
        if self.until == Until::Empty {
            self.report.fail(format!("{error}; the other messages are left in the queue"));
            return Ok(false);
        }
        self.source.resume();
        Err(error)
    }

    /// Receives messages until there is enough for a commit; false where the run ends with this batch.
    async fn gather(&mut self, batch: &mut Batch) -> Result<bool> {
        self.ledger.refresh().await?;
        let mut receivers = 1;
        let mut first = None;
        while batch.tasks.len() < MAX_MESSAGES && batch.bytes < self.options.commit_bytes {
            let wait = match (self.until, first) {
                (Until::Empty, _) => EMPTY_AFTER,
                (Until::Stopped(_), None) => LONGEST_WAIT,
                (Until::Stopped(wait), Some(first)) => wait.saturating_sub(Instant::elapsed(&first)),
            };
            if self.until != Until::Empty && first.is_some() && wait.is_zero() {
                break;
            }
            let (queue, wait) = (self.queue, wait.min(LONGEST_WAIT).max(EMPTY_AFTER));
            let requests = (0..receivers).map(|_| queue.receive(wait));
            let received = tokio::select! {
                received = futures::future::try_join_all(requests) => received?,
                () = self.stop.requested() => return Ok(false),
            };
            let messages: Vec<Message> = received.into_iter().flatten().collect();
            receivers = if messages.len() >= receivers * crate::source::MAX_BATCH / 2 { RECEIVERS } else { 1 };
            let fresh = self.take(messages, batch).await?;
            if fresh && first.is_none() {
                first = Some(Instant::now());
            }
            if !fresh && self.until == Until::Empty {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Sorts messages; false where none of them is news.
    async fn take(&mut self, messages: Vec<Message>, batch: &mut Batch) -> Result<bool> {
        let mut fresh = false;
        let read: Vec<_> = messages.into_iter().map(|message| (notice::read(&message.body), message)).collect();
        let understood = read.iter().filter_map(|(notice, message)| notice.is_ok().then_some(&message.receipt));
        understood.for_each(|receipt| batch.held.add(receipt));
        let found = self.look(read.iter().filter_map(|(notice, _)| notice.as_ref().ok())).await;
        for (notice, message) in read {
            self.counts.received += 1;
            let again = self.left.contains(&message.id);
            match notice {
                Ok(notice) => {
                    self.accept(message, notice, &found, batch).await?;
                    fresh |= !again;
                }
                Err(_) if again => {}
                Err(why) => {
                    fresh = true;
                    self.counts.poison += 1;
                    let (id, url) = (message.id.clone(), self.queue.url());
                    self.report.fail(format!("message {id} of {url} is left to the queue's redrive: {why}"));
                    self.leave(message.id);
                }
            }
        }
        Ok(fresh)
    }

    fn leave(&mut self, id: String) {
        if self.left.len() >= MAX_LEFT {
            self.left.clear();
        }
        self.left.insert(id);
    }

    /// Looks at the objects of which messages say no more than the name, some at a time.
    async fn look(&self, notices: impl Iterator<Item = &Notice>) -> Found {
        let named = notices.flat_map(|notice| match notice {
            Notice::Objects(named) => named.as_slice(),
            Notice::Test => &[],
        });
        let wanted = named.filter(|named| self.is_wanted(named) && (named.bytes.is_none() || named.etag.is_none()));
        let names: HashSet<String> = wanted.map(Named::name).filter(|name| self.source.covers(name)).collect();
        let looks = names.into_iter().map(async |name| {
            let found = self.source.look(&name).await;
            (name, found.map_err(|error| error.to_string()))
        });
        futures::stream::iter(looks).buffer_unordered(self.options.concurrency.max(1)).collect().await
    }

    fn is_wanted(&self, named: &Named) -> bool {
        self.options.selection.kinds.contains(&key::kind(&named.key))
    }

    async fn accept(&mut self, message: Message, notice: Notice, found: &Found, batch: &mut Batch) -> Result<()> {
        let mut task = Task { id: message.id, receipt: message.receipt, objects: Vec::new(), stays: false };
        match notice {
            Notice::Test => self.counts.tests += 1,
            Notice::Objects(named) if named.is_empty() => self.counts.ignored += 1,
            Notice::Objects(named) => {
                for named in named {
                    self.object(named, found, &mut task, batch).await?;
                }
            }
        }
        batch.tasks.push(task);
        Ok(())
    }

    /// Decides about an object that a message names.
    async fn object(&mut self, named: Named, found: &Found, task: &mut Task, batch: &mut Batch) -> Result<()> {
        let name = named.name();
        if !self.is_wanted(&named) {
            self.counts.ignored += 1;
            return Ok(());
        }
        if !self.source.covers(&name) {
            if !task.stays {
                self.counts.refused += 1;
            }
            self.stays(task, format!("{name} is not under the source; its message is left in the queue"));
            return Ok(());
        }
        self.report.objects.listed += 1;
        let object = match self.describe(&named, &name, found) {
            Ok(object) => object,
            Err(error) => {
                self.report.objects.failed += 1;
                self.counts.failed += 1;
                self.stays(task, error);
                return Ok(());
            }
        };
        if !self.options.selection.takes(&named.key, &named.key, object.date) {
            self.report.objects.filtered += 1;
            return Ok(());
        }
        if self.first_day.is_some_and(|first| object.date < first) {
            self.report.objects.expired += 1;
            return Ok(());
        }
        self.ledger.make_room(object.date).await?;
        if self.ledger.contains(&object) {
            self.report.objects.known += 1;
            return Ok(());
        }
        self.failing.extend(self.ledger.trouble(&object));
        task.objects.push(object.name.clone());
        batch.add(object);
        Ok(())
    }

    fn stays(&mut self, task: &mut Task, why: String) {
        task.stays = true;
        if !self.left.contains(&task.id) {
            self.report.fail(why);
        }
    }

    /// What the message does not say, the bucket was asked for.
    fn describe(&self, named: &Named, name: &str, found: &Found) -> std::result::Result<ObjectInfo, String> {
        match (named.bytes, &named.etag) {
            (Some(bytes), Some(etag)) => {
                let date = key::date(&named.key).unwrap_or_else(|| self.present().date_naive());
                Ok(ObjectInfo { name: name.to_owned(), bytes, version: etag.clone(), date })
            }
            _ => found.get(name).cloned().unwrap_or_else(|| Err(format!("{name} was not looked at"))),
        }
    }

    fn present(&self) -> DateTime<Utc> {
        self.now + self.started.elapsed()
    }

    /// Commits what a batch names, and settles its messages.
    async fn work(&mut self, run: &mut Run<'_>, batch: Batch) -> Result<()> {
        run.now = self.present();
        run.troubles.learn(self.failing.drain(..));
        let objects: Vec<ObjectInfo> = batch.objects.values().cloned().collect();
        let failed = match objects.is_empty() {
            true => HashSet::new(),
            false => match run.batch(&Supply::Source(self.source), &objects, &mut self.report).await {
                Ok(failed) => failed,
                Err(error) => {
                    self.give_back(&batch).await;
                    return Err(error);
                }
            },
        };
        let (mut done, before) = (Vec::new(), self.counts.deleted);
        for task in &batch.tasks {
            let fails = task.objects.iter().any(|name| failed.contains(name));
            self.counts.failed += u64::from(fails);
            if fails || task.stays {
                self.leave(task.id.clone());
            } else {
                done.push(task.receipt.clone());
            }
        }
        self.delete(&done).await;
        tracing::info!("{} objects committed, {} messages deleted", objects.len(), self.counts.deleted - before);
        Ok(())
    }

    /// Where this fails all is in the lake nevertheless: the messages come again and are found to be known.
    async fn delete(&mut self, receipts: &[String]) {
        let undeleted = self.queue.delete(receipts).await;
        let count = undeleted.as_ref().map_or(receipts.len(), |count| *count);
        self.counts.deleted += (receipts.len() - count) as u64;
        let why = undeleted.err().map(|error| format!(": {error}")).unwrap_or_default();
        if count > 0 {
            self.report.fail(format!("{count} messages could not be deleted and come again{why}"));
        }
    }

    /// Shows the messages of a batch that is given up to others at once.
    async fn give_back(&self, batch: &Batch) {
        batch.held.heartbeat.abort();
        if let Err(error) = self.queue.hide(&batch.held.all(), Duration::ZERO).await {
            tracing::debug!("messages come again later: {error}");
        }
    }
}
