//! Tactic per API: what a call would be for, if an attacker made it.
//!
//! Owns: the table `tactics.csv` (operation patterns -> GuardDuty's AnomalousBehavior classes, and how much is at stake).
//! Refuses: statistics. Invariant: every API has a tactic; the table's last line matches everything.

use std::collections::HashMap;
use std::sync::LazyLock;

/// What a finding type is made of: GuardDuty's eight behavior classes, for IAM and for S3 data events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tactic {
    /// Looking around.
    Discovery,
    /// Sessions and tokens.
    InitialAccess,
    /// Passwords, keys, secrets.
    CredentialAccess,
    /// Logs and alarms switched off.
    DefenseEvasion,
    /// Ways to come back.
    Persistence,
    /// More rights.
    PrivilegeEscalation,
    /// Data leaving.
    Exfiltration,
    /// Deleted, changed, misused.
    Impact,
    /// Looking around in buckets.
    DiscoveryS3,
    /// Objects read.
    ExfiltrationS3,
    /// Objects written.
    ImpactS3Write,
    /// Object permissions changed.
    ImpactS3Permission,
    /// Objects deleted.
    ImpactS3Delete,
}

impl Tactic {
    /// All of them, in their order.
    pub const ALL: [Self; 13] = [
        Self::Discovery,
        Self::InitialAccess,
        Self::CredentialAccess,
        Self::DefenseEvasion,
        Self::Persistence,
        Self::PrivilegeEscalation,
        Self::Exfiltration,
        Self::Impact,
        Self::DiscoveryS3,
        Self::ExfiltrationS3,
        Self::ImpactS3Write,
        Self::ImpactS3Permission,
        Self::ImpactS3Delete,
    ];

    /// The name of the signal that measures its APIs.
    pub fn signal(self) -> &'static str {
        match self {
            Self::Discovery => "api.discovery",
            Self::InitialAccess => "api.initial_access",
            Self::CredentialAccess => "api.credential_access",
            Self::DefenseEvasion => "api.defense_evasion",
            Self::Persistence => "api.persistence",
            Self::PrivilegeEscalation => "api.privilege_escalation",
            Self::Exfiltration => "api.exfiltration",
            Self::Impact => "api.impact",
            Self::DiscoveryS3 => "api.discovery_s3",
            Self::ExfiltrationS3 => "api.exfiltration_s3",
            Self::ImpactS3Write => "api.impact_s3_write",
            Self::ImpactS3Permission => "api.impact_s3_permission",
            Self::ImpactS3Delete => "api.impact_s3_delete",
        }
    }

    fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "Discovery" => Self::Discovery,
            "InitialAccess" => Self::InitialAccess,
            "CredentialAccess" => Self::CredentialAccess,
            "DefenseEvasion" => Self::DefenseEvasion,
            "Persistence" => Self::Persistence,
            "PrivilegeEscalation" => Self::PrivilegeEscalation,
            "Exfiltration" => Self::Exfiltration,
            "Impact" => Self::Impact,
            "Discovery.S3" => Self::DiscoveryS3,
            "Exfiltration.S3" => Self::ExfiltrationS3,
            "Impact.S3.Write" => Self::ImpactS3Write,
            "Impact.S3.Permission" => Self::ImpactS3Permission,
            "Impact.S3.Delete" => Self::ImpactS3Delete,
            _ => return None,
        })
    }

    /// The finding type, as GuardDuty names it.
    pub fn finding_type(self) -> &'static str {
        match self {
            Self::Discovery => "Discovery:IAMUser/AnomalousBehavior",
            Self::InitialAccess => "InitialAccess:IAMUser/AnomalousBehavior",
            Self::CredentialAccess => "CredentialAccess:IAMUser/AnomalousBehavior",
            Self::DefenseEvasion => "DefenseEvasion:IAMUser/AnomalousBehavior",
            Self::Persistence => "Persistence:IAMUser/AnomalousBehavior",
            Self::PrivilegeEscalation => "PrivilegeEscalation:IAMUser/AnomalousBehavior",
            Self::Exfiltration => "Exfiltration:IAMUser/AnomalousBehavior",
            Self::Impact => "Impact:IAMUser/AnomalousBehavior",
            Self::DiscoveryS3 => "Discovery:S3/AnomalousBehavior",
            Self::ExfiltrationS3 => "Exfiltration:S3/AnomalousBehavior",
            Self::ImpactS3Write => "Impact:S3/AnomalousBehavior.Write",
            Self::ImpactS3Permission => "Impact:S3/AnomalousBehavior.Permission",
            Self::ImpactS3Delete => "Impact:S3/AnomalousBehavior.Delete",
        }
    }

    /// What it is for, the same for IAM and S3: the type's first word.
    pub fn purpose(self) -> &'static str {
        self.finding_type().split(':').next().unwrap_or_default()
    }

    /// GuardDuty's default severity of the type: 2 Low, 5 Medium, 8 High.
    pub fn base_severity(self) -> f64 {
        match self {
            Self::Discovery | Self::DiscoveryS3 => 2.0,
            Self::InitialAccess
            | Self::CredentialAccess
            | Self::DefenseEvasion
            | Self::Persistence
            | Self::PrivilegeEscalation
            | Self::ImpactS3Write => 5.0,
            Self::Exfiltration
            | Self::Impact
            | Self::ExfiltrationS3
            | Self::ImpactS3Permission
            | Self::ImpactS3Delete => 8.0,
        }
    }
}

/// What stands behind an API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intent {
    /// Its class.
    pub tactic: Tactic,
    /// 1 reads, 2 changes, 3 what attackers came for.
    pub stake: u8,
}

impl Intent {
    /// Actor-days, of one imagined actor-day, on which an API is used before anybody is known to use it: what changes
    /// much is used by few.
    pub fn base(self) -> f64 {
        match self.stake {
            0 | 1 => 0.5,
            2 => 0.3,
            _ => 0.15,
        }
    }
}

struct Line {
    service: &'static str,
    operation: &'static str,
    intent: Intent,
}

static TABLE: LazyLock<Vec<Line>> = LazyLock::new(|| {
    let text = include_str!("tactics.csv");
    text.lines().skip(1).filter(|line| !line.starts_with('#')).map(line_of).collect()
});

fn line_of(line: &'static str) -> Line {
    let mut cells = line.split(',');
    let mut cell = || cells.next().unwrap_or_else(|| panic!("tactics.csv: a cell is missing in: {line}"));
    let (service, operation, tactic, stake) = (cell(), cell(), cell(), cell());
    let tactic = Tactic::of_name(tactic).unwrap_or_else(|| panic!("tactics.csv: unknown tactic in: {line}"));
    let stake = stake.parse().unwrap_or_else(|_| panic!("tactics.csv: the stake is not a number in: {line}"));
    Line { service, operation, intent: Intent { tactic, stake } }
}

/// The lines that can be about a service that the table names, and those for any other, in the order of the table.
struct Services {
    named: HashMap<&'static str, Vec<&'static Line>>,
    other: Vec<&'static Line>,
}

static SERVICES: LazyLock<Services> = LazyLock::new(|| {
    let is_pattern = |line: &&Line| line.service.contains('*');
    let lines_of = |service| TABLE.iter().filter(|line| matches(line.service, service)).collect();
    let names = TABLE.iter().filter(|line| !is_pattern(line)).map(|line| line.service);
    let named = names.map(|service| (service, lines_of(service))).collect();
    Services { named, other: TABLE.iter().filter(is_pattern).collect() }
});

/// Tactic and stake of an API given as `service:Operation` (see `feature::api`): those of the table's first line that matches.
pub fn intent(api: &str) -> Intent {
    let (service, operation) = api.split_once(':').unwrap_or(("", api));
    let lines = SERVICES.named.get(service).unwrap_or(&SERVICES.other);
    let found = lines.iter().find(|line| matches(line.operation, operation) && matches(line.service, service));
    found.map_or(Intent { tactic: Tactic::Impact, stake: 1 }, |line| line.intent)
}

/// `*` stands for any text, also none.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let head = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(head) else { return false };
    let mut last = None;
    for part in parts {
        if let Some(middle) = last.replace(part) {
            match rest.find(middle) {
                Some(at) => rest = &rest[at + str::len(middle)..],
                None => return false,
            }
        }
    }
    last.map_or(rest.is_empty(), |tail| rest.ends_with(tail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_is_what_the_first_line_that_matches_says() {
        let first = |service: &str, operation: &str| {
            TABLE.iter().find(|line| matches(line.service, service) && matches(line.operation, operation))
        };
        let services = TABLE.iter().map(|line| line.service).chain(["sso-directory", "nobody", ""]);
        for (service, line) in services.flat_map(|service| TABLE.iter().map(move |line| (service, line))) {
            let operation = line.operation.replace('*', "X");
            let expected = first(service, &operation).map(|line| line.intent);
            assert_eq!(
                Some(intent(&format!("{service}:{operation}"))),
                expected.or(Some(Intent { tactic: Tactic::Impact, stake: 1 }))
            );
        }
    }

    #[test]
    fn patterns_match_whole_texts() {
        assert!(matches("Get*Key", "GetTheKey") && matches("*", "") && matches("a", "a"));
        assert!(!matches("Get*Key", "GetTheKeys") && !matches("a", "ab") && !matches("ab*ba", "aba"));
        assert!(matches("Modify*Snapshot*", "ModifyDBSnapshotAttribute"));
    }

    #[test]
    fn tactics_are_guardduty_s_own_for_the_operations_it_names() {
        let types = [
            ("secretsmanager:GetSecretValue", "CredentialAccess:IAMUser/AnomalousBehavior"),
            ("cloudtrail:StopLogging", "DefenseEvasion:IAMUser/AnomalousBehavior"),
            ("ec2:DeleteFlowLogs", "DefenseEvasion:IAMUser/AnomalousBehavior"),
            ("ec2:DescribeInstances", "Discovery:IAMUser/AnomalousBehavior"),
            ("iam:GetRolePolicy", "Discovery:IAMUser/AnomalousBehavior"),
            ("s3:PutBucketReplication", "Exfiltration:IAMUser/AnomalousBehavior"),
            ("ec2:CreateSnapshot", "Exfiltration:IAMUser/AnomalousBehavior"),
            ("ec2:DeleteSecurityGroup", "Impact:IAMUser/AnomalousBehavior"),
            ("s3:PutBucketPolicy", "Impact:IAMUser/AnomalousBehavior"),
            ("ssm:StartSession", "InitialAccess:IAMUser/AnomalousBehavior"),
            ("iam:CreateAccessKey", "Persistence:IAMUser/AnomalousBehavior"),
            ("ec2:ImportKeyPair", "Persistence:IAMUser/AnomalousBehavior"),
            ("iam:PutUserPolicy", "PrivilegeEscalation:IAMUser/AnomalousBehavior"),
            ("s3:ListObjectsV2", "Discovery:S3/AnomalousBehavior"),
            ("s3:GetObject", "Exfiltration:S3/AnomalousBehavior"),
            ("s3:DeleteObjects", "Impact:S3/AnomalousBehavior.Delete"),
        ];
        for (api, finding_type) in types {
            assert_eq!(intent(api).tactic.finding_type(), finding_type, "{api}");
        }
        assert_eq!(intent("no colon").stake, 1);
    }

    #[test]
    fn what_only_reads_is_not_what_attackers_came_for_unless_it_reads_secrets_or_data() {
        let reads = [
            "s3:GetBucketPublicAccessBlock",
            "s3:GetAccountPublicAccessBlock",
            "s3:GetObjectAcl",
            "sso-directory:DescribeUsers",
            "sso-directory:SearchUsers",
            "ses:GetSendQuota",
            "ses:GetAccountSendingEnabled",
        ];
        for api in reads {
            let Intent { tactic, stake } = intent(api);
            assert!(matches!(tactic, Tactic::Discovery | Tactic::DiscoveryS3) && stake < 3, "{api}");
        }
        let changes = ["s3:PutBucketPublicAccessBlock", "s3:DeleteAccountPublicAccessBlock", "ses:SendEmail"];
        assert!(changes.into_iter().all(|api| intent(api) == Intent { tactic: Tactic::Impact, stake: 3 }));
        let secret =
            |line: &&Line| ["secretsmanager", "ec2", "rds*", "redshift", "iam", "ebs", "sts"].contains(&line.service);
        let reading = ["Get", "List", "Describe", "Head", "Search", "BatchGet"];
        let grave = TABLE.iter().filter(|line| line.intent.stake == 3);
        for line in grave.filter(|line| reading.iter().any(|word| line.operation.starts_with(word))) {
            assert!(secret(&line), "{}:{} reads", line.service, line.operation);
        }
    }
}
