//! A day's events by account, region, service and quarter of the day (UTC); AWS's own calls are among them.
//!
//! Owns: the counts that `silence` compares. Refuses: to judge them.

use chrono::{DateTime, Timelike, Utc};

use super::columns::{Columns, text};
use super::feature::NONE;
use super::group::Groups;
use super::silence::{Quarters, TrafficRow};

/// Counts under construction.
#[derive(Default)]
pub struct TrafficFold {
    quarters: Groups<3, Quarters>,
    newest: Option<DateTime<Utc>>,
}

impl TrafficFold {
    /// Adds an event.
    pub fn add(&mut self, columns: &Columns, row: usize) {
        let time = columns.time.instant(row);
        self.newest = self.newest.max(Some(time));
        let account = text(&columns.account, row).unwrap_or_default();
        let (region, source) = (text(&columns.region, row), text(&columns.source, row));
        let key = [account, region.unwrap_or(NONE), source.unwrap_or(NONE)];
        self.quarters.of(key, Quarters::default)[time.hour() as usize / 6] += 1;
    }

    /// The counts by account, region and source, and the time of the newest event.
    pub fn finish(self) -> (Vec<TrafficRow>, Option<DateTime<Utc>>) {
        let row = |([account, region, source], quarters): ([&str; 3], &Quarters)| TrafficRow {
            account: account.to_owned(),
            region: region.to_owned(),
            source: source.to_owned(),
            quarters: *quarters,
        };
        (self.quarters.sorted().into_iter().map(row).collect(), self.newest)
    }
}

#[cfg(test)]
mod tests {
    use super::super::columns::batch;
    use super::*;

    #[test]
    fn events_are_counted_by_quarter_whoever_calls() {
        let calls = [("ListBuckets", None, 60), ("GetObject", None, 6 * 3600), ("GetObject", None, 24 * 3600 - 1)];
        let columns = Columns::of(&batch(&calls, &[("actor", "ec2.amazonaws.com")])).unwrap();
        let mut fold = TrafficFold::default();
        (0..3).for_each(|row| fold.add(&columns, row));
        let (rows, newest) = fold.finish();
        assert_eq!((rows.len(), rows[0].region.as_str(), rows[0].quarters), (1, NONE, [1, 1, 0, 1]));
        assert_eq!(newest.unwrap().timestamp(), 24 * 3600 - 1);
    }
}
