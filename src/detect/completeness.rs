//! Whether the hours that can hold a finding's events are complete, by the table `completeness`.
//!
//! Owns: which hours those are, and what is said of them together. Refuses: to read the table.
//! Invariant: an hour that nobody verified is unknown, never complete.

use std::collections::BTreeMap;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};

use crate::finding::{Completeness, CompletenessStatus, Finding};

/// Minutes before the first and after the last event in which a digest may say something of them: a digest counts to the hour
/// of its middle, and an event is delivered within 15 minutes.
const BEFORE: i64 = 30;
const AFTER: i64 = 45;

/// The worst that the trails say of an hour of an account and region, by account, region and hour; an hour that one trail
/// has whole is complete, whatever the others say.
pub type Hours = BTreeMap<(String, String, DateTime<Utc>), CompletenessStatus>;

/// What two trails say of an hour together.
pub fn either(one: CompletenessStatus, other: CompletenessStatus) -> CompletenessStatus {
    match [one, other].contains(&CompletenessStatus::Complete) {
        true => CompletenessStatus::Complete,
        false => one.min(other),
    }
}

/// What is known of a finding's window: of each of its accounts and regions, or, where it names no region, of whatever
/// regions of the account are known.
pub fn of(finding: &Finding, hours: &Hours) -> Completeness {
    said(&finding.accounts, &finding.regions, window(finding.first_seen, finding.last_seen), hours)
}

/// The hours that can hold what a digest says of events between two instants.
fn window(first: DateTime<Utc>, last: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> {
    let floor = |time: DateTime<Utc>| time.duration_trunc(TimeDelta::hours(1)).unwrap_or(time);
    let (first, last) = (floor(first - TimeDelta::minutes(BEFORE)), floor(last + TimeDelta::minutes(AFTER)));
    std::iter::successors(Some(first), |hour| Some(*hour + TimeDelta::hours(1))).take_while(move |hour| *hour <= last)
}

fn said(
    accounts: &[String],
    regions: &[String],
    window: impl Iterator<Item = DateTime<Utc>>,
    hours: &Hours,
) -> Completeness {
    let mut found: Vec<Option<CompletenessStatus>> = Vec::new();
    for hour in window {
        for account in accounts {
            let one = |region: &String| hours.get(&(account.clone(), region.clone(), hour)).copied();
            match regions.is_empty() {
                true => found.extend(any_region(hours, account, hour)),
                false => found.extend(regions.iter().map(one)),
            }
        }
    }
    let complete = found.iter().filter(|status| **status == Some(CompletenessStatus::Complete)).count();
    let worst = found.iter().flatten().filter(|status| **status != CompletenessStatus::Complete).min();
    let status = match worst {
        Some(worst) => *worst,
        None if complete == found.len() && complete > 0 => CompletenessStatus::Complete,
        None => CompletenessStatus::Unknown,
    };
    Completeness { status, hours: found.len() as u64, complete: complete as u64 }
}

fn any_region(hours: &Hours, account: &str, hour: DateTime<Utc>) -> Vec<Option<CompletenessStatus>> {
    let all = hours.iter().filter(|((of, _, at), _)| of == account && *at == hour);
    let known: Vec<_> = all.map(|(_, status)| Some(*status)).collect();
    if known.is_empty() { vec![None] } else { known }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: &str) -> DateTime<Utc> {
        format!("2026-03-01T{hour}:00:00Z").parse().unwrap()
    }

    /// Events from 12:00 to 12:30, so that the hours from 11 to 13 count.
    fn told(statuses: &[(&str, CompletenessStatus)]) -> Completeness {
        let key = |hour: &str| ("1".to_owned(), "eu".to_owned(), at(hour));
        let hours = statuses.iter().map(|(hour, status)| (key(hour), *status)).collect();
        let events = window(at("12"), at("12") + TimeDelta::minutes(30));
        said(&["1".to_owned()], &["eu".to_owned()], events, &hours)
    }

    #[test]
    fn all_hours_have_to_be_complete_and_the_worst_is_named() {
        use CompletenessStatus::{Complete, Missing, NotIngested, Unknown};
        let all = |status| told(&[("11", Complete), ("12", status), ("13", Complete)]);
        assert_eq!(all(Complete), Completeness { status: Complete, hours: 3, complete: 3 });
        assert_eq!(all(NotIngested), Completeness { status: NotIngested, hours: 3, complete: 2 });
        assert_eq!(told(&[("11", NotIngested), ("12", Missing)]).status, Missing);
        assert_eq!(
            told(&[("11", Complete), ("12", Complete)]),
            Completeness { status: Unknown, hours: 3, complete: 2 }
        );
        assert_eq!(told(&[]), Completeness { status: Unknown, hours: 3, complete: 0 });
        assert_eq!((either(Missing, Complete), either(NotIngested, Missing)), (Complete, Missing));
        assert_eq!(told(&[("10", Missing), ("14", Missing)]).status, Unknown);
    }
}
