//! The scheduled job: ingest -> verify, where it is asked for -> detect -> publish, once; then what is due for the lake itself.
//!
//! Owns: the order, the lock that keeps two runs apart, and the run's one report.
//! Invariant: what one step could not do is left to the next run, and the report says so; a step that fails does not
//! keep those after it from their work on what is there.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::detect::{DetectOptions, DetectReport, detect};
use crate::error::{Error, Result};
use crate::finding::{Finding, SeverityBand};
use crate::ingest::{IngestOptions, IngestReport, Observer, Stop, ingest};
use crate::lake::Lake;
use crate::maintain::{MaintainOptions, MaintainReport, maintain};
use crate::publish::{PublishOptions, PublishReport, publish};
use crate::sink::Sink;
use crate::source::Source;
use crate::verify::{Check, VerifyReport, after_ingest};

/// Options of the steps.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Of the first.
    pub ingest: IngestOptions,
    /// Of the verification, where there is one.
    pub verify: Option<Check>,
    /// Of the detection.
    pub detect: DetectOptions,
    /// Of the last.
    pub publish: PublishOptions,
    /// Of the lake's maintenance; none where it is left to others.
    pub maintain: Option<MaintainOptions>,
}

/// The accounts of a run; a step that failed or was not reached is absent.
#[derive(Debug, Default, Serialize)]
pub struct RunReport {
    /// Objects, records, rows …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingest: Option<IngestReport>,
    /// Digests and log files, where they were verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify: Option<VerifyReport>,
    /// What was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detect: Option<DetectReport>,
    /// What was sent, by sink.
    pub publish: Vec<PublishReport>,
    /// What was done for the lake.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintain: Option<MaintainReport>,
    /// Steps that failed, in words.
    pub failures: Vec<String>,
}

impl RunReport {
    /// True where something was rejected, failed or left to the next run.
    pub fn is_partial(&self) -> bool {
        let ingest = self.ingest.as_ref().is_none_or(IngestReport::is_partial);
        let publish = self.publish.iter().any(|report| !report.failed.is_empty());
        let detect = self.detect.as_ref().is_some_and(|report| !report.failures.is_empty());
        let verify = self.verify.as_ref().is_some_and(|report| !report.is_valid());
        ingest || verify || detect || publish || !self.failures.is_empty()
    }

    /// Findings at or above a band.
    pub fn findings_from(&self, band: SeverityBand) -> impl Iterator<Item = &Finding> {
        let findings = self.detect.iter().flat_map(|report| &report.findings);
        findings.filter(move |finding| finding.severity_label >= band)
    }

    fn keep<T>(&mut self, step: &str, result: Result<T>) -> Option<T> {
        result.map_err(|error: Error| self.failures.push(format!("{step}: {error}"))).ok()
    }
}

/// Runs the steps under the lake's lock.
///
/// # Errors
/// `Conflict` where another run holds the lock. Failures of the steps are in the report.
pub async fn run(
    source: &Source,
    lake: &Lake,
    sinks: &[Sink],
    options: &RunOptions,
    now: DateTime<Utc>,
    stop: &Stop,
    observer: &Observer<'_>,
) -> Result<RunReport> {
    let lock = lake.lock(now).await?;
    let report = steps(source, lake, sinks, options, now, stop, observer).await;
    lock.release().await;
    Ok(report)
}

async fn steps(
    source: &Source,
    lake: &Lake,
    sinks: &[Sink],
    options: &RunOptions,
    now: DateTime<Utc>,
    stop: &Stop,
    observer: &Observer<'_>,
) -> RunReport {
    let mut report = RunReport::default();
    let ingested = ingest(source, lake, &options.ingest, now, stop, observer).await;
    report.ingest = report.keep("ingest", ingested);
    if stop.is_requested() {
        report.failures.push("stopped on request before detection; run again for the rest".to_owned());
        return report;
    }
    if let Some(check) = &options.verify {
        let verified = after_ingest(source, lake, check, now, stop).await;
        report.verify = report.keep("verify", verified);
    }
    let detected = detect(lake, &options.detect, now).await;
    report.detect = report.keep("detect", detected);
    for sink in sinks {
        let published = publish(lake, sink, &options.publish, now).await;
        let published = report.keep("publish", published);
        report.publish.extend(published);
    }
    if let Some(options) = &options.maintain
        && !stop.is_requested()
    {
        let maintained = maintain(lake, options, now, stop).await;
        report.maintain = report.keep("maintenance", maintained);
    }
    report
}
