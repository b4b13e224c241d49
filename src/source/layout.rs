//! CloudTrail's folders: `[prefix/]AWSLogs/[o-ID/]ACCOUNT/CloudTrail…/REGION/YYYY/MM/DD/`.
//!
//! Owns: where a prefix stands in that layout, and the order of keys in it: below a region, keys are in the order of
//! their days, so that a range of days is a range of keys.
//! Refuses: a list of accounts, regions or organizations; what there is, is found by looking.

use chrono::{Datelike, NaiveDate};

/// The folder that every layout of CloudTrail has.
const LOGS: &str = "AWSLogs";

/// What stands directly below a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Anything: the layout begins below, if at all.
    Above,
    /// Organizations and accounts, or one organization's accounts.
    Accounts,
    /// The kinds of folder of an account: `CloudTrail`, `CloudTrail-Digest`, those of other services.
    Kinds,
    /// Regions.
    Regions,
    /// Years, months, days or the objects of one day.
    Days,
    /// Below `AWSLogs/`, and not of CloudTrail's layout.
    Foreign,
}

/// What the folders of a key say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Folders<'k> {
    /// Account whose events it holds.
    pub account: Option<&'k str>,
    /// `CloudTrail`, `CloudTrail-Insight` …; or the folder of another service.
    pub kind: Option<&'k str>,
    /// Region of the events.
    pub region: Option<&'k str>,
    /// Length of the key up to and with the slash behind the region.
    pub region_end: usize,
}

/// Level of a prefix, by its whole folders: what stands behind the last slash is not looked at.
pub fn level(prefix: &str) -> Level {
    let Some(start) = logs_end(prefix) else { return Level::Above };
    let mut parts = whole_parts(&prefix[start..]).peekable();
    if parts.peek().is_some_and(|part| is_organization(part)) {
        parts.next();
    }
    match (parts.next(), parts.next(), parts.next()) {
        (None, ..) => Level::Accounts,
        (Some(account), ..) if !is_account(account) => Level::Foreign,
        (_, None, _) => Level::Kinds,
        (_, Some(kind), _) if !is_cloudtrail(kind) => Level::Foreign,
        (_, _, None) => Level::Regions,
        _ => Level::Days,
    }
}

/// What the folders of a key say, as far as they follow the layout.
pub fn folders(key: &str) -> Folders<'_> {
    let mut found = Folders::default();
    let Some(mut at) = logs_end(key) else { return found };
    let mut parts = whole_parts(&key[at..]).peekable();
    if let Some(organization) = parts.next_if(|part| is_organization(part)) {
        at += organization.len() + 1;
    }
    found.account = parts.next().filter(|part| is_account(part));
    found.kind = found.account.and_then(|_| parts.next());
    found.region = found.kind.filter(|kind| is_cloudtrail(kind)).and_then(|_| parts.next());
    if let (Some(account), Some(kind), Some(region)) = (found.account, found.kind, found.region) {
        found.region_end = at + account.len() + kind.len() + region.len() + 3;
    }
    found
}

/// The tree of logs that a key is in: everything up to and with `AWSLogs/`.
pub fn tree(key: &str) -> Option<&str> {
    folders(key).account.and(logs_end(key)).map(|end| &key[..end])
}

/// The region's prefix that a key or prefix is below; the unit in which listings are remembered.
pub fn region_prefix(key: &str) -> Option<&str> {
    match folders(key).region_end {
        0 => None,
        end => Some(&key[..end]),
    }
}

/// The name of the folder that a prefix ends with.
pub fn last_folder(prefix: &str) -> &str {
    prefix.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

/// The first of all keys of a day, and of those after it, below a region's prefix.
pub fn day_start(region_prefix: &str, day: NaiveDate) -> String {
    format!("{region_prefix}{:04}/{:02}/{:02}/", day.year(), day.month(), day.day())
}

/// Whether keys below a folder can be in a range of keys (from the first, up to but without the last).
pub fn overlaps(folder: &str, start: Option<&str>, end: Option<&str>) -> bool {
    start.is_none_or(|start| folder >= start || start.starts_with(folder)) && end.is_none_or(|end| folder < end)
}

/// When an object was delivered, as its name has it (`…_20260105T0625Z_RANDOM.json.gz`): a text that sorts by time; empty
/// where the name is another.
pub fn delivered(key: &str) -> &str {
    let name = key.rsplit('/').next().unwrap_or_default();
    name.rsplit('_').nth(1).filter(|time| time.len() == 14 && time.ends_with('Z')).unwrap_or_default()
}

/// Where the part behind `AWSLogs/` begins: the last one that stands in front of an account or an organization,
/// else the last one at all.
fn logs_end(key: &str) -> Option<usize> {
    let ends = key.match_indices(LOGS).filter_map(|(at, _)| {
        let end = at + LOGS.len() + 1;
        let whole = (at == 0 || key.as_bytes()[at - 1] == b'/') && key.as_bytes().get(end - 1) == Some(&b'/');
        whole.then_some(end)
    });
    let leads_on = |&end: &usize| {
        let next = whole_parts(&key[end..]).next();
        next.is_none_or(|part| is_account(part) || is_organization(part))
    };
    ends.clone().filter(leads_on).last().or_else(|| ends.last())
}

/// The parts that end with a slash.
fn whole_parts(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive('/').filter_map(|part| part.strip_suffix('/'))
}

fn is_organization(part: &str) -> bool {
    part.strip_prefix("o-").is_some_and(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

fn is_account(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_cloudtrail(part: &str) -> bool {
    part.strip_prefix("CloudTrail").is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_when_it_was_delivered() {
        let key =
            "AWSLogs/111122223333/CloudTrail/eu-west-1/2026/01/05/1_CloudTrail_eu-west-1_20260105T0625Z_Ab.json.gz";
        assert_eq!(delivered(key), "20260105T0625Z");
        assert_eq!(delivered("export/part_1_2.json.gz"), "");
        assert_eq!(delivered("a/b.json.gz"), "");
    }

    #[test]
    fn every_level_is_known_by_its_folders() {
        for (prefix, expected) in [
            ("", Level::Above),
            ("logs/", Level::Above),
            ("AWSLogs", Level::Above),
            ("AWSLogs/", Level::Accounts),
            ("p/q/AWSLogs/o-abc123/", Level::Accounts),
            ("AWSLogs/o-abc123/1111", Level::Accounts),
            ("AWSLogs/111122223333/", Level::Kinds),
            ("AWSLogs/o-abc123/111122223333/", Level::Kinds),
            ("AWSLogs/111122223333/CloudTrail/", Level::Regions),
            ("AWSLogs/o-a/111122223333/CloudTrail-NetworkActivity/", Level::Regions),
            ("AWSLogs/111122223333/CloudTrail/eu-west-1/", Level::Days),
            ("AWSLogs/111122223333/CloudTrail/eu-west-1/2026/01/31/", Level::Days),
            ("AWSLogs/111122223333/vpcflowlogs/", Level::Foreign),
            ("AWSLogs/111122223333/CloudTrailing/", Level::Foreign),
            ("AWSLogs/backup/", Level::Foreign),
            ("AWSLogs/AWSLogs/111122223333/", Level::Kinds),
            ("MyAWSLogs/111122223333/", Level::Above),
        ] {
            assert_eq!(level(prefix), expected, "{prefix}");
        }
    }

    #[test]
    fn folders_tell_account_kind_and_region() {
        let key = "p/AWSLogs/o-abc/111122223333/CloudTrail/eu-west-1/2026/01/31/x.json.gz";
        let found = folders(key);
        assert_eq!((found.account, found.kind), (Some("111122223333"), Some("CloudTrail")));
        let region = "p/AWSLogs/o-abc/111122223333/CloudTrail/eu-west-1/";
        assert_eq!((found.region, region_prefix(key)), (Some("eu-west-1"), Some(region)));
        assert_eq!((region_prefix(region), tree(key)), (Some(region), Some("p/AWSLogs/")));
        let other = folders("AWSLogs/111122223333/Config/eu-west-1/x.json.gz");
        assert_eq!((other.kind, other.region), (Some("Config"), None));
        assert_eq!(folders("a/b.json.gz"), Folders::default());
        assert_eq!(folders("AWSLogs/x.json.gz"), Folders::default());
        assert_eq!(tree("AWSLogs/readme.txt"), None);
    }

    #[test]
    fn days_are_ranges_of_keys() {
        let day = |day| NaiveDate::from_ymd_opt(2026, 1, day).unwrap();
        let (start, end) = (day_start("r/", day(9)), day_start("r/", day(11)));
        assert_eq!((start.as_str(), end.as_str()), ("r/2026/01/09/", "r/2026/01/11/"));
        let within = |folder: &str| overlaps(folder, Some(&start), Some(&end));
        for folder in ["r/", "r/2026/", "r/2026/01/", "r/2026/01/09/", "r/2026/01/10/", "r/2026/01/10/odd/"] {
            assert!(within(folder), "{folder}");
        }
        for folder in ["r/2025/", "r/2026/01/08/", "r/2026/01/11/", "r/2026/02/", "s/"] {
            assert!(!within(folder), "{folder}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_the_key_nothing_panics_and_the_unit_is_a_head_of_it(key in "[a-zA-ZWSLogs0-9/ü-]{0,60}") {
            let _ = (level(&key), tree(&key));
            proptest::prop_assert!(region_prefix(&key).is_none_or(|unit| key.starts_with(unit) && unit.ends_with('/')));
        }

        #[test]
        fn a_folder_left_out_holds_no_key_of_the_range(
            folder in "[ab/]{1,4}/", rest in "[ab/]{0,4}", start in "[ab/]{0,6}", end in "[ab/]{0,6}",
        ) {
            let key = format!("{folder}{rest}");
            let wanted = key >= start && key < end;
            proptest::prop_assert!(!wanted || overlaps(&folder, Some(&start), Some(&end)));
        }
    }
}
