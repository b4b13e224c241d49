//! Public keys for a run: given in a file, or from CloudTrail's API, once per region.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::{Mutex, OnceCell};

use super::chains::{ChainId, Digests};
use crate::cloudtrail::CloudTrail;
use crate::digest::hours::{HOUR, floor};
use crate::digest::key::Chain;
use crate::digest::signature::KeyRing;
use crate::error::Result;

/// A digest may be signed up to so long after its end.
const SIGNED_WITHIN: TimeDelta = TimeDelta::hours(2);

/// Where public keys come from.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// Given by the user; nobody is asked.
    Given(KeyRing),
    /// CloudTrail's API in the digests' own regions.
    Api(Box<CloudTrail>),
}

/// A region's keys, or why there are none.
type Answer = std::result::Result<Arc<KeyRing>, String>;

/// The time that a region's digests are of, and their keys once they were asked for.
struct RegionKeys {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    answer: OnceCell<Answer>,
}

/// A region, and the hour in which a backfill digest was made.
type Made = (String, DateTime<Utc>);

/// The keys of a run.
pub(super) struct Keys<'k> {
    source: &'k KeySource,
    regions: HashMap<String, RegionKeys>,
    backfill: Mutex<HashMap<Made, Arc<KeyRing>>>,
}

impl<'k> Keys<'k> {
    pub(super) fn new(source: &'k KeySource, chains: &BTreeMap<ChainId, Digests>) -> Self {
        let mut regions = HashMap::new();
        for ((trail, chain), digests) in chains {
            let (Some(oldest), Some(newest)) = (digests.entries.first(), digests.entries.last()) else { continue };
            if *chain == Chain::Backfill {
                continue;
            }
            let (from, to) = (oldest.ends - HOUR, newest.ends + SIGNED_WITHIN);
            let new = || RegionKeys { from, to, answer: OnceCell::new() };
            let span = regions.entry(trail.region.clone()).or_insert_with(new);
            (span.from, span.to) = (span.from.min(from), span.to.max(to));
        }
        Self { source, regions, backfill: Mutex::default() }
    }

    pub(super) fn source(&self) -> &KeySource {
        self.source
    }

    /// The keys of a region's digests; the error, in words, where they cannot be had.
    pub(super) async fn of_region(&self, region: &str) -> Answer {
        let api = match self.source {
            KeySource::Given(ring) => return Ok(Arc::new(ring.clone())),
            KeySource::Api(api) => api,
        };
        let Some(RegionKeys { from, to, answer }) = self.regions.get(region) else { return Ok(Arc::default()) };
        let load =
            || async { api.public_keys(region, *from, *to).await.map(Arc::new).map_err(|error| error.to_string()) };
        answer.get_or_init(load).await.clone()
    }

    /// The keys in use when a backfill digest was made.
    pub(super) async fn of_backfill(&self, region: &str, made: DateTime<Utc>) -> Result<Arc<KeyRing>> {
        let KeySource::Api(api) = self.source else { return Ok(Arc::default()) };
        let mut known = self.backfill.lock().await;
        let place = (region.to_owned(), floor(made));
        if let Some(ring) = known.get(&place) {
            return Ok(Arc::clone(ring));
        }
        let ring = Arc::new(api.public_keys(region, floor(made) - HOUR, floor(made) + HOUR * 2).await?);
        known.insert(place, Arc::clone(&ring));
        Ok(ring)
    }
}
