//! From records to the objects of a CloudTrail bucket.
//!
//! Owns: keys in the true layout of an organization's trail, delivery (late, twice, out of order), and gzip files.
//! Refuses: to look into a record.
//! Invariant: every event is in at least one object; only the planned few are in two.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use flate2::Compression;
use flate2::write::GzEncoder;
use rand::Rng;
use rand::seq::SliceRandom;
use sha2::{Digest, Sha256};

use super::ids::{self, Alphabet, hash64, stream};
use super::org::{ACCOUNTS, HOME, ORGANIZATION, PROD, Region, SECURITY};
use super::record::Event;
use crate::error::{Error, ErrorKind, Result};

/// Name of the bucket that the organization's trail delivers to.
pub const BUCKET: &str = "fernwood-security-trail";
const HOUR: i64 = 3_600;

/// Where an object of the log belongs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Account id.
    pub account: &'static str,
    /// Region.
    pub region: Region,
    /// Unix time of the delivery in seconds.
    pub delivered: i64,
}

/// An object: where it is, and which events (by index) it holds, in which order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Key below the bucket.
    pub key: String,
    /// Indices of the events.
    pub events: Vec<usize>,
}

/// Sizes of what was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Bytes of JSON before compression.
    pub json_bytes: u64,
    /// Bytes of the files.
    pub bytes: u64,
}

/// `2026/01/31`, and `20260131T0905` in front of `Z`.
fn day_and_minute(seconds: i64) -> (String, String) {
    let text = ids::iso(seconds);
    let day = text[..10].replace('-', "/");
    (day, text[..16].replace(['-', ':'], ""))
}

/// Key of a log object; `unique` fills its last 16 letters.
pub fn log_key(place: &Place, unique: u64) -> String {
    let Place { account, region, delivered } = place;
    let (day, minute) = day_and_minute(*delivered);
    let tail = ids::spelled(Alphabet::Alphanumeric, 16, unique);
    format!(
        "AWSLogs/{ORGANIZATION}/{account}/CloudTrail/{region}/{day}/{account}_CloudTrail_{region}_{minute}Z_{tail}.json.gz"
    )
}

/// Sorts events into objects as CloudTrail delivers them until `end` (Unix time in seconds).
pub fn arrange(events: &[Event], seed: u64, end: i64) -> Vec<Object> {
    let mut rng = stream(seed, "delivery");
    let mut places: BTreeMap<Place, Vec<usize>> = BTreeMap::new();
    for (index, event) in events.iter().enumerate() {
        // A busy log is delivered every 15 minutes, a quiet one when an hour's worth has come together.
        let every = if event.account.id == PROD.id && event.region == HOME { HOUR / 4 } else { HOUR };
        let late = rng.random_range(0..1000) < 3;
        let delay = if late { rng.random_range(HOUR..20 * HOUR) } else { rng.random_range(120..480) };
        let delivered = ((event.time + delay).div_euclid(every) + 1) * every;
        let place = |delivered: i64| Place {
            account: event.account.id,
            region: event.region,
            delivered: delivered.min(end - end.rem_euclid(60)),
        };
        places.entry(place(delivered)).or_default().push(index);
        if rng.random_range(0..1000) < 2 && delivered + every <= end {
            places.entry(place(delivered + every)).or_default().push(index);
        }
    }
    places.into_iter().map(|(place, events)| shuffled(&place, events, seed)).collect()
}

fn shuffled(place: &Place, mut events: Vec<usize>, seed: u64) -> Object {
    let mut rng = stream(seed, &format!("{} {} {}", place.account, place.region, place.delivered));
    events.shuffle(&mut rng);
    Object { key: log_key(place, rng.random()), events }
}

/// The text of a log object.
pub fn log_text<'a>(records: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::from("{\"Records\":[");
    for (index, record) in records.enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(record);
    }
    text.push_str("]}");
    text
}

fn failed(what: &str, path: &Path, cause: std::io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, format!("cannot {what} {}", path.display()))
        .source(cause)
        .hint("check that the folder may be written to and that the disk is not full")
}

/// Writes a text, gzipped, to a key below a folder. Returns the sizes.
pub fn write_gzip(folder: &Path, key: &str, text: &str) -> Result<Written> {
    let path = folder.join(key);
    let parent = path.parent().unwrap_or(folder);
    fs::create_dir_all(parent).map_err(|cause| failed("make the folder", parent, cause))?;
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 8), Compression::new(6));
    let bytes = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish());
    let bytes = bytes.map_err(|cause| failed("compress", &path, cause))?;
    fs::write(&path, &bytes).map_err(|cause| failed("write", &path, cause))?;
    Ok(Written { json_bytes: text.len() as u64, bytes: bytes.len() as u64 })
}

/// Does `count` pieces of work on a few threads; the results add up.
pub fn in_parallel(count: usize, work: impl Fn(usize) -> Result<Written> + Sync) -> Result<Written> {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get().min(4));
    let run = || {
        let mut sum = Written::default();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return Ok(sum);
            }
            let written = work(index)?;
            sum.json_bytes += written.json_bytes;
            sum.bytes += written.bytes;
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        workers.into_iter().try_fold(Written::default(), |sum, worker| {
            let part: Written =
                worker.join().map_err(|_| Error::new(ErrorKind::Internal, "a writer of the demo panicked"))??;
            Ok(Written { json_bytes: sum.json_bytes + part.json_bytes, bytes: sum.bytes + part.bytes })
        })
    })
}

/// Writes the objects below the folder.
pub fn write(folder: &Path, events: &[Event], objects: &[Object]) -> Result<Written> {
    in_parallel(objects.len(), |index| {
        let Object { key, events: indices } = &objects[index];
        let text = log_text(indices.iter().map(|index| events[*index].record.as_str()));
        write_gzip(folder, key, &text)
    })
}

/// Objects that a trail's bucket holds beside its logs: a digest for each account, and one insight.
/// Returns keys and texts.
pub fn companions(events: &[Event], objects: &[Object], seed: u64, end: i64) -> Vec<(String, String)> {
    let mut texts: Vec<_> = ACCOUNTS.iter().map(|account| digest(account.id, events, objects, end)).collect();
    texts.push(insight(seed, end));
    texts
}

/// The digest of an account's last log object in the home region.
fn digest(account: &str, events: &[Event], objects: &[Object], end: i64) -> (String, String) {
    let prefix = format!("AWSLogs/{ORGANIZATION}/{account}/CloudTrail/{HOME}/");
    let last = objects.iter().rev().find(|object| object.key.starts_with(&prefix));
    let files: Vec<_> = last.into_iter().map(|object| listed(object, events)).collect();
    let (day, minute) = day_and_minute(end);
    let key = format!(
        "AWSLogs/{ORGANIZATION}/{account}/CloudTrail-Digest/{HOME}/{day}/{account}_CloudTrail-Digest_{HOME}_{BUCKET}_{HOME}_{minute}00Z.json.gz"
    );
    let text = serde_json::json!({
        "awsAccountId": account, "digestStartTime": ids::iso(end - HOUR), "digestEndTime": ids::iso(end),
        "digestS3Bucket": BUCKET, "digestS3Object": key, "digestSignatureAlgorithm": "SHA256withRSA",
        "digestPublicKeyFingerprint": ids::spelled(Alphabet::Hex, 32, hash64(account)),
        "newestEventTime": ids::iso(end), "oldestEventTime": ids::iso(end - HOUR),
        "previousDigestS3Bucket": null, "previousDigestS3Object": null, "previousDigestHashValue": null,
        "previousDigestHashAlgorithm": null, "previousDigestSignature": null, "logFiles": files,
    });
    (key, text.to_string())
}

fn listed(object: &Object, events: &[Event]) -> serde_json::Value {
    let text = log_text(object.events.iter().map(|index| events[*index].record.as_str()));
    let hash: String = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let times = || object.events.iter().map(|index| events[*index].time);
    serde_json::json!({
        "s3Bucket": BUCKET, "s3Object": object.key, "hashValue": hash, "hashAlgorithm": "SHA-256",
        "newestEventTime": times().max().map(ids::iso), "oldestEventTime": times().min().map(ids::iso),
    })
}

fn insight(seed: u64, end: i64) -> (String, String) {
    let account = SECURITY.id;
    let mut rng = stream(seed, "insight");
    let (day, minute) = day_and_minute(end);
    let tail = ids::spelled(Alphabet::Alphanumeric, 16, rng.random());
    let key = format!(
        "AWSLogs/{ORGANIZATION}/{account}/CloudTrail-Insight/{HOME}/{day}/{account}_CloudTrail-Insight_{HOME}_{minute}Z_{tail}.json.gz"
    );
    let shared = ids::uuid_text(ids::random_uuid(&mut rng));
    let records: Vec<_> = [("Start", end - 2 * HOUR), ("End", end - HOUR)]
        .into_iter()
        .map(|(state, time)| {
            serde_json::json!({
                "eventVersion": "1.09", "eventTime": ids::iso(time), "awsRegion": HOME,
                "eventID": ids::uuid_text(ids::random_uuid(&mut rng)), "eventType": "AwsCloudTrailInsight",
                "recipientAccountId": account, "sharedEventID": shared, "eventCategory": "Insight",
                "insightDetails": {
                    "state": state, "eventSource": "securityhub.amazonaws.com", "eventName": "BatchUpdateFindings",
                    "insightType": "ApiCallRateInsight",
                    "insightContext": {"statistics": {"baseline": {"average": 0.02}, "insight": {"average": 4.6},
                        "insightDuration": 60, "baselineDuration": 10_080}},
                },
            })
            .to_string()
        })
        .collect();
    (key, log_text(records.iter().map(String::as_str)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_cloudtrails_layout() {
        let place = Place { account: "333344445555", region: "eu-west-1", delivered: 1_769_850_300 };
        let key = log_key(&place, 7);
        let (folder, name) = key.rsplit_once('/').expect("folders");
        assert_eq!(folder, format!("AWSLogs/{ORGANIZATION}/333344445555/CloudTrail/eu-west-1/2026/01/31"));
        let tail = name.strip_prefix("333344445555_CloudTrail_eu-west-1_20260131T0905Z_").expect("name and minute");
        let unique = tail.strip_suffix(".json.gz").expect("suffix");
        assert!(unique.len() == 16 && unique.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{key}");
    }

    #[test]
    fn text_of_no_records_is_still_an_envelope() {
        assert_eq!(log_text(std::iter::empty()), r#"{"Records":[]}"#);
        assert_eq!(log_text(["{}", "{}"].into_iter()), r#"{"Records":[{},{}]}"#);
    }
}
