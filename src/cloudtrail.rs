//! CloudTrail's API: the public keys that digests are signed with.
//!
//! Owns: the calls, one client per region, and what their errors mean.
//! Refuses: everything but reading keys.

use aws_config::{Region, SdkConfig};
use aws_sdk_cloudtrail::Client;
use aws_sdk_cloudtrail::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_types::DateTime as AwsTime;
use chrono::{DateTime, Utc};

use crate::aws::{self, AwsOptions};
use crate::digest::signature::KeyRing;
use crate::error::{Error, ErrorKind, Result, chain};

/// CloudTrail's API in all regions.
#[derive(Debug, Clone)]
pub struct CloudTrail {
    config: SdkConfig,
}

impl CloudTrail {
    /// Resolves credentials and endpoint; makes no call.
    pub async fn open(options: &AwsOptions) -> Self {
        Self { config: aws::load(options).await }
    }

    /// Keys that digests of a region were signed with between two instants.
    ///
    /// # Errors
    /// `Denied` where `cloudtrail:ListPublicKeys` is not allowed, `Unavailable` where there is no answer, `BadInput` where
    /// an answer holds no RSA key.
    pub async fn public_keys(&self, region: &str, from: DateTime<Utc>, to: DateTime<Utc>) -> Result<KeyRing> {
        let config = aws_sdk_cloudtrail::config::Builder::from(&self.config).region(Region::new(region.to_owned()));
        let client = Client::from_conf(config.build());
        let time = |time: DateTime<Utc>| AwsTime::from_secs(time.timestamp());
        let request = client.list_public_keys().start_time(time(from)).end_time(time(to));
        let mut pages = request.into_paginator().send();
        let mut ring = KeyRing::default();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| failed(region, &error))?;
            for key in page.public_key_list() {
                let Some(value) = key.value() else { continue };
                ring.add(value.as_ref(), key.fingerprint()).map_err(|what| {
                    Error::new(ErrorKind::BadInput, format!("a public key of CloudTrail in {region} is {what}"))
                })?;
            }
        }
        Ok(ring)
    }
}

fn failed<E>(region: &str, error: &SdkError<E>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let code = error.code().unwrap_or_default();
    let (kind, hint) = match code {
        "AccessDenied" | "AccessDeniedException" | "UnrecognizedClientException" | "InvalidClientTokenId" => {
            (ErrorKind::Denied, "allow cloudtrail:ListPublicKeys, or give --public-keys FILE")
        }
        _ => aws::meaning(code).unwrap_or((ErrorKind::Unavailable, "run again, or give --public-keys FILE")),
    };
    let message = error.message().map_or_else(|| chain(error), |message| format!("{code}: {message}"));
    Error::new(kind, format!("cannot list CloudTrail's public keys in {region}: {message}")).hint(hint)
}
