//! A finding: what was unusual, for whom, and the numbers behind it.
//!
//! Owns: the shape that `detect -o ndjson` prints, the lake keeps and the sinks send.
//! Refuses: a clock; an id or a time comes from the events, so the same events give the same finding.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Stable id of a finding: 32 hexadecimal digits made from detector, actor and window key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FindingId(String);

impl FindingId {
    /// Derives the id; equal parts give an equal id, whenever and wherever they are computed.
    pub fn derive(detector: &str, actor: &str, window: &str) -> Self {
        let mut hash = Sha256::new();
        for part in [detector, actor, window] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        Self(hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect())
    }

    /// The 32 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FindingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// GuardDuty's severity bands over 1.0 to 10.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SeverityBand {
    /// 1.0 to 3.9
    Low,
    /// 4.0 to 6.9
    Medium,
    /// 7.0 to 8.9
    High,
    /// 9.0 to 10.0
    Critical,
}

impl SeverityBand {
    /// The band that a severity of 1.0 to 10.0 falls in.
    pub fn of(severity: f64) -> Self {
        match severity {
            s if s >= 9.0 => Self::Critical,
            s if s >= 7.0 => Self::High,
            s if s >= 4.0 => Self::Medium,
            _ => Self::Low,
        }
    }

    /// Lowest severity of the band.
    pub fn floor(self) -> f64 {
        match self {
            Self::Low => 1.0,
            Self::Medium => 4.0,
            Self::High => 7.0,
            Self::Critical => 9.0,
        }
    }

    /// The band's name as GuardDuty writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "LOW",
            Self::Medium => "MEDIUM",
            Self::High => "HIGH",
            Self::Critical => "CRITICAL",
        }
    }
}

impl fmt::Display for SeverityBand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for SeverityBand {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "low" => Ok(Self::Low),
            "medium" => Ok(Self::Medium),
            "high" => Ok(Self::High),
            "critical" => Ok(Self::Critical),
            _ => Err(format!("unknown severity \"{text}\"; use low, medium, high or critical")),
        }
    }
}

/// How often something was seen before, in the words that GuardDuty and OCSF share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Frequency {
    /// Daily to weekly.
    Frequent,
    /// A few times a month.
    Infrequent,
    /// Less than once a month.
    Rare,
    /// Never in the baseline.
    Unseen,
}

impl Frequency {
    /// The word that GuardDuty and OCSF use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Frequent => "FREQUENT",
            Self::Infrequent => "INFREQUENT",
            Self::Rare => "RARE",
            Self::Unseen => "UNSEEN",
        }
    }
}

/// Whose past an expectation was taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The actor's own past.
    Actor,
    /// The past of the actors that it is compared with: the same permission set, or roles of its kind.
    Peers,
    /// The past of everybody in the account.
    Account,
    /// The past of the whole organization.
    Organization,
}

/// How rare a value is, seen from one side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rarity {
    /// Whose past.
    pub scope: Scope,
    /// Days of the actor, or actors of the group, that have the value; older days count less.
    pub seen: f64,
    /// Of so many.
    pub of: f64,
    /// In words.
    pub frequency: Frequency,
    /// -log2 of (seen + 1/2) / (of + 1): what having it is worth, seen from this side alone.
    #[serde(default)]
    pub bits: f64,
    /// Lower end of the 95 % interval of the share `seen` of `of`, 0 to 1.
    #[serde(default)]
    pub low: f64,
    /// Upper end of it.
    #[serde(default)]
    pub high: f64,
}

/// What 95 % of days are expected to be between.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// One reason for a finding: observed against expected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Factor {
    /// What was measured, e.g. `api`, `service`, `region`, `network`, `user_agent`, `volume`, `shape`.
    pub feature: String,
    /// What was seen, e.g. `iam:CreateAccessKey` or `412 calls in a day`.
    pub observed: String,
    /// What the baseline expects, in words with numbers.
    pub expected: String,
    /// Of an amount: what 95 % of days are expected to be between.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    /// Whose past the expectation comes from.
    pub scope: Scope,
    /// How often the baseline saw it.
    pub frequency: Frequency,
    /// Surprise, -log2 of the predictive probability, in bits.
    pub bits: f64,
    /// Share of the finding's score, 0 to 1; the shares of all factors add up to 1.
    pub contribution: f64,
    /// How rare the value is for the actor, its peers, the account and the organization; empty for what is no value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rarity: Vec<Rarity>,
}

/// Calls of one API inside a finding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ApiCalls {
    /// Event source, e.g. `iam.amazonaws.com`.
    pub service: String,
    /// Event name.
    pub api: String,
    /// Calls whose outcome is success.
    pub succeeded: u64,
    /// Calls with any other outcome.
    pub failed: u64,
}

/// What is known of a source address; what no source tells is absent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SourceNetwork {
    /// The address, or the name of an AWS service, as in `source_addresses`.
    pub address: String,
    /// `aws-service`, `aws-ip`, `private`, `vpce` or `internet`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Country that the network is registered in, ISO 3166-1 alpha-2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// AS number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asn: Option<i64>,
    /// Organization of the AS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<String>,
    /// The list of the user's that it is on: `threat` or `tor`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<String>,
}

/// How a temporary access key came to be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ChainStep {
    /// The access key that was made.
    pub access_key_id: String,
    /// The API that made it, e.g. `sts:AssumeRole`.
    pub call: String,
    /// The actor that called it.
    pub made_by: String,
    /// The access key it was called with; `None` for a federated sign-in.
    pub made_with: Option<String>,
    /// When.
    pub time: DateTime<Utc>,
}

/// What the signed digests say of the hours that can hold a finding's events. The worst comes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CompletenessStatus {
    /// A log file or digest is another text than was delivered.
    Modified,
    /// A log file or digest is gone.
    Missing,
    /// No digest: logging or validation was off.
    NoDigest,
    /// Nothing proves the digest.
    Unverified,
    /// A log file is not in the lake.
    NotIngested,
    /// Not verified.
    #[default]
    Unknown,
    /// All of it is there, unchanged and in the lake.
    Complete,
}

impl CompletenessStatus {
    /// The status of a word of the table `completeness`.
    pub fn of(word: &str) -> Self {
        match word {
            "complete" => Self::Complete,
            "modified" => Self::Modified,
            "missing" => Self::Missing,
            "no_digest" => Self::NoDigest,
            "unverified" => Self::Unverified,
            "not_ingested" => Self::NotIngested,
            _ => Self::Unknown,
        }
    }

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Modified => "modified",
            Self::Missing => "missing",
            Self::NoDigest => "no_digest",
            Self::Unverified => "unverified",
            Self::NotIngested => "not_ingested",
            Self::Unknown => "unknown",
        }
    }
}

/// Whether all of the hours that can hold a finding's events was there when it was found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completeness {
    /// Of all hours together.
    pub status: CompletenessStatus,
    /// Hours in question, for each account and region.
    pub hours: u64,
    /// Of these, complete.
    pub complete: u64,
}

/// The past that the expectations of a finding were learned from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BaselineSpan {
    /// First instant of the baseline.
    pub from: DateTime<Utc>,
    /// First instant after the baseline; nothing later was read.
    pub to: DateTime<Utc>,
    /// Events of this actor in it.
    pub actor_events: u64,
    /// Days with an event of this actor in it.
    pub actor_days: u64,
    /// Days of the whole baseline, from the first to the last: below a week, trust the score accordingly.
    #[serde(default)]
    pub days: u64,
    /// Version of the model files the score came from.
    pub model_version: String,
}

/// What a responder, or an automation, would do next.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextSteps {
    /// In words.
    pub advice: String,
    /// Calls that contain the harm; nothing here makes them.
    pub containment: Vec<String>,
}

/// One alert, in the shape `detect -o ndjson` prints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable id; a re-run updates the finding instead of adding one.
    pub id: FindingId,
    /// GuardDuty-style type, e.g. `Discovery:IAMUser/AnomalousBehavior`.
    #[serde(rename = "type")]
    pub finding_type: String,
    /// One line for a person.
    pub title: String,
    /// A few sentences for a person.
    pub description: String,
    /// 1.0 to 10.0 in GuardDuty's bands.
    pub severity: f64,
    /// The band `severity` falls in.
    pub severity_label: SeverityBand,
    /// Surprise of the whole finding in bits; findings sort by it.
    pub score: f64,
    /// Stable identity, see `identity`.
    pub actor: String,
    /// `userIdentity.type` of the actor's latest event.
    pub actor_type: String,
    /// `userIdentity.userName`, or the role's name.
    pub user_name: Option<String>,
    /// `userIdentity.principalId` of the latest event.
    pub principal_id: Option<String>,
    /// Access keys used, sorted.
    pub access_key_ids: Vec<String>,
    /// Account the events were recorded for (the busiest one, if several).
    pub account: String,
    /// All accounts that the events were recorded for, sorted.
    #[serde(default)]
    pub accounts: Vec<String>,
    /// Region of the primary API's call.
    pub region: String,
    /// All regions of the events, sorted.
    #[serde(default)]
    pub regions: Vec<String>,
    /// Earliest event time after which a run would have told it; the logs of that event arrive some minutes later.
    pub time: DateTime<Utc>,
    /// Event time of the first event.
    pub first_seen: DateTime<Utc>,
    /// Event time of the last event.
    pub last_seen: DateTime<Utc>,
    /// Number of events behind it.
    pub count: u64,
    /// Event ids, sorted by event time then id; at most the documented limit of them.
    pub event_ids: Vec<String>,
    /// APIs called, the primary (most surprising) one first.
    pub apis: Vec<ApiCalls>,
    /// Source addresses, sorted.
    pub source_addresses: Vec<String>,
    /// What is known of each source address, in the same order.
    #[serde(default)]
    pub networks: Vec<SourceNetwork>,
    /// User agents, sorted.
    pub user_agents: Vec<String>,
    /// How the temporary keys came to be, the latest call first.
    #[serde(default)]
    pub chain: Vec<ChainStep>,
    /// Every reason, the largest contribution first.
    pub factors: Vec<Factor>,
    /// What the expectations were learned from.
    pub baseline: BaselineSpan,
    /// Whether all of its hours was there when it was found.
    #[serde(default)]
    pub completeness: Completeness,
    /// SQL over the lake that returns the finding's events.
    pub sql: String,
    /// What to do about it.
    #[serde(default)]
    pub next_steps: NextSteps,
}

/// JSON schema (draft 2020-12) of a finding, with the unit of every number.
pub const SCHEMA: &str = include_str!("finding.schema.json");

impl Finding {
    /// SHA-256 (hex) of the finding's content: a finding is sent again only when this changes. That an hour was verified
    /// meanwhile is no reason to tell it again.
    pub fn content_hash(&self) -> String {
        let told = Self { completeness: Completeness::default(), ..self.clone() };
        let text = serde_json::to_vec(&told).expect("a finding is plain data and always serializes");
        Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_depends_on_every_part_and_on_its_borders() {
        let id = FindingId::derive("behavior", "role/a", "2026-01-01");
        assert_eq!(id, FindingId::derive("behavior", "role/a", "2026-01-01"));
        assert_ne!(id, FindingId::derive("behavior", "role/", "a2026-01-01"));
        assert_eq!(id.as_str().len(), 32);
    }

    #[test]
    fn bands_have_guarddutys_borders() {
        assert_eq!(SeverityBand::of(3.9), SeverityBand::Low);
        assert_eq!(SeverityBand::of(4.0), SeverityBand::Medium);
        assert_eq!(SeverityBand::of(8.9), SeverityBand::High);
        assert_eq!(SeverityBand::of(9.0), SeverityBand::Critical);
        assert_eq!("High".parse(), Ok(SeverityBand::High));
    }
}
