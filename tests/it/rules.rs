//! Events that are findings by themselves, each with what looks like it and is none.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::World;
use crate::support::records::envelope;
use crate::support::schema::against_the_schema;

const ACCOUNT: &str = "111122223333";

/// What becomes a record; what a test does not say is harmless.
#[derive(Clone)]
struct Call {
    who: Value,
    time: String,
    service: &'static str,
    name: &'static str,
    address: &'static str,
    agent: &'static str,
    parameters: Value,
    more: Value,
}

fn user(name: &str) -> Value {
    json!({
        "type": "IAMUser", "principalId": format!("AIDA{name}"), "arn": format!("arn:aws:iam::{ACCOUNT}:user/{name}"),
        "accountId": ACCOUNT, "accessKeyId": format!("AKIA{name}"), "userName": name
    })
}

/// A session of an instance's role.
fn instance(role: &str, id: &str) -> Value {
    json!({
        "type": "AssumedRole", "principalId": format!("AROA{role}:{id}"),
        "arn": format!("arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{id}"), "accountId": ACCOUNT,
        "accessKeyId": format!("ASIA{id}"),
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role", "principalId": format!("AROA{role}"), "arn": format!("arn:aws:iam::{ACCOUNT}:role/{role}"),
                "accountId": ACCOUNT, "userName": role
            },
            "attributes": {"creationDate": "2026-01-14T00:00:00Z", "mfaAuthenticated": "false"}, "ec2RoleDelivery": "2.0"
        }
    })
}

fn call(who: &str, service: &'static str, name: &'static str, parameters: Value) -> Call {
    Call {
        who: user(who),
        time: "2026-01-15T10:00:00Z".to_owned(),
        service,
        name,
        address: "198.51.100.7",
        agent: "aws-cli/2.15.0 Linux/6.5",
        parameters,
        more: json!({}),
    }
}

fn plain(who: &str) -> Call {
    call(who, "ec2", "DescribeInstances", Value::Null)
}

impl Call {
    fn at(self, time: &str) -> Self {
        Self { time: time.to_owned(), ..self }
    }

    fn from(self, address: &'static str) -> Self {
        Self { address, ..self }
    }

    fn by(self, who: Value) -> Self {
        Self { who, ..self }
    }

    fn through(self, agent: &'static str) -> Self {
        Self { agent, ..self }
    }

    fn with(self, more: Value) -> Self {
        Self { more, ..self }
    }

    fn denied(self) -> Self {
        self.with(json!({"errorCode": "AccessDenied", "errorMessage": "not authorized"}))
    }

    fn record(&self, number: usize) -> Value {
        let mut record = json!({
            "eventVersion": "1.11", "userIdentity": self.who, "eventTime": self.time,
            "eventSource": format!("{}.amazonaws.com", self.service), "eventName": self.name, "awsRegion": "eu-west-1",
            "sourceIPAddress": self.address, "userAgent": self.agent, "requestParameters": self.parameters,
            "responseElements": null, "requestID": format!("R{number}"),
            "eventID": format!("00000000-0000-4000-8000-{number:012x}"),
            "readOnly": self.name.starts_with("Get") || self.name.starts_with("Describe") || self.name.starts_with("List"),
            "eventType": "AwsApiCall", "managementEvent": true, "recipientAccountId": ACCOUNT,
            "eventCategory": "Management"
        });
        let more = self.more.as_object().expect("members").clone();
        record.as_object_mut().expect("a record").extend(more);
        record
    }
}

/// A lake of these calls.
fn world(calls: &[Call]) -> World {
    let world = World::new();
    let records: Vec<Value> = calls.iter().enumerate().map(|(number, call)| call.record(number)).collect();
    world.put("log.json", envelope(&records));
    world.ingest(&[]).expect(0);
    world
}

/// The findings of the fifteenth.
fn found(world: &World, more: &[&str]) -> Vec<Value> {
    let day = ["detect", "--lake", "lake", "--from", "2026-01-15", "--to", "2026-01-16", "-o", "ndjson"];
    let ended = world.run(&[&day[..], more].concat()).expect(0);
    let findings: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(against_the_schema(&findings), [""; 0]);
    findings
}

/// Whom the factors of all findings accuse of what: `type` and user or role.
fn accused(findings: &[Value]) -> BTreeSet<(String, String)> {
    let name =
        |finding: &Value| finding["actor"].as_str().expect("an actor").rsplit('/').next().unwrap_or("").to_owned();
    let rules = |finding: &Value| {
        let factors = finding["factors"].as_array().expect("factors").clone();
        factors.into_iter().filter_map(|factor| factor["feature"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    let pairs = findings.iter().flat_map(|finding| {
        let rules = rules(finding).into_iter().filter(|feature| feature.contains(':'));
        rules.map(|rule| (rule, name(finding))).collect::<Vec<_>>()
    });
    pairs.collect()
}

fn expected(pairs: &[(&str, &str)]) -> BTreeSet<(String, String)> {
    pairs.iter().map(|(rule, who)| ((*rule).to_owned(), (*who).to_owned())).collect()
}

fn bucket(who: &str, name: &'static str, more: Value) -> Call {
    let mut parameters = json!({"bucketName": "logs"});
    parameters.as_object_mut().expect("members").extend(more.as_object().expect("members").clone());
    call(who, "s3", name, parameters)
}

fn block(on: [bool; 4]) -> Value {
    json!({"PublicAccessBlockConfiguration": {
        "BlockPublicAcls": on[0], "IgnorePublicAcls": on[1], "BlockPublicPolicy": on[2], "RestrictPublicBuckets": on[3]
    }})
}

fn policy(effect: &str, condition: Value) -> Value {
    json!({"bucketPolicy": {"Statement": [
        {"Effect": effect, "Principal": "*", "Action": "s3:GetObject", "Resource": "*", "Condition": condition}
    ]}})
}

#[test]
fn buckets_opened_to_the_world_are_told_and_those_that_stay_shut_are_not() {
    let acl = |acl: &str| json!({"x-amz-acl": [acl]});
    let delete = |who| bucket(who, "DeleteAccountPublicAccessBlock", json!({}));
    let fires = [
        bucket("policy", "PutBucketPolicy", policy("Allow", json!({}))),
        bucket("acl", "PutBucketAcl", acl("public-read")),
        bucket("everyone", "PutBucketAcl", acl("authenticated-read")),
        bucket("block", "PutBucketPublicAccessBlock", block([true, true, false, true])),
        bucket("unblock", "DeleteBucketPublicAccessBlock", json!({})),
        bucket("account", "PutAccountPublicAccessBlock", block([false; 4])),
        delete("accounts"),
        bucket("blind", "PutBucketLogging", json!({"BucketLoggingStatus": {"xmlns": "x"}})),
    ];
    let like = [
        bucket("deny", "PutBucketPolicy", policy("Deny", json!({}))),
        bucket("inside", "PutBucketPolicy", policy("Allow", json!({"StringEquals": {"aws:PrincipalOrgID": "o-a"}}))),
        bucket("failed", "PutBucketPolicy", policy("Allow", json!({}))).denied(),
        bucket("private", "PutBucketAcl", acl("private")),
        bucket("whole", "PutBucketPublicAccessBlock", block([true; 4])),
        bucket("unknown", "PutBucketPublicAccessBlock", json!({})),
        bucket("reader", "GetBucketPublicAccessBlock", json!({})),
        delete("tried").denied(),
        bucket(
            "logging",
            "PutBucketLogging",
            json!({"BucketLoggingStatus": {"LoggingEnabled": {"TargetBucket": "t"}}}),
        ),
    ];
    let findings = found(&world(&[&fires[..], &like[..]].concat()), &[]);
    let wanted = [
        ("Policy:S3/BucketAnonymousAccessGranted", "policy"),
        ("Policy:S3/BucketAnonymousAccessGranted", "acl"),
        ("Policy:S3/BucketPublicAccessGranted", "everyone"),
        ("Policy:S3/BucketBlockPublicAccessDisabled", "block"),
        ("Policy:S3/BucketBlockPublicAccessDisabled", "unblock"),
        ("Policy:S3/AccountBlockPublicAccessDisabled", "account"),
        ("Policy:S3/AccountBlockPublicAccessDisabled", "accounts"),
        ("Stealth:S3/ServerAccessLoggingDisabled", "blind"),
    ];
    assert_eq!(accused(&findings), expected(&wanted));
    let open = findings.iter().find(|finding| finding["user_name"] == "policy").expect("a finding");
    assert_eq!(open["type"], "Policy:S3/BucketAnonymousAccessGranted");
    assert_eq!((open["severity_label"].as_str(), open["event_ids"].as_array().map(Vec::len)), (Some("HIGH"), Some(1)));
    assert!(open["next_steps"]["containment"].as_array().is_some_and(|calls| !calls.is_empty()), "{open}");
}

#[test]
fn tampering_and_root_are_told_and_harmless_changes_are_not() {
    let trail = |who, name, more: Value| call(who, "cloudtrail", name, more);
    let password = |who, length: u32, on: bool| {
        let all = json!({
            "minimumPasswordLength": length, "requireSymbols": on, "requireNumbers": on, "requireUppercaseCharacters": on,
            "requireLowercaseCharacters": on
        });
        call(who, "iam", "UpdateAccountPasswordPolicy", all)
    };
    let root = |more: Value| {
        let mut who = json!({
            "type": "Root", "principalId": ACCOUNT, "arn": format!("arn:aws:iam::{ACCOUNT}:root"), "accountId": ACCOUNT
        });
        who.as_object_mut().expect("members").extend(more.as_object().expect("members").clone());
        plain("root").by(who)
    };
    let findings = found(
        &world(&[
            trail("stops", "StopLogging", json!({"name": "t"})),
            trail("narrows", "PutEventSelectors", json!({"eventSelectors": [{"includeManagementEvents": false}]})),
            trail("updates", "UpdateTrail", json!({"name": "t", "isMultiRegionTrail": false})),
            trail("validates", "UpdateTrail", json!({"name": "t", "enableLogFileValidation": true})),
            trail(
                "widens",
                "PutEventSelectors",
                json!({"eventSelectors": [
                    {"includeManagementEvents": true, "readWriteType": "All"},
                    {"includeManagementEvents": false, "readWriteType": "ReadOnly", "dataResources": []}
                ]}),
            ),
            trail(
                "chooses",
                "PutEventSelectors",
                json!({"advancedEventSelectors": [{"fieldSelectors": [{"equals": ["Data"]}]}]}),
            ),
            trail("reads", "PutEventSelectors", json!({"eventSelectors": [{"readWriteType": "WriteOnly"}]})),
            trail("tries", "StopLogging", json!({"name": "t"})).denied(),
            password("weak", 8, true),
            password("letters", 20, false),
            password("strong", 20, true),
            call("drops", "iam", "DeleteAccountPasswordPolicy", Value::Null),
            call("bedrock", "bedrock", "DeleteModelInvocationLoggingConfiguration", Value::Null),
            root(json!({})),
            root(json!({"invokedBy": "support.amazonaws.com"})),
            plain("kali").through("aws-cli/2.15.0 Python/3.11.6 Linux/6.5.0-kali3-amd64"),
            plain("parrot").through("Boto3/1.26 Linux/6.0.0-12parrot1-amd64"),
            plain("kalimba").through("kalimba-sync/1.0"),
        ]),
        &[],
    );
    let wanted = [
        ("Stealth:IAMUser/CloudTrailLoggingDisabled", "stops"),
        ("Stealth:IAMUser/CloudTrailLoggingDisabled", "narrows"),
        ("Stealth:IAMUser/CloudTrailLoggingDisabled", "updates"),
        ("Stealth:IAMUser/CloudTrailLoggingDisabled", "chooses"),
        ("Stealth:IAMUser/CloudTrailLoggingDisabled", "reads"),
        ("Stealth:IAMUser/PasswordPolicyChange", "weak"),
        ("Stealth:IAMUser/PasswordPolicyChange", "letters"),
        ("Stealth:IAMUser/PasswordPolicyChange", "drops"),
        ("DefenseEvasion:IAMUser/BedrockLoggingDisabled", "bedrock"),
        ("Policy:IAMUser/RootCredentialUsage", &format!("arn:aws:iam::{ACCOUNT}:root")),
        ("PenTest:IAMUser/KaliLinux", "kali"),
        ("PenTest:IAMUser/ParrotLinux", "parrot"),
    ];
    assert_eq!(accused(&findings), expected(&wanted));
}

#[test]
fn callers_on_the_users_lists_are_told_by_what_they_did() {
    let data = json!({"eventCategory": "Data", "managementEvent": false});
    let object = |who, name| bucket(who, name, json!({"key": "k"})).with(data.clone());
    let world = world(&[
        plain("reads").from("203.0.113.7"),
        call("writes", "iam", "CreateAccessKey", json!({"userName": "writes"})).from("203.0.113.9"),
        object("lists", "ListObjectsV2").from("203.0.113.11"),
        object("takes", "GetObject").from("203.0.113.12"),
        plain("hidden").from("192.0.2.50"),
        object("hides", "GetObject").from("192.0.2.50"),
        plain("denied").from("203.0.113.13").denied(),
        plain("neighbour").from("203.0.114.7"),
    ]);
    std::fs::write(world.path("threats"), "# ours\n203.0.113.0/24 # a scanner's\n").expect("writes");
    std::fs::write(world.path("tor"), "192.0.2.50\n").expect("writes");
    let lists = ["--threat-list", "threats", "--tor-list", "tor"];
    assert_eq!(accused(&found(&world, &[])), expected(&[]), "without lists");
    let wanted = [
        ("Recon:IAMUser/MaliciousIPCaller.Custom", "reads"),
        ("UnauthorizedAccess:IAMUser/MaliciousIPCaller.Custom", "writes"),
        ("Discovery:S3/MaliciousIPCaller.Custom", "lists"),
        ("UnauthorizedAccess:S3/MaliciousIPCaller.Custom", "takes"),
        ("Recon:IAMUser/TorIPCaller", "hidden"),
        ("UnauthorizedAccess:S3/TorIPCaller", "hides"),
    ];
    let findings = found(&world, &lists);
    let rules: BTreeSet<_> = accused(&findings).into_iter().map(|(rule, _)| rule).collect();
    assert_eq!(rules, wanted.iter().map(|(rule, _)| (*rule).to_owned()).collect::<BTreeSet<_>>());
    let sql = "SELECT DISTINCT sourceipaddress FROM events WHERE source_list(sourceipaddress) = 'tor'";
    let ended = world.run(&[&["query", sql, "--lake", "lake", "-o", "csv"][..], &lists[..]].concat()).expect(0);
    assert_eq!(ended.stdout.lines().nth(1), Some("192.0.2.50"));
    std::fs::write(world.path("page"), "<html>\n").expect("writes");
    let ended = world.run(&["detect", "--lake", "lake", "--threat-list", "page"]).expect(2);
    assert!(
        ended.stderr.contains("page") && ended.stderr.contains("one address or network a line"),
        "{}",
        ended.stderr
    );
    let ended = world.run(&["detect", "--lake", "lake", "--tor-list", "nowhere"]).expect(64);
    assert!(ended.stderr.contains("--tor-list"), "{}", ended.stderr);
}

#[test]
fn a_suppression_holds_for_a_rule_too_and_what_came_later_is_not_known() {
    let world = world(&[call("stops", "cloudtrail", "StopLogging", json!({"name": "t"}))]);
    assert_eq!(found(&world, &[]).len(), 1);
    let early = ["--from", "2026-01-15", "--to", "2026-01-15T09:00:00Z", "-o", "ndjson"];
    let ended = world.run(&[&["detect", "--lake", "lake"], &early[..]].concat()).expect(0);
    assert_eq!(ended.stdout, "", "the call came after --to");
    let rule = json!([{
        "id": "00000000", "scope": {"type": "Stealth:IAMUser/CloudTrailLoggingDisabled"}, "owner": "ana", "reason": "a drill",
        "created": "2026-01-01T00:00:00Z", "expires": "2026-02-01T00:00:00Z"
    }]);
    std::fs::create_dir_all(world.path("lake/governance")).expect("a folder");
    std::fs::write(world.path("lake/governance/suppressions.json"), rule.to_string()).expect("writes");
    assert_eq!(found(&world, &[]).len(), 0);
}

/// A sign-in to the console.
fn sign_in(who: &str, time: &str, address: &'static str) -> Call {
    let more = json!({"additionalEventData": {"MFAUsed": "Yes"}, "responseElements": {"ConsoleLogin": "Success"}});
    call(who, "signin", "ConsoleLogin", Value::Null).at(time).from(address).with(more)
}

// registered in the Netherlands and in the United States
const HERE: &str = "193.0.6.139";
const THERE: &str = "8.8.8.8";

#[test]
fn two_countries_within_hours_are_told_and_habits_are_not() {
    let failed = |call: Call| {
        call.with(json!({"errorMessage": "Failed authentication", "responseElements": {"ConsoleLogin": "Failure"}}))
    };
    let mut calls = vec![
        sign_in("torn", "2026-01-15T08:00:00Z", HERE),
        sign_in("torn", "2026-01-15T10:00:00Z", THERE),
        sign_in("slow", "2026-01-15T08:00:00Z", HERE),
        sign_in("slow", "2026-01-15T18:00:00Z", THERE),
        sign_in("home", "2026-01-15T08:00:00Z", HERE),
        sign_in("home", "2026-01-15T09:00:00Z", "193.0.14.129"),
        sign_in("typo", "2026-01-15T08:00:00Z", HERE),
        failed(sign_in("typo", "2026-01-15T09:00:00Z", THERE)),
        sign_in("late", "2026-01-14T23:00:00Z", HERE),
        sign_in("late", "2026-01-15T01:00:00Z", THERE),
    ];
    for day in ["2026-01-12", "2026-01-13", "2026-01-15"] {
        calls.push(sign_in("tunnel", &format!("{day}T08:00:00Z"), HERE));
        calls.push(sign_in("tunnel", &format!("{day}T08:30:00Z"), THERE));
    }
    let findings = found(&world(&calls), &[]);
    let kind = "UnauthorizedAccess:IAMUser/ConsoleLoginSuccess.B";
    assert_eq!(accused(&findings), expected(&[(kind, "torn"), (kind, "late")]));
    let torn = findings.iter().find(|finding| finding["user_name"] == "torn").expect("a finding");
    assert_eq!((torn["type"].as_str(), torn["event_ids"].as_array().map(Vec::len)), (Some(kind), Some(2)));
    assert_eq!(torn["severity_label"], "MEDIUM");
}

#[test]
fn an_instances_credentials_elsewhere_are_told_and_its_usual_ways_out_are_not() {
    let ranges = r#"{"prefixes":[{"ip_prefix":"3.5.0.0/16"},{"ip_prefix":"18.0.0.0/8"}],"ipv6_prefixes":[]}"#;
    let use_of = |role: &str, id: &str, time: &str, address: &'static str| {
        plain("x").by(instance(role, id)).at(time).from(address)
    };
    let endpoint = |account: &str| json!({"vpcEndpointId": "vpce-0a", "vpcEndpointAccountId": account});
    let day = "2026-01-15T10:00:00Z";
    let later = "2026-01-15T11:00:00Z";
    let mut calls = vec![
        use_of("stolen", "i-0123456789abcdef0", day, "3.5.0.1"),
        use_of("stolen", "i-0123456789abcdef0", later, HERE),
        use_of("moved", "i-0123456789abcdef1", day, "3.5.1.1"),
        use_of("moved", "i-0123456789abcdef1", later, "18.7.7.7"),
        use_of("bridge", "i-0123456789abcdef2", day, "10.1.2.3").with(endpoint("999988887777")),
        use_of("quiet", "i-0123456789abcdef3", day, "3.5.2.1"),
        use_of("inside", "i-0123456789abcdef4", day, "10.2.2.3").with(endpoint(ACCOUNT)),
        use_of("served", "i-0123456789abcdef5", day, "ssm.amazonaws.com"),
        use_of("office", "i-0123456789abcdef6", "2026-01-13T10:00:00Z", THERE),
        use_of("office", "i-0123456789abcdef6", day, THERE),
        use_of("cloister", "i-0123456789abcdef7", day, "10.9.2.3"),
        // from outside, while the instance is at home in a private network
        use_of("cloister", "i-0123456789abcdef7", later, "203.0.113.9"),
        // a person's session of a role is no instance's
        plain("x")
            .by({
                let mut who = instance("people", "ana");
                who["sessionContext"].as_object_mut().expect("members").remove("ec2RoleDelivery");
                who
            })
            .from(HERE),
    ];
    for before in ["2026-01-12", "2026-01-13", "2026-01-14"] {
        calls.push(use_of("cloister", "i-0123456789abcdef7", &format!("{before}T10:00:00Z"), "10.9.2.3"));
    }
    let found_in = |calls: &[Call], more: &[&str]| {
        let world = world(calls);
        std::fs::write(world.path("ranges.json"), ranges).expect("writes");
        accused(&found(&world, more))
    };
    let (outside, inside) = (
        "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS",
        "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.InsideAWS",
    );
    let known = found_in(&calls, &["--aws-ip-ranges", "ranges.json"]);
    assert_eq!(known, expected(&[(outside, "stolen"), (inside, "moved"), (inside, "bridge"), (outside, "cloister")]));
    // without AWS's networks all that is known is that one key is in two places
    let unknown = found_in(&calls, &[]);
    assert_eq!(
        unknown,
        expected(&[(outside, "stolen"), (outside, "moved"), (inside, "bridge"), (outside, "cloister")])
    );
    // most instances of the account leave through the company's line: that is where they belong
    let fleet = ["i-0000000000000000a", "i-0000000000000000b", "i-0000000000000000c", "i-0000000000000000d"];
    calls = fleet.iter().map(|id| use_of("fleet", id, day, HERE)).collect();
    assert_eq!(found_in(&calls, &["--aws-ip-ranges", "ranges.json"]), expected(&[]));
}
