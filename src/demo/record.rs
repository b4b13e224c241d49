//! One call becomes one CloudTrail record.
//!
//! Owns: the members of a record, their order, and how a failed call differs from one that succeeded.
//! Refuses: to know why a call is made; benign life, attacks and the bench corpus all come through here.
//! Invariant: every record is one JSON object with an eventID of its own.

use rand::Rng;
use rand::rngs::StdRng;

use super::catalogue::{Api, Catalogue, Hole, Kind};
use super::ids::{self, Alphabet};
use super::org::{Account, Region};
use super::session::{Channel, Session};
use super::values::{Scene, Values};

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It did what it was asked to.
    Success,
    /// No policy of the caller allows it.
    Denied,
    /// A service control policy of the organization forbids it.
    DeniedByOrganization,
    /// The sign-in page did not accept the password.
    SignInFailed,
    /// It failed otherwise.
    Failed {
        /// `errorCode`.
        code: &'static str,
        /// `errorMessage`.
        message: &'static str,
    },
}

/// A call to be recorded.
pub struct Call<'a> {
    /// What is called.
    pub api: &'a Api,
    /// Who calls, from where.
    pub session: &'a Session,
    /// Region that is called; services without regions are recorded in `us-east-1` all the same.
    pub region: Region,
    /// Unix time in seconds.
    pub time: i64,
    /// What became of it.
    pub fate: Fate,
    /// Values that the caller fixes.
    pub bound: &'a [(Hole, &'a str)],
    /// `sharedEventID` of a call that two accounts record.
    pub shared: Option<u128>,
}

/// A record in the log of an account and a region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Unix time in seconds.
    pub time: i64,
    /// eventID.
    pub id: u128,
    /// The account that recorded it.
    pub account: &'static Account,
    /// The region that recorded it.
    pub region: Region,
    /// The record as JSON text.
    pub record: String,
}

/// Region in which a service records its events.
fn recorded_in(source: &str, region: Region) -> Region {
    match source {
        "iam" | "organizations" | "cloudfront" | "route53" | "ce" | "budgets" | "health" | "support" | "account"
        | "trustedadvisor" => "us-east-1",
        _ => region,
    }
}

/// Services moved to newer event versions one by one, so the version goes with the service.
fn event_version(source: &str) -> &'static str {
    match source {
        "ec2" | "s3" | "lambda" | "dynamodb" => "1.11",
        "iam" | "sts" | "signin" | "sso" | "kms" | "ssm" => "1.10",
        "cloudtrail" | "config" | "logs" | "secretsmanager" => "1.09",
        _ => "1.08",
    }
}

fn api_version(source: &str) -> Option<&'static str> {
    match source {
        "logs" => Some("20140328"),
        "elasticloadbalancing" => Some("2015-12-01"),
        "route53" => Some("2013-04-01"),
        _ => None,
    }
}

fn denied_code(source: &str) -> &'static str {
    match source {
        "ec2" => "Client.UnauthorizedOperation",
        "s3" | "iam" | "sts" | "rds" | "sns" | "cloudformation" | "autoscaling" | "elasticloadbalancing" => {
            "AccessDenied"
        }
        _ => "AccessDeniedException",
    }
}

/// Writes records; keeps its buffers from one to the next.
#[derive(Default)]
pub struct Recorder {
    values: Values,
}

impl Recorder {
    /// Records a call, with an eventID from the random numbers given.
    pub fn record(&mut self, call: &Call, rng: &mut StdRng) -> Event {
        self.values.clear();
        let region = recorded_in(call.api.source, call.region);
        let scene = Scene { session: call.session, region, time: call.time, bound: call.bound };
        let id = ids::random_uuid(rng);
        let mut out = String::with_capacity(1600);
        self.push_head(&mut out, call, &scene);
        self.push_error(&mut out, call, &scene, rng);
        self.push_body(&mut out, call, &scene, rng);
        self.push_tail(&mut out, call, &scene, id, rng);
        Event { time: call.time, id, account: call.session.account, region, record: out }
    }

    fn push_head(&self, out: &mut String, call: &Call, scene: &Scene) {
        let Call { api, session, .. } = call;
        push(out, &["{\"eventVersion\":\"", event_version(api.source), "\",\"userIdentity\":", &session.identity]);
        out.push_str(",\"eventTime\":\"");
        ids::push_iso(out, call.time);
        push(out, &["\",\"eventSource\":\"", api.source, ".amazonaws.com\",\"eventName\":\"", api.name]);
        push(out, &["\",\"awsRegion\":\"", scene.region, "\",\"sourceIPAddress\":", &session.address]);
        push(out, &[",\"userAgent\":", &session.agent]);
    }

    fn push_error(&mut self, out: &mut String, call: &Call, scene: &Scene, rng: &mut StdRng) {
        match call.fate {
            Fate::Success => {}
            Fate::SignInFailed => out.push_str(",\"errorMessage\":\"Failed authentication\""),
            Fate::Failed { code, message } => {
                push(out, &[",\"errorCode\":\"", code, "\",\"errorMessage\":\"", message, "\""]);
            }
            Fate::Denied | Fate::DeniedByOrganization => self.push_denial(out, call, scene, rng),
        }
    }

    fn push_denial(&mut self, out: &mut String, call: &Call, scene: &Scene, rng: &mut StdRng) {
        let Api { source, name, .. } = call.api;
        push(out, &[",\"errorCode\":\"", denied_code(source), "\",\"errorMessage\":\""]);
        if *source == "ec2" {
            out.push_str("You are not authorized to perform this operation. ");
        }
        let action = name.split("20").next().unwrap_or(name);
        push(out, &["User: ", &call.session.arn, " is not authorized to perform: ", source, ":", action]);
        out.push_str(" on resource: ");
        match *source {
            "s3" => push(out, &["arn:aws:s3:::", self.values.value(Hole::Bucket, scene, rng)]),
            "secretsmanager" => out.push_str(self.values.value(Hole::Secret, scene, rng)),
            "iam" => push(out, &["arn:aws:iam::", scene.session.account.id, ":*"]),
            _ => out.push('*'),
        }
        if call.fate == Fate::DeniedByOrganization {
            out.push_str(" with an explicit deny in a service control policy");
        } else {
            push(out, &[" because no identity-based policy allows the ", source, ":", action, " action"]);
        }
        if *source == "ec2" {
            out.push_str(". Encoded authorization failure message: ");
            ids::push_spelled(out, Alphabet::Alphanumeric, 420, rng.random());
        }
        out.push('"');
    }

    fn push_body(&mut self, out: &mut String, call: &Call, scene: &Scene, rng: &mut StdRng) {
        let api = call.api;
        out.push_str(",\"requestParameters\":");
        // EC2 and S3 log what was asked for; most others log nothing of a request that was not authorized.
        let denied = matches!(call.fate, Fate::Denied | Fate::DeniedByOrganization);
        if api.request.is_empty() || denied && !matches!(api.source, "ec2" | "s3") {
            out.push_str("null");
        } else {
            self.values.render(out, &api.request, scene, rng);
        }
        out.push_str(",\"responseElements\":");
        match call.fate {
            Fate::Success if !api.response.is_empty() => self.values.render(out, &api.response, scene, rng),
            Fate::SignInFailed => out.push_str("{\"ConsoleLogin\":\"Failure\"}"),
            _ => out.push_str("null"),
        }
        if !api.additional.is_empty() {
            out.push_str(",\"additionalEventData\":");
            self.values.render(out, &api.additional, scene, rng);
        }
    }

    fn push_tail(&mut self, out: &mut String, call: &Call, scene: &Scene, id: u128, rng: &mut StdRng) {
        let Call { api, session, .. } = call;
        if api.kind != Kind::SignIn {
            push(out, &[",\"requestID\":\"", &self.request_id(api, scene, rng), "\""]);
        }
        out.push_str(",\"eventID\":\"");
        ids::push_uuid(out, id);
        push(out, &["\",\"readOnly\":", truth(api.kind.read_only())]);
        self.push_member(out, ",\"resources\":", &api.resources, scene, rng);
        push(out, &[",\"eventType\":\"", api.kind.event_type(), "\""]);
        if let Some(version) = api_version(api.source) {
            push(out, &[",\"apiVersion\":\"", version, "\""]);
        }
        push(out, &[",\"managementEvent\":", truth(api.kind.management())]);
        push(out, &[",\"recipientAccountId\":\"", session.account.id, "\""]);
        if let Some(shared) = call.shared {
            out.push_str(",\"sharedEventID\":\"");
            ids::push_uuid(out, shared);
            out.push('"');
        }
        self.push_member(out, ",\"serviceEventDetails\":", &api.details, scene, rng);
        let category = if api.kind.management() { "Management" } else { "Data" };
        push(out, &[",\"eventCategory\":\"", category, "\""]);
        self.push_channel(out, call, scene);
        out.push('}');
    }

    fn push_member(
        &mut self,
        out: &mut String,
        name: &str,
        template: &super::catalogue::Template,
        scene: &Scene,
        rng: &mut StdRng,
    ) {
        if !template.is_empty() {
            out.push_str(name);
            self.values.render(out, template, scene, rng);
        }
    }

    fn push_channel(&self, out: &mut String, call: &Call, scene: &Scene) {
        match call.session.channel {
            Channel::Service => {}
            // The sign-in page is asked by the browser itself, whatever happens in the console later.
            Channel::Console if call.api.kind != Kind::SignIn => {
                out.push_str(",\"sessionCredentialFromConsole\":\"true\"");
            }
            Channel::Console | Channel::Direct => {
                out.push_str(",\"tlsDetails\":{\"tlsVersion\":\"TLSv1.3\",\"cipherSuite\":\"TLS_AES_128_GCM_SHA256\"");
                out.push_str(",\"clientProvidedHostHeader\":\"");
                self.push_host(out, call.api.source, scene);
                out.push_str("\"}");
            }
        }
    }

    fn push_host(&self, out: &mut String, source: &str, scene: &Scene) {
        match (source, self.values.known(Hole::Bucket)) {
            ("signin", _) => push(out, &[scene.region, ".signin.aws.amazon.com"]),
            ("iam" | "organizations" | "cloudfront" | "route53" | "budgets", _) => {
                push(out, &[source, ".amazonaws.com"])
            }
            ("s3", Some(bucket)) => push(out, &[bucket, ".s3.", scene.region, ".amazonaws.com"]),
            _ => push(out, &[source, ".", scene.region, ".amazonaws.com"]),
        }
    }

    /// S3 spells its request ids as 16 letters and digits, all others as a UUID.
    fn request_id(&mut self, api: &Api, scene: &Scene, rng: &mut StdRng) -> String {
        if api.source == "s3" {
            return ids::spelled(Alphabet::Base32, 16, rng.random());
        }
        self.values.value(Hole::RequestId, scene, rng).to_owned()
    }
}

fn push(out: &mut String, parts: &[&str]) {
    for part in parts {
        out.push_str(part);
    }
}

fn truth(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

/// Absences that a call finds in everyday life; they look like failures and are none.
const ABSENCES: &[(&str, &str, &str)] = &[
    ("GetBucketPolicy", "NoSuchBucketPolicy", "The bucket policy does not exist"),
    (
        "GetBucketPublicAccessBlock",
        "NoSuchPublicAccessBlockConfiguration",
        "The public access block configuration was not found",
    ),
    ("GetBucketLifecycle", "NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist"),
    ("GetBucketTagging", "NoSuchTagSet", "The TagSet does not exist"),
    ("GetBucketWebsite", "NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration"),
    ("GetBucketReplication", "ReplicationConfigurationNotFoundError", "The replication configuration was not found"),
    ("GetBucketCors", "NoSuchCORSConfiguration", "The CORS configuration does not exist"),
];

/// What becomes of a call of somebody who is allowed to make it: mostly success.
pub fn everyday_fate(api: &Api, rng: &mut StdRng) -> Fate {
    let absence = ABSENCES.iter().find(|(name, ..)| *name == api.name);
    match (absence, rng.random_range(0..1000)) {
        (Some((_, code, message)), 0..400) => Fate::Failed { code, message },
        (None, 0..4) if api.name == "GetObject" => {
            Fate::Failed { code: "NoSuchKey", message: "The specified key does not exist." }
        }
        (_, 998) if api.source == "ec2" => {
            Fate::Failed { code: "Client.RequestLimitExceeded", message: "Request limit exceeded." }
        }
        (_, 999) if !matches!(api.source, "s3" | "ec2" | "signin" | "sso") => {
            Fate::Failed { code: "ThrottlingException", message: "Rate exceeded" }
        }
        _ => Fate::Success,
    }
}

/// The log of one actor while it is written.
pub struct Scribe<'a> {
    /// APIs by name.
    pub apis: &'a Catalogue,
    /// Random numbers of this actor only.
    pub rng: StdRng,
    /// Calls at or after this Unix time are not recorded.
    pub until: i64,
    /// What was recorded so far.
    pub events: Vec<Event>,
    recorder: Recorder,
}

impl<'a> Scribe<'a> {
    /// An empty log that ends at a Unix time in seconds.
    pub fn new(apis: &'a Catalogue, rng: StdRng, until: i64) -> Self {
        Self { apis, rng, until, events: Vec::new(), recorder: Recorder::default() }
    }

    /// Records a call as the everyday life has it.
    pub fn call(&mut self, session: &Session, api: &str, region: Region, time: i64) {
        self.call_with(session, api, region, time, &[]);
    }

    /// Records an everyday call with some values fixed.
    pub fn call_with(&mut self, session: &Session, api: &str, region: Region, time: i64, bound: &[(Hole, &str)]) {
        let fate = everyday_fate(self.apis.get(api), &mut self.rng);
        self.call_as(session, api, region, time, fate, bound);
    }

    /// Records a call that ends in a given way.
    pub fn call_as(
        &mut self,
        session: &Session,
        api: &str,
        region: Region,
        time: i64,
        fate: Fate,
        bound: &[(Hole, &str)],
    ) {
        self.push(&Call { api: self.apis.get(api), session, region, time, fate, bound, shared: None });
    }

    /// Records a call.
    pub fn push(&mut self, call: &Call) {
        if call.time < self.until {
            let event = self.recorder.record(call, &mut self.rng);
            self.events.push(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::org::PROD;
    use super::super::session::Origin;
    use super::*;
    use serde_json::Value;

    fn record(api: &str, fate: Fate) -> Value {
        let apis = Catalogue::load();
        let user = Session::iam_user(&PROD, "u", "AKIAX", &Origin::direct("192.0.2.1", "aws-cli/2.17.0"));
        let mut scribe = Scribe::new(&apis, ids::stream(1, api), i64::MAX);
        scribe.call_as(&user, api, "eu-west-1", 1_770_000_000, fate, &[]);
        serde_json::from_str(&scribe.events[0].record).expect("a record is JSON")
    }

    #[test]
    fn every_api_gives_json_with_the_members_of_cloudtrail() {
        let apis = Catalogue::load();
        for api in apis.apis() {
            for fate in [Fate::Success, Fate::Denied, Fate::DeniedByOrganization] {
                let record = record(&format!("{}:{}", api.source, api.name), fate);
                let members = record.as_object().expect("a record is an object");
                let always = [
                    "eventVersion",
                    "userIdentity",
                    "eventTime",
                    "eventSource",
                    "eventName",
                    "awsRegion",
                    "sourceIPAddress",
                    "userAgent",
                    "requestParameters",
                    "responseElements",
                    "eventID",
                    "readOnly",
                    "eventType",
                    "managementEvent",
                    "recipientAccountId",
                    "eventCategory",
                ];
                assert!(always.iter().all(|name| members.contains_key(*name)), "{record}");
                assert_eq!(members.contains_key("errorCode"), fate != Fate::Success, "{record}");
                let (request, response) = (&record["requestParameters"], &record["responseElements"]);
                assert!(request.is_object() || request.is_null(), "{record}");
                assert!(response.is_null() || response.is_object() && fate == Fate::Success, "{record}");
                assert!(!record.to_string().contains('\u{fffd}'));
            }
        }
    }

    #[test]
    fn reads_answer_nothing_but_for_sts() {
        let apis = Catalogue::load();
        let wrong: Vec<&str> = apis
            .apis()
            .iter()
            .filter(|api| api.kind == Kind::Read && api.source != "sts" && api.source != "sso")
            .filter(|api| !record(&format!("{}:{}", api.source, api.name), Fate::Success)["responseElements"].is_null())
            .map(|api| api.name)
            .collect();
        assert_eq!(wrong, ["GenerateCredentialReport", "StartQuery"]);
    }

    #[test]
    fn a_failed_sign_in_has_a_message_and_no_code() {
        let record = record("signin:ConsoleLogin", Fate::SignInFailed);
        assert_eq!(record["responseElements"]["ConsoleLogin"], "Failure");
        assert_eq!(record["errorMessage"], "Failed authentication");
        assert!(record.get("errorCode").is_none());
    }

    #[test]
    fn request_and_answer_name_the_same_thing() {
        let record = record("ec2:RunInstances", Fate::Success);
        assert_eq!(record["responseElements"]["requestId"], record["requestID"]);
        let asked = &record["requestParameters"]["instancesSet"]["items"][0]["imageId"];
        assert_eq!(&record["responseElements"]["instancesSet"]["items"][0]["imageId"], asked);
    }

    #[test]
    fn global_services_record_in_one_region() {
        assert_eq!(record("iam:ListUsers", Fate::Success)["awsRegion"], "us-east-1");
        assert_eq!(record("ec2:DescribeVpcs", Fate::Success)["awsRegion"], "eu-west-1");
    }

    #[test]
    fn nothing_is_recorded_after_the_end() {
        let apis = Catalogue::load();
        let user = Session::iam_user(&PROD, "u", "AKIAX", &Origin::direct("192.0.2.1", "x"));
        let mut scribe = Scribe::new(&apis, ids::stream(1, "e"), 100);
        scribe.call(&user, "sts:GetCallerIdentity", "eu-west-1", 100);
        assert!(scribe.events.is_empty());
    }
}
