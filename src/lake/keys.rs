//! Which events are in the lake: their identities, by the hour of their event time.
//!
//! Owns: the exact answer that deduplication stands on. An event has one event time, however often and wherever it is
//! delivered, so a copy of it can only be among the events of the same hour: only those are ever read.

use std::collections::BTreeSet;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use chrono::DateTime;

use super::Lake;
use crate::batch::time::date_of;
use crate::error::Result;
use crate::event::EventKey;
use crate::schema::EVENTS;
use crate::table::{DataFile, TableSnapshot};

/// Microseconds in an hour.
const HOUR_MICROS: i64 = 3_600_000_000;

/// Events of some hours: the hour (hours since 1970) and identity of each.
pub type HourKeys = Vec<(i64, EventKey)>;

impl Lake {
    /// Identities of the events of some hours (hours since 1970, all of the same UTC day).
    ///
    /// # Errors
    /// As [`Lake::scan`].
    pub async fn event_keys(&self, snapshot: &TableSnapshot, day: i32, hours: &BTreeSet<i64>) -> Result<HourKeys> {
        let date = date_of(day).to_string();
        let overlaps = |file: &&DataFile| {
            file.partition.as_deref() == Some(date.as_str()) && hours.iter().any(|&hour| may_hold(file, hour))
        };
        let files: Vec<&DataFile> = snapshot.files.iter().filter(overlaps).collect();
        let mut keys = Vec::new();
        let columns = ["eventtime", "eventid", "eventhash"];
        self.scan(&EVENTS, snapshot, &files, &columns, |batch| collect(batch, hours, &mut keys)).await?;
        Ok(keys)
    }
}

/// Whether the log's statistics allow events of an hour in a file.
fn may_hold(file: &DataFile, hour: i64) -> bool {
    let bound = |values: &serde_json::Value| {
        let text = values["eventtime"].as_str()?;
        DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_micros().div_euclid(HOUR_MICROS))
    };
    bound(&file.min_values).is_none_or(|low| low <= hour) && bound(&file.max_values).is_none_or(|high| hour <= high)
}

fn collect(batch: &RecordBatch, hours: &BTreeSet<i64>, keys: &mut HourKeys) {
    let columns =
        (batch.column_by_name("eventtime"), batch.column_by_name("eventid"), batch.column_by_name("eventhash"));
    let (Some(times), Some(ids), Some(hashes)) = columns else { return };
    let (times, ids, hashes) =
        (times.as_primitive::<TimestampMicrosecondType>(), ids.as_string::<i32>(), hashes.as_string::<i32>());
    for row in 0..batch.num_rows() {
        let hour = hour_of(times.value(row));
        if !hours.contains(&hour) {
            continue;
        }
        let key = if hashes.is_valid(row) {
            EventKey::of_event_hash(hashes.value(row))
        } else {
            ids.is_valid(row).then(|| EventKey::of_event_id(ids.value(row)))
        };
        keys.extend(key.map(|key| (hour, key)));
    }
}

/// Hours since 1970 of an instant in microseconds.
pub fn hour_of(micros: i64) -> i64 {
    micros.div_euclid(HOUR_MICROS)
}
