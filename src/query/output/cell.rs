//! One column of a batch as text, cell by cell.
//!
//! Owns: how values look: ISO 8601 in UTC with `Z`, nested values as JSON, numbers as they are.

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{DataType, FieldRef};
use arrow::error::ArrowError;
use arrow::json::writer::{EncoderOptions, NullableEncoder, make_encoder};
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// SQL's timestamps without a zone are UTC here, as all of the lake is.
pub(super) const NAIVE_TIMESTAMP: &str = "%Y-%m-%dT%H:%M:%S%.fZ";

const PLAIN: FormatOptions<'static> =
    FormatOptions::new().with_timestamp_format(Some(NAIVE_TIMESTAMP)).with_display_error(true);

/// Options for nested values.
pub(super) fn json_options() -> EncoderOptions {
    EncoderOptions::default().with_explicit_nulls(true).with_timestamp_format(NAIVE_TIMESTAMP.to_owned())
}

/// What a column holds, as far as writing it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Numbers, which align right and are never formulas.
    Number,
    /// Everything else.
    Text,
}

/// The class of a type.
pub(super) fn class(data_type: &DataType) -> Class {
    match data_type {
        DataType::Dictionary(_, value) => class(value),
        other if other.is_numeric() => Class::Number,
        _ => Class::Text,
    }
}

/// Writes the cells of one column.
pub(super) struct Cells<'a> {
    array: &'a dyn Array,
    writer: CellWriter<'a>,
    bytes: Vec<u8>,
}

enum CellWriter<'a> {
    Plain(ArrayFormatter<'a>),
    Json(NullableEncoder<'a>),
}

impl<'a> Cells<'a> {
    fn new(field: &'a FieldRef, array: &'a dyn Array, options: &'a EncoderOptions) -> Result<Self, ArrowError> {
        let writer = match array.data_type().is_nested() {
            true => CellWriter::Json(make_encoder(field, array, options)?),
            false => CellWriter::Plain(ArrayFormatter::try_new(array, &PLAIN)?),
        };
        Ok(Self { array, writer, bytes: Vec::new() })
    }

    /// The text of a cell, `None` for NULL.
    pub(super) fn text(&mut self, row: usize) -> Result<Option<String>, ArrowError> {
        if self.array.is_null(row) {
            return Ok(None);
        }
        match &mut self.writer {
            CellWriter::Plain(formatter) => formatter.value(row).try_to_string().map(Some),
            CellWriter::Json(encoder) => {
                self.bytes.clear();
                encoder.encode(row, &mut self.bytes);
                Ok(Some(String::from_utf8_lossy(&self.bytes).into_owned()))
            }
        }
    }
}

/// The columns of a batch, with the fields and options that they borrow.
pub(super) fn columns<'a>(batch: &'a RecordBatch, options: &'a EncoderOptions) -> Result<Vec<Cells<'a>>, ArrowError> {
    let fields = batch.schema_ref().fields().iter();
    fields.zip(batch.columns()).map(|(field, array)| Cells::new(field, array.as_ref(), options)).collect()
}
