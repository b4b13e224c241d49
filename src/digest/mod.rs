//! CloudTrail's digests: what they say, whether CloudTrail signed it, and whether their chain is whole.
//!
//! Owns: the digest's format, its signing string, and the meaning of a chain's links and holes.
//! Refuses: fetching anything. Bytes, metadata and keys come in, verdicts go out.
//! Invariant: nothing is called valid that one of the given keys did not sign.

pub mod chain;
pub mod hours;
pub mod key;
pub mod signature;

use chrono::{DateTime, Utc};
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

/// Where an object is: what a digest says of itself, its predecessor and its log files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Location {
    /// Bucket.
    pub bucket: String,
    /// Key.
    pub key: String,
}

impl Location {
    /// Makes a location.
    pub fn new(bucket: impl Into<String>, key: impl Into<String>) -> Self {
        Self { bucket: bucket.into(), key: key.into() }
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

/// A digest: an hour's log files with their hashes, and the link to the hour before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// Its own bucket and key, as CloudTrail delivered it.
    pub location: Location,
    /// Beginning of the time it is of.
    pub starts: DateTime<Utc>,
    /// End of the time it is of.
    pub ends: DateTime<Utc>,
    /// The end, letter by letter: it is part of what is signed.
    pub ends_text: String,
    /// Fingerprint of the key that it was signed with.
    pub fingerprint: String,
    /// The digest before; `None` in the first of a chain.
    pub previous: Option<Previous>,
    /// The signature of the digest before, in hexadecimal; part of what is signed.
    pub previous_signature: Option<String>,
    /// The log files.
    pub log_files: Vec<LogFile>,
}

/// What a digest says of the one before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Previous {
    /// Where it is.
    pub location: Location,
    /// SHA-256 of its uncompressed text, in hexadecimal.
    pub hash: Option<String>,
}

/// A log file as a digest lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFile {
    /// Where it is.
    pub location: Location,
    /// SHA-256 of its uncompressed text, in hexadecimal.
    pub hash: String,
    /// Time of its oldest event.
    pub oldest_event: Option<DateTime<Utc>>,
}

/// Reads a digest's (uncompressed) text.
///
/// # Errors
/// Says what is wrong where it is no JSON, lacks a member, or names a hash that is not SHA-256.
pub fn parse(text: &[u8]) -> Result<Digest, String> {
    // serde_json does not look at the text of members that nobody reads
    let text = std::str::from_utf8(text).map_err(|error| error.to_string())?;
    let raw: RawDigest = serde_json::from_str(text).map_err(|error| error.to_string())?;
    raw.try_into()
}

/// SHA-256 in hexadecimal: of a digest's or a log file's uncompressed text.
pub fn hash(text: &[u8]) -> String {
    hex::encode(sha2::Sha256::digest(text))
}

/// Members as CloudTrail names them. Others (`awsAccountId`, `newestEventTime` …) are not needed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDigest {
    digest_start_time: String,
    digest_end_time: String,
    #[serde(rename = "digestS3Bucket")]
    digest_s3_bucket: String,
    #[serde(rename = "digestS3Object")]
    digest_s3_object: String,
    digest_public_key_fingerprint: String,
    #[serde(rename = "previousDigestS3Bucket")]
    previous_digest_s3_bucket: Option<String>,
    #[serde(rename = "previousDigestS3Object")]
    previous_digest_s3_object: Option<String>,
    previous_digest_hash_value: Option<String>,
    previous_digest_hash_algorithm: Option<String>,
    #[serde(deserialize_with = "present")]
    previous_digest_signature: Option<String>,
    #[serde(default)]
    log_files: Option<Vec<RawLogFile>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawLogFile {
    #[serde(rename = "s3Bucket")]
    s3_bucket: String,
    #[serde(rename = "s3Object")]
    s3_object: String,
    hash_value: String,
    hash_algorithm: Option<String>,
    oldest_event_time: Option<String>,
}

/// May be null, but must be there: what is signed depends on it.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Option::deserialize(deserializer).map_err(D::Error::custom)
}

fn instant(name: &str, text: &str) -> Result<DateTime<Utc>, String> {
    let time = DateTime::parse_from_rfc3339(text).map_err(|error| format!("{name} {text:?}: {error}"))?;
    Ok(time.to_utc())
}

fn is_sha256(algorithm: Option<&str>) -> Result<(), String> {
    match algorithm {
        None | Some("SHA-256") => Ok(()),
        Some(other) => Err(format!("hash algorithm {other:?} is not SHA-256")),
    }
}

impl TryFrom<RawDigest> for Digest {
    type Error = String;

    fn try_from(raw: RawDigest) -> Result<Self, String> {
        is_sha256(raw.previous_digest_hash_algorithm.as_deref())?;
        let previous = match (raw.previous_digest_s3_bucket, raw.previous_digest_s3_object) {
            (Some(bucket), Some(key)) => {
                Some(Previous { location: Location { bucket, key }, hash: raw.previous_digest_hash_value })
            }
            _ => None,
        };
        let log_files = raw.log_files.unwrap_or_default().into_iter().map(LogFile::try_from);
        Ok(Self {
            location: Location { bucket: raw.digest_s3_bucket, key: raw.digest_s3_object },
            starts: instant("digestStartTime", &raw.digest_start_time)?,
            ends: instant("digestEndTime", &raw.digest_end_time)?,
            ends_text: raw.digest_end_time,
            fingerprint: raw.digest_public_key_fingerprint,
            previous,
            previous_signature: raw.previous_digest_signature,
            log_files: log_files.collect::<Result<_, _>>()?,
        })
    }
}

impl TryFrom<RawLogFile> for LogFile {
    type Error = String;

    fn try_from(raw: RawLogFile) -> Result<Self, String> {
        is_sha256(raw.hash_algorithm.as_deref())?;
        let oldest_event = raw.oldest_event_time.map(|text| instant("oldestEventTime", &text)).transpose()?;
        let location = Location { bucket: raw.s3_bucket, key: raw.s3_object };
        Ok(Self { location, hash: raw.hash_value, oldest_event })
    }
}

#[cfg(test)]
mod tests;
