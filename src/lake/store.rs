//! Where a lake is: a folder or an S3 prefix, as an object store.
//!
//! Owns: the one object store that table logs, data files and queries share, and its credentials, which come from the
//! same chain as every other AWS call.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use backon::ExponentialBuilder;
use object_store::aws::{AmazonS3Builder, AwsCredential};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{CredentialProvider, ObjectStore, RetryConfig};
use url::Url;

use crate::aws::{self, AwsOptions};
use crate::error::{Error, ErrorKind, Result, chain};

/// An object store, and the place of a lake in it.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The whole store (the file system's root, or the bucket).
    pub store: Arc<dyn ObjectStore>,
    /// URL of the store's root, with a slash at its end.
    pub store_url: Url,
    /// The lake's folder in the store.
    pub prefix: Path,
    /// URL of the lake, with a slash at its end.
    pub url: Url,
}

impl Place {
    /// Resolves a location: `s3://bucket/prefix`, or a folder (made where it is missing).
    pub(super) async fn resolve(location: &str, aws: &AwsOptions) -> Result<Self> {
        match location.split_once("://") {
            Some(("s3", rest)) => s3(location, rest, aws).await,
            Some(("file", rest)) => folder(rest),
            Some((scheme, _)) => Err(Error::new(ErrorKind::Usage, format!("unknown kind of lake {scheme}://"))
                .hint("use a folder or s3://bucket/prefix")),
            None => folder(location),
        }
    }

    /// A folder of a store whose root is `root`.
    pub(super) fn of(store: Arc<dyn ObjectStore>, root: &Url, prefix: &Path) -> Result<Self> {
        let folder = if prefix.as_ref().is_empty() { String::new() } else { format!("{prefix}/") };
        let url = root.join(&folder).map_err(|error| {
            Error::new(ErrorKind::Usage, format!("lake {root}{prefix}: is no prefix")).source(error)
        })?;
        Ok(Self { store, store_url: root.clone(), prefix: prefix.clone(), url })
    }
}

fn folder(location: &str) -> Result<Place> {
    let usage = |what: &str| Error::new(ErrorKind::Usage, format!("lake folder {location}: {what}"));
    let path = std::path::absolute(PathBuf::from(location)).map_err(|error| usage("is not a path").source(error))?;
    let url = Url::from_directory_path(&path).map_err(|()| usage("is not an absolute path"))?;
    let prefix = Path::from_absolute_path(&path).map_err(|error| usage("cannot be stored in").source(error))?;
    let store_url = Url::parse("file:///").map_err(|error| usage("has no root").source(error))?;
    Ok(Place { store: Arc::new(LocalFileSystem::new()), store_url, prefix, url })
}

async fn s3(location: &str, rest: &str, options: &AwsOptions) -> Result<Place> {
    let usage = |what: &str| Error::new(ErrorKind::Usage, format!("lake {location}: {what}"));
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err(usage("the bucket is missing").hint("write s3://bucket/prefix"));
    }
    let config = aws::load(options).await;
    let store = s3_store(bucket, &config, options).map_err(|error| usage("cannot be reached").source(error))?;
    let store_url = Url::parse(&format!("s3://{bucket}/")).map_err(|error| usage("is no bucket").source(error))?;
    let prefix = Path::parse(prefix.trim_end_matches('/')).map_err(|error| usage("is no prefix").source(error))?;
    Place::of(store, &store_url, &prefix)
}

/// How long the store repeats what may succeed the next time, in timeouts of a request.
const RETRIED_FOR: u32 = 6;

fn s3_store(bucket: &str, config: &SdkConfig, options: &AwsOptions) -> object_store::Result<Arc<dyn ObjectStore>> {
    let patience = options.request_timeout.unwrap_or(aws::DEFAULT_REQUEST_TIMEOUT);
    let retry = RetryConfig { retry_timeout: patience * RETRIED_FOR, ..RetryConfig::default() };
    let mut builder = AmazonS3Builder::new().with_bucket_name(bucket).with_retry(retry);
    if let Some(region) = config.region() {
        builder = builder.with_region(region.as_ref());
    }
    if let Some(endpoint) = options.endpoint_url.as_deref().or(config.endpoint_url()) {
        builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
    }
    if let Some(provider) = config.credentials_provider() {
        builder = builder.with_credentials(Arc::new(Credentials(provider)));
    }
    Ok(Arc::new(builder.build()?))
}

/// The SDK's credential chain (which caches and renews) as object_store's.
#[derive(Debug)]
struct Credentials(SharedCredentialsProvider);

#[async_trait]
impl CredentialProvider for Credentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let found = self.0.provide_credentials().await.map_err(|error| object_store::Error::Generic {
            store: "S3",
            source: format!("no AWS credentials: {}", chain(&error)).into(),
        })?;
        Ok(Arc::new(AwsCredential {
            key_id: found.access_key_id().to_owned(),
            secret_key: found.secret_access_key().to_owned(),
            token: found.session_token().map(str::to_owned),
        }))
    }
}

/// Pauses between tries of what the store does not repeat by itself.
pub(super) fn again() -> ExponentialBuilder {
    ExponentialBuilder::default().with_min_delay(Duration::from_millis(200)).with_max_times(3).with_jitter()
}

/// Pauses between tries of what other writers keep overtaking.
pub(super) fn others_first() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(2))
        .with_max_times(12)
        .with_jitter()
}

/// Says what a store's error means for the caller.
pub(super) fn store_error(what: impl Into<String>, error: object_store::Error) -> Error {
    use object_store::Error as E;
    let what = what.into();
    if let Some(error) = answered(&what, &error.to_string()) {
        return error;
    }
    let (kind, hint) = match &error {
        E::NotFound { .. } => (ErrorKind::NotFound, "check the name of the bucket or folder"),
        E::AlreadyExists { .. } | E::Precondition { .. } => {
            (ErrorKind::Conflict, "another writer was first; run again")
        }
        E::PermissionDenied { .. } | E::Unauthenticated { .. } => {
            (ErrorKind::Denied, "check the credentials, their expiry and the policy in README")
        }
        E::Generic { source, .. } if source.to_string().contains("no AWS credentials") => {
            (ErrorKind::Denied, "set AWS_PROFILE or --profile, or sign in again")
        }
        _ if is_full(&chain(&error)) => {
            (ErrorKind::Limit, "the disk is full: make room and run again; what was committed stays")
        }
        _ => (ErrorKind::Unavailable, "run again; what was committed stays"),
    };
    Error::new(kind, what).source(error).hint(hint)
}

/// Whether an error is that of a disk, or a user's share of it, that is full. It reaches us inside others, as text.
pub(super) fn is_full(text: &str) -> bool {
    ["No space left on device", "Disk quota exceeded", "(os error 28)", "(os error 122)"]
        .iter()
        .any(|said| text.contains(said))
}

/// The error that S3 answered with, read out of the text of another error: the store keeps the answer's XML in its
/// text alone. `None` where there is none, or it is one that may pass by itself.
pub(super) fn answered(what: &str, text: &str) -> Option<Error> {
    let tag = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(inner, _)| inner)
    };
    let code = tag("Code")?;
    let (kind, hint) = aws::meaning(code)?;
    let message = tag("Message").unwrap_or_default();
    Some(Error::new(kind, format!("{what}: {code}: {message}")).hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_out_of_the_text_around_them() {
        let text = "Generic S3 error: 400 Bad Request: <Error><Code>ExpiredToken</Code><Message>Too old.</Message>";
        let error = answered("cannot list the lake s3://b/l", text).unwrap();
        assert_eq!(error.kind(), ErrorKind::Denied);
        let said = error.to_string();
        assert!(said.starts_with("cannot list the lake s3://b/l: ExpiredToken: Too old. (") && said.contains("renew"));
        assert!(answered("x", "503: <Error><Code>SlowDown</Code><Message>m</Message>").is_none());
        assert!(answered("x", "<Code>NoSuchBucket").is_none());
    }

    #[tokio::test]
    async fn a_folder_is_resolved_against_the_root() {
        let place = Place::resolve("/data/lake", &AwsOptions::default()).await.unwrap();
        assert_eq!(place.prefix.as_ref(), "data/lake");
        assert_eq!(place.url.as_str(), "file:///data/lake/");
    }

    #[tokio::test]
    async fn other_schemes_and_empty_buckets_are_usage_errors() {
        for location in ["gs://bucket/lake", "s3://", "s3:///lake"] {
            let error = Place::resolve(location, &AwsOptions::default()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{location}");
        }
    }
}
