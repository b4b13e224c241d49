//! What an object is, from its name alone.
//!
//! Owns: CloudTrail's key layout, `[prefix/]AWSLogs/[o-ID/]ACCOUNT/CloudTrail/REGION/YYYY/MM/DD/…_YYYYMMDDTHHMMZ_….json.gz`,
//! and its neighbours that hold no events of the kind `events` takes.
//! Refuses: to turn a key into a path to write to; a key is text and nothing else.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use serde::Serialize;

use super::layout;

/// What an object holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Records of calls.
    Log,
    /// Hashes of log files, for checking them.
    Digest,
    /// CloudTrail Insights.
    Insight,
    /// Five-minute sums of data events.
    Aggregated,
    /// Nothing that CloudTrail writes.
    Other,
}

/// Kind of an object by its key.
pub fn kind(key: &str) -> Kind {
    // an account's folder in a bucket of logs may hold those of other services too (Config, load balancers, flow logs)
    if layout::level(key) == layout::Level::Foreign && layout::folders(key).kind.is_some() {
        return Kind::Other;
    }
    let says = |word: &str| key.contains(&format!("/{word}/")) || file_name(key).contains(&format!("_{word}_"));
    if says("CloudTrail-Digest") {
        Kind::Digest
    } else if says("CloudTrail-Insight") {
        Kind::Insight
    } else if says("CloudTrail-Aggregated") {
        Kind::Aggregated
    } else if is_json(key) {
        Kind::Log
    } else {
        Kind::Other
    }
}

/// Kind of the objects of a folder of CloudTrail's layout, by the folders of its prefix.
pub fn folder_kind(prefix: &str) -> Kind {
    kind(&format!("{prefix}x.json.gz"))
}

/// Account and region whose events an object holds, as far as its key tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Origin<'k> {
    /// Account id.
    pub account: Option<&'k str>,
    /// Region.
    pub region: Option<&'k str>,
}

/// Account and region by the folders of a key, else by its name `ACCOUNT_CloudTrail…_REGION_…`.
pub fn origin(key: &str) -> Origin<'_> {
    let folders = layout::folders(key);
    let mut parts = file_name(key).split('_');
    let (account, kind, region) = (parts.next(), parts.next(), parts.next());
    let named = kind.is_some_and(|kind| kind.starts_with("CloudTrail"));
    Origin {
        account: folders.account.or(account.filter(|_| named)),
        region: folders.region.or(region.filter(|_| named)),
    }
}

fn file_name(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}

fn is_json(key: &str) -> bool {
    let name = file_name(key).to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    [".json", ".jsonl", ".ndjson"].iter().any(|extension| name.ends_with(extension))
}

/// The UTC day an object belongs to: the folders `YYYY/MM/DD` of its key, else the delivery time in its name.
pub fn date(key: &str) -> Option<NaiveDate> {
    let parts: Vec<&str> = key.split('/').collect();
    let folders = parts.windows(3).rev().find_map(|window| match window {
        [year, month, day] if (year.len(), month.len(), day.len()) == (4, 2, 2) => ymd(year, month, day),
        _ => None,
    });
    folders.or_else(|| delivery_date(file_name(key)))
}

fn ymd(year: &str, month: &str, day: &str) -> Option<NaiveDate> {
    // a number may have a sign, a date not
    if ![year, month, day].iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit())) {
        return None;
    }
    NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)
}

/// `…_20210729T2355Z_…` -> 2021-07-29.
fn delivery_date(name: &str) -> Option<NaiveDate> {
    delivery(name).map(|(date, _)| date)
}

fn delivery(name: &str) -> Option<(NaiveDate, &str)> {
    name.split('_').find_map(|part| {
        let (date, time) = part.split_once('T')?;
        let digits = date.len() == 8 && date.is_ascii() && time.contains('Z');
        digits.then(|| ymd(&date[..4], &date[4..6], &date[6..])).flatten().map(|date| (date, time))
    })
}

/// The minute of delivery that an object's name tells.
pub fn delivered(key: &str) -> Option<DateTime<Utc>> {
    let (date, time) = delivery(file_name(key))?;
    let (hour, minute) = (time.get(..2)?.parse().ok()?, time.get(2..4)?.parse().ok()?);
    NaiveTime::from_hms_opt(hour, minute, 0).map(|time| date.and_time(time).and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "p/AWSLogs/o-abc/111122223333/CloudTrail/eu-west-1/2026/01/31/111122223333_CloudTrail_eu-west-1_20260131T2355Z_AbCdEfGhIjKlMnOp.json.gz";

    #[test]
    fn logs_are_told_from_their_neighbours() {
        assert_eq!(kind(LOG), Kind::Log);
        assert_eq!(kind(&LOG.replace("CloudTrail", "CloudTrail-Digest")), Kind::Digest);
        assert_eq!(kind(&LOG.replace("CloudTrail", "CloudTrail-Insight")), Kind::Insight);
        assert_eq!(kind(&LOG.replace("CloudTrail", "CloudTrail-NetworkActivity")), Kind::Log);
        assert_eq!(kind(&LOG.replace("CloudTrail", "CloudTrail-Aggregated")), Kind::Aggregated);
        assert_eq!(kind("AWSLogs/111122223333/Config/eu-west-1/2026/1/31/ConfigHistory/x.json.gz"), Kind::Other);
        assert_eq!(kind("AWSLogs/copied/x.json.gz"), Kind::Log);
        for other in ["AWSLogs/", "readme.txt", "a.json.bak", "", "x.parquet"] {
            assert_eq!(kind(other), Kind::Other, "{other}");
        }
        for log in ["a.json", "a.JSON.GZ", "dir/a.ndjson", "a.jsonl.gz"] {
            assert_eq!(kind(log), Kind::Log, "{log}");
        }
    }

    #[test]
    fn the_origin_comes_from_folders_or_name() {
        let origin = |account, region| Origin { account, region };
        assert_eq!(super::origin(LOG), origin(Some("111122223333"), Some("eu-west-1")));
        let flat = LOG.rsplit('/').next().unwrap();
        assert_eq!(super::origin(flat), origin(Some("111122223333"), Some("eu-west-1")));
        assert_eq!(super::origin("my_own_file.json"), origin(None, None));
    }

    #[test]
    fn the_day_comes_from_folders_or_name() {
        let day = NaiveDate::from_ymd_opt(2026, 1, 31);
        assert_eq!(date(LOG), day);
        assert_eq!(date("flat/111122223333_CloudTrail_eu-west-1_20260131T2355Z_AbCd.json.gz"), day);
        assert_eq!(date("flat/111122223333_CloudTrail_eu-west-1_20260131T2355ZAbCd.json.gz"), day);
        assert_eq!(delivered(LOG), Some("2026-01-31T23:55:00Z".parse().unwrap()));
        assert_eq!(delivered("x_20260131Tü9Z_.json"), None);
        assert_eq!(date("2026/13/31/x.json"), None);
        assert_eq!(date("../../etc/passwd"), None);
        assert_eq!(date("AWSLogs/+026/01/31/x.json"), None);
    }
}
