//! Which days of a region's prefix need not be listed again.
//!
//! Owns: the rows of `listings`: a prefix, and the first day that is still to be listed.
//! Invariant: every row is true by itself, so that two writers can only forget, never invent.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{AsArray, Date32Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::Date32Type;
use chrono::{DateTime, NaiveDate, Utc};

use crate::batch::time::{date_of, days};
use crate::error::{Error, ErrorKind, Result};
use crate::lake::Lake;
use crate::schema::LISTINGS;

/// First day that is still to be listed, by prefix.
pub(super) async fn through(lake: &Lake) -> Result<HashMap<String, NaiveDate>> {
    let snapshot = lake.snapshot(&LISTINGS).await?;
    let files: Vec<_> = snapshot.files.iter().collect();
    let mut through = HashMap::new();
    lake.scan(&LISTINGS, &snapshot, &files, &["prefix", "through"], |batch| {
        let (Some(prefixes), Some(until)) = (batch.column_by_name("prefix"), batch.column_by_name("through")) else {
            return;
        };
        for (prefix, day) in prefixes.as_string::<i32>().iter().zip(until.as_primitive::<Date32Type>()) {
            let (Some(prefix), Some(day)) = (prefix, day) else { continue };
            let day = date_of(day);
            let known = through.entry(prefix.to_owned()).or_insert(day);
            *known = (*known).max(day);
        }
    })
    .await?;
    Ok(through)
}

/// Replaces the rows.
pub(super) async fn remember(lake: &Lake, through: &HashMap<String, NaiveDate>, now: DateTime<Utc>) -> Result<()> {
    let mut rows: Vec<(&str, NaiveDate)> = through.iter().map(|(prefix, &day)| (prefix.as_str(), day)).collect();
    rows.sort_unstable();
    let prefixes: StringArray = rows.iter().map(|(prefix, _)| Some(*prefix)).collect();
    let until: Date32Array = rows.iter().map(|(_, day)| Some(days(*day))).collect();
    let listed = TimestampMicrosecondArray::from_value(now.timestamp_micros(), rows.len()).with_timezone("UTC");
    let batch = RecordBatch::try_new(LISTINGS.schema(), vec![Arc::new(prefixes), Arc::new(until), Arc::new(listed)])
        .map_err(|error| Error::new(ErrorKind::Internal, "rows of listings").source(error))?;
    lake.replace(&LISTINGS, &[batch]).await.map(drop)
}
