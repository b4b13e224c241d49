//! Every number behind a finding, in words: observed, expected, how rare for whom, what share of the score.
//!
//! Owns: the factors of a story. Refuses: to score. Invariant: the contributions of a story's factors add up to 1.

use chrono::NaiveDate;

use super::counts::Count;
use super::feature::{ActorKind, Feature};
use super::memory::{Memory, Usage};
use super::model::Level;
use super::names::{Name, Names};
use super::score::{Burst, Fact, Focus, Measured, Scored, Weekly};
use super::signal::Signal;
use crate::finding::{Factor, Frequency, Interval, Rarity, Scope};

/// Values listed for one signal at most; the rest is summed in one more.
const PARTS_LIMIT: usize = 8;

/// What explaining needs to look up.
pub struct Explainer<'a> {
    /// What was known before the day.
    pub memory: &'a Memory,
    /// The texts.
    pub names: &'a Names,
    /// The day.
    pub date: NaiveDate,
}

/// A reason beside the signals: its name, what was seen, what is expected, its bits.
pub struct Beside {
    /// Name of the factor.
    pub name: String,
    /// What was seen.
    pub observed: String,
    /// What is expected.
    pub expected: String,
    /// What it adds to the score.
    pub bits: f64,
}

impl Explainer<'_> {
    /// The factors of a unit of an account, with what is beside it, the largest contribution first.
    pub fn factors(&self, unit: &Scored, account: Name, beside: &[Beside]) -> Vec<Factor> {
        let mut factors: Vec<Factor> = unit
            .signals
            .iter()
            .filter(|measured| measured.credit > 0.0)
            .flat_map(|measured| self.signal(unit, measured, account))
            .collect();
        if unit.joint > 0.0 {
            factors.push(plain(
                "place_and_deeds",
                "unusual calls from an unusual place",
                "one of the two at a time",
                unit.joint,
            ));
        }
        factors.extend(focus(unit.focus));
        factors.extend(beside.iter().map(|one| plain(&one.name, &one.observed, &one.expected, one.bits)));
        let total: f64 = factors.iter().map(|factor| factor.contribution).sum();
        factors.iter_mut().for_each(|factor| factor.contribution /= total.max(1e-9));
        factors.sort_by(|a, b| {
            let by_name = || (&a.feature, &a.observed).cmp(&(&b.feature, &b.observed));
            b.contribution.total_cmp(&a.contribution).then_with(by_name)
        });
        factors
    }

    /// The factors of a signal; their contributions are its credit.
    fn signal(&self, unit: &Scored, measured: &Measured, account: Name) -> Vec<Factor> {
        let facts: Vec<&Fact> = unit.facts.iter().filter(|fact| fact.signal == measured.signal).collect();
        if facts.is_empty() {
            return vec![self.count(unit, measured)];
        }
        let total: f64 = facts.iter().map(|fact| fact.bits).sum();
        let share = |bits: f64| measured.credit * bits / total;
        let listed = facts.iter().take(PARTS_LIMIT);
        let mut factors: Vec<Factor> =
            listed.map(|fact| self.part(unit, measured, fact, account, share(fact.bits))).collect();
        if let Some(hidden) = facts.get(PARTS_LIMIT..).filter(|hidden| !hidden.is_empty()) {
            let credit = share(hidden.iter().map(|fact| fact.bits).sum());
            let more = format!("{} more", hidden.len());
            factors.push(Factor { observed: more, rarity: Vec::new(), contribution: credit, ..factors[0].clone() });
        }
        factors
    }

    fn part(&self, unit: &Scored, measured: &Measured, fact: &Fact, account: Name, credit: f64) -> Factor {
        match fact.signal {
            Signal::BucketReads => self.reads(unit, measured, fact.value, credit),
            _ => self.value(unit, measured, fact, account, credit),
        }
    }

    /// What was read from a bucket, against what the actor reads from it on its days.
    fn reads(&self, unit: &Scored, measured: &Measured, bucket: Name, credit: f64) -> Factor {
        let amount = unit.reads.get(&bucket).copied().unwrap_or_default();
        let usual = self.memory.reads(unit.profile, bucket);
        let days = self.memory.days_of(unit.profile);
        let (objects, mebibytes) = (usual.objects.level(days, READS), usual.mebibytes.level(days, READS));
        let expected = format!(
            "about {} objects and {} MiB a day, 39 of 40 days below {} and {}; at most {} and {} on {} of {days} days",
            tenth(objects.mean),
            tenth(mebibytes.mean),
            objects.quantile(0.025),
            mebibytes.quantile(0.025),
            usual.objects.most,
            tenth(usual.mebibytes.most),
            usual.days,
        );
        Factor {
            observed: format!(
                "{} objects, {} MiB, read from {} in one session",
                amount.objects,
                tenth(amount.mebibytes()),
                self.names.text(bucket)
            ),
            expected,
            contribution: credit,
            interval: Some(interval(objects)),
            ..counted(measured, String::new(), String::new(), None)
        }
    }

    fn value(&self, unit: &Scored, measured: &Measured, fact: &Fact, account: Name, credit: f64) -> Factor {
        let usage = self.memory.usage(unit.profile, fact.feature, fact.value, account, self.date);
        let rarity = rarity(&usage);
        let feature = if fact.signal == Signal::Regained { fact.signal.as_str() } else { fact.feature.as_str() };
        Factor {
            feature: feature.to_owned(),
            observed: self.names.text(fact.value).to_owned(),
            expected: format!(
                "seen on {} of the actor's {} days; by {} of {} peers, {} of {} actors of the account, {} of {} of the \
                 organization",
                tenth(usage.own.0),
                usage.own.1,
                usage.peers.0,
                usage.peers.1,
                usage.account.0,
                usage.account.1,
                usage.organization.0,
                usage.organization.1
            ),
            scope: scope_of(&usage),
            frequency: rarity.first().map_or(Frequency::Unseen, |own| own.frequency),
            bits: thousandth(measured.bits),
            contribution: credit,
            rarity,
            interval: None,
        }
    }

    /// A signal that is no value: a count, the hour, the shape.
    fn count(&self, unit: &Scored, measured: &Measured) -> Factor {
        let weekly = unit.weeks.iter().find(|weekly| weekly.signal == measured.signal);
        let burst = unit.bursts.iter().find(|burst| burst.signal == measured.signal);
        let (observed, expected, interval) = match (weekly, burst, count_of(measured.signal)) {
            (Some(weekly), ..) => Self::week(weekly),
            (None, Some(burst), _) => self.burst(burst),
            (None, None, Some((count, words))) => self.volume(unit, count, words),
            (None, None, None) => plain_words(measured),
        };
        counted(measured, observed, expected, interval)
    }

    /// What was counted within seven days, against the weeks before.
    fn week(weekly: &Weekly) -> (String, String, Option<Interval>) {
        let (_, words) = count_of(weekly.signal).unwrap_or((weekly.count, weekly.count.as_str()));
        let observed = format!("{} {words} within seven days, each day counted up to what is usual", tenth(weekly.sum));
        let level = weekly.level;
        let expected =
            format!("about {} in seven days, 39 of 40 such below {}", tenth(level.mean), level.quantile(0.025));
        (observed, expected, Some(interval(level)))
    }

    /// Calls of an hour, or of ten minutes of it, against what that hour of the week has.
    fn burst(&self, burst: &Burst) -> (String, String, Option<Interval>) {
        let (_, words) = count_of(burst.signal).unwrap_or((Count::Calls, Count::Calls.as_str()));
        let (level, hour) = (burst.level, burst.hour);
        let expected = format!(
            "about {} on {} at {hour:02} h UTC where it is busiest, 39 of 40 days below {}",
            tenth(level.mean),
            self.date.format("%As"),
            level.quantile(0.025)
        );
        (format!("{} {words} at {hour:02} h UTC in one session", tenth(burst.calls)), expected, Some(interval(level)))
    }

    fn volume(&self, unit: &Scored, count: Count, words: &str) -> (String, String, Option<Interval>) {
        let days = self.memory.actor(unit.profile).map_or(&[][..], |actor| &actor.days);
        let most = days.iter().map(|day| day.amount(count)).fold(0.0, f64::max);
        let level = self.memory.level(unit.profile, count, self.date, Level { mean: 1.0, dispersion: 1.5 });
        let expected = format!(
            "about {} a day, 39 of 40 days below {}; at most {} in {} days",
            tenth(level.mean),
            level.quantile(0.025),
            tenth(most),
            days.len()
        );
        let session = match ActorKind::of(self.names.text(unit.profile)) {
            ActorKind::Bucket => format!("from {}", self.names.text(unit.profile)),
            _ => "in one session".to_owned(),
        };
        (format!("{} {words} {session}", tenth(unit.counts.amount(count))), expected, Some(interval(level)))
    }
}

/// Usual reads, before anything is known of an actor.
const READS: Level = Level { mean: 1.0, dispersion: 1.5 };

/// How much of a session is unusual, where that lessens what it counts.
fn focus(focus: Focus) -> Option<Factor> {
    let observed = format!("{} of {} APIs of the session are unusual", focus.unusual, focus.apis);
    let expected = format!(
        "what is new beside everyday work is mostly everyday work: all but amounts counts {:.2} times",
        focus.weight()
    );
    (focus.weight() < 1.0).then(|| plain("focus", &observed, &expected, 0.0))
}

/// A factor of a number that was counted.
fn counted(measured: &Measured, observed: String, expected: String, interval: Option<Interval>) -> Factor {
    Factor {
        feature: measured.signal.as_str().to_owned(),
        observed,
        expected,
        scope: Scope::Actor,
        frequency: by_probability(0.5f64.powf(measured.bits)),
        bits: thousandth(measured.bits),
        contribution: measured.credit,
        rarity: Vec::new(),
        interval,
    }
}

/// 95 of 100 days are within.
fn interval(level: Level) -> Interval {
    Interval { low: (level.quantile(0.975) - 1.0).max(0.0), high: level.quantile(0.025) }
}

fn plain(name: &str, observed: &str, expected: &str, bits: f64) -> Factor {
    Factor {
        feature: name.to_owned(),
        observed: observed.to_owned(),
        expected: expected.to_owned(),
        scope: Scope::Organization,
        frequency: Frequency::Rare,
        bits: thousandth(bits),
        contribution: bits,
        rarity: Vec::new(),
        interval: None,
    }
}

fn count_of(signal: Signal) -> Option<(Count, &'static str)> {
    Some(match signal {
        Signal::Calls => (Count::Calls, "calls"),
        Signal::Apis => (Count::Apis, "distinct APIs"),
        Signal::Denied | Signal::WeekDenied => (Count::Denied, "calls denied"),
        Signal::Resources => (Count::Resources, "distinct resources changed or disclosed"),
        Signal::Objects | Signal::WeekObjects => (Count::Objects, "objects read"),
        Signal::Bytes | Signal::WeekBytes => (Count::Bytes, "MiB read"),
        Signal::BusiestHour => (Count::BusiestHour, "calls within an hour"),
        Signal::BusiestMinutes => (Count::BusiestMinutes, "calls within ten minutes"),
        _ => return None,
    })
}

fn plain_words(measured: &Measured) -> (String, String, Option<Interval>) {
    let (observed, expected) = match measured.signal {
        Signal::Hour => ("an hour or day of the week at which the actor is rarely seen", "the actor's usual hours"),
        Signal::TwoNetworks => ("one access key used in two networks within an hour", "one network at a time"),
        _ => ("counts that do not go together", "the proportions of other actor-days"),
    };
    (observed.to_owned(), expected.to_owned(), None)
}

fn rarity(usage: &Usage) -> Vec<Rarity> {
    let group = |scope, (seen, of): (f64, f64)| {
        let (low, high) = wilson(seen, of);
        let bits = thousandth(-((seen + 0.5) / (of + 1.0)).min(1.0).log2());
        Rarity { scope, seen: thousandth(seen), of, frequency: frequency(seen, of), bits, low, high }
    };
    vec![
        group(Scope::Actor, usage.own),
        group(Scope::Peers, usage.peers),
        group(Scope::Account, usage.account),
        group(Scope::Organization, usage.organization),
    ]
}

/// 95 % interval of a share (Wilson, 1927); all of 0 to 1 where nothing is known.
fn wilson(seen: f64, of: f64) -> (f64, f64) {
    const Z: f64 = 1.959_963_984_540_054;
    if of <= 0.0 {
        return (0.0, 1.0);
    }
    let share = (seen / of).clamp(0.0, 1.0);
    let (scale, middle) = (1.0 + Z * Z / of, share + Z * Z / (2.0 * of));
    let reach = Z * (share * (1.0 - share) / of + Z * Z / (4.0 * of * of)).sqrt();
    (thousandth(((middle - reach) / scale).max(0.0)), thousandth(((middle + reach) / scale).min(1.0)))
}

/// Whose past says the most: the narrowest that has any.
fn scope_of(usage: &Usage) -> Scope {
    match () {
        () if usage.own.1 > 0.0 => Scope::Actor,
        () if usage.peers.1 > 0.0 => Scope::Peers,
        () if usage.account.1 > 0.0 => Scope::Account,
        () => Scope::Organization,
    }
}

fn frequency(seen: f64, of: f64) -> Frequency {
    if seen <= 0.0 || of <= 0.0 { Frequency::Unseen } else { by_probability(seen / of) }
}

/// Daily to weekly, a few times a month, less than once a month: by the probability of a day.
fn by_probability(p: f64) -> Frequency {
    match p {
        p if p >= 1.0 / 7.0 => Frequency::Frequent,
        p if p >= 1.0 / 30.0 => Frequency::Infrequent,
        _ => Frequency::Rare,
    }
}

fn thousandth(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// A value of a feature, in words that stand alone.
pub fn words(fact: &Fact, names: &Names) -> String {
    let value = names.text(fact.value);
    match fact.feature {
        Feature::Api | Feature::Network | Feature::Region => value.to_owned(),
        feature => format!("{} {value}", feature.as_str().replace('_', " ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_share_is_wilsons() {
        assert_eq!(wilson(0.0, 0.0), (0.0, 1.0));
        assert_eq!(wilson(0.0, 10.0), (0.0, 0.278));
        assert_eq!(wilson(5.0, 10.0), (0.237, 0.763));
        assert_eq!(wilson(10.0, 10.0), (0.722, 1.0));
    }
}
