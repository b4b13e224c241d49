//! What runs by itself: applications, builds, AWS services, scanners and the legacy IAM users.
//!
//! Owns: the table of workloads and their rhythms.
//! Invariant: a workload's calls depend on the seed and its name only.

use rand::Rng;

use super::catalogue::Hole;
use super::ids::{self, Alphabet, choose, choose_weighted};
use super::org::{ACCOUNTS, Account, DEV, HOME, Habit, MANAGEMENT, PROD, Region, SECOND, SECURITY, STAGING};
use super::people::{Span, access_key, is_weekend};
use super::record::{Call, Fate, Scribe};
use super::session::{Origin, Role, RoleUse, Session};

const HOUR: i64 = 3_600;

/// What a workload runs as.
#[derive(Debug, Clone, Copy)]
enum Runs {
    /// EC2 instances with an instance profile, that many of them.
    Instances(u64),
    /// ECS tasks with a task role, that many of them.
    Tasks(u64),
    /// A Lambda function with an execution role.
    Function,
    /// A service through its service-linked role, under a session name.
    ServiceLinked(&'static str, &'static str),
    /// A service on its own behalf.
    Service(&'static str),
    /// An IAM user with a key, at an address.
    User(&'static str),
    /// Another company's software, through a role of the account.
    Vendor,
}

/// When a workload is busy.
#[derive(Debug, Clone, Copy)]
enum Rhythm {
    /// The same at every hour.
    Steady,
    /// As customers are awake.
    Daily,
    /// In one hour of the night (UTC).
    Nightly(i64),
    /// In office hours of working days.
    Office,
}

/// Something that runs by itself.
struct Workload {
    account: &'static Account,
    name: &'static str,
    runs: Runs,
    agent: &'static str,
    /// Calls in an hour, on average while busy.
    per_hour: f64,
    rhythm: Rhythm,
    region: Region,
    habit: Habit,
}

const BOTO: &str = "Boto3/1.40.21 md/Botocore#1.40.21 ua/2.1 os/linux#6.1.147-172.266.amzn2023.x86_64 md/arch#x86_64 lang/python#3.12.11 md/pyimpl#CPython exec-env/EC2 cfg/retry-mode#standard Botocore/1.40.21";
const JAVA: &str = "aws-sdk-java/2.33.4 md/io#async md/http#NettyNio ua/2.1 os/Linux#5.10.240 lang/java#21.0.8 md/OpenJDK_64-Bit_Server_VM md/vendor#Amazon.com_Inc. exec-env/AWS_ECS_FARGATE";
const GO: &str = "aws-sdk-go-v2/1.38.3 ua/2.1 os/linux lang/go#1.24.6 md/GOOS#linux md/GOARCH#arm64 exec-env/AWS_Lambda_provided.al2023";
const OLD_CLI: &str = "aws-cli/1.29.80 md/Botocore#1.31.80 ua/2.0 os/linux#4.18.0-513.el8.x86_64 md/arch#x86_64 lang/python#3.8.17 md/pyimpl#CPython cfg/retry-mode#legacy botocore/1.31.80";
const VENDOR: &str = "Observa-Agent/7.61 (\"metrics crawler\"; +https://observa.example/bot) aws-sdk-go-v2/1.36.0";

const WEB: Habit = &[
    ("s3:GetObject", 30),
    ("s3:PutObject", 9),
    ("s3:ListObjects", 2),
    ("s3:HeadObject", 5),
    ("kms:Decrypt", 6),
    ("secretsmanager:GetSecretValue", 3),
    ("ssm:GetParameters", 4),
    ("ssm:UpdateInstanceInformation", 8),
    ("ssm:ListInstanceAssociations", 3),
    ("ec2:DescribeTags", 2),
];
const TASK: Habit = &[
    ("s3:GetObject", 8),
    ("s3:PutObject", 6),
    ("kms:Decrypt", 8),
    ("kms:GenerateDataKey", 4),
    ("secretsmanager:GetSecretValue", 4),
    ("ssm:GetParameter", 5),
    ("dynamodb:DescribeTable", 5),
    ("sqs:GetQueueAttributes", 6),
    ("logs:CreateLogStream", 2),
];
const FUNCTION: Habit = &[
    ("s3:GetObject", 20),
    ("s3:PutObject", 18),
    ("logs:CreateLogStream", 6),
    ("kms:Decrypt", 5),
    ("ssm:GetParameter", 2),
];
const CONFIG: Habit = &[
    ("ec2:DescribeInstances", 6),
    ("ec2:DescribeSecurityGroups", 6),
    ("ec2:DescribeVolumes", 4),
    ("ec2:DescribeVpcs", 3),
    ("ec2:DescribeNetworkInterfaces", 4),
    ("ec2:DescribeSubnets", 3),
    ("ec2:DescribeRouteTables", 2),
    ("s3:GetBucketPolicy", 4),
    ("s3:GetBucketAcl", 4),
    ("s3:GetBucketTagging", 3),
    ("s3:GetBucketLifecycle", 3),
    ("s3:GetBucketVersioning", 2),
    ("s3:ListBuckets", 2),
    ("rds:DescribeDBInstances", 3),
    ("kms:DescribeKey", 3),
    ("kms:GetKeyRotationStatus", 2),
    ("lambda:GetFunction20150331v2", 4),
    ("lambda:ListTags20170331", 2),
    ("iam:GetRole", 4),
    ("iam:ListAttachedRolePolicies", 3),
    ("iam:GetRolePolicy", 3),
    ("iam:GetPolicyVersion", 2),
    ("dynamodb:DescribeTable", 2),
    ("acm:DescribeCertificate", 1),
    ("elasticloadbalancing:DescribeLoadBalancers", 2),
];
const SCALING: Habit = &[
    ("ec2:DescribeInstances", 12),
    ("ec2:DescribeInstanceStatus", 10),
    ("ec2:RunInstances", 2),
    ("ec2:TerminateInstances", 2),
    ("ec2:DescribeLaunchTemplateVersions", 3),
    ("elasticloadbalancing:RegisterTargets", 2),
    ("elasticloadbalancing:DeregisterTargets", 2),
    ("monitoring:DescribeAlarms", 4),
];
const METRICS: Habit = &[
    ("monitoring:GetMetricData", 20),
    ("monitoring:ListMetrics", 8),
    ("ec2:DescribeInstances", 8),
    ("ec2:DescribeVolumes", 3),
    ("ec2:DescribeRegions", 2),
    ("rds:DescribeDBInstances", 3),
    ("rds:DescribeDBClusters", 1),
    ("rds:ListTagsForResource", 3),
    ("lambda:ListFunctions20150331", 3),
    ("sqs:ListQueues", 2),
    ("elasticloadbalancing:DescribeLoadBalancers", 3),
    ("autoscaling:DescribeAutoScalingGroups", 2),
    ("ecs:ListClusters", 2),
    ("ecs:DescribeClusters", 2),
    ("dynamodb:ListTables", 1),
    ("tagging:GetResources", 4),
    ("elasticache:DescribeCacheClusters", 1),
    ("health:DescribeEvents", 1),
    ("firehose:DescribeDeliveryStream", 1),
];
const SCAN: Habit = &[
    ("iam:ListUsers", 1),
    ("iam:ListRoles", 1),
    ("iam:ListAccessKeys", 6),
    ("iam:ListMFADevices", 6),
    ("iam:GetAccountSummary", 1),
    ("iam:GetAccountPasswordPolicy", 1),
    ("iam:ListAttachedRolePolicies", 8),
    ("iam:GetPolicyVersion", 6),
    ("s3:ListBuckets", 1),
    ("s3:GetBucketAcl", 5),
    ("s3:GetBucketPolicy", 5),
    ("s3:GetBucketPublicAccessBlock", 5),
    ("s3:GetBucketEncryption", 4),
    ("s3:GetBucketLogging", 4),
    ("s3:GetBucketWebsite", 3),
    ("s3:GetBucketReplication", 3),
    ("s3:GetBucketCors", 3),
    ("s3:GetBucketLifecycle", 3),
    ("ec2:DescribeSecurityGroups", 4),
    ("ec2:DescribeSnapshots", 2),
    ("ec2:DescribeFlowLogs", 2),
    ("ec2:DescribeVpcs", 2),
    ("ec2:GetEbsEncryptionByDefault", 1),
    ("kms:ListKeys", 1),
    ("kms:GetKeyRotationStatus", 4),
    ("kms:GetKeyPolicy", 3),
    ("cloudtrail:DescribeTrails", 1),
    ("cloudtrail:GetTrailStatus", 1),
    ("cloudtrail:GetEventSelectors", 1),
    ("config:DescribeConfigurationRecorders", 1),
    ("guardduty:ListDetectors", 1),
    ("guardduty:GetDetector", 1),
    ("rds:DescribeDBInstances", 2),
    ("rds:DescribeDBSnapshots", 2),
    ("lambda:GetPolicy20150331v2", 4),
    ("secretsmanager:ListSecrets", 1),
    ("secretsmanager:GetResourcePolicy", 2),
    ("sns:GetTopicAttributes", 2),
];
const DEPLOY: Habit = &[
    ("ecr:GetAuthorizationToken", 3),
    ("ecr:BatchCheckLayerAvailability", 9),
    ("ecr:InitiateLayerUpload", 4),
    ("ecr:UploadLayerPart", 4),
    ("ecr:CompleteLayerUpload", 4),
    ("ecr:PutImage", 3),
    ("ecs:DescribeServices", 8),
    ("ecs:DescribeTaskDefinition", 3),
    ("ecs:RegisterTaskDefinition", 3),
    ("ecs:UpdateService", 3),
    ("cloudformation:DescribeStacks", 8),
    ("cloudformation:CreateChangeSet", 2),
    ("cloudformation:DescribeChangeSet", 4),
    ("cloudformation:ExecuteChangeSet", 2),
    ("cloudformation:DescribeStackEvents", 9),
    ("s3:PutObject", 3),
    ("lambda:UpdateFunctionCode20150331v2", 2),
    ("lambda:GetFunctionConfiguration20150331v2", 3),
    ("ssm:GetParameters", 2),
    ("sts:GetCallerIdentity", 2),
];
const REPORT: Habit = &[
    ("athena:StartQueryExecution", 4),
    ("athena:GetQueryExecution", 9),
    ("athena:GetQueryResults", 4),
    ("glue:GetTable", 4),
    ("s3:GetObject", 5),
    ("s3:PutObject", 3),
    ("s3:ListObjects", 2),
];
const JENKINS: Habit = &[
    ("s3:GetObject", 6),
    ("s3:PutObject", 6),
    ("ecr:GetAuthorizationToken", 4),
    ("ecr:PutImage", 3),
    ("ecr:BatchCheckLayerAvailability", 6),
    ("ec2:DescribeInstances", 5),
    ("ec2:StartInstances", 1),
    ("ec2:StopInstances", 1),
    ("cloudformation:DescribeStacks", 4),
    ("lambda:UpdateFunctionCode20150331v2", 2),
];
const BACKUP: Habit = &[
    ("ec2:DescribeInstances", 3),
    ("ec2:DescribeVolumes", 6),
    ("ec2:CreateSnapshot", 10),
    ("ec2:DescribeSnapshots", 9),
    ("ec2:DeleteSnapshot", 9),
    ("ec2:CreateTags", 8),
    ("rds:CreateDBSnapshot", 2),
    ("rds:DescribeDBSnapshots", 4),
    ("s3:PutObject", 6),
];
const LEDGER: Habit = &[("s3:GetBucketAcl", 9), ("s3:PutObject", 1)];

const fn workload(
    account: &'static Account,
    name: &'static str,
    runs: Runs,
    (per_hour, rhythm): (f64, Rhythm),
    agent: &'static str,
    habit: Habit,
) -> Workload {
    Workload { account, name, runs, agent, per_hour, rhythm, region: HOME, habit }
}

const AWS_CONFIG: Runs = Runs::ServiceLinked("config.amazonaws.com", "AWSConfig-Describe");
const AUTOSCALING: Runs = Runs::ServiceLinked("autoscaling.amazonaws.com", "AutoScaling");

static WORKLOADS: &[Workload] = &[
    workload(&PROD, "web-app-role", Runs::Instances(6), (28.0, Rhythm::Daily), BOTO, WEB),
    workload(&PROD, "orders-task-role", Runs::Tasks(4), (16.0, Rhythm::Daily), JAVA, TASK),
    workload(&PROD, "payments-task-role", Runs::Tasks(3), (10.0, Rhythm::Daily), JAVA, TASK),
    workload(&PROD, "image-resizer-role", Runs::Function, (22.0, Rhythm::Daily), GO, FUNCTION),
    workload(&PROD, "nightly-etl-role", Runs::Function, (160.0, Rhythm::Nightly(2)), GO, REPORT),
    Workload {
        region: SECOND,
        ..workload(&PROD, "edge-cache-role", Runs::Function, (5.0, Rhythm::Steady), GO, FUNCTION)
    },
    workload(&STAGING, "web-app-role", Runs::Instances(2), (6.0, Rhythm::Office), BOTO, WEB),
    workload(&STAGING, "orders-task-role", Runs::Tasks(1), (4.0, Rhythm::Steady), JAVA, TASK),
    workload(&DEV, "web-app-role", Runs::Instances(1), (4.0, Rhythm::Office), BOTO, WEB),
    workload(&DEV, "image-resizer-role", Runs::Function, (2.0, Rhythm::Office), GO, FUNCTION),
    workload(&PROD, "AWSServiceRoleForConfig", AWS_CONFIG, (9.0, Rhythm::Steady), "", CONFIG),
    workload(&STAGING, "AWSServiceRoleForConfig", AWS_CONFIG, (5.0, Rhythm::Steady), "", CONFIG),
    workload(&DEV, "AWSServiceRoleForConfig", AWS_CONFIG, (5.0, Rhythm::Steady), "", CONFIG),
    workload(&PROD, "AWSServiceRoleForAutoScaling", AUTOSCALING, (4.0, Rhythm::Daily), "", SCALING),
    workload(&STAGING, "AWSServiceRoleForAutoScaling", AUTOSCALING, (1.0, Rhythm::Office), "", SCALING),
    workload(&SECURITY, "log-delivery", Runs::Service("cloudtrail.amazonaws.com"), (9.0, Rhythm::Steady), "", LEDGER),
    workload(&SECURITY, "config-delivery", Runs::Service("config.amazonaws.com"), (2.0, Rhythm::Steady), "", LEDGER),
    workload(&PROD, "ObservaIntegration", Runs::Vendor, (13.0, Rhythm::Steady), VENDOR, METRICS),
    workload(&STAGING, "ObservaIntegration", Runs::Vendor, (7.0, Rhythm::Steady), VENDOR, METRICS),
    workload(&DEV, "ObservaIntegration", Runs::Vendor, (7.0, Rhythm::Steady), VENDOR, METRICS),
    workload(&MANAGEMENT, "ObservaIntegration", Runs::Vendor, (2.0, Rhythm::Steady), VENDOR, METRICS),
    workload(&PROD, "reporting-export", Runs::User("100.101.8.30"), (6.0, Rhythm::Office), OLD_CLI, REPORT),
    workload(&PROD, "svc-backup", Runs::User("192.0.2.77"), (70.0, Rhythm::Nightly(1)), OLD_CLI, BACKUP),
    workload(&DEV, "jenkins", Runs::User("100.101.8.44"), (9.0, Rhythm::Office), OLD_CLI, JENKINS),
];

/// Names of the streams of random numbers, one per part that can be recorded on its own.
pub fn parts() -> Vec<String> {
    let table = WORKLOADS.iter().map(|workload| format!("workload {} {}", workload.account.id, workload.name));
    let deploys = DEPLOYED.iter().map(|account| format!("deploy {}", account.id));
    let scans = ACCOUNTS.iter().map(|account| format!("scan {}", account.id));
    table.chain(deploys).chain(scans).collect()
}

/// Records one of the `parts`, by its index.
pub fn run(part: usize, span: Span, scribe: &mut Scribe) {
    let deploys = WORKLOADS.len();
    let scans = deploys + DEPLOYED.len();
    if let Some(workload) = WORKLOADS.get(part) {
        run_workload(workload, span, scribe);
    } else if part < scans {
        deploy(DEPLOYED[part - deploys], span, scribe);
    } else {
        scan(ACCOUNTS[part - scans], span, scribe);
    }
    scribe.events.retain(|event| event.time >= span.from);
}

impl Rhythm {
    /// How busy an hour is, 0 to 1.6.
    fn level(self, hour: i64) -> f64 {
        let (of_day, weekend) = (hour.rem_euclid(24 * HOUR) / HOUR, is_weekend(hour));
        match self {
            Self::Steady => 1.0,
            Self::Daily => 0.9 + 0.7 * ((of_day - 15) as f64 * std::f64::consts::TAU / 24.0).cos(),
            Self::Nightly(at) => f64::from(u8::from(of_day == at)),
            Self::Office => f64::from(u8::from(!weekend && (8..18).contains(&of_day))),
        }
    }
}

fn run_workload(workload: &Workload, span: Span, scribe: &mut Scribe) {
    let first = span.from.div_euclid(HOUR) * HOUR;
    let mut sessions = Sessions { workload, current: Vec::new() };
    for hour in (first..span.to).step_by(HOUR as usize) {
        let mean = workload.per_hour * workload.rhythm.level(hour);
        let calls = (mean * scribe.rng.random_range(0.7..1.3) + scribe.rng.random_range(0.0..1.0)).floor() as u32;
        let mut times: Vec<i64> = (0..calls).map(|_| hour + scribe.rng.random_range(0..HOUR)).collect();
        times.sort_unstable();
        for time in times {
            let (session, resource) = sessions.at(time, scribe);
            let api = *choose_weighted(&mut scribe.rng, workload.habit);
            let bound: &[(Hole, &str)] = &resource.as_deref().map_or(vec![], |name| vec![(Hole::Instance, name)]);
            scribe.call_with(&session, api, workload.region, time, bound);
        }
    }
}

/// The credentials of a workload, renewed as AWS renews them.
struct Sessions<'a> {
    workload: &'a Workload,
    current: Vec<((u64, i64), Session)>,
}

impl Sessions<'_> {
    /// A session that is valid at the time, and the instance it belongs to.
    fn at(&mut self, time: i64, scribe: &mut Scribe) -> (Session, Option<String>) {
        let workload = self.workload;
        let (copies, lasts) = match workload.runs {
            Runs::Instances(copies) => (copies, 6 * HOUR),
            Runs::Tasks(copies) => (copies, 24 * HOUR),
            Runs::ServiceLinked(..) | Runs::Vendor => (1, HOUR),
            Runs::Function => (1, 12 * HOUR),
            Runs::Service(_) | Runs::User(_) => (1, i64::MAX / 2),
        };
        let copy = scribe.rng.random_range(0..copies);
        // Copies start one after the other, so their credentials do not all end at once.
        let since = (time - copy as i64 * 977).div_euclid(lasts) * lasts + copy as i64 * 977;
        match self.current.iter().find(|(key, _)| *key == (copy, since)) {
            Some((_, session)) => (session.clone(), self.instance(session)),
            None => {
                let session = self.renew(copy, if since <= 0 { time } else { since }, time, scribe);
                self.current.retain(|((other, _), _)| *other != copy);
                self.current.push(((copy, since), session.clone()));
                let instance = self.instance(&session);
                (session, instance)
            }
        }
    }

    fn instance(&self, session: &Session) -> Option<String> {
        matches!(self.workload.runs, Runs::Instances(_)).then(|| session.name.clone())
    }

    /// Makes a session, and records the call that handed out its credentials.
    fn renew(&self, copy: u64, since: i64, time: i64, scribe: &mut Scribe) -> Session {
        let Workload { account, name, runs, agent, region, .. } = *self.workload;
        let role = Role::plain(account, name);
        let label = format!("{} {name} {copy}", account.id);
        let outside = Origin::direct(cloud_address(account, &label), agent);
        match runs {
            Runs::Instances(_) => {
                let session =
                    Session::role(&role, &instance_id(account, name, copy), since, RoleUse::Instance, &outside);
                handed_out("ec2.amazonaws.com", &role, &session, region, time, scribe)
            }
            Runs::Tasks(_) => {
                let task = ids::spelled(Alphabet::Hex, 32, ids::hash64(&format!("{label} {since}")));
                let session = Session::role(&role, &task, since, RoleUse::Plain, &outside);
                handed_out("ecs-tasks.amazonaws.com", &role, &session, region, time, scribe)
            }
            Runs::Function => {
                let session = Session::role(&role, name.trim_end_matches("-role"), since, RoleUse::Plain, &outside);
                handed_out("lambda.amazonaws.com", &role, &session, region, time, scribe)
            }
            Runs::ServiceLinked(service, session) => {
                let role = Role::service_linked(account, service, name);
                Session::role(&role, session, since, RoleUse::InvokedBy(service), &Origin::service(service))
            }
            Runs::Service(service) => Session::service(account, service),
            Runs::User(address) => user_session(account, name, &Origin::direct(address, agent)),
            Runs::Vendor => vendor_session(&role, since, time, agent, scribe),
        }
    }
}

/// The session of a legacy IAM user with their everyday key.
pub fn user_session(account: &'static Account, user: &str, origin: &Origin) -> Session {
    Session::iam_user(account, user, &ids::unique_id("AKIA", &format!("{} {user}", account.id)), origin)
}

/// Id of one of the instances behind a role.
pub fn instance_id(account: &Account, role: &str, copy: u64) -> String {
    format!("i-0{}", ids::spelled(Alphabet::Hex, 16, ids::hash64(&format!("instance {} {role} {copy}", account.id))))
}

/// Public address of something that runs in an account.
fn cloud_address(account: &Account, label: &str) -> String {
    let number = ids::hash64(label);
    format!("100.{}.{}.{}", 104 + account.salt() % 5, 16 + number % 3, 10 + (number >> 8) % 40)
}

fn handed_out(
    service: &str,
    role: &Role,
    session: &Session,
    region: Region,
    time: i64,
    scribe: &mut Scribe,
) -> Session {
    let (arn, id, key) = (role.arn(), role.id(), access_key(session));
    let bound = [
        (Hole::RoleArn, arn.as_str()),
        (Hole::RoleName, role.name.as_str()),
        (Hole::RoleId, id.as_str()),
        (Hole::Session, session.name.as_str()),
        (Hole::Asia, key.as_str()),
    ];
    scribe.call_as(&Session::service(role.account, service), "sts:AssumeRole", region, time, Fate::Success, &bound);
    session.clone()
}

/// The vendor's own account.
const VENDOR_ACCOUNT: &str = "999988887777";

fn vendor_session(role: &Role, since: i64, time: i64, agent: &str, scribe: &mut Scribe) -> Session {
    let origin = Origin::direct(format!("100.110.{}.{}", 4 + since / HOUR % 2, 20 + since / HOUR % 5), agent);
    let session = Session::role(role, "observa-crawler", since, RoleUse::Plain, &origin);
    let caller = Session::other_account(role.account, VENDOR_ACCOUNT, "observa-crawler", &origin);
    let (arn, id, key) = (role.arn(), role.id(), access_key(&session));
    let bound = [
        (Hole::RoleArn, arn.as_str()),
        (Hole::RoleName, role.name.as_str()),
        (Hole::RoleId, id.as_str()),
        (Hole::Asia, key.as_str()),
    ];
    let shared = Some(ids::random_uuid(&mut scribe.rng));
    let api = scribe.apis.get("sts:AssumeRole");
    scribe.push(&Call { api, session: &caller, region: SECOND, time, fate: Fate::Success, bound: &bound, shared });
    session
}

/// Accounts that GitHub Actions deploys to.
static DEPLOYED: [&Account; 3] = [&DEV, &STAGING, &PROD];
const RUNNER: &str = "aws-sdk-nodejs/2.1692.0 linux/v20.19.4 configure-aws-credentials-for-github-actions promise";
const REPOSITORIES: [&str; 5] = ["shop-web", "orders-api", "payments-api", "catalog-api", "infra"];

/// Deployments: a token of GitHub becomes a role, which builds and rolls out.
fn deploy(account: &'static Account, span: Span, scribe: &mut Scribe) {
    let role = Role::plain(account, "GitHubActionsDeploy");
    let runs = if *account == PROD { 3 } else { 7 };
    for midnight in span.days().filter(|midnight| !is_weekend(*midnight)) {
        for _ in 0..scribe.rng.random_range(1..=runs) {
            let start = midnight + scribe.rng.random_range(8 * HOUR..18 * HOUR);
            let octets: (u8, u8) = (scribe.rng.random_range(0..12), scribe.rng.random_range(1..250));
            let origin = Origin::direct(format!("100.120.{}.{}", octets.0, octets.1), RUNNER);
            deploy_once(&role, start, &origin, scribe);
        }
    }
}

fn deploy_once(role: &Role, start: i64, origin: &Origin, scribe: &mut Scribe) {
    let repository = *choose(&mut scribe.rng, &REPOSITORIES);
    let subject = format!("repo:fernwood-outfitters/{repository}:ref:refs/heads/main");
    let session = Session::role(role, "GitHubActions", start, RoleUse::WebIdentity, origin);
    let caller = Session::web_identity(role.account, &subject, origin);
    let (arn, id, key) = (role.arn(), role.id(), access_key(&session));
    let bound = [
        (Hole::RoleArn, arn.as_str()),
        (Hole::RoleName, role.name.as_str()),
        (Hole::RoleId, id.as_str()),
        (Hole::Asia, key.as_str()),
        (Hole::Subject, subject.as_str()),
    ];
    scribe.call_as(&caller, "sts:AssumeRoleWithWebIdentity", HOME, start, Fate::Success, &bound);
    let mut time = start + 2;
    for _ in 0..scribe.rng.random_range(12..34) {
        time += scribe.rng.random_range(0..25);
        let api = *choose_weighted(&mut scribe.rng, DEPLOY);
        scribe.call(&session, api, HOME, time);
    }
}

/// The nightly posture scan: a role of the security account assumes one in each account.
fn scan(account: &'static Account, span: Span, scribe: &mut Scribe) {
    const SCANNER: &str = "Boto3/1.40.30 md/Botocore#1.40.30 ua/2.1 os/linux#5.10.240 lang/python#3.12.11 exec-env/AWS_ECS_FARGATE posture-scanner/4.2 Botocore/1.40.30";
    let origin = Origin::direct("100.106.17.21", SCANNER);
    let role = Role::plain(account, "PostureScan");
    let task = ids::spelled(Alphabet::Hex, 32, ids::hash64("posture-scanner"));
    for midnight in span.days() {
        let start = midnight + 3 * HOUR + (account.salt() % 7) as i64 * 300;
        let session = Session::role(&role, "posture-scanner", start, RoleUse::Plain, &origin);
        let shared = Some(ids::random_uuid(&mut scribe.rng));
        let (arn, id, key) = (role.arn(), role.id(), access_key(&session));
        let bound = [
            (Hole::RoleArn, arn.as_str()),
            (Hole::RoleName, role.name.as_str()),
            (Hole::RoleId, id.as_str()),
            (Hole::Session, "posture-scanner"),
            (Hole::Account, account.id),
            (Hole::Asia, key.as_str()),
        ];
        let scanner = Role::plain(&SECURITY, "posture-scanner-task");
        let here = Session::role(&scanner, &task, midnight, RoleUse::Plain, &origin);
        let there = Session::other_account(account, SECURITY.id, &task, &origin);
        let api = scribe.apis.get("sts:AssumeRole");
        for caller in [&here, &there] {
            scribe.push(&Call {
                api,
                session: caller,
                region: HOME,
                time: start,
                fate: Fate::Success,
                bound: &bound,
                shared,
            });
        }
        let mut time = start;
        for _ in 0..110 {
            time += scribe.rng.random_range(0..6);
            let api = *choose_weighted(&mut scribe.rng, SCAN);
            let region = *choose_weighted(&mut scribe.rng, &[(HOME, 4), (SECOND, 1)]);
            scribe.call(&session, api, region, time);
        }
    }
}
