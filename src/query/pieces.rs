//! Row groups of files one by one, with the bytes of a few of their columns.
//!
//! Owns: fetching for [`super::counting`] (a few row groups ahead), and its numbers, told as those of the scan.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use datafusion::common::Result as DfResult;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::datasource::physical_plan::parquet::{ParquetAccessPlan, RowGroupAccess};
use datafusion::execution::TaskContext;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder, PruningMetrics};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStore;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, RowGroupMetaData};

use super::codes;
use super::row_group::{self, Question, count};

/// Files of a partition, and row groups, that are fetched at the same time.
const AHEAD: usize = 2;

/// What became of a row group.
pub(super) enum Answer {
    /// Its groups.
    Groups(RecordBatch),
    /// It has to be read by somebody else: its file, of which all other row groups are left out.
    Unread(Box<PartitionedFile>),
}

/// Reads row groups for a question.
pub(super) struct Reader {
    question: Arc<Question>,
    schema: SchemaRef,
    store: Arc<dyn ObjectStore>,
    cache: Arc<FileMetadataCache>,
    told: Told,
}

impl Reader {
    pub(super) fn new(
        question: Arc<Question>,
        schema: SchemaRef,
        scan: &FileScanConfig,
        partition: usize,
        context: &TaskContext,
    ) -> DfResult<Arc<Self>> {
        let store = context.runtime_env().object_store(&scan.object_store_url)?;
        let cache = context.runtime_env().cache_manager.get_file_metadata_cache();
        let told = Told::new(scan.file_source().metrics(), partition);
        Ok(Arc::new(Self { question, schema, store, cache, told }))
    }

    /// The row groups of a file (or of the range of it that is this partition's).
    async fn pieces(self: Arc<Self>, file: PartitionedFile) -> DfResult<Vec<Piece>> {
        let metadata = DFParquetMetadata::new(self.store.as_ref(), &file.object_meta)
            .with_file_metadata_cache(Some(Arc::clone(&self.cache)))
            .with_page_index_policy(Some(PageIndexPolicy::Skip))
            .fetch_metadata()
            .await?;
        let file = Arc::new(file);
        let piece = |index| Piece { file: Arc::clone(&file), metadata: Arc::clone(&metadata), index };
        Ok((0..metadata.num_row_groups()).map(piece).filter(Piece::is_in_range).collect())
    }

    /// The bytes of the columns of a row group; `None` where one has no codes.
    async fn fetch(self: Arc<Self>, piece: Piece) -> DfResult<(Piece, Option<Vec<Bytes>>)> {
        let group = piece.group();
        let place = |path: &Vec<String>| row_group::column(group, path).map(codes::place);
        let Some(places) = self.question.columns.iter().map(place).collect::<Option<Vec<_>>>() else {
            return Ok((piece, None));
        };
        let chunks = self.store.get_ranges(&piece.file.object_meta.location, &places).await?;
        self.told.bytes.add(chunks.iter().map(Bytes::len).sum());
        Ok((piece, Some(chunks)))
    }

    fn answer(&self, piece: &Piece, chunks: Option<Vec<Bytes>>) -> Answer {
        let answer = chunks.map(|chunks| count(&self.question, &self.schema, piece.group(), chunks));
        let Some(Ok(Some((groups, rows)))) = answer else { return Answer::Unread(Box::new(piece.alone())) };
        self.told.group(piece.group(), rows);
        Answer::Groups(groups)
    }
}

/// What becomes of the row groups of some files, in their order.
pub(super) fn answers(reader: Arc<Reader>, files: Vec<PartitionedFile>) -> BoxStream<'static, DfResult<Answer>> {
    let (of_files, of_groups) = (Arc::clone(&reader), Arc::clone(&reader));
    futures::stream::iter(files)
        .map(move |file| Arc::clone(&of_files).pieces(file))
        .buffered(AHEAD)
        .map_ok(|pieces| futures::stream::iter(pieces.into_iter().map(Ok)))
        .try_flatten()
        .map_ok(move |piece| Arc::clone(&of_groups).fetch(piece))
        .try_buffered(AHEAD)
        .map_ok(move |(piece, chunks)| reader.answer(&piece, chunks))
        .boxed()
}

/// A row group of a file.
struct Piece {
    file: Arc<PartitionedFile>,
    metadata: Arc<ParquetMetaData>,
    index: usize,
}

impl Piece {
    fn group(&self) -> &RowGroupMetaData {
        self.metadata.row_group(self.index)
    }

    /// A row group is read with the part of the file that it begins in, as DataFusion has it.
    fn is_in_range(&self) -> bool {
        let column = self.group().column(0);
        let start = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
        self.file.range.as_ref().is_none_or(|range| range.contains(start))
    }

    /// The file without its other row groups.
    fn alone(&self) -> PartitionedFile {
        let mut access = vec![RowGroupAccess::Skip; self.metadata.num_row_groups()];
        access[self.index] = RowGroupAccess::Scan;
        self.file.as_ref().clone().with_extension(ParquetAccessPlan::new(access))
    }
}

/// The numbers that a scan tells of a partition, under DataFusion's names.
struct Told {
    bytes: Count,
    groups: PruningMetrics,
    rows: Count,
    filtered: Count,
}

impl Told {
    fn new(metrics: &ExecutionPlanMetricsSet, partition: usize) -> Self {
        let of = || MetricBuilder::new(metrics);
        Self {
            bytes: of().counter("bytes_scanned", partition),
            groups: of().pruning_metrics("row_groups_pruned_bloom_filter", partition),
            rows: of().output_rows(partition),
            filtered: of().counter("pushdown_rows_pruned", partition),
        }
    }

    fn group(&self, group: &RowGroupMetaData, rows: usize) {
        let all = usize::try_from(group.num_rows()).unwrap_or_default();
        self.groups.add_matched(1);
        self.rows.add(rows);
        self.filtered.add(all.saturating_sub(rows));
    }
}
