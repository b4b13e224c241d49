//! Findings, and their way to a topic.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use serde_json::json;
use trailhound::finding::{Finding, FindingId, SeverityBand};
use trailhound::sink::{Shape, Sink, SnsSink};

use super::aws::{Aws, Received};

/// The moment that everything here is counted from.
pub fn noon() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 2, 12, 0, 0).single().expect("a valid time")
}

/// A small finding; a greater number gives another id and a later time.
pub fn finding(number: i64) -> Finding {
    let seen = noon() - TimeDelta::minutes(1_000 - number);
    let value = json!({
        "id": FindingId::derive("behavior", &format!("actor-{number}"), "2026-03-02"),
        "type": "Discovery:IAMUser/AnomalousBehavior",
        "title": format!("actor-{number} lists what it never listed"),
        "description": "Never seen before from this user.",
        "severity": 5.5, "severity_label": "MEDIUM", "score": 17.25,
        "actor": format!("arn:aws:iam::111122223333:user/actor-{number}"), "actor_type": "IAMUser",
        "user_name": format!("actor-{number}"), "principal_id": null, "access_key_ids": ["AKIAEXAMPLE"],
        "account": "111122223333", "region": "eu-west-1",
        "time": seen, "first_seen": seen, "last_seen": seen, "count": 1, "event_ids": [format!("event-{number}")],
        "apis": [{ "service": "s3.amazonaws.com", "api": "ListBuckets", "succeeded": 1, "failed": 0 }],
        "source_addresses": ["198.51.100.7"], "user_agents": ["aws-cli/2.15"],
        "factors": [{ "feature": "api", "observed": "s3:ListBuckets", "expected": "never in 300 calls",
                      "scope": "actor", "frequency": "UNSEEN", "bits": 8.5, "contribution": 1.0 }],
        "baseline": { "from": noon() - TimeDelta::days(90), "to": noon() - TimeDelta::days(1),
                      "actor_events": 300, "actor_days": 30, "model_version": "1" },
        "sql": format!("SELECT * FROM events WHERE eventid = 'event-{number}'"),
    });
    serde_json::from_value(value).expect("a finding")
}

/// The same with another severity.
pub fn with_severity(number: i64, severity: f64) -> Finding {
    Finding { severity, severity_label: SeverityBand::of(severity), ..finding(number) }
}

/// A finding of about 400 KB.
pub fn huge(number: i64) -> Finding {
    let event_ids = (0..10_000).map(|event| format!("{event:08x}-0000-4000-8000-00000000abcd")).collect();
    Finding { event_ids, ..finding(number) }
}

/// A sink for a topic that is there.
pub async fn topic_sink(aws: &Aws, topic: &str) -> Sink {
    let arn = topic.parse().expect("an arn");
    Sink::Sns(SnsSink::with_client(aws.sns(), arn, Shape::default()).await.expect("the topic is there"))
}

/// Ids of the findings that arrived, in order.
pub fn ids(received: &[Received]) -> Vec<String> {
    received.iter().map(|message| message.json()["detail"]["id"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Ids of findings, in order.
pub fn ids_of(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(|finding| finding.id.to_string()).collect()
}

/// The same without an order, where the topic promises none.
pub fn set(ids: Vec<String>) -> BTreeSet<String> {
    ids.into_iter().collect()
}
