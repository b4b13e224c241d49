//! The digests of a source, sorted into chains.
//!
//! Owns: a chain's identity and its digests' names, which are kept as instants (24 bytes each): the rest of a name can be
//! made again.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};

use crate::digest::hours::hour_of;
use crate::digest::key::{self, Chain, DigestKey};

/// A trail in one account and region.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrailId {
    /// Account whose calls are logged.
    pub account: String,
    /// Region whose calls are logged.
    pub region: String,
    /// Name of the trail.
    pub trail: String,
    /// Region in which the trail was made.
    pub trail_region: String,
    /// The organization's id, empty where the keys have none.
    pub organization: String,
}

/// One of a trail's two chains.
pub(super) type ChainId = (TrailId, Chain);

fn trail_of(key: &DigestKey<'_>) -> TrailId {
    TrailId {
        account: key.account.to_owned(),
        region: key.region.to_owned(),
        trail: key.trail.to_owned(),
        trail_region: key.home_region.to_owned(),
        organization: key.organization.unwrap_or_default().to_owned(),
    }
}

/// A digest of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    /// End of its time.
    pub ends: DateTime<Utc>,
    folder: u32,
}

impl Entry {
    /// The hour that it counts to.
    pub(super) fn hour(&self) -> DateTime<Utc> {
        hour_of(self.ends)
    }

    /// The day of that hour.
    pub(super) fn day(&self) -> NaiveDate {
        self.hour().date_naive()
    }
}

/// The digests of a chain.
#[derive(Debug, Default)]
pub(super) struct Digests {
    /// From the oldest to the newest.
    pub entries: Vec<Entry>,
    /// What names start with, up to the day's folders; a whole name where it is of another form.
    folders: Vec<String>,
}

impl Digests {
    /// The name of a digest in its source.
    pub(super) fn name(&self, id: &ChainId, entry: &Entry) -> String {
        let folder = &self.folders[entry.folder as usize];
        if folder.ends_with('/') || folder.is_empty() {
            format!("{folder}{}", tail(id, entry.ends))
        } else {
            folder.clone()
        }
    }

    fn add(&mut self, id: &ChainId, ends: DateTime<Utc>, name: &str) {
        let folder =
            name.strip_suffix(tail(id, ends).as_str()).filter(|folder| folder.is_empty() || folder.ends_with('/'));
        let known = folder.and_then(|folder| self.folders.iter().rposition(|known| known == folder));
        let at = known.unwrap_or_else(|| {
            self.folders.push(folder.unwrap_or(name).to_owned());
            self.folders.len() - 1
        });
        self.entries.push(Entry { ends, folder: u32::try_from(at).unwrap_or(u32::MAX) });
    }
}

/// `2026/01/31/ACCOUNT_CloudTrail-Digest_REGION_TRAIL_HOMEREGION_TIME.json.gz`
fn tail((trail, chain): &ChainId, ends: DateTime<Utc>) -> String {
    let TrailId { account, region, trail, trail_region, .. } = trail;
    let (day, time) = (ends.format("%Y/%m/%d"), ends.format("%Y%m%dT%H%M%SZ"));
    let suffix = if *chain == Chain::Backfill { "_backfill" } else { "" };
    format!("{day}/{account}_CloudTrail-Digest_{region}_{trail}_{trail_region}_{time}{suffix}.json.gz")
}

/// All chains of a source.
#[derive(Debug, Default)]
pub(super) struct Chains(pub BTreeMap<ChainId, Digests>);

impl Chains {
    /// Notes an object; what is no digest is left alone.
    pub(super) fn note(&mut self, name: &str, wanted: impl Fn(&DigestKey<'_>) -> bool) {
        let Some(key) = key::parse(name).filter(wanted) else { return };
        let id = (trail_of(&key), key.chain);
        self.0.entry(id.clone()).or_default().add(&id, key.ends, name);
    }

    /// Puts every chain in order.
    pub(super) fn sort(&mut self) {
        for digests in self.0.values_mut() {
            digests.entries.sort_unstable();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        let file = "111122223333_CloudTrail-Digest_eu-west-1_a_b_us-east-1_20260131T140131Z.json.gz";
        let names = [
            format!("s3://b/AWSLogs/o-abc/111122223333/CloudTrail-Digest/eu-west-1/2026/01/31/{file}"),
            format!(
                "s3://b/AWSLogs/o-abc/111122223333/CloudTrail-Digest/eu-west-1/2026/02/01/{}",
                file.replace("0131T", "0201T")
            ),
            format!(
                "s3://b/new/AWSLogs/o-abc/111122223333/CloudTrail-Digest/eu-west-1/2026/01/31/{}",
                file.replace("T14", "T15")
            ),
            format!("s3://b/AWSLogs/o-abc/111122223333/CloudTrail-Digest/flat/{}", file.replace("T14", "T16")),
        ];
        let mut chains = Chains::default();
        for name in &names {
            chains.note(name, |_| true);
        }
        chains.note(&names[0].replace("Z.json", "Z_backfill.json"), |_| true);
        chains.note("s3://b/other", |_| true);
        chains.sort();
        assert_eq!(chains.0.len(), 2);
        let (id, digests) = chains.0.iter().next().unwrap();
        let mut back: Vec<String> = digests.entries.iter().map(|entry| digests.name(id, entry)).collect();
        back.sort();
        let mut names = names.to_vec();
        names.sort();
        assert_eq!(back, names);
        let (id, digests) = chains.0.iter().nth(1).unwrap();
        assert!(digests.name(id, &digests.entries[0]).ends_with("20260131T140131Z_backfill.json.gz"));
    }
}
