//! Crowds: people who do the same for the first time on the same day are one story, a roll-out, a drill, a hackathon.
//!
//! Owns: which stories of a day those are, and what is left of the score of one that others did, too. Refuses: the scores of stories.
//! Invariant: a story that came from a very strange place, or that a rule names, is nobody's crowd.

use std::collections::{BTreeMap, BTreeSet};

use super::feature::{ActorKind, Feature};
use super::names::Name;
use super::score::{Fact, round};
use super::story::{Scene, Story};

/// Values in common that make a crowd, and their share of what was new in a story.
const LEAST_COMMON: usize = 2;
const LEAST_SHARE: f64 = 0.3;

/// Bits of a place from which somebody is no part of a crowd: colleagues travel, but nobody else's session is hidden among theirs.
const VERY_STRANGE: f64 = 7.0;

/// People who met a value that are looked at, on the day and before it: of fifty others a twenty-fifth is left.
pub(super) const MOST_PEOPLE: usize = 50;

/// A value that was new to somebody.
type First = (Feature, Name);

/// What was new in a story, with bits.
type Firsts = BTreeMap<First, f64>;

/// The people of a crowd to whom each value was new.
type People = BTreeMap<First, Vec<Name>>;

/// How much of what is new in a story others met, too.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Company {
    /// People who met the same for the first time, on this day or within the seven before; at most some fifty of a value's are looked at.
    pub others: usize,
    /// Share of what is new, by its bits, that one of them met; 0 to 1.
    pub share: f64,
}

impl Company {
    /// What is left of a score, 0 to 1: of what is shared two parts in two and the others, as of a value that others meet on the same
    /// day (see `Day::alone`).
    pub fn weight(self) -> f64 {
        1.0 - self.share * (1.0 - 2.0 / (2.0 + self.others as f64))
    }
}

impl Scene<'_> {
    /// Makes one story of those of a crowd, in the place of its first.
    pub(super) fn crowds(&self, stories: Vec<Story>) -> Vec<Story> {
        let firsts: Vec<Firsts> = stories.iter().map(|story| self.firsts(story)).collect();
        let mut meetings = Meetings::of(&firsts);
        let mut joined = vec![false; stories.len()];
        let mut out = Vec::with_capacity(stories.len());
        for at in 0..stories.len() {
            if !joined[at] {
                out.push(self.crowd(&meetings.gather(at, &mut joined), &stories, &firsts));
            }
        }
        out
    }

    /// The story of a crowd: that of the member of which most is left, and of all others.
    fn crowd(&self, crowd: &[usize], stories: &[Story], firsts: &[Firsts]) -> Story {
        if let [only] = crowd {
            return stories[*only].clone();
        }
        let mut people = People::new();
        for at in crowd {
            let person = self.scores[stories[*at].members[0]].profile;
            firsts[*at].keys().for_each(|first| people.entry(*first).or_default().push(person));
        }
        let left = |at: &usize| {
            let company = self.company(&stories[*at], &firsts[*at], &people);
            (round(stories[*at].score * company.weight()), company, *at)
        };
        let mut left: Vec<(f64, Company, usize)> = crowd.iter().map(left).collect();
        left.sort_by(|a, b| b.0.total_cmp(&a.0));
        let members = left.iter().flat_map(|(.., at)| stories[*at].members.iter().copied()).collect();
        Story { members, score: left[0].0, company: Some(left[0].1) }
    }

    /// Those of a crowd, and of the days before, who met for the first time what is new in a story.
    fn company(&self, story: &Story, firsts: &Firsts, crowd: &People) -> Company {
        let is_member = |person: &Name| story.members.iter().any(|at| self.scores[*at].profile == *person);
        let mut met: BTreeMap<Name, BTreeSet<First>> = BTreeMap::new();
        for first in firsts.keys() {
            let today = crowd.get(first).into_iter().flatten().copied();
            let all = today.chain(self.memory.met(first.0, first.1)).filter(|person| !is_member(person));
            all.take(MOST_PEOPLE).for_each(|person| _ = met.entry(person).or_default().insert(*first));
        }
        let total: f64 = firsts.values().sum();
        met.retain(|_, theirs| is_much(theirs, firsts));
        let common: BTreeSet<First> = met.values().flatten().copied().collect();
        Company { others: met.len(), share: bits(&common, firsts) / total.max(1e-9) }
    }

    /// What a story's people did for the first time, with bits; nothing where one of them was in a very strange place, or a rule names
    /// what one did: each who opens a bucket to the world is told.
    fn firsts(&self, story: &Story) -> Firsts {
        let mut firsts = Firsts::new();
        for score in story.members.iter().map(|at| &self.scores[*at]) {
            let is_person = ActorKind::of(self.names.text(score.profile)) == ActorKind::Person;
            let is_ruled = self.ruled.contains_key(&score.profile);
            let is_abroad = score.best.facts.iter().any(|fact| is_of_place(fact) && fact.bits > VERY_STRANGE);
            if !is_person || is_ruled || is_abroad {
                return Firsts::new();
            }
            let is_first = |fact: &&Fact| !self.memory.knows(score.profile, fact.feature, fact.value);
            for fact in score.best.facts.iter().filter(is_first).filter(|fact| !is_of_place(fact)) {
                let bits: &mut f64 = firsts.entry((fact.feature, fact.value)).or_default();
                *bits = bits.max(fact.bits);
            }
        }
        firsts
    }
}

fn bits(values: &BTreeSet<First>, firsts: &Firsts) -> f64 {
    values.iter().map(|value| firsts[value]).sum()
}

/// Whether some of what was new in a story is more than chance has in common.
fn is_much(common: &BTreeSet<First>, firsts: &Firsts) -> bool {
    common.len() >= LEAST_COMMON && bits(common, firsts) >= LEAST_SHARE * firsts.values().sum::<f64>()
}

/// Whether a value tells from where somebody calls, and with what.
fn is_of_place(fact: &Fact) -> bool {
    matches!(fact.feature, Feature::Network | Feature::Country | Feature::NetworkKind | Feature::Agent)
}

/// Stories by what joins them.
struct Meetings {
    /// What each story has in common with others, if that is enough.
    common: Vec<BTreeSet<First>>,
    by_value: BTreeMap<First, Vec<usize>>,
}

impl Meetings {
    fn of(firsts: &[Firsts]) -> Self {
        let mut users: BTreeMap<First, usize> = BTreeMap::new();
        firsts.iter().flat_map(BTreeMap::keys).for_each(|value| *users.entry(*value).or_default() += 1);
        let common = |firsts: &Firsts| {
            let common: BTreeSet<First> = firsts.keys().copied().filter(|value| users[value] > 1).collect();
            if is_much(&common, firsts) { common } else { BTreeSet::new() }
        };
        let common: Vec<BTreeSet<First>> = firsts.iter().map(common).collect();
        let mut by_value: BTreeMap<First, Vec<usize>> = BTreeMap::new();
        for (at, values) in common.iter().enumerate() {
            values.iter().for_each(|value| by_value.entry(*value).or_default().push(at));
        }
        Self { common, by_value }
    }

    /// All that have something in common with the first, directly or not. A value that was asked for has joined all that it joins.
    fn gather(&mut self, first: usize, joined: &mut [bool]) -> Vec<usize> {
        let (mut crowd, mut next, mut asked) = (vec![first], 0, BTreeSet::new());
        joined[first] = true;
        while let Some(at) = crowd.get(next).copied() {
            for value in self.common[at].iter().filter(|value| asked.insert(**value)) {
                let others = self.by_value.remove(value).unwrap_or_default();
                crowd.extend(others.into_iter().filter(|other| !std::mem::replace(&mut joined[*other], true)));
            }
            next += 1;
        }
        crowd.sort_unstable();
        crowd
    }
}

#[cfg(test)]
mod tests {
    use super::super::names::Names;
    use super::*;

    /// The crowds of people who did so much for the first time, by the letters of it.
    fn crowds(people: &[&str]) -> Vec<Vec<usize>> {
        let mut names = Names::default();
        let mut firsts = |letters: &&str| -> Firsts {
            letters.split(' ').map(|letter| ((Feature::Api, names.of(letter)), 2.0)).collect()
        };
        let firsts: Vec<_> = people.iter().map(&mut firsts).collect();
        let (mut meetings, mut joined) = (Meetings::of(&firsts), vec![false; people.len()]);
        let mut out = Vec::new();
        for at in 0..people.len() {
            if !joined[at] {
                out.push(meetings.gather(at, &mut joined));
            }
        }
        out
    }

    #[test]
    fn who_shares_a_third_of_what_is_new_to_him_is_of_the_crowd() {
        assert_eq!(crowds(&["a b c", "x y", "a b d", "b a", "z"]), [vec![0, 2, 3], vec![1], vec![4]]);
        // one thing in common may be chance
        assert_eq!(crowds(&["a b c", "a x y"]), [[0], [1]]);
        // who does much that the others do not is no part of it
        assert_eq!(crowds(&["a b", "a b", "a b p q r s t u"]), [vec![0, 1], vec![2]]);
        // over somebody in between
        assert_eq!(crowds(&["a b", "a b c d", "c d"]), [[0, 1, 2]]);
    }
}
