//! A day's events by account, region, service and quarter of the day (UTC); AWS's own calls are among them.
//!
//! Owns: the counts that `silence` compares. Refuses: to judge them.

use chrono::{DateTime, Utc};

use super::coded::codes;
use super::columns::Columns;
use super::feature::NONE;
use super::group::Groups;
use super::silence::{Quarters, TrafficRow};

/// What counts are kept by: account, region, source.
const ACCOUNT: usize = 0;
const REGION: usize = 1;
const SOURCE: usize = 2;

/// Counts under construction.
#[derive(Default)]
pub struct TrafficFold {
    quarters: Groups<3, Quarters>,
    newest: Option<DateTime<Utc>>,
}

impl TrafficFold {
    /// Adds a batch's events.
    pub fn add(&mut self, columns: &Columns) {
        let mut of =
            |column, at, absent| codes(column, |_| true, |text| self.quarters.code(at, text.unwrap_or(absent)));
        let accounts = of(&columns.account, ACCOUNT, "");
        let regions = of(&columns.region, REGION, NONE);
        let sources = of(&columns.source, SOURCE, NONE);
        for row in columns.rows() {
            let key = [accounts[row], regions[row], sources[row]];
            self.quarters.of_codes(key, Quarters::default)[usize::from(columns.time.hour(row)) / 6] += 1;
        }
        self.newest = self.newest.max(columns.time.newest());
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
        fold.add(&columns);
        let (rows, newest) = fold.finish();
        assert_eq!((rows.len(), rows[0].region.as_str(), rows[0].quarters), (1, NONE, [1, 1, 0, 1]));
        assert_eq!(newest.unwrap().timestamp(), 24 * 3600 - 1);
    }
}
