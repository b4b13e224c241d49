//! From what an actor did to how unusual it is, unit by unit.
//!
//! Owns: what a unit is (calls from one network without a long pause), how its signals are measured, weighed and added.
//! Refuses: events; it sees cells and the memory. Invariant: everything that is summed is sorted first.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::cell::{Cell, WEEKEND, hour_of, hour_value};
use super::counts::{Count, DayCounts};
use super::feature::{ActorKind, Feature};
use super::memory::Memory;
use super::model::{Level, bits, trust};
use super::names::{Map, Name, Names, Set};
use super::regain;
use super::signal::Signal;
use super::tactic::{Intent, intent};

/// A pause after which another unit begins, and the longest unit: a session of somebody who looks around and acts.
const PAUSE: TimeDelta = TimeDelta::hours(2);
const LONGEST: TimeDelta = TimeDelta::minutes(210);

/// Days of its surroundings' behaviour that an actor's own is pulled by.
const CONTEXT_PULL: f64 = 3.7;
const DEED_PULL: f64 = 2.6;

/// Bits that any day has: a value is only worth counting beyond them.
const CONTEXT_FLOOR: f64 = 3.6;
const DEED_FLOOR: f64 = 6.2;

/// The same where nothing is known yet: only what a call would do tells calls apart.
const COLD_DEED_FLOOR: f64 = 3.0;

/// How much the organization's past says of a newcomer: of one in an old lake less, as newcomers are many things.
const NEWCOMER: f64 = 0.8;

/// How much more an actor's own past may say than the organization's.
const OWN_EXCESS: f64 = 6.0;

/// Bits of a strange place from which its user is taken for a stranger, whose deeds are held against what the
/// organization does, not against the actor's habits; and how much of that counts.
const STRANGER: f64 = 8.6;
const STRANGER_WEIGHT: f64 = 1.0;

/// Each further value of a signal, and each further signal, counts less: they tell mostly the same.
const NEXT_VALUE: f64 = 0.36;
const NEXT_CONTEXT: f64 = 1.0;
const NEXT_DEED: f64 = 0.43;

/// Bits of a signal that are not worth a word.
const SIGNAL_FLOOR: f64 = 1.6;

/// Weight of a strange place and strange deeds coming together.
const JOINT: f64 = 0.73;

/// Days of an actor that say little about its amounts.
const FEW_DAYS: f64 = 3.0;

/// Worth of a lake's past (see `Memory::maturity`) below which it is young.
const YOUNG: f64 = 0.5;

/// Bits of a shape from which it counts: one day in sixteen.
const SHAPE_FLOOR: f64 = 4.0;

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
    /// Part of the score that tells who calls from where.
    pub context: f64,
    /// What strange deeds in a strange place add.
    pub joint: f64,
    /// The signals, the largest credit first.
    pub signals: Vec<Measured>,
    /// The values behind them, the largest first.
    pub facts: Vec<Fact>,
    /// Volume of the unit.
    pub counts: DayCounts,
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
    /// Largest value of each signal that had one, in bits.
    pub values: BTreeMap<Signal, f64>,
    /// The most unusual unit.
    pub best: Scored,
}

/// Reconstruction surprise of an actor-day, in bits; 0 where there is no model.
pub type ShapeOf<'a> = &'a dyn Fn(&DayCounts) -> f64;

/// Who met a value for the first time today, and when.
type Newcomers = Map<(Feature, Name), Vec<(DateTime<Utc>, Name)>>;

/// The networks in which each key was used, with the first and the last call there.
type Keys = Map<Name, Vec<(Name, DateTime<Utc>, DateTime<Utc>)>>;

/// Scores of units by their actor's peer group and their cells.
pub type KnownUnits = Map<(Name, Vec<usize>), f64>;

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
        Self { intents, newcomers, keys: keys(names, cells), hours, by_profile }
    }

    /// The places of an actor's cells.
    pub fn cells_of(&self, profile: Name) -> &[usize] {
        self.by_profile.get(&profile).map_or(&[], Vec::as_slice)
    }
}

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
        self.prepared.intents.get(&api).copied().unwrap_or_else(|| intent(self.names.text(api)))
    }

    /// Scores every actor of the day, by profile.
    pub fn score(&self, shape: ShapeOf<'_>) -> Vec<ActorScore> {
        self.prepared.by_profile.iter().map(|(profile, cells)| self.actor(*profile, cells, shape)).collect()
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
        let scorer = self.scorer(profile, peer, shape(&counts));
        let units = self.units(&scorer, cells);
        let scored: Vec<Scored> = units.into_iter().map(|unit| scorer.unit(unit)).collect();
        let mut values = BTreeMap::new();
        for measured in scored.iter().flat_map(|unit| &unit.signals).filter(|measured| measured.value > 0.0) {
            let value: &mut f64 = values.entry(measured.signal).or_default();
            *value = value.max(measured.value);
        }
        let best = scored.into_iter().reduce(|best, next| if next.score > best.score { next } else { best });
        ActorScore { profile, peer, counts, values, best: best.expect("an actor has a cell") }
    }

    /// The peer group: the known one, else that of the first cell.
    fn peer(&self, profile: Name, first: &usize) -> Name {
        self.memory.actor(profile).map_or_else(|| self.cells[*first].peer, |actor| actor.peer)
    }

    fn counts(&self, cells: &[usize]) -> DayCounts {
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
        counts.set(Count::Denied, calls(&|cell| matches!(outcome(cell), "denied" | "auth_failed")));
        counts.set(Count::Failed, calls(&|cell| outcome(cell) != "success"));
        counts.set(Count::Writes, calls(&|cell| cell.writes));
        let touched = all().filter(|cell| outcome(cell) == "success" && self.intent(cell.api).stake >= 2);
        counts.set(Count::Resources, touched.filter_map(|cell| cell.resource).collect::<Set<_>>().len() as i64);
        counts.set(Count::Objects, calls(&|cell| self.names.text(cell.api) == "s3:GetObject"));
        counts
    }

    /// Cuts an actor's day into units. Programs move through many networks; those that they know are one. In a young lake
    /// what a tool applies from a description is a unit of its own: nothing else tells setting up from looking around.
    fn units(&self, scorer: &Scorer<'_>, cells: &[usize]) -> Vec<Vec<usize>> {
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
    fn alone(&self, feature: Feature, value: Name, profile: Name, until: DateTime<Utc>) -> f64 {
        let others = self
            .prepared
            .newcomers
            .get(&(feature, value))
            .map_or(0, |all| all.iter().filter(|(time, other)| *other != profile && *time <= until).count());
        2.0 / (2.0 + others as f64)
    }

    fn hour_used(&self, profile: Name, hour: &str) -> f64 {
        self.prepared.hours.0.get(hour).map_or(0.0, |value| self.memory.used(profile, Feature::Hour, *value, self.date))
    }
}

/// -log2 of the probability of so many or more, by the actor's level and by the order of magnitude alone, which is all
/// that is known of an actor without a past: P(X >= n) = 1 / (1 + n / mean), the Lomax distribution of shape 1. Each of
/// the first days halves its share, and then it has none.
fn mixed_bits(level: Level, mean: f64, number: f64, days: f64) -> f64 {
    let own = 0.5f64.powf(level.tail_bits(number));
    let unknown = if days <= FEW_DAYS { 0.5f64.powf(days) } else { 0.0 };
    bits((1.0 - unknown) * own + unknown / (1.0 + number / mean))
}

/// Whether an agent applies a description of what shall be: what it does is decided by a text, not by who looks around.
fn is_declarative(agent: &str) -> bool {
    ["terraform", "pulumi", "aws-cdk", "cloudformation", "ansible"].iter().any(|tool| agent.starts_with(tool))
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
        let same = |(network, _, last): &&mut (Name, DateTime<Utc>, DateTime<Utc>)| {
            *network == cell.place.network && cell.first - *last < TimeDelta::hours(1)
        };
        match uses.iter_mut().find(same) {
            Some(known) => known.2 = known.2.max(cell.last),
            None => uses.push((cell.place.network, cell.first, cell.last)),
        }
    }
    keys
}

/// What the scoring of an actor's units has in common.
struct Scorer<'a> {
    day: &'a Day<'a>,
    profile: Name,
    peer: Name,
    kind: ActorKind,
    days: f64,
    shape: f64,
}

impl Scorer<'_> {
    fn unit(&self, unit: Vec<usize>) -> Scored {
        let cells = || unit.iter().map(|at| (*at, &self.day.cells[*at]));
        let until = cells().map(|(_, cell)| cell.last).max().unwrap_or_default();
        let counts = self.day.counts(&unit);
        let mut facts = self.context(cells(), until);
        let mut values: BTreeMap<Signal, f64> = BTreeMap::new();
        for fact in &facts {
            let value = values.entry(fact.signal).or_default();
            *value = value.max(fact.bits);
        }
        values.insert(Signal::Hour, self.hour(&self.day.cells[unit[0]]));
        values.insert(Signal::TwoNetworks, self.two_networks(cells(), &values));
        let stranger = self.stranger(&values);
        let mut deeds = self.deeds(cells(), until, stranger);
        deeds.extend(regain::regained(self.day, &unit));
        values.extend(summed(&deeds));
        values.extend(self.volumes(&counts));
        facts.extend(deeds);
        let text = |fact: &Fact| self.day.names.text(fact.value);
        facts.sort_by(|a, b| b.bits.total_cmp(&a.bits).then_with(|| (a.feature, text(a)).cmp(&(b.feature, text(b)))));
        self.weigh(unit, values, facts, counts)
    }

    /// Values that tell who calls from where, each where it is the most surprising.
    fn context<'c>(&self, cells: impl Iterator<Item = (usize, &'c Cell)>, until: DateTime<Utc>) -> Vec<Fact> {
        let mut facts: BTreeMap<Feature, Fact> = BTreeMap::new();
        let mut looked_at = Set::default();
        let mut before: Option<&Cell> = None;
        for (at, cell) in cells {
            if before.replace(cell).is_some_and(|before| before.has_context_of(cell)) {
                continue;
            }
            for (feature, value) in cell.context() {
                // the same value in the same account has the same bits
                if !looked_at.insert((feature, value, cell.account)) {
                    continue;
                }
                let memory = self.day.memory;
                let used = memory.used(self.profile, feature, value, self.day.date);
                let adoption = memory.adoption(feature, value, self.peer, cell.account, 0.3);
                let surprise = bits(memory.predictive(used, self.days, adoption, CONTEXT_PULL)) - CONTEXT_FLOOR;
                if surprise <= 0.0 {
                    continue;
                }
                let alone = self.day.alone(feature, value, self.profile, until);
                let bits = surprise * alone * trust(self.days);
                let signal = match feature {
                    Feature::Network => Signal::Network,
                    Feature::Country | Feature::NetworkKind => Signal::Place,
                    Feature::Agent => Signal::Agent,
                    Feature::Region => Signal::Region,
                    _ => Signal::Account,
                };
                if facts.get(&feature).is_none_or(|fact| bits > fact.bits) {
                    facts.insert(feature, Fact { signal, feature, value, cell: at, bits });
                }
            }
        }
        facts.into_values().filter(|fact| fact.bits > 0.0).collect()
    }

    /// How unusual the hour is for a person, an hour before and after counting half, and the weekend.
    fn hour(&self, first: &Cell) -> f64 {
        if self.kind != ActorKind::Person {
            return 0.0;
        }
        let (hour, weekend) = hour_of(first.first);
        let used = |hour: u32| self.day.hour_used(self.profile, &hour_value(hour));
        let near = 0.5 * used(hour) + 0.25 * used(hour + 1) + 0.25 * used(hour + 23);
        let hour = (near + 0.3) / (self.days + 2.0);
        let rest = match weekend {
            // two days of seven, if all days were alike
            true => (self.day.hour_used(self.profile, WEEKEND) + 1.0) / (self.days * 2.0 / 7.0 + 3.0),
            false => 1.0,
        };
        (bits(hour.min(1.0)) + bits(rest.min(1.0)) - 2.0).max(0.0) * trust(self.days)
    }

    /// Four bits for each other network (two at most) in which a key of the unit was in use at the same time, where
    /// the unit's own network is new.
    fn two_networks<'c>(&self, cells: impl Iterator<Item = (usize, &'c Cell)>, values: &BTreeMap<Signal, f64>) -> f64 {
        if !values.contains_key(&Signal::Network) {
            return 0.0;
        }
        let hour = TimeDelta::hours(1);
        let others = |cell: &Cell| {
            let uses = self.day.prepared.keys.get(&cell.key).map_or(&[][..], Vec::as_slice);
            let meets = |(network, first, last): &&(Name, DateTime<Utc>, DateTime<Utc>)| {
                *network != cell.place.network && *first <= cell.last + hour && cell.first <= *last + hour
            };
            uses.iter().filter(meets).count().min(2)
        };
        4.0 * cells.map(|(_, cell)| others(cell)).max().unwrap_or(0) as f64
    }

    /// How much the caller is taken for a stranger, 0 to 1.
    fn stranger(&self, values: &BTreeMap<Signal, f64>) -> f64 {
        let of = |signal| {
            let value = values.get(&signal).copied().unwrap_or(0.0);
            self.day.memory.surprise(self.kind, self.profile, signal, value)
        };
        let strange = of(Signal::Network).max(of(Signal::Place)) + 0.5 * of(Signal::Agent);
        (strange / STRANGER).min(1.0)
    }

    /// Values that tell what is done, each once.
    fn deeds<'c>(
        &self,
        cells: impl Iterator<Item = (usize, &'c Cell)>,
        until: DateTime<Utc>,
        stranger: f64,
    ) -> Vec<Fact> {
        let (mut seen, mut looked_at) = (Set::default(), Set::default());
        let mut facts = Vec::new();
        for (at, cell) in cells {
            let intent = self.day.intent(cell.api);
            let failed = self.day.names.text(cell.outcome) != "success";
            for (feature, value) in cell.deeds() {
                // the same value in the same account has the same bits
                if seen.contains(&(feature, value)) || !looked_at.insert((feature, value, cell.account)) {
                    continue;
                }
                let (signal, base) = match feature {
                    Feature::Api => (Signal::Api(intent.tactic), intent.base()),
                    Feature::Effect => (Signal::Consequence, 0.15),
                    _ => (Signal::Resource, 0.5),
                };
                let mut bits = self.deed(cell, feature, value, base, stranger);
                if bits <= 0.0 {
                    continue;
                }
                bits *= self.day.alone(feature, value, self.profile, until);
                if failed && feature != Feature::Api {
                    bits *= 0.5;
                }
                seen.insert((feature, value));
                facts.push(Fact { signal, feature, value, cell: at, bits });
            }
        }
        facts
    }

    /// Bits of a value beyond what any day has: by the actor's own past, for a newcomer and for a stranger by what the
    /// organization does.
    fn deed(&self, cell: &Cell, feature: Feature, value: Name, base: f64, stranger: f64) -> f64 {
        let memory = self.day.memory;
        let used = memory.used(self.profile, feature, value, self.day.date);
        let adoption = memory.adoption(feature, value, self.peer, cell.account, base);
        let own = bits(memory.predictive(used, self.days, adoption, DEED_PULL));
        let around = bits(memory.day_rate(feature, value, self.peer, base));
        let known = trust(self.days);
        let old = memory.maturity();
        let newcomer = around * (1.0 - old * (1.0 - NEWCOMER));
        let surprise = known * own.min(around + OWN_EXCESS) + (1.0 - known) * newcomer;
        let floor = old * DEED_FLOOR + (1.0 - old) * COLD_DEED_FLOOR;
        surprise.max(stranger * around * STRANGER_WEIGHT) - floor
    }

    /// How far the unit's counts are beyond the actor's days.
    fn volumes(&self, counts: &DayCounts) -> Vec<(Signal, f64)> {
        let known = trust(self.days);
        // of a newcomer, amounts say nothing; in a new lake everybody is one
        let seen = if self.days > 0.0 { 1.0 } else { 1.0 - self.day.memory.maturity() };
        let usual = [
            (Signal::Calls, Count::Calls, Level { mean: 5.0, dispersion: 1.0 }, 3.0, known),
            (Signal::Apis, Count::Apis, Level { mean: 5.0, dispersion: 1.0 }, 3.0, known),
            (Signal::Denied, Count::Denied, Level { mean: 0.3, dispersion: 2.0 }, 1.0, seen),
            (Signal::Resources, Count::Resources, Level { mean: 1.0, dispersion: 1.5 }, 2.0, seen),
            (Signal::Objects, Count::Objects, Level { mean: 1.0, dispersion: 2.0 }, 2.0, seen),
        ];
        let measure = |(signal, count, prior, floor, weight): (Signal, Count, Level, f64, f64)| {
            let level = self.day.memory.level(self.profile, count, prior);
            let number = counts.get(count) as f64;
            (signal, (mixed_bits(level, prior.mean, number, self.days) - floor).max(0.0) * weight)
        };
        usual.into_iter().map(measure).collect()
    }

    fn counts(&self, signal: Signal) -> bool {
        !self.day.without.contains(&signal)
    }

    /// From values to probabilities to the score.
    fn weigh(&self, cells: Vec<usize>, values: BTreeMap<Signal, f64>, facts: Vec<Fact>, counts: DayCounts) -> Scored {
        let measure = |(signal, value): (Signal, f64)| {
            let bits = self.day.memory.surprise(self.kind, self.profile, signal, value);
            let counted = if self.counts(signal) { (bits - SIGNAL_FLOOR).max(0.0) } else { 0.0 };
            Measured { signal, value, bits, credit: signal.credit(counted) }
        };
        let mut signals: Vec<Measured> = values.into_iter().filter(|(_, value)| *value > 0.0).map(measure).collect();
        let shape = (self.shape - SHAPE_FLOOR).max(0.0) * trust(self.days);
        if shape > 0.0 && self.counts(Signal::Shape) {
            let credit = shape * Signal::Shape.weight();
            signals.push(Measured { signal: Signal::Shape, value: 0.0, bits: self.shape, credit });
        }
        signals.sort_by(|a, b| b.credit.total_cmp(&a.credit).then_with(|| a.signal.cmp(&b.signal)));
        let context = fade(&mut signals, true, NEXT_CONTEXT);
        let deeds = fade(&mut signals, false, NEXT_DEED);
        let joint = JOINT * (context * deeds).sqrt();
        signals.sort_by(|a, b| b.credit.total_cmp(&a.credit).then_with(|| a.signal.cmp(&b.signal)));
        let score = round(context + deeds + joint);
        Scored { profile: self.profile, cells, score, context, joint, signals, facts, counts }
    }
}

/// The values of each signal that deeds have, the largest whole, each further one less.
fn summed(facts: &[Fact]) -> BTreeMap<Signal, f64> {
    let mut by_signal: BTreeMap<Signal, Vec<f64>> = BTreeMap::new();
    facts.iter().for_each(|fact| by_signal.entry(fact.signal).or_default().push(fact.bits));
    by_signal.into_iter().map(|(signal, values)| (signal, fading_sum(values))).collect()
}

fn fading_sum(mut values: Vec<f64>) -> f64 {
    values.sort_by(|a, b| b.total_cmp(a));
    let mut weight = 1.0;
    let mut sum = 0.0;
    for value in values {
        sum += value * weight;
        weight *= NEXT_VALUE;
    }
    sum
}

/// Lets each further signal of one side count less, and adds them up; they come the largest first.
fn fade(signals: &mut [Measured], context: bool, next: f64) -> f64 {
    let mut weight = 1.0;
    let mut sum = 0.0;
    for measured in signals.iter_mut().filter(|measured| measured.signal.is_context() == context) {
        measured.credit *= weight;
        sum += measured.credit;
        weight *= next;
    }
    sum
}

/// Thousandths of a bit: what is printed is what is compared.
pub fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
