//! Any bytes as a digest, as a file of public keys, and as a key's name.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::digest::{self, key, signature};

/// What a digest says is what serde_json reads in the same text, letter by letter where it is signed.
pub fn check(bytes: &[u8]) {
    if let Ok(digest) = digest::parse(bytes) {
        // what a digest does not read may hold escapes that are none
        let members: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(bytes).expect("what is a digest is JSON");
        let maybe = |name: &str| members.get(name).and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
        let text = |name: &str| maybe(name).unwrap_or_default();
        assert_eq!(digest.ends_text, text("digestEndTime"));
        assert_eq!((&digest.location.bucket, &digest.location.key), (&text("digestS3Bucket"), &text("digestS3Object")));
        assert_eq!(digest.previous_signature, maybe("previousDigestSignature"));
        let files = members.get("logFiles").and_then(|raw| serde_json::from_str::<Vec<Box<RawValue>>>(raw.get()).ok());
        assert_eq!(digest.log_files.len(), files.map_or(0, |files| files.len()));
        let previous = maybe("previousDigestSignature").unwrap_or_else(|| "null".to_owned());
        let hash = digest::hash(bytes);
        let bucket_and_key = format!("{}/{}", text("digestS3Bucket"), text("digestS3Object"));
        let expected = [text("digestEndTime"), bucket_and_key, hash.clone(), previous].join("\n");
        assert_eq!(signature::string_to_sign(&digest, &hash), expected);
    }
    // files of keys are the user's own, but may be any file
    let _ = signature::parse_keys(bytes);
    check_key(&String::from_utf8_lossy(bytes));
}

/// The parts of a digest's name, put together again, are the name.
fn check_key(name: &str) {
    let Some(parts) = key::parse(name) else { return };
    let backfill = if parts.chain == key::Chain::Backfill { "_backfill" } else { "" };
    let (account, region, trail, home) = (parts.account, parts.region, parts.trail, parts.home_region);
    let ends = parts.ends.format("%Y%m%dT%H%M%SZ");
    let whole = format!("{account}_CloudTrail-Digest_{region}_{trail}_{home}_{ends}{backfill}.json.gz");
    assert_eq!(name.rsplit('/').next(), Some(whole.as_str()));
}
