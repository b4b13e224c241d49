//! Volume and breadth of one actor-day.
//!
//! Owns: the counts, in one order, and their text in `baselines`. Refuses: judging them.
//! Invariant: the text gives the same counts back.

use chrono::NaiveDate;

use super::reads::MEBIBYTE;

/// What an actor did on a day, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayCounts {
    /// UTC date.
    pub date: NaiveDate,
    /// The numbers, by [`Count`].
    numbers: [i64; Count::ALL.len()],
}

/// One of the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// Calls.
    Calls,
    /// Distinct APIs.
    Apis,
    /// Distinct services.
    Services,
    /// Distinct regions.
    Regions,
    /// Distinct networks.
    Networks,
    /// Distinct families of user agents.
    Agents,
    /// Distinct accounts.
    Accounts,
    /// Distinct hours of the day.
    Hours,
    /// Calls denied or not authenticated.
    Denied,
    /// Calls that did not succeed.
    Failed,
    /// Calls that are not read-only.
    Writes,
    /// Distinct resources changed, or read by a call that discloses.
    Resources,
    /// Objects read from S3.
    Objects,
    /// Bytes read from S3.
    Bytes,
    /// Calls in the busiest hour, as clocks show it.
    BusiestHour,
    /// Calls in the busiest ten minutes, as clocks show them.
    BusiestMinutes,
}

impl Count {
    /// All of them, in their order.
    pub const ALL: [Self; 16] = [
        Self::Calls,
        Self::Apis,
        Self::Services,
        Self::Regions,
        Self::Networks,
        Self::Agents,
        Self::Accounts,
        Self::Hours,
        Self::Denied,
        Self::Failed,
        Self::Writes,
        Self::Resources,
        Self::Objects,
        Self::Bytes,
        Self::BusiestHour,
        Self::BusiestMinutes,
    ];
}

impl Count {
    /// The name, as a person reads it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Apis => "APIs",
            Self::Services => "services",
            Self::Regions => "regions",
            Self::Networks => "networks",
            Self::Agents => "user agents",
            Self::Accounts => "accounts",
            Self::Hours => "hours",
            Self::Denied => "denied calls",
            Self::Failed => "failed calls",
            Self::Writes => "writing calls",
            Self::Resources => "resources",
            Self::Objects => "objects read",
            Self::Bytes => "bytes read",
            Self::BusiestHour => "calls in an hour",
            Self::BusiestMinutes => "calls in ten minutes",
        }
    }
}

impl DayCounts {
    /// A day on which nothing happened.
    pub fn empty(date: NaiveDate) -> Self {
        Self { date, numbers: [0; Count::ALL.len()] }
    }

    /// A number.
    pub fn get(&self, count: Count) -> i64 {
        self.numbers[count as usize]
    }

    /// A number in the unit in which days are compared: bytes as mebibytes.
    pub fn amount(&self, count: Count) -> f64 {
        let number = self.get(count) as f64;
        if count == Count::Bytes { number / MEBIBYTE } else { number }
    }

    /// Sets a number.
    pub fn set(&mut self, count: Count, number: i64) {
        self.numbers[count as usize] = number;
    }

    /// The numbers as text, in their order.
    pub fn to_text(&self) -> String {
        self.numbers.map(|number| number.to_string()).join(",")
    }

    /// Reads the text; `None` where it is another one.
    pub fn from_text(date: NaiveDate, text: &str) -> Option<Self> {
        let numbers: Vec<i64> = text.split(',').map(|number| number.parse().ok()).collect::<Option<_>>()?;
        Some(Self { date, numbers: numbers.try_into().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_gives_the_counts_back() {
        let mut counts = DayCounts::empty(NaiveDate::default());
        counts.set(Count::Apis, 7);
        counts.set(Count::Objects, 9);
        assert_eq!(DayCounts::from_text(counts.date, &counts.to_text()), Some(counts));
        assert_eq!(DayCounts::from_text(counts.date, "1,2"), None);
        assert_eq!(DayCounts::from_text(counts.date, "x"), None);
    }
}
