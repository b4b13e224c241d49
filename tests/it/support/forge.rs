//! Log files and digests as CloudTrail delivers them, signed with keys that the tests make.
//!
//! The library's own tests include this file too.

use std::io::Write;
use std::sync::LazyLock;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use md5::Md5;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// A key pair of CloudTrail's.
pub struct Signer(KeyPair);

/// Two keys, for rotation; made once per program.
pub static SIGNERS: LazyLock<[Signer; 2]> = LazyLock::new(|| {
    let make = || Signer(KeyPair::generate(KeySize::Rsa2048).expect("a key"));
    [make(), make()]
});

impl Signer {
    /// The public key as PKCS#1 `RSAPublicKey` in DER.
    pub fn pkcs1(&self) -> Vec<u8> {
        self.0.public_key().as_ref().to_vec()
    }

    /// The public key as SPKI in DER.
    pub fn spki(&self) -> Vec<u8> {
        self.0.public_key().as_der().expect("encodes").as_ref().to_vec()
    }

    /// CloudTrail's name of the key.
    pub fn fingerprint(&self) -> String {
        hex::encode(Md5::digest(self.pkcs1()))
    }

    /// A signature in hexadecimal.
    pub fn sign(&self, text: &str) -> String {
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).expect("signs");
        hex::encode(signature)
    }
}

/// What `aws cloudtrail list-public-keys` prints, with these keys (DER) in it.
pub fn public_keys(keys: &[Vec<u8>]) -> Value {
    let key = |der: &Vec<u8>| {
        json!({
            "Value": STANDARD.encode(der),
            "ValidityStartTime": "2026-01-01T00:00:00+00:00",
            "ValidityEndTime": "2027-01-01T00:00:00+00:00",
            "Fingerprint": hex::encode(Md5::digest(der)),
        })
    };
    json!({ "PublicKeyList": keys.iter().map(key).collect::<Vec<_>>() })
}

/// PEM with this label.
pub fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines: Vec<&str> = body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// Packed as CloudTrail does.
pub fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).expect("packs");
    encoder.finish().expect("packs")
}

/// SHA-256 in hexadecimal.
pub fn sha256(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// A log file.
#[derive(Debug, Clone)]
pub struct Log {
    pub key: String,
    pub text: String,
    /// Time of its oldest event.
    pub oldest: DateTime<Utc>,
}

/// A digest with the log files that it lists.
#[derive(Debug, Clone)]
pub struct Forged {
    pub bucket: String,
    pub key: String,
    pub text: String,
    pub signature: String,
    pub starts: DateTime<Utc>,
    pub ends: DateTime<Utc>,
    pub backfill: bool,
    pub logs: Vec<Log>,
}

impl Forged {
    /// The object's metadata without `x-amz-meta-`.
    pub fn metadata(&self) -> Vec<(String, String)> {
        let mut metadata = vec![
            ("signature".to_owned(), self.signature.clone()),
            ("signature-algorithm".to_owned(), "SHA256withRSA".to_owned()),
        ];
        if self.backfill {
            metadata.push(("backfill-generation-timestamp".to_owned(), "2026-03-01T00:00:00.000Z".to_owned()));
        }
        metadata
    }
}

/// One trail in one account and region, as it lives.
#[derive(Debug, Clone)]
pub struct Trail {
    pub bucket: String,
    /// Up to the account.
    pub prefix: String,
    pub account: String,
    pub region: String,
    pub name: String,
    pub home_region: String,
    /// Which of `SIGNERS` signs.
    pub signer: usize,
    pub backfill: bool,
    /// End of the last digest.
    pub clock: DateTime<Utc>,
    /// Key, hash and signature of the last digest.
    pub previous: Option<(String, String, String, String)>,
}

impl Trail {
    pub fn new(account: &str, region: &str, clock: &str) -> Self {
        Self {
            bucket: "trail-bucket".to_owned(),
            prefix: format!("AWSLogs/o-abc/{account}"),
            account: account.to_owned(),
            region: region.to_owned(),
            name: "main".to_owned(),
            home_region: "us-east-1".to_owned(),
            signer: 0,
            backfill: false,
            clock: clock.parse().expect("a time"),
            previous: None,
        }
    }

    /// A log file delivered `minutes` into the next hour, with its text.
    pub fn log(&self, minutes: i64, text: &str) -> Log {
        let delivered = self.clock + TimeDelta::minutes(minutes);
        let (day, time) = (delivered.format("%Y/%m/%d"), delivered.format("%Y%m%dT%H%MZ"));
        let Self { prefix, account, region, .. } = self;
        let unique = &sha256(&format!("{text}{account}{region}{time}{}", self.name))[..16];
        Log {
            key: format!("{prefix}/CloudTrail/{region}/{day}/{account}_CloudTrail_{region}_{time}_{unique}.json.gz"),
            text: text.to_owned(),
            oldest: delivered - TimeDelta::minutes(5),
        }
    }

    /// The next hour's digest.
    pub fn hour(&mut self, logs: Vec<Log>) -> Forged {
        self.digest(logs, TimeDelta::hours(1))
    }

    /// The next digest, of a time of that length.
    pub fn digest(&mut self, logs: Vec<Log>, length: TimeDelta) -> Forged {
        let (starts, ends) = (self.clock, self.clock + length);
        let key = self.key(ends);
        let text = self.text(&key, starts, ends, &logs).to_string();
        let previous = self.previous.as_ref().map_or("null", |(.., signature)| signature);
        let instant = ends.format("%Y-%m-%dT%H:%M:%SZ");
        let signed = format!("{instant}\n{}/{key}\n{}\n{previous}", self.bucket, sha256(&text));
        let signature = SIGNERS[self.signer].sign(&signed);
        self.previous = Some((self.bucket.clone(), key.clone(), sha256(&text), signature.clone()));
        self.clock = ends;
        Forged { bucket: self.bucket.clone(), key, text, signature, starts, ends, backfill: self.backfill, logs }
    }

    /// Logging is off for some hours; the next digest starts a chain.
    pub fn pause(&mut self, hours: i64) {
        self.clock += TimeDelta::hours(hours);
        self.previous = None;
    }

    fn key(&self, ends: DateTime<Utc>) -> String {
        let Self { prefix, account, region, name, home_region, .. } = self;
        let (day, time) = (ends.format("%Y/%m/%d"), ends.format("%Y%m%dT%H%M%SZ"));
        let suffix = if self.backfill { "_backfill" } else { "" };
        format!(
            "{prefix}/CloudTrail-Digest/{region}/{day}/\
             {account}_CloudTrail-Digest_{region}_{name}_{home_region}_{time}{suffix}.json.gz"
        )
    }

    fn text(&self, key: &str, starts: DateTime<Utc>, ends: DateTime<Utc>, logs: &[Log]) -> Value {
        let instant = |time: DateTime<Utc>| time.format("%Y-%m-%dT%H:%M:%SZ").to_string();
        let file = |log: &Log| {
            json!({
                "s3Bucket": self.bucket, "s3Object": log.key, "hashValue": sha256(&log.text), "hashAlgorithm": "SHA-256",
                "newestEventTime": instant(log.oldest + TimeDelta::minutes(1)), "oldestEventTime": instant(log.oldest),
            })
        };
        let previous = self.previous.as_ref();
        json!({
            "awsAccountId": self.account, "digestStartTime": instant(starts), "digestEndTime": instant(ends),
            "digestS3Bucket": self.bucket, "digestS3Object": key,
            "newestEventTime": logs.iter().map(|log| instant(log.oldest)).max(),
            "oldestEventTime": logs.iter().map(|log| instant(log.oldest)).min(),
            "previousDigestS3Bucket": previous.map(|previous| &previous.0),
            "previousDigestS3Object": previous.map(|previous| &previous.1),
            "previousDigestHashValue": previous.map(|previous| &previous.2),
            "previousDigestHashAlgorithm": previous.map(|_| "SHA-256"),
            "previousDigestSignature": previous.map(|previous| &previous.3),
            "digestPublicKeyFingerprint": SIGNERS[self.signer].fingerprint(),
            "digestSignatureAlgorithm": "SHA256withRSA",
            "logFiles": logs.iter().map(file).collect::<Vec<_>>(),
        })
    }
}
