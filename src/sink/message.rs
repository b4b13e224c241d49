//! One finding as a message: body, subject, attributes and the FIFO ids.
//!
//! Owns: SNS's rules for each of them (characters, lengths, what counts as size) and that a message is under the
//! size limit or is not made.
//! Refuses: I/O and the SDK's types.
//! Invariant: text of a log reaches only the JSON body, escaped, and attributes stripped of control characters.

use sha2::{Digest, Sha256};

use super::Shape;
use super::shorten::{self, LeftOut};
use crate::finding::{Finding, FindingId};

/// Longest subject in characters; SNS asks for fewer than 100.
const MAX_SUBJECT: usize = 99;

/// Longest text of an attribute of ours in characters; consumers filter by equality, so longer is of no use.
const MAX_ATTRIBUTE: usize = 256;

/// Longest `MessageGroupId` in characters.
const MAX_GROUP: usize = 128;

/// Data type of a message attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AttributeType {
    Text,
    Number,
}

impl AttributeType {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Text => "String",
            Self::Number => "Number",
        }
    }
}

/// A message attribute, for the filter policies of subscriptions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attribute {
    pub(super) name: &'static str,
    pub(super) kind: AttributeType,
    pub(super) value: String,
}

/// A finding, rendered and small enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) id: FindingId,
    pub(super) body: String,
    pub(super) subject: String,
    pub(super) attributes: Vec<Attribute>,
    /// FIFO: findings of one account stay in order.
    pub(super) group: String,
    /// FIFO: the same version of a finding is dropped by SNS for five minutes.
    pub(super) deduplication: String,
}

impl Message {
    /// Renders a finding in at most `limit` bytes, shortening it if need be; `None` where nothing helps.
    pub(super) fn fit(finding: &Finding, shape: Shape, limit: usize) -> Option<(Self, LeftOut)> {
        let content_hash = finding.content_hash();
        shorten::until(finding, |short, left_out| {
            let body = json_text(&shape.render(short, left_out, &content_hash));
            Some(Self::new(finding, &content_hash, body)).filter(|message| message.size() <= limit)
        })
    }

    pub(super) fn new(finding: &Finding, content_hash: &str, body: String) -> Self {
        Self {
            id: finding.id.clone(),
            body,
            subject: subject(finding),
            attributes: attributes(finding),
            group: group(&finding.account),
            deduplication: deduplication(&finding.id, content_hash),
        }
    }

    /// Bytes that count towards SNS's limit: the body and the attributes' names, types and values. Subject and FIFO
    /// ids are counted too, as AWS does not say that they are free.
    pub(super) fn size(&self) -> usize {
        let attributes = self.attributes.iter().map(|a| a.name.len() + a.kind.as_str().len() + a.value.len());
        let rest = self.subject.len() + self.group.len() + self.deduplication.len();
        self.body.len() + rest + attributes.sum::<usize>()
    }
}

/// JSON text without the two characters that SNS and SQS refuse although JSON allows them; outside of its strings,
/// JSON is ASCII, so an escape can stand for each.
pub(super) fn json_text(value: &serde_json::Value) -> String {
    let text = value.to_string();
    if text.contains(['\u{fffe}', '\u{ffff}']) {
        return text.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff");
    }
    text
}

fn subject(finding: &Finding) -> String {
    let Finding { severity_label, finding_type, account, region, .. } = finding;
    let text = format!("{severity_label} {finding_type} in {account} {region}");
    text.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' }).take(MAX_SUBJECT).collect()
}

fn attributes(finding: &Finding) -> Vec<Attribute> {
    let text = |name, value: &str| {
        let value: String = value.chars().filter(|c| !is_refused(*c)).take(MAX_ATTRIBUTE).collect();
        // SNS refuses an empty value, and with it the message
        (!value.is_empty()).then_some(Attribute { name, kind: AttributeType::Text, value })
    };
    let severity = Attribute { name: "severity", kind: AttributeType::Number, value: finding.severity.to_string() };
    let texts = [
        text("severity_label", finding.severity_label.as_str()),
        text("type", &finding.finding_type),
        text("account", &finding.account),
        text("region", &finding.region),
    ];
    [Some(severity)].into_iter().chain(texts).flatten().collect()
}

fn is_refused(c: char) -> bool {
    c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}')
}

/// Group ids are printable ASCII and never empty.
fn group(account: &str) -> String {
    let text: String = account.chars().filter(char::is_ascii_graphic).take(MAX_GROUP).collect();
    if text.is_empty() { "none".to_owned() } else { text }
}

fn deduplication(id: &FindingId, content_hash: &str) -> String {
    let hash = Sha256::new().chain_update(id.as_str()).chain_update(":").chain_update(content_hash).finalize();
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::sink::sample;

    fn message(finding: &Finding) -> Message {
        Message::fit(finding, Shape::Event, 262_144).expect("fits").0
    }

    #[test]
    fn attributes_are_those_that_filter_policies_need() {
        let attributes = message(&sample::finding(1)).attributes;
        let texts: Vec<_> = attributes.iter().map(|a| (a.name, a.kind.as_str(), a.value.as_str())).collect();
        let expected = [
            ("severity", "Number", "7.5"),
            ("severity_label", "String", "HIGH"),
            ("type", "String", "Persistence:IAMUser/AnomalousBehavior"),
            ("account", "String", "111122223333"),
            ("region", "String", "eu-west-1"),
        ];
        assert_eq!(texts, expected);
    }

    #[test]
    fn untrusted_text_breaks_no_rule_of_sns() {
        let hostile = Finding {
            account: String::new(),
            region: "\u{0}\r\nü".into(),
            finding_type: "🦀\n".repeat(300),
            user_agents: vec!["\u{ffff}\u{0}\"".into()],
            ..sample::finding(1)
        };
        let message = message(&hostile);
        assert!(message.subject.len() <= MAX_SUBJECT && message.subject.chars().all(|c| !c.is_control()));
        assert_eq!(message.group, "none");
        let account = message.attributes.iter().find(|a| a.name == "account");
        assert_eq!(account, None, "an empty value would be refused");
        assert!(message.attributes.iter().all(|a| !a.value.chars().any(is_refused)));
        assert!(!message.body.contains('\u{ffff}'));
        let back: Value = serde_json::from_str(&message.body).expect("valid JSON");
        assert_eq!(back["detail"]["service"]["action"]["awsApiCallAction"]["userAgent"], "\u{ffff}\u{0}\"");
    }

    #[test]
    fn a_large_finding_is_shortened_under_the_limit_attributes_included() {
        let finding = sample::large(10_000);
        let (whole, _) = Message::fit(&finding, Shape::Event, usize::MAX).expect("fits");
        for limit in [262_144, 65_536, 8_192, 5_000] {
            let (message, left_out) = Message::fit(&finding, Shape::Event, limit).expect("fits");
            assert!(message.size() <= limit);
            assert!(!left_out.is_empty());
            assert_eq!(message.deduplication, whole.deduplication, "the version is that of the whole finding");
            serde_json::from_str::<Value>(&message.body).expect("valid JSON");
        }
        assert!(Message::fit(&finding, Shape::Event, 1_024).is_none());
    }

    #[test]
    fn another_version_has_another_deduplication_id() {
        let before = sample::finding(1);
        let after = Finding { count: 4, ..before.clone() };
        assert_eq!(message(&before).deduplication, message(&before).deduplication);
        assert_ne!(message(&before).deduplication, message(&after).deduplication);
        assert_eq!(message(&before).deduplication.len(), 64);
    }
}
