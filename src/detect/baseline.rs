//! What is normal for an actor, as the baselines have it.
//!
//! Owns: the sums of one actor's past. Refuses: scores. Invariant: it shows what is kept, nothing derived beyond sums.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::counts::{Count, DayCounts};
use super::feature::profile;
use super::rows::{Numbers, Texts};
use crate::error::Result;
use crate::lake::Lake;
use crate::query::{self, QueryOptions};
use crate::schema;

/// One value that the actor uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueUse {
    /// The value.
    pub value: String,
    /// Days on which it was used.
    pub days: u64,
    /// Calls.
    pub calls: u64,
}

/// One of the daily counts.
#[derive(Debug, Clone, PartialEq)]
pub struct CountUse {
    /// Which.
    pub name: &'static str,
    /// Half of the days are below.
    pub median: f64,
    /// Nine of ten days are below.
    pub high: f64,
    /// The largest.
    pub most: f64,
}

/// What is known of an actor.
#[derive(Debug, Clone, PartialEq)]
pub struct Baseline {
    /// The profile that its past is kept under.
    pub profile: String,
    /// Active days.
    pub days: u64,
    /// First active day.
    pub from: NaiveDate,
    /// Last active day.
    pub to: NaiveDate,
    /// Daily counts.
    pub counts: Vec<CountUse>,
    /// Values by feature, the most used first.
    pub values: BTreeMap<String, Vec<ValueUse>>,
}

/// Sums up the baselines of an actor, or of a profile.
///
/// # Errors
/// Whatever reading the lake gives.
pub async fn of(lake: &Lake, options: &QueryOptions, actor: &str) -> Result<Baseline> {
    let snapshot = lake.snapshot(&schema::BASELINES).await?;
    let ctx = query::session(&[snapshot], options)?;
    let profile = profile(actor);
    let sql = "SELECT feature, value, event_date, sum(events) AS calls FROM baselines WHERE actor = $actor \
               GROUP BY feature, value, event_date ORDER BY feature, value, event_date";
    let values = vec![("actor".to_owned(), datafusion::common::ScalarValue::from(profile.as_str()))];
    let batches = query::gather(query::execute_with(&ctx, sql, values).await?).await?;
    let mut days: Vec<DayCounts> = Vec::new();
    let mut used: BTreeMap<String, BTreeMap<String, (u64, u64)>> = BTreeMap::new();
    for batch in &batches {
        let (feature, value) = (Texts::of(batch, "feature")?, Texts::of(batch, "value")?);
        let (date, calls) = (Numbers::of_dates(batch, "event_date")?, Numbers::of(batch, "calls")?);
        for row in 0..batch.num_rows() {
            match feature.at(row) {
                "_counts" => days.extend(DayCounts::from_text(date.date(row), value.at(row))),
                name if name.starts_with('_') => {}
                name => {
                    let all = used.entry(name.to_owned()).or_default();
                    let sum = all.entry(value.at(row).to_owned()).or_default();
                    sum.0 += 1;
                    sum.1 += calls.at(row).max(0) as u64;
                }
            }
        }
    }
    days.sort_by_key(|day| day.date);
    Ok(Baseline {
        profile,
        days: days.len() as u64,
        from: days.first().map(|day| day.date).unwrap_or_default(),
        to: days.last().map(|day| day.date).unwrap_or_default(),
        counts: Count::ALL.into_iter().map(|count| count_use(&days, count)).collect(),
        values: used.into_iter().map(|(feature, values)| (feature, sorted(values))).collect(),
    })
}

fn count_use(days: &[DayCounts], count: Count) -> CountUse {
    let mut numbers: Vec<i64> = days.iter().map(|day| day.get(count)).collect();
    numbers.sort_unstable();
    let at = |share: f64| numbers.get((numbers.len() as f64 * share) as usize).or(numbers.last()).copied();
    let number = |value: Option<i64>| value.unwrap_or_default() as f64;
    CountUse {
        name: count.as_str(),
        median: number(at(0.5)),
        high: number(at(0.9)),
        most: number(numbers.last().copied()),
    }
}

fn sorted(values: BTreeMap<String, (u64, u64)>) -> Vec<ValueUse> {
    let mut all: Vec<ValueUse> =
        values.into_iter().map(|(value, (days, calls))| ValueUse { value, days, calls }).collect();
    all.sort_by(|a, b| (b.days, b.calls, &a.value).cmp(&(a.days, a.calls, &b.value)));
    all
}
