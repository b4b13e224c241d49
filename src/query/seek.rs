//! Rows of an access key (or another text of `useridentity`), an actor or an address, found before anything else is read.
//!
//! Owns: reading a column of codes for a few values: the bloom filter, the dictionary, then the codes alone. DataFusion
//! prunes by members of structs neither with bounds nor with bloom filters, and would make a text of every row.
//! Refuses: deciding a query. What it finds is where DataFusion looks; the filter is still applied to those rows.
//! Invariant: a row is passed over only where its code is another one's; whatever is not understood is read in full.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::catalog::Session;
use datafusion::common::{Result as DfResult, ScalarValue};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::datasource::physical_plan::parquet::{ParquetAccessPlan, RowGroupAccess};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::expr::InList;
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

/// Columns that are looked into: a struct's members, and texts of which a value is in few rows of many groups.
const COLUMNS: [&str; 3] = ["useridentity", "actor", "sourceipaddress"];

/// Files looked into at the same time.
const AT_ONCE: usize = 16;

/// Of a row group's rows this share at most is worth a selection; beyond it the whole group is read.
const WORTHWHILE: usize = 8;

/// A column (or a member) and the texts of which it must be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Needle {
    path: Vec<String>,
    values: Vec<String>,
}

/// What some filters look for, if it is this: a row has one of the needles.
pub(super) fn needles(filters: &[Expr]) -> Option<Vec<Needle>> {
    filters.iter().flat_map(split_conjunction).find_map(|filter| {
        let mut needles = Vec::new();
        alternatives(filter, &mut needles).map(|()| needles)
    })
}

fn alternatives(filter: &Expr, needles: &mut Vec<Needle>) -> Option<()> {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            alternatives(left, needles)?;
            alternatives(right, needles)?;
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            let one = |column, value: &Expr| needle(column, std::slice::from_ref(value));
            needles.push(one(left, right).or_else(|| one(right, left))?);
        }
        Expr::InList(InList { expr, list, negated: false }) => needles.push(needle(expr, list)?),
        _ => return None,
    }
    Some(())
}

fn needle(column: &Expr, values: &[Expr]) -> Option<Needle> {
    let text = |value: &Expr| match value {
        Expr::Literal(value, _) => Some(value.try_as_str()??.to_owned()),
        _ => None,
    };
    let values = values.iter().map(text).collect::<Option<_>>()?;
    let mut path = Vec::new();
    names(column, &mut path)?;
    Some(Needle { path, values })
}

/// The names on the way to a column or a member.
fn names(expr: &Expr, path: &mut Vec<String>) -> Option<()> {
    match expr {
        Expr::Column(column) if COLUMNS.contains(&column.name.as_str()) => path.push(column.name.clone()),
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

/// What was found.
pub(super) struct Sought {
    /// The files that may have one of the values, each with the rows that do.
    pub(super) files: Vec<PartitionedFile>,
    /// Whether the rows of all of them are chosen: none has to be read in full to know.
    pub(super) chosen: bool,
}

/// Finds the files that may have one of the values.
pub(super) async fn seek(
    state: &dyn Session,
    store: &ObjectStoreUrl,
    files: Vec<PartitionedFile>,
    needles: Vec<Needle>,
) -> DfResult<Sought> {
    let store = state.runtime_env().object_store(store)?;
    let cache = state.runtime_env().cache_manager.get_file_metadata_cache();
    let needles = Arc::new(needles);
    let found = futures::stream::iter(files).map(|file| {
        let (store, cache, needles) = (Arc::clone(&store), Arc::clone(&cache), Arc::clone(&needles));
        // a task each, as the work is more than waiting
        let task = tokio::spawn(async move {
            let reader =
                DFParquetMetadata::new(store.as_ref(), &file.object_meta).with_file_metadata_cache(Some(cache));
            let metadata = reader.fetch_metadata().await?;
            let mut groups = Vec::with_capacity(metadata.num_row_groups());
            for group in metadata.row_groups() {
                groups.push(look(store.as_ref(), &file, group, &needles).await?);
            }
            let any = groups.iter().any(RowGroupAccess::should_scan);
            let chosen = !groups.contains(&RowGroupAccess::Scan);
            Ok::<_, datafusion::error::DataFusionError>(
                any.then(|| (file.with_extension(ParquetAccessPlan::new(groups)), chosen)),
            )
        });
        async move { task.await.map_err(|error| datafusion::error::DataFusionError::External(Box::new(error)))? }
    });
    let found: Vec<Option<(PartitionedFile, bool)>> = found.buffered(AT_ONCE).try_collect().await?;
    let (files, chosen): (Vec<_>, Vec<bool>) = found.into_iter().flatten().unzip();
    Ok(Sought { files, chosen: chosen.into_iter().all(|chosen| chosen) })
}

/// Which rows of a group have one of the needles.
async fn look(
    store: &dyn ObjectStore,
    file: &PartitionedFile,
    group: &RowGroupMetaData,
    needles: &[Needle],
) -> DfResult<RowGroupAccess> {
    let mut all = Vec::new();
    for needle in needles {
        match find(store, file, group, needle).await? {
            Some(found) => all.extend(found),
            None => return Ok(RowGroupAccess::Scan),
        }
    }
    let found = merged(all);
    let rows = usize::try_from(group.num_rows()).unwrap_or_default();
    Ok(match found.iter().map(Range::len).sum::<usize>() {
        0 => RowGroupAccess::Skip,
        many if many > rows / WORTHWHILE => RowGroupAccess::Scan,
        _ => RowGroupAccess::Selection(RowSelection::from_consecutive_ranges(found.into_iter(), rows)),
    })
}

/// Ranges in order, those that touch as one.
fn merged(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_unstable_by_key(|range| (range.start, range.end));
    let mut merged: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

/// The rows of a group that have a needle; `None` where the group must be read to know.
async fn find(
    store: &dyn ObjectStore,
    file: &PartitionedFile,
    group: &RowGroupMetaData,
    needle: &Needle,
) -> DfResult<Option<Vec<Range<usize>>>> {
    let same = |column: &&ColumnChunkMetaData| column.column_path().parts() == needle.path.as_slice();
    let Some(column) = group.columns().iter().find(same) else { return Ok(None) };
    let readable = column.column_type() == Type::BYTE_ARRAY && column.column_descr().max_rep_level() == 0;
    if !readable {
        return Ok(None);
    }
    let location = &file.object_meta.location;
    let mut values: Vec<&str> = needle.values.iter().map(String::as_str).collect();
    if let (Some(offset), Some(length)) = (column.bloom_filter_offset(), column.bloom_filter_length())
        && let Some(range) = range(offset, length.into())
    {
        let bytes = store.get_range(location, range).await?;
        if let Ok(filter) = Sbbf::from_bytes(&bytes) {
            values.retain(|value| filter.check(value));
        }
    }
    if values.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let (start, length) = column.byte_range();
    let bytes = store.get_range(location, start..start + length).await?;
    let rows = usize::try_from(group.num_rows()).unwrap_or_default();
    let values = values.into_iter().map(str::as_bytes).collect();
    // what cannot be read, the general reader will say what is wrong with it
    Ok(places(Window { bytes, start }, column, rows, &values).unwrap_or_default())
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

/// The rows of a column chunk that have one of the values; `None` where it is not all codes.
fn places(
    window: Window,
    column: &ColumnChunkMetaData,
    rows: usize,
    values: &HashSet<&[u8]>,
) -> Result<Option<Vec<Range<usize>>>> {
    let mut pages = SerializedPageReader::new(Arc::new(window), column, rows, None)?;
    let deepest = u32::try_from(column.column_descr().max_def_level()).unwrap_or_default();
    let (mut found, mut row, mut wanted): (Vec<Range<usize>>, usize, Vec<bool>) = (Vec::new(), 0, Vec::new());
    let (mut levels, mut codes) = (Vec::new(), Vec::new());
    while let Some(page) = pages.get_next_page()? {
        let encoding = page.encoding();
        let Some(split) = parts(&page, deepest) else {
            let Page::DictionaryPage { buf, num_values, .. } = page else { return Ok(None) };
            wanted = wanted_codes(&buf, num_values, values);
            if !wanted.contains(&true) {
                return Ok(Some(found));
            }
            continue;
        };
        if !matches!(encoding, Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY) || wanted.is_empty() {
            return Ok(None);
        }
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
            if here && next.next().is_some_and(|code| wanted.get(*code as usize) == Some(&true)) {
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

/// Which codes of a dictionary of length-prefixed texts stand for one of the values.
fn wanted_codes(dictionary: &[u8], codes: u32, values: &HashSet<&[u8]>) -> Vec<bool> {
    let mut rest = dictionary;
    let next = |_| {
        let (length, behind) = rest.split_first_chunk::<4>()?;
        let (text, behind) = behind.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        rest = behind;
        Some(values.contains(text))
    };
    (0..codes).map_while(next).collect()
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
    fn what_can_be_looked_up_is_seen() {
        let key = || get_field(col("useridentity"), "accesskeyid");
        let of = |path: &[&str], values: &[&str]| Needle {
            path: path.iter().map(|name| (*name).to_owned()).collect(),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        };
        let expected = of(&["useridentity", "accesskeyid"], &["K"]);
        assert_eq!(
            needles(&[col("a").gt(lit(1)), key().eq(lit("K")).and(col("b").eq(lit("x")))]),
            Some(vec![expected.clone()])
        );
        assert_eq!(needles(&[lit("K").eq(key())]), Some(vec![expected]));
        let either = col("actor").eq(lit("A")).or(key().in_list(vec![lit("K"), lit("L")], false));
        assert_eq!(
            needles(&[either]),
            Some(vec![of(&["actor"], &["A"]), of(&["useridentity", "accesskeyid"], &["K", "L"])])
        );
        // one side that cannot be looked up makes the other one useless
        assert_eq!(needles(&[col("actor").eq(lit("A")).or(col("b").eq(lit("x")))]), None);
        assert_eq!(needles(&[key().not_eq(lit("K")), key().in_list(vec![lit("K")], true), key().eq(col("b"))]), None);
    }

    #[test]
    fn rows_of_either_value_are_one_selection() {
        assert_eq!(merged(vec![5..7, 0..2, 6..9, 2..3, 12..13]), [0..3, 5..9, 12..13]);
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

    fn found(file: &Bytes, rows: usize, values: &[&str]) -> Option<Vec<usize>> {
        let metadata = ParquetMetaDataReader::new().parse_and_finish(file).unwrap();
        let column = metadata.row_group(0).column(0);
        let (start, length) = column.byte_range();
        let bytes = file.slice(start as usize..(start + length) as usize);
        let values = values.iter().map(|value| value.as_bytes()).collect();
        let places = places(Window { bytes, start }, column, rows, &values).unwrap();
        places.map(|ranges| ranges.into_iter().flatten().collect())
    }

    proptest! {
        #[test]
        fn exactly_the_rows_with_a_value_are_found(
            keys in prop::collection::vec(prop_oneof![2 => Just(None), 5 => (0_u16..300).prop_map(|n| Some(format!("K{}", n % 40 * (n % 3))))], 1..700),
            second in any::<bool>(),
        ) {
            let version = if second { WriterVersion::PARQUET_2_0 } else { WriterVersion::PARQUET_1_0 };
            let file = written(&keys, version, true);
            for values in [&["K0"][..], &["K7", "none"], &["K39", "K7", "K0"], &["none"]] {
                let one_of = |row: &usize| keys[*row].as_deref().is_some_and(|key| values.contains(&key));
                let expected: Vec<usize> = (0..keys.len()).filter(one_of).collect();
                prop_assert_eq!(found(&file, keys.len(), values), Some(expected));
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), width in any::<u8>(), count in 0_usize..200) {
            let mut out = Vec::new();
            let read = hybrid(&bytes, width, count, &mut out);
            prop_assert!(read.is_none() || out.len() == count);
            wanted_codes(&bytes, 9, &HashSet::from([&b"x"[..]]));
        }
    }

    #[test]
    fn a_column_without_codes_is_left_to_the_reader() {
        let keys: Vec<Option<String>> = (0..10).map(|n| Some(format!("K{n}"))).collect();
        assert_eq!(found(&written(&keys, WriterVersion::PARQUET_1_0, false), 10, &["K1"]), None);
    }
}
