//! The scripted attacks of the last day.
//!
//! Owns: who is attacked, how, and the truth about it (`AttackSummary`).
//! Invariant: an attack's records come from the same recorder and the same identities as everything else; what tells
//! them apart is what is called, from where, when and how often.

use rand::Rng;
use serde::Serialize;

use super::catalogue::Hole;
use super::ids;
use super::org::{DEV, HOME, PLATFORM, PROD, Region, SECOND, STAGING, TOOLS};
use super::people::{enter, sign_in};
use super::record::{Fate, Scribe};
use super::session::{Origin, Role, RoleUse, Session};
use super::workloads::{instance_id, user_session};

const HOUR: i64 = 3_600;
const KALI: &str = "aws-cli/2.23.6 md/awscrt#0.23.8 ua/2.0 os/linux#6.11.2-amd64 md/arch#x86_64 lang/python#3.12.8 md/pyimpl#CPython cfg/retry-mode#standard md/installer#source md/distrib#kali.2024";
const SCRIPT: &str = "Boto3/1.35.99 md/Botocore#1.35.99 ua/2.0 os/linux#5.15.0-130-generic md/arch#x86_64 lang/python#3.10.12 md/pyimpl#CPython cfg/retry-mode#legacy Botocore/1.35.99";

/// The truth about one attack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AttackSummary {
    /// What kind of attack it is.
    pub name: String,
    /// The stable identity that was abused.
    pub actor: String,
    /// The account it happened in.
    pub account: String,
    /// Time of the first event, as `eventTime`.
    pub first: String,
    /// Time of the last event, as `eventTime`.
    pub last: String,
    /// Its events, by time, then id.
    pub event_ids: Vec<String>,
}

/// A script: hours before the end at which it starts, its name, and what it does.
pub struct Script {
    /// What kind of attack it is.
    pub name: &'static str,
    hours_before: i64,
    play: fn(&mut Stage) -> Session,
}

/// All scripts.
pub static SCRIPTS: [Script; 6] = [
    Script { name: "stolen-access-key", hours_before: 20, play: stolen_access_key },
    Script { name: "instance-credentials-exfiltrated", hours_before: 16, play: instance_credentials },
    Script { name: "bulk-download-by-insider", hours_before: 13, play: bulk_download },
    Script { name: "log-tampering", hours_before: 10, play: log_tampering },
    Script { name: "secrets-harvest", hours_before: 7, play: secrets_harvest },
    Script { name: "crypto-mining", hours_before: 4, play: crypto_mining },
];

/// A script while it is played.
struct Stage<'a, 'b> {
    scribe: &'a mut Scribe<'b>,
    time: i64,
}

impl Stage<'_, '_> {
    fn wait(&mut self, seconds: std::ops::Range<i64>) -> i64 {
        self.time += self.scribe.rng.random_range(seconds);
        self.time
    }

    /// Calls each API once, by hand.
    fn each(&mut self, session: &Session, region: Region, fate: Fate, apis: &[&str]) {
        for api in apis {
            self.with(session, region, fate, api, &[]);
        }
    }

    fn with(&mut self, session: &Session, region: Region, fate: Fate, api: &str, bound: &[(Hole, &str)]) {
        let time = self.wait(2..45);
        self.scribe.call_as(session, api, region, time, fate, bound);
    }
}

/// Plays a script into the scribe, which ends at `end` (Unix time in seconds).
pub fn play(script: &Script, end: i64, scribe: &mut Scribe) -> AttackSummary {
    let mut stage = Stage { time: end - script.hours_before * HOUR, scribe };
    let culprit = (script.play)(&mut stage);
    let mut events: Vec<(i64, u128)> = stage.scribe.events.iter().map(|event| (event.time, event.id)).collect();
    events.sort_unstable();
    AttackSummary {
        name: script.name.to_owned(),
        actor: culprit.actor,
        account: culprit.account.id.to_owned(),
        first: ids::iso(events.first().map_or(end, |(time, _)| *time)),
        last: ids::iso(events.last().map_or(end, |(time, _)| *time)),
        event_ids: events.into_iter().map(|(_, id)| ids::uuid_text(id)).collect(),
    }
}

/// A key of a legacy user leaks: look around, then make a way back in.
fn stolen_access_key(stage: &mut Stage) -> Session {
    let origin = Origin::direct("198.51.100.187", KALI);
    let user = user_session(&PROD, "reporting-export", &origin);
    let all = [
        "sts:GetCallerIdentity",
        "iam:GetUser",
        "s3:ListBuckets",
        "iam:ListAttachedUserPolicies",
        "iam:ListUserPolicies",
        "iam:ListGroupsForUser",
        "iam:ListUsers",
        "iam:ListRoles",
        "iam:ListAccessKeys",
        "ec2:DescribeInstances",
        "ec2:DescribeSecurityGroups",
        "rds:DescribeDBInstances",
        "lambda:ListFunctions20150331",
        "iam:GetPolicyVersion",
    ];
    stage.each(&user, SECOND, Fate::Success, &all);
    stage.each(
        &user,
        SECOND,
        Fate::Denied,
        &[
            "iam:GetAccountAuthorizationDetails",
            "organizations:DescribeOrganization",
            "secretsmanager:ListSecrets",
            "kms:ListKeys",
            "cloudtrail:DescribeTrails",
        ],
    );
    let key = ids::unique_id("AKIA", "svc-cloudwatch-sync");
    let bound = [(Hole::NewUser, "svc-cloudwatch-sync"), (Hole::NewKey, key.as_str())];
    for api in ["iam:CreateUser", "iam:AttachUserPolicy", "iam:CreateAccessKey", "iam:CreateLoginProfile"] {
        stage.with(&user, SECOND, Fate::Success, api, &bound);
    }
    let back = Session::iam_user(&PROD, "svc-cloudwatch-sync", &key, &origin);
    stage.each(
        &back,
        SECOND,
        Fate::Success,
        &[
            "sts:GetCallerIdentity",
            "iam:ListAttachedUserPolicies",
            "s3:ListBuckets",
            "ec2:DescribeRegions",
            "iam:ListRoles",
            "iam:UpdateAssumeRolePolicy",
        ],
    );
    user
}

/// Credentials of a web server are used from somewhere else.
fn instance_credentials(stage: &mut Stage) -> Session {
    let origin = Origin::direct("203.0.113.66", SCRIPT);
    let since = stage.time - HOUR;
    let instance = instance_id(&PROD, "web-app-role", 2);
    let web = Session::role(&Role::plain(&PROD, "web-app-role"), &instance, since, RoleUse::Instance, &origin);
    stage.each(&web, HOME, Fate::Success, &["sts:GetCallerIdentity", "s3:ListBuckets", "ec2:DescribeInstances"]);
    stage.each(
        &web,
        HOME,
        Fate::Denied,
        &[
            "iam:ListUsers",
            "iam:ListAttachedRolePolicies",
            "iam:GetRolePolicy",
            "secretsmanager:ListSecrets",
            "ssm:DescribeParameters",
            "ec2:DescribeSnapshots",
            "lambda:ListFunctions20150331",
            "ssm:SendCommand",
            "rds:DescribeDBInstances",
            "dynamodb:ListTables",
        ],
    );
    stage.each(
        &web,
        HOME,
        Fate::Success,
        &["s3:ListObjects", "s3:ListObjects", "s3:GetBucketPolicy", "s3:GetBucketAcl"],
    );
    for _ in 0..60 {
        let time = stage.wait(0..4);
        stage.scribe.call_as(
            &web,
            "s3:GetObject",
            HOME,
            time,
            Fate::Success,
            &[(Hole::Bucket, "fernwood-prod-uploads")],
        );
    }
    stage.each(&web, HOME, Fate::Success, &["secretsmanager:GetSecretValue", "secretsmanager:GetSecretValue"]);
    web
}

/// An analyst takes the customers along, with everyday tools from the usual place.
fn bulk_download(stage: &mut Stage) -> Session {
    let origin = Origin::direct("100.84.61.130", TOOLS[2]);
    let email = "pavel.horak@fernwood.example";
    let portal = sign_in(email, stage.time, &origin, stage.scribe);
    let analyst = enter(&portal, &PROD, "DataAnalyst", stage.time + 20, &origin, stage.scribe);
    stage.time += 25;
    let bucket = [(Hole::Bucket, "fernwood-prod-customer-archive")];
    for _ in 0..12 {
        stage.with(&analyst, HOME, Fate::Success, "s3:ListObjects", &bucket);
    }
    for _ in 0..640 {
        let time = stage.wait(0..5);
        stage.scribe.call_as(&analyst, "s3:GetObject", HOME, time, Fate::Success, &bucket);
    }
    analyst
}

/// An engineer's portal session is abused to blind the account.
fn log_tampering(stage: &mut Stage) -> Session {
    let origin = Origin::direct("203.0.113.141", SCRIPT);
    let portal = Session::portal("dmitri.ivanov@fernwood.example", stage.time - 5 * HOUR, &origin);
    let engineer = enter(&portal, &PROD, PLATFORM.permission_set, stage.time, &origin, stage.scribe);
    stage.each(
        &engineer,
        HOME,
        Fate::Success,
        &[
            "sts:GetCallerIdentity",
            "cloudtrail:DescribeTrails",
            "cloudtrail:GetTrailStatus",
            "cloudtrail:GetEventSelectors",
            "guardduty:ListDetectors",
            "guardduty:GetDetector",
            "ec2:DescribeFlowLogs",
            "config:DescribeConfigurationRecorders",
        ],
    );
    stage.each(
        &engineer,
        HOME,
        Fate::Success,
        &["cloudtrail:PutEventSelectors", "cloudtrail:StopLogging", "ec2:DeleteFlowLogs", "guardduty:UpdateDetector"],
    );
    stage.each(&engineer, HOME, Fate::DeniedByOrganization, &["cloudtrail:DeleteTrail", "guardduty:DeleteDetector"]);
    stage.each(&engineer, HOME, Fate::Success, &["ec2:DescribeVolumes", "ec2:CreateSnapshot"]);
    let target = [(Hole::Target, "777766665555")];
    stage.with(&engineer, HOME, Fate::Success, "ec2:ModifySnapshotAttribute", &target);
    engineer
}

/// A developer's credentials collect every secret of every region.
fn secrets_harvest(stage: &mut Stage) -> Session {
    const REGIONS: [Region; 8] =
        [HOME, SECOND, "eu-central-1", "us-west-2", "ap-southeast-2", "ap-northeast-1", "ca-central-1", "eu-north-1"];
    let origin = Origin::direct("198.51.100.222", SCRIPT);
    let portal = Session::portal("katya.novak@fernwood.example", stage.time - 2 * HOUR, &origin);
    let developer = enter(&portal, &STAGING, "Developer", stage.time, &origin, stage.scribe);
    stage.each(&developer, HOME, Fate::Success, &["sts:GetCallerIdentity", "ec2:DescribeRegions"]);
    for region in REGIONS {
        stage.with(&developer, region, Fate::Success, "secretsmanager:ListSecrets", &[]);
        stage.with(&developer, region, Fate::Success, "ssm:DescribeParameters", &[]);
        let secrets = if region == HOME { 24 } else { 4 };
        for _ in 0..secrets {
            let time = stage.wait(0..3);
            let fate = if stage.scribe.rng.random_range(0..5) == 0 { Fate::Denied } else { Fate::Success };
            stage.scribe.call_as(&developer, "secretsmanager:GetSecretValue", region, time, fate, &[]);
        }
        stage.with(&developer, region, Fate::Success, "ssm:GetParametersByPath", &[]);
    }
    developer
}

/// The build server's key rents graphics cards where nobody looks.
fn crypto_mining(stage: &mut Stage) -> Session {
    const REGIONS: [Region; 3] = ["ap-southeast-1", "sa-east-1", "ap-south-1"];
    const QUOTA: Fate = Fate::Failed {
        code: "Client.VcpuLimitExceeded",
        message: "You have requested more vCPU capacity than your current vCPU limit of 32 allows for the instance bucket that the specified instance type belongs to.",
    };
    const DRY: Fate = Fate::Failed {
        code: "Client.DryRunOperation",
        message: "Request would have succeeded, but DryRun flag is set.",
    };
    let builder = user_session(&DEV, "jenkins", &Origin::direct("198.51.100.140", KALI));
    stage.each(&builder, SECOND, Fate::Success, &["sts:GetCallerIdentity", "ec2:DescribeRegions"]);
    let machine = [
        (Hole::InstanceType, "g5.12xlarge"),
        (Hole::KeyPair, "k1"),
        (Hole::Count, "8"),
        (Hole::Cidr, "0.0.0.0/0"),
        (Hole::Port, "22"),
    ];
    for region in REGIONS {
        stage.each(
            &builder,
            region,
            Fate::Success,
            &[
                "servicequotas:GetServiceQuota",
                "ec2:DescribeInstanceTypeOfferings",
                "ec2:DescribeImages",
                "ec2:DescribeSubnets",
            ],
        );
        stage.with(&builder, region, DRY, "ec2:RunInstances", &machine);
        for api in ["ec2:CreateKeyPair", "ec2:CreateSecurityGroup", "ec2:AuthorizeSecurityGroupIngress"] {
            stage.with(&builder, region, Fate::Success, api, &machine);
        }
        stage.with(&builder, region, QUOTA, "ec2:RunInstances", &machine);
        stage.with(&builder, region, Fate::Success, "ec2:RunInstances", &machine);
        stage.with(&builder, region, Fate::Success, "ec2:RequestSpotInstances", &machine);
    }
    builder
}
