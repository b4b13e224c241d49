//! Which objects are asked for.
//!
//! Owns: the filters by kind, account, region, time and name, as a test of an object and as a test of a whole prefix, so
//! that what is not wanted is not listed either.
//! Invariant: a prefix that is left out holds no object that would be taken.

use std::collections::BTreeSet;
use std::path::Path;

use chrono::{DateTime, NaiveDate, NaiveTime, Timelike, Utc};
use globset::{Glob, GlobSet, GlobSetBuilder};

use super::key::{self, Kind};
use super::layout::{self, Level};
use crate::error::{Error, ErrorKind, Result};

/// Which objects are asked for; the default is every log.
#[derive(Debug, Clone)]
pub struct Selection {
    /// Kinds of object.
    pub kinds: BTreeSet<Kind>,
    /// First delivery (by the key) to take.
    pub from: Option<DateTime<Utc>>,
    /// First delivery not to take.
    pub to: Option<DateTime<Utc>>,
    /// Accounts; empty for all.
    pub accounts: BTreeSet<String>,
    /// Regions of the trail's folders; empty for all.
    pub regions: BTreeSet<String>,
    /// Names.
    pub names: Names,
}

impl Default for Selection {
    fn default() -> Self {
        Self {
            kinds: BTreeSet::from([Kind::Log, Kind::Insight, Kind::Aggregated]),
            from: None,
            to: None,
            accounts: BTreeSet::new(),
            regions: BTreeSet::new(),
            names: Names::default(),
        }
    }
}

/// Patterns of keys; `*` stands for any text, slashes too.
#[derive(Debug, Clone, Default)]
pub struct Names {
    include: GlobSet,
    /// What every key that matches a pattern of `include` begins with.
    heads: Vec<String>,
    exclude: GlobSet,
    /// The patterns of `exclude` that end with `*`: those that match a prefix match all below it.
    exclude_all: GlobSet,
}

impl Names {
    /// Compiles patterns.
    ///
    /// # Errors
    /// `Usage` for one that is wrong.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self> {
        let open: Vec<String> = exclude.iter().filter(|pattern| pattern.ends_with('*')).cloned().collect();
        Ok(Self {
            include: set(include)?,
            heads: include.iter().map(|pattern| head(pattern)).collect(),
            exclude: set(exclude)?,
            exclude_all: set(&open)?,
        })
    }

    /// Whether there is any pattern.
    pub fn is_empty(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty()
    }

    fn takes(&self, key: &str) -> bool {
        let path = Path::new(key);
        (self.include.is_empty() || self.include.is_match(path)) && !self.exclude.is_match(path)
    }

    fn enters(&self, prefix: &str) -> bool {
        let may = |head: &String| head.starts_with(prefix) || prefix.starts_with(head.as_str());
        (self.heads.is_empty() || self.heads.iter().any(may)) && !self.exclude_all.is_match(Path::new(prefix))
    }
}

fn set(patterns: &[String]) -> Result<GlobSet> {
    let wrong = |error: globset::Error| {
        Error::new(ErrorKind::Usage, "a pattern of names is wrong").source(error).hint("write e.g. '*/eu-west-1/*'")
    };
    let mut builder = GlobSetBuilder::new();
    for pattern in patterns {
        builder.add(Glob::new(pattern).map_err(wrong)?);
    }
    builder.build().map_err(wrong)
}

/// The text in front of a pattern's first special character.
fn head(pattern: &str) -> String {
    pattern.split(['*', '?', '[', '{', '\\']).next().unwrap_or_default().to_owned()
}

impl Selection {
    /// Whether an object is asked for, its kind aside. Patterns are held against `name`: the key, or the path below the
    /// folder that is the source.
    pub fn takes(&self, key: &str, name: &str, day: NaiveDate) -> bool {
        let origin = key::origin(key);
        let among = |wanted: &BTreeSet<String>, value: Option<&str>| {
            wanted.is_empty() || value.is_some_and(|value| wanted.contains(value))
        };
        among(&self.accounts, origin.account)
            && among(&self.regions, origin.region)
            && self.names.takes(name)
            && self.in_time(key, day)
    }

    /// By the minute of delivery where the name tells it, else by the day.
    fn in_time(&self, key: &str, day: NaiveDate) -> bool {
        if self.from.is_none() && self.to.is_none() {
            return true;
        }
        let begin = day.and_time(NaiveTime::MIN).and_utc();
        let (first, last) = match key::delivered(key) {
            Some(minute) => (minute, minute),
            None => (begin, begin + chrono::Days::new(1) - chrono::TimeDelta::microseconds(1)),
        };
        self.from.is_none_or(|from| last >= from) && self.to.is_none_or(|to| first < to)
    }

    /// Whether a prefix can hold an object that is asked for, its kind and day aside; `name` as in [`Selection::takes`].
    pub fn enters(&self, prefix: &str, name: &str) -> bool {
        let folders = layout::folders(prefix);
        let among = |wanted: &BTreeSet<String>, value: Option<&str>| {
            wanted.is_empty() || value.is_none_or(|value| wanted.contains(value))
        };
        among(&self.accounts, folders.account) && among(&self.regions, folders.region) && self.names.enters(name)
    }

    /// Whether a folder of an account is of a kind that is asked for.
    pub fn enters_kind(&self, prefix: &str) -> bool {
        match layout::level(prefix) {
            Level::Regions | Level::Days => self.kinds.contains(&key::folder_kind(prefix)),
            // below an account stand the folders of other services, which nobody asks for
            Level::Foreign if layout::folders(prefix).kind.is_some() => self.kinds.contains(&Kind::Other),
            _ => true,
        }
    }

    /// First day that is asked for.
    pub fn first_day(&self) -> Option<NaiveDate> {
        self.from.map(|from| from.date_naive())
    }

    /// First day that is not asked for.
    pub fn end_day(&self) -> Option<NaiveDate> {
        let whole = |to: DateTime<Utc>| to.num_seconds_from_midnight() == 0 && to.nanosecond() == 0;
        self.to.and_then(|to| if whole(to) { Some(to.date_naive()) } else { to.date_naive().succ_opt() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOLDER: &str = "AWSLogs/o-a/111122223333/CloudTrail/eu-west-1/";

    fn key(time: &str) -> String {
        format!("{FOLDER}2026/01/31/111122223333_CloudTrail_eu-west-1_20260131T{time}Z_a.json.gz")
    }

    fn day() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 1, 31).unwrap()
    }

    fn takes(wanted: &Selection, key: &str) -> bool {
        wanted.takes(key, key, day())
    }

    fn names(include: &[&str], exclude: &[&str]) -> Selection {
        let own = |patterns: &[&str]| patterns.iter().map(|&pattern| pattern.to_owned()).collect::<Vec<_>>();
        Selection { names: Names::new(&own(include), &own(exclude)).unwrap(), ..Selection::default() }
    }

    #[test]
    fn accounts_and_regions_are_in_folders_or_names() {
        let wanted = Selection {
            accounts: BTreeSet::from(["111122223333".to_owned()]),
            regions: BTreeSet::from(["eu-west-1".to_owned()]),
            ..Selection::default()
        };
        assert!(takes(&wanted, &key("0005")));
        assert!(takes(&wanted, "flat/111122223333_CloudTrail_eu-west-1_20260131T0005Z_a.json.gz"));
        assert!(!takes(&wanted, "flat/nobody-knows.json.gz"));
        assert!(!takes(&wanted, &key("0005").replace("eu-west-1", "us-east-1")));
        for (prefix, enters) in [
            ("", true),
            ("AWSLogs/", true),
            (FOLDER, true),
            ("AWSLogs/o-a/444455556666/", false),
            ("AWSLogs/111122223333/CloudTrail/us-east-1/", false),
        ] {
            assert_eq!(wanted.enters(prefix, prefix), enters, "{prefix}");
        }
    }

    #[test]
    fn times_are_those_of_delivery() {
        let at = |text: &str| Some(text.parse().unwrap());
        let wanted =
            Selection { from: at("2026-01-31T12:00:00Z"), to: at("2026-01-31T13:00:00Z"), ..Selection::default() };
        for (time, taken) in [("1155", false), ("1200", true), ("1259", true), ("1300", false)] {
            assert_eq!(takes(&wanted, &key(time)), taken, "{time}");
        }
        assert!(takes(&wanted, "2026/01/31/x.json"), "a day that overlaps");
        assert_eq!((wanted.first_day(), wanted.end_day()), (Some(day()), day().succ_opt()));
        let whole = Selection { to: at("2026-01-31T00:00:00Z"), ..Selection::default() };
        assert_eq!(whole.end_day(), Some(day()));
    }

    #[test]
    fn patterns_leave_out_whole_prefixes_where_they_can() {
        let wanted = names(&["AWSLogs/o-a/1111*"], &["*/us-east-1/*", "*.txt"]);
        assert!(takes(&wanted, &key("0005")) && !takes(&wanted, &key("0005").replace("eu-west-1", "us-east-1")));
        for (prefix, enters) in [
            ("", true),
            ("AWSLogs/o-b/", false),
            (FOLDER, true),
            ("AWSLogs/o-a/111122223333/CloudTrail/us-east-1/", false),
        ] {
            assert_eq!(wanted.enters(prefix, prefix), enters, "{prefix}");
        }
        assert_eq!(Names::new(&["[".to_owned()], &[]).unwrap_err().kind(), ErrorKind::Usage);
    }

    #[test]
    fn folders_of_other_kinds_are_not_entered() {
        let wanted = Selection::default();
        for (prefix, enters) in [
            ("AWSLogs/111122223333/CloudTrail/", true),
            ("AWSLogs/111122223333/CloudTrail-NetworkActivity/", true),
            ("AWSLogs/111122223333/CloudTrail-Insight/", true),
            ("AWSLogs/111122223333/CloudTrail-Digest/", false),
            ("AWSLogs/111122223333/vpcflowlogs/", false),
            ("AWSLogs/odd/", true),
            ("else/", true),
        ] {
            assert_eq!(wanted.enters_kind(prefix), enters, "{prefix}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_prefix_that_is_left_out_holds_nothing_that_is_taken(
            folder in "(AWSLogs/)?(o-a/)?(1/|2/)?(CloudTrail/)?(r/|s/)?", name in "[a-c*]{1,3}",
            include in proptest::option::of("(AWSLogs/|\\*)?[1r*/]{1,4}"), exclude in proptest::option::of("[1r*/]{1,4}"),
            account in proptest::option::of("1|2"), region in proptest::option::of("r|s"),
        ) {
            let list = |text: Option<String>| text.into_iter().collect::<Vec<_>>();
            let wanted = Selection {
                accounts: account.into_iter().collect(),
                regions: region.into_iter().collect(),
                names: Names::new(&list(include), &list(exclude)).unwrap(),
                ..Selection::default()
            };
            let key = format!("{folder}{name}");
            let head = &folder[..folder.rfind('/').map_or(0, |at| at + 1)];
            proptest::prop_assert!(!takes(&wanted, &key) || wanted.enters(head, head), "{key} {head}");
        }
    }
}
