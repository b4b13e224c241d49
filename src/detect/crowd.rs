//! Crowds: people who do the same for the first time on the same day are one story, a roll-out, a drill, a hackathon.
//!
//! Owns: which stories of a day those are. Refuses: scores; the story of a crowd has that of its most unusual member, as more people
//! make it no more of an attack. Invariant: a story that came from a strange place, or that a rule
//! names, is nobody's crowd.

use std::collections::{BTreeMap, BTreeSet};

use super::feature::{ActorKind, Feature};
use super::names::Name;
use super::score::Fact;
use super::story::{STRANGE, Scene, Story};

/// Values in common that make a crowd, and their share of what was new in a story.
const LEAST_COMMON: usize = 2;
const LEAST_SHARE: f64 = 0.3;

/// A value that was new to somebody.
type First = (Feature, Name);

impl Scene<'_> {
    /// Makes one story of those of a crowd, in the place of its first.
    pub(super) fn crowds(&self, stories: Vec<Story>) -> Vec<Story> {
        let firsts: Vec<BTreeMap<First, f64>> = stories.iter().map(|story| self.firsts(story)).collect();
        let mut meetings = Meetings::of(&firsts);
        let mut joined = vec![false; stories.len()];
        let mut out = Vec::with_capacity(stories.len());
        for at in 0..stories.len() {
            if !joined[at] {
                let crowd = meetings.gather(at, &mut joined);
                let score = crowd.iter().map(|at| stories[*at].score).fold(0.0, f64::max);
                let members = crowd.iter().flat_map(|at| stories[*at].members.iter().copied()).collect();
                out.push(Story { members, score });
            }
        }
        out
    }

    /// What a story's people did for the first time, with bits; nothing where one of them was in a strange place, or a rule names what
    /// one did: each who opens a bucket to the world is told.
    fn firsts(&self, story: &Story) -> BTreeMap<First, f64> {
        let mut firsts = BTreeMap::new();
        for score in story.members.iter().map(|at| &self.scores[*at]) {
            let is_person = ActorKind::of(self.names.text(score.profile)) == ActorKind::Person;
            let is_ruled = self.ruled.contains_key(&score.profile);
            if !is_person || is_ruled || score.best.facts.iter().any(|fact| is_of_place(fact) && fact.bits > STRANGE) {
                return BTreeMap::new();
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

/// Whether a value tells from where somebody calls, and with what.
fn is_of_place(fact: &Fact) -> bool {
    matches!(fact.feature, Feature::Network | Feature::Country | Feature::NetworkKind | Feature::Agent)
}

/// Stories by what joins them.
struct Meetings {
    /// What each story has in common with others, if that is enough.
    common: Vec<Vec<First>>,
    by_value: BTreeMap<First, Vec<usize>>,
}

impl Meetings {
    fn of(firsts: &[BTreeMap<First, f64>]) -> Self {
        let mut users: BTreeMap<First, usize> = BTreeMap::new();
        firsts.iter().flat_map(BTreeMap::keys).for_each(|value| *users.entry(*value).or_default() += 1);
        let common = |firsts: &BTreeMap<First, f64>| {
            let common: Vec<First> = firsts.keys().copied().filter(|value| users[value] > 1).collect();
            let shared: f64 = common.iter().map(|value| firsts[value]).sum();
            let is_enough = common.len() >= LEAST_COMMON && shared >= LEAST_SHARE * firsts.values().sum::<f64>();
            if is_enough { common } else { Vec::new() }
        };
        let common: Vec<Vec<First>> = firsts.iter().map(common).collect();
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
        let mut firsts = |letters: &&str| -> BTreeMap<First, f64> {
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
