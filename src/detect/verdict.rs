//! From a scored actor-day and the events behind it to a finding.
//!
//! Owns: type, severity, words, evidence and the SQL that returns it. Refuses: statistics and I/O.
//! Invariant: the finding depends on its evidence only, and `sql` returns exactly that evidence.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use chrono::{NaiveDate, SecondsFormat};

use super::counts::Count;
use super::crowd::{Company, MOST_PEOPLE};
use super::evidence::Evidence;
use super::explain::{Beside, Explainer, words};
use super::feature::ActorKind;
use super::names::Names;
use super::playbook::next_steps;
use super::reads::BUCKET;
use super::rule::{self, Rule, RuleHit};
use super::score::{ActorScore, Scored};
use super::story::Story;
use super::tactic::{Intent, Tactic, intent};
use crate::finding::{
    ApiCalls, BaselineSpan, ChainStep, Completeness, Finding, FindingId, SeverityBand, SourceNetwork,
};

/// Calls of a rule that its factor names.
const NAMED_CALLS: usize = 5;

/// Others in a story that its factor names.
const NAMED_OTHERS: usize = 20;

/// Different tactics that make an attack sequence, and thousandths of a bit from which an event is a signal of one.
const SEQUENCE_TACTICS: usize = 3;
const SIGNAL_MILLIBITS: i64 = 2000;

/// All sequences are critical.
const SEQUENCE_SEVERITY: f64 = 9.0;

/// Name of this detector in the ids of its findings.
const DETECTOR: &str = "behavior/2";

/// What a finding is made from.
pub struct Case<'a> {
    /// The story's members, the most unusual one first.
    pub members: Vec<&'a ActorScore>,
    /// The story.
    pub story: &'a Story,
    /// What rules name.
    pub rules: Vec<RuleHit>,
    /// What looks up the numbers.
    pub explainer: Explainer<'a>,
    /// Version of the model files.
    pub model_version: &'a str,
}

/// Makes the finding of a story; `None` where no event carries it.
pub(super) fn finding(case: &Case<'_>, evidence: &[Evidence]) -> Option<Finding> {
    let (first, last) = (evidence.first()?, evidence.last()?);
    let root = case.members.first()?;
    let names = case.explainer.names;
    let primary = primary(evidence)?;
    let purpose = intent(&primary.api);
    let rule = leading_rule(case, purpose);
    let sequence = sequence(evidence);
    let named = rule.map_or(purpose.tactic.finding_type(), |rule| &rule.finding_type);
    let finding_type = sequence.as_ref().map_or(named, |sequence| sequence.finding_type).to_owned();
    let severity = severity(rule, purpose, sequence.as_ref(), case.story.score, evidence);
    let actor = most_common(evidence.iter().map(|event| event.actor.as_str()));
    let account = most_common(evidence.iter().map(|event| event.account.as_str()));
    let latest = evidence.iter().rev().find(|event| event.actor == actor).unwrap_or(last);
    let account_name = account_of(root, names, &account);
    Some(Finding {
        id: FindingId::derive(DETECTOR, names.text(root.profile), &case.explainer.date.to_string()),
        title: match is_bucket(root, names) {
            true => bucket_title(names.text(root.profile), root, &account),
            false => title(&finding_type, &actor, &primary.api, &account),
        },
        description: description(case, sequence.as_ref(), evidence),
        severity,
        severity_label: SeverityBand::of(severity),
        score: case.story.score,
        actor_type: latest.identity_type.clone().unwrap_or_default(),
        user_name: latest.user_name.clone().or_else(|| name_of(&actor)),
        principal_id: latest.principal_id.clone(),
        access_key_ids: distinct(evidence.iter().filter_map(|event| event.access_key_id.clone())),
        region: primary.region.clone(),
        accounts: distinct(evidence.iter().map(|event| event.account.clone())),
        regions: distinct(evidence.iter().map(|event| event.region.clone())),
        time: last.time,
        first_seen: first.time,
        last_seen: last.time,
        count: evidence.len() as u64,
        event_ids: evidence.iter().filter_map(|event| event.event_id.clone()).collect(),
        apis: api_calls(evidence, primary),
        source_addresses: distinct(evidence.iter().filter_map(|event| event.address.clone())),
        networks: networks(evidence),
        user_agents: distinct(evidence.iter().filter_map(|event| event.agent.clone())),
        chain: Vec::new(),
        factors: case.explainer.factors(&root.best, account_name, &beside(case)),
        baseline: span(case, root),
        completeness: Completeness::default(),
        sql: sql(evidence, case.explainer.date),
        next_steps: next_steps(&finding_type),
        finding_type,
        actor,
        account,
    })
}

/// The account's name; of the unit's own values where the text is no value of the day.
fn account_of(root: &ActorScore, names: &Names, account: &str) -> super::names::Name {
    names.find(account).unwrap_or(root.profile)
}

/// Reasons beside the root's signals: rules, and the others in the story.
fn beside(case: &Case<'_>) -> Vec<Beside> {
    let mut reasons: Vec<Beside> = Vec::new();
    for (place, bits) in rule::worth(&case.rules) {
        let rule = &rule::RULES[place];
        let hits = case.rules.iter().filter(|hit| std::ptr::eq(hit.rule(), rule));
        reasons.push(Beside {
            name: rule.finding_type.clone(),
            observed: named_calls(hits, case.explainer.names),
            expected: format!("{}; this is told whatever the past", rule.expected),
            bits,
        });
    }
    let told: f64 = reasons.iter().map(|reason| reason.bits).sum::<f64>() + case.members[0].best.score;
    if let Some(others) = case.members.get(1..).filter(|others| !others.is_empty()) {
        let names = others.iter().map(|other| case.explainer.names.text(other.profile).to_owned());
        reasons.push(Beside {
            name: "story".to_owned(),
            observed: format!("together with {}", listed(names, NAMED_OTHERS)),
            expected: "from one rare address, with credentials that one made for the other, from a bucket that one of them read most of, or doing the same for the first time".to_owned(),
            bits: (case.story.score / case.story.weight() - told).max(0.0),
        });
    }
    reasons.extend(case.story.company.filter(|company| company.others > 0).map(crowd));
    reasons
}

/// How much of a crowd's story is new to others, too, which lessens what it counts.
fn crowd(company: Company) -> Beside {
    Beside {
        name: "crowd".to_owned(),
        observed: format!(
            "{:.0} % of what is new here was new to others, too ({}{} on this day or within the seven before)",
            100.0 * company.share,
            if company.others < MOST_PEOPLE { "" } else { "at least " },
            company.others
        ),
        expected: format!(
            "what many do for the first time is a roll-out, a drill or a hackathon: the whole counts {:.2} times",
            company.weight()
        ),
        bits: 0.0,
    }
}

/// The calls that a rule names, by API and address, the most frequent first: `iam:ListUsers from 192.0.2.1 (3 calls)`.
fn named_calls<'h>(hits: impl Iterator<Item = &'h RuleHit>, names: &Names) -> String {
    let mut calls: BTreeMap<(&str, &str, bool), i64> = BTreeMap::new();
    for hit in hits {
        *calls.entry((names.text(hit.api), names.text(hit.address), hit.succeeded)).or_default() += hit.calls;
    }
    let mut sorted: Vec<_> = calls.into_iter().collect();
    sorted.sort_by_key(|(key, calls)| (std::cmp::Reverse(*calls), *key));
    let one = |((api, address, succeeded), calls): &((&str, &str, bool), i64)| {
        let (calls_word, failed) =
            (if *calls == 1 { "call" } else { "calls" }, if *succeeded { "" } else { ", failed" });
        format!("{api} from {address} ({calls} {calls_word}{failed})")
    };
    listed(sorted.iter().map(one), NAMED_CALLS)
}

/// So many texts with commas, and the number of those that are left out.
fn listed(texts: impl ExactSizeIterator<Item = String>, most: usize) -> String {
    let more = texts.len().saturating_sub(most);
    let shown = texts.take(most).collect::<Vec<_>>().join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

/// The rule that the finding is named after: the gravest of those that are at least half of the score, or graver than what
/// the calls are for. What only failed is named after a rule where there is nothing else.
fn leading_rule(case: &Case<'_>, purpose: Intent) -> Option<&'static Rule> {
    let leads = |hit: &&RuleHit| {
        let graver = hit.succeeded && hit.rule().severity > purpose.tactic.base_severity();
        graver || hit.bits() * 2.0 >= case.story.score
    };
    let rank = |hit: &&RuleHit| (hit.rule().severity, hit.bits());
    let hits = case.rules.iter().filter(leads);
    hits.max_by(|a, b| rank(a).partial_cmp(&rank(b)).unwrap_or(Ordering::Equal).then_with(|| b.cmp(a)))
        .map(RuleHit::rule)
}

/// The event that decides the tactic: the most at stake and the most surprising API; ties go to the earliest.
fn primary(evidence: &[Evidence]) -> Option<&Evidence> {
    let rank = |event: &Evidence| {
        let stake = i64::from(intent(&event.api).stake);
        ((event.millibits + 1000) * stake, event.millibits)
    };
    evidence.iter().rev().max_by_key(|event| rank(event))
}

/// Several things that attackers do one after the other, all of which worked.
struct Sequence {
    finding_type: &'static str,
    purposes: Vec<&'static str>,
}

/// The sequence that a story's events are: those that are surprising, grave and succeeded are for so many different tactics.
/// GuardDuty's sequences are made of signals of a day, too, and critical.
fn sequence(evidence: &[Evidence]) -> Option<Sequence> {
    let counts = |event: &&Evidence| event.outcome == "success" && event.millibits >= SIGNAL_MILLIBITS;
    let purposes: Vec<Intent> = evidence.iter().filter(counts).map(|event| intent(&event.api)).collect();
    let data = purposes.iter().any(|purpose| {
        matches!(purpose.tactic, Tactic::ExfiltrationS3 | Tactic::ImpactS3Delete | Tactic::ImpactS3Write)
    });
    let grave = purposes.iter().filter(|purpose| purpose.stake > 2).map(|purpose| purpose.tactic.purpose());
    let kinds: BTreeSet<&'static str> = grave.filter(|purpose| *purpose != "Discovery").collect();
    let finding_type =
        if data { "AttackSequence:S3/CompromisedData" } else { "AttackSequence:IAM/CompromisedCredentials" };
    (kinds.len() >= SEQUENCE_TACTICS).then(|| Sequence { finding_type, purposes: kinds.into_iter().collect() })
}

/// GuardDuty's default of the type, up to 1.9 more with the score, less where nothing succeeded.
fn severity(
    rule: Option<&Rule>,
    purpose: Intent,
    sequence: Option<&Sequence>,
    score: f64,
    evidence: &[Evidence],
) -> f64 {
    let single = rule.map_or(purpose.tactic.base_severity(), |rule| rule.severity);
    let base = if sequence.is_some() { SEQUENCE_SEVERITY } else { single };
    let grown = base + 1.9 * (1.0 - (-score / 60.0).exp());
    let failed = evidence.iter().all(|event| event.outcome != "success");
    let severity: f64 = if failed { grown - 2.0 } else { grown };
    (severity.clamp(1.0, 10.0) * 10.0).round() / 10.0
}

/// The last segment of an ARN or of a person's name.
fn name_of(actor: &str) -> Option<String> {
    actor.rsplit('/').next().filter(|name| !name.is_empty()).map(str::to_owned)
}

fn most_common<'a>(values: impl Iterator<Item = &'a str>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    values.for_each(|value| *counts.entry(value).or_default() += 1);
    // Reversed, so that of equals the first in order remains.
    counts.into_iter().rev().max_by_key(|(_, count)| *count).map(|(value, _)| value.to_owned()).unwrap_or_default()
}

fn distinct(values: impl Iterator<Item = String>) -> Vec<String> {
    values.collect::<BTreeSet<_>>().into_iter().collect()
}

/// The steps that made these keys, and the keys those were made with, the latest first.
pub fn chain(keys: &[String], steps: &BTreeMap<String, ChainStep>) -> Vec<ChainStep> {
    let mut found: BTreeSet<&ChainStep> = BTreeSet::new();
    for key in keys {
        let mut next = steps.get(key);
        while let Some(step) = next.filter(|step| !found.contains(step)) {
            found.insert(step);
            next = step.made_with.as_ref().and_then(|key| steps.get(key));
        }
    }
    let mut sorted: Vec<ChainStep> = found.into_iter().cloned().collect();
    sorted.sort_by(|a, b| b.time.cmp(&a.time).then_with(|| a.cmp(b)));
    sorted
}

/// What is known of each source address, by address.
fn networks(evidence: &[Evidence]) -> Vec<SourceNetwork> {
    let network = |event: &Evidence| {
        let address = event.address.clone()?;
        let found = SourceNetwork {
            address: address.clone(),
            kind: event.kind.clone(),
            country: event.country.clone(),
            asn: event.asn,
            org: event.org.clone(),
            list: event.list.clone(),
        };
        Some((address, found))
    };
    evidence.iter().filter_map(network).collect::<BTreeMap<_, _>>().into_values().collect()
}

fn title(finding_type: &str, actor: &str, api: &str, account: &str) -> String {
    let name = name_of(actor).unwrap_or_else(|| actor.to_owned());
    match finding_type.contains("AnomalousBehavior") || finding_type.starts_with("AttackSequence") {
        true => format!("{name} called {api} and more that is unusual in account {account}"),
        false => format!("{name} called {api} in account {account}: {finding_type}"),
    }
}

fn is_bucket(root: &ActorScore, names: &Names) -> bool {
    ActorKind::of(names.text(root.profile)) == ActorKind::Bucket
}

fn bucket_title(bucket: &str, root: &ActorScore, account: &str) -> String {
    let name = bucket.trim_start_matches(BUCKET);
    let objects = root.counts.get(Count::Objects);
    format!("{objects} objects were read from bucket {name} in account {account}, more than on its days")
}

fn description(case: &Case<'_>, sequence: Option<&Sequence>, evidence: &[Evidence]) -> String {
    let root: &Scored = &case.members[0].best;
    let days = case.explainer.memory.days_of(root.profile);
    let failed = evidence.iter().filter(|event| event.outcome != "success").count();
    let of = if is_bucket(case.members[0], case.explainer.names) { "bucket" } else { "actor" };
    let mut text = format!(
        "{} events ({failed} of them failed) do not fit the {days} days known of this {of}; together they are worth \
         {:.1} bits.",
        evidence.len(),
        case.story.score
    );
    if is_bucket(case.members[0], case.explainer.names) {
        let reader = most_common(evidence.iter().map(|event| event.actor.as_str()));
        let _ = write!(
            text,
            " The bucket is what this is about; of those who read from it, {reader} is the largest reader."
        );
    }
    if let Some(Sequence { purposes, .. }) = sequence {
        let _ = write!(text, " What succeeded is an attack sequence: {}.", purposes.join(", "));
    }
    for measured in root.signals.iter().filter(|measured| measured.credit > 0.0).take(5) {
        let facts = || root.facts.iter().filter(|fact| fact.signal == measured.signal);
        let seen: Vec<String> = facts().take(3).map(|fact| words(fact, case.explainer.names)).collect();
        let more = if facts().nth(3).is_some() { ", …" } else { "" };
        let seen = if seen.is_empty() { String::new() } else { format!(": {}{more}", seen.join(", ")) };
        let _ = write!(text, " {}{seen} ({:.1} bits).", measured.signal.as_str(), measured.bits);
    }
    text
}

fn api_calls(evidence: &[Evidence], primary: &Evidence) -> Vec<ApiCalls> {
    let mut calls: BTreeMap<(&str, &str), (i64, u64, u64)> = BTreeMap::new();
    for event in evidence {
        let entry = calls.entry((&event.service, &event.operation)).or_default();
        entry.0 = entry.0.max(event.millibits);
        match event.outcome.as_str() {
            "success" => entry.1 += 1,
            _ => entry.2 += 1,
        }
    }
    let mut sorted: Vec<_> = calls.into_iter().collect();
    let is_primary = |key: (&str, &str)| key == (primary.service.as_str(), primary.operation.as_str());
    sorted.sort_by_key(|(key, (millibits, _, _))| (!is_primary(*key), std::cmp::Reverse(*millibits), *key));
    let one = |((service, api), (_, succeeded, failed)): ((&str, &str), (i64, u64, u64))| ApiCalls {
        service: service.to_owned(),
        api: api.to_owned(),
        succeeded,
        failed,
    };
    sorted.into_iter().map(one).collect()
}

fn span(case: &Case<'_>, root: &ActorScore) -> BaselineSpan {
    let memory = case.explainer.memory;
    let midnight = |date: NaiveDate| date.and_time(chrono::NaiveTime::MIN).and_utc();
    let days = memory.actor(root.profile).map_or(&[][..], |actor| &actor.days);
    let to = case.explainer.date;
    let from = memory.span().map_or(to, |(first, _)| first);
    BaselineSpan {
        from: midnight(from),
        to: midnight(to),
        actor_events: days.iter().map(|day| day.get(Count::Calls).max(0) as u64).sum(),
        actor_days: days.len() as u64,
        days: (to - from).num_days().max(0) as u64,
        model_version: case.model_version.to_owned(),
    }
}

/// A query that returns exactly the evidence. Values are quoted, so that no id can become SQL.
fn sql(evidence: &[Evidence], day: NaiveDate) -> String {
    let ids: BTreeSet<&str> = evidence.iter().filter_map(|event| event.event_id.as_deref()).collect();
    let hashes: BTreeSet<&str> =
        evidence.iter().filter(|event| event.event_id.is_none()).map(|event| event.event_hash.as_str()).collect();
    let mut which: Vec<String> = Vec::new();
    if !ids.is_empty() {
        which.push(format!("eventid IN ({})", list(&ids)));
    }
    if !hashes.is_empty() {
        which.push(format!("eventhash IN ({})", list(&hashes)));
    }
    let instant = |event: &Evidence| event.time.to_rfc3339_opts(SecondsFormat::Micros, true);
    format!(
        "SELECT * FROM events WHERE event_date = DATE '{day}' AND eventtime BETWEEN TIMESTAMP '{}' AND TIMESTAMP '{}' \
         AND ({}) ORDER BY eventtime, eventid",
        instant(&evidence[0]),
        instant(&evidence[evidence.len() - 1]),
        which.join(" OR ")
    )
}

fn list(values: &BTreeSet<&str>) -> String {
    values.iter().map(|value| quote(value)).collect::<Vec<_>>().join(", ")
}

/// A text as an SQL literal.
pub fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_ends_with_the_number_of_what_it_leaves_out() {
        let list = |most| listed(["a", "b", "c"].map(str::to_owned).into_iter(), most);
        assert_eq!([list(3), list(2), list(1)], ["a, b, c", "a, b and 1 more", "a and 2 more"]);
    }
}
