//! What an ingest would read, without reading it.
//!
//! Refuses: to write anything; the lake need not exist.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::plan::Plan;
use super::{IngestOptions, IngestReport, ObjectCounts};
use crate::error::Result;
use crate::lake::Lake;
use crate::source::{ObjectInfo, Source, key};

/// Bytes of objects that are counted before the next are asked for.
const STEP_BYTES: u64 = 64 << 20;

/// What would be read of an account in a region.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Account id; `None` where the object's key does not tell.
    pub account: Option<String>,
    /// Region; likewise.
    pub region: Option<String>,
    /// Objects.
    pub objects: u64,
    /// Bytes, as stored.
    pub bytes: u64,
    /// Requests: one to get each object.
    pub requests: u64,
}

impl Share {
    fn add(&mut self, object: &ObjectInfo) {
        self.objects += 1;
        self.bytes += object.bytes;
        self.requests += 1;
    }
}

/// What an ingest would read.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct DryRun {
    /// By account and region, in their order.
    pub shares: Vec<Share>,
    /// All of it.
    pub total: Share,
    /// What the listing found; nothing is read.
    pub objects: ObjectCounts,
    /// List requests that were made for this, and that the ingest would make again.
    pub list_requests: u64,
    /// What could not be listed.
    pub failures: Vec<String>,
}

impl DryRun {
    /// True where something could not be listed.
    pub fn is_partial(&self) -> bool {
        !self.failures.is_empty()
    }
}

/// Lists the source, and counts what the lake does not have.
///
/// # Errors
/// Where the source cannot be listed or the lake not be read.
pub async fn dry_run(
    source: &Source,
    lake: Option<&Lake>,
    options: &IngestOptions,
    now: DateTime<Utc>,
) -> Result<DryRun> {
    let mut report = IngestReport::default();
    let mut plan = Plan::start(source, lake, options, now).await?;
    let (mut shares, mut total) = (BTreeMap::<(Option<String>, Option<String>), Share>::new(), Share::default());
    loop {
        let batch = plan.next(STEP_BYTES, &mut report).await?;
        if batch.is_empty() {
            break;
        }
        for object in &batch {
            let origin = key::origin(&object.name);
            let names = (origin.account.map(str::to_owned), origin.region.map(str::to_owned));
            let share = shares.entry(names.clone()).or_insert_with(|| {
                let (account, region) = names;
                Share { account, region, ..Share::default() }
            });
            share.add(object);
            total.add(object);
        }
    }
    Ok(DryRun {
        shares: shares.into_values().collect(),
        total,
        objects: report.objects,
        list_requests: report.list_requests,
        failures: report.failures,
    })
}
