//! What detection keeps in the lake: one shape model per scored day, and the findings.
//!
//! Owns: the folder `models/shape-YYYY-MM-DD` and the rows of `findings`.
//! Refuses: to score with a broken model file. Invariant: a finding is written only when its content changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use bytes::Bytes;
use chrono::{DateTime, NaiveDate, Utc};

use super::memory::Memory;
use super::names::Names;
use super::reference;
use super::rows::Texts;
use super::shape::{ShapeModel, Training};
use crate::error::{Error, ErrorKind, Result};
use crate::finding::Finding;
use crate::lake::Lake;
use crate::query::{self, QueryOptions};
use crate::schema;

/// The shape model for a day, fitted on the days before it: the one kept in the lake where its training rows are the
/// same, otherwise a new one, which is kept; the reference where there is too little past.
///
/// # Errors
/// `BadInput` where the file is of another version, cut short or altered; whatever the lake gives.
pub async fn shape_model(lake: &Lake, memory: &Memory, names: &Names, date: NaiveDate) -> Result<(String, ShapeModel)> {
    let days = memory.all_days(names);
    let Some(training) = Training::new(days.into_iter(), date) else {
        return Ok((reference::VERSION.to_owned(), reference::shape()?));
    };
    let version = format!("shape-{date}");
    let path = format!("models/{version}/shape.json");
    if let Some(text) = lake.read_file(&path).await? {
        let kept = ShapeModel::from_json(&path, &text)?;
        if kept.trained_to == date && kept.training_digest == training.digest() {
            return Ok((version, kept));
        }
    }
    let model = ShapeModel::fit(&training)?;
    lake.write_file(&path, Bytes::from(model.to_json())).await?;
    Ok((version, model))
}

/// Appends the findings whose content differs from the latest version in the lake; returns how many.
///
/// # Errors
/// Whatever reading or writing the lake gives.
pub async fn record(lake: &Lake, options: &QueryOptions, findings: &[Finding], now: DateTime<Utc>) -> Result<u64> {
    let known = latest_hashes(lake, options).await?;
    let is_new = |finding: &&Finding| known.get(finding.id.as_str()) != Some(&finding.content_hash());
    let changed: Vec<&Finding> = findings.iter().filter(is_new).collect();
    if !changed.is_empty() {
        lake.append(&schema::FINDINGS, &[to_batch(&changed, now)?]).await?;
    }
    Ok(changed.len() as u64)
}

async fn latest_hashes(lake: &Lake, options: &QueryOptions) -> Result<BTreeMap<String, String>> {
    let snapshot = lake.snapshot(&schema::FINDINGS).await?;
    let ctx = query::session(&[snapshot], options)?;
    let sql = "SELECT id, content_hash FROM findings ORDER BY detected_at, content_hash";
    let mut latest = BTreeMap::new();
    for batch in query::collect(&ctx, sql).await? {
        let (id, hash) = (Texts::of(&batch, "id")?, Texts::of(&batch, "content_hash")?);
        latest.extend((0..batch.num_rows()).map(|row| (id.at(row).to_owned(), hash.at(row).to_owned())));
    }
    Ok(latest)
}

/// See [`super::findings`].
pub async fn latest(lake: &Lake, options: &QueryOptions) -> Result<Vec<Finding>> {
    let snapshot = lake.snapshot(&schema::FINDINGS).await?;
    let ctx = query::session(&[snapshot], options)?;
    let sql = "SELECT id, finding FROM findings ORDER BY detected_at, content_hash";
    let mut latest: BTreeMap<String, Finding> = BTreeMap::new();
    for batch in query::collect(&ctx, sql).await? {
        let (id, text) = (Texts::of(&batch, "id")?, Texts::of(&batch, "finding")?);
        for row in 0..batch.num_rows() {
            // of an older release, perhaps: it can be looked up in the table, but not told in words
            match serde_json::from_str(text.at(row)) {
                Ok(finding) => _ = latest.insert(id.at(row).to_owned(), finding),
                Err(error) => tracing::warn!(id = id.at(row), %error, "a finding of another release is left out"),
            }
        }
    }
    let mut findings: Vec<Finding> = latest.into_values().collect();
    findings.sort_by(|a, b| (a.time, &a.id).cmp(&(b.time, &b.id)));
    Ok(findings)
}

fn to_batch(findings: &[&Finding], now: DateTime<Utc>) -> Result<RecordBatch> {
    let text = |f: &dyn Fn(&Finding) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(findings.iter().map(|finding| f(finding))))
    };
    let number = |f: fn(&Finding) -> f64| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(findings.iter().map(|finding| f(finding))))
    };
    let instant = |f: &dyn Fn(&Finding) -> DateTime<Utc>| -> ArrayRef {
        let micros = findings.iter().map(|finding| f(finding).timestamp_micros());
        Arc::new(TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC"))
    };
    let columns = vec![
        text(&|finding| finding.id.to_string()),
        text(&Finding::content_hash),
        text(&|finding| finding.finding_type.clone()),
        number(|finding| finding.severity),
        text(&|finding| finding.severity_label.to_string()),
        number(|finding| finding.score),
        text(&|finding| finding.actor.clone()),
        text(&|finding| finding.account.clone()),
        text(&|finding| finding.region.clone()),
        instant(&|finding| finding.time),
        instant(&|finding| finding.first_seen),
        instant(&|finding| finding.last_seen),
        Arc::new(Int64Array::from_iter_values(findings.iter().map(|finding| finding.count as i64))),
        text(&|finding| finding.title.clone()),
        text(&|finding| serde_json::to_string(finding).expect("a finding is plain data")),
        instant(&|_| now),
    ];
    RecordBatch::try_new(schema::FINDINGS.schema(), columns)
        .map_err(|error| Error::new(ErrorKind::Internal, "cannot build the rows of findings").source(error))
}
