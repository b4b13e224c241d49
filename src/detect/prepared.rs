//! What is looked up again and again of a day's cells.
//!
//! Owns: who met what for the first time, where keys were used, what APIs are for. Refuses: scores.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};

use super::cell::{Cell, WEEKEND, hour_value};
use super::feature::Feature;
use super::memory::Memory;
use super::names::{Map, Name, Names, Set};
use super::tactic::{Intent, intent};

/// Who met a value for the first time today, and when.
type Newcomers = Map<(Feature, Name), Vec<(DateTime<Utc>, Name)>>;

/// The networks in which each key was used, with the first and the last call there.
type Keys = Map<Name, Vec<KeyUse>>;

/// A network with the first and the last call from there.
pub type KeyUse = (Name, DateTime<Utc>, DateTime<Utc>);

/// What is looked up again and again of a day's cells.
pub struct Prepared {
    intents: Map<Name, Intent>,
    newcomers: Newcomers,
    keys: Keys,
    hours: Hours,
    by_profile: BTreeMap<Name, Vec<usize>>,
}

impl Prepared {
    /// Prepares a day's cells, to be scored by what is known.
    pub fn of(memory: &Memory, names: &mut Names, cells: &[Cell]) -> Self {
        let hours = Hours::number(names);
        let mut intents: Map<Name, Intent> = Map::default();
        cells.iter().for_each(|cell| _ = intents.entry(cell.api).or_insert_with(|| intent(names.text(cell.api))));
        let mut by_profile: BTreeMap<Name, Vec<usize>> = BTreeMap::new();
        cells.iter().enumerate().for_each(|(at, cell)| by_profile.entry(cell.profile).or_default().push(at));
        let newcomers = newcomers(memory, cells, &by_profile);
        // what all read from a bucket is its day
        let read = cells.iter().enumerate().filter_map(|(at, cell)| Some((at, cell.reads?)));
        read.for_each(|(at, bucket)| by_profile.entry(bucket).or_default().push(at));
        Self { intents, newcomers, keys: keys(names, cells), hours, by_profile }
    }

    /// The actors, and the buckets that were read from, each with the places of its cells.
    pub fn profiles(&self) -> impl Iterator<Item = (Name, &[usize])> {
        self.by_profile.iter().map(|(profile, cells)| (*profile, cells.as_slice()))
    }

    /// Tactic and stake of an API.
    pub fn intent(&self, api: Name, names: &Names) -> Intent {
        self.intents.get(&api).copied().unwrap_or_else(|| intent(names.text(api)))
    }

    /// Who met a value for the first time today, and when.
    pub fn newcomers(&self, feature: Feature, value: Name) -> &[(DateTime<Utc>, Name)] {
        self.newcomers.get(&(feature, value)).map_or(&[], Vec::as_slice)
    }

    /// Where a key was used.
    pub fn uses(&self, key: Name) -> &[KeyUse] {
        self.keys.get(&key).map_or(&[], Vec::as_slice)
    }

    /// The name of a value of [`Feature::Hour`].
    pub fn hour(&self, value: &str) -> Option<Name> {
        self.hours.0.get(value).copied()
    }

    /// The places of an actor's cells.
    pub fn cells_of(&self, profile: Name) -> &[usize] {
        self.by_profile.get(&profile).map_or(&[], Vec::as_slice)
    }
}

/// Names of the values of [`Feature::Hour`].
struct Hours(HashMap<String, Name>);

impl Hours {
    fn number(names: &mut Names) -> Self {
        let texts = (0..24).map(hour_value).chain([WEEKEND.to_owned()]);
        Self(texts.map(|text| (text.clone(), names.of(&text))).collect())
    }
}

fn newcomers(memory: &Memory, cells: &[Cell], by_profile: &BTreeMap<Name, Vec<usize>>) -> Newcomers {
    let mut newcomers = Newcomers::default();
    let mut seen = Set::default();
    for (profile, theirs) in by_profile {
        seen.clear();
        for (cell, before) in with_before(theirs, cells) {
            let mut meet = |(feature, value): (Feature, Name)| {
                if seen.insert((feature, value)) && !memory.knows(*profile, feature, value) {
                    newcomers.entry((feature, value)).or_default().push((cell.first, *profile));
                }
            };
            if !before.is_some_and(|before| before.has_context_of(cell)) {
                cell.context().for_each(&mut meet);
            }
            cell.deeds().for_each(meet);
        }
    }
    newcomers
}

/// Cells of an actor, each with the one before it, which mostly came from the same place.
fn with_before<'c>(places: &'c [usize], cells: &'c [Cell]) -> impl Iterator<Item = (&'c Cell, Option<&'c Cell>)> {
    let before = std::iter::once(None).chain(places.iter().map(|at| Some(&cells[*at])));
    places.iter().map(|at| &cells[*at]).zip(before)
}

fn keys(names: &Names, cells: &[Cell]) -> Keys {
    let mut keys = Keys::default();
    for cell in cells {
        if names.text(cell.key).is_empty() || names.text(cell.place.network).starts_with("AWS") {
            continue;
        }
        let uses = keys.entry(cell.key).or_default();
        let same = |(network, _, last): &&mut KeyUse| {
            *network == cell.place.network && cell.first - *last < TimeDelta::hours(1)
        };
        match uses.iter_mut().find(same) {
            Some(known) => known.2 = known.2.max(cell.last),
            None => uses.push((cell.place.network, cell.first, cell.last)),
        }
    }
    keys
}
