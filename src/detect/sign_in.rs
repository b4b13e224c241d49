//! Sign-ins of one person from two countries within a few hours.
//!
//! Owns: which calls are sign-ins, and which of them are far from another one. Refuses: to know where an address is, and
//! which countries a person is known from.
//! Invariant: a role that several people hold is not one person.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::columns::{Columns, text};
use super::feature::{ActorKind, profile};

/// The rule that names them.
pub const TWO_PLACES: &str = "UnauthorizedAccess:IAMUser/ConsoleLoginSuccess.B";

/// API of a sign-in at the console.
pub const SIGN_IN: &str = "signin:ConsoleLogin";

/// Time in which nobody is in two countries.
const SPAN: TimeDelta = TimeDelta::hours(4);

/// A person's sign-in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SignIn {
    /// Who.
    pub profile: String,
    /// Access key; empty where there is none.
    pub key: String,
    /// Account.
    pub account: String,
    /// From where.
    pub address: String,
    /// When.
    pub time: DateTime<Utc>,
}

impl SignIn {
    /// The sign-in that an event is; `None` where it is something else.
    pub fn of(columns: &Columns, row: usize) -> Option<Self> {
        let is = |column, value| text(column, row) == Some(value);
        let signs_in = is(&columns.operation, "ConsoleLogin")
            && is(&columns.source, "signin.amazonaws.com")
            && is(&columns.outcome, "success");
        let profile = profile(columns.actor(row).filter(|_| signs_in)?);
        (ActorKind::of(&profile) == ActorKind::Person).then(|| Self {
            profile,
            key: columns.key(row).to_owned(),
            account: columns.account(row).to_owned(),
            address: columns.address(row).to_owned(),
            time: columns.time.instant(row),
        })
    }
}

/// A person's times in a country, and whether the person is known there.
struct Stays {
    times: Vec<DateTime<Utc>>,
    is_known: bool,
}

/// The sign-ins of a day from another country than one within four hours, of that day or the day before, unless the person
/// is known from both.
pub fn in_two_places<'s>(
    before: &'s [SignIn],
    today: &'s [SignIn],
    country: &dyn Fn(&str) -> Option<String>,
    is_known: &dyn Fn(&str, &str) -> bool,
) -> BTreeSet<&'s SignIn> {
    let mut stays: BTreeMap<&str, BTreeMap<String, Stays>> = BTreeMap::new();
    for one in before.iter().chain(today) {
        let Some(country) = country(&one.address) else { continue };
        let theirs = stays.entry(&one.profile).or_default();
        let new = |country: &String| Stays { times: Vec::new(), is_known: is_known(&one.profile, country) };
        theirs.entry(country.clone()).or_insert_with(|| new(&country)).times.push(one.time);
    }
    stays.retain(|_, countries| countries.len() > 1);
    stays.values_mut().flat_map(BTreeMap::values_mut).for_each(|stays| stays.times.sort_unstable());
    let is_far = |one: &&SignIn| {
        let Some(countries) = stays.get(one.profile.as_str()) else { return false };
        let Some((here, own)) = country(&one.address).and_then(|here| countries.get_key_value(&here)) else {
            return false;
        };
        let near = |other: &Stays| {
            let at = other.times.partition_point(|time| *time < one.time - SPAN);
            other.times.get(at).is_some_and(|time| *time <= one.time + SPAN)
        };
        countries.iter().any(|(there, other)| there != here && !(own.is_known && other.is_known) && near(other))
    };
    today.iter().filter(is_far).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str, minutes: i64) -> SignIn {
        let text = str::to_owned;
        let time = DateTime::<Utc>::default() + TimeDelta::minutes(minutes);
        SignIn { profile: text("ana"), key: String::new(), account: text("1"), address: text(address), time }
    }

    fn far(before: &[SignIn], today: &[SignIn], known: &[&str]) -> Vec<i64> {
        let country = |address: &str| address.split_once('/').map(|(country, _)| country.to_owned());
        let found = in_two_places(before, today, &country, &|_, country| known.contains(&country));
        found.into_iter().map(|one| one.time.timestamp() / 60).collect()
    }

    #[test]
    fn two_countries_within_four_hours_are_far_apart() {
        let (before, today) =
            ([at("SE/1", -200)], [at("DE/1", 40), at("DE/2", 41), at("somewhere", 42), at("SE/1", 900)]);
        assert_eq!(far(&before, &today, &[]), [40]);
        assert_eq!(far(&before, &today, &["SE"]), [40]);
        assert!(far(&before, &today, &["SE", "DE"]).is_empty());
        assert!(far(&[], &[at("SE/1", 0), at("SE/2", 1)], &[]).is_empty());
    }
}
