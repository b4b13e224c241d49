//! Listing a bucket with few requests, many at a time.
//!
//! The prefix is first listed as it is: a small source is known after one request. Where there is more, the list leaps
//! over every tree of CloudTrail's layout that it meets, and the tree is fanned out: organizations, accounts, kinds of
//! folder and regions are found by listing with a delimiter, and each region is listed from a day on. Only a day's
//! beginning is ever where a list starts, never the last key known: keys do not arrive in their order.
//!
//! Below a region keys are in the order of their days. A request for one region from a day on answers a thousand
//! objects of any number of days; a request per day would take as many requests as there are days. A region with many
//! objects is cut at days' beginnings into pieces of some ten requests each, which are listed at the same time: at most
//! one request in ten is only half full for it.
//!
//! Owns: the order of requests: the earliest days first, so that days are complete early and little has to be kept.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::types::Object;
use backon::Retryable;
use chrono::{DateTime, Days, NaiveDate, Utc};
use futures::StreamExt;
use futures::stream::FuturesUnordered;

use super::S3Source;
use crate::error::{Error, Result};
use crate::source::layout::{self, Level};
use crate::source::listing::{Finished, ListOptions, Page, Pages, Totals};
use crate::source::{ObjectInfo, key};

/// Requests that a piece of a long list should take.
const PIECE_REQUESTS: u64 = 10;

const MINUTES_OF_A_DAY: u64 = 24 * 60;

/// A request to make.
#[derive(Debug, Clone)]
enum Job {
    /// What stands directly below a prefix of the layout.
    Branch { prefix: String, token: Option<String> },
    /// All that stands below a prefix, in a range of keys.
    List(List),
}

/// A list that is read page by page.
#[derive(Debug, Clone, Default)]
struct List {
    prefix: String,
    /// Prefix of the region, where it is in one.
    region: Option<String>,
    start: Option<String>,
    end: Option<String>,
    token: Option<String>,
    /// Nothing earlier is to come; the earliest of all days for a list that is not in the order of days.
    day: NaiveDate,
    /// Pages read.
    pages: u64,
}

impl Job {
    fn day(&self) -> NaiveDate {
        match self {
            Self::Branch { .. } => NaiveDate::MIN,
            Self::List(list) => list.day,
        }
    }
}

/// A region's prefix while its pieces are listed.
#[derive(Debug, Default)]
struct Unit {
    open: usize,
    failed: bool,
    since: Option<NaiveDate>,
}

/// A listing's state between its requests.
struct Lister {
    source: S3Source,
    options: ListOptions,
    totals: Totals,
    /// Requests to make, the earliest day first, then in the order they were found.
    waiting: BTreeMap<(NaiveDate, u64), Job>,
    /// Requests under way, by day.
    asked: BTreeMap<NaiveDate, usize>,
    units: HashMap<String, Unit>,
    count: u64,
}

/// Lists a prefix.
pub(super) async fn list(source: S3Source, options: ListOptions, pages: Pages) -> Result<Totals> {
    let mut lister = Lister {
        source,
        options,
        totals: Totals::default(),
        waiting: BTreeMap::new(),
        asked: BTreeMap::new(),
        units: HashMap::new(),
        count: 0,
    };
    lister.begin();
    lister.run(pages).await
}

impl Lister {
    fn begin(&mut self) {
        let prefix = self.source.prefix.clone();
        match layout::level(&prefix) {
            Level::Days => self.add_region(prefix),
            _ => self.add(Job::List(List { prefix, day: NaiveDate::MIN, ..List::default() })),
        }
    }

    fn add(&mut self, job: Job) {
        self.count += 1;
        self.waiting.insert((job.day(), self.count), job);
    }

    async fn run(mut self, pages: Pages) -> Result<Totals> {
        let mut under_way = FuturesUnordered::new();
        loop {
            while under_way.len() < self.options.concurrency.max(1)
                && let Some((_, job)) = self.waiting.pop_first()
            {
                *self.asked.entry(job.day()).or_default() += 1;
                under_way.push(ask(self.source.clone(), job));
            }
            let Some((job, answer)) = under_way.next().await else { break };
            self.answered(job.day());
            self.totals.requests += 1;
            let objects = match answer {
                Ok(answer) => self.take(job, &answer, under_way.len()),
                // nothing is known of the source yet
                Err(error) if self.totals.requests == 1 => return Err(error),
                Err(error) => self.fail(job, &error),
            };
            if pages.send(Page { objects, complete_before: self.complete_before() }).await.is_err() {
                break;
            }
        }
        self.totals.unreadable.sort();
        self.totals.finished.sort();
        Ok(self.totals)
    }

    fn answered(&mut self, day: NaiveDate) {
        if let Some(count) = self.asked.get_mut(&day) {
            *count -= 1;
            if *count == 0 {
                self.asked.remove(&day);
            }
        }
    }

    fn complete_before(&self) -> NaiveDate {
        let waiting = self.waiting.first_key_value().map_or(NaiveDate::MAX, |((day, _), _)| *day);
        self.asked.first_key_value().map_or(waiting, |(day, _)| waiting.min(*day))
    }

    fn fail(&mut self, job: Job, error: &Error) -> Vec<ObjectInfo> {
        self.totals.unreadable.push(error.to_string());
        if let Job::List(List { region: Some(region), .. }) = job {
            self.close(&region, true);
        }
        Vec::new()
    }

    /// A piece of a region is done.
    fn close(&mut self, region: &str, failed: bool) {
        let Some(unit) = self.units.get_mut(region) else { return };
        unit.open -= 1;
        unit.failed |= failed;
        if unit.open == 0 && !unit.failed {
            let finished = Finished { prefix: self.source.name(region), since: unit.since };
            self.totals.finished.push(finished);
        }
    }

    fn take(&mut self, job: Job, answer: &ListObjectsV2Output, others: usize) -> Vec<ObjectInfo> {
        match job {
            Job::Branch { prefix, .. } => {
                self.branch(&prefix, answer);
                self.objects(answer, None, None)
            }
            Job::List(list) if list.region.is_some() => self.region_page(list, answer, others),
            Job::List(list) => self.flat_page(list, answer),
        }
    }

    fn branch(&mut self, prefix: &str, answer: &ListObjectsV2Output) {
        for child in answer.common_prefixes().iter().filter_map(|common| common.prefix()) {
            if !self.totals.enters(&self.options.selection, child, child) {
                continue;
            }
            let prefix = child.to_owned();
            match layout::level(child) {
                Level::Days => self.add_region(prefix),
                Level::Accounts | Level::Kinds | Level::Regions => self.add(Job::Branch { prefix, token: None }),
                Level::Above | Level::Foreign => {
                    self.add(Job::List(List { prefix, day: NaiveDate::MIN, ..List::default() }));
                }
            }
        }
        if let Some(token) = answer.next_continuation_token() {
            self.add(Job::Branch { prefix: prefix.to_owned(), token: Some(token.to_owned()) });
        }
    }

    /// A list below a region's prefix; only a whole region's is remembered.
    fn add_region(&mut self, prefix: String) {
        let region = layout::region_prefix(&prefix).unwrap_or(&prefix).to_owned();
        let unit = self.source.name(&region);
        let (start, end) = self.options.range(&region, &unit);
        let since = self.options.first_day(&unit);
        if prefix == region {
            self.units.insert(region.clone(), Unit { open: 1, failed: false, since });
        }
        let day = since.unwrap_or(NaiveDate::MIN);
        self.add(Job::List(List { prefix, region: Some(region), start, end, token: None, day, pages: 0 }));
    }

    fn region_page(&mut self, mut list: List, answer: &ListObjectsV2Output, others: usize) -> Vec<ObjectInfo> {
        let objects = self.objects(answer, list.start.as_deref(), list.end.as_deref());
        let region = list.region.clone().unwrap_or_default();
        let last = answer.contents().last().and_then(|object| object.key()).unwrap_or_default();
        let over = list.end.as_deref().is_some_and(|end| last >= end);
        let Some(token) = answer.next_continuation_token().filter(|_| !over) else {
            self.close(&region, false);
            return objects;
        };
        list.token = Some(token.to_owned());
        list.pages += 1;
        list.day = list.day.max(key::date(last).unwrap_or(NaiveDate::MIN));
        if list.pages == 1 && others < self.options.concurrency {
            self.cut(&mut list, &region, answer);
        }
        self.add(Job::List(list));
        objects
    }

    /// Cuts the rest of a long list at days' beginnings, as many as its first page lets expect.
    fn cut(&mut self, list: &mut List, region: &str, answer: &ListObjectsV2Output) {
        let time = |object: Option<&Object>| key::delivered(object?.key()?);
        let (Some(first), Some(last)) = (time(answer.contents().first()), time(answer.contents().last())) else {
            return;
        };
        let end = self.options.selection.end_day().unwrap_or(NaiveDate::MAX).min(self.options.today + Days::new(1));
        for at in cuts(first, last, end) {
            let start = layout::day_start(region, at);
            let rest = list.end.replace(start.clone());
            let piece = List { start: Some(start), end: rest, token: None, day: at, ..list.clone() };
            let open = std::mem::replace(list, piece);
            self.add(Job::List(open));
            if let Some(unit) = self.units.get_mut(region) {
                unit.open += 1;
            }
        }
    }

    /// A page of a list that may hold anything.
    fn flat_page(&mut self, mut list: List, answer: &ListObjectsV2Output) -> Vec<ObjectInfo> {
        let Some(token) = answer.next_continuation_token() else { return self.objects(answer, None, None) };
        let keys = answer.contents().iter().filter_map(|object| object.key());
        let Some(tree) = keys.map(layout::tree).find_map(|tree| tree.map(str::to_owned)) else {
            list.token = Some(token.to_owned());
            list.pages += 1;
            self.add(Job::List(list));
            return self.objects(answer, None, None);
        };
        if list.prefix.starts_with(&tree) {
            self.add(Job::Branch { prefix: list.prefix, token: None });
            return Vec::new();
        }
        let before = self.objects(answer, None, Some(&tree));
        // no key below the tree is after this one
        list.start = Some(format!("{tree}{}", char::MAX));
        list.token = None;
        self.add(Job::List(list));
        if self.totals.enters(&self.options.selection, &tree, &tree) {
            self.add(Job::Branch { prefix: tree, token: None });
        }
        before
    }

    /// The objects of a page that are asked for, from one key up to, but without, another.
    fn objects(&mut self, answer: &ListObjectsV2Output, start: Option<&str>, end: Option<&str>) -> Vec<ObjectInfo> {
        let mut objects = Vec::with_capacity(answer.contents().len());
        for object in answer.contents() {
            let Some(key) = object.key() else { continue };
            let within = start.is_none_or(|start| key >= start) && end.is_none_or(|end| key < end);
            if !within || !self.totals.takes(&self.options.selection, key::kind(key)) {
                continue;
            }
            let info = self.source.info(key, object);
            if self.options.selection.takes(key, key, info.date) {
                objects.push(info);
            } else {
                self.totals.filtered += 1;
            }
        }
        objects
    }
}

/// Days at whose beginnings a list is cut, by the deliveries of the first and the last object of its first page.
fn cuts(first: DateTime<Utc>, last: DateTime<Utc>, end: NaiveDate) -> impl Iterator<Item = NaiveDate> {
    let minutes = PIECE_REQUESTS * (u64::try_from((last - first).num_minutes()).unwrap_or(0) + 1);
    let step = Days::new(minutes.div_ceil(MINUTES_OF_A_DAY));
    let next = move |day: &NaiveDate| day.checked_add_days(step);
    std::iter::successors(next(&last.date_naive()), next).take_while(move |day| *day < end)
}

/// Makes a request, and answers it together with what it was for.
async fn ask(source: S3Source, job: Job) -> (Job, Result<ListObjectsV2Output>) {
    let answer = (|| page(&source, &job)).retry(super::again()).when(Error::is_transient).await;
    (job, answer)
}

async fn page(source: &S3Source, job: &Job) -> Result<ListObjectsV2Output> {
    let request = source.client.list_objects_v2().bucket(&source.bucket);
    let (prefix, request) = match job {
        Job::Branch { prefix, token } => (prefix, request.delimiter("/").set_continuation_token(token.clone())),
        Job::List(List { prefix, token: Some(token), .. }) => (prefix, request.continuation_token(token)),
        Job::List(List { prefix, start, .. }) => (prefix, request.set_start_after(start.clone())),
    };
    let answer = request.prefix(prefix).send().await;
    answer.map_err(|error| super::failed("cannot list", &source.name(prefix), &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_cut_where_ten_requests_are_expected_to_end() {
        let cut = |first: &str, last: &str, end: &str| {
            let days = cuts(first.parse().unwrap(), last.parse().unwrap(), end.parse().unwrap());
            days.map(|day| day.to_string()).collect::<Vec<_>>()
        };
        let busy = cut("2026-01-01T00:00:00Z", "2026-01-01T00:20:00Z", "2026-01-05");
        assert_eq!(busy, ["2026-01-02", "2026-01-03", "2026-01-04"], "never in the middle of a day");
        let steady = cut("2026-01-01T00:00:00Z", "2026-01-02T23:59:00Z", "2026-03-01");
        assert_eq!(steady, ["2026-01-22", "2026-02-11"]);
        assert!(cut("2026-01-01T00:00:00Z", "2026-01-08T00:00:00Z", "2026-03-01").is_empty(), "a quiet region");
        assert!(cut("2026-01-01T00:00:00Z", "2025-01-01T00:00:00Z", "2025-01-01").is_empty(), "out of order");
    }
}
