//! Words for one CloudTrail record on its way into the lake.
//!
//! Owns: the event's identity, its outcome, and what became of a record (row, duplicate or reject).
//! Invariant: every record seen is exactly one of the three (`Tally::is_whole`).

use std::fmt;

use serde::Serialize;
use sha2::{Digest, Sha256};

/// Identity of an event: 128 bits of its eventID, by which it is in the lake once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventKey(pub u128);

impl EventKey {
    /// Key of an eventID. A UUID is taken as its 128 bits; any other text by the head of its SHA-256.
    pub fn of_event_id(id: &str) -> Self {
        Self(parse_uuid(id.as_bytes()).unwrap_or_else(|| hash128(id.as_bytes())))
    }

    /// Key of a record without an eventID: the head of the SHA-256 of its text.
    pub fn of_record(text: &[u8]) -> Self {
        Self(hash128(text))
    }

    /// Key stored in the column `eventhash`; `None` where it is not 32 hexadecimal digits.
    pub fn of_event_hash(hex: &str) -> Option<Self> {
        u128::from_str_radix(hex, 16).ok().map(Self)
    }

    /// The text stored in the column `eventhash`.
    pub fn to_event_hash(self) -> String {
        format!("{:032x}", self.0)
    }
}

fn hash128(bytes: &[u8]) -> u128 {
    let digest = Sha256::digest(bytes);
    u128::from_be_bytes(digest[..16].try_into().expect("a SHA-256 has 32 bytes"))
}

/// Only the canonical form (lower case, dashes in place): two spellings must not collapse into one event.
fn parse_uuid(text: &[u8]) -> Option<u128> {
    let text: &[u8; 36] = text.try_into().ok()?;
    if [8, 13, 18, 23].iter().any(|&dash| text[dash] != b'-') {
        return None;
    }
    let eight = |head: usize, tail: usize| -> [u8; 8] {
        std::array::from_fn(|at| if at < 4 { text[head + at] } else { text[tail + at - 4] })
    };
    let parts = [eight(0, 4), eight(9, 14), eight(19, 24), eight(28, 32)];
    parts.iter().try_fold(0, |value: u128, part| Some(value << 32 | u128::from(parse_digits(*part)?)))
}

/// Eight lower-case hexadecimal digits, in one register: a lake's worth of ids passes here.
fn parse_digits(digits: [u8; 8]) -> Option<u32> {
    const fn each(byte: u8) -> u64 {
        u64::from_ne_bytes([byte; 8])
    }
    let text = u64::from_be_bytes(digits);
    let values = (text & each(0x0f)) + (text >> 6 & each(0x03)) * 9;
    let letters = (values + each(6)) >> 4 & each(0x01);
    // what is no digit has no value below 16 that is written so
    if values & each(0xf0) != 0 || values + each(b'0') + letters * u64::from(b'a' - b'9' - 1) != text {
        return None;
    }
    let pairs = (values | values >> 4) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs | pairs >> 8) & 0x0000_ffff_0000_ffff;
    Some((fours | fours >> 16) as u32)
}

/// What became of the call (column `outcome`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The call did what it was asked to.
    Success,
    /// The caller is known but not allowed.
    Denied,
    /// The caller could not prove who it is.
    AuthFailed,
    /// The thing asked for does not exist.
    NotFound,
    /// The request itself was wrong.
    Invalid,
    /// Too many requests, or a quota.
    Throttled,
    /// A dry run that would have succeeded.
    DryRun,
    /// The service failed.
    ServiceError,
}

impl Outcome {
    /// The column's text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Denied => "denied",
            Self::AuthFailed => "auth_failed",
            Self::NotFound => "not_found",
            Self::Invalid => "invalid",
            Self::Throttled => "throttled",
            Self::DryRun => "dry_run",
            Self::ServiceError => "service_error",
        }
    }
}

/// Why a record or an object could not become rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectReason {
    /// The object is not readable gzip, or its checksum is wrong, or it ends early.
    BrokenGzip,
    /// The object decompresses to more than the limit.
    TooLarge,
    /// The object is not JSON, or not UTF-8.
    BrokenJson,
    /// The object is JSON but holds no records.
    NoRecords,
    /// The record is not a JSON object.
    NotAnObject,
    /// The record is nested deeper than the limit.
    TooDeep,
    /// The record has no readable `eventTime`.
    NoEventTime,
    /// A member stands in the record twice.
    DuplicateMember,
}

impl RejectReason {
    /// The column's text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BrokenGzip => "broken_gzip",
            Self::TooLarge => "too_large",
            Self::BrokenJson => "broken_json",
            Self::NoRecords => "no_records",
            Self::NotAnObject => "not_an_object",
            Self::TooDeep => "too_deep",
            Self::NoEventTime => "no_event_time",
            Self::DuplicateMember => "duplicate_member",
        }
    }
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A record, or a whole object, that could not become rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Index of the record in its object, from 0; `None` for the whole object.
    pub position: Option<u64>,
    /// Why.
    pub reason: RejectReason,
    /// The parser's own words.
    pub detail: String,
    /// Head of the raw text, at most `RAW_LIMIT` bytes (lossy UTF-8).
    pub raw: String,
    /// Length of the whole raw text in bytes.
    pub raw_bytes: u64,
}

impl Reject {
    /// Bytes of raw text kept with a reject: CloudTrail's own limit of one event (256 KiB).
    pub const RAW_LIMIT: usize = 256 * 1024;

    /// Makes a reject that keeps the head of the raw text.
    pub fn new(position: Option<u64>, reason: RejectReason, detail: impl Into<String>, raw: &[u8]) -> Self {
        let head = &raw[..raw.len().min(Self::RAW_LIMIT)];
        Self {
            position,
            reason,
            detail: detail.into(),
            raw: String::from_utf8_lossy(head).into_owned(),
            raw_bytes: raw.len() as u64,
        }
    }
}

/// What became of the records of an object, a batch or a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Records found in the objects.
    pub seen: u64,
    /// Records that became rows.
    pub rows: u64,
    /// Records whose event was in the lake (or earlier in the run) already.
    pub duplicates: u64,
    /// Records that could not become rows.
    pub rejects: u64,
}

impl Tally {
    /// Adds another tally.
    pub fn add(&mut self, other: Self) {
        self.seen += other.seen;
        self.rows += other.rows;
        self.duplicates += other.duplicates;
        self.rejects += other.rejects;
    }

    /// True where every record seen is a row, a duplicate or a reject.
    pub fn is_whole(&self) -> bool {
        self.seen == self.rows + self.duplicates + self.rejects
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_uuid_is_its_own_bits() {
        let key = EventKey::of_event_id("00000000-0000-0000-0000-0000000000ff");
        assert_eq!(key, EventKey(255));
    }

    #[test]
    fn other_spellings_are_other_events() {
        let lower = EventKey::of_event_id("abcdefab-0000-0000-0000-0000000000ff");
        assert_ne!(lower, EventKey::of_event_id("ABCDEFAB-0000-0000-0000-0000000000FF"));
        assert_ne!(lower, EventKey::of_event_id("abcdefab00000000000000000000000000ff"));
    }

    #[test]
    fn event_hash_round_trips() {
        let key = EventKey::of_record(b"{}");
        assert_eq!(EventKey::of_event_hash(&key.to_event_hash()), Some(key));
    }
}
