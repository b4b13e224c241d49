//! What a verification has shown.
//!
//! Owns: the kinds of problems, their order, and the counts. Every problem is counted; the first of them, in order, are
//! kept in words.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};

use super::chains::TrailId;
use crate::digest::hours::Counts;

/// Problems kept in words; more are only counted.
pub const MAX_PROBLEMS: usize = 10_000;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// A digest that there must have been is not there.
    DigestMissing,
    /// A digest is not what CloudTrail wrote.
    DigestModified,
    /// A digest could not be checked: no signature, no key, not readable.
    DigestUnverified,
    /// A log file is not there.
    LogMissing,
    /// A log file is not what CloudTrail wrote.
    LogModified,
    /// A log file could not be read.
    LogUnverified,
    /// No digests were written for some time.
    Gap,
    /// A chain has no digests of late.
    Stopped,
    /// There are no public keys of a region, or a part of the source could not be listed.
    Unavailable,
}

impl ProblemKind {
    /// The word that is printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DigestMissing => "digest_missing",
            Self::DigestModified => "digest_modified",
            Self::DigestUnverified => "digest_unverified",
            Self::LogMissing => "log_missing",
            Self::LogModified => "log_modified",
            Self::LogUnverified => "log_unverified",
            Self::Gap => "gap",
            Self::Stopped => "stopped",
            Self::Unavailable => "unavailable",
        }
    }
}

/// One thing that is wrong; in the order in which problems are told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// Account; empty where all are meant.
    pub account: String,
    /// Region; empty where all are meant.
    pub region: String,
    /// Name of the trail; empty where all are meant.
    pub trail: String,
    /// Beginning of the time that it is about.
    #[serde(serialize_with = "seconds")]
    pub from: Option<DateTime<Utc>>,
    /// End of that time.
    #[serde(serialize_with = "seconds")]
    pub to: Option<DateTime<Utc>>,
    /// What is wrong.
    pub kind: ProblemKind,
    /// The object, where it has a name.
    pub object: Option<String>,
    /// In words.
    pub detail: String,
}

fn seconds<S: Serializer>(time: &Option<DateTime<Utc>>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(&time.format("%Y-%m-%dT%H:%M:%SZ")),
        None => serializer.serialize_none(),
    }
}

impl Problem {
    /// A problem of a trail.
    pub(super) fn of(trail: &TrailId, kind: ProblemKind, detail: impl Into<String>) -> Self {
        let TrailId { account, region, trail, .. } = trail.clone();
        Self { account, region, trail, from: None, to: None, kind, object: None, detail: detail.into() }
    }

    pub(super) fn during(self, from: DateTime<Utc>, to: DateTime<Utc>) -> Self {
        Self { from: Some(from), to: Some(to), ..self }
    }

    pub(super) fn object(self, name: impl Into<String>) -> Self {
        Self { object: Some(name.into()), ..self }
    }
}

/// Digests, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct DigestCounts {
    /// Listed.
    pub found: u64,
    /// Signed by CloudTrail and in their place.
    pub valid: u64,
    /// Valid when they were checked before, and not read again.
    pub known: u64,
    /// Not what CloudTrail wrote.
    pub invalid: u64,
    /// Not checked: no signature, no key, not readable.
    pub unverified: u64,
    /// Not there; of a long hole, one per hour.
    pub missing: u64,
}

/// The accounts of a verification.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// Trails, each counted in every account and region.
    pub trails: u64,
    /// Chains: a trail's own and, where there is one, its backfill chain.
    pub chains: u64,
    /// Digests.
    pub digests: DigestCounts,
    /// Log files.
    pub logs: Counts,
    /// Log files not read because the ledger has their hash.
    pub logs_by_ledger: u64,
    /// Uncompressed bytes read.
    pub bytes: u64,
    /// Hours of the table `completeness` that were written, by status.
    pub hours: BTreeMap<String, u64>,
    /// List requests (or folders).
    pub list_requests: u64,
    /// How many problems there are, by kind.
    pub problems_by_kind: BTreeMap<ProblemKind, u64>,
    /// The first of them.
    pub problems: BTreeSet<Problem>,
    /// Chains that go on in another bucket, where this run did not follow.
    pub elsewhere: BTreeSet<String>,
    /// Ended early on request.
    pub interrupted: bool,
}

impl VerifyReport {
    /// How many problems there are.
    pub fn problem_count(&self) -> u64 {
        self.problems_by_kind.values().sum()
    }

    /// True where all is valid.
    pub fn is_valid(&self) -> bool {
        self.problems_by_kind.is_empty() && !self.interrupted
    }

    /// Counts a problem, and keeps it where it is among the first.
    pub(super) fn problem(&mut self, problem: Problem) {
        *self.problems_by_kind.entry(problem.kind).or_default() += 1;
        self.problems.insert(problem);
        if self.problems.len() > MAX_PROBLEMS {
            self.problems.pop_last();
        }
    }
}
