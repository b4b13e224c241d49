//! The IAM actions that a call needs, which often have another name than its event.
//!
//! Owns: the table `actions.csv`, which names its sources.
//! Invariant: an event that the table does not have needs the action of its own name, below the last part of its source.

use std::sync::LazyLock;

use crate::detect::feature::api;

struct Line {
    source: &'static str,
    event: &'static str,
    actions: Vec<&'static str>,
}

static TABLE: LazyLock<Vec<Line>> = LazyLock::new(|| {
    let text = include_str!("actions.csv");
    text.lines().skip(1).filter(|line| !line.starts_with('#')).map(line_of).collect()
});

fn line_of(line: &'static str) -> Line {
    let mut cells = line.split(',');
    let mut cell = || cells.next().unwrap_or_else(|| panic!("actions.csv: a cell is missing in: {line}"));
    let (source, event, actions) = (cell(), cell(), cell());
    Line { source, event, actions: actions.split(' ').collect() }
}

/// The actions that a call needs, e.g. `s3:ListAllMyBuckets` for S3's `ListBuckets`; none where it needs no permission.
pub fn actions(source: &str, event: &str) -> Vec<String> {
    let source = source.strip_suffix(".amazonaws.com").unwrap_or(source);
    // without the versions that some services put behind the name of an event
    let known = api(source, event);
    let event = undated(known.split_once(':').map_or(event, |(_, operation)| operation));
    let line = TABLE.iter().find(|line| line.source == source && matches(line.event, event));
    let Some(line) = line else {
        return vec![format!("{}:{event}", source.rsplit('.').next().unwrap_or(source))];
    };
    let named = line.actions.iter().filter(|action| **action != "-");
    named
        .map(|action| {
            action.strip_suffix('*').map_or_else(|| (*action).to_owned(), |prefix| format!("{prefix}{event}"))
        })
        .collect()
}

/// Without CloudFront's `2020_05_31`.
fn undated(event: &str) -> &str {
    let tail = event.len().saturating_sub(10);
    let is_date = |text: &str| {
        text.bytes()
            .enumerate()
            .all(|(at, byte)| if matches!(at, 4 | 7) { byte == b'_' } else { byte.is_ascii_digit() })
    };
    match event.get(tail..) {
        Some(date) if tail > 0 && is_date(date) => &event[..tail],
        _ => event,
    }
}

/// `*` stands for any text, `?` for one character; as in IAM, case does not matter.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.to_lowercase().chars().collect(), text.to_lowercase().chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => (p, t) = (p + 1, t + 1),
            _ => match &mut star {
                Some((at, taken)) => {
                    *taken += 1;
                    (p, t) = (*at + 1, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_become_the_actions_of_iam() {
        for (source, event, expected) in [
            ("s3.amazonaws.com", "ListBuckets", "s3:ListAllMyBuckets"),
            ("s3.amazonaws.com", "HeadObject", "s3:GetObject"),
            ("s3.amazonaws.com", "CopyObject", "s3:GetObject s3:PutObject"),
            ("s3.amazonaws.com", "GetBucketPolicy", "s3:GetBucketPolicy"),
            ("s3.amazonaws.com", "DeleteBucketPublicAccessBlock", "s3:PutBucketPublicAccessBlock"),
            ("s3.amazonaws.com", "PutAccountPublicAccessBlock", "s3:PutAccountPublicAccessBlock"),
            ("lambda.amazonaws.com", "ListFunctions20150331", "lambda:ListFunctions"),
            ("lambda.amazonaws.com", "UpdateFunctionCode20150331v2", "lambda:UpdateFunctionCode"),
            ("lambda.amazonaws.com", "Invoke", "lambda:InvokeFunction"),
            ("cloudfront.amazonaws.com", "CreateDistribution2020_05_31", "cloudfront:CreateDistribution"),
            ("apigateway.amazonaws.com", "GetRestApis", "apigateway:GET"),
            ("monitoring.amazonaws.com", "PutMetricAlarm", "cloudwatch:PutMetricAlarm"),
            ("email.amazonaws.com", "SendEmail", "ses:SendEmail"),
            ("api.ecr.amazonaws.com", "BatchGetImage", "ecr:BatchGetImage"),
            ("sqs.amazonaws.com", "SendMessageBatch", "sqs:SendMessage"),
            ("apigateway.amazonaws.com", "FlushStageCache", "apigateway:DELETE"),
            ("apigateway.amazonaws.com", "UntagResource", "apigateway:DELETE"),
            ("cloudcontrolapi.amazonaws.com", "CreateResource", "cloudformation:CreateResource"),
            ("glue.amazonaws.com", "DeleteColumnStatisticsForTable", "glue:UpdateTable"),
            ("glue.amazonaws.com", "GetColumnStatisticsForTable", "glue:GetTable"),
            ("kms.amazonaws.com", "ReEncrypt", "kms:ReEncryptFrom kms:ReEncryptTo"),
            ("kms.amazonaws.com", "GenerateDataKeyWithoutPlaintext", "kms:GenerateDataKeyWithoutPlaintext"),
            ("ec2.amazonaws.com", "RunInstances", "ec2:RunInstances"),
            ("sts.amazonaws.com", "GetCallerIdentity", ""),
            ("signin.amazonaws.com", "ConsoleLogin", ""),
        ] {
            assert_eq!(actions(source, event).join(" "), expected, "{source} {event}");
        }
    }

    #[test]
    fn patterns_match_as_in_iam() {
        for (pattern, text, expected) in [
            ("s3:Get*", "s3:GetObject", true),
            ("S3:get*", "s3:GetObject", true),
            ("*", "s3:GetObject", true),
            ("s3:*Object", "s3:GetObject", true),
            ("s3:*Object", "s3:GetObjectAcl", false),
            ("s3:Get?bject", "s3:GetObject", true),
            ("s3:GetObject", "s3:GetObjects", false),
            ("a*b*c", "aXbXbXc", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
