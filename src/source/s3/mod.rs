//! Objects in a bucket.
//!
//! The SDK repeats a request up to the response's headers, and that each on its own. An object is asked for by a loop of
//! ours instead: it also repeats what fails after the headers (a body that stalls, breaks off or ends early), and all
//! loops share one `patience` with S3.

mod list;

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::StalledStreamProtectionConfig;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::Object;
use backon::{ExponentialBuilder, Retryable};
use bytes::Bytes;
use chrono::DateTime;

use super::ObjectInfo;
use super::described::{Described, lower_case};
use super::listing::{self, ListOptions, Listing};
use super::patience::{Answer, Patience};
use crate::aws::{self, AwsOptions};
use crate::error::{Error, ErrorKind, Result, chain};

/// How often an object is asked for again, whatever was wrong with the answer.
const RETRIES: usize = 4;

/// A prefix of a bucket.
#[derive(Debug, Clone)]
pub struct S3Source {
    client: Client,
    /// Repeats nothing by itself.
    once: Client,
    bucket: String,
    prefix: String,
    patience: Patience,
}

impl S3Source {
    pub(super) async fn open(location: &str, options: &AwsOptions) -> Result<Self> {
        let (bucket, prefix) = location.split_once('/').unwrap_or((location, ""));
        if bucket.is_empty() {
            return Err(Error::new(ErrorKind::Usage, "the source's bucket is missing").hint("write s3://bucket/prefix"));
        }
        Ok(Self { bucket: bucket.to_owned(), prefix: prefix.to_owned(), ..Self::anywhere(options).await })
    }

    /// Every bucket that may be read: objects are fetched by their names, and nothing is listed.
    pub(super) async fn anywhere(options: &AwsOptions) -> Self {
        let shared = aws::load(options).await;
        let timeout = options.request_timeout.unwrap_or(aws::DEFAULT_REQUEST_TIMEOUT);
        let timeouts = TimeoutConfig::builder().connect_timeout(Duration::from_secs(10)).read_timeout(timeout).build();
        let stalled = StalledStreamProtectionConfig::enabled().grace_period(timeout).build();
        let config = aws_sdk_s3::config::Builder::from(&shared)
            .force_path_style(options.endpoint_url.is_some() || shared.endpoint_url().is_some())
            .timeout_config(timeouts)
            .stalled_stream_protection(stalled)
            .build();
        // the SDK would keep to itself how often it was told to slow down
        let once = config.to_builder().retry_config(RetryConfig::disabled()).build();
        let (client, once) = (Client::from_conf(config), Client::from_conf(once));
        let (bucket, prefix, patience) = (String::new(), String::new(), Patience::default());
        Self { client, once, bucket, prefix, patience }
    }

    pub(super) fn list(&self, options: ListOptions) -> Listing {
        let source = self.clone();
        Listing::start(|pages| list::list(source, options, pages))
    }

    pub(super) fn bucket(&self) -> &str {
        &self.bucket
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The full name of a key or prefix.
    pub(super) fn name(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket)
    }

    /// Whether an object of this name is under the source.
    pub(super) fn covers(&self, name: &str) -> bool {
        self.bucket.is_empty() || name.starts_with(&self.name(&self.prefix))
    }

    fn info(&self, key: &str, object: &Object) -> ObjectInfo {
        let modified = object.last_modified().and_then(|time| DateTime::from_timestamp(time.secs(), 0));
        ObjectInfo {
            name: self.name(key),
            bytes: object.size().and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
            version: object.e_tag().unwrap_or_default().trim_matches('"').to_owned(),
            date: listing::day(key, || modified.map(|time| time.date_naive()).unwrap_or_default()),
        }
    }

    pub(super) async fn fetch(&self, object: &ObjectInfo) -> Result<Bytes> {
        let (bucket, key) = split(&object.name)?;
        let get = || self.get(bucket, key, Some(object));
        let result = get.retry(again()).when(Error::is_transient).await.map(|described| described.bytes);
        self.patience.note(&result);
        result
    }

    /// Fetches an object of this or another bucket by its name.
    pub(super) async fn describe(&self, name: &str) -> Result<Described> {
        let (bucket, key) = split(name).unwrap_or((&self.bucket, name));
        (|| self.get(bucket, key, None)).retry(again()).when(Error::is_transient).await
    }

    /// Why no more objects should be asked for.
    pub(super) fn given_up(&self) -> Option<Error> {
        self.patience.ended()
    }

    /// Asks again after all.
    pub(super) fn resume(&self) {
        self.patience.renew();
    }

    /// The folders right below a prefix, and the requests that it took.
    pub(super) async fn folders(&self, prefix: &str) -> Result<(Vec<String>, u64)> {
        let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix).delimiter("/");
        let (mut pages, mut folders, mut requests) = (request.into_paginator().send(), Vec::new(), 0);
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| failed("cannot list", &self.name(prefix), &error))?;
            requests += 1;
            folders.extend(page.common_prefixes().iter().filter_map(|folder| folder.prefix().map(str::to_owned)));
        }
        Ok((folders, requests))
    }

    /// Keys below a prefix, after a key, page by page, until the visitor has enough.
    pub(super) async fn each_page(
        &self,
        prefix: &str,
        after: Option<String>,
        mut visit: impl FnMut(Vec<String>) -> bool,
    ) -> Result<()> {
        let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix).set_start_after(after);
        let mut pages = request.into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| failed("cannot list", &self.name(prefix), &error))?;
            if !visit(page.contents().iter().filter_map(|object| object.key().map(str::to_owned)).collect()) {
                break;
            }
        }
        Ok(())
    }

    /// Size, version and day of an object of which no more than the name is known.
    pub(super) async fn look(&self, name: &str) -> Result<ObjectInfo> {
        let (bucket, key) = split(name)?;
        let look = || async {
            let answer = self.client.head_object().bucket(bucket).key(key).send().await;
            answer.map_err(|error| failed("cannot look at", name, &error))
        };
        let found = look.retry(again()).when(Error::is_transient).await?;
        let modified = found.last_modified().and_then(|time| DateTime::from_timestamp(time.secs(), 0));
        Ok(ObjectInfo {
            name: name.to_owned(),
            bytes: found.content_length().and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
            version: found.e_tag().unwrap_or_default().trim_matches('"').to_owned(),
            date: listing::day(key, || modified.map(|time| time.date_naive()).unwrap_or_default()),
        })
    }

    /// Gets an object once. What was listed of it says how long it is, as long as it is the same version.
    async fn get(&self, bucket: &str, key: &str, listed: Option<&ObjectInfo>) -> Result<Described> {
        let name = format!("s3://{bucket}/{key}");
        self.patience.turn().await;
        let answer = self.once.get_object().bucket(bucket).key(key).send().await;
        self.patience.answered(how(&answer));
        let answer = answer.map_err(|error| {
            if error.code().is_some_and(aws::has_expired) {
                self.patience.end(ErrorKind::Denied, "the credentials have expired".to_owned());
            }
            failed("cannot get", &name, &error)
        })?;
        let broken = |what: String| {
            Error::new(ErrorKind::Unavailable, format!("cannot read {name}: {what}"))
                .hint("run again; it is left for the next run")
        };
        let told = answer.content_length().and_then(|length| u64::try_from(length).ok());
        let version = answer.e_tag().unwrap_or_default().trim_matches('"').to_owned();
        let listed = listed.filter(|object| object.version == version).map(|object| object.bytes);
        let metadata = lower_case(answer.metadata().cloned().unwrap_or_default());
        let body = answer.body.collect().await.map_err(|error| broken(chain(&error)))?.into_bytes();
        match told.into_iter().chain(listed).find(|length| *length != body.len() as u64) {
            Some(length) => Err(broken(format!("{} of {length} bytes came", body.len()))),
            None => Ok(Described { bytes: body, metadata }),
        }
    }
}

/// Whether S3 asks for fewer requests.
fn how<T, E: ProvideErrorMetadata>(answer: &std::result::Result<T, SdkError<E>>) -> Answer {
    let Err(error) = answer else { return Answer::Given };
    let status = error.raw_response().map(|response| response.status().as_u16());
    if matches!(status, Some(429 | 503)) || error.code() == Some("SlowDown") { Answer::SlowDown } else { Answer::Given }
}

/// Bucket and key of a full name.
fn split(name: &str) -> Result<(&str, &str)> {
    let parts = name.strip_prefix("s3://").and_then(|rest| rest.split_once('/'));
    parts.ok_or_else(|| Error::new(ErrorKind::Internal, format!("{name} is not the name of an object in a bucket")))
}

/// Pauses between tries of a request and its answer's body.
fn again() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(10))
        .with_max_times(RETRIES)
        .with_jitter()
}

fn failed<E>(what: &str, name: &str, error: &SdkError<E>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let code = error.code().unwrap_or_default().to_owned();
    let status = error.raw_response().map(|response| response.status().as_u16());
    let (kind, hint) = meaning(&code, status, &chain(error));
    let message = error.message().map_or_else(|| chain(error), |message| format!("{code}: {message}"));
    Error::new(kind, format!("{what} {name}: {message}")).hint(hint)
}

/// What an answer of S3 means for the caller, and what to do next.
fn meaning(code: &str, status: Option<u16>, text: &str) -> (ErrorKind, &'static str) {
    if let Some(meaning) = aws::meaning(code) {
        return meaning;
    }
    match status {
        Some(404) => (ErrorKind::NotFound, "check the bucket's name and --region"),
        Some(401 | 403) => (ErrorKind::Denied, "the policy that is needed stands in README"),
        _ if text.contains("credentials") => (ErrorKind::Denied, "set AWS_PROFILE or --profile, or sign in again"),
        _ => (ErrorKind::Unavailable, "run again; it is left for the next run"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_sorted_by_what_can_be_done() {
        assert_eq!(meaning("SlowDown", Some(503), "").0, ErrorKind::Unavailable);
        assert_eq!(meaning("", None, "dispatch failure: connection reset").0, ErrorKind::Unavailable);
        assert_eq!(meaning("ExpiredToken", Some(400), "").0, ErrorKind::Denied);
        assert_eq!(meaning("AccessDenied", Some(403), "").0, ErrorKind::Denied);
        assert_eq!(meaning("NoSuchBucket", Some(404), "").0, ErrorKind::NotFound);
    }
}
