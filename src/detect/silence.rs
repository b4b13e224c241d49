//! Silence: an account's region, or a service of an account, that always talks and stopped.
//!
//! Owns: how much a day's silence is worth, against the same hours of the days before it, and the finding of it.
//! Refuses: events; counts of a day's quarters are enough. Refuses, too, to judge hours of which the lake may not have
//! all yet, and a time of less than two weeks.
//! Invariant: an outage is told once: on its first day, by one id.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, SecondsFormat, TimeDelta, Utc};

use super::model::Level;
use super::playbook::next_steps;
use super::verdict::quote;
use crate::finding::{
    BaselineSpan, Completeness, CompletenessStatus, Factor, Finding, FindingId, Frequency, Interval, Scope,
    SeverityBand,
};

/// Days that are compared with.
const PAST_DAYS: u64 = 28;

/// Days that have to be known, and the share of them on which something has to talk to be one that always does.
const LEAST_DAYS: usize = 14;
const ALWAYS: f64 = 0.9;

/// Share of what is expected up to which it is too little.
const TOO_LITTLE: f64 = 0.1;

/// Bits, after the correction for how many were looked at, from which silence is told: once in 8,000 days by chance.
const LEAST_BITS: f64 = 13.0;

/// A score says no more than this.
const MOST_BITS: f64 = 60.0;

/// Hours after which what was delivered is taken to be there. CloudTrail takes 5 minutes on average, and 15 at most as a rule.
const DELIVERY_HOURS: i64 = 1;

/// Severity of silence, and of one in which the digests stopped, too.
const SILENT: f64 = 5.0;
const UNLOGGED: f64 = 8.0;

/// Name of this detector in the ids of its findings, and of its version.
const DETECTOR: &str = "silence/1";

/// Events of a day by quarter: from 0, 6, 12 and 18 o'clock UTC.
pub type Quarters = [i64; 4];

/// What may fall silent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Talker {
    /// A region of an account.
    Region(String, String),
    /// A service of an account, over all regions.
    Service(String, String),
    /// An account, over all regions and services.
    Account(String),
}

impl Talker {
    fn account(&self) -> &str {
        match self {
            Self::Region(account, _) | Self::Service(account, _) | Self::Account(account) => account,
        }
    }

    /// Which events are its own, as SQL over `events`.
    fn condition(&self) -> String {
        let account = format!("recipientaccountid = {}", quote(self.account()));
        match self {
            Self::Region(_, region) => format!("{account} AND awsregion = {}", quote(region)),
            Self::Service(_, source) => format!("{account} AND eventsource = {}", quote(source)),
            Self::Account(_) => account,
        }
    }

    /// The finding's type; GuardDuty has none for it.
    fn finding_type(&self) -> &'static str {
        match self {
            Self::Region(..) => "Stealth:CloudTrail/RegionSilent",
            Self::Service(..) => "Stealth:CloudTrail/ServiceSilent",
            Self::Account(_) => "Stealth:CloudTrail/AccountSilent",
        }
    }
}

impl fmt::Display for Talker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Region(account, part) | Self::Service(account, part) => write!(f, "{account}/{part}"),
            Self::Account(account) => f.write_str(account),
        }
    }
}

/// Calls of an account's service in a region, by quarter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TrafficRow {
    /// Account.
    pub account: String,
    /// Region.
    pub region: String,
    /// Event source.
    pub source: String,
    /// Events.
    pub quarters: Quarters,
}

impl TrafficRow {
    /// As it is kept in a row of `baselines`: the counts, then the region.
    pub fn to_text(&self) -> String {
        let [a, b, c, d] = self.quarters;
        format!("{a} {b} {c} {d} {}", self.region)
    }

    /// From a row of `baselines`; `None` where it is of another release.
    pub fn from_text(account: &str, source: &str, text: &str) -> Option<Self> {
        let mut parts = text.splitn(5, ' ');
        let mut quarters = Quarters::default();
        for quarter in &mut quarters {
            *quarter = parts.next()?.parse().ok()?;
        }
        let (account, source) = (account.to_owned(), source.to_owned());
        Some(Self { account, region: parts.next()?.to_owned(), source, quarters })
    }
}

/// A day's traffic.
pub type DayTraffic = BTreeMap<Talker, Quarters>;

/// Sums up rows by all that may fall silent.
pub fn day_traffic(rows: &[TrafficRow]) -> DayTraffic {
    let mut day = DayTraffic::new();
    for row in rows.iter().filter(|row| !row.account.is_empty()) {
        let account = || row.account.clone();
        for talker in [
            Talker::Region(account(), row.region.clone()),
            Talker::Service(account(), row.source.clone()),
            Talker::Account(account()),
        ] {
            let sum = day.entry(talker).or_default();
            sum.iter_mut().zip(row.quarters).for_each(|(sum, count)| *sum += count);
        }
    }
    day
}

/// The traffic of the days that are known.
#[derive(Debug, Default)]
pub struct Traffic {
    days: BTreeMap<NaiveDate, DayTraffic>,
}

impl Traffic {
    /// Adds a day; one without any traffic is not known.
    pub fn add(&mut self, date: NaiveDate, day: DayTraffic) {
        if !day.is_empty() {
            self.days.insert(date, day);
        }
        // twice the past, as silence is looked for on past days, too
        while self.days.len() as u64 > 2 * PAST_DAYS {
            self.days.pop_first();
        }
    }

    /// What fell silent on a day of which the lake has events up to an instant: an account, else its regions, else its
    /// services, the most surprising first.
    pub fn silences(&self, date: NaiveDate, today: &DayTraffic, newest: DateTime<Utc>) -> Vec<Silence> {
        let quarters = whole_quarters(date, newest);
        if quarters == 0 {
            return Vec::new();
        }
        let day = Judged { traffic: self, date, today, quarters };
        let mut found = day.silent();
        found.retain(|silence| !self.was_told(&silence.talker, date));
        let whole: Vec<Talker> = found.iter().map(|silence| silence.talker.clone()).collect();
        let covered = |silence: &Silence| match &silence.talker {
            Talker::Account(_) => false,
            Talker::Region(account, _) => whole.contains(&Talker::Account(account.clone())),
            Talker::Service(account, _) => {
                whole.iter().any(|other| matches!(other, Talker::Account(of) | Talker::Region(of, _) if of == account))
            }
        };
        found.retain(|silence| !covered(silence));
        found.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.talker.cmp(&b.talker)));
        found
    }

    /// Whether the same outage was silence on a day before: days without a word are walked back over.
    fn was_told(&self, talker: &Talker, date: NaiveDate) -> bool {
        for (day, today) in self.days.range(..date).rev().take(PAST_DAYS as usize) {
            let judged = Judged { traffic: self, date: *day, today, quarters: 3 };
            if judged.silent().iter().any(|silence| silence.talker == *talker) {
                return true;
            }
            if judged.count(talker) > 0 {
                return false;
            }
        }
        false
    }
}

/// Quarters of a day of which all that will be delivered is there, where the newest event is of that instant: at most three,
/// as the fourth is whole only in the light of the next day, whose first it then is judged with.
fn whole_quarters(date: NaiveDate, newest: DateTime<Utc>) -> usize {
    let midnight = date.and_time(NaiveTime::MIN).and_utc();
    let hours = (newest - midnight - TimeDelta::hours(DELIVERY_HOURS)).num_hours();
    (hours.clamp(0, 23) / 6) as usize
}

/// A day's first quarters, against those of the days before.
struct Judged<'a> {
    traffic: &'a Traffic,
    date: NaiveDate,
    today: &'a DayTraffic,
    quarters: usize,
}

impl Judged<'_> {
    fn count(&self, talker: &Talker) -> i64 {
        self.today.get(talker).map_or(0, |counts| self.sum(counts))
    }

    fn sum(&self, counts: &Quarters) -> i64 {
        counts[..self.quarters].iter().sum()
    }

    /// The days before, as far as they are known.
    fn past(&self) -> Vec<(NaiveDate, &DayTraffic)> {
        let from = self.date.checked_sub_days(Days::new(PAST_DAYS)).unwrap_or(NaiveDate::MIN);
        self.traffic.days.range(from..self.date).map(|(date, day)| (*date, day)).collect()
    }

    /// Those that always talk, with their counts by day.
    fn always(&self) -> BTreeMap<&Talker, Vec<(NaiveDate, i64)>> {
        let past = self.past();
        if past.len() < LEAST_DAYS {
            return BTreeMap::new();
        }
        let mut counts: BTreeMap<&Talker, Vec<(NaiveDate, i64)>> = BTreeMap::new();
        for (date, day) in &past {
            for (talker, quarters) in *day {
                let count = self.sum(quarters);
                if count > 0 {
                    counts.entry(talker).or_default().push((*date, count));
                }
            }
        }
        counts.retain(|_, days| days.len() as f64 >= past.len() as f64 * ALWAYS);
        counts
    }

    fn silent(&self) -> Vec<Silence> {
        let days = self.past().len();
        let always = self.always();
        let expected: BTreeMap<&Talker, Level> =
            always.iter().map(|(talker, days)| (*talker, expected(days, self.date))).collect();
        let silences = expected.iter().filter_map(|(talker, level)| {
            let observed = self.count(talker);
            // what the others say can only lower what is expected
            if observed as f64 > level.mean * TOO_LITTLE {
                return None;
            }
            let quiet = self.elsewhere(talker, &expected);
            let level = Level { mean: level.mean * quiet, ..*level };
            let least = always[talker].iter().map(|(_, count)| *count).min().unwrap_or(0);
            let score = lower_bits(level, observed) - (expected.len() as f64).log2();
            let is_silent = observed as f64 <= level.mean * TOO_LITTLE && observed < least && score >= LEAST_BITS;
            is_silent.then(|| Silence {
                talker: (*talker).clone(),
                date: self.date,
                quarters: self.quarters,
                observed,
                expected: level,
                least,
                active: always[talker].len(),
                days,
                past: always[talker].iter().map(|(_, count)| *count).sum(),
                score: score.min(MOST_BITS),
            })
        });
        silences.collect()
    }

    /// The share of what is expected that all other accounts have, at most 1: on a holiday all are quieter. 1 where there
    /// is no other.
    fn elsewhere(&self, talker: &Talker, expected: &BTreeMap<&Talker, Level>) -> f64 {
        let others = expected
            .iter()
            .filter(|(other, _)| matches!(other, Talker::Account(account) if account != talker.account()));
        let (seen, wanted) = others
            .fold((0.0, 0.0), |(seen, wanted), (other, level)| (seen + self.count(other) as f64, wanted + level.mean));
        if wanted > 0.0 { (seen / wanted).min(1.0) } else { 1.0 }
    }
}

/// What a day's first quarters hold, by the same kind of day (week or weekend), pulled to all days where few are known.
/// The dispersion is that around the kind's own mean, and as wide as a few days can hide.
fn expected(days: &[(NaiveDate, i64)], date: NaiveDate) -> Level {
    let rest = |date: NaiveDate| date.weekday().number_from_monday() > 5;
    let mean = |counts: &[f64]| counts.iter().sum::<f64>() / counts.len().max(1) as f64;
    let all: Vec<f64> = days.iter().map(|(_, count)| *count as f64).collect();
    let kind: Vec<f64> =
        days.iter().filter(|(day, _)| rest(*day) == rest(date)).map(|(_, count)| *count as f64).collect();
    let weight = kind.len() as f64;
    let level = (mean(&kind) * weight + mean(&all) * 2.0) / (weight + 2.0);
    let own = mean(&kind);
    let variance = kind.iter().map(|count| (count - own).powi(2)).sum::<f64>() / weight.max(1.0);
    let dispersion = if own > 0.0 { ((variance - own) / own.powi(2)).max(0.0) } else { 1.0 };
    Level { mean: level.max(1e-3), dispersion: dispersion * (1.0 + 4.0 / weight.max(1.0)) + 0.02 }
}

/// -log2 P(X <= count) under the Gamma-Poisson (negative binomial) predictive: its probabilities are summed up from 0, in
/// logarithms, as that of 0 may be smaller than any number.
fn lower_bits(level: Level, count: i64) -> f64 {
    let shape = 1.0 / level.dispersion.max(1e-6);
    let odds = level.mean / (level.mean + shape);
    let mut term = shape * (1.0 - odds).ln();
    let mut sum = term;
    for number in 1..=count.max(0) {
        let number = number as f64;
        term += ((number - 1.0 + shape) / number * odds).ln();
        let (high, low) = if term > sum { (term, sum) } else { (sum, term) };
        sum = high + (low - high).exp().ln_1p();
    }
    (-sum / std::f64::consts::LN_2).max(0.0)
}

/// One that fell silent.
#[derive(Debug, Clone, PartialEq)]
pub struct Silence {
    /// Who.
    pub talker: Talker,
    date: NaiveDate,
    quarters: usize,
    observed: i64,
    expected: Level,
    least: i64,
    active: usize,
    days: usize,
    past: i64,
    /// Bits, corrected for how many were looked at.
    pub score: f64,
}

impl Silence {
    /// The finding.
    pub fn finding(&self) -> Finding {
        let midnight = self.date.and_time(NaiveTime::MIN).and_utc();
        let until = midnight + TimeDelta::hours(6 * self.quarters as i64);
        let finding_type = self.talker.finding_type();
        let region = if let Talker::Region(_, region) = &self.talker { region.clone() } else { String::new() };
        Finding {
            id: FindingId::derive(DETECTOR, &self.talker.to_string(), &self.date.to_string()),
            finding_type: finding_type.to_owned(),
            title: self.title(),
            description: self.description(until),
            severity: SILENT,
            severity_label: SeverityBand::of(SILENT),
            score: (self.score * 1000.0).round() / 1000.0,
            actor: self.talker.to_string(),
            actor_type: "Account".to_owned(),
            user_name: None,
            principal_id: None,
            access_key_ids: Vec::new(),
            account: self.talker.account().to_owned(),
            accounts: vec![self.talker.account().to_owned()],
            regions: if region.is_empty() { Vec::new() } else { vec![region.clone()] },
            region,
            time: until,
            first_seen: midnight,
            last_seen: until,
            count: self.observed.max(0) as u64,
            event_ids: Vec::new(),
            apis: Vec::new(),
            source_addresses: Vec::new(),
            networks: Vec::new(),
            user_agents: Vec::new(),
            chain: Vec::new(),
            factors: vec![self.factor(until)],
            baseline: self.span(midnight),
            completeness: Completeness::default(),
            sql: self.sql(until),
            next_steps: next_steps(finding_type),
        }
    }

    fn title(&self) -> String {
        let few = if self.observed == 0 { "no events" } else { "hardly any events" };
        match &self.talker {
            Talker::Region(account, region) => format!("{few} of account {account} in {region}, which always has some"),
            Talker::Service(account, source) => {
                format!("{few} of {source} in account {account}, which always has some")
            }
            Talker::Account(account) => format!("{few} of account {account}, which always has some"),
        }
    }

    fn description(&self, until: DateTime<Utc>) -> String {
        format!(
            "{} events from {} to {} instead of about {:.0}; the least in these hours of the {} days before were {}. Others \
             went on, so either what was logged stopped, or the logs of it are no longer delivered or ingested.",
            self.observed,
            self.date,
            until.to_rfc3339_opts(SecondsFormat::Secs, true),
            self.expected.mean,
            self.days,
            self.least
        )
    }

    fn factor(&self, until: DateTime<Utc>) -> Factor {
        Factor {
            feature: "silence".to_owned(),
            observed: format!("{} events by {}", self.observed, until.to_rfc3339_opts(SecondsFormat::Secs, true)),
            expected: format!(
                "about {:.1}, at most {} on 39 of 40 days, never less than {}; some on {} of {} days",
                self.expected.mean,
                self.expected.quantile(0.025),
                self.least,
                self.active,
                self.days
            ),
            scope: Scope::Account,
            frequency: Frequency::Unseen,
            bits: (self.score * 1000.0).round() / 1000.0,
            contribution: 1.0,
            rarity: Vec::new(),
            interval: Some(Interval {
                low: (self.expected.quantile(0.975) - 1.0).max(0.0),
                high: self.expected.quantile(0.025),
            }),
        }
    }

    fn span(&self, midnight: DateTime<Utc>) -> BaselineSpan {
        BaselineSpan {
            from: midnight - TimeDelta::days(PAST_DAYS as i64),
            to: midnight,
            actor_events: self.past.max(0) as u64,
            actor_days: self.active as u64,
            days: self.days as u64,
            model_version: DETECTOR.to_owned(),
        }
    }

    /// Events by day and quarter, the silence last.
    fn sql(&self, until: DateTime<Utc>) -> String {
        format!(
            "SELECT event_date, floor(date_part('hour', eventtime) / 6) AS quarter, count(*) AS events FROM events WHERE \
             event_date BETWEEN DATE '{}' - INTERVAL '{PAST_DAYS} days' AND DATE '{}' AND eventtime < TIMESTAMP '{}' AND {} \
             GROUP BY 1, 2 ORDER BY 1, 2",
            self.date,
            self.date,
            until.to_rfc3339_opts(SecondsFormat::Secs, true),
            self.talker.condition()
        )
    }
}

/// Whether a finding is a silence of hours whose logs were delivered and are not in the lake.
pub fn is_only_late(finding: &Finding) -> bool {
    is_silence(finding) && finding.completeness.status == CompletenessStatus::NotIngested
}

/// A silence in which the digests stopped, too, or were tampered with, is graver than one of callers.
pub fn weigh(finding: &mut Finding) {
    use CompletenessStatus::{Missing, Modified, NoDigest};
    if is_silence(finding) && matches!(finding.completeness.status, Missing | Modified | NoDigest) {
        finding.severity = UNLOGGED;
        finding.severity_label = SeverityBand::of(UNLOGGED);
    }
}

fn is_silence(finding: &Finding) -> bool {
    finding.finding_type.starts_with("Stealth:CloudTrail/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(day: u64) -> NaiveDate {
        // a Monday
        NaiveDate::from_ymd_opt(2026, 3, 2).unwrap() + Days::new(day)
    }

    fn evening(day: u64) -> DateTime<Utc> {
        date(day).and_time(NaiveTime::MIN).and_utc() + TimeDelta::hours(22)
    }

    fn row(account: &str, region: &str, source: &str, each: i64) -> TrafficRow {
        let (account, region, source) = (account.to_owned(), region.to_owned(), source.to_owned());
        TrafficRow { account, region, source, quarters: [each; 4] }
    }

    /// Two accounts; `quiet` says what share of a row is there on a day.
    fn days(count: u64, quiet: impl Fn(u64, &TrafficRow) -> f64) -> Traffic {
        let mut traffic = Traffic::default();
        for day in 0..count {
            traffic.add(date(day), today(day, &quiet));
        }
        traffic
    }

    fn today(day: u64, quiet: impl Fn(u64, &TrafficRow) -> f64) -> DayTraffic {
        let wobble = (day * 7 % 5) as i64;
        let mut rows = vec![
            row("1", "eu", "s3.amazonaws.com", 40 + wobble),
            row("1", "us", "s3.amazonaws.com", 60 - wobble),
            row("1", "eu", "kms.amazonaws.com", 30 + wobble),
            row("1", "us", "ec2.amazonaws.com", 50 + wobble),
            row("2", "eu", "s3.amazonaws.com", 80 + wobble),
        ];
        for row in &mut rows {
            let share = quiet(day, row);
            row.quarters = row.quarters.map(|count| (count as f64 * share) as i64);
        }
        rows.retain(|row| row.quarters != [0; 4]);
        day_traffic(&rows)
    }

    fn names(silences: &[Silence]) -> Vec<String> {
        silences.iter().map(|silence| silence.talker.to_string()).collect()
    }

    fn on(day: u64, quiet: impl Fn(u64, &TrafficRow) -> f64) -> Vec<String> {
        names(&days(day, &quiet).silences(date(day), &today(day, &quiet), evening(day)))
    }

    #[test]
    fn a_region_a_service_and_an_account_that_stop_are_one_finding_each() {
        let stops = |day, what: fn(&TrafficRow) -> bool| {
            move |at: u64, row: &TrafficRow| if at >= day && what(row) { 0.0 } else { 1.0 }
        };
        assert_eq!(on(20, stops(20, |row| row.account == "1" && row.region == "eu")), ["1/eu"]);
        assert_eq!(on(20, stops(20, |row| row.account == "1" && row.source.starts_with("s3"))), ["1/s3.amazonaws.com"]);
        assert_eq!(on(20, stops(20, |row| row.account == "2")), ["2"]);
        assert_eq!(on(20, stops(99, |_| true)), [""; 0]);
    }

    #[test]
    fn an_outage_is_told_on_its_first_day_only() {
        let stops = |at: u64, row: &TrafficRow| if at >= 20 && row.account == "2" { 0.0 } else { 1.0 };
        for day in 21..40 {
            assert_eq!(on(day, stops), [""; 0], "day {day}");
        }
        let twice = |at: u64, row: &TrafficRow| if (at == 20 || at == 30) && row.account == "2" { 0.0 } else { 1.0 };
        assert_eq!((on(20, twice), on(25, twice), on(30, twice)), (vec!["2".to_owned()], vec![], vec!["2".to_owned()]));
    }

    #[test]
    fn weekends_holidays_and_short_pasts_are_no_silence() {
        let office = |at: u64, row: &TrafficRow| if at % 7 > 4 && row.account == "2" { 0.0 } else { 1.0 };
        let holiday = |at: u64, _: &TrafficRow| if at == 21 { 0.05 } else { 1.0 };
        for day in 14..30 {
            assert_eq!(on(day, office), [""; 0], "day {day}");
            assert_eq!(on(day, holiday), [""; 0], "day {day}");
        }
        let soon = |at: u64, row: &TrafficRow| if at >= 10 && row.account == "2" { 0.0 } else { 1.0 };
        assert_eq!(on(10, soon), [""; 0]);
    }

    #[test]
    fn what_may_still_be_delivered_is_not_judged() {
        let stops = |at: u64, row: &TrafficRow| if at >= 20 && row.account == "2" { 0.0 } else { 1.0 };
        let (traffic, now) = (days(20, stops), today(20, stops));
        let by = |hours| {
            let newest = date(20).and_time(NaiveTime::MIN).and_utc() + TimeDelta::hours(hours);
            names(&traffic.silences(date(20), &now, newest)).len()
        };
        assert_eq!((by(0), by(6), by(7), by(23)), (0, 0, 1, 1));
    }

    #[test]
    fn few_events_are_no_proof() {
        let mut traffic = Traffic::default();
        for day in 0..20 {
            traffic.add(date(day), day_traffic(&[row("1", "eu", "s3", 1), row("2", "eu", "s3", 90)]));
        }
        let now = day_traffic(&[row("2", "eu", "s3", 90)]);
        assert_eq!(names(&traffic.silences(date(20), &now, evening(20))), [""; 0]);
    }

    #[test]
    fn the_lower_tail_is_that_of_a_geometric_distribution_where_the_shape_is_one() {
        // P(X <= k) = 1 - odds^(k + 1)
        let level = Level { mean: 9.0, dispersion: 1.0 };
        for count in [0, 1, 7] {
            let exact = -(1.0 - 0.9f64.powi(count + 1)).log2();
            assert!((lower_bits(level, i64::from(count)) - exact).abs() < 1e-9, "{count}");
        }
        assert!(lower_bits(Level { mean: 1e6, dispersion: 0.01 }, 0).is_finite());
    }

    #[test]
    fn rows_come_back_as_they_were_kept() {
        let row = TrafficRow { quarters: [1, 0, 22, 3], ..row("1", "a region with blanks", "s3.amazonaws.com", 0) };
        assert_eq!(TrafficRow::from_text("1", "s3.amazonaws.com", &row.to_text()), Some(row));
        assert_eq!(TrafficRow::from_text("1", "s3", "1 2 x"), None);
    }

    #[test]
    fn the_finding_says_what_was_expected_and_its_sql_quotes() {
        let stops = |at: u64, row: &TrafficRow| if at >= 20 && row.account == "2" { 0.0 } else { 1.0 };
        let silence = days(20, stops).silences(date(20), &today(20, stops), evening(20)).remove(0);
        let finding = silence.finding();
        assert_eq!(finding.finding_type, "Stealth:CloudTrail/AccountSilent");
        assert!(finding.description.starts_with("0 events") && finding.factors[0].expected.contains("20 of 20 days"));
        assert!(finding.sql.contains("recipientaccountid = '2'"), "{}", finding.sql);
        let said = |status| {
            let mut finding = silence.finding();
            finding.completeness.status = status;
            weigh(&mut finding);
            (is_only_late(&finding), finding.severity_label)
        };
        assert_eq!(said(CompletenessStatus::Unknown), (false, SeverityBand::Medium));
        assert_eq!(said(CompletenessStatus::NoDigest), (false, SeverityBand::High));
        assert!(said(CompletenessStatus::NotIngested).0);
        let hostile = Talker::Region("1".to_owned(), "x' OR '1'='1".to_owned());
        assert!(hostile.condition().ends_with("awsregion = 'x'' OR ''1''=''1'"));
    }
}
