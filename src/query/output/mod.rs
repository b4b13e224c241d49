//! Results as text or Parquet, written as they come.
//!
//! Owns: the formats, and that text out of a log is inert in every one of them: no terminal sequence, no
//! right-to-left trick, no spreadsheet formula.
//! Refuses: opening files, deciding what a terminal may be sent (`Format::is_binary` tells), printing a summary.
//! Invariant: rows and columns keep the order of the query; memory does not grow with the result, except that
//! `table` holds up to `TABLE_ROWS` rows to align them.

mod cell;
mod csv;
mod json;
mod table;
mod vertical;

use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion_functions_json::{JsonUnionEncoder, JsonUnionValue};
use futures::StreamExt;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::fault;
use super::text::with_text_keys;
use crate::error::{Error, ErrorKind, Result};
use crate::inert::{Breaks, push_visible};

/// Rows that `table` shows; the rest is only counted.
pub const TABLE_ROWS: usize = 10_000;

/// Characters of a cell that `table` shows; a longer one is cut and ends in `…`.
pub const TABLE_CELL: usize = 256;

/// Text for one line of a terminal: whatever acts in it is shown as an escape.
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    push_visible(text, Breaks::Shown, &mut out);
    out
}

/// How a result is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Aligned columns for people.
    Table,
    /// A line for each value, for people and wide rows.
    Vertical,
    /// One JSON array, a row a line.
    Json,
    /// One JSON object a line.
    Ndjson,
    /// RFC 4180 with a header line.
    Csv,
    /// A Parquet file with zstd.
    Parquet,
}

impl Format {
    /// All formats, in the order in which help names them.
    pub const ALL: [Self; 6] = [Self::Table, Self::Vertical, Self::Json, Self::Ndjson, Self::Csv, Self::Parquet];

    /// The name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Vertical => "vertical",
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }

    /// True where a terminal must not be sent the bytes.
    pub fn is_binary(self) -> bool {
        matches!(self, Self::Parquet)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == text).ok_or_else(|| {
            Error::new(ErrorKind::Usage, format!("unknown output format {text:?}"))
                .hint(format!("use {}", Self::ALL.map(Self::as_str).join(", ")))
        })
    }
}

/// How writing ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Everything was written.
    Complete,
    /// The reader of the pipe went away, which is its right: the query was stopped, and this is no failure.
    ReaderGone,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Rows written.
    pub rows: u64,
    /// Rows of the result that `table` did not show.
    pub left_out: u64,
    /// How it ended.
    pub end: End,
}

/// Writes a result.
///
/// # Errors
/// Those of the query, and `Unavailable` where `out` cannot be written to. A closed pipe is no error.
pub async fn write(
    mut stream: SendableRecordBatchStream,
    format: Format,
    out: &mut (dyn Write + Send),
) -> Result<Summary> {
    let mut rows = 0;
    let mut writer = match Writer::new(format, plain_schema(&stream.schema(), format), out) {
        Ok(writer) => writer,
        Err(error) => return closed_or(error, rows),
    };
    while let Some(batch) = stream.next().await {
        let batch = plain(&batch.map_err(|error| fault::of(&error))?, format)?;
        if let Err(error) = writer.write(&batch) {
            return closed_or(error, rows);
        }
        rows += batch.num_rows() as u64;
    }
    match writer.finish() {
        Ok(left_out) => Ok(Summary { rows: rows - left_out, left_out, end: End::Complete }),
        Err(error) => closed_or(error, rows),
    }
}

/// Every cell of a batch as text, row by row, as it looks in the other formats; `None` for NULL. For results that are small.
///
/// # Errors
/// `Usage` where a column is of a type that has no text.
pub fn cells(batch: &RecordBatch) -> Result<Vec<Vec<Option<String>>>> {
    let batch = plain(batch, Format::Table)?;
    let failed = |error| match Failure::from(error) {
        Failure::Other(error) => error,
        Failure::Io(error) => Error::new(ErrorKind::Internal, "cannot write into memory").source(error),
    };
    let options = cell::json_options();
    let mut columns = cell::columns(&batch, &options).map_err(failed)?;
    let mut rows = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let cells = columns.iter_mut().map(|column| column.text(row));
        rows.push(cells.collect::<std::result::Result<_, _>>().map_err(failed)?);
    }
    Ok(rows)
}

/// Why a batch could not be written.
enum Failure {
    Io(io::Error),
    Other(Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<arrow::error::ArrowError> for Failure {
    fn from(error: arrow::error::ArrowError) -> Self {
        match error {
            arrow::error::ArrowError::IoError(_, error) => Self::Io(error),
            other => Self::Other(
                Error::new(ErrorKind::Usage, "cannot write the result in this format")
                    .source(other)
                    .hint("cast the column to text, or choose another format"),
            ),
        }
    }
}

impl From<ParquetError> for Failure {
    fn from(error: ParquetError) -> Self {
        match error {
            ParquetError::External(inner) => match inner.downcast::<io::Error>() {
                Ok(error) => Self::Io(*error),
                Err(inner) => Self::from(arrow::error::ArrowError::ParquetError(inner.to_string())),
            },
            other => Self::from(arrow::error::ArrowError::ParquetError(other.to_string())),
        }
    }
}

fn closed_or(failure: Failure, rows: u64) -> Result<Summary> {
    match failure {
        Failure::Io(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            Ok(Summary { rows, left_out: 0, end: End::ReaderGone })
        }
        Failure::Io(error) => Err(Error::new(ErrorKind::Unavailable, "cannot write the result")
            .source(error)
            .hint("check the disk or the program that reads it")),
        Failure::Other(error) => Err(error),
    }
}

/// A result being written in one of the formats.
enum Writer<'a> {
    Table(Box<table::TableWriter<'a>>),
    Vertical(vertical::VerticalWriter<'a>),
    Json(json::JsonWriter<'a>),
    Csv(csv::CsvWriter<'a>),
    Parquet(Box<ArrowWriter<&'a mut (dyn Write + Send)>>),
}

impl<'a> Writer<'a> {
    fn new(format: Format, schema: SchemaRef, out: &'a mut (dyn Write + Send)) -> std::result::Result<Self, Failure> {
        Ok(match format {
            Format::Table => Self::Table(Box::new(table::TableWriter::new(&schema, out))),
            Format::Vertical => Self::Vertical(vertical::VerticalWriter::new(&schema, out)),
            Format::Json => Self::Json(json::JsonWriter::new(json::Layout::Array, out)?),
            Format::Ndjson => Self::Json(json::JsonWriter::new(json::Layout::Lines, out)?),
            Format::Csv => Self::Csv(csv::CsvWriter::new(&schema, out)?),
            Format::Parquet => Self::Parquet(Box::new(ArrowWriter::try_new(out, schema, Some(properties()))?)),
        })
    }

    fn write(&mut self, batch: &RecordBatch) -> std::result::Result<(), Failure> {
        match self {
            Self::Table(writer) => Ok(writer.write(batch)?),
            Self::Vertical(writer) => writer.write(batch),
            Self::Json(writer) => writer.write(batch),
            Self::Csv(writer) => writer.write(batch),
            Self::Parquet(writer) => Ok(writer.write(batch)?),
        }
    }

    /// Rows left out.
    fn finish(self) -> std::result::Result<u64, Failure> {
        match self {
            Self::Table(writer) => Ok(writer.finish()?),
            Self::Vertical(writer) => writer.finish().map(|()| 0).map_err(Failure::from),
            Self::Json(writer) => writer.finish().map(|()| 0).map_err(Failure::from),
            Self::Csv(writer) => writer.finish().map(|()| 0).map_err(Failure::from),
            Self::Parquet(writer) => writer.close().map(|_| 0).map_err(Failure::from),
        }
    }
}

fn properties() -> WriterProperties {
    WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build()
}

/// The schema that is written: JSON values (`->`) as text, and, where names are keys, no name twice.
fn plain_schema(schema: &Schema, format: Format) -> SchemaRef {
    let mut fields: Vec<Field> = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let taken = |name: &str| fields.iter().any(|other| other.name() == name);
        let mut name = field.name().clone();
        let mut copy = 1;
        while !matches!(format, Format::Table | Format::Vertical | Format::Csv) && taken(&name) {
            copy += 1;
            name = format!("{}_{copy}", field.name());
        }
        let field = match field.data_type() {
            DataType::Union(..) => Field::new(name, DataType::Utf8, true),
            other if !format.is_binary() => {
                field.as_ref().clone().with_name(name).with_data_type(with_text_keys(other))
            }
            _ => field.as_ref().clone().with_name(name),
        };
        fields.push(field);
    }
    Arc::new(Schema::new(fields))
}

fn plain(batch: &RecordBatch, format: Format) -> Result<RecordBatch> {
    let schema = plain_schema(&batch.schema(), format);
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| written(column, field.data_type())).collect::<Result<_>>()?;
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema, columns, &options)
        .map_err(|error| Error::new(ErrorKind::Internal, "cannot write the result").source(error))
}

/// A column in the type that it is written as.
fn written(column: &ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
    let column = json_as_text(column);
    if column.data_type() == data_type {
        return Ok(column);
    }
    cast(&column, data_type)
        .map_err(|error| Error::new(ErrorKind::Internal, "cannot write the keys of a map as text").source(error))
}

/// A column of JSON values as text: a string without its quotes, anything else as JSON.
fn json_as_text(column: &ArrayRef) -> ArrayRef {
    let DataType::Union(..) = column.data_type() else {
        return Arc::clone(column);
    };
    let mut text = StringBuilder::new();
    match JsonUnionEncoder::from_union(column.as_union().clone()) {
        Some(values) => (0..values.len()).for_each(|row| text.append_option(json_text(values.get_value(row)))),
        None => (0..column.len()).for_each(|_| text.append_null()),
    }
    Arc::new(text.finish())
}

fn json_text(value: JsonUnionValue<'_>) -> Option<String> {
    match value {
        JsonUnionValue::JsonNull => None,
        JsonUnionValue::Bool(value) => Some(value.to_string()),
        JsonUnionValue::Int(value) => Some(value.to_string()),
        JsonUnionValue::Float(value) => Some(value.to_string()),
        JsonUnionValue::Str(text) | JsonUnionValue::Array(text) | JsonUnionValue::Object(text) => Some(text.to_owned()),
    }
}

#[cfg(test)]
mod tests;
