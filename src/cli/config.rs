//! The configuration file: the flags that stay the same from run to run.
//!
//! Owns: precedence (flag > environment > file > default) and the refusal of unknown keys.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use trailhound::error::{Error, ErrorKind, Result};

/// Keys of the file; each is named like its flag.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FileConfig {
    /// `--endpoint-url`
    pub endpoint_url: Option<String>,
    /// `--region`
    pub region: Option<String>,
    /// `--profile`
    pub profile: Option<String>,
    /// `--assume-role-arn`
    pub assume_role_arn: Option<String>,
    /// `--request-timeout`
    pub request_timeout: Option<u64>,
    /// `--threads`
    pub threads: Option<usize>,
    /// `--memory-limit`
    pub memory_limit: Option<Size>,
    /// `--asn-db`
    pub asn_db: Option<PathBuf>,
    /// `--aws-ip-ranges`
    pub aws_ip_ranges: Option<PathBuf>,
    /// `--threat-list`
    pub threat_list: Option<PathBuf>,
    /// `--tor-list`
    pub tor_list: Option<PathBuf>,
    /// `--budget`, as a number of alerts a day
    pub budget: Option<f64>,
    /// `--log-format`
    pub log_format: Option<super::args::LogFormat>,
    /// SOURCE of `ingest` and `run`
    pub source: Option<String>,
    /// `--lake`
    pub lake: Option<String>,
    /// `--timeout` of `query`
    pub timeout: Option<u64>,
    /// `--max-object-size`
    pub max_object_size: Option<Size>,
    /// `--commit-bytes`
    pub commit_bytes: Option<Size>,
    /// `--max-attempts`
    pub max_attempts: Option<u32>,
    /// `--concurrency`
    pub concurrency: Option<usize>,
    /// `--verify` of `ingest` and `run`
    pub verify: Option<bool>,
    /// `--account`
    #[serde(default)]
    pub account: Vec<String>,
    /// `--trail-region`
    #[serde(default)]
    pub trail_region: Vec<String>,
    /// `--include`
    #[serde(default)]
    pub include: Vec<String>,
    /// `--exclude`
    #[serde(default)]
    pub exclude: Vec<String>,
    /// `--relist-days`
    pub relist_days: Option<u32>,
    /// `--sqs-queue-url`
    pub sqs_queue_url: Option<String>,
    /// `--commit-seconds`
    pub commit_seconds: Option<u64>,
    /// `--sns-topic-arn`
    pub sns_topic_arn: Option<String>,
    /// `--target-size`
    pub target_size: Option<Size>,
    /// `--closed-after`
    pub closed_after: Option<u32>,
    /// `--version-days`
    pub version_days: Option<u32>,
    /// `--retain-days` of `run`, `--days` of `lake retain`
    pub retain_days: Option<std::num::NonZeroU32>,
    /// `--no-maintenance`
    pub no_maintenance: Option<bool>,
    /// `--maintenance-seconds`
    pub maintenance_seconds: Option<u64>,
}

impl FileConfig {
    /// Reads the file that was named, or the user's own where none was and it exists.
    ///
    /// # Errors
    /// `Usage` where a named file cannot be read, or a file has an unknown key or a wrong value.
    pub fn load(named: Option<&Path>, home: Option<&Path>) -> Result<Self> {
        let usual = home.map(|home| home.join(".config/trailhound/config.toml"));
        let path: PathBuf = match (named, usual) {
            (Some(path), _) => path.to_owned(),
            (None, Some(path)) if path.is_file() => path,
            _ => return Ok(Self::default()),
        };
        let fail = |what: &str| Error::new(ErrorKind::Usage, format!("configuration file {}: {what}", path.display()));
        let text = std::fs::read_to_string(&path).map_err(|error| fail("cannot be read").source(error))?;
        toml::from_str(&text).map_err(|error| fail("is wrong").source(error))
    }
}

/// A number of bytes: `512MiB`, `64M`, `1g`, `4096`. Units are powers of 1,024.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "toml::Value")]
pub struct Size(pub u64);

impl std::str::FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let shift = match unit.trim().to_ascii_lowercase().trim_end_matches("ib").trim_end_matches('b') {
            "" => 0,
            "k" => 10,
            "m" => 20,
            "g" => 30,
            "t" => 40,
            _ => return Err(format!("unknown unit in \"{text}\"; write e.g. 512MiB")),
        };
        let number: u64 = number.parse().map_err(|_| format!("\"{text}\" is not a size; write e.g. 512MiB"))?;
        number.checked_mul(1 << shift).map(Self).ok_or_else(|| format!("\"{text}\" is too large"))
    }
}

impl TryFrom<toml::Value> for Size {
    type Error = String;

    fn try_from(value: toml::Value) -> std::result::Result<Self, String> {
        match value {
            toml::Value::Integer(bytes) => u64::try_from(bytes).map(Self).map_err(|_| "a size is positive".to_owned()),
            toml::Value::String(text) => text.parse(),
            other => Err(format!("a {} is not a size; write e.g. \"512MiB\"", other.type_str())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [("4096", 4096), ("64M", 64 << 20), ("1g", 1 << 30), ("512 MiB", 512 << 20), ("2kb", 2048)]
        {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        for text in ["", "MiB", "1x", "-1", "99999999999G"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(toml::from_str::<FileConfig>("lake = \"l\"\nmemory-limit = \"1GiB\"\n").is_ok());
        let error = toml::from_str::<FileConfig>("laek = \"l\"").unwrap_err().to_string();
        assert!(error.contains("laek") && error.contains("lake"), "{error}");
    }
}
