//! What a call would do, read from its parameters: whom it lets in, what it opens, what it switches off.
//!
//! Owns: the consequences a call can have, and the one resource that it is about. Names of parameters are CloudTrail's
//! (Amazon's API references), whatever the letters' case; policies inside of texts are read, too.
//! Refuses: to judge. A consequence is a value like an API, and as rare as the past says it is.
//! Invariant: parameters that cannot be read have no consequence; nothing here fails.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde_json::{Map, Value};

use super::tactic::matches;

/// What of an event is looked at.
#[derive(Debug, Clone, Copy, Default)]
pub struct Call<'a> {
    /// `service:Operation`.
    pub api: &'a str,
    /// `requestParameters`, JSON text.
    pub parameters: Option<&'a str>,
    /// `additionalEventData`, JSON text.
    pub additional: Option<&'a str>,
    /// The actor.
    pub actor: &'a str,
    /// `recipientAccountId`.
    pub account: &'a str,
}

/// What stands between two consequences in a text.
pub const SEPARATOR: char = '\n';

/// Parameters deeper than this are not read.
const DEPTH: usize = 16;

/// Parameters whose account is given something (lower case): policies' principals, shares' and grants' receivers.
const RECEIVERS: [&str; 23] = [
    "account",
    "accountid",
    "accountids",
    "aws",
    "awsaccountids",
    "destination",
    "destinationaccountid",
    "destinationarn",
    "grantee",
    "granteeprincipal",
    "id",
    "layers",
    "member",
    "organizationid",
    "principal",
    "principals",
    "s3bucketname",
    "sourceaccount",
    "targetaccounts",
    "targets",
    "userid",
    "userids",
    "valuestoadd",
];

/// Switches (lower case) that protect while they are on.
const PROTECTIONS: [&str; 13] = [
    "blockpublicacls",
    "blockpublicpolicy",
    "deletionprotection",
    "enable",
    "enabled",
    "enablelogfilevalidation",
    "encrypted",
    "ignorepublicacls",
    "includeglobalserviceevents",
    "includemanagementevents",
    "ismultiregiontrail",
    "requiremfa",
    "restrictpublicbuckets",
];

/// Operations that give a user credentials or rights, with what it is that they give or take.
const CREDENTIALS: [(&str, &str); 8] = [
    ("AddUserToGroup", "rights"),
    ("AttachUserPolicy", "rights"),
    ("CreateAccessKey", "key"),
    ("CreateLoginProfile", "login"),
    ("DeactivateMFADevice", "mfa"),
    ("PutUserPolicy", "rights"),
    ("UpdateAccessKey", "key"),
    ("UpdateLoginProfile", "login"),
];

/// How the consequence of giving something to somebody else ends.
pub const FOR_ANOTHER: &str = "-for-another";

/// Ports that people log in by, and that databases listen on.
const LOGIN_PORTS: [i64; 5] = [22, 23, 3389, 5985, 5986];
const DATABASE_PORTS: [i64; 10] = [1433, 1521, 3306, 5432, 5439, 6379, 9042, 9200, 11211, 27017];

/// AWS's policies that allow everything, or enough to get there.
const ADMINISTRATORS: [&str; 3] = ["AdministratorAccess", "IAMFullAccess", "PowerUserAccess"];

/// The consequences of a call, sorted, separated by [`SEPARATOR`]:
/// `account:ID` (somebody outside gets something), `admin`, `count:2^N`, `document:NAME`, `instance:FAMILY`,
/// `key-for-another` (`login-`, `mfa-`, `rights-`), `layer`, `logs-less`, `mfa-off`, `no-mfa`, `policy:NAME`, `public`,
/// `short-retention`, `switched-off`, `trust:WHOM` (a role's trust was changed), `user-data`, `world-ingress:PORTS`.
pub fn effects(call: &Call<'_>) -> String {
    let operation = call.api.split(':').nth(1).unwrap_or_default();
    let parameters: Value = call.parameters.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let mut reading = Reading::default();
    reading.walk(&parameters, "", 0, call.account);
    reading.conclude(call, operation);
    reading.found.sort();
    reading.found.dedup();
    reading.found.join(&SEPARATOR.to_string())
}

/// What was read so far.
#[derive(Default)]
struct Reading {
    found: Vec<String>,
    user: Option<String>,
    denies: bool,
    every_action: bool,
    every_resource: bool,
    /// Statements of policies; whom they let in is told by all of them together.
    statements: Vec<Value>,
    in_statement: bool,
    /// Whom statements name, by kind.
    trusted: BTreeSet<&'static str>,
    /// Opened by something else than a policy's statement.
    public: bool,
    condition: bool,
    world: bool,
    from_port: Option<i64>,
    to_port: Option<i64>,
}

impl Reading {
    fn add(&mut self, effect: impl Into<String>) {
        self.found.push(effect.into());
    }

    fn walk(&mut self, value: &Value, key: &str, depth: usize, account: &str) {
        if depth > DEPTH {
            return;
        }
        match value {
            Value::Object(members) => {
                let outer = self.in_statement;
                if member(members, "effect").is_some() {
                    self.in_statement = true;
                    self.statements.push(value.clone());
                }
                self.condition |= key == "condition" && !members.is_empty() && !self.in_statement;
                members.iter().for_each(|(key, value)| self.walk(value, &key.to_ascii_lowercase(), depth + 1, account));
                self.in_statement = outer;
            }
            Value::Array(items) => items.iter().for_each(|item| self.walk(item, key, depth + 1, account)),
            Value::String(text) => {
                self.text(key, text, account);
                if text.trim_start().starts_with('{')
                    && let Ok(inner) = serde_json::from_str::<Value>(text)
                {
                    self.walk(&inner, key, depth + 1, account);
                }
            }
            Value::Bool(false) if PROTECTIONS.contains(&key) => self.add("switched-off"),
            Value::Bool(true) if key == "publiclyaccessible" => self.public = true,
            Value::Number(number) => self.number(key, number.as_f64().unwrap_or_default()),
            _ => {}
        }
    }

    fn text(&mut self, key: &str, text: &str, account: &str) {
        if RECEIVERS.contains(&key)
            && let Some(other) = account_in(text).filter(|other| *other != account)
        {
            self.add(format!("account:{other}"));
        }
        if self.in_statement {
            self.trusted.extend(principal(key, text));
        }
        match (key, text) {
            ("principal" | "aws", "*") if !self.in_statement => self.public = true,
            ("group" | "groups" | "valuestoadd", "all") => self.public = true,
            ("acl" | "x-amz-acl" | "cannedacl", acl) if acl.starts_with("public") => self.public = true,
            (_, text) if text.contains("/groups/global/") => self.public = true,
            (_, "0.0.0.0/0" | "::/0") => self.world = true,
            ("effect", "Deny") => self.denies = true,
            ("action", "*" | "*:*") => self.every_action = true,
            ("resource", "*") => self.every_resource = true,
            ("username", name) => self.user = Some(name.to_owned()),
            ("policyarn", arn) => self.policy(arn.rsplit('/').next().unwrap_or_default()),
            ("instancetype", kind) => self.add(format!("instance:{}", kind.split('.').next().unwrap_or(kind))),
            ("userdata", _) => self.add("user-data"),
            ("layers", _) => self.add("layer"),
            ("status", "Suspended" | "Disabled") => self.add("switched-off"),
            ("readwritetype", kind) if kind != "All" => self.add("logs-less"),
            ("documentname", name) => self.add(format!("document:{name}")),
            _ => {}
        }
    }

    fn policy(&mut self, name: &str) {
        if ADMINISTRATORS.contains(&name) {
            self.add("admin");
        }
        self.add(format!("policy:{name}"));
    }

    fn number(&mut self, key: &str, number: f64) {
        match key {
            "maxcount" | "desiredcount" | "desiredcapacity" if number > 1.0 => {
                self.add(format!("count:2^{}", number.log2().floor()));
            }
            "fromport" => self.from_port = Some(number as i64),
            "toport" => self.to_port = Some(number as i64),
            "days" | "retentionindays" | "pendingwindowindays" if number <= 7.0 => self.add("short-retention"),
            _ => {}
        }
    }

    /// What only the whole of the parameters tells.
    fn conclude(&mut self, call: &Call<'_>, operation: &str) {
        if self.public && !self.condition || let_everybody(&self.statements) {
            self.add("public");
        }
        let opens = !operation.starts_with("Revoke") && !operation.contains("Route") && !operation.contains("Egress");
        if self.world && opens {
            self.add(format!("world-ingress:{}", self.ports()));
        }
        if self.every_action && self.every_resource && !self.denies {
            self.add("admin");
        }
        let caller = call.actor.rsplit('/').next().unwrap_or_default();
        let credential = CREDENTIALS.iter().find(|(name, _)| *name == operation);
        if let Some((_, what)) = credential.filter(|_| self.user.as_deref().is_some_and(|user| user != caller)) {
            self.add(format!("{what}{FOR_ANOTHER}"));
        }
        if operation == "UpdateAssumeRolePolicy" {
            let trusted = std::mem::take(&mut self.trusted);
            trusted.into_iter().for_each(|whom| self.add(format!("trust:{whom}")));
        }
        if matches!(operation, "DeactivateMFADevice" | "DeleteVirtualMFADevice") {
            self.add("mfa-off");
        }
        let without_mfa = || call.additional.is_some_and(|text| text.contains("\"MFAUsed\":\"No\""));
        if operation == "ConsoleLogin" && call.actor.contains(":user/") && without_mfa() {
            self.add("no-mfa");
        }
    }

    fn ports(&self) -> &'static str {
        match (self.from_port, self.to_port) {
            (Some(80 | 443), Some(80 | 443)) => "web",
            (Some(from), Some(to)) if from == to && LOGIN_PORTS.contains(&from) => "login",
            (Some(from), Some(to)) if from == to && DATABASE_PORTS.contains(&from) => "database",
            (Some(from), Some(to)) if from == to => "port",
            (None, _) => "any",
            _ => "range",
        }
    }
}

/// What kind of principal a member of a statement names; none for one that is no principal. A service is what a role is
/// mostly for.
fn principal(key: &str, text: &str) -> Option<&'static str> {
    let is_user_or_role = || text.contains(":user/") || text.contains(":role/") || text.contains(":assumed-role/");
    match key {
        "aws" if text == "*" => Some("everybody"),
        "aws" if is_user_or_role() => Some("identity"),
        "aws" => Some("account"),
        "federated" => Some("federated"),
        "service" => Some("service"),
        _ => None,
    }
}

/// The account that a text is or names: twelve digits, or the account of an ARN.
fn account_in(text: &str) -> Option<&str> {
    let is_account = |text: &&str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    if text.starts_with("arn:") {
        return text.split(':').nth(4).filter(is_account);
    }
    Some(text).filter(is_account)
}

/// Whom the parameters of a bucket's policy or list of grants let in: `everybody`, every AWS account (`aws`), or the empty
/// text. A statement that allows under a condition lets nobody in, nor one of which everybody is denied as much.
pub fn public_grant(parameters: &str) -> &'static str {
    let Ok(Value::Object(members)) = serde_json::from_str::<Value>(parameters) else { return "" };
    let policies = members.iter().filter(|(key, _)| POLICIES.contains(&key.as_str())).map(|(_, value)| value);
    let opened = policies.map(statements).any(|all| let_everybody(&all));
    let is_list = |key: &str| key.starts_with("x-amz-") || key == "acl" || key == "AccessControlPolicy";
    let lists: Vec<&Value> = members.iter().filter(|(key, _)| is_list(key)).map(|(_, value)| value).collect();
    let grants = |marks: &[&str]| lists.iter().any(|list| holds(list, marks, 0));
    match () {
        () if opened || grants(&["/groups/global/AllUsers", "public-read"]) => "everybody",
        () if grants(&["/groups/global/AuthenticatedUsers", "authenticated-read"]) => "aws",
        () => "",
    }
}

/// Parameters that hold a policy, as CloudTrail writes them.
const POLICIES: [&str; 2] = ["bucketPolicy", "policy"];

/// A policy's statements; it may be a text, and one statement may stand without brackets.
fn statements(policy: &Value) -> Vec<Value> {
    let inner = policy.as_str().and_then(|text| serde_json::from_str(text).ok());
    match inner.as_ref().unwrap_or(policy).get("Statement") {
        Some(Value::Array(all)) => all.clone(),
        Some(one) => vec![one.clone()],
        None => Vec::new(),
    }
}

/// Whether a policy's statements let everybody in: one allows it without a condition, and none denies everybody the same.
fn let_everybody(statements: &[Value]) -> bool {
    let everybody = |effect: &str| {
        let all = statements.iter().filter_map(Value::as_object);
        all.filter(|all| is_for_everybody(all, effect)).collect::<Vec<_>>()
    };
    let denials = everybody("Deny");
    everybody("Allow").into_iter().any(|allowed| !denials.iter().any(|denied| takes_back(denied, allowed)))
}

/// Whether a statement has an effect on everybody (or on all but a few) under no condition.
fn is_for_everybody(statement: &Map<String, Value>, effect: &str) -> bool {
    let every = |value: &Value| texts(value).contains(&"*");
    let principal = member(statement, "principal");
    let aws = principal.and_then(Value::as_object).and_then(|kinds| member(kinds, "aws"));
    let named = principal.is_some_and(every) || aws.is_some_and(every) || member(statement, "notprincipal").is_some();
    let conditioned = member(statement, "condition").and_then(Value::as_object).is_some_and(|all| !all.is_empty());
    member(statement, "effect").is_some_and(|found| found == effect) && named && !conditioned
}

/// Whether a denial covers all actions on all resources that a statement allows. What it names by exception
/// (`NotAction`, `NotResource`) covers nothing for certain.
fn takes_back(denied: &Map<String, Value>, allowed: &Map<String, Value>) -> bool {
    [("action", "notaction"), ("resource", "notresource")].iter().all(|(name, except)| {
        let covers = match member(denied, name) {
            Some(patterns) => texts(patterns),
            // a role's trust names no resource
            None if member(denied, except).is_none() => vec!["*"],
            None => return false,
        };
        let wanted = member(allowed, name).map_or_else(|| vec!["*"], texts);
        let lower = |text: &str| text.to_ascii_lowercase();
        wanted.iter().all(|text| covers.iter().any(|pattern| matches(&lower(pattern), &lower(text))))
    })
}

/// A member, whatever the letters' case.
fn member<'v>(members: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    members.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// The texts of a list, or the one that stands without brackets.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    }
}

/// Whether a text within begins or ends with, or grants to, one of the marks.
fn holds(value: &Value, marks: &[&str], depth: usize) -> bool {
    match value {
        _ if depth > DEPTH => false,
        Value::Object(members) => members.values().any(|value| holds(value, marks, depth + 1)),
        Value::Array(items) => items.iter().any(|item| holds(item, marks, depth + 1)),
        Value::String(text) => marks.iter().any(|mark| match mark.strip_prefix('/') {
            Some(group) => text.contains(&format!("acs.amazonaws.com/{group}")),
            None => text.starts_with(mark),
        }),
        _ => false,
    }
}

/// Most characters of a resource's name.
const NAME_LIMIT: usize = 90;

/// The parameters that name what a call is about, by service; the first that is there counts.
static RESOURCES: LazyLock<[(&str, Vec<Member>); 8]> = LazyLock::new(|| {
    [
        ("s3", &["bucketName"][..]),
        ("secretsmanager", &["secretId"]),
        ("ssm", &["name", "names"]),
        ("sts", &["roleArn"]),
        ("lambda", &["functionName"]),
        ("iam", &["roleName", "userName"]),
        ("kms", &["keyId"]),
        ("dynamodb", &["tableName"]),
    ]
    .map(|(service, members)| (service, members.iter().map(|name| Member::new(name)).collect()))
});

/// `service/name` of what a call is about, where habits about it are worth keeping. The text is searched, not parsed:
/// it is done for every call of those services, and quotes inside of JSON texts are escaped, so a member is found only
/// where one is.
pub fn resource(api: &str, parameters: &str) -> Option<String> {
    let service = api.split(':').next().unwrap_or_default();
    let (_, members) = RESOURCES.iter().find(|(name, _)| *name == service)?;
    let value = members.iter().find_map(|member| member.text(parameters))?;
    let name: String = value.chars().take(NAME_LIMIT).collect();
    Some(format!("{service}/{name}"))
}

/// The access key that an answer of STS hands out.
pub fn issued_key(response: &str) -> Option<&str> {
    static KEY: LazyLock<Member> = LazyLock::new(|| Member::new("accessKeyId"));
    KEY.text(response)
}

/// A member that is searched for in many JSON texts.
pub(super) struct Member(Finder<'static>);

impl Member {
    /// A member of a name.
    pub(super) fn new(name: &str) -> Self {
        Self(Finder::new(&format!("\"{name}\":")).into_owned())
    }

    /// Its text, or the first one of its array.
    pub(super) fn text<'a>(&self, json: &'a str) -> Option<&'a str> {
        let value = self.value(json)?.trim_start_matches('[').trim_start().strip_prefix('"')?;
        value.split('"').next().filter(|text| !text.is_empty())
    }

    /// Its number.
    pub(super) fn number(&self, json: &str) -> Option<f64> {
        let value = self.value(json)?;
        let end = value.find(|c: char| !c.is_ascii_digit() && !"+-.eE".contains(c)).unwrap_or(value.len());
        value[..end].parse().ok()
    }

    /// What begins with its value.
    fn value<'a>(&self, json: &'a str) -> Option<&'a str> {
        let start = self.0.find(json.as_bytes())? + self.0.needle().len();
        Some(json[start..].trim_start())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(api: &str, parameters: &str) -> String {
        let call = Call {
            api,
            parameters: Some(parameters),
            additional: None,
            actor: "arn:aws:iam::111111111111:user/ana",
            account: "111111111111",
        };
        effects(&call).replace(SEPARATOR, " ")
    }

    #[test]
    fn whom_a_call_lets_in() {
        let trust = r#"{"roleName":"r","policyDocument":"{\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"arn:aws:iam::999999999999:root\"},\"Action\":\"sts:AssumeRole\"}]}"}"#;
        assert_eq!(of("iam:UpdateAssumeRolePolicy", trust), "account:999999999999 trust:account");
        let inside = trust.replace("999999999999", "111111111111");
        assert_eq!(of("iam:UpdateAssumeRolePolicy", &inside), "trust:account");
        assert_eq!(of("iam:UpdateAssumeRolePolicy", &inside.replace(":root", ":user/ana")), "trust:identity");
        assert_eq!(of("iam:CreateRole", &inside), "");
        let share = r#"{"snapshotId":"s","createVolumePermission":{"add":{"items":[{"userId":"999999999999"}]}}}"#;
        assert_eq!(of("ec2:ModifySnapshotAttribute", share), "account:999999999999");
        assert_eq!(of("ec2:ModifySnapshotAttribute", &share.replace("999999999999", "111111111111")), "");
        let all = r#"{"createVolumePermission":{"add":{"items":[{"group":"all"}]}}}"#;
        assert_eq!(of("ec2:ModifySnapshotAttribute", all), "public");
        let acl = r#"{"AccessControlPolicy":{"Grantee":{"URI":"http://acs.amazonaws.com/groups/global/AllUsers"}}}"#;
        assert_eq!(of("s3:PutBucketAcl", acl), "public");
        let bucket = r#"{"bucketPolicy":{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject"}]}}"#;
        assert_eq!(of("s3:PutBucketPolicy", bucket), "public");
        let conditioned =
            bucket.replace("\"Action\"", "\"Condition\":{\"Bool\":{\"aws:SecureTransport\":\"false\"}},\"Action\"");
        assert_eq!(of("s3:PutBucketPolicy", &conditioned), "");
        // no policy's statement, but a permission of its own
        let bus = r#"{"action":"events:PutEvents","principal":"*"}"#;
        assert_eq!(of("events:PutPermission", bus), "public");
        let condition = r#""*","condition":{"type":"StringEquals","key":"aws:PrincipalOrgID","value":"o-a"}"#;
        assert_eq!(of("events:PutPermission", &bus.replace("\"*\"", condition)), "");
    }

    #[test]
    fn a_denial_takes_back_what_it_covers() {
        let policy = |deny: &str| {
            let allow = r#"{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}"#;
            let text = format!(r#"{{"bucketPolicy":{{"Statement":[{allow},{deny}]}}}}"#);
            (of("s3:PutBucketPolicy", &text) == "public", public_grant(&text) == "everybody")
        };
        let tls = r#""Condition":{"Bool":{"aws:SecureTransport":"false"}}"#;
        for unrelated in [
            format!(r#"{{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*",{tls}}}"#),
            r#"{"Effect":"Deny","Principal":"*","Action":"s3:DeleteBucket","Resource":"*"}"#.to_owned(),
            r#"{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/secret/*"}"#
                .to_owned(),
            r#"{"Effect":"Deny","Principal":{"AWS":"arn:aws:iam::1:root"},"Action":"*","Resource":"*"}"#.to_owned(),
            r#"{"Effect":"Deny","Principal":"*","NotAction":"s3:PutObject","Resource":"*"}"#.to_owned(),
        ] {
            assert_eq!(policy(&unrelated), (true, true), "{unrelated}");
        }
        for covering in [
            r#"{"Effect":"Deny","Principal":"*","Action":"s3:Get*","Resource":"arn:aws:s3:::b/*"}"#,
            r#"{"Effect":"Deny","Principal":{"AWS":["*"]},"Action":["s3:PutObject","s3:getobject"],"Resource":"*"}"#,
            r#"{"Effect":"Deny","NotPrincipal":{"AWS":"arn:aws:iam::1:root"},"Action":"*","Resource":"*"}"#,
        ] {
            assert_eq!(policy(covering), (false, false), "{covering}");
        }
    }

    #[test]
    fn what_a_call_opens() {
        let ingress = |from: u16, to: u16| {
            format!(
                r#"{{"ipPermissions":{{"items":[{{"fromPort":{from},"toPort":{to},"ipRanges":{{"items":[{{"cidrIp":"0.0.0.0/0"}}]}}}}]}}}}"#
            )
        };
        assert_eq!(of("ec2:AuthorizeSecurityGroupIngress", &ingress(22, 22)), "world-ingress:login");
        assert_eq!(of("ec2:AuthorizeSecurityGroupIngress", &ingress(5432, 5432)), "world-ingress:database");
        assert_eq!(of("ec2:AuthorizeSecurityGroupIngress", &ingress(9000, 9000)), "world-ingress:port");
        assert_eq!(of("ec2:AuthorizeSecurityGroupIngress", &ingress(443, 443)), "world-ingress:web");
        assert_eq!(of("ec2:RevokeSecurityGroupIngress", &ingress(22, 22)), "");
        assert_eq!(of("ec2:AuthorizeSecurityGroupIngress", r#"{"cidrIp":"::/0"}"#), "world-ingress:any");
    }

    #[test]
    fn what_a_call_gives_and_takes() {
        assert_eq!(of("iam:CreateAccessKey", r#"{"userName":"bob"}"#), "key-for-another");
        assert_eq!(of("iam:UpdateLoginProfile", r#"{"userName":"bob"}"#), "login-for-another");
        let layer = r#"{"functionName":"f","layers":["arn:aws:lambda:us-east-1:111111111111:layer:l:1"]}"#;
        assert_eq!(of("lambda:UpdateFunctionConfiguration", layer), "layer");
        assert_eq!(
            of("lambda:UpdateFunctionConfiguration", &layer.replace("111111111111", "999999999999")),
            "account:999999999999 layer"
        );
        assert_eq!(of("iam:CreateAccessKey", r#"{"userName":"ana"}"#), "");
        let policy = r#"{"userName":"ana","policyArn":"arn:aws:iam::aws:policy/AdministratorAccess"}"#;
        assert_eq!(of("iam:AttachUserPolicy", policy), "admin policy:AdministratorAccess");
        assert_eq!(of("guardduty:UpdateDetector", r#"{"detectorId":"d","enable":false}"#), "switched-off");
        assert_eq!(
            of("s3:PutBucketLifecycle", r#"{"LifecycleConfiguration":{"Rule":{"Expiration":{"Days":1}}}}"#),
            "short-retention"
        );
        let run = r#"{"instanceType":"p3.2xlarge","instancesSet":{"items":[{"minCount":1,"maxCount":10}]},"userData":"<sensitiveDataRemoved>"}"#;
        assert_eq!(of("ec2:RunInstances", run), "count:2^3 instance:p3 user-data");
    }

    #[test]
    fn what_cannot_be_read_does_nothing() {
        for text in ["", "{", "null", "[[[[", r#"{"policyDocument":"{broken"}"#] {
            assert_eq!(of("iam:PutUserPolicy", text), "");
        }
        let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
        assert_eq!(of("x:Y", &deep), "");
    }

    #[test]
    fn who_is_let_in_by_policy_or_grant() {
        let policy = |text: &str| {
            public_grant(&format!(r#"{{"bucketName":"public-read","bucketPolicy":{{"Statement":{text}}}}}"#))
        };
        let allow = r#"{"Effect":"Allow","Principal":"*","Action":"s3:GetObject"}"#;
        let deny =
            r#"{"Effect":"Deny","Principal":"*","Action":"s3:*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}"#;
        assert_eq!(policy(allow), "everybody");
        assert_eq!(policy(&format!("[{deny},{allow}]")), "everybody");
        assert_eq!(policy(r#"[{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::1:root","*"]}}]"#), "everybody");
        assert_eq!(policy(r#"{"Effect":"Allow","NotPrincipal":{"AWS":"arn:aws:iam::1:root"}}"#), "everybody");
        assert_eq!(policy(deny), "");
        assert_eq!(
            policy(r#"{"Effect":"Allow","Principal":"*","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-a"}}}"#),
            ""
        );
        assert_eq!(policy(r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"}}"#), "");
        let grant = |group: &str| {
            let uri = format!("http://acs.amazonaws.com/groups/global/{group}");
            public_grant(&format!(
                r#"{{"AccessControlPolicy":{{"AccessControlList":{{"Grant":[{{"Grantee":{{"URI":"{uri}"}}}}]}}}}}}"#
            ))
        };
        assert_eq!((grant("AllUsers"), grant("AuthenticatedUsers")), ("everybody", "aws"));
        assert_eq!(public_grant(r#"{"x-amz-acl":["public-read-write"]}"#), "everybody");
        assert_eq!(public_grant(r#"{"x-amz-acl":["authenticated-read"]}"#), "aws");
        assert_eq!(
            public_grant(r#"{"x-amz-grant-read":["uri=\"http://acs.amazonaws.com/groups/global/AllUsers\""]}"#),
            "everybody"
        );
        for nobody in [r#"{"x-amz-acl":["private"]}"#, r#"{"policy":""}"#, "", "[]", "{broken", r#"{"omitted":true}"#] {
            assert_eq!(public_grant(nobody), "", "{nobody}");
        }
    }

    #[test]
    fn what_a_call_is_about() {
        assert_eq!(resource("s3:GetObject", r#"{"bucketName":"b","key":"k"}"#).as_deref(), Some("s3/b"));
        assert_eq!(resource("ssm:GetParameters", r#"{"names": ["/a","/b"]}"#).as_deref(), Some("ssm//a"));
        assert_eq!(resource("ec2:RunInstances", r#"{"bucketName":"b"}"#), None);
        assert_eq!(resource("s3:GetObject", r#"{"key":"\"bucketName\":\"x\""}"#), None);
        assert_eq!(resource("s3:GetObject", r#"{"bucketName":"#), None);
    }
}
