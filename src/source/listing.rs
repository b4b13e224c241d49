//! What a listing is asked and what it answers, page by page.
//!
//! Owns: the messages between the sources, which list, and those who want objects.
//! Invariant: every object under the source is told, or counted as skipped or filtered, or in a folder that is counted
//! as left out, or below a prefix that is named as unreadable.

use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::layout;
use super::select::Selection;
use super::{Kind, ObjectInfo, key};
use crate::error::{Error, ErrorKind, Result};

/// Pages that wait for whoever asked: the listing goes on while objects are read, but not far ahead.
const PAGES_AHEAD: usize = 16;

/// What to list.
#[derive(Debug, Clone)]
pub struct ListOptions {
    /// Which objects.
    pub selection: Selection,
    /// First day to list of some regions' prefixes (full names, with a slash at the end).
    pub starts: HashMap<String, NaiveDate>,
    /// Requests at the same time.
    pub concurrency: usize,
    /// The present day (UTC), up to which a long list is cut into pieces that are listed at the same time.
    pub today: NaiveDate,
}

impl ListOptions {
    /// Everything of a selection.
    pub fn new(selection: Selection, today: NaiveDate) -> Self {
        Self { selection, starts: HashMap::new(), concurrency: 32, today }
    }

    /// First day to list below a region's prefix.
    pub(super) fn first_day(&self, unit: &str) -> Option<NaiveDate> {
        self.starts.get(unit).copied().max(self.selection.first_day())
    }

    /// The range of keys to list below a region's prefix; `unit` is its full name.
    pub(super) fn range(&self, prefix: &str, unit: &str) -> (Option<String>, Option<String>) {
        let start = self.first_day(unit).map(|day| layout::day_start(prefix, day));
        (start, self.selection.end_day().map(|day| layout::day_start(prefix, day)))
    }
}

/// Some objects of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The objects that were asked for.
    pub objects: Vec<ObjectInfo>,
    /// No object of an earlier day comes in a later page.
    pub complete_before: NaiveDate,
}

/// A region's prefix that was listed to its end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finished {
    /// Full name, with a slash at the end.
    pub prefix: String,
    /// First day listed; `None` for all.
    pub since: Option<NaiveDate>,
}

/// What a listing adds up to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Objects of other kinds, by kind.
    pub skipped: BTreeMap<Kind, u64>,
    /// Folders of accounts that were not entered, as nothing of their kind is asked for; by their name.
    pub left_out: BTreeMap<String, u64>,
    /// Objects of the right kind that the filters left out.
    pub filtered: u64,
    /// Requests (or folders) it took.
    pub requests: u64,
    /// What could not be listed, and why: its objects are left for the next run.
    pub unreadable: Vec<String>,
    /// Regions' prefixes that were listed to their end.
    #[serde(skip)]
    pub finished: Vec<Finished>,
}

impl Totals {
    /// Counts an object, and answers whether it is asked for.
    pub(super) fn takes(&mut self, selection: &Selection, kind: Kind) -> bool {
        let takes = selection.kinds.contains(&kind);
        if !takes {
            *self.skipped.entry(kind).or_default() += 1;
        }
        takes
    }

    /// Whether to list a prefix; counts it where it is not for its kind.
    pub(super) fn enters(&mut self, selection: &Selection, prefix: &str, name: &str) -> bool {
        if !selection.enters_kind(prefix) {
            *self.left_out.entry(layout::last_folder(prefix).to_owned()).or_default() += 1;
            return false;
        }
        selection.enters(prefix, name)
    }
}

/// A listing under way.
#[derive(Debug)]
pub struct Listing {
    pages: mpsc::Receiver<Page>,
    task: JoinHandle<Result<Totals>>,
}

/// Where a listing sends its pages.
pub(super) type Pages = mpsc::Sender<Page>;

impl Listing {
    /// Starts a listing; it ends early where nobody takes its pages any more.
    pub(super) fn start<F>(list: impl FnOnce(Pages) -> F) -> Self
    where
        F: Future<Output = Result<Totals>> + Send + 'static,
    {
        let (sender, pages) = mpsc::channel(PAGES_AHEAD);
        Self { pages, task: tokio::spawn(list(sender)) }
    }

    /// The next page; `None` at the end.
    pub async fn next(&mut self) -> Option<Page> {
        self.pages.recv().await
    }

    /// What it added up to, once there are no more pages (or none are wanted).
    ///
    /// # Errors
    /// Where the source as a whole cannot be listed.
    pub async fn totals(mut self) -> Result<Totals> {
        self.pages.close();
        while self.pages.recv().await.is_some() {}
        self.task.await.map_err(|error| Error::new(ErrorKind::Internal, "the listing panicked").source(error))?
    }

    /// Every object, by day and name, and what it added up to.
    ///
    /// # Errors
    /// Where the source as a whole cannot be listed.
    pub async fn collect(mut self) -> Result<(Vec<ObjectInfo>, Totals)> {
        let mut objects = Vec::new();
        while let Some(page) = self.next().await {
            objects.extend(page.objects);
        }
        objects.sort_by(|a, b| (a.date, &a.name).cmp(&(b.date, &b.name)));
        Ok((objects, self.totals().await?))
    }
}

/// The day an object belongs to: by its key, else the day it was last written.
pub(super) fn day(key: &str, written: impl FnOnce() -> NaiveDate) -> NaiveDate {
    key::date(key).unwrap_or_else(written)
}
