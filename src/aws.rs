//! The one AWS configuration that every adapter shares, and the one reading of what S3 answers.
//!
//! Owns: the credential chain (environment, profile, SSO, container, instance, assumed role) and the endpoint.
//! Refuses: retries of its own; each adapter decides what may be repeated.

use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};

use crate::error::ErrorKind;

/// How long a service may take to begin an answer, and how long the answer may stand still, unless configured otherwise.
pub const DEFAULT_REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Where AWS is and who we are there.
#[derive(Debug, Clone, Default)]
pub struct AwsOptions {
    /// Another endpoint than AWS's (emulators, VPC endpoints); path-style addressing is used then.
    pub endpoint_url: Option<String>,
    /// Region; otherwise from the environment or profile.
    pub region: Option<String>,
    /// Profile of the shared configuration files.
    pub profile: Option<String>,
    /// Role to assume before the first call.
    pub assume_role_arn: Option<String>,
    /// How long a service may take to begin an answer, and how long the answer may stand still; [`DEFAULT_REQUEST_TIMEOUT`]
    /// where not given.
    pub request_timeout: Option<Duration>,
}

/// Region used where neither options nor environment name one: `us-east-1`, as the bucket's true region is
/// answered by S3 itself and an emulator does not care.
const FALLBACK_REGION: &str = "us-east-1";

/// Resolves the credential chain once.
pub async fn load(options: &AwsOptions) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::latest());
    if let Some(url) = &options.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    if let Some(profile) = &options.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(region) = &options.region {
        loader = loader.region(Region::new(region.clone()));
    }
    let config = loader.load().await;
    let config = match config.region() {
        Some(_) => config,
        None => config.into_builder().region(Region::from_static(FALLBACK_REGION)).build(),
    };
    match &options.assume_role_arn {
        Some(arn) => assume_role(config, arn).await,
        None => config,
    }
}

async fn assume_role(base: SdkConfig, arn: &str) -> SdkConfig {
    let provider =
        aws_config::sts::AssumeRoleProvider::builder(arn).session_name("trailhound").configure(&base).build().await;
    base.into_builder()
        .credentials_provider(aws_credential_types::provider::SharedCredentialsProvider::new(provider))
        .build()
}

/// Whether an error code says that the credentials are of no use any more, for this or any other request.
pub fn has_expired(code: &str) -> bool {
    matches!(code, "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" | "RequestExpired")
}

/// What an error code of S3 means for the caller, and what to do next; `None` for one that may pass by itself.
pub fn meaning(code: &str) -> Option<(ErrorKind, &'static str)> {
    Some(match code {
        "NoSuchBucket" => (ErrorKind::NotFound, "check the bucket's name and --region"),
        "NoSuchKey" => (ErrorKind::NotFound, "it was deleted after it was listed"),
        code if has_expired(code) => (ErrorKind::Denied, "the credentials have expired: renew them and run again"),
        "AccessDenied" | "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "AllAccessDisabled" => {
            (ErrorKind::Denied, "the policy that is needed stands in README")
        }
        "PermanentRedirect" | "AuthorizationHeaderMalformed" => {
            (ErrorKind::Usage, "the bucket is in another region: set --region")
        }
        _ => return None,
    })
}
