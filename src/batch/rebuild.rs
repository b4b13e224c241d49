//! Rows -> records: the way back.
//!
//! Owns: the proof that nothing of a record is lost; a row of `events` gives its record back, equal as JSON.

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, ListArray, RecordBatch, StringArray, StructArray, TimestampMicrosecondArray,
};
use chrono::{DateTime, SecondsFormat};
use serde_json::{Map, Value};

use super::{ABSENT, MARK, USUALLY_NULL};
use crate::error::{Error, ErrorKind, Result};
use crate::schema::{Kind, Member, RECORD};

/// The record that a row of `events` was made from.
///
/// # Errors
/// `BadInput` where the batch has not the columns of `events`, or a JSON column holds no JSON.
pub fn rebuild(batch: &RecordBatch, row: usize) -> Result<Value> {
    let mut record = Map::new();
    for member in RECORD {
        let value = batch.column_by_name(&member.json.to_lowercase()).map(|column| get(column, &member.kind, row));
        match value.ok_or_else(|| broken(member.json))?? {
            Some(value) => {
                record.insert(member.json.to_owned(), value);
            }
            None if USUALLY_NULL.contains(&member.json) => {
                record.insert(member.json.to_owned(), Value::Null);
            }
            None => {}
        }
    }
    if let Some(extra) = batch.column_by_name("extra").and_then(|column| text(column, row)) {
        let mut extra = object(extra)?;
        if let Some(Value::Array(absent)) = extra.remove(ABSENT) {
            absent.iter().filter_map(Value::as_str).for_each(|name| drop(record.remove(name)));
        }
        record.extend(extra.into_iter().map(|(name, value)| (unmarked(name), value)));
    }
    Ok(Value::Object(record))
}

/// The record's own name for a member of `extra`.
fn unmarked(name: String) -> String {
    name.strip_prefix(MARK).map_or_else(|| name.clone(), str::to_owned)
}

fn broken(name: &str) -> Error {
    Error::new(ErrorKind::BadInput, format!("column {name} is not as the schema of events has it"))
}

fn object(text: &str) -> Result<Map<String, Value>> {
    serde_json::from_str(text).map_err(|error| broken("extra").source(error))
}

fn text(column: &ArrayRef, row: usize) -> Option<&str> {
    column.as_string_opt::<i32>().filter(|texts| texts.is_valid(row)).map(|texts| texts.value(row))
}

fn get(column: &ArrayRef, kind: &Kind, row: usize) -> Result<Option<Value>> {
    if column.is_null(row) {
        return Ok(None);
    }
    let any = column.as_any();
    let value = match kind {
        Kind::Text => any.downcast_ref::<StringArray>().map(|texts| texts.value(row).into()),
        Kind::Json => match any.downcast_ref::<StringArray>() {
            Some(texts) => serde_json::from_str(texts.value(row)).ok(),
            None => None,
        },
        Kind::Boolean => any.downcast_ref::<BooleanArray>().map(|values| values.value(row).into()),
        Kind::Time => any.downcast_ref::<TimestampMicrosecondArray>().and_then(|times| instant(times.value(row))),
        Kind::Struct(members) => match any.downcast_ref::<StructArray>() {
            Some(structs) => Some(members_of(structs, members, row)?),
            None => None,
        },
        Kind::List(members) => match any.downcast_ref::<ListArray>() {
            Some(lists) => Some(elements_of(&lists.value(row), members)?),
            None => None,
        },
    };
    value.map(Some).ok_or_else(|| broken("?"))
}

fn instant(micros: i64) -> Option<Value> {
    let time = DateTime::from_timestamp_micros(micros)?;
    Some(time.to_rfc3339_opts(SecondsFormat::Secs, true).into())
}

fn members_of(structs: &StructArray, members: &[Member], row: usize) -> Result<Value> {
    let mut object = Map::new();
    for (member, column) in members.iter().zip(structs.columns()) {
        if let Some(value) = get(column, &member.kind, row)? {
            object.insert(member.json.to_owned(), value);
        }
    }
    Ok(Value::Object(object))
}

fn elements_of(items: &ArrayRef, members: &[Member]) -> Result<Value> {
    let Some(structs) = items.as_any().downcast_ref::<StructArray>() else { return Err(broken("resources")) };
    (0..structs.len()).map(|row| members_of(structs, members, row)).collect::<Result<Vec<_>>>().map(Value::Array)
}
