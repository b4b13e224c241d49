//! Which events are in the lake or in this run already.
//!
//! Owns: the sets of event identities, by hour of event time, of the hours that the run touches.
//! Invariant: an hour's set is complete (all of the lake's, all of the run's) or absent; never in part.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use crate::event::EventKey;

/// Event identities are random bits already (or the head of a SHA-256): folding them is hash enough.
#[derive(Default)]
struct Fold(u64);

impl Hasher for Fold {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u128(&mut self, value: u128) {
        self.0 = ((value >> 64) ^ value) as u64;
    }
}

#[derive(Default)]
struct Hour {
    keys: HashSet<u128, BuildHasherDefault<Fold>>,
    used: u64,
}

impl Hour {
    /// A hash table of 16-byte keys holds a key and a control byte per slot.
    fn bytes(&self) -> u64 {
        self.keys.capacity() as u64 * 17
    }
}

/// The sets of the hours (since 1970) that are known.
#[derive(Default)]
pub(super) struct Seen {
    hours: HashMap<i64, Hour>,
    /// Number of the current batch, by which hours age.
    batch: u64,
}

impl Seen {
    /// Hours that are asked for and not known.
    pub(super) fn unknown(&self, hours: impl Iterator<Item = i64>) -> BTreeSet<i64> {
        hours.filter(|hour| !self.hours.contains_key(hour)).collect()
    }

    /// Makes hours known: `keys` are all events that the lake has of them.
    pub(super) fn learn(&mut self, hours: &BTreeSet<i64>, keys: impl IntoIterator<Item = (i64, EventKey)>) {
        for &hour in hours {
            self.hours.entry(hour).or_default();
        }
        for (hour, key) in keys {
            if let Some(known) = self.hours.get_mut(&hour) {
                known.keys.insert(key.0);
            }
        }
    }

    /// True where the event is new; it is known from then on.
    ///
    /// # Panics
    /// Where the hour is not known: the answer would be a guess.
    pub(super) fn admit(&mut self, hour: i64, key: EventKey) -> bool {
        let known = self.hours.get_mut(&hour).expect("the hour was learned before");
        known.used = self.batch;
        known.keys.insert(key.0)
    }

    /// Starts the next batch. Hours that have not been used for longest are given up until the rest fits: only now,
    /// when all that was admitted is in the lake, can they be read from there again.
    pub(super) fn next_batch(&mut self, budget: u64) {
        self.batch += 1;
        let mut total: u64 = self.hours.values().map(Hour::bytes).sum();
        let mut oldest: Vec<(u64, i64)> = self.hours.iter().map(|(&hour, set)| (set.used, hour)).collect();
        oldest.sort_unstable();
        for (_, hour) in oldest {
            if total <= budget {
                break;
            }
            total -= self.hours.remove(&hour).map_or(0, |set| set.bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(hours: &[i64]) -> BTreeSet<i64> {
        hours.iter().copied().collect()
    }

    #[test]
    fn an_event_is_new_once() {
        let mut seen = Seen::default();
        assert_eq!(seen.unknown([1, 2].into_iter()), hours(&[1, 2]));
        seen.learn(&hours(&[1]), [(1, EventKey(7)), (2, EventKey(8))]);
        assert_eq!(seen.unknown([1, 2].into_iter()), hours(&[2]));
        assert!(!seen.admit(1, EventKey(7)));
        assert!(seen.admit(1, EventKey(8)));
        assert!(!seen.admit(1, EventKey(8)));
    }

    #[test]
    fn the_oldest_hours_make_room() {
        let mut seen = Seen::default();
        seen.learn(&hours(&[1, 2]), []);
        for key in 0..1000 {
            seen.admit(1, EventKey(key));
        }
        seen.next_batch(u64::MAX);
        seen.admit(2, EventKey(1));
        seen.next_batch(1000);
        assert_eq!(seen.unknown([1, 2].into_iter()), hours(&[1]));
    }
}
