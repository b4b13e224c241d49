//! Calls by hour of the week: what an hour is of the busiest one of its day.
//!
//! Owns: a day's calls by hour, their text in `baselines`, and the sums over past days. Refuses: to judge an amount.
//! Invariant: what is kept of an actor's past is of one size, however long it is.

/// Hours of a day.
pub const HOURS: usize = 24;

/// Days of all hours alike that an hour's own are pulled by, and days of that hour that one of the week is pulled by.
const HOUR_PULL: f64 = 2.0;
const WEEK_PULL: f64 = 4.0;

/// What an hour is of the busiest one at least: who never called at an hour has not been seen for long enough to say never.
const LEAST_SHARE: f64 = 1.0 / 8.0;

/// Calls in each hour of a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DayHours([u32; HOURS]);

impl DayHours {
    /// Of so many calls in each hour.
    pub fn new(calls: [i64; HOURS]) -> Self {
        Self(calls.map(|calls| u32::try_from(calls.max(0)).unwrap_or(u32::MAX)))
    }

    /// Whether there were calls at all.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|calls| *calls == 0)
    }

    /// As text in `baselines`: `9=12;10=3`, hours without calls left out.
    pub fn to_text(self) -> String {
        let some = self.0.into_iter().enumerate().filter(|(_, calls)| *calls > 0);
        some.map(|(hour, calls)| format!("{hour}={calls}")).collect::<Vec<_>>().join(";")
    }

    /// Reads the text; `None` where it is another one.
    pub fn from_text(text: &str) -> Option<Self> {
        let mut hours = Self::default();
        for part in text.split(';').filter(|part| !part.is_empty()) {
            let (hour, calls) = part.split_once('=')?;
            *hours.0.get_mut(hour.parse::<usize>().ok()?)? = calls.parse().ok()?;
        }
        Some(hours)
    }
}

/// Calls of past days by hour of the week: 700 bytes.
#[derive(Debug, Clone)]
pub struct WeekHours {
    calls: [[f32; HOURS]; 7],
    days: [f32; 7],
}

impl Default for WeekHours {
    fn default() -> Self {
        Self { calls: [[0.0; HOURS]; 7], days: [0.0; 7] }
    }
}

impl WeekHours {
    /// Adds a day of a weekday, from Monday on.
    pub fn add(&mut self, weekday: usize, day: &DayHours) {
        self.days[weekday] += 1.0;
        self.calls[weekday].iter_mut().zip(day.0).for_each(|(sum, calls)| *sum += calls as f32);
    }

    /// What each hour of a weekday is of the busiest one: the mean of that hour of the week, pulled to that of the hour on all days,
    /// and this to that of all hours. 1 for all where nothing is known.
    pub fn shares(&self, weekday: usize) -> [f64; HOURS] {
        let days: f64 = self.days.iter().map(|days| f64::from(*days)).sum();
        let of_hour = |hour: usize| self.calls.iter().map(|day| f64::from(day[hour])).sum::<f64>();
        let all: f64 = (0..HOURS).map(of_hour).sum::<f64>() / HOURS as f64;
        if all <= 0.0 {
            return [1.0; HOURS];
        }
        let mean = |hour: usize| {
            let usual = (of_hour(hour) + HOUR_PULL * all / days) / (days + HOUR_PULL);
            (f64::from(self.calls[weekday][hour]) + WEEK_PULL * usual) / (f64::from(self.days[weekday]) + WEEK_PULL)
        };
        let means: [f64; HOURS] = std::array::from_fn(mean);
        let most = means.iter().copied().fold(0.0, f64::max);
        means.map(|mean| (mean / most).clamp(LEAST_SHARE, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_day_gives_it_back() {
        let mut calls = [0; HOURS];
        (calls[0], calls[23]) = (7, i64::MAX);
        let day = DayHours::new(calls);
        assert_eq!(day.to_text(), "0=7;23=4294967295");
        assert_eq!(DayHours::from_text(&day.to_text()), Some(day));
        assert!(DayHours::from_text("").is_some_and(|day| day.is_empty()));
        assert_eq!(["24=1", "1", "1=x"].map(DayHours::from_text), [None; 3]);
    }

    #[test]
    fn an_hour_of_the_week_is_believed_when_it_has_come_back_a_few_times() {
        let nine = DayHours::from_text("9=100").unwrap();
        let (mut week, sunday) = (WeekHours::default(), 6);
        assert_eq!(week.shares(sunday), [1.0; HOURS]);
        (0..3).for_each(|_| (0..5).for_each(|weekday| week.add(weekday, &nine)));
        let shares = week.shares(1);
        assert!(shares[9] == 1.0 && shares[3] == LEAST_SHARE, "{shares:?}");
        // on Sundays it is at night: at first that is an exception, then it is the busiest hour of them
        let night = DayHours::from_text("3=100").unwrap();
        let share = |week: &WeekHours| week.shares(sunday)[3];
        let mut grown = vec![share(&week)];
        (0..6).for_each(|_| {
            week.add(sunday, &night);
            grown.push(share(&week));
        });
        assert!(grown.is_sorted() && grown[1] < 0.5 && grown[6] == 1.0, "{grown:?}");
        assert!(week.shares(1)[3] < 0.5);
    }
}
