//! Whether the hours that can hold a finding's events are complete, by the table `completeness`.
//!
//! Owns: which hours those are, and what is said of them together. Refuses: to read the table.
//! Invariant: an hour that nobody verified is unknown, never complete.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Timelike, Utc};

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

/// The hours in question.
pub fn window(finding: &Finding) -> impl Iterator<Item = DateTime<Utc>> + use<> {
    let floor = |time: DateTime<Utc>| time.with_minute(0).and_then(|time| time.with_second(0)?.with_nanosecond(0));
    let first = floor(finding.first_seen - TimeDelta::minutes(BEFORE)).unwrap_or(finding.first_seen);
    let last = floor(finding.last_seen + TimeDelta::minutes(AFTER)).unwrap_or(finding.last_seen);
    std::iter::successors(Some(first), |hour| Some(*hour + TimeDelta::hours(1))).take_while(move |hour| *hour <= last)
}

/// What is known of a finding's window: of each of its accounts and regions, or, where it names no region, of whatever
/// regions of the account are known.
pub fn of(finding: &Finding, hours: &Hours) -> Completeness {
    let mut found: Vec<Option<CompletenessStatus>> = Vec::new();
    for hour in window(finding) {
        for account in &finding.accounts {
            match finding.regions.is_empty() {
                true => found.extend(any_region(hours, account, hour)),
                false => found.extend(
                    finding.regions.iter().map(|region| hours.get(&(account.clone(), region.clone(), hour)).copied()),
                ),
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
    use crate::sink::sample;

    fn at(hour: &str) -> DateTime<Utc> {
        format!("2026-03-01T{hour}:00:00Z").parse().unwrap()
    }

    /// The sample's events are from 12:00 to 12:30, so that the hours from 11 to 13 count.
    fn said(statuses: &[(&str, CompletenessStatus)]) -> Completeness {
        let mut finding = sample::finding(1);
        (finding.accounts, finding.regions) = (vec!["1".to_owned()], vec!["eu".to_owned()]);
        let hours =
            statuses.iter().map(|(hour, status)| (("1".to_owned(), "eu".to_owned(), at(hour)), *status)).collect();
        of(&finding, &hours)
    }

    #[test]
    fn all_hours_have_to_be_complete_and_the_worst_is_named() {
        use CompletenessStatus::{Complete, Missing, NotIngested, Unknown};
        let all = |status| said(&[("11", Complete), ("12", status), ("13", Complete)]);
        assert_eq!(all(Complete), Completeness { status: Complete, hours: 3, complete: 3 });
        assert_eq!(all(NotIngested), Completeness { status: NotIngested, hours: 3, complete: 2 });
        assert_eq!(said(&[("11", NotIngested), ("12", Missing)]).status, Missing);
        assert_eq!(
            said(&[("11", Complete), ("12", Complete)]),
            Completeness { status: Unknown, hours: 3, complete: 2 }
        );
        assert_eq!(said(&[]), Completeness { status: Unknown, hours: 3, complete: 0 });
        assert_eq!((either(Missing, Complete), either(NotIngested, Missing)), (Complete, Missing));
        assert_eq!(said(&[("10", Missing), ("14", Missing)]).status, Unknown);
    }
}
