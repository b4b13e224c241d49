//! Values of some rows of a column chunk.
//!
//! Owns: texts, instants and booleans of chosen rows as arrays. Of a dictionary only the texts of these rows are looked at.
//! Refuses: lists, and values of any other type.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, StringViewArray, StringViewBuilder, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use parquet::basic::Type;
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType as Physical, Int64Type};
use parquet::errors::Result;
use parquet::file::metadata::ColumnChunkMetaData;

use super::codes::Codes;
use super::pages::Pages;

/// Whether a column of this type can be read here.
pub(super) fn is_readable(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8View | DataType::Utf8 | DataType::Boolean)
        || *data_type == crate::schema::timestamp()
}

/// Some rows of a chunk of `all`, ranges of which are in order; `None` where the chunk is not of this type, or is not all
/// there. `pages` opens the chunk.
///
/// # Errors
/// Where a page cannot be read.
pub(super) fn cells(
    pages: impl Fn() -> Result<Pages>,
    column: &ColumnChunkMetaData,
    all: usize,
    rows: &[Range<usize>],
    data_type: &DataType,
) -> Result<Option<ArrayRef>> {
    Ok(match (data_type, column.column_type()) {
        (DataType::Utf8View | DataType::Utf8, Type::BYTE_ARRAY) => {
            let coded = coded(pages()?, column, all, rows)?;
            let texts = if coded.is_some() { coded } else { texts(pages()?, column, rows)? };
            texts.map(|texts| cast(&texts, data_type)).transpose()?
        }
        (DataType::Timestamp(..), Type::INT64) => {
            instants(pages()?, column, rows)?.map(|instants| Arc::new(instants) as ArrayRef)
        }
        (DataType::Boolean, Type::BOOLEAN) => {
            let bits = Plain::<bool>::read::<BoolType>(pages()?, column, rows)?;
            bits.map(|bits| Arc::new(BooleanArray::from(bits.each())) as ArrayRef)
        }
        _ => None,
    })
}

/// Some rows of a chunk of instants.
///
/// # Errors
/// As [`cells`].
pub(super) fn instants(
    pages: Pages,
    column: &ColumnChunkMetaData,
    rows: &[Range<usize>],
) -> Result<Option<TimestampMicrosecondArray>> {
    let instants = Plain::<i64>::read::<Int64Type>(pages, column, rows)?.map(|plain| match plain.is_there {
        None => TimestampMicrosecondArray::from(plain.values),
        Some(_) => TimestampMicrosecondArray::from(plain.each()),
    });
    Ok(instants.map(|instants| instants.with_timezone("UTC")))
}

/// Texts by their codes; `None` where not all pages are codes.
fn coded(
    pages: Pages,
    column: &ColumnChunkMetaData,
    all: usize,
    rows: &[Range<usize>],
) -> Result<Option<StringViewArray>> {
    if column.dictionary_page_offset().is_none() {
        return Ok(None);
    }
    let Some(mut chunk) = Codes::open(pages, column, all)? else { return Ok(None) };
    let Some(codes) = chunk.read(rows)? else { return Ok(None) };
    let Some((bytes, found)) = chunk.find(&codes) else { return Ok(None) };
    let mut texts = StringViewBuilder::with_capacity(codes.len());
    for place in found {
        texts.append_option(place.map(|place| std::str::from_utf8(&bytes[place])).transpose()?);
    }
    Ok(Some(texts.finish()))
}

fn texts(pages: Pages, column: &ColumnChunkMetaData, rows: &[Range<usize>]) -> Result<Option<StringViewArray>> {
    let Some(plain) = Plain::<ByteArray>::read::<ByteArrayType>(pages, column, rows)? else { return Ok(None) };
    let mut texts = StringViewBuilder::with_capacity(plain.values.len());
    for text in plain.each() {
        texts.append_option(text.as_ref().map(ByteArray::as_utf8).transpose()?);
    }
    Ok(Some(texts.finish()))
}

/// Values as a general reader gives them.
struct Plain<T> {
    /// Those that are there.
    values: Vec<T>,
    /// Which are, where not all.
    is_there: Option<Vec<bool>>,
}

impl<T> Plain<T> {
    fn read<P: Physical<T = T>>(
        pages: Pages,
        column: &ColumnChunkMetaData,
        rows: &[Range<usize>],
    ) -> Result<Option<Self>> {
        let mut reader = ColumnReaderImpl::<P>::new(column.column_descr_ptr(), Box::new(pages));
        let deepest = column.column_descr().max_def_level();
        let count = rows.iter().map(Range::len).sum();
        let (mut levels, mut values, mut read, mut next) = (Vec::new(), Vec::with_capacity(count), 0, 0);
        for rows in rows {
            reader.skip_records(rows.start - next)?;
            read += reader.read_records(rows.len(), (deepest > 0).then_some(&mut levels), None, &mut values)?.0;
            next = rows.end;
        }
        let is_there = (values.len() < read).then(|| levels.iter().map(|level| *level == deepest).collect());
        Ok((read == count).then_some(Self { values, is_there }))
    }

    fn each(self) -> Vec<Option<T>> {
        let mut values = self.values.into_iter();
        match self.is_there {
            None => values.map(Some).collect(),
            Some(is_there) => is_there.into_iter().map(|there| if there { values.next() } else { None }).collect(),
        }
    }
}
