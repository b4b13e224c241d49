//! Values of the Delta log (JSON) as values of a column.
//!
//! Owns: reading a file's partition value, and its smallest and largest values.
//! Invariant: a lower bound is never above, an upper bound never below the value in the file, even where the log
//! holds it rounded; what cannot be read is no bound.

use arrow::datatypes::{DataType, Field, TimeUnit};
use chrono::{DateTime, NaiveDate, Utc};
use datafusion::common::ScalarValue;
use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::table::DataFile;

/// Which of a file's two bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// The smallest value, or less.
    Lower,
    /// The largest value, or more.
    Upper,
}

/// Reads one bound of a column; `None` where the log has none or the type keeps none.
pub(super) fn bound(value: &Value, data_type: &DataType, side: Side) -> Option<ScalarValue> {
    Some(match data_type {
        DataType::Utf8 => ScalarValue::Utf8(Some(value.as_str()?.to_owned())),
        DataType::Utf8View => ScalarValue::Utf8View(Some(value.as_str()?.to_owned())),
        DataType::Int64 => ScalarValue::Int64(Some(value.as_i64()?)),
        DataType::Float64 => ScalarValue::Float64(Some(value.as_f64()?)),
        DataType::Boolean => ScalarValue::Boolean(Some(value.as_bool()?)),
        DataType::Date32 => date(value.as_str()?)?,
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            ScalarValue::TimestampMicrosecond(Some(instant(value.as_str()?, side)?), zone.clone())
        }
        _ => return None,
    })
}

/// Reads the value of the partition column.
///
/// # Errors
/// `BadInput` where it is missing or not a date, or the column is of a type that cannot partition a table here.
pub(super) fn partition_value(file: &DataFile, field: &Field) -> Result<ScalarValue> {
    let broken = |what: String| {
        Error::new(ErrorKind::BadInput, format!("cannot read {}: {what}", file.path))
            .hint("the table's log is damaged or written by something else; restore an earlier version")
    };
    let text = file.partition.as_deref().ok_or_else(|| broken(format!("it has no {}", field.name())))?;
    match field.data_type() {
        DataType::Date32 => date(text).ok_or_else(|| broken(format!("its {} {text:?} is not a date", field.name()))),
        other => Err(broken(format!("a table cannot be partitioned by {}, a {other}", field.name()))),
    }
}

fn date(text: &str) -> Option<ScalarValue> {
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    let days = date.signed_duration_since(NaiveDate::default()).num_days();
    Some(ScalarValue::Date32(Some(i32::try_from(days).ok()?)))
}

/// Microseconds since 1970. Delta's writers may cut a timestamp to milliseconds, so an upper bound without
/// microseconds stands for the whole millisecond.
fn instant(text: &str, side: Side) -> Option<i64> {
    let micros = DateTime::parse_from_rfc3339(text).ok()?.with_timezone(&Utc).timestamp_micros();
    Some(match side {
        Side::Upper if micros % 1000 == 0 => micros.saturating_add(999),
        _ => micros,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn micros(text: &str, side: Side) -> Option<i64> {
        let data_type = crate::schema::timestamp();
        match bound(&json!(text), &data_type, side)? {
            ScalarValue::TimestampMicrosecond(value, _) => value,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn upper_bound_cut_to_milliseconds_covers_the_millisecond() {
        let exact = DateTime::parse_from_rfc3339("2026-01-01T00:00:00.123Z").unwrap().timestamp_micros();
        assert_eq!(micros("2026-01-01T00:00:00.123Z", Side::Lower), Some(exact));
        assert_eq!(micros("2026-01-01T00:00:00.123Z", Side::Upper), Some(exact + 999));
        assert_eq!(micros("2026-01-01T00:00:00.123456Z", Side::Upper), Some(exact + 456));
    }

    #[test]
    fn what_cannot_be_read_is_no_bound() {
        assert_eq!(bound(&json!(7), &DataType::Utf8, Side::Lower), None);
        assert_eq!(bound(&Value::Null, &DataType::Int64, Side::Lower), None);
        assert_eq!(micros("yesterday", Side::Lower), None);
    }

    #[test]
    fn days_count_from_1970() {
        assert_eq!(bound(&json!("1970-01-03"), &DataType::Date32, Side::Lower), Some(ScalarValue::Date32(Some(2))));
        assert_eq!(date("2026-02-30"), None);
    }
}
