//! A synthetic organization: two weeks of ordinary life in five accounts, and a last day with attacks in it.
//!
//! Owns: the logs of `trailhound demo` and the corpus of the benchmarks, in CloudTrail's true form and layout.
//! Refuses: a clock (the end is an argument) and any mark on malicious records; the truth is written beside the logs.
//! Invariant: equal options give equal files, byte by byte.

pub mod corpus;

mod attack;
mod catalogue;
mod ids;
mod layout;
mod org;
mod people;
mod record;
mod session;
mod values;
mod workloads;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use chrono::{DateTime, Utc};
use serde::Serialize;

pub use attack::AttackSummary;

use crate::error::{Error, ErrorKind, Result};
use catalogue::Catalogue;
use people::Span;
use record::{Event, Scribe};

/// Name of the file with the truth, beside `AWSLogs`.
pub const TRUTH_FILE: &str = "truth.json";
/// Fewest days: the attacks fill the last one, and a detector needs a past.
const FEWEST_DAYS: u32 = 2;
/// Most days: the logs are held in memory while they are made.
const MOST_DAYS: u32 = 120;

/// What organization to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DemoOptions {
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// Days of life, 2 to 120, the last one with the attacks.
    pub days: u32,
    /// The logs end here (whole seconds count).
    pub end: DateTime<Utc>,
}

impl DemoOptions {
    /// Two weeks that end at a given time.
    pub fn new(seed: u64, end: DateTime<Utc>) -> Self {
        Self { seed, days: 14, end }
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DemoSummary {
    /// Id of the organization, `o-…`.
    pub organization: String,
    /// Ids of its accounts, sorted.
    pub accounts: Vec<String>,
    /// First moment of the logs.
    pub from: DateTime<Utc>,
    /// The logs end before this.
    pub to: DateTime<Utc>,
    /// Log objects.
    pub objects: u64,
    /// Objects that are no logs (digests and insights).
    pub other_objects: u64,
    /// Records in the log objects; some events are delivered twice.
    pub records: u64,
    /// Distinct events.
    pub events: u64,
    /// Bytes of the log objects before compression.
    pub json_bytes: u64,
    /// Bytes of the log objects as written.
    pub bytes: u64,
    /// The attacks, by their start.
    pub attacks: Vec<AttackSummary>,
}

/// The events of an organization, before they are put into objects.
struct Life {
    events: Vec<Event>,
    attacks: Vec<AttackSummary>,
}

fn span(options: &DemoOptions) -> Span {
    let to = options.end.timestamp();
    Span { from: to - i64::from(options.days) * 86_400, to }
}

/// Makes all events, sorted by time, then id.
fn generate(options: &DemoOptions) -> Life {
    let (apis, span) = (Catalogue::load(), span(options));
    let scribe = |label: &str| Scribe::new(&apis, ids::stream(options.seed, label), span.to);
    let mut events = Vec::new();
    for person in &org::PEOPLE {
        let mut scribe = scribe(person.email);
        people::live(person, span, &mut scribe);
        events.append(&mut scribe.events);
    }
    let mut old = scribe("the old way");
    people::live_the_old_way(span, &mut old);
    events.append(&mut old.events);
    for (part, label) in workloads::parts().iter().enumerate() {
        let mut scribe = scribe(label);
        workloads::run(part, span, &mut scribe);
        events.append(&mut scribe.events);
    }
    let mut attacks = Vec::new();
    for script in &attack::SCRIPTS {
        let mut scribe = scribe(script.name);
        attacks.push(attack::play(script, span.to, &mut scribe));
        events.append(&mut scribe.events);
    }
    events.sort_unstable_by_key(|event| (event.time, event.id));
    Life { events, attacks }
}

fn check(options: &DemoOptions) -> Result<()> {
    if (FEWEST_DAYS..=MOST_DAYS).contains(&options.days) {
        return Ok(());
    }
    let what = format!("cannot make a demo of {} days", options.days);
    Err(Error::new(ErrorKind::Usage, what).hint(format!("ask for {FEWEST_DAYS} to {MOST_DAYS} days")))
}

/// Writes an organization's logs to `folder/AWSLogs` and the truth about the attacks to `folder/truth.json`.
///
/// # Errors
/// `Usage` where the days are out of range, `Unavailable` where the folder cannot be written to.
pub fn write(options: &DemoOptions, folder: &Path) -> Result<DemoSummary> {
    check(options)?;
    let Span { from, to } = span(options);
    let life = generate(options);
    let objects = layout::arrange(&life.events, options.seed, to);
    let written = layout::write(folder, &life.events, &objects)?;
    let companions = layout::companions(&life.events, &objects, options.seed, to);
    for (key, text) in &companions {
        layout::write_gzip(folder, key, text)?;
    }
    let accounts: BTreeSet<&str> = org::ACCOUNTS.iter().map(|account| account.id).collect();
    let summary = DemoSummary {
        organization: org::ORGANIZATION.to_owned(),
        accounts: accounts.into_iter().map(str::to_owned).collect(),
        from: ids::instant(from),
        to: ids::instant(to),
        objects: objects.len() as u64,
        other_objects: companions.len() as u64,
        records: objects.iter().map(|object| object.events.len() as u64).sum(),
        events: life.events.len() as u64,
        json_bytes: written.json_bytes,
        bytes: written.bytes,
        attacks: life.attacks,
    };
    write_truth(folder, &summary)?;
    Ok(summary)
}

fn write_truth(folder: &Path, summary: &DemoSummary) -> Result<()> {
    let path = folder.join(TRUTH_FILE);
    let text = serde_json::to_vec_pretty(summary)
        .map_err(|cause| Error::new(ErrorKind::Internal, "cannot write the demo's truth as JSON").source(cause))?;
    fs::write(&path, text).map_err(|cause| {
        Error::new(ErrorKind::Unavailable, format!("cannot write {}", path.display()))
            .source(cause)
            .hint("check that the folder may be written to and that the disk is not full")
    })
}

#[cfg(test)]
mod tests;
