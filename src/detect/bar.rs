//! The bar: from which score on a story is a finding.
//!
//! Owns: what a budget means where the past is short or quiet. Refuses: to look at the day that is scored.

use super::memory::Memory;
use super::story::LEAST_SCORE;

/// Alerts a day, unless the options say otherwise.
pub const DEFAULT_BUDGET: f64 = 5.0;

/// Bits from which a story is a finding while there is too little past to take a threshold from.
pub const COLD_SCORE: f64 = 18.0;

/// The same for who stated a budget, and so wants to be told. None to five stories a day had as much in the first week of synthetic
/// organizations of 70 to 440 identities, and the stolen key of a real lake of five days has 12.4.
const COLD_BUDGET_SCORE: f64 = 12.0;

/// When a story is a finding.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bar {
    /// As often as so many stories a day reached in the past weeks; where there were fewer, every story.
    Budget(f64),
    /// As [`DEFAULT_BUDGET`]; but who stated no budget is not told of trifles where there were fewer stories.
    Usual,
    /// From so many bits on.
    Score(f64),
}

impl Bar {
    /// The score, in bits, of which a story is a finding after what is remembered.
    pub fn score(self, memory: &Memory) -> f64 {
        let usual = || memory.threshold(DEFAULT_BUDGET).filter(|score| *score > LEAST_SCORE);
        match self {
            Self::Score(score) => score,
            Self::Budget(per_day) => memory.threshold(per_day).unwrap_or(COLD_BUDGET_SCORE),
            Self::Usual => usual().unwrap_or(COLD_SCORE),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::{Days, NaiveDate};

    use super::super::memory::DayRecord;
    use super::super::names::Names;
    use super::super::place::Places;
    use super::*;

    /// Three weeks of days with so many stories, of 10 bits and more.
    fn weeks(stories: i64) -> Memory {
        let (mut memory, mut names, mut places) = (Memory::default(), Names::default(), Places::default());
        let first = NaiveDate::from_ymd_opt(2026, 3, 1).unwrap();
        for day in 0..21 {
            let stories = (0..stories).map(|story| (10 + stories - story) * 1000).collect();
            let record = DayRecord { stories, ..DayRecord::empty(first + Days::new(day)) };
            memory.fold(&record, &mut names, &mut places);
        }
        memory
    }

    #[test]
    fn a_larger_budget_never_tells_less() {
        for stories in [0, 2, 6, 30] {
            let memory = weeks(stories);
            let bars: Vec<f64> =
                [0.5, 1.0, 5.0, 20.0, 50.0].map(|per_day| Bar::Budget(per_day).score(&memory)).to_vec();
            assert!(bars.is_sorted_by(|a, b| a >= b), "{stories} stories a day: {bars:?}");
        }
    }

    #[test]
    fn who_states_no_budget_is_spared_the_trifles_of_a_quiet_lake() {
        assert_eq!((Bar::Usual.score(&weeks(2)), Bar::Budget(5.0).score(&weeks(2))), (COLD_SCORE, LEAST_SCORE));
        assert_eq!(Bar::Usual.score(&weeks(30)), Bar::Budget(5.0).score(&weeks(30)));
        let nothing = Memory::default();
        assert_eq!((Bar::Usual.score(&nothing), Bar::Budget(5.0).score(&nothing)), (COLD_SCORE, COLD_BUDGET_SCORE));
        assert_eq!(Bar::Score(3.0).score(&weeks(30)), 3.0);
    }
}
