//! Objects in a bucket.
//!
//! The SDK repeats a request up to the response's headers; what can fail after them (a body that stalls, breaks off or
//! ends early) is repeated here, together with the request.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::Object;
use backon::{ExponentialBuilder, Retryable};
use bytes::Bytes;
use chrono::{DateTime, NaiveDate};

use super::described::{Described, lower_case};
use super::{Listing, ObjectInfo};
use crate::aws::{self, AwsOptions};
use crate::error::{Error, ErrorKind, Result, chain};

/// How often a GET with its body is repeated, on top of the SDK's own attempts.
const RETRIES: usize = 4;

/// A prefix of a bucket.
#[derive(Debug, Clone)]
pub struct S3Source {
    client: Client,
    bucket: String,
    prefix: String,
}

impl S3Source {
    pub(super) async fn open(location: &str, options: &AwsOptions) -> Result<Self> {
        let (bucket, prefix) = location.split_once('/').unwrap_or((location, ""));
        if bucket.is_empty() {
            return Err(Error::new(ErrorKind::Usage, "the source's bucket is missing").hint("write s3://bucket/prefix"));
        }
        let shared = aws::load(options).await;
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(Duration::from_secs(30))
            .build();
        let config = aws_sdk_s3::config::Builder::from(&shared)
            .force_path_style(options.endpoint_url.is_some() || shared.endpoint_url().is_some())
            .timeout_config(timeouts)
            .build();
        Ok(Self { client: Client::from_conf(config), bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }

    pub(super) async fn list(&self) -> Result<Listing> {
        let mut listing = Listing::default();
        let mut pages = self.client.list_objects_v2().bucket(&self.bucket).prefix(&self.prefix).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.failed("cannot list", &self.prefix, &error))?;
            listing.requests += 1;
            for object in page.contents() {
                let Some(key) = object.key() else { continue };
                listing.note(key, |date| self.info(key, object, date));
            }
        }
        Ok(listing)
    }

    fn info(&self, key: &str, object: &Object, date: Option<NaiveDate>) -> ObjectInfo {
        let modified = object.last_modified().and_then(|time| DateTime::from_timestamp(time.secs(), 0));
        ObjectInfo {
            name: format!("s3://{}/{key}", self.bucket),
            bytes: object.size().and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
            version: object.e_tag().unwrap_or_default().trim_matches('"').to_owned(),
            date: date.or(modified.map(|time| time.date_naive())).unwrap_or_default(),
        }
    }

    pub(super) fn bucket(&self) -> &str {
        &self.bucket
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(super) fn name(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket)
    }

    /// The folders right below a prefix, and the requests that it took.
    pub(super) async fn folders(&self, prefix: &str) -> Result<(Vec<String>, u64)> {
        let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix).delimiter("/");
        let (mut pages, mut folders, mut requests) = (request.into_paginator().send(), Vec::new(), 0);
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.failed("cannot list", prefix, &error))?;
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
            let page = page.map_err(|error| self.failed("cannot list", prefix, &error))?;
            if !visit(page.contents().iter().filter_map(|object| object.key().map(str::to_owned)).collect()) {
                break;
            }
        }
        Ok(())
    }

    pub(super) async fn fetch(&self, object: &ObjectInfo) -> Result<Bytes> {
        let key = object.name.strip_prefix(&format!("s3://{}/", self.bucket)).unwrap_or(&object.name);
        self.again(|| self.get(&self.bucket, key, object.bytes)).await.map(|described| described.bytes)
    }

    /// Fetches an object of this or another bucket by its name.
    pub(super) async fn describe(&self, name: &str) -> Result<Described> {
        let name = name.strip_prefix("s3://").unwrap_or(name);
        let (bucket, key) = name.split_once('/').unwrap_or((&self.bucket, name));
        self.again(|| self.get(bucket, key, 0)).await
    }

    async fn again<F: Future<Output = Result<Described>>>(&self, get: impl FnMut() -> F) -> Result<Described> {
        let policy = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(100))
            .with_max_delay(Duration::from_secs(10))
            .with_max_times(RETRIES)
            .with_jitter();
        get.retry(policy).when(Error::is_transient).await
    }

    async fn get(&self, bucket: &str, key: &str, listed: u64) -> Result<Described> {
        let request = self.client.get_object().bucket(bucket).key(key);
        let answer = request.send().await.map_err(|error| self.failed("cannot get", key, &error))?;
        let broken = |what: String| {
            Error::new(ErrorKind::Unavailable, format!("cannot read s3://{bucket}/{key}: {what}"))
                .hint("run again; it is left for the next run")
        };
        let length = answer.content_length().and_then(|length| u64::try_from(length).ok()).unwrap_or(listed);
        let metadata = lower_case(answer.metadata().cloned().unwrap_or_default());
        let body = answer.body.collect().await.map_err(|error| broken(error.to_string()))?.into_bytes();
        if body.len() as u64 != length {
            return Err(broken(format!("{} of {length} bytes came", body.len())));
        }
        Ok(Described { bytes: body, metadata })
    }

    fn failed<E>(&self, what: &str, key: &str, error: &SdkError<E>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let code = error.code().unwrap_or_default().to_owned();
        let status = error.raw_response().map(|response| response.status().as_u16());
        let (kind, hint) = meaning(&code, status, &chain(error));
        let message = error.message().map_or_else(|| chain(error), |message| format!("{code}: {message}"));
        Error::new(kind, format!("{what} s3://{}/{key}: {message}", self.bucket)).hint(hint)
    }
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
