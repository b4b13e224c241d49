//! Rows with one access key (or another text of `useridentity`), found before anything else is read.
//!
//! Owns: reading a column of codes for one value: the bloom filter, the dictionary, then the codes alone. DataFusion
//! prunes by members of structs neither with bounds nor with bloom filters, and would make a text of every row.
//! Refuses: deciding a query. What it finds is where DataFusion looks; the filter is still applied to those rows.
//! Invariant: a row is passed over only where its code is another one's; whatever is not understood is read in full.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::catalog::Session;
use datafusion::common::{Result as DfResult, ScalarValue};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::datasource::physical_plan::parquet::{ParquetAccessPlan, RowGroupAccess};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use futures::{StreamExt, TryStreamExt};
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::RowSelection;
use parquet::basic::{Encoding, Type};
use parquet::bloom_filter::Sbbf;
use parquet::column::page::{Page, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;

/// The struct whose members are looked into.
const COLUMN: &str = "useridentity";

/// Files looked into at the same time.
const AT_ONCE: usize = 16;

/// Of a row group's rows this share at most is worth a selection; beyond it the whole group is read.
const WORTHWHILE: usize = 8;

/// A member and the text that it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Needle {
    path: Vec<String>,
    value: String,
}

/// What some filters look for, if it is this.
pub(super) fn needle(filters: &[Expr]) -> Option<Needle> {
    filters.iter().flat_map(split_conjunction).find_map(|filter| match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            equality(left, right).or_else(|| equality(right, left))
        }
        _ => None,
    })
}

fn equality(member: &Expr, value: &Expr) -> Option<Needle> {
    let Expr::Literal(value, _) = value else { return None };
    let mut path = Vec::new();
    names(member, &mut path)?;
    Some(Needle { path, value: value.try_as_str()??.to_owned() })
}

/// The names on the way to a member.
fn names(expr: &Expr, path: &mut Vec<String>) -> Option<()> {
    match expr {
        Expr::Column(column) if column.name == COLUMN => path.push(column.name.clone()),
        Expr::ScalarFunction(call) if call.name() == "get_field" => {
            let (base, members) = call.args.split_first()?;
            names(base, path)?;
            for member in members {
                let Expr::Literal(ScalarValue::Utf8(Some(name)), _) = member else { return None };
                path.push(name.clone());
            }
        }
        Expr::Cast(cast) if cast.field.data_type().is_string() => names(&cast.expr, path)?,
        _ => return None,
    }
    Some(())
}

/// The files that may have the value, each with the rows that do.
pub(super) async fn seek(
    state: &dyn Session,
    store: &ObjectStoreUrl,
    files: Vec<PartitionedFile>,
    needle: &Needle,
) -> DfResult<Vec<PartitionedFile>> {
    let store = state.runtime_env().object_store(store)?;
    let cache = state.runtime_env().cache_manager.get_file_metadata_cache();
    let needle = Arc::new(needle.clone());
    let found = futures::stream::iter(files).map(|file| {
        let (store, cache, needle) = (Arc::clone(&store), Arc::clone(&cache), Arc::clone(&needle));
        // a task each, as the work is more than waiting
        let task = tokio::spawn(async move {
            let reader =
                DFParquetMetadata::new(store.as_ref(), &file.object_meta).with_file_metadata_cache(Some(cache));
            let metadata = reader.fetch_metadata().await?;
            let mut groups = Vec::with_capacity(metadata.num_row_groups());
            for group in metadata.row_groups() {
                groups.push(look(store.as_ref(), &file, group, &needle).await?);
            }
            let any = groups.iter().any(RowGroupAccess::should_scan);
            Ok::<_, datafusion::error::DataFusionError>(
                any.then(|| file.with_extension(ParquetAccessPlan::new(groups))),
            )
        });
        async move { task.await.map_err(|error| datafusion::error::DataFusionError::External(Box::new(error)))? }
    });
    let found: Vec<Option<PartitionedFile>> = found.buffered(AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

/// Which rows of a group have the value.
async fn look(
    store: &dyn ObjectStore,
    file: &PartitionedFile,
    group: &RowGroupMetaData,
    needle: &Needle,
) -> DfResult<RowGroupAccess> {
    let same = |column: &&ColumnChunkMetaData| column.column_path().parts() == needle.path.as_slice();
    let Some(column) = group.columns().iter().find(same) else { return Ok(RowGroupAccess::Scan) };
    let readable = column.column_type() == Type::BYTE_ARRAY && column.column_descr().max_rep_level() == 0;
    if !readable {
        return Ok(RowGroupAccess::Scan);
    }
    let location = &file.object_meta.location;
    if let (Some(offset), Some(length)) = (column.bloom_filter_offset(), column.bloom_filter_length())
        && let Some(range) = range(offset, length.into())
    {
        let bytes = store.get_range(location, range).await?;
        if Sbbf::from_bytes(&bytes).is_ok_and(|filter| !filter.check(&needle.value.as_str())) {
            return Ok(RowGroupAccess::Skip);
        }
    }
    let (start, length) = column.byte_range();
    let bytes = store.get_range(location, start..start + length).await?;
    let rows = usize::try_from(group.num_rows()).unwrap_or_default();
    Ok(match places(Window { bytes, start }, column, rows, needle.value.as_bytes()) {
        // the general reader will say what is wrong with it
        Err(_) | Ok(None) => RowGroupAccess::Scan,
        Ok(Some(found)) if found.is_empty() => RowGroupAccess::Skip,
        Ok(Some(found)) if found.iter().map(Range::len).sum::<usize>() > rows / WORTHWHILE => RowGroupAccess::Scan,
        Ok(Some(found)) => RowGroupAccess::Selection(RowSelection::from_consecutive_ranges(found.into_iter(), rows)),
    })
}

fn range(offset: i64, length: i64) -> Option<Range<u64>> {
    let start = u64::try_from(offset).ok()?;
    Some(start..start.checked_add(u64::try_from(length).ok()?)?)
}

/// A column chunk as if it were the file.
struct Window {
    bytes: Bytes,
    start: u64,
}

impl Length for Window {
    fn len(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

impl ChunkReader for Window {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        use bytes::Buf;
        let length = usize::try_from(self.len().saturating_sub(start)).unwrap_or_default();
        Ok(self.get_bytes(start, length)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let outside = || ParquetError::General("a page lies outside of its column".to_owned());
        let from = start.checked_sub(self.start).and_then(|from| usize::try_from(from).ok()).ok_or_else(outside)?;
        let upto = from.checked_add(length).filter(|upto| *upto <= self.bytes.len()).ok_or_else(outside)?;
        Ok(self.bytes.slice(from..upto))
    }
}

/// The rows of a column chunk that have the value; `None` where it is not all codes.
fn places(
    window: Window,
    column: &ColumnChunkMetaData,
    rows: usize,
    value: &[u8],
) -> Result<Option<Vec<Range<usize>>>> {
    let mut pages = SerializedPageReader::new(Arc::new(window), column, rows, None)?;
    let deepest = u32::try_from(column.column_descr().max_def_level()).unwrap_or_default();
    let (mut found, mut row, mut wanted): (Vec<Range<usize>>, usize, Option<u32>) = (Vec::new(), 0, None);
    let (mut levels, mut codes) = (Vec::new(), Vec::new());
    while let Some(page) = pages.get_next_page()? {
        let encoding = page.encoding();
        let Some(split) = parts(&page, deepest) else {
            let Page::DictionaryPage { buf, num_values, .. } = page else { return Ok(None) };
            wanted = code(&buf, num_values, value);
            if wanted.is_none() {
                return Ok(Some(found));
            }
            continue;
        };
        let (Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY, Some(wanted)) = (encoding, wanted) else {
            return Ok(None);
        };
        let count = split.values;
        levels.clear();
        if deepest > 0 && hybrid(split.levels, width(deepest), count, &mut levels).is_none() {
            return Ok(None);
        }
        codes.clear();
        let present = if deepest > 0 { levels.iter().filter(|level| **level == deepest).count() } else { count };
        let Some((bits, packed)) = split.codes.split_first() else { return Ok((present == 0).then_some(found)) };
        if hybrid(packed, *bits, present, &mut codes).is_none() {
            return Ok(None);
        }
        let mut next = codes.iter();
        for place in 0..count {
            let here = deepest == 0 || levels.get(place) == Some(&deepest);
            if here && next.next() == Some(&wanted) {
                match found.last_mut() {
                    Some(last) if last.end == row + place => last.end += 1,
                    _ => found.push(row + place..row + place + 1),
                }
            }
        }
        row += count;
    }
    Ok((row == rows).then_some(found))
}

/// A data page's definition levels and what follows them.
struct Parts<'a> {
    values: usize,
    levels: &'a [u8],
    codes: &'a [u8],
}

/// Takes a data page apart; `None` for any other page.
fn parts(page: &Page, deepest: u32) -> Option<Parts<'_>> {
    match page {
        Page::DataPage { buf, num_values, .. } => {
            let values = *num_values as usize;
            if deepest == 0 {
                return Some(Parts { values, levels: &[], codes: buf });
            }
            let (length, rest) = buf.split_first_chunk::<4>()?;
            let (levels, codes) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            Some(Parts { values, levels, codes })
        }
        Page::DataPageV2 { buf, num_values, def_levels_byte_len, rep_levels_byte_len, .. } => {
            let levels = buf.get(*rep_levels_byte_len as usize..)?;
            let (levels, codes) = levels.split_at_checked(*def_levels_byte_len as usize)?;
            Some(Parts { values: *num_values as usize, levels, codes })
        }
        Page::DictionaryPage { .. } => None,
    }
}

/// The value's place in a dictionary of length-prefixed texts.
fn code(dictionary: &[u8], values: u32, value: &[u8]) -> Option<u32> {
    let mut rest = dictionary;
    (0..values).find(|_| {
        let Some((length, behind)) = rest.split_first_chunk::<4>() else { return false };
        let Some((text, behind)) = behind.split_at_checked(u32::from_le_bytes(*length) as usize) else { return false };
        rest = behind;
        text == value
    })
}

/// Bits that a value up to `largest` needs.
fn width(largest: u32) -> u8 {
    u8::try_from(u32::BITS - largest.leading_zeros()).unwrap_or(32)
}

/// Reads `count` numbers of Parquet's hybrid of run lengths and bit packing; `None` where there are not as many.
fn hybrid(mut bytes: &[u8], width: u8, count: usize, out: &mut Vec<u32>) -> Option<()> {
    if width > 32 {
        return None;
    }
    while out.len() < count {
        let header = varint(&mut bytes)?;
        if header & 1 == 0 {
            let (value, rest) = bytes.split_at_checked(usize::from(width.div_ceil(8)))?;
            let mut padded = [0; 4];
            padded[..value.len()].copy_from_slice(value);
            let length = usize::try_from(header >> 1).ok()?.min(count - out.len());
            out.extend(std::iter::repeat_n(u32::from_le_bytes(padded), length));
            (length > 0).then_some(())?;
            bytes = rest;
        } else {
            let groups = usize::try_from(header >> 1).ok()?;
            let size = groups.checked_mul(usize::from(width))?.min(bytes.len());
            let (packed, rest) = bytes.split_at(size);
            let length = groups.checked_mul(8)?.min(count - out.len());
            (length > 0 && packed.len() * 8 >= length * usize::from(width)).then_some(())?;
            unpack(packed, width, length, out);
            bytes = rest;
        }
    }
    Some(())
}

/// Appends `count` numbers of `width` bits, the first in the lowest bits.
fn unpack(packed: &[u8], width: u8, count: usize, out: &mut Vec<u32>) {
    let width = u32::from(width);
    let mask = (1_u64 << width) - 1;
    let (mut bits, mut filled, mut next) = (0_u64, 0, packed.iter());
    for _ in 0..count {
        while filled < width {
            bits |= u64::from(*next.next().unwrap_or(&0)) << filled;
            filled += 8;
        }
        out.push((bits & mask) as u32);
        bits >>= width;
        filled -= width;
    }
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..35).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, RecordBatch, StringArray, StructArray};
    use arrow::datatypes::{DataType, Field, Fields};
    use datafusion::functions::core::expr_fn::get_field;
    use datafusion::logical_expr::{col, lit};
    use parquet::arrow::ArrowWriter;
    use parquet::file::metadata::ParquetMetaDataReader;
    use parquet::file::properties::{WriterProperties, WriterVersion};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_equality_on_a_member_is_seen() {
        let key = || get_field(col("useridentity"), "accesskeyid");
        let expected = Needle { path: vec!["useridentity".into(), "accesskeyid".into()], value: "K".into() };
        assert_eq!(
            needle(&[col("a").gt(lit(1)), key().eq(lit("K")).and(col("b").eq(lit("x")))]),
            Some(expected.clone())
        );
        assert_eq!(needle(&[lit("K").eq(key())]), Some(expected));
        assert_eq!(needle(&[key().not_eq(lit("K")), col("actor").eq(lit("K")), key().eq(col("b"))]), None);
    }

    fn written(keys: &[Option<String>], version: WriterVersion, dictionary: bool) -> Bytes {
        let texts: ArrayRef = Arc::new(StringArray::from_iter(keys.iter()));
        let fields = Fields::from(vec![Field::new("accesskeyid", DataType::Utf8, true)]);
        // a row without key has no identity at all
        let nulls = arrow::buffer::NullBuffer::from_iter(keys.iter().map(Option::is_some));
        let identity: ArrayRef = Arc::new(StructArray::new(fields, vec![texts], Some(nulls)));
        let batch = RecordBatch::try_from_iter_with_nullable([("useridentity", identity, true)]).unwrap();
        let properties = WriterProperties::builder()
            .set_writer_version(version)
            .set_dictionary_enabled(dictionary)
            .set_data_page_row_count_limit(100)
            .set_write_batch_size(50)
            .build();
        let mut out = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut out, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        out.into()
    }

    fn found(file: &Bytes, rows: usize, value: &str) -> Option<Vec<usize>> {
        let metadata = ParquetMetaDataReader::new().parse_and_finish(file).unwrap();
        let column = metadata.row_group(0).column(0);
        let (start, length) = column.byte_range();
        let bytes = file.slice(start as usize..(start + length) as usize);
        let places = places(Window { bytes, start }, column, rows, value.as_bytes()).unwrap();
        places.map(|ranges| ranges.into_iter().flatten().collect())
    }

    proptest! {
        #[test]
        fn exactly_the_rows_with_the_value_are_found(
            keys in prop::collection::vec(prop_oneof![2 => Just(None), 5 => (0_u16..300).prop_map(|n| Some(format!("K{}", n % 40 * (n % 3))))], 1..700),
            second in any::<bool>(),
        ) {
            let version = if second { WriterVersion::PARQUET_2_0 } else { WriterVersion::PARQUET_1_0 };
            let file = written(&keys, version, true);
            for value in ["K0", "K7", "K39", "none"] {
                let expected: Vec<usize> = (0..keys.len()).filter(|row| keys[*row].as_deref() == Some(value)).collect();
                prop_assert_eq!(found(&file, keys.len(), value), Some(expected));
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), width in any::<u8>(), count in 0_usize..200) {
            let mut out = Vec::new();
            let read = hybrid(&bytes, width, count, &mut out);
            prop_assert!(read.is_none() || out.len() == count);
            code(&bytes, 9, b"x");
        }
    }

    #[test]
    fn a_column_without_codes_is_left_to_the_reader() {
        let keys: Vec<Option<String>> = (0..10).map(|n| Some(format!("K{n}"))).collect();
        assert_eq!(found(&written(&keys, WriterVersion::PARQUET_1_0, false), 10, "K1"), None);
    }
}
