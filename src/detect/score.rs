//! From what an actor did to how unusual it is, unit by unit.
//!
//! Owns: what a unit is (calls from one network without a long pause), and what an actor's units say together.
//! Refuses: events; it sees cells and the memory. How a unit is scored is `unit`'s.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::cell::{Cell, SLOTS, hour_of};
use super::counts::{Count, DayCounts};
use super::feature::{ActorKind, Feature};
use super::hours::DayHours;
use super::memory::Memory;
use super::model::Level;
use super::names::{Map, Name, Names, Set};
use super::prepared::Prepared;
use super::reads::Amount;
use super::signal::Signal;
use super::tactic::Intent;
use super::unit::Scorer;

/// A pause after which another unit begins, and the longest unit: a session of somebody who looks around and acts.
const PAUSE: TimeDelta = TimeDelta::hours(2);
const LONGEST: TimeDelta = TimeDelta::minutes(210);

/// Worth of a lake's past (see `Memory::maturity`) below which it is young.
const YOUNG: f64 = 0.5;

/// One value that is unusual.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// The signal it is measured by.
    pub signal: Signal,
    /// What it is a value of.
    pub feature: Feature,
    /// The value.
    pub value: Name,
    /// Index of the first cell that has it.
    pub cell: usize,
    /// Bits beyond what any day has.
    pub bits: f64,
}

/// One signal of a unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Which.
    pub signal: Signal,
    /// As measured, in bits; of the probability that the past gives its values.
    pub value: f64,
    /// -log2 of the probability of such a value on a day of this actor.
    pub bits: f64,
    /// What it adds to the score.
    pub credit: f64,
}

/// A unit with its score.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// Whose.
    pub profile: Name,
    /// The unit's cells, by index.
    pub cells: Vec<usize>,
    /// Sum of all credits and of `joint`.
    pub score: f64,
    /// How much of the unit is unusual; credits but those of amounts, and `joint`, are what it leaves.
    pub focus: Focus,
    /// What tells who calls from where, in bits, whatever else the unit is.
    pub context: f64,
    /// What strange deeds in a strange place add.
    pub joint: f64,
    /// The signals, the largest credit first.
    pub signals: Vec<Measured>,
    /// The values behind them, the largest first.
    pub facts: Vec<Fact>,
    /// Volume of the unit.
    pub counts: DayCounts,
    /// What it read from each bucket.
    pub reads: BTreeMap<Name, Amount>,
    /// The unusual weeks of the actor that it is a part of.
    pub weeks: Vec<Weekly>,
    /// Its most unusual hour and ten minutes.
    pub bursts: Vec<Burst>,
}

/// How much of what was done is unusual: somebody who came to do one thing does little else, and who does something new beside a
/// morning's work is at work.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Focus {
    /// Distinct APIs that are surprising.
    pub unusual: usize,
    /// Distinct APIs.
    pub apis: usize,
}

impl Focus {
    /// What is left of a score, 0 to 1: the square root of the share of the APIs that are unusual, one more counted on both sides.
    /// Exponents that were fitted to halves of twenty synthetic organizations lay between 0.42 and 0.58.
    pub fn weight(self) -> f64 {
        ((1.0 + self.unusual as f64) / (1.0 + self.apis as f64)).sqrt()
    }
}

/// Calls of an hour, or of ten minutes of it, beyond what the actor has at that hour of the week.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Burst {
    /// The signal it is measured by.
    pub signal: Signal,
    /// Hour of the day, UTC.
    pub hour: usize,
    /// Calls.
    pub calls: f64,
    /// The level of that hour.
    pub level: Level,
    /// Bits beyond everyday work.
    pub bits: f64,
}

/// What an actor did within seven days, beyond its past weeks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weekly {
    /// The signal it is measured by.
    pub signal: Signal,
    /// What was counted.
    pub count: Count,
    /// The sum of the seven days.
    pub sum: f64,
    /// The level of the weeks before.
    pub level: Level,
    /// Bits beyond what any week has.
    pub bits: f64,
}

/// What an actor did on the day: the day's counts, the largest value of each signal, and the most unusual unit.
#[derive(Debug, Clone)]
pub struct ActorScore {
    /// Whose.
    pub profile: Name,
    /// Group it is compared with.
    pub peer: Name,
    /// Volume and breadth.
    pub counts: DayCounts,
    /// Calls by hour; of a bucket none.
    pub hours: DayHours,
    /// Largest value of each signal that had one, in bits.
    pub values: BTreeMap<Signal, f64>,
    /// The most unusual unit.
    pub best: Scored,
}

/// Reconstruction surprise of an actor-day, in bits; 0 where there is no model.
pub type ShapeOf<'a> = &'a dyn Fn(&DayCounts) -> f64;

/// Scores of units by their actor's peer group and their cells.
pub type KnownUnits = Map<(Name, Vec<usize>), f64>;

/// A day's cells, prepared, and what they are held against.
pub struct Day<'a> {
    /// UTC date.
    pub date: NaiveDate,
    /// What was known before.
    pub memory: &'a Memory,
    /// The texts.
    pub names: &'a Names,
    /// The cells.
    pub cells: &'a [Cell],
    /// Made from them and from the memory.
    pub prepared: &'a Prepared,
    /// Signals that count for nothing.
    pub without: &'a BTreeSet<Signal>,
}

impl Day<'_> {
    /// Tactic and stake of an API of the day.
    pub fn intent(&self, api: Name) -> Intent {
        self.prepared.intent(api, self.names)
    }

    /// Scores every actor of the day, by profile.
    pub fn score(&self, shape: ShapeOf<'_>) -> Vec<ActorScore> {
        self.prepared.profiles().map(|(profile, cells)| self.actor(profile, cells, shape)).collect()
    }

    /// Bits of the most unusual unit of what an actor had done up to an instant; `None` where that is nothing. `known` are
    /// units that were scored for other instants: most of a day's end before either.
    pub fn best_until(&self, profile: Name, until: DateTime<Utc>, known: &mut KnownUnits) -> Option<f64> {
        let cells = self.prepared.cells_of(profile).iter();
        let cells: Vec<usize> = cells.copied().filter(|at| self.cells[*at].last <= until).collect();
        let peer = self.peer(profile, cells.first()?);
        let scorer = self.scorer(profile, peer, 0.0);
        let score = |unit: Vec<usize>| match known.get(&(peer, unit.clone())) {
            Some(score) => *score,
            None => *known.entry((peer, unit.clone())).or_insert_with(|| scorer.unit(unit).score),
        };
        self.units(&scorer, &cells).into_iter().map(score).reduce(f64::max)
    }

    fn scorer(&self, profile: Name, peer: Name, shape: f64) -> Scorer<'_> {
        let kind = ActorKind::of(self.names.text(profile));
        Scorer { day: self, profile, peer, kind, days: self.memory.days_of(profile), shape }
    }

    fn actor(&self, profile: Name, cells: &[usize], shape: ShapeOf<'_>) -> ActorScore {
        let peer = self.peer(profile, &cells[0]);
        let counts = self.counts(cells);
        let (shape, hours) = match ActorKind::of(self.names.text(profile)) {
            ActorKind::Bucket => (0.0, DayHours::default()),
            _ => (shape(&counts), DayHours::new(by_hour(cells.iter().map(|at| &self.cells[*at])))),
        };
        let scorer = self.scorer(profile, peer, shape);
        let units = self.units(&scorer, cells);
        let scored: Vec<Scored> = units.into_iter().map(|unit| scorer.unit(unit)).collect();
        let mut values = BTreeMap::new();
        for measured in scored.iter().flat_map(|unit| &unit.signals).filter(|measured| measured.value > 0.0) {
            let value: &mut f64 = values.entry(measured.signal).or_default();
            *value = value.max(measured.value);
        }
        let best = scored.into_iter().reduce(|best, next| if next.score > best.score { next } else { best });
        ActorScore { profile, peer, counts, hours, values, best: best.expect("an actor has a cell") }
    }

    /// The peer group: the known one, else that of the first cell; a bucket has none.
    fn peer(&self, profile: Name, first: &usize) -> Name {
        if ActorKind::of(self.names.text(profile)) == ActorKind::Bucket {
            return profile;
        }
        self.memory.actor(profile).map_or_else(|| self.cells[*first].peer, |actor| actor.peer)
    }

    pub(super) fn counts(&self, cells: &[usize]) -> DayCounts {
        let mut counts = DayCounts::empty(self.date);
        let all = || cells.iter().map(|at| &self.cells[*at]);
        let calls = |keep: &dyn Fn(&Cell) -> bool| all().filter(|cell| keep(cell)).map(|cell| cell.calls).sum::<i64>();
        let distinct = |of: fn(&Cell) -> Name| all().map(of).collect::<Set<_>>().len() as i64;
        let outcome = |cell: &Cell| self.names.text(cell.outcome);
        let apis: Set<Name> = all().map(|cell| cell.api).collect();
        let service = |api: &Name| self.names.text(*api).split(':').next();
        counts.set(Count::Calls, calls(&|_| true));
        counts.set(Count::Apis, apis.len() as i64);
        counts.set(Count::Services, apis.iter().map(service).collect::<Set<_>>().len() as i64);
        counts.set(Count::Regions, distinct(|cell| cell.region));
        counts.set(Count::Networks, distinct(|cell| cell.prefix));
        counts.set(Count::Agents, distinct(|cell| cell.agent));
        counts.set(Count::Accounts, distinct(|cell| cell.account));
        counts.set(Count::Hours, all().map(|cell| hour_of(cell.first).0).collect::<Set<_>>().len() as i64);
        counts.set(Count::Denied, self.sum(all(), Count::Denied));
        counts.set(Count::Failed, calls(&|cell| outcome(cell) != "success"));
        counts.set(Count::Writes, calls(&|cell| cell.writes));
        let touched = all().filter(|cell| outcome(cell) == "success" && self.intent(cell.api).stake >= 2);
        counts.set(Count::Resources, touched.filter_map(|cell| cell.resource).collect::<Set<_>>().len() as i64);
        counts.set(Count::Objects, self.sum(all(), Count::Objects));
        counts.set(Count::Bytes, self.sum(all(), Count::Bytes));
        let slots = slots(all());
        counts.set(Count::BusiestHour, slots.iter().map(|hour| hour.iter().sum()).max().unwrap_or(0));
        counts.set(Count::BusiestMinutes, slots.into_iter().flatten().max().unwrap_or(0));
        counts
    }

    /// One of the numbers that are sums over cells, of which a week is asked; 0 for any other.
    pub(super) fn sum<'c>(&self, cells: impl Iterator<Item = &'c Cell>, count: Count) -> i64 {
        let of = |cell: &Cell| match count {
            Count::Denied if matches!(self.names.text(cell.outcome), "denied" | "auth_failed") => cell.calls,
            Count::Objects if cell.reads.is_some() => cell.calls,
            Count::Bytes if cell.reads.is_some() => cell.bytes,
            _ => 0,
        };
        cells.map(of).fold(0, i64::saturating_add)
    }

    /// What some cells read from each bucket.
    pub(super) fn reads(&self, cells: &[usize]) -> BTreeMap<Name, Amount> {
        let mut reads: BTreeMap<Name, Amount> = BTreeMap::new();
        for cell in cells.iter().map(|at| &self.cells[*at]) {
            cell.reads.into_iter().for_each(|bucket| reads.entry(bucket).or_default().add(cell.calls, cell.bytes));
        }
        reads
    }

    /// Cuts an actor's day into units. Programs move through many networks; those that they know are one. In a young lake
    /// what a tool applies from a description is a unit of its own: nothing else tells setting up from looking around.
    /// A bucket's day is one.
    fn units(&self, scorer: &Scorer<'_>, cells: &[usize]) -> Vec<Vec<usize>> {
        if scorer.kind == ActorKind::Bucket {
            return vec![cells.to_vec()];
        }
        let young = self.memory.maturity() < YOUNG;
        let mut by_source: BTreeMap<(Option<Name>, bool), Vec<Vec<usize>>> = BTreeMap::new();
        for &at in cells {
            let cell = &self.cells[at];
            let network = cell.place.network;
            let usual =
                scorer.kind == ActorKind::Workload && self.memory.knows(scorer.profile, Feature::Network, network);
            let applied = young && is_declarative(self.names.text(cell.agent));
            let units = by_source.entry(((!usual).then_some(network), applied)).or_default();
            match units.last_mut() {
                Some(unit) if self.continues(unit, cell) => unit.push(at),
                _ => units.push(vec![at]),
            }
        }
        let mut units: Vec<Vec<usize>> = by_source.into_values().flatten().collect();
        units.sort();
        units
    }

    fn continues(&self, unit: &[usize], cell: &Cell) -> bool {
        let (first, last) = (&self.cells[unit[0]], &self.cells[unit[unit.len() - 1]]);
        cell.first - last.last < PAUSE && cell.first - first.first < LONGEST
    }

    /// How much of a value's surprise remains when others met it for the first time on the same day, up to `until`: what
    /// everybody does at once is a roll-out.
    pub(super) fn alone(&self, feature: Feature, value: Name, profile: Name, until: DateTime<Utc>) -> f64 {
        let newcomers = self.prepared.newcomers(feature, value).iter();
        let others = newcomers.filter(|(time, other)| *other != profile && *time <= until).count();
        2.0 / (2.0 + others as f64)
    }

    pub(super) fn hour_used(&self, profile: Name, hour: &str) -> f64 {
        self.prepared.hour(hour).map_or(0.0, |value| self.memory.used(profile, Feature::Hour, value, self.date))
    }
}

/// Calls in each hour of the day.
fn by_hour<'c>(cells: impl Iterator<Item = &'c Cell>) -> [i64; 24] {
    slots(cells).map(|hour| hour.iter().sum())
}

/// Calls in each ten minutes of each hour of the day.
pub fn slots<'c>(cells: impl Iterator<Item = &'c Cell>) -> [[i64; SLOTS]; 24] {
    let mut slots = [[0; SLOTS]; 24];
    for cell in cells {
        let hour = &mut slots[hour_of(cell.first).0 as usize];
        hour.iter_mut().zip(cell.slots).for_each(|(sum, calls)| *sum += i64::from(calls));
    }
    slots
}

/// Whether an agent applies a description of what shall be: what it does is decided by a text, not by who looks around.
fn is_declarative(agent: &str) -> bool {
    ["terraform", "pulumi", "aws-cdk", "cloudformation", "ansible"].iter().any(|tool| agent.starts_with(tool))
}

/// Thousandths of a bit: what is printed is what is compared.
pub fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
