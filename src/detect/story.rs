//! Stories: what belongs together is one finding.
//!
//! Owns: which scored actors of a day are one story (same person, same rare source address, one made the other's
//! credentials), the story's score, and the cells that carry it. Refuses: to read events.
//! Invariant: every scored actor is in exactly one story; the order of its members is that of their scores.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::cell::Cell;
use super::feature::{ActorKind, Feature};
use super::memory::Memory;
use super::names::{Name, Names};
use super::score::{ActorScore, Fact, Scored, round};
use super::signal::Signal;

/// Bits below which an actor-day is nobody's story.
pub const LEAST_SCORE: f64 = 4.0;

/// What each further member adds, and how many count.
const NEXT_MEMBER: f64 = 0.25;
const MEMBERS: usize = 3;

/// Share of the story's best score that a member needs for its cells to be evidence.
const MEMBER_SHARE: f64 = 0.3;

/// Actors that used a source before, up to which it says that two belong together.
const RARE_USERS: f64 = 2.0;

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
}

/// Who made a key: profile by access key.
pub type Makers = HashMap<Name, Name>;

/// Actors that can be a story at all: AWS itself is not.
pub fn is_candidate(score: &ActorScore, names: &Names) -> bool {
    score.best.score >= LEAST_SCORE && ActorKind::of(names.text(score.profile)) != ActorKind::Service
}

/// Keys whose maker would join a candidate to another story.
pub fn keys(scores: &[ActorScore], cells: &[Cell], names: &Names) -> BTreeSet<String> {
    let candidates = scores.iter().filter(|score| is_candidate(score, names));
    let keys = candidates.flat_map(|score| score.best.cells.iter().map(|at| names.text(cells[*at].key)));
    keys.filter(|key| !key.is_empty()).map(str::to_owned).collect()
}

/// Joins a day's candidates into stories, the highest score first.
pub fn stories(scores: &[ActorScore], cells: &[Cell], memory: &Memory, names: &Names, makers: &Makers) -> Vec<Story> {
    let mut order: Vec<usize> = (0..scores.len()).filter(|at| is_candidate(&scores[*at], names)).collect();
    let rank = |a: &usize, b: &usize| scores[*b].best.score.total_cmp(&scores[*a].best.score).then_with(|| a.cmp(b));
    order.sort_by(rank);
    let links: Vec<Links> = order.iter().map(|at| Links::of(&scores[*at], cells, memory, names, makers)).collect();
    let mut taken = vec![false; order.len()];
    let mut stories = Vec::new();
    for first in 0..order.len() {
        if taken[first] {
            continue;
        }
        let mut group = vec![first];
        taken[first] = true;
        let mut next = 0;
        while next < group.len() {
            for other in first + 1..order.len() {
                if !taken[other] && links[group[next]].join(&links[other]) {
                    taken[other] = true;
                    group.push(other);
                }
            }
            next += 1;
        }
        group.sort_unstable();
        stories.push(story(group.into_iter().map(|at| order[at]).collect(), scores));
    }
    stories.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.members.cmp(&b.members)));
    stories
}

fn story(members: Vec<usize>, scores: &[ActorScore]) -> Story {
    let best = |at: &usize| scores[*at].best.score;
    let more: f64 = members[1..].iter().take(MEMBERS).map(|at| (best(at) - LEAST_SCORE) * NEXT_MEMBER).sum();
    Story { score: round(best(&members[0]) + more), members }
}

/// What joins an actor's unit to others.
struct Links {
    profile: Name,
    addresses: BTreeSet<Name>,
    makers: BTreeSet<Name>,
}

impl Links {
    fn of(score: &ActorScore, cells: &[Cell], memory: &Memory, names: &Names, makers: &Makers) -> Self {
        let unit = || score.best.cells.iter().map(|at| &cells[*at]);
        let public = |cell: &&Cell| names.text(cell.address).parse::<std::net::IpAddr>().is_ok();
        let rare = |cell: &&Cell| memory.users(Feature::Prefix, cell.prefix) <= RARE_USERS;
        let private = |cell: &&Cell| names.text(cell.place.network) == "private";
        Self {
            profile: score.profile,
            addresses: unit()
                .filter(|cell| public(cell) && rare(cell) && !private(cell))
                .map(|cell| cell.address)
                .collect(),
            makers: unit().filter_map(|cell| makers.get(&cell.key)).copied().collect(),
        }
    }

    fn join(&self, other: &Self) -> bool {
        self.makers.contains(&other.profile)
            || other.makers.contains(&self.profile)
            || self.addresses.intersection(&other.addresses).next().is_some()
    }
}

/// The cells that carry a story, with their weight in thousandths of a bit.
pub fn evidence(story: &Story, scores: &[ActorScore], cells: &[Cell]) -> BTreeMap<usize, i64> {
    let best = scores[story.members[0]].best.score;
    let members = story.members.iter().map(|at| &scores[*at].best).filter(|unit| unit.score >= best * MEMBER_SHARE);
    let mut weights: BTreeMap<usize, i64> = BTreeMap::new();
    for unit in members {
        for (at, bits) in carriers(unit, cells) {
            *weights.entry(at).or_default() += (bits * 1000.0).round() as i64;
        }
    }
    weights
}

fn carriers(unit: &Scored, cells: &[Cell]) -> Vec<(usize, f64)> {
    let mut found: Vec<(usize, f64)> = unit
        .facts
        .iter()
        .filter(|fact| fact.bits > EVIDENCE && !fact.signal.is_context())
        .map(|fact| (fact.cell, fact.bits))
        .collect();
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
