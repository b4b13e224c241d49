//! From a scored actor-day and the events behind it to a finding.
//!
//! Owns: type, severity, words, evidence and the SQL that returns it. Refuses: statistics and I/O.
//! Invariant: the finding depends on its evidence only, and `sql` returns exactly that evidence.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use arrow::array::RecordBatch;
use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};

use super::feature::Feature;
use super::past::Past;
use super::rows::{Numbers, Texts};
use super::score::{Scored, Signal};
use super::tactic::{Intent, intent};
use crate::error::Result;
use crate::finding::{ApiCalls, BaselineSpan, Factor, Finding, FindingId, SeverityBand};

/// Events listed in a finding at most: those that carry the most surprise.
pub const EVENT_LIMIT: usize = 1000;

/// Factors listed for one signal at most; the rest is summed in one more.
const PARTS_LIMIT: usize = 8;

/// Name of this detector in the ids of its findings.
const DETECTOR: &str = "behavior/1";

/// One event that carries surprise.
#[derive(Debug, Clone)]
pub struct Evidence {
    actor: String,
    account: String,
    api: String,
    service: String,
    operation: String,
    region: String,
    outcome: String,
    time: DateTime<Utc>,
    event_id: Option<String>,
    event_hash: String,
    address: Option<String>,
    agent: Option<String>,
    millibits: i64,
    api_millibits: i64,
    identity_type: Option<String>,
    principal_id: Option<String>,
    access_key_id: Option<String>,
    user_name: Option<String>,
}

/// Reads the rows of `evidence.sql`, grouped by profile; they come sorted by profile, time and id.
///
/// # Errors
/// `Internal` where the query gave other columns.
pub fn read_evidence(batches: &[RecordBatch]) -> Result<BTreeMap<String, Vec<Evidence>>> {
    let mut out: BTreeMap<String, Vec<Evidence>> = BTreeMap::new();
    for batch in batches {
        let text = |name| Texts::of(batch, name);
        let (profile, actor, account, api) = (text("profile")?, text("actor")?, text("account")?, text("api")?);
        let (region, outcome, source, name) =
            (text("region")?, text("outcome")?, text("eventsource")?, text("eventname")?);
        let (event_id, event_hash) = (text("eventid")?, text("eventhash")?);
        let (address, agent) = (text("sourceipaddress")?, text("useragent")?);
        let (identity_type, principal_id) = (text("identity_type")?, text("principal_id")?);
        let (access_key_id, user_name) = (text("access_key_id")?, text("user_name")?);
        let (millibits, api_millibits) = (Numbers::of(batch, "millibits")?, Numbers::of(batch, "api_millibits")?);
        let time = Numbers::of_instants(batch, "eventtime")?;
        for row in 0..batch.num_rows() {
            out.entry(profile.at(row).to_owned()).or_default().push(Evidence {
                actor: actor.at(row).to_owned(),
                account: account.at(row).to_owned(),
                api: api.at(row).to_owned(),
                service: source.at(row).to_owned(),
                operation: name.at(row).to_owned(),
                region: region.at(row).to_owned(),
                outcome: outcome.at(row).to_owned(),
                time: time.instant(row),
                event_id: event_id.owned(row),
                event_hash: event_hash.at(row).to_owned(),
                address: address.owned(row),
                agent: agent.owned(row),
                millibits: millibits.at(row),
                api_millibits: api_millibits.at(row),
                identity_type: identity_type.owned(row),
                principal_id: principal_id.owned(row),
                access_key_id: access_key_id.owned(row),
                user_name: user_name.owned(row),
            });
        }
    }
    Ok(out)
}

/// Carriers of a scored actor-day: feature, value and thousandths of a bit, by which its events are found.
pub fn carriers(scored: &Scored) -> BTreeMap<(Feature, String), i64> {
    let mut out = BTreeMap::new();
    for part in scored.signals.iter().flat_map(|signal| &signal.parts) {
        if let Some((feature, value)) = &part.carrier {
            let millibits = (part.credit * 1000.0).round().max(1.0) as i64;
            *out.entry((*feature, value.clone())).or_insert(0) += millibits;
        }
    }
    out
}

/// Makes the finding of an actor-day; `None` where no event carries it.
pub fn finding(scored: &Scored, evidence: &[Evidence], past: &Past, model_version: &str) -> Option<Finding> {
    let (first, last) = (evidence.first()?, evidence.last()?);
    let primary = primary(evidence)?;
    let rule = scored.signals.iter().find(|signal| signal.name.contains(':') && signal.bits * 2.0 >= scored.score);
    let purpose = intent(&primary.api);
    let finding_type = rule.map_or(purpose.tactic.finding_type(), |signal| rule_type(signal)).to_owned();
    let severity = severity(rule, purpose, scored.score, evidence);
    let day = first.time.date_naive();
    let actor = most_common(evidence.iter().map(|event| event.actor.as_str()));
    let account = most_common(evidence.iter().map(|event| event.account.as_str()));
    let latest = evidence.iter().rev().find(|event| event.actor == actor).unwrap_or(last);
    Some(Finding {
        id: FindingId::derive(DETECTOR, &scored.profile, &day.to_string()),
        title: title(&finding_type, &actor, &primary.api, &account),
        description: description(scored, evidence, past),
        finding_type,
        severity,
        severity_label: SeverityBand::of(severity),
        score: scored.score,
        actor_type: latest.identity_type.clone().unwrap_or_default(),
        user_name: latest.user_name.clone().or_else(|| name_of(&actor)),
        principal_id: latest.principal_id.clone(),
        access_key_ids: distinct(evidence.iter().filter_map(|event| event.access_key_id.clone())),
        region: primary.region.clone(),
        time: scored.known_at.max(last.time),
        first_seen: first.time,
        last_seen: last.time,
        count: evidence.len() as u64,
        event_ids: evidence.iter().filter_map(|event| event.event_id.clone()).collect(),
        apis: api_calls(evidence, primary),
        source_addresses: distinct(evidence.iter().filter_map(|event| event.address.clone())),
        user_agents: distinct(evidence.iter().filter_map(|event| event.agent.clone())),
        factors: factors(scored),
        baseline: span(scored, past, model_version),
        sql: sql(evidence, day),
        actor,
        account,
    })
}

/// The event that decides the tactic: the most at stake and the most surprising API; ties go to the earliest.
fn primary(evidence: &[Evidence]) -> Option<&Evidence> {
    let rank = |event: &Evidence| {
        let stake = i64::from(intent(&event.api).stake);
        ((event.api_millibits + 1000) * stake, event.millibits)
    };
    evidence.iter().rev().max_by_key(|event| rank(event))
}

fn rule_type(signal: &Signal) -> &str {
    &signal.name
}

/// GuardDuty's default of the type, up to 1.9 more with the score, less where nothing succeeded.
fn severity(rule: Option<&Signal>, purpose: Intent, score: f64, evidence: &[Evidence]) -> f64 {
    let base = match rule.map(|signal| signal.name.as_str()) {
        Some(name) if name.starts_with("PenTest:") => 5.0,
        Some(_) => 2.0,
        None => purpose.tactic.base_severity(),
    };
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

fn title(finding_type: &str, actor: &str, api: &str, account: &str) -> String {
    let name = name_of(actor).unwrap_or_else(|| actor.to_owned());
    match finding_type.contains("AnomalousBehavior") {
        true => format!("{name} called {api} and more that is unusual in account {account}"),
        false => format!("{name} called {api} in account {account}: {finding_type}"),
    }
}

fn description(scored: &Scored, evidence: &[Evidence], past: &Past) -> String {
    let days = past.actors.get(&scored.profile).map_or(0, |past| past.days.len());
    let failed = evidence.iter().filter(|event| event.outcome != "success").count();
    let mut text = format!(
        "{} events ({failed} of them failed) do not fit the {days} days known of this actor; together they are worth \
         {:.1} bits of surprise.",
        evidence.len(),
        scored.score
    );
    for signal in scored.signals.iter().take(4) {
        let seen: Vec<&str> = signal.parts.iter().take(3).map(|part| part.observed.as_str()).collect();
        let more = if signal.parts.len() > 3 { ", …" } else { "" };
        let _ = write!(text, " {}: {}{more} ({:.1} bits).", signal.name, seen.join(", "), signal.bits);
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

/// A factor per part; the contributions add up to 1 exactly but for rounding of the division.
fn factors(scored: &Scored) -> Vec<Factor> {
    let total: f64 = scored.signals.iter().map(|signal| signal.bits).sum();
    let mut out: Vec<Factor> = Vec::new();
    for signal in &scored.signals {
        for part in signal.parts.iter().take(PARTS_LIMIT) {
            out.push(Factor {
                feature: signal.name.clone(),
                observed: part.observed.clone(),
                expected: part.expected.clone(),
                scope: part.scope,
                frequency: part.frequency,
                bits: part.surprise,
                contribution: part.credit / total,
            });
        }
        out.extend(rest(signal, total));
    }
    out.sort_by(|a, b| {
        let by_name = || a.feature.cmp(&b.feature).then_with(|| a.observed.cmp(&b.observed));
        b.contribution.total_cmp(&a.contribution).then_with(by_name)
    });
    out
}

/// The parts that are not listed one by one.
fn rest(signal: &Signal, total: f64) -> Option<Factor> {
    let hidden = signal.parts.get(PARTS_LIMIT..).filter(|parts| !parts.is_empty())?;
    let credit: f64 = hidden.iter().map(|part| part.credit).sum();
    Some(Factor {
        feature: signal.name.clone(),
        observed: format!("{} more", hidden.len()),
        expected: hidden[0].expected.clone(),
        scope: hidden[0].scope,
        frequency: hidden[0].frequency,
        bits: hidden[0].surprise,
        contribution: credit / total,
    })
}

fn span(scored: &Scored, past: &Past, model_version: &str) -> BaselineSpan {
    let actor = past.actors.get(&scored.profile);
    let midnight = |date: NaiveDate| date.and_time(chrono::NaiveTime::MIN).and_utc();
    BaselineSpan {
        from: midnight(past.from),
        to: midnight(past.to),
        actor_events: actor.map_or(0, |past| past.events()),
        actor_days: actor.map_or(0, |past| past.days.len() as u64),
        model_version: model_version.to_owned(),
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
