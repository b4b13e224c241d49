//! An SQS queue whose messages tell of new objects.
//!
//! Owns: receiving, and what becomes of a message: deleted, kept out of sight for longer, or given back.
//! Refuses: to read a message; see `notice`.
//! Invariant: nothing is deleted here that the caller did not say is done.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, QueueAttributeName,
};
use futures::{StreamExt, TryStreamExt};

use crate::aws::{self, AwsOptions};
use crate::error::{Error, ErrorKind, Result, chain};

/// Messages of a request at most.
pub const MAX_BATCH: usize = 10;

/// How long a message stays out of sight where the queue may not be asked: SQS's own default.
const DEFAULT_VISIBILITY: Duration = Duration::from_secs(30);

/// Requests at the same time for many messages.
const CONCURRENCY: usize = 8;

/// How often a request for many messages is repeated for those that failed.
const ATTEMPTS: usize = 3;

/// A queue.
#[derive(Debug, Clone)]
pub struct Queue {
    client: Client,
    url: String,
    visibility: Duration,
    redrives: bool,
}

/// What is done to many messages.
#[derive(Debug, Clone, Copy)]
enum Act {
    Delete,
    Hide(Duration),
}

/// A message that was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The same however often it comes.
    pub id: String,
    /// What this time's deletion needs.
    pub receipt: String,
    /// Body.
    pub body: String,
}

impl Queue {
    /// Connects, in the region that the URL names.
    ///
    /// # Errors
    /// `Usage` for a text that is no URL, `NotFound` where there is no such queue, `Denied` without credentials. Not
    /// being allowed to read the queue's attributes is no error: SQS's defaults are used then.
    pub async fn open(url: &str, options: &AwsOptions) -> Result<Self> {
        if !url.starts_with("https://") && !url.starts_with("http://") {
            return Err(Error::new(ErrorKind::Usage, format!("\"{url}\" is not the URL of a queue"))
                .hint("it looks like https://sqs.REGION.amazonaws.com/ACCOUNT/NAME"));
        }
        let region = region(url).map(str::to_owned).or_else(|| options.region.clone());
        let config = aws::load(&AwsOptions { region, ..options.clone() }).await;
        let client = Client::new(&config);
        let mut queue = Self { client, url: url.to_owned(), visibility: DEFAULT_VISIBILITY, redrives: true };
        queue.read_attributes().await?;
        Ok(queue)
    }

    async fn read_attributes(&mut self) -> Result<()> {
        let request = self.client.get_queue_attributes().queue_url(&self.url);
        let request = request.attribute_names(QueueAttributeName::VisibilityTimeout);
        match request.attribute_names(QueueAttributeName::RedrivePolicy).send().await {
            Ok(answer) => {
                let get = |name| answer.attributes().and_then(|attributes| attributes.get(&name));
                let seconds = get(QueueAttributeName::VisibilityTimeout).and_then(|text| text.parse().ok());
                // zero would show a message to the next worker at once
                self.visibility =
                    seconds.map_or(DEFAULT_VISIBILITY, |seconds: u64| Duration::from_secs(seconds.max(1)));
                self.redrives = get(QueueAttributeName::RedrivePolicy).is_some_and(|policy| !policy.is_empty());
                Ok(())
            }
            Err(error) if refused(&error) => Ok(()),
            Err(error) => Err(self.failed("cannot read the attributes of", &error)),
        }
    }

    /// The queue's URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How long a received message stays out of sight.
    pub fn visibility(&self) -> Duration {
        self.visibility
    }

    /// Whether messages that come again and again end in another queue, as far as is known.
    pub fn redrives(&self) -> bool {
        self.redrives
    }

    /// Receives up to ten messages, waiting for the first.
    ///
    /// # Errors
    /// `NotFound`, `Denied` or `Unavailable`.
    pub async fn receive(&self, wait: Duration) -> Result<Vec<Message>> {
        let request = self.client.receive_message().queue_url(&self.url).max_number_of_messages(MAX_BATCH as i32);
        let request = request.visibility_timeout(seconds(self.visibility)).wait_time_seconds(seconds(wait));
        let answer = request.send().await.map_err(|error| self.failed("cannot receive from", &error))?;
        let messages = answer.messages.unwrap_or_default().into_iter();
        Ok(messages
            .filter_map(|message| {
                let body = message.body.unwrap_or_default();
                Some(Message { id: message.message_id?, receipt: message.receipt_handle?, body })
            })
            .collect())
    }

    /// Deletes messages, and answers how many could not be: they will come again.
    ///
    /// # Errors
    /// `NotFound`, `Denied` or `Unavailable`.
    pub async fn delete(&self, receipts: &[String]) -> Result<usize> {
        self.each(receipts, Act::Delete).await
    }

    /// Keeps messages out of sight for some more time, counted from now; no time gives them back at once. Answers how
    /// many could not be.
    ///
    /// # Errors
    /// `NotFound`, `Denied` or `Unavailable`.
    pub async fn hide(&self, receipts: &[String], time: Duration) -> Result<usize> {
        self.each(receipts, Act::Hide(time)).await
    }

    /// Makes a request for every ten receipts; answers how many failed to the end.
    async fn each(&self, receipts: &[String], act: Act) -> Result<usize> {
        let batches: Vec<Vec<String>> = receipts.chunks(MAX_BATCH).map(<[String]>::to_vec).collect();
        let requests = batches.into_iter().map(|batch| self.clone().some(batch, act));
        let failed = futures::stream::iter(requests).buffer_unordered(CONCURRENCY);
        failed.try_fold(0, |a, b| std::future::ready(Ok(a + b))).await
    }

    /// Makes a request, and again for what failed by the service's fault.
    async fn some(self, mut left: Vec<String>, act: Act) -> Result<usize> {
        for _ in 0..ATTEMPTS {
            let failed = match act {
                Act::Delete => self.delete_some(&left).await?,
                Act::Hide(time) => self.hide_some(&left, time).await?,
            };
            let kept = |index: &usize| failed.iter().any(|entry| entry.id == index.to_string());
            left = (0..left.len()).filter(kept).map(|index| left[index].clone()).collect();
            if failed.iter().all(|entry| entry.sender_fault) {
                break;
            }
        }
        Ok(left.len())
    }

    async fn delete_some(&self, receipts: &[String]) -> Result<Vec<BatchResultErrorEntry>> {
        let entry = |(index, receipt): (usize, &String)| {
            DeleteMessageBatchRequestEntry::builder().id(index.to_string()).receipt_handle(receipt).build()
        };
        let entries = receipts.iter().enumerate().map(entry).collect::<std::result::Result<_, _>>().map_err(built)?;
        let request = self.client.delete_message_batch().queue_url(&self.url).set_entries(Some(entries));
        let answer = request.send().await.map_err(|error| self.failed("cannot delete from", &error))?;
        Ok(answer.failed)
    }

    async fn hide_some(&self, receipts: &[String], time: Duration) -> Result<Vec<BatchResultErrorEntry>> {
        let entry = |(index, receipt): (usize, &String)| {
            let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(index.to_string());
            entry.receipt_handle(receipt).visibility_timeout(seconds(time)).build()
        };
        let entries = receipts.iter().enumerate().map(entry).collect::<std::result::Result<_, _>>().map_err(built)?;
        let request = self.client.change_message_visibility_batch().queue_url(&self.url).set_entries(Some(entries));
        let answer = request.send().await.map_err(|error| self.failed("cannot hold messages of", &error))?;
        Ok(answer.failed)
    }

    fn failed<E>(&self, what: &str, error: &SdkError<E>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let text = chain(error);
        let (kind, hint) = meaning(error.code().unwrap_or_default(), &text);
        let message = error.message().unwrap_or(&text);
        Error::new(kind, format!("{what} the queue {}: {message}", self.url)).hint(hint)
    }
}

fn refused<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    error.code().is_some_and(|code| code.contains("AccessDenied"))
}

fn meaning(code: &str, text: &str) -> (ErrorKind, &'static str) {
    if let Some(meaning) = aws::meaning(code) {
        return meaning;
    }
    if code.contains("NonExistentQueue") || code.contains("QueueDoesNotExist") || code.contains("InvalidAddress") {
        return (ErrorKind::NotFound, "check the queue's URL and the account");
    }
    if code.contains("AccessDenied") || code.contains("InvalidClientTokenId") || text.contains("credentials") {
        return (ErrorKind::Denied, "the policy that is needed stands in README");
    }
    (ErrorKind::Unavailable, "run again; the messages come again")
}

#[expect(clippy::needless_pass_by_value, reason = "the shape of map_err")]
fn built(error: aws_smithy_types::error::operation::BuildError) -> Error {
    Error::new(ErrorKind::Internal, format!("a request to SQS: {error}"))
}

fn seconds(time: Duration) -> i32 {
    i32::try_from(time.as_secs()).unwrap_or(i32::MAX)
}

/// `https://sqs.eu-west-1.amazonaws.com/…` -> eu-west-1
fn region(url: &str) -> Option<&str> {
    let host = url.split("//").nth(1)?.split('/').next()?;
    let mut parts = host.split('.');
    let (first, second) = (parts.next()?, parts.next()?);
    let third = parts.next()?;
    (first == "sqs" && third == "amazonaws").then_some(second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_in_the_region_of_its_url() {
        assert_eq!(region("https://sqs.eu-west-1.amazonaws.com/111122223333/q"), Some("eu-west-1"));
        assert_eq!(region("https://sqs.cn-north-1.amazonaws.com.cn/111122223333/q"), Some("cn-north-1"));
        assert_eq!(region("http://127.0.0.1:4566/000000000000/q"), None);
        assert_eq!(region("http://localhost/q"), None);
    }
}
