//! Typed columns of the detector's own queries.
//!
//! Owns: the step from record batches to plain values. Refuses: any meaning of them.
//! Invariant: a missing column or another type is an error of ours, never a default.

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use crate::error::{Error, ErrorKind, Result};

const MICROS_OF_HOUR: i64 = 3_600_000_000;

/// A column, as one type.
///
/// # Errors
/// `Internal` where it is missing or cannot be one.
pub(super) fn column(batch: &RecordBatch, name: &str, data_type: &DataType) -> Result<ArrayRef> {
    let wrong = || Error::new(ErrorKind::Internal, format!("the detector's query gave no usable column {name}"));
    let array = batch.column_by_name(name).ok_or_else(wrong)?;
    cast(array, data_type).map_err(|error| wrong().source(error))
}

/// A column of text, whatever encoding the engine chose for it; views, which most are, are not copied.
pub struct Texts(StringViewArray);

impl Texts {
    /// Reads the column.
    ///
    /// # Errors
    /// `Internal` where it is missing or not text.
    pub fn of(batch: &RecordBatch, name: &str) -> Result<Self> {
        Ok(Self(column(batch, name, &DataType::Utf8View)?.as_string_view().clone()))
    }

    /// The value, empty for NULL.
    pub fn at(&self, row: usize) -> &str {
        self.maybe(row).unwrap_or_default()
    }

    /// The value, `None` for NULL.
    pub fn maybe(&self, row: usize) -> Option<&str> {
        (!self.0.is_null(row)).then(|| self.0.value(row))
    }

    /// The value as a string of its own, `None` for NULL.
    pub fn owned(&self, row: usize) -> Option<String> {
        self.maybe(row).map(str::to_owned)
    }
}

/// A column of integers, dates or instants.
pub struct Numbers(Int64Array);

impl Numbers {
    /// Reads a column of counts.
    ///
    /// # Errors
    /// `Internal` where it is missing or not a number.
    pub fn of(batch: &RecordBatch, name: &str) -> Result<Self> {
        Ok(Self(column(batch, name, &DataType::Int64)?.as_primitive().clone()))
    }

    /// Reads a column of dates.
    ///
    /// # Errors
    /// `Internal` where it is missing or not a date.
    pub fn of_dates(batch: &RecordBatch, name: &str) -> Result<Self> {
        let days = column(batch, name, &DataType::Date32)?;
        let days = cast(&cast(&days, &DataType::Int32).map_err(internal)?, &DataType::Int64).map_err(internal)?;
        Ok(Self(days.as_primitive().clone()))
    }

    /// Reads a column of instants as microseconds.
    ///
    /// # Errors
    /// `Internal` where it is missing or not an instant.
    pub fn of_instants(batch: &RecordBatch, name: &str) -> Result<Self> {
        let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let instants = cast(&column(batch, name, &instant)?, &DataType::Int64).map_err(internal)?;
        Ok(Self(instants.as_primitive().clone()))
    }

    /// The rows.
    pub fn rows(&self) -> std::ops::Range<usize> {
        0..self.0.len()
    }

    /// The number, 0 for NULL.
    pub fn at(&self, row: usize) -> i64 {
        if self.0.is_null(row) { 0 } else { self.0.value(row) }
    }

    /// The number as a date (days since 1970).
    pub fn date(&self, row: usize) -> NaiveDate {
        let epoch = NaiveDate::default();
        TimeDelta::try_days(self.at(row)).and_then(|days| epoch.checked_add_signed(days)).unwrap_or(epoch)
    }

    /// Hour of the day, UTC, of an instant.
    pub fn hour(&self, row: usize) -> u8 {
        self.at(row).div_euclid(MICROS_OF_HOUR).rem_euclid(24) as u8
    }

    /// The last of the instants; `None` where there is no row.
    pub fn newest(&self) -> Option<DateTime<Utc>> {
        let newest = self.rows().max_by_key(|row| self.at(*row));
        newest.map(|row| self.instant(row))
    }

    /// The number as an instant (microseconds since 1970).
    pub fn instant(&self, row: usize) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.at(row)).unwrap_or_default()
    }
}

fn internal(error: arrow::error::ArrowError) -> Error {
    Error::new(ErrorKind::Internal, "cannot read a column of the detector's query").source(error)
}
