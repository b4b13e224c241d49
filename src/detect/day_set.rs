//! Days of the past quarter on which something was.
//!
//! Invariant: days are added in their order.

use chrono::NaiveDate;

/// Days of the past that rules look back on.
pub const QUARTER: u64 = 90;

/// A set of days: bit n is n days before the last one.
#[derive(Debug, Clone, Copy, Default)]
pub struct DaySet {
    last: NaiveDate,
    bits: u128,
}

impl DaySet {
    /// Adds a day.
    pub fn add(&mut self, date: NaiveDate) {
        self.bits = self.seen_from(date) | 1;
        self.last = date;
    }

    /// The days of the quarter before a date: bit n is n days before it.
    pub fn before(&self, date: NaiveDate) -> u128 {
        self.seen_from(date) & ((1 << (QUARTER + 1)) - 2)
    }

    fn seen_from(&self, date: NaiveDate) -> u128 {
        let days = u32::try_from((date - self.last).num_days()).unwrap_or(0);
        self.bits.checked_shl(days).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_quarter_before_counts() {
        let date = |day| NaiveDate::default() + chrono::Days::new(day);
        let mut days = DaySet::default();
        [20_000, 20_000, 20_003].into_iter().for_each(|day| days.add(date(day)));
        assert_eq!(days.before(date(20_004)), 0b10010);
        assert_eq!(days.before(date(20_003)), 0b1000);
        assert_eq!(days.before(date(20_000 + QUARTER)).count_ones(), 2);
        assert_eq!(days.before(date(20_001 + QUARTER)).count_ones(), 1);
        assert_eq!(days.before(date(30_000)), 0);
    }
}
