//! Findings on standard output.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use chrono::{DateTime, Utc};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use trailhound::finding::{ApiCalls, Finding};
use trailhound::query::output::{self, Format};

use super::args::FindingFormat;

/// APIs of a finding that the table names.
const SHOWN_CALLS: usize = 3;

/// Prints findings in the order given.
pub async fn print(findings: &[Finding], format: FindingFormat, out: &mut (dyn Write + Send)) -> anyhow::Result<()> {
    match format {
        FindingFormat::Ndjson => {
            for finding in findings {
                writeln!(out, "{}", serde_json::to_string(finding)?)?;
            }
        }
        FindingFormat::Json => {
            // in one piece: serde_json would hide that the pipe was closed in an error of its own
            writeln!(out, "{}", serde_json::to_string_pretty(findings)?)?;
        }
        FindingFormat::Table => rows(&table(findings)?, Format::Table, out).await?,
        FindingFormat::Csv => rows(&whole(findings)?, Format::Csv, out).await?,
    }
    Ok(out.flush()?)
}

/// Through the query engine's writers, which make hostile text inert.
pub async fn rows(batch: &RecordBatch, format: Format, out: &mut (dyn Write + Send)) -> anyhow::Result<()> {
    let stream = futures::stream::iter([Ok(batch.clone())]);
    output::write(Box::pin(RecordBatchStreamAdapter::new(batch.schema(), stream)), format, out).await?;
    Ok(())
}

fn texts<'f>(findings: &'f [Finding], get: impl Fn(&'f Finding) -> &'f str) -> ArrayRef {
    Arc::new(findings.iter().map(|finding| Some(get(finding))).collect::<StringArray>())
}

fn times(findings: &[Finding], get: fn(&Finding) -> DateTime<Utc>) -> ArrayRef {
    let micros = findings.iter().map(|finding| Some(get(finding).timestamp_micros()));
    Arc::new(micros.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
}

fn numbers(findings: &[Finding], get: fn(&Finding) -> f64) -> ArrayRef {
    let tenths = findings.iter().map(|finding| Some((get(finding) * 10.0).round() / 10.0));
    Arc::new(tenths.collect::<Float64Array>())
}

fn counts(findings: &[Finding]) -> ArrayRef {
    Arc::new(findings.iter().map(|finding| i64::try_from(finding.count).ok()).collect::<Int64Array>())
}

/// The first APIs of each, the most surprising one first.
fn calls(findings: &[Finding]) -> ArrayRef {
    let names = |finding: &Finding| {
        let service = |api: &ApiCalls| api.service.split('.').next().unwrap_or_default().to_owned();
        let first = finding.apis.iter().take(SHOWN_CALLS).map(|api| format!("{}:{}", service(api), api.api));
        let more = (finding.apis.len() > SHOWN_CALLS).then(|| "…".to_owned());
        first.chain(more).collect::<Vec<_>>().join(", ")
    };
    Arc::new(findings.iter().map(|finding| Some(names(finding))).collect::<StringArray>())
}

/// What fits a terminal: the actor without its role's path, the account stands beside it.
fn table(findings: &[Finding]) -> anyhow::Result<RecordBatch> {
    Ok(RecordBatch::try_from_iter([
        ("severity", texts(findings, |finding| finding.severity_label.as_str())),
        ("score", numbers(findings, |finding| finding.score)),
        ("type", texts(findings, |finding| &finding.finding_type)),
        ("account", texts(findings, |finding| &finding.account)),
        ("actor", texts(findings, |finding| short(&finding.actor))),
        ("first_seen", times(findings, |finding| finding.first_seen)),
        ("events", counts(findings)),
        ("most unusual calls", calls(findings)),
    ])?)
}

/// `arn:aws:iam::ACCOUNT:role/path/NAME/person` -> `NAME/person`, `…:user/NAME` -> `user/NAME`.
fn short(actor: &str) -> &str {
    let tail = actor.rsplit(':').next().unwrap_or(actor);
    match tail.find("AWSReservedSSO_") {
        Some(at) => &tail[at..],
        None if tail.is_empty() => actor,
        None => tail,
    }
}

fn whole(findings: &[Finding]) -> anyhow::Result<RecordBatch> {
    Ok(RecordBatch::try_from_iter([
        ("id", texts(findings, |finding| finding.id.as_str())),
        ("type", texts(findings, |finding| &finding.finding_type)),
        ("severity", numbers(findings, |finding| finding.severity)),
        ("severity_label", texts(findings, |finding| finding.severity_label.as_str())),
        ("score", numbers(findings, |finding| finding.score)),
        ("actor", texts(findings, |finding| &finding.actor)),
        ("account", texts(findings, |finding| &finding.account)),
        ("region", texts(findings, |finding| &finding.region)),
        ("time", times(findings, |finding| finding.time)),
        ("first_seen", times(findings, |finding| finding.first_seen)),
        ("last_seen", times(findings, |finding| finding.last_seen)),
        ("events", counts(findings)),
        ("title", texts(findings, |finding| &finding.title)),
    ])?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actors_are_shortened_to_what_tells_them_apart() {
        assert_eq!(short("arn:aws:iam::111122223333:user/ana"), "user/ana");
        let sso =
            "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_01/ana@example.com";
        assert_eq!(short(sso), "AWSReservedSSO_Admin_01/ana@example.com");
        assert_eq!(short("config.amazonaws.com"), "config.amazonaws.com");
    }
}
