//! Digests and log files of a whole organization -> what is missing, what was changed, which hours are complete.
//!
//! Owns: the order of the work and its bounds. Every chain (a trail in an account and region) is walked from its newest digest
//! to its oldest, all chains together a day at a time, so that a day's hours can be written when all chains are through with it.
//! Refuses: to believe a listing, a key's name or a digest that is not signed.
//! Invariant: memory is bounded by the options and the number of chains: of a digest only its time is held before it is read,
//! of a log file nothing.

mod accounts;
mod chains;
mod keys;
mod ledger;
mod logs;
mod place;
mod reader;
mod report;
mod settled;
mod table;
mod walk;
mod window;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use futures::StreamExt;

pub use chains::TrailId;
pub use keys::KeySource;
pub use logs::Logs;
pub use report::{DigestCounts, MAX_PROBLEMS, Problem, ProblemKind, VerifyReport};
pub use window::{WindowCompleteness, window_completeness};

use crate::decode;
use crate::digest::chain::Walk;
use crate::digest::hours::{HOUR, TOLERANCE, floor};
use crate::digest::key::Chain;
use crate::error::{Error, ErrorKind, Result};
use crate::ingest::Stop;
use crate::lake::Lake;
use crate::source::{Root, Source};
use accounts::{OpenHours, Span};
use chains::{ChainId, Chains, Digests, Entry};
use keys::Keys;
use ledger::Ledger;
use reader::Reader;
use walk::ChainWalk;

/// Time after a digest's end within which it is delivered, as a rule.
const DELIVERED_WITHIN: TimeDelta = TimeDelta::hours(1);

/// What is verified, and how the work is bounded.
#[derive(Debug, Clone)]
pub struct VerifyOptions {
    /// First instant; everything that there is where none is given.
    pub from: Option<DateTime<Utc>>,
    /// First instant not to verify; now (in a folder: its newest digest) where none is given.
    pub to: Option<DateTime<Utc>>,
    /// Only these accounts; all where there is none.
    pub accounts: Vec<String>,
    /// Only calls logged in these regions; all where there is none.
    pub regions: Vec<String>,
    /// Whether log files are read again where the ledger has their hash.
    pub logs: Logs,
    /// Whether hours that the table `completeness` has as complete are left alone.
    pub skip_settled: bool,
    /// Objects fetched at the same time.
    pub concurrency: usize,
    /// Threads that unpack and hash.
    pub threads: usize,
    /// Uncompressed bytes of a log file that are accepted.
    pub max_object_size: u64,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self {
            from: None,
            to: None,
            accounts: Vec::new(),
            regions: Vec::new(),
            logs: Logs::Read,
            skip_settled: false,
            concurrency: 32,
            threads: std::thread::available_parallelism().map_or(2, usize::from),
            max_object_size: decode::DEFAULT_LIMIT,
        }
    }
}

/// Verifies the digests of a source and the log files that they list; with a lake, writes its table `completeness`.
///
/// # Errors
/// Where the source cannot be listed, or the lake not be read or written. What is wrong with digests and log files is in
/// the report.
pub async fn verify(
    source: &Source,
    keys: &KeySource,
    lake: Option<&Lake>,
    options: &VerifyOptions,
    now: DateTime<Utc>,
    stop: &Stop,
) -> Result<VerifyReport> {
    let mut report = VerifyReport::default();
    let chains = list(source, options, &mut report).await?;
    let due = due(source, options, &chains, now);
    let trails: Vec<TrailId> =
        chains.0.keys().map(|(trail, _)| trail.clone()).collect::<BTreeSet<_>>().into_iter().collect();
    (report.trails, report.chains) = (trails.len() as u64, chains.0.len() as u64);
    let spans = spans(&trails, &chains, due);
    let keys = Keys::new(keys, &chains.0);
    let ledger = match lake {
        Some(lake) => Some(Ledger::open(lake).await?),
        None => None,
    };
    let skipped = match (lake, &ledger) {
        (Some(lake), Some(ledger)) if options.skip_settled => settled::hours(lake, ledger, &chains).await?,
        _ => BTreeSet::new(),
    };
    let run = Run {
        reader: Arc::new(Reader::new(source, options)),
        root: source.root(),
        keys,
        ledger,
        options,
        shared: Mutex::new(Shared { report, hours: OpenHours::default(), spans, failed: None }),
    };
    let mut walks = run.walks(chains, &trails, &skipped);
    run.stopped(&walks, due)?;
    run.days(&mut walks, &trails, due, lake, now, stop).await?;
    let shared = run.shared.into_inner().map_err(|_| panicked())?;
    Ok(shared.report)
}

/// Days before now whose hours are looked at again after an ingest, as log files may come late.
const TRAILING: Days = Days::new(3);

/// What is verified after an ingest, and by which keys.
#[derive(Debug, Clone)]
pub struct Check {
    /// Public keys.
    pub keys: KeySource,
    /// Accounts, regions and bounds; the time and what is skipped are found out.
    pub options: VerifyOptions,
}

/// Brings the table `completeness` up to date after an ingest: digests that are new, and the hours of the last days that were
/// not complete. Log files whose hash the ingest has kept are not read again.
///
/// # Errors
/// As [`verify`].
pub async fn after_ingest(
    source: &Source,
    lake: &Lake,
    check: &Check,
    now: DateTime<Utc>,
    stop: &Stop,
) -> Result<VerifyReport> {
    let newest = table::newest_day(lake).await?;
    let from = newest.map(|newest| (newest - Days::new(1)).min(now.date_naive() - TRAILING));
    let from = from.map(|day| day.and_time(NaiveTime::MIN).and_utc()).max(check.options.from);
    let options = VerifyOptions { from, logs: Logs::ByLedger, skip_settled: true, ..check.options.clone() };
    verify(source, &check.keys, Some(lake), &options, now, stop).await
}

fn panicked() -> Error {
    Error::new(ErrorKind::Internal, "a worker ended in a panic")
}

/// Lists the digests whose time touches the one asked for.
async fn list(source: &Source, options: &VerifyOptions, report: &mut VerifyReport) -> Result<Chains> {
    let mut chains = Chains::default();
    let wanted = |list: &[String], value: &str| list.is_empty() || list.iter().any(|wanted| wanted == value);
    let days = (options.from.map(|from| from.date_naive()), options.to.map(|to| (to + HOUR).date_naive()));
    let listing = source
        .digests(days, &mut |name| {
            chains.note(name, |key| {
                wanted(&options.accounts, key.account)
                    && wanted(&options.regions, key.region)
                    && options.from.is_none_or(|from| key.ends > from)
                    && options.to.is_none_or(|to| key.ends < to + HOUR)
            });
        })
        .await?;
    chains.sort();
    report.list_requests = listing.requests;
    for what in listing.unreadable {
        report.problem(Problem::of(&nobody(), ProblemKind::Unavailable, what));
    }
    report.digests.found = chains.0.values().map(|digests| digests.entries.len() as u64).sum();
    Ok(chains)
}

/// For problems that concern no trail in particular.
fn nobody() -> TrailId {
    let empty = String::new;
    TrailId { account: empty(), region: empty(), trail: empty(), trail_region: empty(), organization: empty() }
}

/// Until when there should be digests. In a bucket: until the last one that is overdue now. A folder is a copy made at
/// some time: until an hour before its newest digest.
fn due(source: &Source, options: &VerifyOptions, chains: &Chains, now: DateTime<Utc>) -> DateTime<Utc> {
    let newest = chains.0.values().filter_map(|digests| digests.entries.last()).map(|entry| entry.ends).max();
    let latest = match source.root() {
        Root::Bucket(_) => now - HOUR - DELIVERED_WITHIN,
        Root::Folder(_) => newest.unwrap_or(now) - HOUR,
    };
    options.to.map_or(latest, |to| to.min(latest))
}

fn spans(trails: &[TrailId], chains: &Chains, due: DateTime<Utc>) -> Vec<Span> {
    let span = |trail: &TrailId| {
        let of_trail =
            || [Chain::Standard, Chain::Backfill].into_iter().filter_map(|chain| chains.0.get(&(trail.clone(), chain)));
        let oldest = of_trail().filter_map(|digests| digests.entries.first()).map(|entry| entry.ends).min();
        let newest = of_trail().filter_map(|digests| digests.entries.last()).map(|entry| entry.ends).max();
        // the hour in which the oldest begins is seen in part only
        let begins = oldest.unwrap_or(due) - HOUR;
        let first = if floor(begins) == begins { begins } else { floor(begins) + HOUR };
        Span { first, horizon: newest.unwrap_or(due).max(due) }
    };
    trails.iter().map(span).collect()
}

/// What the chains' walks write to.
struct Shared {
    report: VerifyReport,
    hours: OpenHours,
    spans: Vec<Span>,
    /// The lake's ledger could not be read.
    failed: Option<Error>,
}

/// A verification under way.
struct Run<'v> {
    reader: Arc<Reader>,
    root: Root,
    keys: Keys<'v>,
    ledger: Option<Ledger<'v>>,
    options: &'v VerifyOptions,
    shared: Mutex<Shared>,
}

impl Run<'_> {
    fn shared(&self) -> Result<MutexGuard<'_, Shared>> {
        self.shared.lock().map_err(|_| panicked())
    }

    fn walks(&self, chains: Chains, trails: &[TrailId], skipped: &BTreeSet<table::RowKey>) -> Vec<ChainWalk> {
        let walk = |(id, digests): (ChainId, Digests)| ChainWalk {
            trail: trails.binary_search(&id.0).unwrap_or_default() as u32,
            fresh: digests.entries.iter().map(|entry| !skipped.contains(&(id.0.clone(), entry.hour()))).collect(),
            left: digests.entries.len(),
            walk: Some(Walk::default()),
            ring: None,
            place: None,
            bucket: match &self.root {
                Root::Bucket(bucket) => bucket.clone(),
                Root::Folder(_) => String::new(),
            },
            id,
            digests,
        };
        chains.0.into_iter().map(walk).collect()
    }

    /// Chains whose newest digest is too old.
    fn stopped(&self, walks: &[ChainWalk], due: DateTime<Utc>) -> Result<()> {
        let mut shared = self.shared()?;
        for walk in walks.iter().filter(|walk| walk.id.1 == Chain::Standard) {
            let Some(newest) = walk.digests.entries.last() else { continue };
            if newest.ends + TOLERANCE < due {
                let detail = "no digest since: logging or validation was stopped, or digests were deleted";
                let problem = Problem::of(&walk.id.0, ProblemKind::Stopped, detail).during(newest.ends, due);
                shared.report.problem(problem.object(walk.digests.name(&walk.id, newest)));
            }
        }
        Ok(())
    }

    /// Walks all chains, a day at a time, and writes each day's hours.
    async fn days(
        &self,
        walks: &mut [ChainWalk],
        trails: &[TrailId],
        due: DateTime<Utc>,
        lake: Option<&Lake>,
        now: DateTime<Utc>,
        stop: &Stop,
    ) -> Result<()> {
        let entries =
            || walks.iter().flat_map(|walk| [walk.digests.entries.first(), walk.digests.entries.last()]).flatten();
        let (Some(oldest), Some(newest)) = (entries().map(Entry::day).min(), entries().map(Entry::day).max()) else {
            return Ok(());
        };
        let mut day = newest.max(due.date_naive());
        while day >= oldest && !stop.is_requested() {
            let todo = walks.iter_mut().filter(|walk| walk.walk.is_some());
            futures::stream::iter(todo)
                .for_each_concurrent(self.options.concurrency.max(1), |walk| self.slice(walk, day))
                .await;
            if let Some(error) = self.shared()?.failed.take() {
                return Err(error);
            }
            self.close(day, trails, lake, now).await?;
            if let Some(ledger) = &self.ledger {
                ledger.keep_near(day).await;
            }
            day = day - Days::new(1);
        }
        self.shared()?.report.interrupted = day >= oldest;
        // what is older than the oldest digest: those that are missing by name
        if day < oldest { self.close(NaiveDate::MIN, trails, lake, now).await } else { Ok(()) }
    }

    /// Writes the hours of the days from this one on.
    async fn close(&self, day: NaiveDate, trails: &[TrailId], lake: Option<&Lake>, now: DateTime<Utc>) -> Result<()> {
        let (closed, spans) = {
            let mut shared = self.shared()?;
            (shared.hours.close(day), shared.spans.clone())
        };
        let Some(lake) = lake else { return Ok(()) };
        let mut days = closed;
        if day != NaiveDate::MIN {
            days.entry(day).or_default();
        }
        for (date, open) in days {
            let hours = accounts::rows(date, open, &spans);
            if hours.is_empty() {
                continue;
            }
            for open in hours.values() {
                let status = open.hour.status().as_str().to_owned();
                *self.shared()?.report.hours.entry(status).or_default() += 1;
            }
            let rows = hours
                .iter()
                .map(|((trail, hour), open)| ((trails[*trail as usize].clone(), *hour), table::Row::of(open, now)));
            table::write(lake, date, rows.collect()).await?;
        }
        Ok(())
    }
}
