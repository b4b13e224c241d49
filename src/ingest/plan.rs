//! What to read: the source's objects that the ledger does not have, in the order they are read.
//!
//! Owns: comparing the listing with the ledger page by page, cutting what is new into batches that are committed
//! together, and remembering (in the table `listings`) which days of a region need not be listed again.
//! Invariant: a day is remembered only if a whole list of its region found every object of it in the ledger, and no
//! object can be expected to come late any more. So nothing that a run which dies leaves behind can be a lie: the
//! ledger's rows came first, in a commit of their own.
//! Invariant: what is held does not grow with the number of objects, known or new.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Instant;

use chrono::{DateTime, Days, NaiveDate, Utc};

use super::known::Ledger;
use super::ledger::Trouble;
use super::listings;
use super::{IngestOptions, IngestReport};
use crate::error::Result;
use crate::lake::Lake;
use crate::source::{ListOptions, Listing, ObjectInfo, Source, Totals, delivered, region_prefix};

/// Bytes of memory that an object which is held takes, with its name.
const OBJECT_BYTES: u64 = 320;

/// Bytes of memory that a row of the ledger takes.
const ROW_BYTES: u64 = 32;

/// Objects still to be read, and the listing that finds them.
pub(super) struct Plan {
    listing: Option<Listing>,
    /// `None` where there is no lake yet.
    ledger: Option<Ledger>,
    /// New objects of days that are not complete yet.
    held: BTreeMap<NaiveDate, Vec<ObjectInfo>>,
    held_objects: u64,
    /// Days that were too large to be compared when their objects came.
    unchecked: BTreeSet<NaiveDate>,
    /// New objects of complete days, by day and name.
    ready: VecDeque<ObjectInfo>,
    ready_bytes: u64,
    max_held: u64,
    /// First day of a region with an object that is not in the ledger, by the region's prefix.
    open: HashMap<String, NaiveDate>,
    /// First day of a region that is not remembered as complete.
    through: HashMap<String, NaiveDate>,
    /// First day of which objects may still come late.
    window: NaiveDate,
    /// First day that the lake keeps.
    first_day: Option<NaiveDate>,
    /// New objects that earlier runs could not read, since it was last asked for.
    failing: Vec<(u128, Trouble)>,
    listed: u64,
    expired: u64,
    known: u64,
    in_quarantine: u64,
    totals: Totals,
}

impl Plan {
    /// Starts to list the source.
    pub(super) async fn start(
        source: &Source,
        lake: Option<&Lake>,
        options: &IngestOptions,
        now: DateTime<Utc>,
    ) -> Result<Self> {
        let today = now.date_naive();
        let window = today.checked_sub_days(Days::new(options.relist.days.into())).unwrap_or(NaiveDate::MIN);
        let share = options.memory_limit / 8;
        let (ledger, through, first_day) = match lake {
            Some(lake) => {
                let ledger = Ledger::open(lake, share / ROW_BYTES, options.quarantine).await?;
                (Some(ledger), listings::through(lake).await?, lake.first_day().await?)
            }
            None => (None, HashMap::new(), None),
        };
        let mut list = ListOptions::new(options.selection.clone(), today);
        list.concurrency = options.concurrency;
        if !options.relist.all {
            list.starts = through.iter().map(|(prefix, &day)| (prefix.clone(), day.min(window))).collect();
        }
        Ok(Self {
            listing: Some(source.list(list)),
            ledger,
            held: BTreeMap::new(),
            held_objects: 0,
            unchecked: BTreeSet::new(),
            ready: VecDeque::new(),
            ready_bytes: 0,
            max_held: (share / OBJECT_BYTES).max(1),
            open: HashMap::new(),
            through,
            window,
            first_day,
            failing: Vec::new(),
            listed: 0,
            expired: 0,
            known: 0,
            in_quarantine: 0,
            totals: Totals::default(),
        })
    }

    /// Objects to read in this run, as far as they have been found.
    pub(super) fn found(&self) -> u64 {
        self.listed - self.expired - self.known
    }

    /// The next objects to be committed together: as many as have `limit` bytes, at least one; none at the end.
    ///
    /// # Errors
    /// Where the source as a whole cannot be listed, or the ledger not be read.
    pub(super) async fn next(&mut self, limit: u64, report: &mut IngestReport) -> Result<Vec<ObjectInfo>> {
        let started = Instant::now();
        while self.ready_bytes <= limit
            && let Some(listing) = &mut self.listing
        {
            match listing.next().await {
                Some(page) => {
                    self.take(page.objects).await?;
                    self.release(page.complete_before).await?;
                }
                None => self.end(report).await?,
            }
        }
        report.seconds.list += started.elapsed().as_secs_f64();
        self.account(report);
        let batch = take_batch(&mut self.ready, limit);
        self.ready_bytes -= batch.iter().map(|object| object.bytes).sum::<u64>();
        Ok(batch)
    }

    fn account(&self, report: &mut IngestReport) {
        report.objects.listed = self.listed;
        report.objects.expired = self.expired;
        report.objects.known = self.known;
        report.objects.in_quarantine = self.in_quarantine;
    }

    /// What is known of objects that earlier runs could not read and that are handed out now.
    pub(super) fn failing(&mut self) -> Vec<(u128, Trouble)> {
        std::mem::take(&mut self.failing)
    }

    /// Compares a page with the ledger.
    async fn take(&mut self, mut objects: Vec<ObjectInfo>) -> Result<()> {
        self.listed += objects.len() as u64;
        if let Some(first_day) = self.first_day {
            let all = objects.len();
            objects.retain(|object| object.date >= first_day);
            self.expired += (all - objects.len()) as u64;
        }
        let days: BTreeSet<NaiveDate> = objects.iter().map(|object| object.date).collect();
        for day in days {
            let checked = match &mut self.ledger {
                Some(ledger) => !self.unchecked.contains(&day) && ledger.try_load(day).await?,
                None => true,
            };
            if !checked {
                self.unchecked.insert(day);
            }
        }
        for object in objects {
            if self.unchecked.contains(&object.date) || self.is_new(&object) {
                self.held_objects += 1;
                self.held.entry(object.date).or_default().push(object);
            }
        }
        Ok(())
    }

    /// Whether an object of a day that is loaded must be read; notes it in either case.
    fn is_new(&mut self, object: &ObjectInfo) -> bool {
        if let Some(ledger) = &self.ledger {
            if ledger.contains(object) {
                self.known += 1;
                self.in_quarantine += u64::from(ledger.is_given_up(object));
                return false;
            }
            self.failing.extend(ledger.trouble(object));
        }
        if let Some(region) = region_prefix(&object.name) {
            match self.open.get_mut(region) {
                Some(day) => *day = (*day).min(object.date),
                None => drop(self.open.insert(region.to_owned(), object.date)),
            }
        }
        true
    }

    /// Makes the objects of the days before one ready, and more where too many are held.
    async fn release(&mut self, before: NaiveDate) -> Result<()> {
        while let Some((&day, _)) = self.held.first_key_value() {
            if day >= before && self.held_objects <= self.max_held {
                break;
            }
            self.release_day(day).await?;
        }
        if let Some(ledger) = &mut self.ledger {
            ledger.forget_before(before);
        }
        Ok(())
    }

    async fn release_day(&mut self, day: NaiveDate) -> Result<()> {
        let mut objects = self.held.remove(&day).unwrap_or_default();
        self.held_objects -= objects.len() as u64;
        if self.unchecked.remove(&day) {
            if let Some(ledger) = &mut self.ledger {
                ledger.make_room(day).await?;
            }
            objects.retain(|object| self.is_new(object));
        }
        // by time across accounts and regions: few hours are looked up at once, and row groups span little time
        objects.sort_by(|a, b| (delivered(&a.name), &a.name).cmp(&(delivered(&b.name), &b.name)));
        self.ready_bytes += objects.iter().map(|object| object.bytes).sum::<u64>();
        self.ready.extend(objects);
        Ok(())
    }

    async fn end(&mut self, report: &mut IngestReport) -> Result<()> {
        let Some(listing) = self.listing.take() else { return Ok(()) };
        self.totals = listing.totals().await?;
        self.release(NaiveDate::MAX).await?;
        for what in self.totals.unreadable.clone() {
            report.fail(what);
        }
        report.list_requests = self.totals.requests;
        report.objects.skipped = self.totals.skipped.clone();
        report.objects.filtered = self.totals.filtered;
        report.objects.left_out = self.totals.left_out.clone();
        Ok(())
    }

    /// Remembers what need not be listed again, where the listing came to its end.
    ///
    /// # Errors
    /// Where the lake cannot be written.
    pub(super) async fn remember(&self, lake: &Lake, options: &IngestOptions, now: DateTime<Utc>) -> Result<()> {
        if self.listing.is_some() || !options.selection.names.is_empty() {
            return Ok(());
        }
        let mut through = self.through.clone();
        let mut moved = false;
        for finished in &self.totals.finished {
            let before = self.through.get(&finished.prefix).copied();
            // a list that began later says nothing of the days in between
            if finished.since.is_some_and(|since| before.is_none_or(|before| since > before)) {
                continue;
            }
            let open = self.open.get(&finished.prefix).copied().unwrap_or(NaiveDate::MAX);
            let end = options.selection.end_day().unwrap_or(NaiveDate::MAX);
            let day = open.min(end).min(self.window);
            if before.is_none_or(|before| day > before) {
                through.insert(finished.prefix.clone(), day);
                moved = true;
            }
        }
        if moved { listings::remember(lake, &through, now).await } else { Ok(()) }
    }
}

fn take_batch(todo: &mut VecDeque<ObjectInfo>, limit: u64) -> Vec<ObjectInfo> {
    let mut bytes = 0u64;
    let over = todo.iter().position(|object| {
        bytes = bytes.saturating_add(object.bytes);
        bytes > limit
    });
    let count = over.unwrap_or(todo.len()).max(1).min(todo.len());
    todo.drain(..count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(bytes: u64) -> ObjectInfo {
        ObjectInfo { name: String::new(), bytes, version: String::new(), date: NaiveDate::default() }
    }

    #[test]
    fn batches_are_bounded_and_whole() {
        let mut todo: VecDeque<ObjectInfo> = [5, 5, 5, 100, 1, 1].map(object).into();
        let sizes: Vec<usize> = (0..5).map(|_| take_batch(&mut todo, 10).len()).collect();
        assert_eq!(sizes, [2, 1, 1, 2, 0]);
    }
}
