//! What to read: the source's objects that the ledger does not have, in the order they are read.
//!
//! Owns: comparing the listing with the ledger, and cutting what is new into batches that are committed together.

use std::collections::VecDeque;
use std::time::Instant;

use super::ledger::Troubles;
use super::{IngestReport, Quarantine, ledger};
use crate::error::Result;
use crate::lake::Lake;
use crate::source::{ObjectInfo, Source};

/// Objects still to be read.
pub(super) struct Plan {
    todo: VecDeque<ObjectInfo>,
    found: u64,
    troubles: Troubles,
}

impl Plan {
    /// Lists the source and takes out what is known.
    pub(super) async fn make(
        source: &Source,
        lake: &Lake,
        quarantine: Quarantine,
        report: &mut IngestReport,
    ) -> Result<Self> {
        let started = Instant::now();
        let listing = source.list().await?;
        let mut known = ledger::known_objects(lake, quarantine).await?;
        let troubles = known.troubles(lake).await?;
        report.objects.listed = listing.objects.len() as u64;
        report.objects.skipped = listing.skipped;
        report.list_requests = listing.requests;
        for what in listing.unreadable {
            report.fail(what);
        }
        let mut todo = listing.objects;
        if let Some(first_day) = lake.first_day().await? {
            todo.retain(|object| object.date >= first_day);
            report.objects.expired = report.objects.listed - todo.len() as u64;
        }
        let kept = todo.len() as u64;
        todo.retain(|object| {
            let new = !known.contains(object);
            report.objects.in_quarantine += u64::from(troubles.is_given_up(object));
            known.insert(object);
            new
        });
        report.objects.known = kept - todo.len() as u64;
        report.seconds.list = started.elapsed().as_secs_f64();
        Ok(Self { found: todo.len() as u64, todo: todo.into(), troubles })
    }

    /// What is known of objects that earlier runs could not read; to be taken once.
    pub(super) fn troubles(&mut self) -> Troubles {
        std::mem::take(&mut self.troubles)
    }

    /// Objects to read in this run, as far as is known.
    pub(super) fn found(&self) -> u64 {
        self.found
    }

    /// The next objects to be committed together: as many as have `limit` bytes, at least one; none at the end.
    pub(super) fn next(&mut self, limit: u64) -> Vec<ObjectInfo> {
        take_batch(&mut self.todo, limit)
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
        ObjectInfo { name: String::new(), bytes, version: String::new(), date: chrono::NaiveDate::default() }
    }

    #[test]
    fn batches_are_bounded_and_whole() {
        let mut todo: VecDeque<ObjectInfo> = [5, 5, 5, 100, 1, 1].map(object).into();
        let sizes: Vec<usize> = (0..5).map(|_| take_batch(&mut todo, 10).len()).collect();
        assert_eq!(sizes, [2, 1, 1, 2, 0]);
    }
}
