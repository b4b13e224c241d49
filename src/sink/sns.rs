//! An SNS topic as a sink.
//!
//! Owns: `PublishBatch`, and the reading of its answer: a request that succeeds may still have failed for some of its
//! entries. Entries that the service failed are tried again a few times; those it refused are not.
//! Refuses: sending anything larger than the topic takes (`MaximumMessageSize`, 256 KiB where it may not be read).
//! Invariant: exactly one answer per message, in the order given.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use aws_sdk_sns::Client;
use aws_sdk_sns::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_sns::operation::publish_batch::PublishBatchOutput;
use aws_sdk_sns::types::{BatchResultErrorEntry, MessageAttributeValue, PublishBatchRequestEntry};
use backon::{BackoffBuilder, ExponentialBuilder};

use super::message::{Attribute, Message};
use super::pack::{Limits, pack};
use super::{Batch, Outcome, Plan, Sent, Shape};
use crate::aws::{self, AwsOptions};
use crate::error::{Error, ErrorKind, Result};
use crate::finding::Finding;

/// Entries of a `PublishBatch` at most.
const MAX_ENTRIES: usize = 10;

/// Bytes of a message, and of a whole batch, where the topic says nothing else.
const DEFAULT_MAX_BYTES: usize = 262_144;

/// Extra tries for entries that failed by the service's fault.
const RETRIES: usize = 4;

/// ARN of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicArn(String);

/// Whether a topic keeps order and drops repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TopicKind {
    Standard,
    Fifo,
}

impl TopicArn {
    /// The ARN's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The region that the topic is in.
    pub fn region(&self) -> &str {
        self.0.split(':').nth(3).unwrap_or_default()
    }

    fn kind(&self) -> TopicKind {
        if self.0.ends_with(".fifo") { TopicKind::Fifo } else { TopicKind::Standard }
    }
}

impl FromStr for TopicArn {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        match parts[..] {
            ["arn", partition, "sns", region, account, name]
                if ![partition, region, account, name].iter().any(|part| part.is_empty()) =>
            {
                Ok(Self(text.to_owned()))
            }
            _ => Err(Error::new(ErrorKind::Usage, format!("\"{text}\" is not the ARN of an SNS topic"))
                .hint("it looks like arn:aws:sns:REGION:ACCOUNT:NAME")),
        }
    }
}

impl fmt::Display for TopicArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which topic, reached how, and what is sent to it.
#[derive(Debug, Clone)]
pub struct SnsOptions {
    /// The topic; its region is the one used, whatever `aws` says.
    pub topic: TopicArn,
    /// Credentials and endpoint.
    pub aws: AwsOptions,
    /// The JSON sent.
    pub shape: Shape,
}

/// A topic, ready to be sent to.
#[derive(Debug, Clone)]
pub struct SnsSink {
    client: Client,
    topic: TopicArn,
    shape: Shape,
    max_bytes: usize,
}

impl SnsSink {
    /// Connects to the topic, with the credentials and endpoint of the options.
    ///
    /// # Errors
    /// Those of [`SnsSink::with_client`].
    pub async fn connect(options: SnsOptions) -> Result<Self> {
        let SnsOptions { topic, aws, shape } = options;
        let config = aws::load(&AwsOptions { region: Some(topic.region().to_owned()), ..aws }).await;
        Self::with_client(Client::new(&config), topic, shape).await
    }

    /// Takes a client as it is and reads how large the topic's messages may be.
    ///
    /// # Errors
    /// `NotFound` where there is no such topic, `Denied` without credentials, `Unavailable` where SNS cannot be
    /// reached. Not being allowed to read the topic's attributes is no error: the default size is used then.
    pub async fn with_client(client: Client, topic: TopicArn, shape: Shape) -> Result<Self> {
        let max_bytes = max_bytes(&client, &topic).await?;
        Ok(Self { client, topic, shape, max_bytes })
    }

    pub(super) fn destination(&self) -> &str {
        self.topic.as_str()
    }

    pub(super) fn plan(&self, findings: &[Finding]) -> Plan {
        plan(findings, self.shape, self.max_bytes)
    }

    pub(super) async fn deliver(&self, Batch(messages): &Batch) -> Result<Vec<Sent>> {
        let mut outcomes = vec![None; messages.len()];
        let mut delays = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(Duration::from_secs(5))
            .with_max_times(RETRIES)
            .with_jitter()
            .build();
        loop {
            let open: Vec<usize> = (0..messages.len()).filter(|index| outcomes[*index].is_none()).collect();
            let answer = match self.request(messages, &open).await {
                Ok(answer) => answer,
                // what an earlier try delivered must be remembered, so the failure is told per finding
                Err(error) if outcomes.iter().any(Option::is_some) => {
                    settle(&mut outcomes, &error.to_string());
                    break;
                }
                Err(error) => return Err(error),
            };
            let retryable = record(&answer, &mut outcomes);
            match delays.next() {
                _ if retryable.is_empty() => break,
                Some(delay) => tokio::time::sleep(delay).await,
                None => {
                    retryable.into_iter().for_each(|(index, reason)| outcomes[index] = Some(failed(reason)));
                    break;
                }
            }
        }
        settle(&mut outcomes, "sns answered nothing for this entry");
        Ok(messages
            .iter()
            .zip(outcomes.into_iter().flatten())
            .map(|(message, outcome)| sent(message, outcome))
            .collect())
    }

    async fn request(&self, messages: &[Message], open: &[usize]) -> Result<PublishBatchOutput> {
        let entries = open.iter().map(|index| entry(*index, &messages[*index], self.topic.kind()));
        let entries = entries.collect::<Result<Vec<_>>>()?;
        let request = self.client.publish_batch().topic_arn(self.topic.as_str());
        let answer = request.set_publish_batch_request_entries(Some(entries)).send().await;
        answer.map_err(|error| service_error(&self.topic, "cannot publish to", error))
    }
}

fn sent(message: &Message, outcome: Outcome) -> Sent {
    Sent { id: message.id.clone(), outcome }
}

fn failed(reason: impl Into<String>) -> Outcome {
    Outcome::Failed { reason: reason.into() }
}

fn settle(outcomes: &mut [Option<Outcome>], reason: &str) {
    for outcome in outcomes.iter_mut().filter(|outcome| outcome.is_none()) {
        *outcome = Some(failed(reason));
    }
}

fn plan(findings: &[Finding], shape: Shape, max_bytes: usize) -> Plan {
    let mut plan = Plan::default();
    let mut messages = Vec::new();
    for finding in findings {
        match Message::fit(finding, shape, max_bytes) {
            Some((message, left_out)) => {
                if !left_out.is_empty() {
                    plan.shortened.push((finding.id.clone(), left_out));
                }
                messages.push(message);
            }
            None => plan.refused.push(Sent {
                id: finding.id.clone(),
                outcome: failed(format!(
                    "does not fit the topic's {max_bytes} bytes even when shortened; raise its MaximumMessageSize"
                )),
            }),
        }
    }
    let sizes: Vec<usize> = messages.iter().map(Message::size).collect();
    let mut messages = messages.into_iter();
    for request in pack(&sizes, Limits { entries: MAX_ENTRIES, bytes: max_bytes }) {
        plan.batches.push(Batch(messages.by_ref().take(request.len()).collect()));
    }
    plan
}

/// Notes what an answer says of each entry and returns those worth another try, with the reason they failed.
fn record(answer: &PublishBatchOutput, outcomes: &mut [Option<Outcome>]) -> BTreeMap<usize, String> {
    let index = |id: &str| id.parse::<usize>().ok().filter(|index| *index < outcomes.len());
    let good: Vec<_> = answer.successful().iter().filter_map(|e| Some((index(e.id()?)?, e.message_id()))).collect();
    let bad: Vec<_> = answer.failed().iter().filter_map(|e| Some((index(e.id())?, e))).collect();
    for (index, message_id) in good {
        outcomes[index] = Some(Outcome::Delivered { message_id: message_id.map(str::to_owned) });
    }
    let mut retryable = BTreeMap::new();
    for (index, entry) in bad {
        if entry.sender_fault() {
            outcomes[index] = Some(failed(reason(entry)));
        } else {
            retryable.insert(index, reason(entry));
        }
    }
    retryable
}

fn reason(entry: &BatchResultErrorEntry) -> String {
    match entry.message() {
        Some(message) => format!("sns answered {}: {message}", entry.code()),
        None => format!("sns answered {}", entry.code()),
    }
}

/// The entry's id is its place in the batch, which is unique and short whatever the finding is called.
fn entry(index: usize, message: &Message, kind: TopicKind) -> Result<PublishBatchRequestEntry> {
    let mut entry =
        PublishBatchRequestEntry::builder().id(index.to_string()).message(&message.body).subject(&message.subject);
    for attribute in &message.attributes {
        entry = entry.message_attributes(attribute.name, attribute_value(attribute)?);
    }
    if kind == TopicKind::Fifo {
        entry = entry.message_group_id(&message.group).message_deduplication_id(&message.deduplication);
    }
    entry.build().map_err(|error| Error::new(ErrorKind::Internal, "cannot build an entry for sns").source(error))
}

fn attribute_value(attribute: &Attribute) -> Result<MessageAttributeValue> {
    let value = MessageAttributeValue::builder().data_type(attribute.kind.as_str()).string_value(&attribute.value);
    value.build().map_err(|error| Error::new(ErrorKind::Internal, "cannot build an attribute for sns").source(error))
}

async fn max_bytes(client: &Client, topic: &TopicArn) -> Result<usize> {
    let answer = client.get_topic_attributes().topic_arn(topic.as_str()).send().await;
    let attributes = match answer {
        Ok(answer) => answer.attributes.unwrap_or_default(),
        Err(error) => {
            let error = service_error(topic, "cannot read the attributes of", error);
            return match error.kind() {
                // whether publishing is allowed is another question, which publishing answers
                ErrorKind::Denied => {
                    tracing::info!(%topic, %error, bytes = DEFAULT_MAX_BYTES, "message size assumed");
                    Ok(DEFAULT_MAX_BYTES)
                }
                _ => Err(error),
            };
        }
    };
    let bytes = attributes.get("MaximumMessageSize").and_then(|text| text.parse().ok());
    Ok(bytes.unwrap_or(DEFAULT_MAX_BYTES))
}

fn service_error<E>(topic: &TopicArn, doing: &str, error: SdkError<E>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let code = error.code().unwrap_or_default();
    let (kind, hint) = classify(code);
    let (kind, hint) = match &error {
        SdkError::ConstructionFailure(_) => (ErrorKind::Denied, "check the credentials and --profile"),
        SdkError::ServiceError(_) => (kind, hint),
        // no credentials at all end here as well; the text tells which
        _ => {
            (ErrorKind::Unavailable, "check the network, the credentials and --endpoint-url; the next run tries again")
        }
    };
    let cause = match error.message() {
        Some(message) if code.is_empty() => message.to_owned(),
        Some(message) => format!("{code}: {message}"),
        None => DisplayErrorContext(&error).to_string(),
    };
    Error::new(kind, format!("{doing} {topic}")).source(cause).hint(hint)
}

/// What an error code of SNS means for the caller.
fn classify(code: &str) -> (ErrorKind, &'static str) {
    match code {
        "NotFound" | "NotFoundException" | "ResourceNotFound" => {
            (ErrorKind::NotFound, "check the ARN given as --sns-topic-arn")
        }
        "AuthorizationError" | "AccessDenied" | "AccessDeniedException" => {
            (ErrorKind::Denied, "allow sns:Publish on the topic to these credentials")
        }
        c if c.starts_with("KMS") => {
            (ErrorKind::Denied, "allow kms:GenerateDataKey and kms:Decrypt on the topic's key")
        }
        "ExpiredToken" | "ExpiredTokenException" | "InvalidClientTokenId" | "SignatureDoesNotMatch" => {
            (ErrorKind::Denied, "renew the credentials")
        }
        c if c.starts_with("Invalid") || c.starts_with("Validation") => {
            (ErrorKind::Usage, "check the ARN given as --sns-topic-arn")
        }
        _ => (ErrorKind::Unavailable, "the findings stay undelivered; the next run sends them"),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_sns::types::PublishBatchResultEntry;

    use super::*;
    use crate::sink::sample;

    fn ids(plan: &Plan) -> Vec<usize> {
        plan.batches.iter().map(|batch| batch.0.len()).collect()
    }

    #[test]
    fn an_arn_is_read_or_refused_with_its_form() {
        let arn: TopicArn = "arn:aws:sns:eu-west-1:111122223333:alerts.fifo".parse().expect("an ARN");
        assert_eq!((arn.region(), arn.kind()), ("eu-west-1", TopicKind::Fifo));
        for text in ["", "alerts", "arn:aws:sqs:eu-west-1:111122223333:q", "arn:aws:sns::1:t", "arn:aws:sns:r:1:t:u"] {
            let error = text.parse::<TopicArn>().expect_err(text);
            assert_eq!(error.kind(), ErrorKind::Usage);
        }
    }

    #[test]
    fn a_plan_holds_every_finding_once() {
        let findings: Vec<_> = (0..25).map(sample::finding).collect();
        let plan = plan(&findings, Shape::Event, DEFAULT_MAX_BYTES);
        assert_eq!(ids(&plan), [10, 10, 5]);
        let planned: Vec<_> = plan.batches.iter().flat_map(Batch::ids).cloned().collect();
        assert_eq!(planned, findings.iter().map(|finding| finding.id.clone()).collect::<Vec<_>>());
        assert!(plan.refused.is_empty() && plan.shortened.is_empty());
    }

    #[test]
    fn a_batch_is_under_the_limit_in_bytes() {
        let findings: Vec<_> = (0..10).map(|n| Finding { sql: "x".repeat(60_000), ..sample::finding(n) }).collect();
        let plan = plan(&findings, Shape::Event, DEFAULT_MAX_BYTES);
        assert_eq!(ids(&plan), [4, 4, 2]);
        for batch in &plan.batches {
            assert!(batch.0.iter().map(Message::size).sum::<usize>() <= DEFAULT_MAX_BYTES);
        }
    }

    #[test]
    fn a_topic_too_small_refuses_by_finding() {
        let plan = plan(&[sample::finding(1)], Shape::Event, 1_024);
        assert!(plan.batches.is_empty());
        assert!(matches!(&plan.refused[0].outcome, Outcome::Failed { reason } if reason.contains("1024 bytes")));
    }

    fn error_entry(id: &str, sender_fault: bool) -> BatchResultErrorEntry {
        let entry = BatchResultErrorEntry::builder().id(id).code("InternalError").sender_fault(sender_fault);
        entry.build().expect("complete")
    }

    #[test]
    fn failures_in_a_good_answer_are_seen_and_sorted_by_fault() {
        let answer = PublishBatchOutput::builder()
            .successful(PublishBatchResultEntry::builder().id("0").message_id("m-0").build())
            .failed(error_entry("1", true))
            .failed(error_entry("2", false))
            .failed(error_entry("99", false))
            .build();
        let mut outcomes = vec![None; 4];
        let retryable = record(&answer, &mut outcomes);
        assert_eq!(outcomes[0], Some(Outcome::Delivered { message_id: Some("m-0".into()) }));
        assert_eq!(outcomes[1], Some(failed("sns answered InternalError")));
        assert_eq!(outcomes[2..], [None, None]);
        assert_eq!(retryable.into_keys().collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn fifo_ids_go_to_fifo_topics_only() {
        let (message, _) = Message::fit(&sample::finding(1), Shape::Event, DEFAULT_MAX_BYTES).expect("fits");
        let standard = entry(0, &message, TopicKind::Standard).expect("complete");
        let fifo = entry(0, &message, TopicKind::Fifo).expect("complete");
        assert_eq!(standard.message_group_id(), None);
        assert_eq!(fifo.message_group_id(), Some("111122223333"));
        assert_eq!(fifo.message_deduplication_id().map(str::len), Some(64));
    }
}
