//! Findings for the tests of the sinks.

use chrono::{TimeZone, Utc};

use crate::finding::{
    ApiCalls, BaselineSpan, Completeness, Factor, Finding, FindingId, Frequency, NextSteps, Scope, SeverityBand,
};

fn factor(feature: &str, observed: &str, scope: Scope, frequency: Frequency) -> Factor {
    Factor {
        feature: feature.into(),
        observed: observed.into(),
        expected: "0 of 1,204 calls in 60 days".into(),
        scope,
        frequency,
        bits: 10.25,
        contribution: 0.5,
        interval: None,
        rarity: Vec::new(),
    }
}

fn calls(service: &str, api: &str, succeeded: u64, failed: u64) -> ApiCalls {
    ApiCalls { service: service.into(), api: api.into(), succeeded, failed }
}

/// A small finding; another number gives another id.
pub(crate) fn finding(number: u32) -> Finding {
    let time = |minute| Utc.with_ymd_and_hms(2026, 3, 1, 12, minute, 0).single().expect("a valid time");
    Finding {
        id: FindingId::derive("behavior", &format!("actor-{number}"), "2026-03-01"),
        finding_type: "Persistence:IAMUser/AnomalousBehavior".into(),
        title: "role deploy made an access key".into(),
        description: "Never seen before from this role.".into(),
        severity: 7.5,
        severity_label: SeverityBand::of(7.5),
        score: 20.5,
        actor: "arn:aws:iam::111122223333:role/deploy".into(),
        actor_type: "AssumedRole".into(),
        user_name: Some("deploy".into()),
        principal_id: Some("AROAEXAMPLE:session".into()),
        access_key_ids: vec!["ASIAEXAMPLE".into()],
        account: "111122223333".into(),
        accounts: vec!["111122223333".into()],
        region: "eu-west-1".into(),
        regions: vec!["eu-west-1".into()],
        time: time(7),
        first_seen: time(0),
        last_seen: time(30),
        count: 3,
        event_ids: vec!["e-1".into(), "e-2".into(), "e-3".into()],
        apis: vec![
            calls("iam.amazonaws.com", "CreateAccessKey", 1, 0),
            calls("sts.amazonaws.com", "GetCallerIdentity", 1, 0),
            calls("iam.amazonaws.com", "ListUsers", 1, 2),
        ],
        source_addresses: vec!["198.51.100.7".into()],
        networks: Vec::new(),
        user_agents: vec!["aws-cli/2.15".into()],
        chain: Vec::new(),
        factors: vec![
            factor("api", "iam:CreateAccessKey", Scope::Actor, Frequency::Unseen),
            factor("network", "198.51.100.0/24", Scope::Account, Frequency::Rare),
            factor("region", "eu-west-1", Scope::Organization, Frequency::Frequent),
        ],
        baseline: BaselineSpan {
            from: time(0) - chrono::TimeDelta::days(60),
            to: time(0),
            actor_events: 1_204,
            actor_days: 41,
            days: 60,
            model_version: "1".into(),
        },
        completeness: Completeness::default(),
        sql: "SELECT * FROM events WHERE eventid IN ('e-1', 'e-2', 'e-3')".into(),
        next_steps: NextSteps::default(),
    }
}

/// A finding with many event ids of 36 characters.
pub(crate) fn large(event_ids: u32) -> Finding {
    let ids = (0..event_ids).map(|n| format!("{n:08x}-0000-4000-8000-000000000000")).collect();
    Finding { event_ids: ids, count: u64::from(event_ids), ..finding(0) }
}
