//! The part of the ledger that is held in memory: that of some days.
//!
//! Invariant: memory is bounded by `rows` whatever the ledger's size; a day that does not fit is answered later, when
//! others have been forgotten.

use std::collections::{BTreeMap, HashSet};

use chrono::NaiveDate;

use super::Quarantine;
use super::ledger::{self, Known, Trouble};
use crate::error::Result;
use crate::lake::Lake;
use crate::schema::OBJECTS;
use crate::source::ObjectInfo;
use crate::table::{DataFile, TableSnapshot};

/// A day that is held.
#[derive(Default)]
struct Day {
    known: Known,
    rows: u64,
    /// Paths of the ledger's files that were read.
    files: HashSet<String>,
    /// As of the snapshot.
    current: bool,
}

/// The ledger, by day.
pub(super) struct Ledger {
    lake: Lake,
    snapshot: TableSnapshot,
    days: BTreeMap<NaiveDate, Day>,
    /// Rows held at most, where there is more than one day.
    limit: u64,
    quarantine: Quarantine,
}

impl Ledger {
    pub(super) async fn open(lake: &Lake, limit: u64, quarantine: Quarantine) -> Result<Self> {
        let snapshot = lake.snapshot(&OBJECTS).await?;
        Ok(Self { lake: lake.clone(), snapshot, days: BTreeMap::new(), limit, quarantine })
    }

    /// Takes notice of what was entered since, by others too.
    pub(super) async fn refresh(&mut self) -> Result<()> {
        self.snapshot = self.lake.snapshot(&OBJECTS).await?;
        self.days.values_mut().for_each(|day| day.current = false);
        Ok(())
    }

    /// Makes a day known if there is room for it, and answers whether it is.
    pub(super) async fn try_load(&mut self, day: NaiveDate) -> Result<bool> {
        if self.days.get(&day).is_some_and(|day| day.current) {
            return Ok(true);
        }
        let held: u64 = self.days.values().map(|day| day.rows).sum();
        let rows: u64 = self.unread(day).iter().filter_map(|file| file.rows).sum();
        if rows > 0 && held + rows > self.limit {
            return Ok(false);
        }
        self.load(day).await.map(|()| true)
    }

    /// Makes a day known, forgetting others where there is no room for all.
    pub(super) async fn make_room(&mut self, day: NaiveDate) -> Result<()> {
        if !self.try_load(day).await? {
            self.days.clear();
            self.load(day).await?;
        }
        Ok(())
    }

    /// Files of a day that were not read yet.
    fn unread(&self, day: NaiveDate) -> Vec<&DataFile> {
        let (text, read) = (day.to_string(), self.days.get(&day));
        let of_day = self.snapshot.files.iter().filter(|file| file.partition.as_deref() == Some(text.as_str()));
        of_day.filter(|file| read.is_none_or(|day| !day.files.contains(file.path.as_ref()))).collect()
    }

    async fn load(&mut self, day: NaiveDate) -> Result<()> {
        let files = self.unread(day);
        let known = ledger::known_objects(&self.lake, &self.snapshot, &files).await?;
        let rows: u64 = files.iter().filter_map(|file| file.rows).sum();
        let paths: Vec<String> = files.iter().map(|file| file.path.to_string()).collect();
        let held = self.days.entry(day).or_default();
        held.known.merge(known);
        held.rows += rows;
        held.files.extend(paths);
        held.current = true;
        Ok(())
    }

    /// Gives up the days before one.
    pub(super) fn forget_before(&mut self, day: NaiveDate) {
        self.days = self.days.split_off(&day);
    }

    /// Whether an object of a day that was made known need not be read.
    pub(super) fn contains(&self, object: &ObjectInfo) -> bool {
        self.days.get(&object.date).is_some_and(|day| day.known.contains(object, self.quarantine))
    }

    /// Whether an object of a day that was made known is in quarantine.
    pub(super) fn is_given_up(&self, object: &ObjectInfo) -> bool {
        self.days.get(&object.date).is_some_and(|day| day.known.is_given_up(object))
    }

    /// What earlier runs noted of an object that is to be read.
    pub(super) fn trouble(&self, object: &ObjectInfo) -> Option<(u128, Trouble)> {
        self.days.get(&object.date).and_then(|day| day.known.trouble(object, self.quarantine))
    }
}
