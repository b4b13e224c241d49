//! The table `rejects`: what could not become rows, and what became of it later.
//!
//! Owns: its rows. A reject is open while `resolved_at` is NULL. One that is resolved is written anew with the time and
//! the way, in one commit that replaces its file.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, new_null_array};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use chrono::{DateTime, Utc};

use super::ledger::{fingerprint, instants, rows};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Reject;
use crate::lake::{FileWriter, Lake};
use crate::schema::REJECTS;
use crate::source::ObjectInfo;
use crate::table::{DataFile, TableSnapshot};

/// How often a rewriting that others overtook is tried again.
const ATTEMPTS: usize = 5;

/// How a reject was resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resolution {
    /// It was tried again, and its events are in the lake.
    Replayed,
    /// The object was read whole later, in this version or another.
    Superseded,
}

impl Resolution {
    fn as_str(self) -> &'static str {
        match self {
            Self::Replayed => "replayed",
            Self::Superseded => "superseded",
        }
    }
}

/// Keeps the rejects of a batch, but those of objects whose rejects are kept already, by a run that died before it
/// entered the objects, or by an earlier attempt.
pub(super) async fn keep(lake: &Lake, rejects: &[(ObjectInfo, Reject)], now: DateTime<Utc>) -> Result<()> {
    if rejects.is_empty() {
        return Ok(());
    }
    let known = open_versions(lake).await?;
    let is_new = |(object, _): &&(ObjectInfo, Reject)| !known.contains(&fingerprint(&object.name, &object.version));
    let new: Vec<&(ObjectInfo, Reject)> = rejects.iter().filter(is_new).collect();
    lake.append(&REJECTS, &[reject_rows(&new, now)?]).await.map(drop)
}

fn reject_rows(rejects: &[&(ObjectInfo, Reject)], now: DateTime<Utc>) -> Result<RecordBatch> {
    let text = |get: fn(&(ObjectInfo, Reject)) -> &str| -> ArrayRef {
        Arc::new(rejects.iter().map(|reject| Some(get(reject))).collect::<StringArray>())
    };
    let positions: Int64Array = rejects.iter().map(|(_, reject)| reject.position.map(|at| at as i64)).collect();
    let bytes: Int64Array = rejects.iter().map(|(_, reject)| Some(reject.raw_bytes as i64)).collect();
    let schema = REJECTS.schema();
    let open = |name: &str| {
        let field = schema.field_with_name(name).expect("a column of rejects");
        new_null_array(field.data_type(), rejects.len())
    };
    let columns = vec![
        text(|(object, _)| &object.name),
        text(|(object, _)| &object.version),
        Arc::new(positions),
        text(|(_, reject)| reject.reason.as_str()),
        text(|(_, reject)| &reject.detail),
        text(|(_, reject)| &reject.raw),
        Arc::new(bytes),
        instants(now, rejects.len()),
        open("resolved_at"),
        open("resolution"),
    ];
    rows(&REJECTS, columns)
}

/// A reject that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Open {
    pub object: String,
    pub version: String,
    pub position: Option<u64>,
    /// The text, where it is whole.
    pub raw: Option<String>,
}

/// Open rejects of a file.
pub(super) async fn open_in(lake: &Lake, snapshot: &TableSnapshot, file: &DataFile) -> Result<Vec<Open>> {
    let mut open = Vec::new();
    let columns = ["object", "version", "position", "raw", "raw_bytes", "resolved_at"];
    lake.scan(&REJECTS, snapshot, &[file], &columns, |batch| {
        let text = |index: usize| batch.column(index).as_string::<i32>();
        let number = |index: usize| batch.column(index).as_primitive::<Int64Type>();
        let (positions, raws, lengths) = (number(2), text(3), number(4));
        for row in (0..batch.num_rows()).filter(|&row| batch.column(5).is_null(row)) {
            let raw = raws.is_valid(row).then(|| raws.value(row));
            // a character that could not be read has been replaced, so the text is not the one that came
            let whole = raw.filter(|raw| raw.len() as i64 == lengths.value(row) && !raw.contains('\u{fffd}'));
            open.push(Open {
                object: text(0).value(row).to_owned(),
                version: text(1).value(row).to_owned(),
                position: positions.is_valid(row).then(|| positions.value(row) as u64),
                raw: whole.map(str::to_owned),
            });
        }
    })
    .await?;
    Ok(open)
}

async fn visit_open(lake: &Lake, mut visit: impl FnMut(&str, &str)) -> Result<()> {
    let snapshot = lake.snapshot(&REJECTS).await?;
    let files: Vec<_> = snapshot.files.iter().collect();
    lake.scan(&REJECTS, &snapshot, &files, &["object", "version", "resolved_at"], |batch| {
        let (names, versions) = (batch.column(0).as_string::<i32>(), batch.column(1).as_string::<i32>());
        let open = (0..batch.num_rows()).filter(|&row| batch.column(2).is_null(row));
        open.for_each(|row| visit(names.value(row), versions.value(row)));
    })
    .await
}

async fn open_versions(lake: &Lake) -> Result<HashSet<u128>> {
    let mut open = HashSet::new();
    visit_open(lake, |name, version| {
        open.insert(fingerprint(name, version));
    })
    .await?;
    Ok(open)
}

/// Names of the objects that have open rejects.
pub(super) async fn open_objects(lake: &Lake) -> Result<HashSet<String>> {
    let mut open = HashSet::new();
    visit_open(lake, |name, _| {
        if !open.contains(name) {
            open.insert(name.to_owned());
        }
    })
    .await?;
    Ok(open)
}

/// Resolves the open rejects of objects that were read whole.
pub(super) async fn supersede(lake: &Lake, objects: &[ObjectInfo], now: DateTime<Utc>) -> Result<()> {
    if objects.is_empty() {
        return Ok(());
    }
    let names: HashSet<&str> = objects.iter().map(|object| object.name.as_str()).collect();
    let superseded = |open: &Key<'_>| names.contains(open.object).then_some(Resolution::Superseded);
    resolve(lake, superseded, now).await
}

/// What a reject is found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key<'k> {
    pub object: &'k str,
    pub version: &'k str,
    pub position: Option<u64>,
}

/// Writes the open rejects anew for which there is a resolution.
pub(super) async fn resolve(
    lake: &Lake,
    resolution: impl Fn(&Key<'_>) -> Option<Resolution>,
    now: DateTime<Utc>,
) -> Result<()> {
    for _ in 0..ATTEMPTS {
        match resolve_once(lake, &resolution, now).await {
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            result => return result,
        }
    }
    Err(Error::new(ErrorKind::Conflict, "the table rejects keeps changing").hint("run again"))
}

async fn resolve_once(
    lake: &Lake,
    resolution: &impl Fn(&Key<'_>) -> Option<Resolution>,
    now: DateTime<Utc>,
) -> Result<()> {
    let snapshot = lake.snapshot(&REJECTS).await?;
    let schema = REJECTS.file_schema();
    let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    for file in &snapshot.files {
        let (mut batches, mut count) = (Vec::new(), 0);
        lake.scan(&REJECTS, &snapshot, &[file], &columns, |batch| {
            let found = resolutions(batch, resolution);
            count += found.len();
            batches.push((batch.clone(), found));
        })
        .await?;
        if count == 0 {
            continue;
        }
        let mut writer = FileWriter::new(&REJECTS)?;
        for (batch, found) in batches {
            writer.write(&resolved(&batch, &found, now)?)?;
        }
        lake.replace_files(&REJECTS, std::slice::from_ref(file), &[writer.finish(None)?]).await?;
    }
    Ok(())
}

/// Resolutions by row.
fn resolutions(
    batch: &RecordBatch,
    resolution: &impl Fn(&Key<'_>) -> Option<Resolution>,
) -> HashMap<usize, Resolution> {
    let column = |name: &str| batch.column_by_name(name).expect("a column of rejects");
    let (objects, versions) = (column("object").as_string::<i32>(), column("version").as_string::<i32>());
    let (positions, resolved) = (column("position").as_primitive::<Int64Type>(), column("resolved_at"));
    let key = |row: usize| Key {
        object: objects.value(row),
        version: versions.value(row),
        position: positions.is_valid(row).then(|| positions.value(row) as u64),
    };
    let open = (0..batch.num_rows()).filter(|&row| resolved.is_null(row));
    open.filter_map(|row| Some((row, resolution(&key(row))?))).collect()
}

fn resolved(batch: &RecordBatch, found: &HashMap<usize, Resolution>, now: DateTime<Utc>) -> Result<RecordBatch> {
    let old = |name: &str| batch.column_by_name(name).expect("a column of rejects");
    let (times, ways) =
        (old("resolved_at").as_primitive::<TimestampMicrosecondType>(), old("resolution").as_string::<i32>());
    let time = |row: usize| match found.contains_key(&row) {
        true => Some(now.timestamp_micros()),
        false => times.is_valid(row).then(|| times.value(row)),
    };
    let way = |row: usize| match found.get(&row) {
        Some(resolution) => Some(resolution.as_str()),
        None => ways.is_valid(row).then(|| ways.value(row)),
    };
    let count = batch.num_rows();
    let new_times: arrow::array::TimestampMicrosecondArray = (0..count).map(time).collect();
    let new_ways: StringArray = (0..count).map(way).collect();
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, column)| -> ArrayRef {
        match field.name().as_str() {
            "resolved_at" => Arc::new(new_times.clone().with_timezone("UTC")),
            "resolution" => Arc::new(new_ways.clone()),
            _ => Arc::clone(column),
        }
    });
    rows(&REJECTS, columns.collect())
}
