//! A finding in GuardDuty's JSON (schema version 2.0), alone or in EventBridge's envelope.
//!
//! Owns: which of our members goes where in GuardDuty's shape, and the `trailhound` member that holds what GuardDuty
//! has no place for: score, factors, baseline, event ids and the SQL that returns the events.
//! Refuses: a clock and I/O; refuses to invent what a finding does not hold (organization, country, error code).
//! Invariant: equal findings give equal bytes.

use std::collections::BTreeMap;
use std::net::IpAddr;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use super::shorten::LeftOut;
use crate::finding::{ApiCalls, Factor, Finding, FindingId, Frequency, Scope};

/// Version of the shape below, as GuardDuty numbers it.
const SCHEMA_VERSION: &str = "2.0";

/// `service.serviceName`, and the service of the finding's ARN: the shape is GuardDuty's, the finding is not.
const SERVICE_NAME: &str = "trailhound";

/// Joins the values of one profile, as GuardDuty writes lists.
const LIST_SEPARATOR: &str = " , ";

/// What the envelope's `source` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventSource {
    /// `trailhound`: the truth.
    Trailhound,
    /// `aws.guardduty`: for consumers that look at `source` before anything else.
    GuardDuty,
}

impl EventSource {
    fn as_str(self) -> &'static str {
        match self {
            Self::Trailhound => SERVICE_NAME,
            Self::GuardDuty => "aws.guardduty",
        }
    }
}

/// The finding as GuardDuty's `GetFindings` and its export to S3 write one.
///
/// `left_out` is what a shortening took from `finding` before; it is told in the `trailhound` member.
pub fn finding(finding: &Finding, left_out: &LeftOut) -> Value {
    let updated = finding.time.max(finding.last_seen);
    json!({
        "schemaVersion": SCHEMA_VERSION,
        "accountId": finding.account,
        "region": finding.region,
        "partition": partition(&finding.region),
        "id": finding.id,
        "arn": arn(finding),
        "type": finding.finding_type,
        "resource": resource(finding),
        "service": service(finding, left_out),
        "severity": finding.severity,
        "createdAt": milliseconds(finding.time),
        "updatedAt": milliseconds(updated),
        "title": finding.title,
        "description": finding.description,
    })
}

/// The finding in the envelope that a rule of EventBridge hands to SNS.
///
/// `content_hash` is that of the whole finding: the envelope's id is made from it, so that the same version of a
/// finding sent twice is the same event.
pub fn event(detail: Value, of: &Finding, content_hash: &str, source: EventSource) -> Value {
    json!({
        "version": "0",
        "id": uuid(FindingId::derive("event", of.id.as_str(), content_hash).as_str()),
        "detail-type": "GuardDuty Finding",
        "source": source.as_str(),
        "account": of.account,
        "time": of.time.max(of.last_seen).to_rfc3339_opts(SecondsFormat::Secs, true),
        "region": of.region,
        "resources": [],
        "detail": detail,
    })
}

fn uuid(hex: &str) -> String {
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn milliseconds(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn partition(region: &str) -> &'static str {
    match region {
        r if r.starts_with("us-gov-") => "aws-us-gov",
        r if r.starts_with("cn-") => "aws-cn",
        _ => "aws",
    }
}

/// GuardDuty has one detector an account and region, named by 32 hexadecimal digits; consumers read it from the ARN.
fn detector_id(finding: &Finding) -> FindingId {
    FindingId::derive("detector", &finding.account, &finding.region)
}

fn arn(finding: &Finding) -> String {
    let Finding { region, account, id, .. } = finding;
    let (partition, detector) = (partition(region), detector_id(finding));
    format!("arn:{partition}:{SERVICE_NAME}:{region}:{account}:detector/{detector}/finding/{id}")
}

fn resource(finding: &Finding) -> Value {
    json!({
        "resourceType": "AccessKey",
        "accessKeyDetails": present([
            ("accessKeyId", finding.access_key_ids.first().map(|key| json!(key))),
            ("principalId", finding.principal_id.as_ref().map(|id| json!(id))),
            ("userType", Some(json!(finding.actor_type))),
            ("userName", finding.user_name.as_ref().map(|name| json!(name))),
        ]),
    })
}

fn service(finding: &Finding, left_out: &LeftOut) -> Value {
    json!({
        "serviceName": SERVICE_NAME,
        "detectorId": detector_id(finding),
        "action": { "actionType": "AWS_API_CALL", "awsApiCallAction": api_call(finding) },
        "resourceRole": "TARGET",
        "additionalInfo": additional_info(finding, left_out),
        "evidence": null,
        "eventFirstSeen": finding.first_seen.to_rfc3339_opts(SecondsFormat::Secs, true),
        "eventLastSeen": finding.last_seen.to_rfc3339_opts(SecondsFormat::Secs, true),
        "archived": false,
        "count": finding.count,
    })
}

fn api_call(finding: &Finding) -> Value {
    let primary = finding.apis.first();
    let mut call = present([
        ("api", primary.map(|call| json!(call.api))),
        ("serviceName", primary.map(|call| json!(call.service))),
        ("userAgent", finding.user_agents.first().map(|agent| json!(agent))),
        ("affectedResources", Some(json!({}))),
    ]);
    call.extend(caller(&finding.source_addresses));
    Value::Object(call)
}

/// The caller's members: GuardDuty has room for one, and an address says more than a service's name.
fn caller(addresses: &[String]) -> Map<String, Value> {
    let address = addresses.iter().find_map(|text| text.parse::<IpAddr>().ok());
    let details = match (address, addresses.first()) {
        (Some(IpAddr::V4(ip)), _) => ("remoteIpDetails", json!({ "ipAddressV4": ip })),
        (Some(IpAddr::V6(ip)), _) => ("remoteIpDetails", json!({ "ipAddressV6": ip })),
        (None, Some(name)) => ("domainDetails", json!({ "domain": name })),
        (None, None) => return Map::new(),
    };
    let caller_type = if address.is_some() { "Remote IP" } else { "Domain" };
    present([("callerType", Some(json!(caller_type))), (details.0, Some(details.1))])
}

fn additional_info(finding: &Finding, left_out: &LeftOut) -> Value {
    let mut profiled = BTreeMap::new();
    let mut unusual = BTreeMap::new();
    for factor in &finding.factors {
        match profile_key(factor) {
            Some((Profile::Unusual, key)) => unusual.entry(key).or_insert_with(Vec::new).push(&*factor.observed),
            Some((Profile::Profiled, key)) => profiled.entry(key).or_insert_with(Vec::new).push(&*factor.observed),
            None => {}
        }
    }
    let mut unusual = joined(unusual);
    // GuardDuty writes booleans of this part as text
    unusual.insert("isUnusualUserIdentity".into(), json!((finding.baseline.actor_events == 0).to_string()));
    let agent = finding.user_agents.first();
    json!({
        "anomalies": { "anomalousAPIs": anomalous_apis(&finding.apis) },
        "profiledBehavior": joined(profiled),
        "unusualBehavior": unusual,
        "userAgent": present([
            ("fullUserAgent", agent.map(|agent| json!(agent))),
            ("userAgentCategory", agent.map(|agent| json!(agent_category(agent)))),
        ]),
        "trailhound": explanation(finding, left_out),
    })
}

fn joined(lists: BTreeMap<String, Vec<&str>>) -> Map<String, Value> {
    lists.into_iter().map(|(key, values)| (key, json!(values.join(LIST_SEPARATOR)))).collect()
}

enum Profile {
    Profiled,
    Unusual,
}

/// Where GuardDuty keeps such an observation, e.g. `rareProfiledAPIsUserIdentityProfiling`.
///
/// GuardDuty profiles an identity and an account, never an organization: what the organization never saw, the account
/// never saw either, so only that is told of an organization's past.
fn profile_key(factor: &Factor) -> Option<(Profile, String)> {
    let feature = match factor.feature.as_str() {
        "api" => "APIs",
        "network" => "ASNs",
        "user_agent" => "UserAgents",
        _ => return None,
    };
    let scope = match (factor.scope, factor.frequency) {
        (Scope::Actor, _) => "UserIdentity",
        (Scope::Account, _) | (Scope::Organization, Frequency::Unseen) => "Account",
        (Scope::Organization | Scope::Peers, _) => return None,
    };
    let (profile, prefix) = match factor.frequency {
        Frequency::Unseen => (Profile::Unusual, "unusual"),
        Frequency::Rare => (Profile::Profiled, "rareProfiled"),
        Frequency::Infrequent => (Profile::Profiled, "infrequentProfiled"),
        Frequency::Frequent => (Profile::Profiled, "frequentProfiled"),
    };
    Some((profile, format!("{prefix}{feature}{scope}Profiling")))
}

/// GuardDuty's text for the calls: `iam.amazonaws.com:[CreateUser:success , ListUsers:error] , sts…:[…]`.
fn anomalous_apis(apis: &[ApiCalls]) -> String {
    let mut services: Vec<(&str, Vec<String>)> = Vec::new();
    for call in apis {
        let outcomes = [(call.succeeded, "success"), (call.failed, "error")];
        let texts = outcomes.iter().filter(|(count, _)| *count > 0).map(|(_, text)| format!("{}:{text}", call.api));
        match services.iter_mut().find(|(service, _)| *service == call.service) {
            Some((_, calls)) => calls.extend(texts),
            None => services.push((&call.service, texts.collect())),
        }
    }
    let texts = services.iter().map(|(service, calls)| format!("{service}:[{}]", calls.join(LIST_SEPARATOR)));
    texts.collect::<Vec<_>>().join(LIST_SEPARATOR)
}

/// GuardDuty's category of a user agent; the list is that of its published findings.
fn agent_category(agent: &str) -> &'static str {
    const STARTS: [(&str, &str); 9] = [
        ("aws-cli/", "aws-cli"),
        ("Boto3/", "Botocore"),
        ("Botocore/", "Botocore"),
        ("aws-sdk-go", "aws-sdk-go"),
        ("aws-sdk-java", "aws-sdk-java"),
        ("aws-sdk-js", "aws-sdk-nodejs"),
        ("aws-sdk-nodejs", "aws-sdk-nodejs"),
        ("aws-internal/3", "aws-internal/3"),
        ("Mozilla/", "browser"),
    ];
    if let Some((_, category)) = STARTS.iter().find(|(start, _)| agent.starts_with(start)) {
        return category;
    }
    match agent {
        "AWS Internal" => "AWS Internal",
        "AWS CloudWatch Console" => "AWS CloudWatch Console",
        _ if agent.to_ascii_lowercase().contains("signin.amazonaws.com") => "AwsSignin",
        _ if agent.ends_with(".amazonaws.com") => "AWS Service",
        _ => "OTHER",
    }
}

/// What GuardDuty has no place for, under the names that `detect -o ndjson` uses.
fn explanation(finding: &Finding, left_out: &LeftOut) -> Value {
    let mut members = present([
        ("score", Some(json!(finding.score))),
        ("severity_label", Some(json!(finding.severity_label))),
        ("actor", Some(json!(finding.actor))),
        ("access_key_ids", Some(json!(finding.access_key_ids))),
        ("accounts", Some(json!(finding.accounts))),
        ("regions", Some(json!(finding.regions))),
        ("source_addresses", Some(json!(finding.source_addresses))),
        ("networks", Some(json!(finding.networks))),
        ("chain", Some(json!(finding.chain))),
        ("user_agents", Some(json!(finding.user_agents))),
        ("apis", Some(json!(finding.apis))),
        ("factors", Some(json!(finding.factors))),
        ("baseline", Some(json!(finding.baseline))),
        ("completeness", Some(json!(finding.completeness))),
        ("next_steps", Some(json!(finding.next_steps))),
        ("event_ids", Some(json!(finding.event_ids))),
        ("sql", (!finding.sql.is_empty()).then(|| json!(finding.sql))),
    ]);
    if !left_out.is_empty() {
        members.insert("truncated".into(), json!(true));
        members.insert("left_out".into(), json!(left_out));
    }
    Value::Object(members)
}

fn present<const N: usize>(members: [(&str, Option<Value>); N]) -> Map<String, Value> {
    members.into_iter().filter_map(|(name, value)| value.map(|value| (name.to_owned(), value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::sample;

    fn rendered() -> Value {
        finding(&sample::finding(7), &LeftOut::default())
    }

    #[test]
    fn has_every_member_that_guardduty_requires() {
        let value = rendered();
        for member in [
            "accountId",
            "arn",
            "createdAt",
            "id",
            "region",
            "resource",
            "schemaVersion",
            "severity",
            "type",
            "updatedAt",
        ] {
            assert!(!value[member].is_null(), "{member}");
        }
        assert_eq!(value["schemaVersion"], "2.0");
        assert_eq!(value["resource"]["accessKeyDetails"]["userType"], "AssumedRole");
        assert_eq!(value["service"]["action"]["awsApiCallAction"]["api"], "CreateAccessKey");
        assert_eq!(value["service"]["count"], 3);
    }

    #[test]
    fn times_are_those_of_the_events() {
        let value = rendered();
        assert_eq!(value["createdAt"], "2026-03-01T12:07:00.000Z");
        assert_eq!(value["updatedAt"], "2026-03-01T12:30:00.000Z");
        assert_eq!(value["service"]["eventFirstSeen"], "2026-03-01T12:00:00Z");
    }

    #[test]
    fn factors_become_profiles_and_unseen_ones_unusual_behavior() {
        let info = &rendered()["service"]["additionalInfo"];
        assert_eq!(info["unusualBehavior"]["unusualAPIsUserIdentityProfiling"], "iam:CreateAccessKey");
        assert_eq!(info["unusualBehavior"]["isUnusualUserIdentity"], "false");
        assert_eq!(info["profiledBehavior"]["rareProfiledASNsAccountProfiling"], "198.51.100.0/24");
        assert_eq!(
            info["anomalies"]["anomalousAPIs"],
            "iam.amazonaws.com:[CreateAccessKey:success , ListUsers:success , ListUsers:error] , \
             sts.amazonaws.com:[GetCallerIdentity:success]"
        );
    }

    #[test]
    fn the_explanation_is_whole() {
        let sample = sample::finding(7);
        let ours = &rendered()["service"]["additionalInfo"]["trailhound"];
        assert_eq!(ours["sql"], json!(sample.sql));
        assert_eq!(ours["event_ids"], json!(sample.event_ids));
        assert_eq!(ours["factors"], json!(sample.factors));
        assert!(ours.get("truncated").is_none());
    }

    #[test]
    fn a_caller_without_address_is_a_domain() {
        assert_eq!(caller(&["cloudformation.amazonaws.com".into()])["callerType"], "Domain");
        let both = caller(&["cloudformation.amazonaws.com".into(), "2001:db8::1".into()]);
        assert_eq!(both["remoteIpDetails"]["ipAddressV6"], "2001:db8::1");
        assert!(caller(&[]).is_empty());
    }

    #[test]
    fn an_event_is_the_same_for_the_same_version_of_a_finding_only() {
        let sample = sample::finding(7);
        let make = |hash| event(json!({}), &sample, hash, EventSource::Trailhound);
        assert_eq!(make("a"), make("a"));
        assert_ne!(make("a")["id"], make("b")["id"]);
        assert_eq!(make("a")["source"], "trailhound");
        assert_eq!(make("a")["detail-type"], "GuardDuty Finding");
        assert_eq!(make("a")["id"].as_str().map(str::len), Some(36));
    }

    #[test]
    fn partitions_follow_the_region() {
        assert_eq!(partition("eu-west-1"), "aws");
        assert_eq!(partition("us-gov-west-1"), "aws-us-gov");
        assert_eq!(partition("cn-north-1"), "aws-cn");
    }

    #[test]
    fn agents_have_guarddutys_categories() {
        assert_eq!(agent_category("aws-cli/2.15 Python/3.11"), "aws-cli");
        assert_eq!(agent_category("Boto3/1.34"), "Botocore");
        assert_eq!(agent_category("cloudformation.amazonaws.com"), "AWS Service");
        assert_eq!(agent_category("curl/8"), "OTHER");
    }
}
