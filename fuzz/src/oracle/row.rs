//! What a row must hold of its record.

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::DateTime;
use serde_json::Value;

use super::reading::object;
use super::reference::Members;
use crate::batch::rebuild::rebuild;
use crate::event::{EventKey, RejectReason};
use crate::schema::{Kind, RECORD};

/// Why a record, which is an object with members, cannot become a row; `None` where it can.
pub fn refusal(members: &Members<'_>) -> Option<RejectReason> {
    let times = |name: &str| members.0.iter().filter(|(other, _)| other == name).count();
    if RECORD.iter().any(|member| times(member.json) > 1) {
        return Some(RejectReason::DuplicateMember);
    }
    let time = members.first("eventTime").and_then(text);
    let readable = time.is_some_and(|time| DateTime::parse_from_rfc3339(&time).is_ok());
    (!readable).then_some(RejectReason::NoEventTime)
}

/// The event's identity.
pub fn key(members: &Members<'_>, raw: &[u8]) -> EventKey {
    match members.first("eventID").and_then(text) {
        Some(id) if !id.is_empty() => EventKey::of_event_id(&id),
        _ => EventKey::of_record(raw),
    }
}

fn text(value: &serde_json::value::RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

/// Holds a row against the text it was made from, and against serde_json's opinion of it.
pub fn check(rows: &RecordBatch, row: usize, members: &Members<'_>, value: &Value) {
    assert_eq!(&rebuild(rows, row).expect("a row can be rebuilt"), value, "the record comes back");
    for member in RECORD.iter().filter(|member| matches!(member.kind, Kind::Json)) {
        let raw = members.first(member.json).map(|raw| raw.get()).filter(|raw| *raw != "null");
        assert_eq!(cell(rows, &member.json.to_lowercase(), row).as_deref(), raw, "{} byte for byte", member.json);
    }
    check_extra(rows, row, members);
    assert_eq!(cell(rows, "source_object", row), Some(object(row)));
    assert!(cell(rows, "outcome", row).is_some());
}

/// Members without a column stand in `extra`, in order, byte for byte.
fn check_extra(rows: &RecordBatch, row: usize, members: &Members<'_>) {
    let known = |name: &str| RECORD.iter().any(|member| member.json == name);
    let extra = cell(rows, "extra", row).unwrap_or_else(|| "{}".to_owned());
    let extra = Members::of(&extra).expect("extra is an object");
    let kept: Vec<&str> = extra.0.iter().filter(|(name, _)| !known(name)).map(|(_, raw)| raw.get()).collect();
    let unknown: Vec<&str> = members.0.iter().filter(|(name, _)| !known(name)).map(|(_, raw)| raw.get()).collect();
    // behind them may stand which of the usual members were absent
    assert!(kept.len() <= unknown.len() + 1 && kept.starts_with(&unknown), "{kept:?} are not {unknown:?}");
}

/// A cell of a text column, whatever its encoding.
pub fn cell(rows: &RecordBatch, column: &str, row: usize) -> Option<String> {
    let column = rows.column_by_name(column).unwrap_or_else(|| panic!("column {column}"));
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(column.as_ref(), &options).expect("texts can be formatted");
    column.is_valid(row).then(|| formatter.value(row).to_string())
}
