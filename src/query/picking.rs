//! Rows that were chosen before the scan ([`super::seek`]), read without a reader for each column of each row group.
//!
//! Owns: the plan node in the place of a scan of chosen rows, and the optimizer's rule that puts it there. Of each column only
//! the pages with these rows are read, and of a dictionary only their texts are looked at.
//! Refuses: choosing rows, and scans of lists and whole structs.
//! Invariant: the rows and columns are those of the scan; row groups that cannot be read here are left to it.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, SchemaRef};
use bytes::Bytes;
use datafusion::common::Result as DfResult;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::{ParquetAccessPlan, RowGroupAccess};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig, FileSource, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::TaskContext;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
    SendableRecordBatchStream,
};
use parquet::arrow::arrow_reader::RowSelection;
use parquet::errors::Result;
use parquet::file::metadata::{ColumnChunkMetaData, PageIndexPolicy};
use parquet::file::page_index::offset_index::PageLocation;

use super::cells::{self, cells};
use super::codes::within;
use super::pages::{self, Pages, Window};
use super::pieces::{self, Piece, Task};
use super::row_group::path_in_file;

/// The rule that puts [`Picking`] in the place of scans of chosen rows.
#[derive(Debug)]
pub(super) struct Pick;

impl PhysicalOptimizerRule for Pick {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _config: &ConfigOptions) -> DfResult<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            Ok(match Picking::of(&node) {
                Some(picking) => Transformed::yes(Arc::new(picking)),
                None => Transformed::no(node),
            })
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "Picking"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// A scan of chosen rows.
#[derive(Debug)]
struct Picking {
    /// As DataFusion would do it.
    general: Arc<dyn ExecutionPlan>,
    scan: FileScanConfig,
    columns: Arc<Columns>,
}

/// The columns that are asked for: their paths in a file, and their types.
#[derive(Debug)]
struct Columns(Vec<(Vec<String>, DataType)>);

impl Picking {
    fn of(general: &Arc<dyn ExecutionPlan>) -> Option<Self> {
        let (scan, source) = general.downcast_ref::<DataSourceExec>()?.downcast_to_file_source::<ParquetSource>()?;
        let mut files = scan.file_groups.iter().flat_map(FileGroup::iter);
        let is_ours =
            scan.limit.is_none() && files.all(is_chosen) && !source.table_parquet_options().global.pushdown_filters;
        let columns = is_ours.then(|| Columns::of(scan, source)).flatten()?;
        Some(Self { general: Arc::clone(general), scan: scan.clone(), columns: Arc::new(columns) })
    }
}

/// Whether the rows of a file that are to be read are known.
fn is_chosen(file: &PartitionedFile) -> bool {
    let plan = file.extensions.get::<ParquetAccessPlan>();
    plan.is_some_and(|plan| plan.inner().iter().all(|access| !matches!(access, RowGroupAccess::Scan)))
}

impl Columns {
    fn of(scan: &FileScanConfig, source: &ParquetSource) -> Option<Self> {
        let of_file = |column: &str| scan.file_schema().index_of(column).is_ok();
        let column = |expr: &Arc<dyn PhysicalExpr>| {
            let path = path_in_file(expr).filter(|path| of_file(&path[0]))?;
            let data_type = expr.data_type(source.table_schema().table_schema()).ok()?;
            cells::is_readable(&data_type).then_some((path, data_type))
        };
        source.projection()?.as_ref().iter().map(|projected| column(&projected.expr)).collect::<Option<_>>().map(Self)
    }

    /// The columns of a row group with, for each, the pages that some rows are in.
    fn chunks<'p>(&self, piece: &'p Piece, rows: &[Range<usize>]) -> Option<Vec<Chunk<'p>>> {
        let pages = piece.pages()?;
        let chunk = |(path, _): &(Vec<String>, DataType)| {
            let columns = piece.group().columns();
            let index = columns.iter().position(|column| column.column_path().parts() == path)?;
            let is_flat = columns[index].column_descr().max_rep_level() == 0;
            let pages = is_flat.then(|| pages.get(index)).flatten()?.page_locations();
            Some(Chunk { column: &columns[index], pages, wanted: wanted(&columns[index], pages, piece.rows(), rows)? })
        };
        self.0.iter().map(chunk).collect()
    }
}

/// A column of a row group.
struct Chunk<'p> {
    column: &'p ColumnChunkMetaData,
    pages: &'p [PageLocation],
    /// Where its dictionary stands, and its pages that are needed.
    wanted: Vec<Range<u64>>,
}

/// Where the dictionary of a column of `all` rows stands, and the pages that some rows are in.
fn wanted(
    column: &ColumnChunkMetaData,
    pages: &[PageLocation],
    all: usize,
    rows: &[Range<usize>],
) -> Option<Vec<Range<u64>>> {
    let start = pages::place(column).start;
    let first = u64::try_from(pages.first()?.offset).ok()?;
    let mut wanted: Vec<Range<u64>> = (start < first).then_some(start..first).into_iter().collect();
    for (index, page) in pages.iter().enumerate() {
        let end = pages.get(index + 1).map_or(Some(all), |next| usize::try_from(next.first_row_index).ok())?;
        if within(rows, usize::try_from(page.first_row_index).ok()?..end).next().is_none() {
            continue;
        }
        let at = u64::try_from(page.offset).ok()?;
        let end = at.checked_add(u64::try_from(page.compressed_page_size).ok()?)?;
        match wanted.last_mut() {
            Some(last) if last.end == at => last.end = end,
            _ => wanted.push(at..end),
        }
    }
    Some(wanted)
}

impl Task for Columns {
    const PAGES: PageIndexPolicy = PageIndexPolicy::Optional;

    fn places(&self, piece: &Piece) -> Option<Vec<Range<u64>>> {
        let chunks = self.chunks(piece, &chosen(piece)?)?;
        Some(chunks.into_iter().flat_map(|chunk| chunk.wanted).collect())
    }

    fn answer(&self, piece: &Piece, bytes: Vec<Bytes>, schema: &SchemaRef) -> Result<Option<(RecordBatch, usize)>> {
        let Some(rows) = chosen(piece) else { return Ok(None) };
        let Some(chunks) = self.chunks(piece, &rows) else { return Ok(None) };
        let (mut bytes, mut columns) = (bytes.into_iter(), Vec::<ArrayRef>::with_capacity(chunks.len()));
        for (chunk, (_, data_type)) in chunks.iter().zip(&self.0) {
            let stretches: Vec<_> = chunk.wanted.iter().map(|place| place.start).zip(bytes.by_ref()).collect();
            let pages = || {
                let (window, locations) = (Window::of(stretches.clone()), chunk.pages.to_vec());
                Pages::new(window, chunk.column, piece.rows(), Some(locations))
            };
            match cells(pages, chunk.column, piece.rows(), &rows, data_type)? {
                Some(column) => columns.push(column),
                None => return Ok(None),
            }
        }
        let count = rows.iter().map(Range::len).sum();
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        let batch = RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?;
        Ok(Some((batch, count)))
    }
}

/// The rows that were chosen of a row group, as ranges.
fn chosen(piece: &Piece) -> Option<Vec<Range<usize>>> {
    match piece.access() {
        RowGroupAccess::Selection(selection) => Some(ranges(&selection)),
        RowGroupAccess::Skip | RowGroupAccess::Scan => None,
    }
}

fn ranges(selection: &RowSelection) -> Vec<Range<usize>> {
    let mut next = 0;
    let range = |part: &parquet::arrow::arrow_reader::RowSelector| {
        let start = next;
        next += part.row_count;
        (!part.skip && part.row_count > 0).then_some(start..next)
    };
    selection.iter().filter_map(range).collect()
}

impl DisplayAs for Picking {
    fn fmt_as(&self, _form: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.columns.0.iter().map(|(path, _)| path.join(".")).collect();
        write!(f, "Picking: columns=[{}]", names.join(", "))
    }
}

impl ExecutionPlan for Picking {
    fn name(&self) -> &'static str {
        "Picking"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.general.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.general]
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DfResult<TreeNodeRecursion>,
    ) -> DfResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let Some(general) = children.pop() else { return Ok(self) };
        Ok(match Self::of(&general) {
            Some(picking) => Arc::new(picking),
            None => general,
        })
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> DfResult<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> DfResult<SendableRecordBatchStream> {
        let in_general = Arc::clone(&context);
        let read = move |scan| DataSourceExec::from_data_source(scan).execute(0, in_general);
        pieces::work(Arc::clone(&self.columns), self.general.schema(), &self.scan, partition, &context, read)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{BooleanArray, Int64Array, StringArray, StructArray, TimestampMicrosecondArray};
    use arrow::datatypes::{Field, Fields, Schema};
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;
    use parquet::file::metadata::ParquetMetaDataReader;
    use parquet::file::properties::WriterProperties;

    use super::*;
    use crate::query::fixture::{asked, file, snapshot};
    use crate::table::TableSnapshot;

    fn schema() -> SchemaRef {
        let identity = DataType::Struct(Fields::from(vec![Field::new("accesskeyid", DataType::Utf8, true)]));
        Arc::new(Schema::new(vec![
            Field::new("actor", DataType::Utf8, true),
            Field::new("useridentity", identity, true),
            Field::new("text", DataType::Utf8, true),
            Field::new("is_read", DataType::Boolean, true),
            Field::new("eventtime", crate::schema::timestamp(), true),
            Field::new("number", DataType::Int64, true),
            Field::new("late", DataType::Utf8, true),
        ]))
    }

    /// Rows of an actor in some, a key in others (with and without an identity), and the rest of columns with values now and then.
    fn rows(from: i64, upto: i64) -> RecordBatch {
        let rows = from..upto;
        let actor = |row: i64| (row % 13 > 0).then(|| format!("actor {}", row / 7 % 40));
        let text = |row: i64| (row % 5 > 0).then(|| format!("a text that is too long for a view {row}"));
        let keys: StringArray = rows.clone().map(|row| (row % 9 > 0).then(|| format!("K{}", row % 31))).collect();
        let DataType::Struct(fields) = schema().field(1).data_type().clone() else { unreachable!() };
        let present = rows.clone().map(|row| row % 4 > 0).collect::<Vec<bool>>().into();
        let time = |row: i64| (row % 7 > 0).then_some(row * 3_600_000_000);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(rows.clone().map(actor).collect::<StringArray>()),
            Arc::new(StructArray::new(fields, vec![Arc::new(keys)], Some(present))),
            Arc::new(rows.clone().map(text).collect::<StringArray>()),
            Arc::new(rows.clone().map(|row| (row % 3 > 0).then_some(row % 2 == 0)).collect::<BooleanArray>()),
            Arc::new(rows.clone().map(time).collect::<TimestampMicrosecondArray>().with_timezone("UTC")),
            Arc::new(rows.clone().collect::<Int64Array>()),
            Arc::new(rows.map(|row| Some(format!("L{}", row % 2))).collect::<StringArray>()),
        ];
        RecordBatch::try_new(schema(), columns).unwrap()
    }

    /// A file of row groups with several pages, one without codes of texts, and one from before there was a last column.
    async fn table() -> TableSnapshot {
        let store = InMemory::new();
        let of = || WriterProperties::builder().set_data_page_row_count_limit(50).set_write_batch_size(25);
        let groups = of().set_max_row_group_row_count(Some(400)).set_compression(zstd()).build();
        let plain = of().set_column_dictionary_enabled("text".into(), false).set_compression(zstd()).build();
        let files = vec![
            file(&store, "codes", &rows(0, 1000), groups).await,
            file(&store, "texts", &rows(1000, 1400), plain).await,
            file(&store, "before", &rows(1400, 1800).project(&[0, 1, 2, 3, 4, 5]).unwrap(), of().build()).await,
        ];
        snapshot(schema(), files, store)
    }

    fn zstd() -> parquet::basic::Compression {
        parquet::basic::Compression::ZSTD(parquet::basic::ZstdLevel::default())
    }

    #[tokio::test]
    async fn rows_are_those_of_datafusion() {
        for (sql, is_ours) in [
            ("SELECT text, is_read, eventtime FROM t WHERE actor = 'actor 3' ORDER BY 1, 2, 3", true),
            ("SELECT text, late FROM t WHERE actor = 'actor 7' ORDER BY 1, 2", true),
            (
                "SELECT text, useridentity['accesskeyid'] FROM t WHERE useridentity['accesskeyid'] = 'K5' ORDER BY 1, 2",
                true,
            ),
            (
                "SELECT count(*), min(eventtime), max(text) FROM t WHERE useridentity['accesskeyid'] IN ('K5', 'K6')",
                true,
            ),
            ("SELECT text FROM t WHERE actor = 'actor 3' AND is_read ORDER BY 1", true),
            ("SELECT count(*) FROM t WHERE actor = 'actor 3'", true),
            ("SELECT text, number FROM t WHERE actor = 'actor 3' ORDER BY 1, 2", false),
            ("SELECT text, useridentity, number FROM t WHERE actor = 'actor 3' ORDER BY 1, 3", false),
        ] {
            let (expected, _) = asked(sql, &table().await, None).await;
            let (answer, plan) = asked(sql, &table().await, Some(Arc::new(Pick))).await;
            assert_eq!(answer, expected, "{sql}");
            assert!(answer.lines().count() > 4, "{sql}: {answer}");
            assert_eq!(plan.contains("Picking: columns="), is_ours, "{sql}: {plan}");
        }
    }

    #[tokio::test]
    async fn rows_that_were_not_chosen_are_none_that_a_filter_left_out() {
        let ctx = crate::query::session(&[table().await], &crate::query::QueryOptions::new(1, 64 << 20)).unwrap();
        let told = crate::query::explain(&ctx, "SELECT text FROM t WHERE actor = 'actor 3'").await.unwrap().join("\n");
        let answer = crate::query::collect(&ctx, "SELECT text FROM t WHERE actor = 'actor 3'").await.unwrap();
        let rows: usize = answer.iter().map(RecordBatch::num_rows).sum();
        let expected = format!("{rows} rows came out of the files; 0 were passed over by pages, 0 by the filter");
        assert!(rows > 7 && told.contains(&expected), "{expected}: {told}");
    }

    #[tokio::test]
    async fn a_damaged_page_is_told_by_the_general_reader() {
        let store = InMemory::new();
        let plain = WriterProperties::builder().set_column_dictionary_enabled("text".into(), false);
        let mut bad = file(&store, "bad", &rows(0, 400), plain.set_compression(zstd()).build()).await;
        let bytes = store.get(&bad.path).await.unwrap().bytes().await.unwrap();
        let metadata = ParquetMetaDataReader::new().parse_and_finish(&bytes).unwrap();
        let texts = pages::place(metadata.row_group(0).column(2));
        let mut bytes = bytes.to_vec();
        bytes[texts.start as usize..texts.end as usize].fill(0xff);
        store.put(&bad.path, bytes.into()).await.unwrap();
        bad.rows = None;
        let snapshot = snapshot(schema(), vec![bad], store);
        let ctx = crate::query::session(&[snapshot], &crate::query::QueryOptions::new(1, 64 << 20)).unwrap();
        let error = crate::query::collect(&ctx, "SELECT text FROM t WHERE actor = 'actor 3'").await.unwrap_err();
        assert!(error.to_string().contains("the file is damaged"), "{error}");
    }
}
