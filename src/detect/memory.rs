//! What is known before a day: who uses what, how usual it is around them, how much of everything is usual.
//!
//! Owns: the sums over past days, and the probabilities that they give. Refuses: events; a day comes as a [`DayRecord`],
//! whether it was just counted or read from `baselines`. Invariant: equal records in equal order give an equal memory.
//!
//! A value of an actor takes about 60 bytes, 60 more where it is a network, and about 40 more for a week after a person met it; one of
//! the organization, of an account or of a peer group about 40.

use std::collections::{BTreeMap, VecDeque};

use chrono::{Datelike, NaiveDate};

use super::counts::{Count, DayCounts};
use super::day_set::DaySet;
use super::feature::{ActorKind, Feature};
use super::hours::{DayHours, HOURS, WeekHours};
use super::model::{Level, Week};
use super::names::{Map, Name, Names, Set};
use super::place::Places;
use super::reads::{Habitual, ReadRow};
use super::signal::{ANY, Custom, Habit, Signal, Tail, surprise};
use super::story::LEAST_SCORE;

/// Days until which everything is new and says nothing about habits: of the lake, and of an actor.
const BURN_IN_DAYS: i64 = 4;
const ACTOR_BURN_IN_DAYS: f64 = 3.0;

/// Days after which a use counts half.
const HALF_LIFE_DAYS: f64 = 30.0;

/// Actors by which a wider group's share pulls a narrower one's.
const ACCOUNT_PULL: f64 = 5.0;
const PEER_PULL: f64 = 2.0;
/// The same for shares of actor-days.
const DAY_PULL: f64 = 20.0;

/// Actor-days of an imagined organization before the first real one, and how often one of its APIs is used.
const PRIOR_DAYS: f64 = 50.0;
const PRIOR_RATE: f64 = 0.026;

/// Actor-days at which the lake's own past and what is assumed before it weigh the same.
const YOUNG_DAYS: f64 = 10.0;

/// Weeks of an actor's past at least that a week is held against, and how much days and weeks vary before they are known to.
const LEAST_WEEKS: i64 = 2;
const DAY_DISPERSION: f64 = 1.0;
const WEEK_DISPERSION: f64 = 0.3;

/// Days after which somebody who was in a place is no longer taken to be there.
const STAY_DAYS: i64 = 7;

/// Days for which it is known who met a value for the first time.
const MET_DAYS: i64 = 7;

/// Share of the days on which an actor uses what it uses at all.
const USE_RATE: f64 = 0.3;

/// Days of stories that a budget's threshold is taken from, at most and at least; twice as many are kept, to see how
/// the thresholds of those days would have done.
const STORY_DAYS: usize = 7;
const LEAST_STORY_DAYS: usize = 3;

/// How far the budget is moved for what was told too much or too little.
const MOST_CORRECTION: f64 = 2.0;

/// One value that an actor used on a day.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FactRow {
    /// Whose.
    pub profile: Name,
    /// Account of the calls.
    pub account: Name,
    /// What it is a value of; of the network, the value is the prefix.
    pub feature: Feature,
    /// The value.
    pub value: Name,
    /// Calls.
    pub calls: i64,
}

/// What an actor was like on a day.
#[derive(Debug, Clone, PartialEq)]
pub struct ActorDay {
    /// Whose.
    pub profile: Name,
    /// Group it is compared with.
    pub peer: Name,
    /// Volume and breadth.
    pub counts: DayCounts,
    /// Calls by hour; of a bucket none.
    pub hours: DayHours,
    /// Largest value of each signal that had one, in thousandths of a bit.
    pub values: BTreeMap<Signal, i64>,
}

/// One day, counted.
#[derive(Debug, Clone, PartialEq)]
pub struct DayRecord {
    /// UTC date.
    pub date: NaiveDate,
    /// Sorted.
    pub facts: Vec<FactRow>,
    /// By profile; buckets are among them.
    pub actors: Vec<ActorDay>,
    /// What actors read from buckets.
    pub reads: Vec<ReadRow>,
    /// Scores of the day's stories, the highest first, in thousandths of a bit.
    pub stories: Vec<i64>,
}

impl DayRecord {
    /// A day on which nothing happened.
    pub fn empty(date: NaiveDate) -> Self {
        Self { date, facts: Vec::new(), actors: Vec::new(), reads: Vec::new(), stories: Vec::new() }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Own {
    days: f64,
    last: NaiveDate,
}

#[derive(Debug, Clone, Copy, Default)]
struct Population {
    users: f64,
    days: f64,
}

/// What is known of an actor.
#[derive(Debug, Clone)]
pub struct Actor {
    /// Its peer group.
    pub peer: Name,
    /// Its active days, ascending.
    pub days: Vec<DayCounts>,
    /// Its calls by hour of the week; of a bucket none.
    hours: Option<Box<WeekHours>>,
}

/// Members and active days of a group: the organization, an account, a peer group.
#[derive(Debug, Clone, Copy, Default)]
struct Group {
    actors: f64,
    days: f64,
}

/// Who used a value before, in an actor's surroundings.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// Days on which the actor used it, older ones counting less, of its active days.
    pub own: (f64, f64),
    /// Actors that ever used it, of all: of the peer group, the account, the organization.
    pub peers: (f64, f64),
    /// See `peers`.
    pub account: (f64, f64),
    /// See `peers`.
    pub organization: (f64, f64),
}

/// The past of a day.
#[derive(Debug, Default)]
pub struct Memory {
    own: Map<(Name, Feature, Name), Own>,
    organization: Map<(Feature, Name), Population>,
    scoped: Map<(Feature, Name, Name), Population>,
    groups: Map<Option<Name>, Group>,
    members: Set<(Name, Option<Name>)>,
    actors: Map<Name, Actor>,
    tails: Map<(ActorKind, Signal), Tail>,
    /// Measured days of each peer group, and those of them that had any of a signal.
    customs: Map<Name, f64>,
    customary: Map<(Name, Signal), f64>,
    habits: Map<(Name, Signal), Habit>,
    reads: Map<(Name, Name), Habitual>,
    networks: Map<Name, Map<Name, DaySet>>,
    stories: VecDeque<Vec<i64>>,
    /// People who met a value for the first time in the last days, and when.
    met: Map<(Feature, Name), Vec<(NaiveDate, Name)>>,
    first: Option<NaiveDate>,
    last: Option<NaiveDate>,
}

fn weekday(date: NaiveDate) -> usize {
    date.weekday().num_days_from_monday() as usize
}

fn decay(from: NaiveDate, to: NaiveDate) -> f64 {
    0.5f64.powf((to - from).num_days() as f64 / HALF_LIFE_DAYS)
}

impl Memory {
    /// First date known, and the last.
    pub fn span(&self) -> Option<(NaiveDate, NaiveDate)> {
        self.first.zip(self.last)
    }

    /// Days from the first known one to a date.
    pub fn length_days(&self, date: NaiveDate) -> i64 {
        self.first.map_or(0, |first| (date - first).num_days())
    }

    /// How much the lake's past is worth, 0 (there is none) to nearly 1.
    pub fn maturity(&self) -> f64 {
        let days = self.group(None).days;
        days / (days + YOUNG_DAYS)
    }

    /// What is known of an actor.
    pub fn actor(&self, profile: Name) -> Option<&Actor> {
        self.actors.get(&profile)
    }

    /// The days of all actors, in one order; buckets are none.
    pub fn all_days(&self, names: &Names) -> Vec<&DayCounts> {
        let all = self.actors.iter().map(|(profile, actor)| (names.text(*profile), actor));
        let mut actors: Vec<(&str, &Actor)> =
            all.filter(|(profile, _)| ActorKind::of(profile) != ActorKind::Bucket).collect();
        actors.sort_unstable_by_key(|(profile, _)| *profile);
        actors.into_iter().flat_map(|(_, actor)| &actor.days).collect()
    }

    /// Active days of an actor.
    pub fn days_of(&self, profile: Name) -> f64 {
        self.actors.get(&profile).map_or(0.0, |actor| actor.days.len() as f64)
    }

    /// Adds a day; days come in their order.
    pub fn fold(&mut self, record: &DayRecord, names: &mut Names, places: &mut Places) {
        let first = *self.first.get_or_insert(record.date);
        self.last = Some(record.date);
        let habitual = (record.date - first).num_days() >= BURN_IN_DAYS;
        for day in &record.actors {
            self.add_actor(day, habitual, names);
        }
        for read in &record.reads {
            self.reads.entry((read.profile, read.bucket)).or_default().add(read.amount);
        }
        self.forget_met(record.date);
        for fact in &record.facts {
            self.add_fact(fact, record.date, habitual, names, places);
        }
        if habitual {
            self.stories.push_back(record.stories.clone());
            if self.stories.len() > 2 * STORY_DAYS {
                self.stories.pop_front();
            }
        }
    }

    fn add_actor(&mut self, day: &ActorDay, habitual: bool, names: &Names) {
        let new = || Actor { peer: day.peer, days: Vec::with_capacity(8), hours: None };
        let actor = self.actors.entry(day.profile).or_insert_with(new);
        actor.days.push(day.counts);
        if !day.hours.is_empty() {
            actor.hours.get_or_insert_default().add(weekday(day.counts.date), &day.hours);
        }
        let (peer, days) = (actor.peer, actor.days.len() as f64);
        let kind = ActorKind::of(names.text(day.profile));
        if kind != ActorKind::Bucket {
            for group in [None, Some(peer)] {
                self.join(day.profile, group);
                self.groups.entry(group).or_default().days += 1.0;
            }
        }
        if !habitual || days <= ACTOR_BURN_IN_DAYS {
            return;
        }
        *self.customs.entry(peer).or_default() += 1.0;
        for signal in Signal::all() {
            let value = day.values.get(&signal).map_or(0.0, |millibits| *millibits as f64 / 1000.0);
            self.tails.entry((kind, signal)).or_default().add(value);
            if value > ANY {
                *self.customary.entry((peer, signal)).or_default() += 1.0;
            }
            if value > ANY || self.habits.contains_key(&(day.profile, signal)) {
                self.habits.entry((day.profile, signal)).or_insert_with(|| Habit::quiet(days)).add(value);
            }
        }
    }

    fn join(&mut self, profile: Name, group: Option<Name>) {
        if self.members.insert((profile, group)) {
            self.groups.entry(group).or_default().actors += 1.0;
        }
    }

    fn add_fact(&mut self, fact: &FactRow, date: NaiveDate, habitual: bool, names: &mut Names, places: &mut Places) {
        let Some(peer) = self.actors.get(&fact.profile).map(|actor| actor.peer) else { return };
        self.join(fact.profile, Some(fact.account));
        let mut learn = |feature, value| self.learn(fact.profile, [peer, fact.account], feature, value, date);
        if fact.feature != Feature::Network {
            let is_new = learn(fact.feature, fact.value);
            if is_new && habitual && ActorKind::of(names.text(fact.profile)) == ActorKind::Person {
                self.met.entry((fact.feature, fact.value)).or_default().push((date, fact.profile));
            }
            return;
        }
        self.networks.entry(fact.profile).or_default().entry(fact.value).or_default().add(date);
        let mut learn = |feature, value| _ = self.learn(fact.profile, [peer, fact.account], feature, value, date);
        let place = places.of(fact.value, names);
        learn(Feature::Prefix, fact.value);
        learn(Feature::Network, place.network);
        place.country.into_iter().for_each(|country| learn(Feature::Country, country));
        place.kind.into_iter().for_each(|kind| learn(Feature::NetworkKind, kind));
    }

    /// Forgets who met what so long ago that it is nobody's company on the day after a date.
    fn forget_met(&mut self, date: NaiveDate) {
        self.met.retain(|_, people| {
            people.retain(|(met, _)| (date - *met).num_days() < MET_DAYS);
            !people.is_empty()
        });
    }

    /// Counts a use once a day, and tells whether it is the actor's first; an actor counts in the account where it was first seen to
    /// use the value.
    fn learn(&mut self, profile: Name, groups: [Name; 2], feature: Feature, value: Name, date: NaiveDate) -> bool {
        let own = self.own.entry((profile, feature, value)).or_default();
        let new = own.days == 0.0;
        if !new && own.last == date {
            return false;
        }
        own.days = if new { 1.0 } else { own.days * decay(own.last, date) + 1.0 };
        own.last = date;
        let add = |population: &mut Population| {
            population.days += 1.0;
            population.users += f64::from(u8::from(new));
        };
        add(self.organization.entry((feature, value)).or_default());
        for group in groups {
            add(self.scoped.entry((feature, value, group)).or_default());
        }
        new
    }

    /// Days on which an actor used a value, older ones counting less.
    pub fn used(&self, profile: Name, feature: Feature, value: Name, date: NaiveDate) -> f64 {
        self.own.get(&(profile, feature, value)).map_or(0.0, |own| own.days * decay(own.last, date))
    }

    /// Whether an actor is where it was a few days ago: who came to a place is there for some days, whatever the share of all days
    /// on which it is there. That it came was told then.
    pub fn stays(&self, profile: Name, feature: Feature, value: Name, date: NaiveDate) -> bool {
        self.own.get(&(profile, feature, value)).is_some_and(|own| (date - own.last).num_days() <= STAY_DAYS)
    }

    /// The prefixes that an actor called from in the quarter before a date, in no order, with the days as bits.
    pub fn networks(&self, profile: Name, date: NaiveDate) -> impl Iterator<Item = (Name, u128)> {
        let all = self.networks.get(&profile).into_iter().flatten();
        all.map(move |(prefix, days)| (*prefix, days.before(date))).filter(|(_, days)| *days != 0)
    }

    /// Whether an actor ever used a value.
    pub fn knows(&self, profile: Name, feature: Feature, value: Name) -> bool {
        self.own.contains_key(&(profile, feature, value))
    }

    /// People who met a value for the first time within the seven days before; nobody as long as everything is new.
    pub fn met(&self, feature: Feature, value: Name) -> impl Iterator<Item = Name> {
        self.met.get(&(feature, value)).into_iter().flatten().map(|(_, person)| *person)
    }

    /// Actors of the organization that used a value.
    pub fn users(&self, feature: Feature, value: Name) -> f64 {
        self.organization.get(&(feature, value)).map_or(0.0, |population| population.users)
    }

    fn group(&self, group: Option<Name>) -> Group {
        self.groups.get(&group).copied().unwrap_or_default()
    }

    fn population(&self, feature: Feature, value: Name, group: Name) -> Population {
        self.scoped.get(&(feature, value, group)).copied().unwrap_or_default()
    }

    /// Share of the actors that use a value: what a Dirichlet prior over {used, not used} with the wider group's share
    /// as mean gives, from the organization over the account to the peer group. `base` is how many users one imagined
    /// actor more would be.
    pub fn adoption(&self, feature: Feature, value: Name, peer: Name, account: Name, base: f64) -> f64 {
        let organization = (self.users(feature, value) + base) / (self.group(None).actors + 1.0);
        let narrow = |group: Name, wider: f64, pull: f64| {
            (self.population(feature, value, group).users + pull * wider) / (self.group(Some(group)).actors + pull)
        };
        let account = narrow(account, organization, ACCOUNT_PULL);
        narrow(peer, account, PEER_PULL).clamp(1e-9, 1.0)
    }

    /// Share of the peers' days on which a value is used, pulled to the organization's.
    pub fn day_rate(&self, feature: Feature, value: Name, peer: Name, base: f64) -> f64 {
        let days = self.organization.get(&(feature, value)).map_or(0.0, |population| population.days);
        let organization = (days + PRIOR_DAYS * PRIOR_RATE * base) / (self.group(None).days + PRIOR_DAYS);
        let own = self.population(feature, value, peer).days;
        ((own + DAY_PULL * organization) / (self.group(Some(peer)).days + DAY_PULL)).clamp(1e-9, 1.0)
    }

    /// Probability that an actor uses a value on an active day: its own days, with `pull` days of what its surroundings
    /// would do.
    pub fn predictive(&self, usage: f64, days: f64, adoption: f64, pull: f64) -> f64 {
        (usage + pull * adoption * USE_RATE) / (days + pull)
    }

    /// Who used a value before.
    pub fn usage(&self, profile: Name, feature: Feature, value: Name, account: Name, date: NaiveDate) -> Usage {
        let share = |group: Name| (self.population(feature, value, group).users, self.group(Some(group)).actors);
        Usage {
            own: (self.used(profile, feature, value, date), self.days_of(profile)),
            peers: self.actors.get(&profile).map_or((0.0, 0.0), |actor| share(actor.peer)),
            account: share(account),
            organization: (self.users(feature, value), self.group(None).actors),
        }
    }

    /// Bits of a signal's value for an actor.
    pub fn surprise(&self, kind: ActorKind, profile: Name, signal: Signal, value: f64) -> f64 {
        let quiet = Habit::quiet(self.days_of(profile));
        let habit = self.habits.get(&(profile, signal)).unwrap_or(&quiet);
        let custom = self.actors.get(&profile).map_or_else(Custom::default, |actor| self.custom(actor.peer, signal));
        surprise(value, self.tails.get(&(kind, signal)), custom, Some(habit))
    }

    fn custom(&self, peer: Name, signal: Signal) -> Custom {
        let days = self.customs.get(&peer).copied().unwrap_or_default();
        Custom { days, any: self.customary.get(&(peer, signal)).copied().unwrap_or_default() }
    }

    /// Actor-days behind a signal's probabilities.
    pub fn measured_days(&self, kind: ActorKind, signal: Signal) -> f64 {
        self.tails.get(&(kind, signal)).map_or(0.0, Tail::days)
    }

    /// The level of one of an actor's counts on a date's weekday, on top of what is usual before anything is known.
    pub fn level(&self, profile: Name, count: Count, date: NaiveDate, prior: Level) -> Level {
        let days = self.actors.get(&profile).map_or(&[][..], |actor| &actor.days);
        let week = Week::of(days.iter().map(|day| (weekday(day.date), day.amount(count))));
        let series: Vec<f64> = days.iter().map(|day| day.amount(count) / week.factor(weekday(day.date))).collect();
        let usual = prior.learn(&series);
        Level { mean: usual.mean * week.factor(weekday(date)), ..usual }
    }

    /// What each hour of a date is of the busiest one, on an actor's days.
    pub fn hours(&self, profile: Name, date: NaiveDate) -> [f64; HOURS] {
        let known = self.actors.get(&profile).and_then(|actor| actor.hours.as_ref());
        known.map_or([1.0; HOURS], |hours| hours.shares(weekday(date)))
    }

    /// What a count came to within the seven days that a date is the last of, and the level of its past weeks; `today` is what the
    /// date itself has. A day counts as much as 39 of 40 days of the actor have at most: what is beyond is told on that day.
    /// `None` where less than two weeks are known before these days, or where they are below the usual ones.
    pub fn week(&self, profile: Name, count: Count, date: NaiveDate, today: f64) -> Option<(f64, Level)> {
        let days = &self.actors.get(&profile)?.days;
        let weeks_before = |day: NaiveDate| (date - day).num_days() / 7;
        let weeks = ((date - days.first()?.date).num_days() + 1) / 7 - 1;
        if weeks < LEAST_WEEKS {
            return None;
        }
        let sum = |within: std::ops::RangeInclusive<i64>, most: f64| {
            let within = days.iter().filter(|day| within.contains(&weeks_before(day.date)));
            within.map(|day| day.amount(count).min(most)).sum::<f64>()
        };
        let usual = sum(1..=weeks, f64::MAX) / weeks as f64;
        if sum(0..=0, f64::MAX) + today <= usual {
            return None;
        }
        let before: Vec<f64> =
            days.iter().filter(|day| weeks_before(day.date) > 0).map(|day| day.amount(count)).collect();
        let most = Level { mean: usual / 7.0, dispersion: DAY_DISPERSION }.learn(&before).quantile(0.025);
        let past: Vec<f64> = (1..=weeks).map(|week| sum(week..=week, most)).collect();
        let level = Level { mean: past.iter().sum::<f64>() / weeks as f64, dispersion: WEEK_DISPERSION }.learn(&past);
        Some((sum(0..=0, most) + today.min(most), level))
    }

    /// What an actor read from a bucket on its days.
    pub fn reads(&self, profile: Name, bucket: Name) -> Habitual {
        self.reads.get(&(profile, bucket)).copied().unwrap_or_default()
    }

    /// The score from which a story is told, so that in the long run as many a day are told as the budget allows: the
    /// score that so many stories of the past week reached, the budget first moved by what the thresholds of that week,
    /// each from the week before it, told too much or too little; [`LEAST_SCORE`] where there were fewer stories than that. `None`
    /// where there is too little past to tell.
    pub fn threshold(&self, per_day: f64) -> Option<f64> {
        let days: Vec<&[i64]> = self.stories.iter().map(Vec::as_slice).collect();
        let told = |at: usize| {
            let threshold = threshold_of(&days[at.saturating_sub(STORY_DAYS)..at], per_day)?;
            Some(days[at].iter().filter(|score| **score as f64 / 1000.0 >= threshold).count() as f64)
        };
        let recent: Vec<f64> = (days.len().saturating_sub(STORY_DAYS)..days.len()).filter_map(told).collect();
        // as if there had been two days more that were told as much as allowed
        let realized = (recent.iter().sum::<f64>() + 2.0 * per_day) / (recent.len() as f64 + 2.0);
        let correction = (per_day / realized).clamp(1.0 / MOST_CORRECTION, MOST_CORRECTION);
        threshold_of(&days[days.len().saturating_sub(STORY_DAYS)..], per_day * correction)
    }
}

/// The score that so many stories a day reached: between the last that fits and the first that does not, if there is one.
fn threshold_of(days: &[&[i64]], per_day: f64) -> Option<f64> {
    if days.len() < LEAST_STORY_DAYS {
        return None;
    }
    let mut scores: Vec<i64> = days.iter().copied().flatten().copied().collect();
    scores.sort_unstable_by(|a, b| b.cmp(a));
    let allowed = (per_day * days.len() as f64).round() as usize;
    let (Some(last), Some(next)) = (scores.get(allowed.checked_sub(1)?), scores.get(allowed)) else {
        return Some(LEAST_SCORE);
    };
    Some((last + next) as f64 / 2000.0)
}

#[cfg(test)]
mod tests {
    use chrono::Days;

    use super::*;

    fn memory(days: &[Vec<i64>]) -> Memory {
        Memory { stories: days.iter().cloned().collect(), ..Memory::default() }
    }

    #[test]
    fn a_budget_is_what_the_past_week_had() {
        let day: Vec<i64> = (1..=20).rev().map(|score| score * 1000).collect();
        let steady = memory(&vec![day.clone(); 14]);
        let threshold = steady.threshold(5.0).unwrap();
        assert!((15.0..=17.0).contains(&threshold), "{threshold}");
        assert!(steady.threshold(1.0).unwrap() > threshold);
        assert_eq!(steady.threshold(50.0), Some(LEAST_SCORE));
        assert_eq!(memory(&vec![day; 2]).threshold(5.0), None);
    }

    #[test]
    fn what_was_told_too_much_lowers_the_budget() {
        let quiet: Vec<i64> = (1..=20).rev().map(|score| score * 1000).collect();
        let loud: Vec<i64> = (1..=20).rev().map(|score| score * 2000).collect();
        let calm = memory(&[vec![quiet.clone(); 7], vec![quiet.clone(); 7]].concat());
        let rising = memory(&[vec![quiet; 7], vec![loud; 7]].concat());
        assert!(rising.threshold(5.0).unwrap() > 2.0 * calm.threshold(5.0).unwrap());
    }

    /// A memory of one actor's objects read on consecutive days from Monday, 2 March 2026 on.
    fn reader(objects: &[i64]) -> (Memory, Name, NaiveDate) {
        let profile = Names::default().of("ana");
        let first = NaiveDate::from_ymd_opt(2026, 3, 2).unwrap();
        let day = |(at, number): (usize, &i64)| {
            let mut counts = DayCounts::empty(first + Days::new(at as u64));
            counts.set(Count::Objects, *number);
            counts
        };
        let days = objects.iter().enumerate().map(day).collect();
        let actor = Actor { peer: profile, days, hours: None };
        let memory = Memory { actors: [(profile, actor)].into_iter().collect(), ..Memory::default() };
        (memory, profile, first + Days::new(objects.len() as u64))
    }

    #[test]
    fn a_weekday_that_is_always_busy_is_expected_to_be() {
        let (memory, profile, monday) = reader(&[100, 10, 10, 10, 10, 10, 10].repeat(5));
        let prior = Level { mean: 1.0, dispersion: 1.0 };
        let bits = |date| memory.level(profile, Count::Objects, date, prior).tail_bits(100.0);
        assert!(bits(monday) < 5.0, "{}", bits(monday));
        assert!(bits(monday + Days::new(1)) > bits(monday) + 5.0, "{}", bits(monday + Days::new(1)));
    }

    #[test]
    fn a_week_is_held_against_weeks_and_no_day_counts_for_all_of_it() {
        let bits = |objects: &[i64]| {
            let (memory, profile, date) = reader(objects);
            let (sum, level) = memory.week(profile, Count::Objects, date, 30.0)?;
            Some((sum, level.tail_bits(sum)))
        };
        let usual = vec![10; 28];
        let slow = bits(&[usual.clone(), vec![30; 6]].concat()).unwrap();
        let once = bits(&[usual.clone(), vec![10; 5], vec![5000]].concat()).unwrap();
        // of 30 a day 23 count: 39 of 40 days are below
        assert_eq!((slow.0, once.0), (7.0 * 23.0, 5.0 * 10.0 + 2.0 * 23.0));
        assert!(slow.1 > once.1 + 3.0, "{slow:?} {once:?}");
        // a quiet week is none, and neither is one with too little before it
        assert_eq!(bits(&[usual, vec![0; 6]].concat()), None);
        assert_eq!(bits(&[10; 16]), None);
    }
}
