//! What a digest is of, from its name alone.
//!
//! Owns: the layout `[prefix/]AWSLogs/[o-ID/]ACCOUNT/CloudTrail-Digest/REGION/YYYY/MM/DD/` and the file name
//! `ACCOUNT_CloudTrail-Digest_REGION_TRAIL_HOMEREGION_YYYYMMDDTHHMMSSZ[_backfill].json.gz` in it.
//! Refuses: to split on `_`. A trail's name may hold `_`, `-` and `.`, so the name is read from both of its ends.

use chrono::{DateTime, NaiveDateTime, Utc};
use serde::Serialize;

/// Which of a trail's two chains a digest belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Chain {
    /// Written hour by hour.
    Standard,
    /// Written later, for hours whose digest was late or wrong; linked among themselves only.
    Backfill,
}

/// The parts of a digest's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DigestKey<'k> {
    /// The organization's id, where the folders have one.
    pub organization: Option<&'k str>,
    /// Account whose calls are logged.
    pub account: &'k str,
    /// Region whose calls are logged.
    pub region: &'k str,
    /// Name of the trail.
    pub trail: &'k str,
    /// Region in which the trail was made.
    pub home_region: &'k str,
    /// End of the time the digest is of.
    pub ends: DateTime<Utc>,
    /// Its chain.
    pub chain: Chain,
}

/// Reads a key (or the path of a copy); `None` where it is not a digest's. Folders matter for the organization only:
/// a digest that was put elsewhere is still one, and is found out by what it says of itself.
pub fn parse(key: &str) -> Option<DigestKey<'_>> {
    let (folders, name) = key.rsplit_once('/').unwrap_or(("", key));
    let stem = name.strip_suffix(".json.gz")?;
    let (stem, chain) = match stem.strip_suffix("_backfill") {
        Some(stem) => (stem, Chain::Backfill),
        None => (stem, Chain::Standard),
    };
    let (stem, time) = stem.rsplit_once('_')?;
    let (stem, home_region) = stem.rsplit_once('_')?;
    let (account, stem) = stem.split_once('_')?;
    let (region, trail) = stem.strip_prefix("CloudTrail-Digest_")?.split_once('_')?;
    let whole = is_account(account) && is_region(region) && is_region(home_region) && !trail.is_empty();
    let organization = organization(folders, account);
    let ends = instant(time)?;
    whole.then_some(DigestKey { organization, account, region, trail, home_region, ends, chain })
}

/// The parts of a log file's key that tell which digest lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogKey<'k> {
    /// Account whose calls are logged.
    pub account: &'k str,
    /// Region whose calls are logged.
    pub region: &'k str,
    /// Minute in which it was delivered.
    pub delivered: DateTime<Utc>,
}

/// Reads the key of a log file, `…/ACCOUNT_CloudTrail_REGION_YYYYMMDDTHHMMZ_….json.gz`; `None` where it is none.
pub fn parse_log(key: &str) -> Option<LogKey<'_>> {
    let name = key.rsplit('/').next()?;
    let (account, rest) = name.split_once('_')?;
    let (kind, rest) = rest.split_once('_')?;
    let (region, rest) = rest.split_once('_')?;
    let minute = rest.get(..13)?;
    let whole =
        is_account(account) && kind.starts_with("CloudTrail") && is_region(region) && rest[13..].starts_with('Z');
    let delivered = instant(&format!("{minute}00Z"))?;
    whole.then_some(LogKey { account, region, delivered })
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_region(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

/// `20260131T145959Z`
fn instant(text: &str) -> Option<DateTime<Utc>> {
    let digits = text.bytes().enumerate().all(|(at, byte)| match at {
        8 => byte == b'T',
        15 => byte == b'Z',
        _ => byte.is_ascii_digit(),
    });
    let parsed = || NaiveDateTime::parse_from_str(text, "%Y%m%dT%H%M%SZ").ok();
    (digits && text.len() == 16).then(parsed).flatten().map(|time| time.and_utc())
}

/// `…/o-ID/ACCOUNT/CloudTrail-Digest/…` -> `o-ID`.
fn organization<'k>(folders: &'k str, account: &str) -> Option<&'k str> {
    let mut parts = folders.rsplit('/').skip_while(|part| *part != "CloudTrail-Digest").skip(1);
    parts.next().filter(|part| *part == account)?;
    parts.next().filter(|part| part.starts_with("o-"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "p/AWSLogs/o-abc/111122223333/CloudTrail-Digest/eu-west-1/2026/01/31/\
                       111122223333_CloudTrail-Digest_eu-west-1_main_us-east-1_20260131T140131Z.json.gz";

    #[test]
    fn parts_are_read() {
        let key = parse(KEY).unwrap();
        assert_eq!(key.organization, Some("o-abc"));
        assert_eq!(
            (key.account, key.region, key.trail, key.home_region),
            ("111122223333", "eu-west-1", "main", "us-east-1")
        );
        assert_eq!(key.ends.to_rfc3339(), "2026-01-31T14:01:31+00:00");
        assert_eq!(key.chain, Chain::Standard);
        assert_eq!(parse(&KEY.replace("/o-abc", "")).unwrap().organization, None);
        assert_eq!(parse(KEY.rsplit('/').next().unwrap()).unwrap().trail, "main");
        assert_eq!(parse(&KEY.replace("Z.json", "Z_backfill.json")).unwrap().chain, Chain::Backfill);
    }

    #[test]
    fn log_files_are_told_by_account_region_and_minute() {
        let log = parse_log("a/111122223333_CloudTrail_eu-west-1_20260131T1405Z_AbCd.json.gz").unwrap();
        assert_eq!((log.account, log.region), ("111122223333", "eu-west-1"));
        assert_eq!(log.delivered.to_rfc3339(), "2026-01-31T14:05:00+00:00");
        assert!(parse_log("111122223333_CloudTrail_eu-west-1_20260131T1405ZAbCd.json.gz").is_some());
        for other in [
            KEY,
            "",
            "x.json",
            "111122223333_CloudTrail_eu-west-1_2026",
            "111122223333_Config_eu-west-1_20260131T1405Z_",
        ] {
            assert_eq!(parse_log(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_no_digest_is_none() {
        for (from, to) in [
            ("_CloudTrail-Digest_", "_CloudTrail_"),
            ("T140131Z", "T1401Z"),
            ("T140131Z", "T146131Z"),
            ("20260131T", "20260132T"),
            ("T140131Z", "T+40131Z"),
            ("Z.json.gz", "Z.json"),
            ("Z.json.gz", "Z.json.gz.metadata.json"),
            ("Z.json.gz", "Z_Backfill.json.gz"),
            ("_main_", "_"),
            ("_main_", "__"),
            ("111122223333_", "11112222333_"),
            ("_us-east-1_", "_US-EAST-1_"),
        ] {
            assert_eq!(parse(&KEY.replace(from, to)), None, "{to} for {from}");
        }
        for other in ["", "/", "_", ".json.gz", "____.json.gz"] {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn any_trail_name_comes_back(trail in "[A-Za-z0-9._-]{1,40}", backfill: bool, seconds in 0i64..4_000_000_000) {
            let ends = DateTime::from_timestamp(seconds, 0).unwrap();
            let suffix = if backfill { "_backfill" } else { "" };
            let time = ends.format("%Y%m%dT%H%M%SZ");
            let text = format!("a_b/111122223333_CloudTrail-Digest_eu-west-1_{trail}_us-east-1_{time}{suffix}.json.gz");
            let key = parse(&text).unwrap();
            prop_assert_eq!((key.trail, key.ends, key.chain == Chain::Backfill), (trail.as_str(), ends, backfill));
        }

        #[test]
        fn no_text_is_too_much(text in "\\PC{0,80}") {
            let _ = (parse(&text), parse_log(&text), parse_log(&format!("111122223333_CloudTrail_r_{text}")));
            let _ = parse(&format!("{text}_CloudTrail-Digest_{text}.json.gz"));
        }
    }
}
