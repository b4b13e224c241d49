//! User agents, sorted into families.
//!
//! Owns: which program a `userAgent` speaks of, which of them were made for attack or audit, and the habit that the detector
//! counts (`habit`).
//! Refuses: to believe it: an agent is what the caller says. A family tells what was claimed; a change of family is the
//! signal, not the family.
//!
//! The rules are tried from top to bottom and the first that fits counts: what is named inside of another program's
//! agent (Terraform names the SDK for Go, Kali is in that of the AWS CLI) stands before it.

/// A program or group of programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    /// The word in SQL.
    pub name: &'static str,
    /// What it is for.
    pub purpose: Purpose,
}

/// What programs are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Attack, audit or penetration tests, and systems made for them.
    Attack,
    /// Anything else.
    Work,
}

/// How a rule's text has to stand in the agent (in lower case).
#[derive(Debug, Clone, Copy)]
enum Match {
    /// As a word: no letter before or after it.
    Word,
    /// Anywhere.
    Part,
    /// At the beginning, brackets aside.
    Start,
    /// At the end.
    End,
}

use Match::{End, Part, Start, Word};

const ATTACK: &[(&str, Match, &str)] = &[
    ("stratus-red-team", Part, "stratus-red-team"),
    ("pacu", Word, "pacu"),
    ("cloudgoat", Word, "cloudgoat"),
    ("scoutsuite", Part, "scoutsuite"),
    ("scout suite", Part, "scoutsuite"),
    ("prowler", Word, "prowler"),
    ("nuclei", Word, "nuclei"),
    ("trufflehog", Word, "trufflehog"),
    ("cloudfox", Word, "cloudfox"),
    ("enumerate-iam", Part, "enumerate-iam"),
    ("weirdaal", Part, "weirdaal"),
    ("cloudsploit", Word, "cloudsploit"),
    ("cloudmapper", Word, "cloudmapper"),
    ("nimbostratus", Word, "nimbostratus"),
    ("pmapper", Word, "pmapper"),
    ("principalmapper", Word, "pmapper"),
    ("cloud-nuke", Part, "cloud-nuke"),
    ("aws-nuke", Part, "aws-nuke"),
    ("aws_pwn", Part, "aws-pwn"),
    ("endgame", Word, "endgame"),
    ("peirates", Word, "peirates"),
    ("s3scanner", Word, "s3scanner"),
    ("bucketfinder", Word, "bucket-finder"),
    ("quiet-riot", Part, "quiet-riot"),
    ("quietriot", Word, "quiet-riot"),
    ("gitleaks", Word, "gitleaks"),
    ("keyhacks", Word, "keyhacks"),
    ("leonidas", Word, "leonidas"),
    ("metasploit", Word, "metasploit"),
    ("sliver", Word, "sliver"),
    ("sqlmap", Word, "sqlmap"),
    ("nmap", Word, "nmap"),
    ("zgrab", Word, "zgrab"),
    ("masscan", Word, "masscan"),
    ("kali", Word, "kali"),
    ("parrot", Word, "parrot"),
    ("pentoo", Word, "pentoo"),
    ("blackarch", Word, "blackarch"),
];

const WORK: &[(&str, Match, &str)] = &[
    // tools that stand on an SDK and name it
    ("terraform", Word, "terraform"),
    ("opentofu", Word, "opentofu"),
    ("pulumi", Word, "pulumi"),
    ("crossplane", Word, "crossplane"),
    ("ansible", Part, "ansible"),
    ("packer", Word, "packer"),
    ("cloud-custodian", Part, "cloud-custodian"),
    ("c7n", Word, "cloud-custodian"),
    ("steampipe", Word, "steampipe"),
    ("cloudquery", Word, "cloudquery"),
    ("aws-cdk", Part, "cdk"),
    ("cdk", Word, "cdk"),
    ("aws-sam-cli", Part, "sam-cli"),
    ("serverless", Word, "serverless-framework"),
    ("kubernetes", Word, "kubernetes"),
    ("karpenter", Word, "kubernetes"),
    ("aws-ebs-csi-driver", Part, "kubernetes"),
    ("kube", Word, "kubernetes"),
    ("cluster-autoscaler", Part, "kubernetes"),
    ("amazon-ssm-agent", Part, "ssm-agent"),
    ("ssm-agent", Part, "ssm-agent"),
    ("amazon-ecs-agent", Part, "ecs-agent"),
    ("amazon-cloudwatch-agent", Part, "cloudwatch-agent"),
    ("cwagent", Word, "cloudwatch-agent"),
    ("fluent-bit", Part, "fluent-bit"),
    ("s3fs", Word, "s3fs"),
    ("s3 browser", Part, "s3-browser"),
    ("s3browser", Part, "s3-browser"),
    ("cyberduck", Word, "cyberduck"),
    ("winscp", Word, "winscp"),
    ("cloudberry", Word, "cloudberry"),
    ("rclone", Word, "rclone"),
    ("s3cmd", Word, "s3cmd"),
    ("s5cmd", Word, "s5cmd"),
    ("minio", Word, "minio"),
    ("restic", Word, "restic"),
    ("hadoop", Word, "hadoop"),
    ("spark", Word, "spark"),
    ("trailhound", Word, "trailhound"),
    // AWS on somebody's behalf
    ("cloudformation", Word, "cloudformation"),
    ("s3console", Part, "console"),
    ("console.", Part, "console"),
    ("consolefrontend", Part, "console"),
    ("console", Word, "console"),
    ("signin.amazonaws.com", Part, "console"),
    ("cloudshell", Part, "cloudshell"),
    ("aws internal", Start, "aws-internal"),
    ("aws-internal", Part, "aws-internal"),
    ("coral/", Start, "aws-internal"),
    (".amazonaws.com", End, "aws-internal"),
    (".amazonaws.com.cn", End, "aws-internal"),
    (".amazon.com", End, "aws-internal"),
    // AWS's own clients
    ("aws-cli", Part, "aws-cli"),
    ("awspowershell", Part, "powershell"),
    ("aws.tools", Part, "powershell"),
    ("aws-toolkit", Part, "aws-toolkit"),
    ("boto3", Word, "boto3"),
    ("aiobotocore", Word, "boto3"),
    ("botocore", Word, "botocore"),
    ("boto", Word, "boto"),
    ("aws-sdk-go", Part, "sdk-go"),
    ("aws-sdk-java", Part, "sdk-java"),
    ("aws-sdk-kotlin", Part, "sdk-kotlin"),
    ("aws-sdk-js", Part, "sdk-js"),
    ("aws-sdk-nodejs", Part, "sdk-js"),
    ("aws-sdk-react-native", Part, "sdk-js"),
    ("aws-sdk-php", Part, "sdk-php"),
    ("aws-sdk-ruby", Part, "sdk-ruby"),
    ("aws-sdk-rust", Part, "sdk-rust"),
    ("aws-sdk-dotnet", Part, "sdk-.net"),
    ("aws-sdk-net", Part, "sdk-.net"),
    ("aws-sdk-cpp", Part, "sdk-cpp"),
    ("aws-sdk-swift", Part, "sdk-swift"),
    ("aws-sdk-ios", Part, "sdk-swift"),
    ("aws-sdk-android", Part, "sdk-kotlin"),
    ("amplify", Part, "sdk-js"),
    // programs for anything
    ("mozilla/", Start, "browser"),
    ("opera/", Start, "browser"),
    ("curl/", Start, "curl"),
    ("wget/", Start, "curl"),
    ("postman", Word, "postman"),
    ("python-requests", Part, "python"),
    ("python-urllib", Part, "python"),
    ("aiohttp", Word, "python"),
    ("python/", Start, "python"),
    ("go-http-client", Part, "go"),
    ("apache-httpclient", Part, "java"),
    ("java/", Start, "java"),
    ("okhttp", Part, "java"),
    ("axios", Word, "node"),
    ("node-fetch", Part, "node"),
    ("powershell", Part, "powershell"),
];

/// The family of an agent nobody knows.
const OTHER: Family = Family { name: "other", purpose: Purpose::Work };

/// The family of an agent; `None` where it is empty.
pub fn family(agent: &str) -> Option<Family> {
    let agent = agent.trim().trim_matches(['[', ']']);
    if agent.is_empty() {
        return None;
    }
    let agent = agent.to_ascii_lowercase();
    let find = |rules: &'static [(&str, Match, &'static str)], purpose| {
        let rule = rules.iter().find(|(text, how, _)| fits(&agent, text, *how))?;
        Some(Family { name: rule.2, purpose })
    };
    Some(find(ATTACK, Purpose::Attack).or_else(|| find(WORK, Purpose::Work)).unwrap_or(OTHER))
}

fn fits(agent: &str, text: &str, how: Match) -> bool {
    match how {
        Start => agent.starts_with(text),
        End => agent.ends_with(text),
        Part => agent.contains(text),
        Word => agent.match_indices(text).any(|(at, _)| is_word(agent, at, text.len())),
    }
}

fn is_word(agent: &str, at: usize, length: usize) -> bool {
    let letter = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphabetic);
    let bytes = agent.as_bytes();
    !letter(at.checked_sub(1).and_then(|before| bytes.get(before))) && !letter(bytes.get(at + length))
}

/// What [`habit`] knows: tools by a mark in the user agent; the first match wins, so the tool stands before the SDK it is built on.
const TOOLS: [(&str, &str); 26] = [
    ("terraform", "terraform"),
    ("pulumi", "pulumi"),
    ("aws-cdk", "aws-cdk"),
    ("ansible", "ansible"),
    ("cloudformation", "cloudformation"),
    ("pacu", "pacu"),
    ("scoutsuite", "scoutsuite"),
    ("prowler", "prowler"),
    ("stratus", "stratus"),
    ("steampipe", "steampipe"),
    ("s3 browser", "s3-browser"),
    ("cyberduck", "cyberduck"),
    ("rclone", "rclone"),
    ("datadog", "datadog"),
    ("ssm-agent", "ssm-agent"),
    ("aws-cli", "aws-cli"),
    ("boto", "boto"),
    ("aws-sdk-go", "aws-sdk-go"),
    ("aws-sdk-java", "aws-sdk-java"),
    ("aws-sdk-js", "aws-sdk-js"),
    ("aws-sdk-nodejs", "aws-sdk-js"),
    ("aws-sdk-rust", "aws-sdk-rust"),
    ("aws-sdk-dotnet", "aws-sdk-dotnet"),
    ("s3console", "console"),
    ("console.amazonaws.com", "console"),
    ("mozilla/", "browser"),
];

/// Operating systems, those made for attack first.
const SYSTEMS: [(&str, &str); 10] = [
    ("kali", "kali"),
    ("parrot", "parrot"),
    ("pentoo", "pentoo"),
    ("android", "android"),
    ("windows", "windows"),
    ("darwin", "macos"),
    ("macos", "macos"),
    ("mac os", "macos"),
    ("linux", "linux"),
    ("amzn", "linux"),
];

/// A caller's habit: tool and operating system without versions, so that an update is not a new habit. An AWS service calling
/// for somebody is `aws-service`; an unknown agent is its first product name; `None` where there is no name in it.
///
/// It is not [`family`], which answers whose program it is: here the system counts too (the same tool on Kali is another habit),
/// unknown programs are told apart, and SDKs and services are taken together where one program uses several. Baselines count
/// these values over months, so that a word changed here is a new habit of everybody: it needs a new `feature::VERSION`, while
/// families may grow.
pub fn habit(agent: &str) -> Option<String> {
    let text = agent.to_ascii_lowercase();
    if text.ends_with(".amazonaws.com") && !text.contains(' ') || text == "aws internal" {
        return Some("aws-service".to_owned());
    }
    let find = |table: &[(&str, &'static str)]| table.iter().find(|(mark, _)| text.contains(mark)).map(|entry| entry.1);
    let tool = find(&TOOLS).map_or_else(|| product(&text), |tool| Some(tool.to_owned()));
    match (tool, find(&SYSTEMS)) {
        (tool, None) => tool,
        (tool, Some(system)) => Some(format!("{} {system}", tool.as_deref().unwrap_or("(none)"))),
    }
}

/// First product name, without version and digits, at most 24 characters: unknown agents must not be unbounded.
fn product(text: &str) -> Option<String> {
    let head = text.trim_start_matches('[').split(['/', ' ', ';', '(', ']', ',']).next().unwrap_or_default();
    let name: String = head.chars().filter(|c| !c.is_ascii_digit()).take(24).collect();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_as_they_are_in_logs() {
        for (agent, name) in [
            (
                "APN/1.0 HashiCorp/1.0 Terraform/1.1.2 (+https://www.terraform.io) terraform-provider-aws/3.70 aws-sdk-go/1.42",
                "terraform",
            ),
            ("[aws-cli/2.2.16 Python/3.8.8 Darwin/20.5.0 exe/x86_64 prompt/off command/s3.sync]", "aws-cli"),
            ("aws-cli/2.15.0 md/awscrt#0.19 ua/2.0 os/linux#6.5.0-kali3-amd64 md/arch#x86_64", "kali"),
            ("Boto3/1.26.165 Python/3.10.6 Linux/5.19.0-46-generic Botocore/1.29.165", "boto3"),
            ("Botocore/1.29.165 Python/3.10", "botocore"),
            ("Boto3/1.9 Python/3.6 Linux/4.15.0-parrot Botocore/1.12", "parrot"),
            ("console.ec2.amazonaws.com", "console"),
            ("[S3Console/0.4, aws-internal/3 aws-sdk-java/1.12.488 Linux/5.10.184]", "console"),
            ("EC2ConsoleFrontend, aws-internal/3 aws-sdk-java/1.11.1030", "console"),
            ("AWS CloudWatch Console", "console"),
            ("AWS Internal", "aws-internal"),
            ("delivery.logs.amazonaws.com", "aws-internal"),
            ("aws-internal/3 aws-sdk-java/1.11.1030 Linux/4.9.266", "aws-internal"),
            ("Coral/Jakarta", "aws-internal"),
            ("cloudformation.amazonaws.com", "cloudformation"),
            ("stratus-red-team_39f95f43-cd2f-4beb-b69e-be60b6fe1f57", "stratus-red-team"),
            ("aws-sdk-go/1.41.4 (go1.18.3; linux; amd64) amazon-ssm-agent/", "ssm-agent"),
            ("aws-sdk-go-v2/1.17.3 os/linux lang/go#1.19", "sdk-go"),
            ("aws-sdk-nodejs/2.1 linux/v16", "sdk-js"),
            ("aws-sdk-dotnet-coreclr/3.7.0 .NET/6", "sdk-.net"),
            ("[S3 Browser/10.8.1 (https://s3browser.com)]", "s3-browser"),
            ("rclone/v1.62.2", "rclone"),
            ("Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:102.0) Gecko/20100101 Firefox/102.0", "browser"),
            ("Apache-HttpClient/UNAVAILABLE (Java/1.8.0_252)", "java"),
            ("something new", "other"),
            // no word of its own
            ("pacuare/1.0", "other"),
            ("compacus", "other"),
        ] {
            assert_eq!(family(agent).map(|family| family.name), Some(name), "{agent}");
        }
        assert_eq!(family(""), None);
        assert_eq!(family("[]"), None);
    }

    #[test]
    fn tools_of_attack_are_told() {
        let purpose = |agent| family(agent).map(|family| family.purpose);
        assert_eq!(purpose("Boto3/1 Pacu/1.5"), Some(Purpose::Attack));
        assert_eq!(purpose("aws-cli/2"), Some(Purpose::Work));
    }

    #[test]
    fn habits_lose_versions_and_keep_tool_and_system() {
        let cli = "aws-cli/2.15.0 Python/3.11.6 Linux/6.5.0-kali3-amd64 exe/x86_64 prompt/off";
        for (agent, expected) in [
            (cli, Some("aws-cli kali")),
            ("Boto3/1.34 md/Botocore#1.34 os/macos#23", Some("boto macos")),
            ("ec2.amazonaws.com", Some("aws-service")),
            ("[S3Console/0.4, aws-internal/3]", Some("console")),
            ("weird2000/9.9", Some("weird")),
            ("/ linux", Some("(none) linux")),
            ("///", None),
        ] {
            assert_eq!(habit(agent).as_deref(), expected, "{agent}");
        }
    }
}
