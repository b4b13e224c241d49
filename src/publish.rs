//! Findings of the lake to a sink, each version once.
//!
//! Owns: what is still to be sent: the latest version of every finding whose last delivery to this destination was not
//! of that version. Deliveries are remembered in the lake, some at a time, after the sink took them.
//! Refuses: a clock, and dropping anything: what a sink does not take stays undelivered, so the next run sends it.
//! Invariant: a crash may send up to [`REMEMBERED_AT_ONCE`] findings a second time, and never leaves one unsent.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};
use crate::finding::{Finding, FindingId, SeverityBand};
use crate::govern::Governance;
use crate::lake::Lake;
use crate::query::{self, QueryOptions};
use crate::schema::{DELIVERIES, FINDINGS};
use crate::sink::{Batch, Outcome, Plan, Sent, Sink};

/// Deliveries put into one commit of the lake: a commit for each would cost more than the sending.
pub const REMEMBERED_AT_ONCE: usize = 100;

/// What is published.
#[derive(Debug, Clone)]
pub struct PublishOptions {
    /// Findings below this band stay in the lake, and are not counted.
    pub minimum_severity: SeverityBand,
    /// For reading the lake.
    pub query: QueryOptions,
}

/// What a run of [`publish`] did; `considered == sent + unchanged + failed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PublishReport {
    /// Where to: a topic's ARN, or `file:` and a path.
    pub destination: String,
    /// Findings at or above the minimum severity.
    pub considered: usize,
    /// Taken by the sink now.
    pub sent: usize,
    /// Taken by the sink before, in the same version.
    pub unchanged: usize,
    /// New or changed, but suppressed.
    pub suppressed: usize,
    /// Sent with something left out, for want of room; part of `sent` or `failed`.
    pub shortened: usize,
    /// Not taken; the next run sends them.
    pub failed: Vec<FailedFinding>,
}

/// A finding that the sink did not take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailedFinding {
    /// Its id.
    pub id: String,
    /// Why, for a person.
    pub reason: String,
}

/// Sends what is new or changed, the oldest finding first.
///
/// # Errors
/// Where the lake cannot be read, or a delivery cannot be remembered (the next run then sends it again). A destination
/// that fails is no error: its findings are in the report's `failed`.
pub async fn publish(lake: &Lake, sink: &Sink, options: &PublishOptions, now: DateTime<Utc>) -> Result<PublishReport> {
    let mut pending = pending(lake, sink.destination(), options).await?;
    let (governance, _) = Governance::load_or_tell_all(lake).await;
    let found = pending.findings.len();
    pending.findings.retain(|finding| governance.suppression(finding).is_none());
    let suppressed = found - pending.findings.len();
    let plan = sink.plan(&pending.findings);
    let mut ledger = Ledger {
        hashes: pending.hashes,
        taken: Vec::new(),
        report: PublishReport {
            destination: sink.destination().to_owned(),
            considered: pending.considered,
            sent: 0,
            unchanged: pending.unchanged,
            suppressed,
            shortened: plan.shortened.len(),
            failed: pending.unreadable,
        },
    };
    for (id, left_out) in &plan.shortened {
        tracing::warn!(%id, ?left_out, "finding shortened to fit the topic");
    }
    deliver(lake, sink, plan, now, &mut ledger).await?;
    let mut report = ledger.report;
    report.failed.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(report)
}

async fn deliver(lake: &Lake, sink: &Sink, plan: Plan, now: DateTime<Utc>, ledger: &mut Ledger) -> Result<()> {
    let mut broken: Option<String> = None;
    ledger.enter(plan.refused);
    for batch in &plan.batches {
        // a destination that failed as a whole is not asked again in this run
        if let Some(reason) = &broken {
            ledger.refuse(batch, reason);
            continue;
        }
        match sink.deliver(batch).await {
            Ok(answers) => ledger.enter(answers),
            Err(error) => ledger.refuse(batch, broken.insert(error.to_string())),
        }
        if ledger.taken.len() >= REMEMBERED_AT_ONCE {
            ledger.remember(lake, now).await?;
        }
    }
    ledger.remember(lake, now).await
}

/// A finding that was taken, on its way into `deliveries`.
struct Taken {
    id: FindingId,
    content_hash: String,
    message_id: Option<String>,
}

/// The books of one run.
struct Ledger {
    /// The hash that `findings` has of each version to be sent. What is remembered is this, never a hash computed
    /// anew: a later release may add a member to findings, and would then send every old one again, for ever.
    hashes: BTreeMap<FindingId, String>,
    taken: Vec<Taken>,
    report: PublishReport,
}

impl Ledger {
    fn enter(&mut self, answers: Vec<Sent>) {
        for Sent { id, outcome } in answers {
            match outcome {
                Outcome::Delivered { message_id } => {
                    self.report.sent += 1;
                    let content_hash = self.hashes.get(&id).cloned().unwrap_or_default();
                    self.taken.push(Taken { id, content_hash, message_id });
                }
                Outcome::Failed { reason } => self.report.failed.push(FailedFinding { id: id.to_string(), reason }),
            }
        }
    }

    fn refuse(&mut self, batch: &Batch, reason: &str) {
        let failed = batch.ids().map(|id| FailedFinding { id: id.to_string(), reason: reason.to_owned() });
        self.report.failed.extend(failed);
    }

    async fn remember(&mut self, lake: &Lake, now: DateTime<Utc>) -> Result<()> {
        let taken = std::mem::take(&mut self.taken);
        if taken.is_empty() {
            return Ok(());
        }
        lake.append(&DELIVERIES, &[rows(&taken, &self.report.destination, now)?]).await?;
        Ok(())
    }
}

fn rows(taken: &[Taken], destination: &str, now: DateTime<Utc>) -> Result<RecordBatch> {
    let texts =
        |text: fn(&Taken) -> &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(taken.iter().map(text))) };
    let times = TimestampMicrosecondArray::from(vec![now.timestamp_micros(); taken.len()]);
    let columns: Vec<ArrayRef> = vec![
        texts(|taken| taken.id.as_str()),
        texts(|taken| &taken.content_hash),
        Arc::new(StringArray::from(vec![destination; taken.len()])),
        Arc::new(taken.iter().map(|taken| taken.message_id.as_deref()).collect::<StringArray>()),
        Arc::new(times.with_timezone("UTC")),
    ];
    RecordBatch::try_new(DELIVERIES.schema(), columns)
        .map_err(|error| Error::new(ErrorKind::Internal, "cannot make rows of deliveries").source(error))
}

/// What is to be sent, out of all that was considered.
#[derive(Default)]
struct Pending {
    considered: usize,
    unchanged: usize,
    findings: Vec<Finding>,
    hashes: BTreeMap<FindingId, String>,
    /// Findings that cannot be read back: one of these must not keep the others from being sent.
    unreadable: Vec<FailedFinding>,
}

impl Pending {
    fn enter(&mut self, id: &str, content_hash: &str, text: Option<&str>) {
        self.considered += 1;
        let Some(text) = text else {
            self.unchanged += 1;
            return;
        };
        match serde_json::from_str::<Finding>(text) {
            Ok(finding) => {
                self.hashes.insert(finding.id.clone(), content_hash.to_owned());
                self.findings.push(finding);
            }
            Err(error) => self.unreadable.push(FailedFinding {
                id: id.to_owned(),
                reason: format!("cannot be read back from the lake: {error} (run detect again, which writes it anew)"),
            }),
        }
    }
}

async fn pending(lake: &Lake, destination: &str, options: &PublishOptions) -> Result<Pending> {
    let snapshots = [lake.snapshot(&FINDINGS).await?, lake.snapshot(&DELIVERIES).await?];
    let session = query::session(&snapshots, &options.query)?;
    let sql = statement(destination, options.minimum_severity.floor());
    let mut pending = Pending::default();
    for batch in query::collect(&session, &sql).await? {
        let columns = [text_column(&batch, 0)?, text_column(&batch, 1)?, text_column(&batch, 2)?];
        let [ids, hashes, texts] = columns.each_ref().map(|column| column.as_string::<i32>());
        for row in 0..batch.num_rows() {
            let text = texts.is_valid(row).then(|| texts.value(row));
            pending.enter(ids.value(row), hashes.value(row), text);
        }
    }
    Ok(pending)
}

/// The engine may answer text in any of its layouts.
fn text_column(batch: &RecordBatch, index: usize) -> Result<ArrayRef> {
    cast(batch.column(index), &DataType::Utf8)
        .map_err(|error| Error::new(ErrorKind::Internal, "cannot read the findings of the lake").source(error))
}

/// One row per finding in its latest version; the text is NULL where exactly that was the last one delivered.
///
/// The last delivery counts, not any: a finding that changed back is news to whoever got the change.
fn statement(destination: &str, severity: f64) -> String {
    let destination = destination.replace('\'', "''");
    format!(
        "WITH latest AS (
           SELECT id, content_hash, severity, time, finding,
                  row_number() OVER (PARTITION BY id ORDER BY detected_at DESC, content_hash DESC) AS place
           FROM findings
         ), delivered AS (
           SELECT finding_id, content_hash,
                  row_number() OVER (PARTITION BY finding_id ORDER BY delivered_at DESC, content_hash DESC) AS place
           FROM deliveries WHERE destination = '{destination}'
         )
         SELECT f.id, f.content_hash, CASE WHEN d.content_hash = f.content_hash THEN NULL ELSE f.finding END AS finding
         FROM latest f LEFT JOIN delivered d ON d.finding_id = f.id AND d.place = 1
         WHERE f.place = 1 AND f.severity >= {severity:?}
         ORDER BY f.time, f.id"
    )
}
