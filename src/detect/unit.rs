//! One unit: its signals measured, weighed and added.
//!
//! Owns: how surprising a unit's values and amounts are, and what they add up to. Refuses: what a unit is (`score`).
//! Invariant: everything that is summed is sorted first.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::cell::{Cell, WEEKEND, hour_of, hour_value};
use super::counts::{Count, DayCounts};
use super::feature::{ActorKind, Feature};
use super::hours::HOURS;
use super::model::{Level, bits, trust};
use super::names::{Name, Set};
use super::prepared::KeyUse;
use super::reads::{Amount, Sums};
use super::regain;
use super::score::{Burst, Day, Fact, Focus, Measured, Scored, Weekly, round, slots};
use super::signal::Signal;

/// Days of its surroundings' behaviour that an actor's own is pulled by.
const CONTEXT_PULL: f64 = 3.7;
const DEED_PULL: f64 = 2.6;

/// Bits that any day has: a value is only worth counting beyond them.
const CONTEXT_FLOOR: f64 = 3.6;
const DEED_FLOOR: f64 = 6.2;

/// Bits that the past of all may say more of such a value than the actor's own and its surroundings' do.
const CONTEXT_EXCESS: f64 = 2.0;

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

/// Worth of a bit of a bucket's volumes, so that its scores compare with those of sessions, of which their focus leaves so much.
const BUCKET: f64 = 0.6;

/// Days of an actor that say little about its amounts.
const FEW_DAYS: f64 = 3.0;

/// Objects and mebibytes that an actor reads on a day, before anything is known, and bits that any day has.
const OBJECTS: Level = Level { mean: 1.0, dispersion: 2.0 };
const MEBIBYTES: Level = Level { mean: 1.0, dispersion: 2.0 };
const READS_FLOOR: f64 = 2.0;

/// Calls in the busiest hour or minutes, before anything is known, and bits that are everyday work: it comes in bursts.
const BURST: Level = Level { mean: 5.0, dispersion: 1.0 };
const BURST_FLOOR: f64 = 8.0;

/// What is added up over a week, and bits that any week has.
const WEEKLY: [(Signal, Count); 3] =
    [(Signal::WeekObjects, Count::Objects), (Signal::WeekBytes, Count::Bytes), (Signal::WeekDenied, Count::Denied)];
const WEEK_FLOOR: f64 = 6.0;

/// Bits of a shape from which it counts: one day in sixteen.
const SHAPE_FLOOR: f64 = 4.0;

/// What the scoring of an actor's units has in common.
pub(super) struct Scorer<'a> {
    pub(super) day: &'a Day<'a>,
    pub(super) profile: Name,
    pub(super) peer: Name,
    pub(super) kind: ActorKind,
    pub(super) days: f64,
    pub(super) shape: f64,
}

impl Scorer<'_> {
    /// Scores a unit.
    pub(super) fn unit(&self, unit: Vec<usize>) -> Scored {
        let cells = || unit.iter().map(|at| (*at, &self.day.cells[*at]));
        let until = cells().map(|(_, cell)| cell.last).max().unwrap_or_default();
        let counts = self.day.counts(&unit);
        if self.kind == ActorKind::Bucket {
            let values = self.volumes(&counts).into_iter().collect();
            return self.weigh(unit, values, Vec::new(), counts, until);
        }
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
        let reads = self.reads(&unit);
        values.insert(Signal::BucketReads, reads.iter().map(|fact| fact.bits).fold(0.0, f64::max));
        facts.extend(deeds);
        facts.extend(reads);
        let text = |fact: &Fact| self.day.names.text(fact.value);
        facts.sort_by(|a, b| b.bits.total_cmp(&a.bits).then_with(|| (a.feature, text(a)).cmp(&(b.feature, text(b)))));
        self.weigh(unit, values, facts, counts, until)
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
                if is_place(feature) && memory.stays(self.profile, feature, value, self.day.date) {
                    continue;
                }
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
            let uses = self.day.prepared.uses(cell.key);
            let meets = |(network, first, last): &&KeyUse| {
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

    /// What the actor did within a week, up to the end of a unit that is a part of it, where that is beyond its weeks.
    fn weeks(&self, counts: &DayCounts, until: DateTime<Utc>) -> Vec<Weekly> {
        let day = self.day;
        let cells = || day.prepared.cells_of(self.profile).iter().map(|at| &day.cells[*at]);
        let measure = |(signal, count): (Signal, Count)| {
            let mut today = DayCounts::empty(day.date);
            today.set(count, day.sum(cells().filter(|cell| cell.last <= until), count));
            let (sum, level) = day.memory.week(self.profile, count, day.date, today.amount(count))?;
            Some(Weekly { signal, count, sum, level, bits: level.tail_bits(sum) - WEEK_FLOOR })
        };
        let asked = WEEKLY.into_iter().filter(|(_, count)| counts.get(*count) > 0);
        asked.filter_map(measure).filter(|weekly| weekly.bits > 0.0).collect()
    }

    /// How much an amount says: of a newcomer nothing; in a new lake everybody is one.
    fn seen(&self) -> f64 {
        if self.days > 0.0 { 1.0 } else { 1.0 - self.day.memory.maturity() }
    }

    /// How far what the unit read from a bucket is beyond what the actor reads from it, objects or bytes.
    fn reads(&self, unit: &[usize]) -> Vec<Fact> {
        let fact = |(bucket, amount): (Name, Amount)| {
            let usual = self.day.memory.reads(self.profile, bucket);
            let beyond = |sums: Sums, prior: Level, number: f64| {
                mixed_bits(sums.level(self.days, prior), prior.mean, number, self.days) - READS_FLOOR
            };
            let objects = beyond(usual.objects, OBJECTS, amount.objects as f64);
            let bits = objects.max(beyond(usual.mebibytes, MEBIBYTES, amount.mebibytes())) * self.seen();
            let cell = unit.iter().copied().find(|at| self.day.cells[*at].reads == Some(bucket)).unwrap_or_default();
            Fact { signal: Signal::BucketReads, feature: Feature::Resource, value: bucket, cell, bits }
        };
        self.day.reads(unit).into_iter().map(fact).filter(|fact| fact.bits > 0.0).collect()
    }

    /// The hour with the most calls, and the one with the most in ten minutes, beyond what the actor has at that hour of the week.
    fn bursts(&self, unit: &[usize]) -> Vec<Burst> {
        let slots = slots(unit.iter().map(|at| &self.day.cells[*at]));
        let shares = self.day.memory.hours(self.profile, self.day.date);
        let most = |calls: [i64; HOURS], signal, count| {
            let level = self.day.memory.level(self.profile, count, self.day.date, BURST);
            let burst = |(hour, calls): (usize, i64)| {
                let (calls, level) = (calls as f64, Level { mean: level.mean * shares[hour], ..level });
                let bits = (mixed_bits(level, BURST.mean, calls, self.days) - BURST_FLOOR) * trust(self.days);
                Burst { signal, hour, calls, level, bits }
            };
            let bursts = calls.into_iter().enumerate().filter(|(_, calls)| *calls > 0).map(burst);
            bursts.reduce(|best, next| if next.bits > best.bits { next } else { best }).filter(|burst| burst.bits > 0.0)
        };
        let hour = most(slots.map(|hour| hour.iter().sum()), Signal::BusiestHour, Count::BusiestHour);
        let minutes = slots.map(|hour| hour.into_iter().max().unwrap_or(0));
        hour.into_iter().chain(most(minutes, Signal::BusiestMinutes, Count::BusiestMinutes)).collect()
    }

    /// How far the unit's counts are beyond the actor's days.
    fn volumes(&self, counts: &DayCounts) -> Vec<(Signal, f64)> {
        let (known, seen) = (trust(self.days), self.seen());
        let usual = [
            (Signal::Calls, Count::Calls, Level { mean: 5.0, dispersion: 1.0 }, 3.0, known),
            (Signal::Apis, Count::Apis, Level { mean: 5.0, dispersion: 1.0 }, 3.0, known),
            (Signal::Denied, Count::Denied, Level { mean: 0.3, dispersion: 2.0 }, 1.0, seen),
            (Signal::Resources, Count::Resources, Level { mean: 1.0, dispersion: 1.5 }, 2.0, seen),
            (Signal::Objects, Count::Objects, OBJECTS, READS_FLOOR, seen),
            (Signal::Bytes, Count::Bytes, MEBIBYTES, READS_FLOOR, seen),
        ];
        let of_buckets = |signal: Signal| matches!(signal, Signal::Objects | Signal::Bytes);
        let measure = |(signal, count, prior, floor, weight): (Signal, Count, Level, f64, f64)| {
            // of nothing any day has as much
            if counts.get(count) == 0 {
                return (signal, 0.0);
            }
            let level = self.day.memory.level(self.profile, count, self.day.date, prior);
            let number = counts.amount(count);
            (signal, (mixed_bits(level, prior.mean, number, self.days) - floor).max(0.0) * weight)
        };
        let asked = usual.into_iter().filter(|(signal, ..)| self.kind != ActorKind::Bucket || of_buckets(*signal));
        asked.map(measure).collect()
    }

    /// How much of some cells is unusual; of what is read from a bucket all is of one kind.
    fn focus(&self, cells: &[usize], facts: &[Fact]) -> Focus {
        if self.kind == ActorKind::Bucket {
            return Focus::default();
        }
        let apis: Set<Name> = cells.iter().map(|at| self.day.cells[*at].api).collect();
        let surprising = facts.iter().filter(|fact| matches!(fact.signal, Signal::Api(_)));
        Focus { unusual: surprising.map(|fact| fact.value).collect::<Set<_>>().len(), apis: apis.len() }
    }

    /// Bits of a signal's value. That a network is new is hardly rarer than the surroundings of whoever is in it tell, though most
    /// programs never have a new one.
    fn bits(&self, signal: Signal, value: f64) -> f64 {
        let bits = self.day.memory.surprise(self.kind, self.profile, signal, value);
        match signal {
            Signal::Network | Signal::Place | Signal::Agent | Signal::Region | Signal::Account => {
                bits.min(value + CONTEXT_FLOOR + CONTEXT_EXCESS)
            }
            _ => bits,
        }
    }

    fn counts(&self, signal: Signal) -> bool {
        !self.day.without.contains(&signal)
    }

    /// From values to probabilities to the score.
    fn weigh(
        &self,
        cells: Vec<usize>,
        mut values: BTreeMap<Signal, f64>,
        facts: Vec<Fact>,
        counts: DayCounts,
        until: DateTime<Utc>,
    ) -> Scored {
        let weeks = self.weeks(&counts, until);
        let bursts = if self.kind == ActorKind::Bucket { Vec::new() } else { self.bursts(&cells) };
        values.extend(bursts.iter().map(|burst| (burst.signal, burst.bits)));
        values.extend(weeks.iter().map(|weekly| (weekly.signal, weekly.bits)));
        let measure = |(signal, value): (Signal, f64)| {
            let bits = self.bits(signal, value);
            let counted = if self.counts(signal) { (bits - SIGNAL_FLOOR).max(0.0) } else { 0.0 };
            // of a bucket nothing else is measured
            let credit = if self.kind == ActorKind::Bucket { counted * BUCKET } else { signal.credit(counted) };
            Measured { signal, value, bits, credit }
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
        let focus = self.focus(&cells, &facts);
        let joint = JOINT * (context * deeds).sqrt() * focus.weight();
        let focused = signals.iter_mut().filter(|measured| !measured.signal.is_volume());
        focused.for_each(|measured| measured.credit *= focus.weight());
        signals.sort_by(|a, b| b.credit.total_cmp(&a.credit).then_with(|| a.signal.cmp(&b.signal)));
        let score = round(signals.iter().map(|measured| measured.credit).sum::<f64>() + joint);
        let reads = self.day.reads(&cells);
        Scored {
            profile: self.profile,
            cells,
            score,
            focus,
            context,
            joint,
            signals,
            facts,
            counts,
            reads,
            weeks,
            bursts,
        }
    }
}

/// Whether a value of a feature is where somebody is.
fn is_place(feature: Feature) -> bool {
    matches!(feature, Feature::Network | Feature::Country | Feature::NetworkKind)
}

/// -log2 of the probability of so many or more, by the actor's level and by the order of magnitude alone, which is all
/// that is known of an actor without a past: P(X >= n) = 1 / (1 + n / mean), the Lomax distribution of shape 1. Each of
/// the first days halves its share, and then it has none.
fn mixed_bits(level: Level, mean: f64, number: f64, days: f64) -> f64 {
    let own = 0.5f64.powf(level.tail_bits(number));
    let unknown = if days <= FEW_DAYS { 0.5f64.powf(days) } else { 0.0 };
    bits((1.0 - unknown) * own + unknown / (1.0 + number / mean))
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
