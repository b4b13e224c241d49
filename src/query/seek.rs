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
use parquet::bloom_filter::Sbbf;
use parquet::errors::Result;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};

use super::codes::{self, Codes};
use super::pages::{self, Pages, Window};

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
    let Some(column) = codes::column(group, &needle.path) else { return Ok(None) };
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
    let bytes = store.get_range(location, pages::place(column)).await?;
    let rows = usize::try_from(group.num_rows()).unwrap_or_default();
    let values = values.into_iter().map(str::as_bytes).collect();
    // what cannot be read, the general reader will say what is wrong with it
    Ok(places(bytes, column, rows, &values).unwrap_or_default())
}

fn range(offset: i64, length: i64) -> Option<Range<u64>> {
    let start = u64::try_from(offset).ok()?;
    Some(start..start.checked_add(u64::try_from(length).ok()?)?)
}

/// The rows of a column chunk that have one of the values; `None` where it is not all codes.
fn places(
    bytes: Bytes,
    column: &ColumnChunkMetaData,
    rows: usize,
    values: &HashSet<&[u8]>,
) -> Result<Option<Vec<Range<usize>>>> {
    let pages = Pages::new(Window::whole(column, bytes), column, rows, None)?;
    let Some(mut codes) = Codes::open(pages, column, rows)? else { return Ok(None) };
    let Some((dictionary, entries)) = codes.dictionary() else { return Ok(None) };
    let wanted: Vec<bool> = entries.into_iter().map(|entry| values.contains(&dictionary[entry])).collect();
    if !wanted.contains(&true) {
        return Ok(Some(Vec::new()));
    }
    let Some(codes) = codes.read(std::slice::from_ref(&(0..rows)))? else { return Ok(None) };
    let mut found: Vec<Range<usize>> = Vec::new();
    let is_wanted = |code: &u32| wanted.get(*code as usize) == Some(&true);
    for (row, _) in codes.iter().enumerate().filter(|(_, code)| is_wanted(code)) {
        match found.last_mut() {
            Some(last) if last.end == row => last.end += 1,
            _ => found.push(row..row + 1),
        }
    }
    Ok(Some(found))
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
        let place = pages::place(column);
        let bytes = file.slice(place.start as usize..place.end as usize);
        let values = values.iter().map(|value| value.as_bytes()).collect();
        let places = places(bytes, column, rows, &values).unwrap();
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
    }

    #[test]
    fn a_column_without_codes_is_left_to_the_reader() {
        let keys: Vec<Option<String>> = (0..10).map(|n| Some(format!("K{n}"))).collect();
        assert_eq!(found(&written(&keys, WriterVersion::PARQUET_1_0, false), 10, &["K1"]), None);
    }
}
