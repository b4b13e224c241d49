//! Hours whose digests need not be read again.
//!
//! Owns: what an hour must be to be left alone: complete in the table, with as many digests as are listed now, and none of
//! its log files read again with another text since. The digest after one that is read is read too, as it has the link and
//! the signature; so is the one after one that is gone.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::chains::{Chains, Entry};
use super::ledger::Ledger;
use super::table::{self, Row, RowKey};
use crate::digest::hours::{HOUR, floor};
use crate::digest::key::{self, LogKey};
use crate::error::Result;
use crate::lake::Lake;

/// The hours of these chains that are settled.
pub(super) async fn hours(lake: &Lake, ledger: &Ledger<'_>, chains: &Chains) -> Result<BTreeSet<RowKey>> {
    let ends = || chains.0.values().flat_map(|digests| [digests.entries.first(), digests.entries.last()]).flatten();
    let (Some(first), Some(last)) = (ends().map(Entry::day).min(), ends().map(Entry::day).max()) else {
        return Ok(BTreeSet::new());
    };
    let mut rows = table::read(lake, Some((first, last))).await?;
    let changed = ledger.changed(first.iter_days().take_while(|day| *day <= last)).await?;
    for log in changed.iter().filter_map(|name| key::parse_log(name)) {
        rows.retain(|key, _| !lists(key, &log));
    }
    Ok(skipped(chains, &rows))
}

/// Whether a digest of this hour may list a log file.
fn lists((trail, hour): &RowKey, log: &LogKey<'_>) -> bool {
    let hours = floor(log.delivered - HOUR / 2)..=floor(log.delivered + HOUR / 2 + HOUR / 60);
    trail.account == log.account && trail.region == log.region && hours.contains(hour)
}

fn skipped(chains: &Chains, rows: &HashMap<RowKey, Row>) -> BTreeSet<RowKey> {
    let mut listed: BTreeMap<RowKey, u64> = BTreeMap::new();
    for ((trail, _), digests) in &chains.0 {
        for entry in &digests.entries {
            *listed.entry((trail.clone(), entry.hour())).or_default() += 1;
        }
    }
    let same = |key: &RowKey, row: &Row| row.digests == listed.get(key).copied().unwrap_or_default();
    let done = |key: &RowKey| rows.get(key).is_some_and(|row| row.is_settled() && same(key, row));
    let mut skipped: BTreeSet<RowKey> = listed.keys().filter(|key| done(key)).cloned().collect();
    for ((trail, _), digests) in &chains.0 {
        for pair in digests.entries.windows(2) {
            if !done(&(trail.clone(), pair[0].hour())) {
                skipped.remove(&(trail.clone(), pair[1].hour()));
            }
        }
    }
    // where a digest is gone that was there, the next one has its name
    for ((trail, hour), _) in rows.iter().filter(|(key, row)| !same(key, row)) {
        let next = skipped.range((trail.clone(), *hour)..).next().filter(|(other, _)| other == trail).cloned();
        next.map(|next| skipped.remove(&next));
    }
    skipped
}
