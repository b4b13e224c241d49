//! The synthetic organization: accounts, people, and what each kind of person does all day.
//!
//! Owns: every name and address of the organization; all of them are fictional, the addresses from ranges that are
//! reserved for documentation or for carrier networks.
//! Invariant: nothing here depends on the seed; the seed decides what happens, not who exists.

/// A region's name.
pub type Region = &'static str;

/// Region that the organization lives in.
pub const HOME: Region = "eu-west-1";
/// Region of its second, smaller site, and of global services.
pub const SECOND: Region = "us-east-1";
/// Id of the organization.
pub const ORGANIZATION: &str = "o-f3rnw00d42";
/// Identity store behind IAM Identity Center.
pub const IDENTITY_STORE: &str = "arn:aws:identitystore::111122223333:identitystore/d-9367a1b2c3";

/// An account.
#[derive(Debug, PartialEq, Eq)]
pub struct Account {
    /// Twelve digits.
    pub id: &'static str,
    /// Short name, part of the names of its resources.
    pub name: &'static str,
}

impl Account {
    /// Number that makes the ids of this account's resources differ from those of the others.
    pub fn salt(&self) -> u64 {
        self.id.parse().unwrap_or_default()
    }
}

/// Pays the bills, and holds the organization and IAM Identity Center.
pub const MANAGEMENT: Account = Account { id: "111122223333", name: "management" };
/// Keeps the logs and watches the others.
pub const SECURITY: Account = Account { id: "222233334444", name: "security" };
/// The shop.
pub const PROD: Account = Account { id: "333344445555", name: "prod" };
/// Rehearsal of the shop.
pub const STAGING: Account = Account { id: "444455556666", name: "staging" };
/// Where the shop is built.
pub const DEV: Account = Account { id: "555566667777", name: "dev" };
/// All accounts, by id.
pub static ACCOUNTS: [&Account; 5] = [&MANAGEMENT, &SECURITY, &PROD, &STAGING, &DEV];

/// APIs with how often each is called in comparison.
pub type Habit = &'static [(&'static str, u32)];

/// A kind of person.
#[derive(Debug)]
pub struct Persona {
    /// Permission set of IAM Identity Center.
    pub permission_set: &'static str,
    /// Accounts with how often each is visited.
    pub accounts: &'static [(&'static Account, u32)],
    /// Calls on a working day, on average.
    pub calls: u32,
    /// Of ten sessions, how many are in the web console.
    pub console: u32,
    /// What they call.
    pub habit: Habit,
    /// What they try now and then and may not do.
    pub denied: &'static [&'static str],
}

/// Keeps the platform running.
pub static PLATFORM: Persona = Persona {
    permission_set: "PlatformEngineer",
    accounts: &[(&PROD, 5), (&STAGING, 4), (&DEV, 3), (&SECURITY, 1)],
    calls: 110,
    console: 3,
    habit: &[
        ("ec2:DescribeInstances", 30),
        ("ec2:DescribeSecurityGroups", 14),
        ("ec2:DescribeVpcs", 8),
        ("ec2:DescribeSubnets", 9),
        ("ec2:DescribeVolumes", 6),
        ("ec2:DescribeLaunchTemplates", 5),
        ("ec2:DescribeLaunchTemplateVersions", 4),
        ("ec2:CreateTags", 3),
        ("ec2:AuthorizeSecurityGroupIngress", 2),
        ("ec2:RevokeSecurityGroupIngress", 1),
        ("autoscaling:DescribeAutoScalingGroups", 12),
        ("autoscaling:UpdateAutoScalingGroup", 2),
        ("elasticloadbalancing:DescribeLoadBalancers", 9),
        ("elasticloadbalancing:DescribeTargetHealth", 11),
        ("ecs:DescribeServices", 16),
        ("ecs:ListTasks", 9),
        ("ecs:DescribeTasks", 9),
        ("ecs:UpdateService", 3),
        ("cloudformation:DescribeStacks", 14),
        ("cloudformation:DescribeStackEvents", 10),
        ("cloudformation:CreateChangeSet", 3),
        ("cloudformation:ExecuteChangeSet", 2),
        ("monitoring:DescribeAlarms", 12),
        ("monitoring:GetMetricData", 15),
        ("logs:FilterLogEvents", 9),
        ("logs:DescribeLogGroups", 7),
        ("rds:DescribeDBInstances", 8),
        ("iam:GetRole", 8),
        ("iam:ListAttachedRolePolicies", 5),
        ("iam:GetPolicyVersion", 4),
        ("iam:ListRoles", 3),
        ("iam:PutRolePolicy", 1),
        ("iam:AttachRolePolicy", 1),
        ("iam:CreateRole", 1),
        ("ssm:StartSession", 4),
        ("ssm:TerminateSession", 3),
        ("ssm:DescribeInstanceInformation", 3),
        ("ssm:GetParameter", 6),
        ("route53:ListResourceRecordSets", 3),
        ("acm:DescribeCertificate", 2),
        ("s3:ListBuckets", 4),
        ("s3:GetBucketPolicy", 3),
        ("kms:DescribeKey", 3),
        ("sts:GetCallerIdentity", 10),
        ("wafv2:GetWebACL", 2),
    ],
    denied: &["organizations:ListPolicies", "guardduty:ArchiveFindings"],
};

/// Writes the shop's software.
pub static DEVELOPER: Persona = Persona {
    permission_set: "Developer",
    accounts: &[(&DEV, 6), (&STAGING, 3), (&PROD, 1)],
    calls: 80,
    console: 5,
    habit: &[
        ("logs:FilterLogEvents", 22),
        ("logs:DescribeLogGroups", 14),
        ("logs:DescribeLogStreams", 12),
        ("logs:GetLogEvents", 14),
        ("logs:StartQuery", 5),
        ("logs:GetQueryResults", 9),
        ("lambda:GetFunction20150331v2", 12),
        ("lambda:ListFunctions20150331", 8),
        ("lambda:UpdateFunctionCode20150331v2", 6),
        ("lambda:UpdateFunctionConfiguration20150331v2", 2),
        ("lambda:PublishVersion20150331", 2),
        ("dynamodb:DescribeTable", 9),
        ("dynamodb:ListTables", 6),
        ("sqs:ListQueues", 5),
        ("sqs:GetQueueAttributes", 6),
        ("sns:ListTopics", 3),
        ("s3:ListBuckets", 5),
        ("s3:ListObjects", 5),
        ("s3:GetObject", 8),
        ("s3:PutObject", 3),
        ("ecr:DescribeRepositories", 4),
        ("ecr:GetAuthorizationToken", 6),
        ("ecr:DescribeImages", 4),
        ("ecs:DescribeServices", 7),
        ("ecs:ListServices", 5),
        ("ecs:DescribeTaskDefinition", 4),
        ("cloudformation:DescribeStacks", 9),
        ("cloudformation:DescribeStackEvents", 7),
        ("cloudformation:UpdateStack", 1),
        ("ssm:GetParameter", 5),
        ("secretsmanager:ListSecrets", 2),
        ("secretsmanager:GetSecretValue", 2),
        ("apigateway:GetRestApis", 4),
        ("apigateway:GetStages", 2),
        ("xray:GetTraceSummaries", 4),
        ("monitoring:GetMetricData", 8),
        ("states:ListStateMachines", 2),
        ("states:DescribeExecution", 3),
        ("events:ListRules", 2),
        ("codebuild:BatchGetBuilds", 4),
        ("sts:GetCallerIdentity", 7),
    ],
    denied: &["iam:CreateRole", "iam:ListUsers", "rds:DescribeDBSnapshots", "kms:ListKeys"],
};

/// Answers questions with data.
pub static ANALYST: Persona = Persona {
    permission_set: "DataAnalyst",
    accounts: &[(&PROD, 1)],
    calls: 90,
    console: 6,
    habit: &[
        ("athena:StartQueryExecution", 16),
        ("athena:GetQueryExecution", 30),
        ("athena:GetQueryResults", 15),
        ("athena:ListWorkGroups", 5),
        ("athena:GetWorkGroup", 6),
        ("athena:ListQueryExecutions", 4),
        ("glue:GetDatabases", 9),
        ("glue:GetTables", 12),
        ("glue:GetTable", 14),
        ("glue:GetPartitions", 8),
        ("glue:StartJobRun", 1),
        ("glue:GetJobRun", 2),
        ("s3:ListBuckets", 4),
        ("s3:ListObjects", 7),
        ("s3:GetObject", 14),
        ("s3:PutObject", 2),
        ("sagemaker:ListTrainingJobs", 2),
        ("sts:GetCallerIdentity", 3),
    ],
    denied: &["s3:GetBucketPolicy", "rds:DescribeDBInstances", "kms:Decrypt"],
};

/// Looks for trouble, and is paid for it.
pub static AUDITOR: Persona = Persona {
    permission_set: "SecurityAudit",
    accounts: &[(&SECURITY, 6), (&PROD, 2), (&MANAGEMENT, 1), (&STAGING, 1), (&DEV, 1)],
    calls: 85,
    console: 5,
    habit: &[
        ("securityhub:GetFindings", 18),
        ("securityhub:DescribeHub", 4),
        ("securityhub:BatchUpdateFindings", 4),
        ("guardduty:ListDetectors", 5),
        ("guardduty:ListFindings", 14),
        ("guardduty:GetFindings", 16),
        ("guardduty:ArchiveFindings", 2),
        ("cloudtrail:LookupEvents", 16),
        ("cloudtrail:DescribeTrails", 7),
        ("cloudtrail:GetTrailStatus", 6),
        ("cloudtrail:GetEventSelectors", 3),
        ("config:DescribeConfigRules", 6),
        ("config:SelectResourceConfig", 5),
        ("config:GetComplianceDetailsByConfigRule", 7),
        ("access-analyzer:ListFindingsV2", 6),
        ("access-analyzer:ListAnalyzers", 3),
        ("inspector2:ListFindings", 6),
        ("iam:GetCredentialReport", 3),
        ("iam:GenerateCredentialReport", 2),
        ("iam:GetAccountSummary", 3),
        ("iam:ListUsers", 5),
        ("iam:ListAccessKeys", 6),
        ("iam:ListMFADevices", 4),
        ("iam:GetRole", 5),
        ("iam:ListRoles", 3),
        ("iam:GetAccountAuthorizationDetails", 2),
        ("kms:ListKeys", 2),
        ("kms:GetKeyPolicy", 3),
        ("ec2:DescribeSecurityGroups", 5),
        ("ec2:DescribeFlowLogs", 2),
        ("s3:GetBucketAcl", 4),
        ("s3:GetBucketPolicyStatus", 4),
        ("s3:GetBucketPublicAccessBlock", 3),
    ],
    denied: &["s3:GetObject", "secretsmanager:GetSecretValue"],
};

/// Watches the bill.
pub static FINANCE: Persona = Persona {
    permission_set: "Billing",
    accounts: &[(&MANAGEMENT, 1)],
    calls: 30,
    console: 10,
    habit: &[
        ("ce:GetCostAndUsage", 30),
        ("ce:GetCostForecast", 10),
        ("ce:GetDimensionValues", 14),
        ("ce:GetSavingsPlansUtilization", 6),
        ("budgets:DescribeBudgets", 9),
        ("organizations:ListAccounts", 6),
        ("organizations:DescribeOrganization", 5),
        ("health:DescribeEventAggregates", 8),
    ],
    denied: &["ec2:DescribeReservedInstances", "trustedadvisor:ListRecommendations"],
};

/// Answers customers.
pub static SUPPORT: Persona = Persona {
    permission_set: "SupportReadOnly",
    accounts: &[(&PROD, 1)],
    calls: 60,
    console: 9,
    habit: &[
        ("logs:StartQuery", 22),
        ("logs:GetQueryResults", 30),
        ("logs:DescribeLogGroups", 12),
        ("logs:FilterLogEvents", 12),
        ("monitoring:GetDashboard", 8),
        ("monitoring:ListDashboards", 5),
        ("monitoring:DescribeAlarms", 8),
        ("monitoring:GetMetricData", 14),
        ("dynamodb:DescribeTable", 3),
        ("health:DescribeEventAggregates", 6),
        ("sqs:GetQueueAttributes", 5),
    ],
    denied: &["dynamodb:UpdateTable", "s3:GetObject"],
};

/// A person.
#[derive(Debug)]
pub struct Person {
    /// User name in IAM Identity Center.
    pub email: &'static str,
    /// What they do.
    pub persona: &'static Persona,
    /// Address at home.
    pub home: &'static str,
    /// Hours that their clock is ahead of UTC.
    pub offset: i64,
}

const fn person(email: &'static str, persona: &'static Persona, home: &'static str, offset: i64) -> Person {
    Person { email, persona, home, offset }
}

/// Everybody, in the order of their names' first letters by team.
pub static PEOPLE: [Person; 25] = [
    person("aoife.brennan@fernwood.example", &PLATFORM, "100.66.12.40", 0),
    person("bram.devries@fernwood.example", &PLATFORM, "100.70.3.118", 1),
    person("carla.nunes@fernwood.example", &PLATFORM, "100.81.200.9", 0),
    person("dmitri.ivanov@fernwood.example", &PLATFORM, "100.92.41.77", 2),
    person("elena.rossi@fernwood.example", &DEVELOPER, "100.71.18.33", 1),
    person("femi.adeyemi@fernwood.example", &DEVELOPER, "100.66.90.201", 0),
    person("greta.lindqvist@fernwood.example", &DEVELOPER, "100.75.64.12", 1),
    person("hiro.tanaka@fernwood.example", &DEVELOPER, "100.66.31.150", 0),
    person("ines.moreau@fernwood.example", &DEVELOPER, "100.79.7.88", 1),
    person("jack.ohara@fernwood.example", &DEVELOPER, "100.66.140.5", 0),
    person("katya.novak@fernwood.example", &DEVELOPER, "100.84.22.61", 1),
    person("liam.walsh@fernwood.example", &DEVELOPER, "100.66.77.14", 0),
    person("maya.cohen@fernwood.example", &DEVELOPER, "100.95.118.23", 2),
    person("noah.schmidt@fernwood.example", &ANALYST, "100.73.55.90", 1),
    person("olivia.byrne@fernwood.example", &ANALYST, "100.66.203.71", 0),
    person("pavel.horak@fernwood.example", &ANALYST, "100.84.61.130", 1),
    person("quinn.murphy@fernwood.example", &ANALYST, "100.66.18.244", 0),
    person("rania.haddad@fernwood.example", &AUDITOR, "100.97.30.17", 2),
    person("sean.kelly@fernwood.example", &AUDITOR, "100.66.54.99", 0),
    person("tess.janssen@fernwood.example", &AUDITOR, "100.70.211.6", 1),
    person("ursula.weber@fernwood.example", &FINANCE, "100.73.9.182", 1),
    person("victor.ryan@fernwood.example", &FINANCE, "100.66.162.38", 0),
    person("wendy.clarke@fernwood.example", &SUPPORT, "100.66.119.203", 0),
    person("xavier.roche@fernwood.example", &SUPPORT, "100.79.140.52", 1),
    person("yara.santos@fernwood.example", &SUPPORT, "100.81.77.164", 0),
];

/// Addresses of the office.
pub static OFFICE: [&str; 3] = ["192.0.2.10", "192.0.2.11", "192.0.2.14"];
/// Networks of hotels, trains and telephones, used by whoever travels (and by whoever stole something).
pub static ROAMING: [&str; 2] = ["198.51.100.", "203.0.113."];
/// Browsers.
pub static BROWSERS: [&str; 4] = [
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.4 Safari/605.1.15",
];
/// Command line and program agents of people.
pub static TOOLS: [&str; 5] = [
    "aws-cli/2.31.9 md/awscrt#0.27.6 ua/2.1 os/macos#24.6.0 md/arch#arm64 lang/python#3.13.7 md/pyimpl#CPython cfg/retry-mode#standard md/installer#exe md/prompt#off md/command#ec2.describe-instances",
    "aws-cli/2.28.21 md/awscrt#0.26.1 ua/2.1 os/linux#6.8.0-79-generic md/arch#x86_64 lang/python#3.13.4 md/pyimpl#CPython cfg/retry-mode#standard md/installer#exe md/prompt#off",
    "Boto3/1.40.35 md/Botocore#1.40.35 ua/2.1 os/macos#24.6.0 md/arch#arm64 lang/python#3.12.11 md/pyimpl#CPython cfg/retry-mode#legacy Botocore/1.40.35",
    "APN/1.0 HashiCorp/1.0 Terraform/1.13.3 (+https://www.terraform.io) terraform-provider-aws/6.14.1 (+https://registry.terraform.io/providers/hashicorp/aws) aws-sdk-go-v2/1.39.0 ua/2.1 os/macos lang/go#1.24.6 md/GOOS#darwin md/GOARCH#arm64",
    "[aws-sdk-js/3.888.0 ua/2.1 os/darwin#24.6.0 lang/js md/nodejs#22.19.0 api/lambda#3.888.0]",
];

#[cfg(test)]
mod tests {
    use super::super::catalogue::Catalogue;
    use super::*;
    use std::collections::BTreeSet;
    use std::net::Ipv4Addr;

    #[test]
    fn every_api_of_a_persona_is_in_the_catalogue() {
        let apis = Catalogue::load();
        for persona in PEOPLE.iter().map(|person| person.persona) {
            assert!(persona.habit.iter().all(|(name, _)| name.ends_with(apis.get(name).name)));
            assert!(persona.denied.iter().all(|name| name.ends_with(apis.get(name).name)));
        }
    }

    #[test]
    fn people_are_distinct_and_live_in_reserved_ranges() {
        let emails: BTreeSet<_> = PEOPLE.iter().map(|person| person.email).collect();
        assert_eq!(emails.len(), PEOPLE.len());
        for person in &PEOPLE {
            let [a, b, ..] = person.home.parse::<Ipv4Addr>().expect("an address").octets();
            assert!(a == 100 && (64..128).contains(&b), "{} is not in 100.64.0.0/10 (RFC 6598)", person.home);
        }
    }
}
