//! From what an actor did today and what is known of the past to a score with its reasons.
//!
//! Owns: which signals there are, how they are capped and added, and who is told about a roll-out.
//! Refuses: events; it sees values and counts only. Invariant: signals come in one order, and everything that is
//! summed is sorted first.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::feature::{ActorKind, Feature};
use super::model::{Base, UNSEEN, Users, backoff, bits, trust};
use super::past::{DayCounts, Past, Volume};
use super::shape::ShapeModel;
use super::tactic::intent;
use crate::finding::{Frequency, Scope};

/// A value that an actor used today for the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Novel {
    /// Feature of the value.
    pub feature: Feature,
    /// The value.
    pub value: String,
    /// Account of the use (the one where it is most usual, if several).
    pub account: String,
    /// Calls today.
    pub events: i64,
    /// First call today.
    pub first_time: DateTime<Utc>,
    /// Last call today.
    pub last_time: DateTime<Utc>,
    /// Hours of the day in which it was used, a bit each.
    pub hours: u32,
    /// Who used it before.
    pub users: Users,
}

impl Novel {
    /// Probability that an actor around uses the value.
    pub fn around(&self) -> f64 {
        let base = if self.feature == Feature::Api { intent(&self.value).base() } else { Base(UNSEEN) };
        backoff(self.users, base)
    }
}

/// A rule's hit: an event that is a finding by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleHit {
    /// Finding type of the rule.
    pub rule: String,
    /// API called.
    pub api: String,
    /// Family of the user agent.
    pub user_agent: String,
    /// Calls.
    pub events: i64,
    /// Last call.
    pub last_time: DateTime<Utc>,
}

/// What an actor did today.
#[derive(Debug, Clone)]
pub struct Today {
    /// Profile of the actor.
    pub profile: String,
    /// Volume and breadth.
    pub counts: DayCounts,
    /// New values, sorted by feature and value.
    pub novel: Vec<Novel>,
    /// API whose calls exceed their daily mean the most, and its calls.
    pub busiest: Option<(String, i64)>,
    /// Rules hit.
    pub rules: Vec<RuleHit>,
    /// Last call.
    pub last_time: DateTime<Utc>,
}

/// Who else met a value for the first time today, and when.
pub type Newcomers = BTreeMap<(Feature, String), Vec<(DateTime<Utc>, String)>>;

/// One part of a signal: a value or a count, and its share.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Feature and value by which events carry this part; `None` where no single event does.
    pub carrier: Option<(Feature, String)>,
    /// Hours of the day in which it was seen, a bit each.
    pub hours: u32,
    /// What was seen.
    pub observed: String,
    /// What the baseline expects.
    pub expected: String,
    /// Whose baseline.
    pub scope: Scope,
    /// How often it saw it.
    pub frequency: Frequency,
    /// -log2 of the predictive probability of this part alone.
    pub surprise: f64,
    /// Bits of the score that it accounts for.
    pub credit: f64,
}

/// One reason.
#[derive(Debug, Clone, PartialEq)]
pub struct Signal {
    /// Name of the factor.
    pub name: String,
    /// Bits it adds to the score.
    pub bits: f64,
    /// What it is made of, the largest credit first.
    pub parts: Vec<Part>,
}

/// An actor-day with its score.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// Profile of the actor.
    pub profile: String,
    /// Sum of the signals' bits.
    pub score: f64,
    /// The reasons, the largest first.
    pub signals: Vec<Signal>,
    /// Earliest moment at which all of this was known.
    pub known_at: DateTime<Utc>,
}

/// Most bits a signal may add: no single one may decide everything, and the tails of the distributions are not
/// believed beyond this.
fn cap(feature: Feature) -> f64 {
    match feature {
        Feature::Api | Feature::Service => 24.0,
        Feature::Network | Feature::NetworkWide => 18.0,
        Feature::Region | Feature::UserAgent | Feature::Account => 9.0,
        Feature::Outcome => 3.0,
        Feature::Hour | Feature::Access => 3.0,
    }
}

/// Features that say the same thing; only the most surprising one of a group counts.
const GROUPS: [&[Feature]; 7] = [
    &[Feature::Api, Feature::Service],
    &[Feature::NetworkWide, Feature::Network],
    &[Feature::Region],
    &[Feature::UserAgent],
    &[Feature::Account],
    &[Feature::Outcome],
    &[Feature::Hour],
];

/// A new /24 inside a known /16 is mostly a new lease of the same provider.
const NARROW_NETWORK: f64 = 0.3;

/// Bits below which a volume is not worth a word (one day in eight), and the most it may add.
const VOLUME_FLOOR: f64 = 3.0;
const VOLUME_CAP: f64 = 12.0;

/// Weight of the shape's surprise; its counts are those that the volumes score, too.
const SHAPE_WEIGHT: f64 = 0.4;
const SHAPE_FLOOR: f64 = 4.0;

/// Scores one actor-day.
pub fn score(past: &Past, shape: &ShapeModel, newcomers: &Newcomers, today: &Today) -> Scored {
    let known_at = today.novel.iter().map(|novel| novel.last_time).max().unwrap_or(today.last_time);
    let mut signals: Vec<Signal> = GROUPS
        .iter()
        .filter_map(|group| {
            let rated = group.iter().filter_map(|feature| novelty(past, newcomers, today, *feature, known_at));
            rated.reduce(|best, next| if next.bits > best.bits { next } else { best })
        })
        .collect();
    concentrate(&mut signals);
    let counted: Vec<Signal> = volumes(past, today).into_iter().chain(shape_signal(past, shape, today)).collect();
    // A count is known only when the day's calls are; a new value is known at its last use.
    let known_at = if counted.is_empty() { known_at } else { today.last_time };
    signals.extend(counted);
    signals.extend(rule_signals(today));
    signals.sort_by(|a, b| b.bits.total_cmp(&a.bits).then_with(|| a.name.cmp(&b.name)));
    let known_at = today.rules.iter().map(|hit| hit.last_time).fold(known_at, DateTime::max);
    let score = round(signals.iter().map(|signal| signal.bits).sum());
    Scored { profile: today.profile.clone(), score, signals, known_at }
}

/// Hours that belong together: a session of somebody who looks around and acts.
const SESSION_HOURS: u32 = 2;

/// What remains of the surprise outside the day's most surprising session. Ordinary exploration is spread over a day;
/// somebody else's hands bring a new network, a new tool and new calls at once.
const APART: f64 = 0.35;

const ALL_HOURS: u32 = (1 << 24) - 1;

/// Finds the session in which most of the new values met, and discounts the others.
fn concentrate(signals: &mut [Signal]) {
    let parts = || signals.iter().flat_map(|signal| &signal.parts);
    let inside = |hours: u32| parts().filter(|part| part.hours & hours != 0).map(|part| part.credit).sum::<f64>();
    let sessions = (0..24).map(|hour| (((1 << SESSION_HOURS) - 1) << hour) & ALL_HOURS);
    let best =
        sessions.map(|hours| (inside(hours), hours)).reduce(|best, next| if next.0 > best.0 { next } else { best });
    let hours = best.map_or(ALL_HOURS, |(_, hours)| hours);
    for signal in signals {
        signal.parts.iter_mut().filter(|part| part.hours & hours == 0).for_each(|part| part.credit *= APART);
        signal.parts.sort_by(|a, b| b.credit.total_cmp(&a.credit).then_with(|| a.observed.cmp(&b.observed)));
        signal.bits = signal.parts.iter().map(|part| part.credit).sum();
    }
}

/// Thousandths of a bit: what is printed is what is compared.
fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// How much of a value's surprise remains when others met it for the first time on the same day, up to `until`.
fn alone(newcomers: &Newcomers, actor: &str, novel: &Novel, until: DateTime<Utc>) -> f64 {
    let key = (novel.feature, novel.value.clone());
    let others = newcomers
        .get(&key)
        .map_or(0, |list| list.iter().filter(|(time, name)| name != actor && *time <= until).count());
    2.0 / (2.0 + others as f64)
}

/// Bits of a new value before habits: how unusual it is around the actor, times what it would do.
fn value_bits(newcomers: &Newcomers, actor: &str, novel: &Novel, until: DateTime<Utc>) -> f64 {
    let stake = if novel.feature == Feature::Api { intent(&novel.value).weight() } else { 1.0 };
    bits(novel.around()) * alone(newcomers, actor, novel, until) * stake
}

fn novelty(
    past: &Past,
    newcomers: &Newcomers,
    today: &Today,
    feature: Feature,
    until: DateTime<Utc>,
) -> Option<Signal> {
    let actor = today.profile.as_str();
    let rated: Vec<(&Novel, f64)> = today
        .novel
        .iter()
        .filter(|novel| novel.feature == feature)
        .map(|novel| (novel, value_bits(newcomers, actor, novel, until)))
        .collect();
    let days = past.actors.get(actor).map_or(0, |past| past.days.len());
    let own = trust(days);
    let all: f64 = rated.iter().map(|(_, bits)| bits).sum();
    // What is new for the actor only because the actor is new says nothing; what nobody ever did says something.
    let unseen: f64 = rated.iter().filter(|(novel, _)| novel.users.organization == 0).map(|(_, bits)| bits).sum();
    let kind = past.kind_habit(ActorKind::of(actor), feature);
    let narrow = if feature == Feature::Network { NARROW_NETWORK } else { 1.0 };
    // In a lake without a past nobody did anything; only what a call would do still tells calls apart.
    let around = if feature == Feature::Api { 0.5 } else { 0.5 * trust(past.length_days()) };
    let raw = own * past.habit(actor, feature).surprise(all) + (1.0 - own) * around * kind.surprise(unseen);
    let bits = (raw * narrow).min(cap(feature));
    let parts = rated.iter().map(|(novel, own)| part(days, novel, bits * own / all.max(1e-9))).collect();
    (bits > 0.0).then(|| signal(feature.as_str(), bits, parts))
}

fn signal(name: &str, bits: f64, mut parts: Vec<Part>) -> Signal {
    parts.sort_by(|a, b| b.credit.total_cmp(&a.credit).then_with(|| a.observed.cmp(&b.observed)));
    Signal { name: name.to_owned(), bits, parts }
}

fn part(days: usize, novel: &Novel, credit: f64) -> Part {
    let users = novel.users;
    let scope = match (days, users.account, users.organization) {
        (1.., _, _) => Scope::Actor,
        (_, 1.., _) => Scope::Account,
        _ => Scope::Organization,
    };
    let expected = format!(
        "never in the actor's {days} days; used by {} of {} actors of account {} and {} of {} of the organization",
        users.account, users.account_actors, novel.account, users.organization, users.organization_actors,
    );
    let seen_around = match users.organization {
        0 => Frequency::Unseen,
        _ => frequency(novel.around()),
    };
    // The actor's own level, as if the surroundings had told it one day: its other days were without the value.
    let own = 1.0 / (days as f64 + 1.0);
    Part {
        carrier: Some((novel.feature, novel.value.clone())),
        hours: novel.hours,
        observed: novel.value.clone(),
        expected,
        scope,
        frequency: if days > 0 { Frequency::Unseen } else { seen_around },
        surprise: round(bits(own * novel.around())),
        credit,
    }
}

/// Daily to weekly, a few times a month, less than once a month: by the probability of a day.
fn frequency(daily: f64) -> Frequency {
    match daily {
        p if p >= 1.0 / 7.0 => Frequency::Frequent,
        p if p >= 1.0 / 30.0 => Frequency::Infrequent,
        _ => Frequency::Rare,
    }
}

fn volumes(past: &Past, today: &Today) -> Vec<Signal> {
    let mut signals: Vec<Signal> =
        Volume::ALL.into_iter().filter_map(|volume| volume_signal(past, today, volume)).collect();
    // More calls are mostly more APIs, too: only the more surprising of the two counts.
    let breadth: Vec<usize> = (0..signals.len()).filter(|i| signals[*i].name != Volume::Denied.as_str()).collect();
    if let [first, second] = breadth[..] {
        signals.remove(if signals[first].bits >= signals[second].bits { second } else { first });
    }
    signals
}

fn volume_signal(past: &Past, today: &Today, volume: Volume) -> Option<Signal> {
    let actor = past.actors.get(&today.profile)?;
    let observed = volume.count(&today.counts);
    let level = past.level(&today.profile, volume);
    let tail = level.tail_bits(observed as f64);
    let bits = ((tail - VOLUME_FLOOR) * trust(actor.days.len())).min(VOLUME_CAP);
    if bits <= 0.0 {
        return None;
    }
    let most = actor.days.iter().map(|day| volume.count(day)).max().unwrap_or(0);
    let carrier = match volume {
        Volume::Denied => Some((Feature::Outcome, "denied".to_owned())),
        _ => today.busiest.as_ref().map(|(api, _)| (Feature::Api, api.clone())),
    };
    let mostly = today.busiest.as_ref().filter(|_| volume == Volume::Calls);
    let part = Part {
        carrier,
        hours: ALL_HOURS,
        observed: match mostly {
            Some((api, calls)) => format!("{observed} calls in a day, {calls} of them {api}"),
            None => format!("{observed} {} in a day", volume.as_str().replace('_', " ")),
        },
        expected: format!("about {:.0} a day, at most {most} in {} days", level.mean, actor.days.len()),
        scope: Scope::Actor,
        frequency: if observed > most { Frequency::Unseen } else { frequency(0.5f64.powf(tail)) },
        surprise: round(tail),
        credit: bits,
    };
    Some(signal(volume.as_str(), bits, vec![part]))
}

fn shape_signal(past: &Past, shape: &ShapeModel, today: &Today) -> Option<Signal> {
    let days = past.actors.get(&today.profile).map_or(0, |past| past.days.len());
    let (error, surprise) = shape.surprise(&today.counts);
    let bits = (surprise - SHAPE_FLOOR).max(0.0) * SHAPE_WEIGHT * trust(days);
    let part = Part {
        carrier: None,
        hours: ALL_HOURS,
        observed: format!("reconstruction error {error:.2} of the day's counts"),
        expected: format!("below {:.2} on 99 of 100 of {} actor-days", shape.usual_error(), shape.rows),
        scope: Scope::Organization,
        frequency: frequency(0.5f64.powf(surprise)),
        surprise: round(surprise),
        credit: bits,
    };
    (bits > 0.0).then(|| signal("shape", bits, vec![part]))
}

/// Bits of a rule: what a hit is worth beside statistics. Not learned; a hit always makes a finding.
pub fn rule_bits(rule: &str) -> f64 {
    match rule {
        rule if rule.starts_with("PenTest:") => 30.0,
        rule if rule.starts_with("Stealth:") => 20.0,
        _ => 12.0,
    }
}

fn rule_signals(today: &Today) -> Vec<Signal> {
    let mut by_rule: BTreeMap<&str, Vec<&RuleHit>> = BTreeMap::new();
    for hit in &today.rules {
        by_rule.entry(&hit.rule).or_default().push(hit);
    }
    by_rule.into_iter().map(|(rule, hits)| rule_signal(rule, &hits)).collect()
}

fn rule_signal(rule: &str, hits: &[&RuleHit]) -> Signal {
    let credit = rule_bits(rule) / hits.len() as f64;
    let part = |hit: &&RuleHit| Part {
        carrier: Some(match rule.starts_with("PenTest:") {
            true => (Feature::UserAgent, hit.user_agent.clone()),
            false => (Feature::Api, hit.api.clone()),
        }),
        hours: ALL_HOURS,
        observed: format!("{} by {} ({} calls)", hit.api, hit.user_agent, hit.events),
        expected: "never; this is reported whatever the past".to_owned(),
        scope: Scope::Organization,
        frequency: Frequency::Rare,
        surprise: rule_bits(rule),
        credit,
    };
    signal(rule, rule_bits(rule), hits.iter().map(part).collect())
}
