//! How much is forgotten of a day that has more different calls than may be held.
//!
//! Owns: what calls lose, and in what order: first what resources reading calls that succeeded were about (a bucket's names listed
//! by a scanner are many, alike, and a few of them are surprise enough), then those of all calls, then access keys, then what
//! calls would do, then calls that only read, and at last whole callers at an address. Refuses: to know why.
//! Invariant: what a level forgets depends on the call alone, and each level forgets all that the one before does: so what is left of
//! a day depends on its set of calls, not on their order.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;

/// Levels that one part takes: a half of its texts is forgotten, three quarters …, all.
const STEPS: u32 = 12;

/// What calls lose, the least interesting first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What calls that read, and succeeded, are about.
    ReadResource,
    /// What calls are about.
    Resource,
    /// Access keys.
    Key,
    /// What calls would do.
    Effects,
    /// Like calls of an actor in an hour that read, and succeeded.
    Reading,
    /// The calls of an actor from an address.
    Caller,
}

/// How much is forgotten; nothing at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Level(u32);

impl Level {
    /// The next level; `None` where no more can be forgotten.
    pub fn next(self) -> Option<Self> {
        (self.0 < Part::Caller as u32 * STEPS + u64::BITS - 1).then_some(Self(self.0 + 1))
    }

    /// Whether everything is kept.
    pub fn is_whole(self) -> bool {
        self.0 == 0
    }

    /// Whether texts are kept as this part of calls. It is decided by a hash of them, which is the same in every run.
    pub fn keeps(self, part: Part, texts: &[&[u8]]) -> bool {
        let steps = self.0.saturating_sub(part as u32 * STEPS);
        let most = match steps {
            0 => return true,
            _ if steps >= STEPS && part != Part::Caller => return false,
            _ => u64::MAX >> steps,
        };
        FixedState::with_seed(part as u64).hash_one(texts) <= most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTS: [Part; 6] =
        [Part::ReadResource, Part::Resource, Part::Key, Part::Effects, Part::Reading, Part::Caller];

    fn levels() -> impl Iterator<Item = Level> {
        std::iter::successors(Some(Level::default()), |level| level.next())
    }

    #[test]
    fn each_level_forgets_what_the_one_before_does_and_the_last_nearly_all() {
        let texts: Vec<String> = (0..500).map(|number| format!("bucket-{number}")).collect();
        for part in PARTS {
            let kept = |level: Level| -> Vec<bool> {
                texts.iter().map(|text| level.keeps(part, &[text.as_bytes()])).collect()
            };
            let all: Vec<Vec<bool>> = levels().map(kept).collect();
            assert!(all[0].iter().all(|kept| *kept), "{part:?}");
            for (before, after) in all.iter().zip(&all[1..]) {
                assert!(before.iter().zip(after).all(|(before, after)| before >= after), "{part:?}");
            }
            assert!(all.last().unwrap().iter().all(|kept| !kept), "{part:?}");
        }
    }

    #[test]
    fn the_first_level_forgets_a_half_of_what_is_read_and_nothing_else() {
        let level = Level::default().next().unwrap();
        let kept = |part| (0..1000_u32).filter(|number| level.keeps(part, &[&number.to_le_bytes()])).count();
        assert!((400..600).contains(&kept(Part::ReadResource)), "{}", kept(Part::ReadResource));
        assert_eq!(PARTS[1..].iter().map(|part| kept(*part)).collect::<Vec<_>>(), [1000; 5]);
    }
}
