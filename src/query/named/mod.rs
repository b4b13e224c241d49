//! Named queries: SQL files with a header that says what they answer and what they take.
//!
//! Owns: the queries of `queries/`, which are part of the program, their headers, and the binding of parameters.
//! Refuses: putting a parameter into the text of a query. A parameter is bound as a typed value; it is never SQL.
//! Invariant: a query means the same at any time of day: windows are counted back from the newest event.

mod bind;
mod header;

use std::sync::LazyLock;

use arrow::array::RecordBatch;
use chrono::{DateTime, Utc};
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::prelude::SessionContext;

use super::nearest::nearest;
use super::{execute_with, gather};
use crate::error::{Error, ErrorKind, Result};

pub use bind::bind;
pub use header::parse;

/// A query with its header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedQuery {
    /// The file's name without `.sql`.
    pub name: String,
    /// A few words for a list.
    pub title: String,
    /// The question that it answers.
    pub question: String,
    /// What it takes, in the order of the header.
    pub parameters: Vec<Parameter>,
    /// ATT&CK technique, where one fits.
    pub technique: Option<String>,
    /// The whole file.
    pub sql: String,
}

/// A parameter of a query: `$name` in its SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Name without the `$`.
    pub name: String,
    /// What values it takes.
    pub kind: Kind,
    /// What it is where it is not given.
    pub default: Fallback,
    /// What it means.
    pub help: String,
    /// The texts that it takes, in any case; `*` at the end of one stands for any text. Empty where it takes all.
    pub values: Vec<String>,
}

impl Parameter {
    fn takes(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        self.values.is_empty()
            || self.values.iter().map(|value| value.to_lowercase()).any(|value| match value.strip_suffix('*') {
                Some(start) => text.len() > start.len() && text.starts_with(start),
                None => text == value,
            })
    }
}

/// Values that a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A whole number from 0.
    Integer,
    /// An instant, UTC where no zone is given; a date alone is its first instant.
    Timestamp,
    /// A day.
    Date,
}

impl Kind {
    /// The word in the header.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Timestamp => "timestamp",
            Self::Date => "date",
        }
    }
}

/// Value of a parameter that is not given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fallback {
    /// There is none: it must be given.
    Required,
    /// The time of the newest event in the lake.
    Newest,
    /// `days` before `until`, two parameters that stand before it.
    DaysBefore,
    /// This one.
    Value(ScalarValue),
}

macro_rules! embedded {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../../queries/", $name, ".sql")))),*]
    };
}

/// In the order of their names; a test holds that no file is forgotten.
const FILES: [(&str, &str); 112] = embedded![
    "account-defaults-weakened",
    "accounts-overview",
    "activity-by-hour",
    "actor-first-seen",
    "actor-summary",
    "actor-timeline",
    "admin-grants",
    "alarm-tampering",
    "around-event",
    "assume-role-chains",
    "assume-root",
    "attack-tools",
    "bucket-ransom-signs",
    "bulk-secret-reads",
    "commands-sent",
    "completeness",
    "config-tampering",
    "console-logins",
    "console-logins-without-mfa",
    "cost-by-service",
    "cross-account-access",
    "cross-account-roles",
    "data-read",
    "database-copies",
    "denial-reasons",
    "denied",
    "denied-actions",
    "denied-then-allowed",
    "discovery-bursts",
    "email-abuse",
    "error-rates",
    "eventbridge-tampering",
    "failed-logins",
    "failed-then-successful-logins",
    "federation-tokens",
    "finding-completeness",
    "finding-events",
    "firewall-manager-tampering",
    "flow-log-tampering",
    "function-changes",
    "guardduty-tampering",
    "iam-policy-changes",
    "identity-provider-changes",
    "ingest-status",
    "insights",
    "inspector-tampering",
    "instance-credentials-moved",
    "instance-secrets-read",
    "instances-launched",
    "instances-weakened",
    "ip-activity",
    "key-activity",
    "key-address-spread",
    "key-descendants",
    "kms-key-deletion",
    "kms-key-sharing",
    "latest-findings",
    "log-bucket-changes",
    "macie-tampering",
    "mass-deletion",
    "metrics",
    "mfa-changes",
    "model-abuse",
    "network-activity",
    "network-changes",
    "network-firewall-tampering",
    "new-access-keys",
    "new-actors",
    "new-addresses",
    "new-calls",
    "new-principals",
    "new-regions",
    "open-security-groups",
    "organization-changes",
    "password-spraying",
    "permission-boundary-changes",
    "persistence-checklist",
    "public-buckets",
    "public-exposure",
    "public-functions",
    "public-resource-policies",
    "quarantine",
    "quarantined-keys",
    "rejects-by-reason",
    "resource-activity",
    "role-sessions",
    "root-usage",
    "same-address",
    "same-agent",
    "search",
    "secrets-read",
    "security-hub-tampering",
    "session-manager-use",
    "sessions-without-origin",
    "shared-images",
    "shared-snapshots",
    "shield-tampering",
    "sso-admin-changes",
    "sso-chains",
    "sso-sign-ins",
    "summary",
    "timeline",
    "tls-versions",
    "top-apis",
    "top-denied",
    "trail-tampering",
    "trust-policy-changes",
    "volume-by-service",
    "vpc-endpoint-denials",
    "waf-tampering",
    "web-identity-use",
    "whoami-calls",
];

static ALL: LazyLock<Vec<NamedQuery>> = LazyLock::new(|| {
    let parsed = FILES.iter().map(|(name, text)| parse(name, text));
    parsed.collect::<Result<_>>().expect("the tests parse every embedded query")
});

/// The embedded queries, by name.
pub fn all() -> &'static [NamedQuery] {
    &ALL
}

/// The embedded query of a name.
///
/// # Errors
/// `Usage` where there is none, with the name that is nearest.
pub fn find(name: &str) -> Result<&'static NamedQuery> {
    all().iter().find(|query| query.name == name).ok_or_else(|| unknown(name))
}

fn unknown(name: &str) -> Error {
    let error = Error::new(ErrorKind::Usage, format!("no query is named {name:?}"));
    match nearest(name, all().iter().map(|query| query.name.as_str())) {
        Some(nearest) => error.hint(format!("did you mean {nearest}?")),
        None => error.hint(format!("`trailhound query --list` tells the {} there are", all().len())),
    }
}

/// Runs a named query.
///
/// # Errors
/// `Usage` where a parameter is unknown, missing or of the wrong type; otherwise as [`super::execute`].
pub async fn execute(
    ctx: &SessionContext,
    query: &NamedQuery,
    given: &[(String, String)],
) -> Result<SendableRecordBatchStream> {
    let values = values(ctx, query, given).await?;
    execute_with(ctx, &query.sql, values).await
}

async fn values(ctx: &SessionContext, query: &NamedQuery, given: &[(String, String)]) -> Result<ParamValues> {
    // Bound before the lake is asked anything, so that a wrong parameter is told at once.
    bind(query, given, None)?;
    let asked = |parameter: &Parameter| {
        parameter.default == Fallback::Newest && !given.iter().any(|(name, _)| *name == parameter.name)
    };
    let newest = match query.parameters.iter().any(asked) {
        true => newest(ctx).await?,
        false => None,
    };
    bind(query, given, newest)
}

/// Runs a named query and tells what it read.
///
/// # Errors
/// As [`execute`].
pub async fn explain(ctx: &SessionContext, query: &NamedQuery, given: &[(String, String)]) -> Result<Vec<String>> {
    let values = values(ctx, query, given).await?;
    super::explain_with(ctx, &query.sql, values).await
}

/// Time of the newest event, `None` in an empty lake. Reads only the newest day.
///
/// # Errors
/// As [`super::execute`].
pub async fn newest(ctx: &SessionContext) -> Result<Option<DateTime<Utc>>> {
    let day = scalar(&super::collect(ctx, "SELECT max(event_date) FROM events").await?)?;
    let sql = "SELECT max(eventtime) FROM events WHERE event_date = $day";
    let time = scalar(&gather(execute_with(ctx, sql, vec![("day", day)]).await?).await?)?;
    match time {
        ScalarValue::TimestampMicrosecond(micros, _) => Ok(micros.and_then(DateTime::from_timestamp_micros)),
        other => Err(Error::new(ErrorKind::Internal, format!("the newest event's time is a {}", other.data_type()))),
    }
}

fn scalar(batches: &[RecordBatch]) -> Result<ScalarValue> {
    let missing = || Error::new(ErrorKind::Internal, "an aggregate returned no row");
    let batch = batches.iter().find(|batch| batch.num_rows() > 0).ok_or_else(missing)?;
    ScalarValue::try_from_array(batch.column(0), 0).map_err(|error| super::fault::of(&error))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_is_embedded_in_order() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("queries");
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let entries = entries.filter(|path| path.extension().is_some_and(|extension| extension == "sql"));
        let mut files: Vec<_> = entries.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
        files.sort();
        assert_eq!(files, FILES.map(|(name, _)| name.to_owned()));
    }

    #[test]
    fn every_header_is_whole_and_every_parameter_is_used() {
        for (name, text) in FILES {
            let query = parse(name, text).unwrap();
            for parameter in &query.parameters {
                let used = query.sql.contains(&format!("${}", parameter.name));
                assert!(used || parameter.name == "days" && query.sql.contains("$since"), "{name}: {}", parameter.name);
                assert!(!parameter.help.is_empty());
            }
        }
    }

    #[test]
    fn a_mistyped_name_is_guessed() {
        assert_eq!(find("top-denied").unwrap().name, "top-denied");
        let error = find("topdenied").unwrap_err();
        assert_eq!(error.to_string(), "no query is named \"topdenied\" (did you mean top-denied?)");
        let error = find("what is this supposed to be").unwrap_err().to_string();
        assert!(error.contains("`trailhound query --list` tells the"), "{error}");
    }
}
