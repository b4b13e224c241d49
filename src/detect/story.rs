//! Stories: what belongs together is one finding.
//!
//! Owns: which scored actors of a day are one story (same person, same rare source address, one made the other's
//! credentials; crowds are `crowd`'s), the story's score, and the cells that carry it. Refuses: to read events.
//! Invariant: every scored actor is in exactly one story; the order of its members is that of their scores.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};

use super::cell::{Cell, hour_of};
use super::crowd::Company;
use super::feature::{self, ActorKind, Feature};
use super::memory::Memory;
use super::names::{Map, Name, Names};
use super::reads::Amount;
use super::score::{ActorScore, Day, Fact, KnownUnits, Scored, round};
use super::signal::Signal;

/// Bits below which an actor-day is nobody's story.
pub const LEAST_SCORE: f64 = 2.0;

/// What each further member adds, and how many count.
const NEXT_MEMBER: f64 = 0.14;
const MEMBERS: usize = 3;

/// Share of the story's best score that a member needs for its cells to be evidence.
const MEMBER_SHARE: f64 = 0.3;

/// Actors that used a source before, and that use it today, up to which it says that two belong together.
const RARE_USERS: f64 = 2.0;
const FEW_ACTORS: usize = 4;

/// Bits of a fact from which its cell is evidence.
const EVIDENCE: f64 = 1.0;

/// Score of the place from which everything that came from there is evidence, and bits of what makes it strange.
const STRANGE_PLACE: f64 = 4.0;
const STRANGE: f64 = 2.0;

/// A story: scored actors by index, the most unusual one first.
#[derive(Debug, Clone, PartialEq)]
pub struct Story {
    /// Members.
    pub members: Vec<usize>,
    /// Bits.
    pub score: f64,
    /// Of a crowd, who else met what is new in the first member's part of it.
    pub company: Option<Company>,
}

impl Story {
    /// What others did, too, took so much of the score, 0 to 1.
    pub fn weight(&self) -> f64 {
        self.company.map_or(1.0, Company::weight)
    }
}

/// Who made a key: profile by access key.
pub type Makers = HashMap<Name, Name>;

/// Bits that rules add to what an actor did, by profile: such an actor is a story whatever its score.
pub type Ruled = BTreeMap<Name, f64>;

/// A day as its stories are made from.
pub struct Scene<'a> {
    /// Every actor of the day.
    pub scores: &'a [ActorScore],
    /// The day's cells.
    pub cells: &'a [Cell],
    /// What was known before.
    pub memory: &'a Memory,
    /// The texts.
    pub names: &'a Names,
    /// What rules say.
    pub ruled: &'a Ruled,
}

impl Scene<'_> {
    fn bits(&self, at: usize) -> f64 {
        let score = &self.scores[at];
        score.best.score + self.ruled.get(&score.profile).copied().unwrap_or(0.0)
    }

    fn is_bucket(&self, at: usize) -> bool {
        ActorKind::of(self.names.text(self.scores[at].profile)) == ActorKind::Bucket
    }

    /// Actors that can be a story at all, the most unusual first; AWS itself is none.
    fn candidates(&self) -> Vec<usize> {
        let can = |at: &usize| {
            self.bits(*at) >= LEAST_SCORE
                && ActorKind::of(self.names.text(self.scores[*at].profile)) != ActorKind::Service
        };
        let mut order: Vec<usize> = (0..self.scores.len()).filter(can).collect();
        let text = |at: usize| self.names.text(self.scores[at].profile);
        order.sort_by(|a, b| self.bits(*b).total_cmp(&self.bits(*a)).then_with(|| text(*a).cmp(text(*b))));
        order
    }

    /// Keys whose maker would join a candidate to another story.
    pub fn keys(&self) -> BTreeSet<String> {
        let actors = self.candidates().into_iter().filter(|at| !self.is_bucket(*at));
        let units = actors.flat_map(|at| &self.scores[at].best.cells);
        let keys = units.map(|at| self.names.text(self.cells[*at].key));
        keys.filter(|key| !key.is_empty()).map(str::to_owned).collect()
    }

    /// Joins the candidates into stories, the highest score first.
    pub fn stories(&self, makers: &Makers) -> Vec<Story> {
        let order = self.candidates();
        let mut crowds = Crowds::default();
        self.cells.iter().for_each(|cell| _ = crowds.entry(cell.prefix).or_default().insert(cell.profile));
        let links: Vec<Links> = order.iter().map(|at| Links::of(self, *at, makers, &crowds)).collect();
        let mut meetings = Meetings::of(&links);
        let mut taken = vec![false; order.len()];
        let mut stories = Vec::new();
        for first in 0..order.len() {
            if !taken[first] {
                let group = meetings.gather(first, &mut taken);
                stories.push(self.story(group.into_iter().map(|at| order[at]).collect()));
            }
        }
        let mut stories = self.crowds(stories);
        let text = |story: &Story| self.names.text(self.scores[story.members[0]].profile);
        stories.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| text(a).cmp(text(b))));
        stories
    }

    /// Who read is told before what was read.
    fn story(&self, mut members: Vec<usize>) -> Story {
        let bits: Vec<f64> = members.iter().map(|at| self.bits(*at)).collect();
        members.sort_by_key(|at| self.is_bucket(*at));
        Story { score: together(&bits), members, company: None }
    }

    /// The earliest event time at which what had been done up to then makes the story reach a score, as a run at that
    /// moment would have found: the end of the story's last cell where none does. What a rule adds is taken to be there
    /// from the first call of its API on. `rules` are profile and API.
    pub fn moment(&self, day: &Day<'_>, story: &Story, score: f64, rules: &[(Name, Name)]) -> Option<DateTime<Utc>> {
        let profiles: Vec<Name> = story.members.iter().take(1 + MEMBERS).map(|at| self.scores[*at].profile).collect();
        let cells: Vec<&[usize]> = profiles.iter().map(|profile| day.prepared.cells_of(*profile)).collect();
        let ends: BTreeSet<DateTime<Utc>> = cells.iter().copied().flatten().map(|at| self.cells[*at].last).collect();
        let ends: Vec<DateTime<Utc>> = ends.into_iter().collect();
        let mut known = KnownUnits::default();
        let mut reached = |until: &DateTime<Utc>| {
            let ruled = |profile: Name, cells: &[usize]| {
                let named = |cell: &Cell| cell.first <= *until && rules.contains(&(profile, cell.api));
                let is_named = cells.iter().any(|at| named(&self.cells[*at]));
                if is_named { self.ruled.get(&profile).copied().unwrap_or(0.0) } else { 0.0 }
            };
            let bits = |(profile, cells): (&Name, &&[usize])| {
                day.best_until(*profile, *until, &mut known).unwrap_or(0.0) + ruled(*profile, cells)
            };
            let mut bits: Vec<f64> =
                profiles.iter().zip(&cells).map(bits).filter(|bits| *bits >= LEAST_SCORE).collect();
            bits.sort_by(|a, b| b.total_cmp(a));
            !bits.is_empty() && together(&bits) >= score
        };
        let at = ends.partition_point(|end| !reached(end));
        ends.get(at).or(ends.last()).copied()
    }

    /// The cells that carry a story, with their weight in thousandths of a bit.
    pub fn evidence(&self, story: &Story) -> BTreeMap<usize, i64> {
        let least = self.bits(story.members[0]) * MEMBER_SHARE;
        let root = story.members[0];
        // of a bucket that is not the story itself, what its readers in the story did is told
        let tells = |at: &&usize| self.bits(**at) >= least && (**at == root || !self.is_bucket(**at));
        let members = story.members.iter().filter(tells);
        let mut weights: BTreeMap<usize, i64> = BTreeMap::new();
        for unit in members.map(|at| &self.scores[*at].best) {
            for (at, bits) in self.carriers(unit) {
                *weights.entry(at).or_default() += (bits * 1000.0).round() as i64;
            }
        }
        weights
    }
}

/// The score of members together, the highest first.
fn together(bits: &[f64]) -> f64 {
    let more = bits[1..].iter().take(MEMBERS).map(|bits| (bits - LEAST_SCORE) * NEXT_MEMBER);
    round(bits[0] + more.sum::<f64>())
}

/// Candidates by what joins them: of ten thousand newcomers no two are compared.
struct Meetings<'l> {
    links: &'l [Links],
    by_address: Map<Name, Vec<usize>>,
    by_maker: Map<Name, Vec<usize>>,
    by_profile: Map<Name, usize>,
    by_person: BTreeMap<&'l str, Vec<usize>>,
}

impl<'l> Meetings<'l> {
    fn of(links: &'l [Links]) -> Self {
        let (mut by_address, mut by_maker): (Map<Name, Vec<usize>>, Map<Name, Vec<usize>>) = Default::default();
        for (at, link) in links.iter().enumerate() {
            link.addresses.iter().for_each(|address| by_address.entry(*address).or_default().push(at));
            link.makers.iter().for_each(|maker| by_maker.entry(*maker).or_default().push(at));
        }
        let by_profile = links.iter().enumerate().map(|(at, link)| (link.profile, at)).collect();
        let mut by_person: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (at, link) in links.iter().enumerate() {
            link.person.iter().for_each(|(person, _)| by_person.entry(person).or_default().push(at));
        }
        // IAM users of one name in several accounts need not be one person
        by_person.retain(|_, all| all.iter().any(|at| links[*at].person.as_ref().is_some_and(|(_, central)| *central)));
        Self { links, by_address, by_maker, by_profile, by_person }
    }

    /// Those who share a rare address with one, who are the same person, who made its credentials, or whose credentials it made. What was asked for once
    /// has joined all that it joins, and is not asked for again.
    fn joined(&mut self, at: usize) -> Vec<usize> {
        let link = &self.links[at];
        let mut found: Vec<usize> =
            link.makers.iter().filter_map(|maker| self.by_profile.get(maker)).copied().collect();
        found.extend(self.by_maker.remove(&link.profile).unwrap_or_default());
        if let Some((person, _)) = &link.person {
            found.extend(self.by_person.remove(person.as_str()).unwrap_or_default());
        }
        for address in &link.addresses {
            found.extend(self.by_address.remove(address).unwrap_or_default());
        }
        found
    }

    /// All that is joined to the first, directly or not.
    fn gather(&mut self, first: usize, taken: &mut [bool]) -> Vec<usize> {
        let mut group = vec![first];
        taken[first] = true;
        let mut next = 0;
        while next < group.len() {
            for other in self.joined(group[next]) {
                if !std::mem::replace(&mut taken[other], true) {
                    group.push(other);
                }
            }
            next += 1;
        }
        group.sort_unstable();
        group
    }
}

/// Actors by the source that they use today.
type Crowds = Map<Name, BTreeSet<Name>>;

/// What joins an actor's unit to others.
struct Links {
    profile: Name,
    addresses: BTreeSet<Name>,
    /// Those who made its credentials; of a bucket, those who read most from it.
    makers: BTreeSet<Name>,
    /// Whose identity it is, and whether that is a person behind Identity Center.
    person: Option<(String, bool)>,
}

impl Links {
    fn of(scene: &Scene<'_>, at: usize, makers: &Makers, crowds: &Crowds) -> Self {
        let (memory, names, score) = (scene.memory, scene.names, &scene.scores[at]);
        if scene.is_bucket(at) {
            return Self {
                profile: score.profile,
                addresses: BTreeSet::new(),
                makers: main_readers(scene, &score.best),
                person: None,
            };
        }
        let unit = || score.best.cells.iter().map(|at| &scene.cells[*at]);
        let public = |cell: &&Cell| names.text(cell.address).parse::<std::net::IpAddr>().is_ok();
        // where nothing is known yet, everything is rare
        let rare = |cell: &&Cell| {
            memory.span().is_some()
                && memory.users(Feature::Prefix, cell.prefix) <= RARE_USERS
                && crowds.get(&cell.prefix).is_none_or(|actors| actors.len() <= FEW_ACTORS)
        };
        let private = |cell: &&Cell| names.text(cell.place.network) == "private";
        Self {
            profile: score.profile,
            addresses: unit()
                .filter(|cell| public(cell) && rare(cell) && !private(cell))
                .map(|cell| cell.address)
                .collect(),
            makers: unit().filter_map(|cell| makers.get(&cell.key)).copied().collect(),
            person: feature::person(names.text(score.profile)),
        }
    }
}

/// How much more than on its days each reader read from a bucket: objects and mebibytes.
fn excess(scene: &Scene<'_>, unit: &Scored) -> BTreeMap<Name, [f64; 2]> {
    let mut by_reader: BTreeMap<Name, Amount> = BTreeMap::new();
    for cell in unit.cells.iter().map(|at| &scene.cells[*at]) {
        by_reader.entry(cell.profile).or_default().add(cell.calls, cell.bytes);
    }
    let beyond = |(reader, amount): (Name, Amount)| {
        let (usual, days) = (scene.memory.reads(reader, unit.profile), scene.memory.days_of(reader));
        let objects = amount.objects as f64 - usual.objects.mean(days);
        let mebibytes = amount.mebibytes() - usual.mebibytes.mean(days);
        (reader, [objects.max(0.0), mebibytes.max(0.0)])
    };
    by_reader.into_iter().map(beyond).collect()
}

/// Who read at least half of the objects or of the bytes that were more than usual.
fn main_readers(scene: &Scene<'_>, unit: &Scored) -> BTreeSet<Name> {
    let excess = excess(scene, unit);
    let all = [0, 1].map(|side: usize| excess.values().map(|beyond| beyond[side]).sum::<f64>());
    let is_main = |beyond: &[f64; 2]| (0..2).any(|side| all[side] > 0.0 && 2.0 * beyond[side] >= all[side]);
    excess.into_iter().filter(|(_, beyond)| is_main(beyond)).map(|(reader, _)| reader).collect()
}

impl Scene<'_> {
    /// The cells of a unit that carry its score, with bits.
    fn carriers(&self, unit: &Scored) -> Vec<(usize, f64)> {
        let cells = self.cells;
        if ActorKind::of(self.names.text(unit.profile)) == ActorKind::Bucket {
            return self.more_than_usual(unit);
        }
        let mut found: Vec<(usize, f64)> = unit
            .facts
            .iter()
            .filter(|fact| fact.bits > EVIDENCE && !fact.signal.is_context() && fact.signal != Signal::BucketReads)
            .map(|fact| (fact.cell, fact.bits))
            .collect();
        found.extend(self.bulk(unit));
        if unit.context > STRANGE_PLACE {
            let marks = |fact: &&Fact| {
                matches!(fact.signal, Signal::Network | Signal::Place | Signal::Agent | Signal::Region)
                    && fact.bits > STRANGE
            };
            let strange: Vec<_> = unit.facts.iter().filter(marks).map(|fact| (fact.feature, fact.value)).collect();
            let from_there = |at: &&usize| cells[**at].context().any(|value| strange.contains(&value));
            found.extend(unit.cells.iter().filter(from_there).map(|at| (*at, 1.0)));
        }
        if found.is_empty() {
            found = unit.facts.iter().map(|fact| (fact.cell, fact.bits)).collect();
        }
        match found.is_empty() {
            true => unit.cells.iter().map(|at| (*at, 1.0)).collect(),
            false => found,
        }
    }

    /// The cells of a bucket's readers, those of whoever read the most beyond its own days first.
    fn more_than_usual(&self, unit: &Scored) -> Vec<(usize, f64)> {
        let excess = excess(self, unit);
        let most = [0, 1].map(|side: usize| excess.values().map(|beyond| beyond[side]).fold(1e-9, f64::max));
        let share = |beyond: &[f64; 2]| (beyond[0] / most[0]).max(beyond[1] / most[1]);
        let weight = |at: &usize| (*at, unit.score * excess.get(&self.cells[*at].profile).map_or(0.0, share));
        unit.cells.iter().map(weight).filter(|(_, bits)| *bits > 0.0).collect()
    }

    /// The cells behind unusual counts: the API with the most calls, what was denied, what was read, and from which bucket.
    fn bulk(&self, unit: &Scored) -> Vec<(usize, f64)> {
        let mut calls: BTreeMap<Name, i64> = BTreeMap::new();
        unit.cells.iter().for_each(|at| *calls.entry(self.cells[*at].api).or_default() += self.cells[*at].calls);
        let busiest = calls.iter().max_by_key(|(api, calls)| (**calls, self.names.text(**api))).map(|(api, _)| *api);
        let burst = |signal: Signal| unit.bursts.iter().find(|burst| burst.signal == signal).map(|burst| burst.hour);
        let from = unit.facts.iter().filter(|fact| fact.signal == Signal::BucketReads && fact.bits > EVIDENCE);
        let unusual: BTreeSet<Name> = from.map(|fact| fact.value).collect();
        let carries = |signal: Signal, cell: &Cell| match signal {
            Signal::Calls => Some(cell.api) == busiest,
            Signal::BusiestHour | Signal::BusiestMinutes => burst(signal) == Some(hour_of(cell.first).0 as usize),
            Signal::Denied | Signal::WeekDenied => matches!(self.names.text(cell.outcome), "denied" | "auth_failed"),
            Signal::Objects | Signal::Bytes | Signal::WeekObjects | Signal::WeekBytes => cell.reads.is_some(),
            Signal::BucketReads => cell.reads.is_some_and(|bucket| unusual.contains(&bucket)),
            _ => false,
        };
        let told = unit.signals.iter().filter(|measured| measured.credit > EVIDENCE);
        let pairs = told.flat_map(|measured| unit.cells.iter().map(move |at| (measured, *at)));
        let carrying = pairs.filter(|(measured, at)| carries(measured.signal, &self.cells[*at]));
        carrying.map(|(measured, at)| (at, measured.credit)).collect()
    }
}
