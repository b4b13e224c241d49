//! Row groups of files one by one, with the bytes of a few of their columns.
//!
//! Owns: fetching for a [`Task`] (a few row groups ahead), its numbers, told as those of the scan, and having DataFusion read
//! what the task cannot.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use datafusion::common::Result as DfResult;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::datasource::physical_plan::parquet::{ParquetAccessPlan, RowGroupAccess};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig, FileScanConfigBuilder};
use datafusion::execution::TaskContext;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder, PruningMetrics};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStore;
use parquet::errors::Result;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, RowGroupMetaData};
use parquet::file::page_index::offset_index::OffsetIndexMetaData;

/// Files of a partition, and row groups, that are fetched at the same time.
const AHEAD: usize = 2;

/// What is done with a row group.
pub(super) trait Task: fmt::Debug + Send + Sync + 'static {
    /// Whether it needs to know where pages stand.
    const PAGES: PageIndexPolicy;

    /// The stretches of the file that it needs; `None` where it can do nothing.
    fn places(&self, piece: &Piece) -> Option<Vec<Range<u64>>>;

    /// A batch of this schema from these stretches, and how many rows it was made from; `None` where they are not as
    /// expected.
    ///
    /// # Errors
    /// Where a page cannot be read; the general reader tells what is wrong with it.
    fn answer(&self, piece: &Piece, bytes: Vec<Bytes>, schema: &SchemaRef) -> Result<Option<(RecordBatch, usize)>>;
}

/// What became of a row group.
enum Answer {
    /// Done.
    Done(RecordBatch),
    /// It has to be read by somebody else: its file, of which all other row groups are left out.
    Unread(Box<PartitionedFile>),
}

/// Does a task with the row groups of a partition's files, and then has `read` those that it can do nothing with.
pub(super) fn work<T: Task>(
    task: Arc<T>,
    schema: SchemaRef,
    scan: &FileScanConfig,
    partition: usize,
    context: &TaskContext,
    read: impl FnOnce(FileScanConfig) -> DfResult<SendableRecordBatchStream> + Send + 'static,
) -> DfResult<SendableRecordBatchStream> {
    let files = scan.file_groups.get(partition).map(|group| group.files().to_vec()).unwrap_or_default();
    let reader = Arc::new(Reader::new(task, Arc::clone(&schema), scan, partition, context)?);
    let left = Box::new(Left { scan: scan.clone(), pieces: Vec::new(), read });
    let state = State::Working(answers(reader, files), left);
    Ok(Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::try_unfold(state, State::next))))
}

/// Where a partition is.
enum State<F> {
    /// Doing the task.
    Working(BoxStream<'static, DfResult<Answer>>, Box<Left<F>>),
    /// Having DataFusion read what is left.
    Reading(SendableRecordBatchStream),
}

impl<F: FnOnce(FileScanConfig) -> DfResult<SendableRecordBatchStream>> State<F> {
    async fn next(mut self) -> DfResult<Option<(RecordBatch, Self)>> {
        loop {
            self = match self {
                Self::Reading(mut batches) => {
                    return Ok(batches.try_next().await?.map(|batch| (batch, Self::Reading(batches))));
                }
                Self::Working(mut answers, mut left) => match answers.try_next().await? {
                    Some(Answer::Done(batch)) => return Ok(Some((batch, Self::Working(answers, left)))),
                    Some(Answer::Unread(piece)) => {
                        left.pieces.push(*piece);
                        Self::Working(answers, left)
                    }
                    None if left.pieces.is_empty() => return Ok(None),
                    None => Self::Reading(left.read()?),
                },
            }
        }
    }
}

/// Row groups that the task could do nothing with.
struct Left<F> {
    scan: FileScanConfig,
    pieces: Vec<PartitionedFile>,
    read: F,
}

impl<F: FnOnce(FileScanConfig) -> DfResult<SendableRecordBatchStream>> Left<F> {
    fn read(self) -> DfResult<SendableRecordBatchStream> {
        let files = vec![FileGroup::new(self.pieces)];
        (self.read)(FileScanConfigBuilder::from(self.scan).with_file_groups(files).build())
    }
}

/// Reads row groups for a task.
struct Reader<T> {
    task: Arc<T>,
    schema: SchemaRef,
    store: Arc<dyn ObjectStore>,
    cache: Arc<FileMetadataCache>,
    told: Told,
}

impl<T: Task> Reader<T> {
    fn new(
        task: Arc<T>,
        schema: SchemaRef,
        scan: &FileScanConfig,
        partition: usize,
        context: &TaskContext,
    ) -> DfResult<Self> {
        let store = context.runtime_env().object_store(&scan.object_store_url)?;
        let cache = context.runtime_env().cache_manager.get_file_metadata_cache();
        let told = Told::new(scan.file_source().metrics(), partition);
        Ok(Self { task, schema, store, cache, told })
    }

    /// The row groups of a file (or of the range of it that is this partition's).
    async fn pieces(self: Arc<Self>, file: PartitionedFile) -> DfResult<Vec<Piece>> {
        let metadata = DFParquetMetadata::new(self.store.as_ref(), &file.object_meta)
            .with_file_metadata_cache(Some(Arc::clone(&self.cache)))
            .with_page_index_policy(Some(T::PAGES))
            .fetch_metadata()
            .await?;
        let file = Arc::new(file);
        let piece = |index| Piece { file: Arc::clone(&file), metadata: Arc::clone(&metadata), index };
        let is_wanted = |piece: &Piece| piece.is_in_range() && piece.access().should_scan();
        Ok((0..metadata.num_row_groups()).map(piece).filter(is_wanted).collect())
    }

    /// The bytes that the task needs of a row group.
    async fn fetch(self: Arc<Self>, piece: Piece) -> DfResult<(Piece, Option<Vec<Bytes>>)> {
        let Some(places) = self.task.places(&piece) else { return Ok((piece, None)) };
        let bytes = self.store.get_ranges(&piece.file.object_meta.location, &places).await?;
        self.told.bytes.add(bytes.iter().map(Bytes::len).sum());
        Ok((piece, Some(bytes)))
    }

    fn answer(&self, piece: &Piece, bytes: Option<Vec<Bytes>>) -> Answer {
        let answer = bytes.map(|bytes| self.task.answer(piece, bytes, &self.schema));
        let Some(Ok(Some((batch, rows)))) = answer else { return Answer::Unread(Box::new(piece.alone())) };
        self.told.group(piece.wanted(), rows);
        Answer::Done(batch)
    }
}

/// What becomes of the row groups of some files, in their order.
fn answers<T: Task>(reader: Arc<Reader<T>>, files: Vec<PartitionedFile>) -> BoxStream<'static, DfResult<Answer>> {
    let (of_files, of_groups) = (Arc::clone(&reader), Arc::clone(&reader));
    futures::stream::iter(files)
        .map(move |file| Arc::clone(&of_files).pieces(file))
        .buffered(AHEAD)
        .map_ok(|pieces| futures::stream::iter(pieces.into_iter().map(Ok)))
        .try_flatten()
        .map_ok(move |piece| Arc::clone(&of_groups).fetch(piece))
        .try_buffered(AHEAD)
        .map_ok(move |(piece, bytes)| reader.answer(&piece, bytes))
        .boxed()
}

/// A row group of a file.
pub(super) struct Piece {
    file: Arc<PartitionedFile>,
    metadata: Arc<ParquetMetaData>,
    index: usize,
}

impl Piece {
    pub(super) fn group(&self) -> &RowGroupMetaData {
        self.metadata.row_group(self.index)
    }

    /// How many rows it has, of which [`Self::access`] may leave out some.
    pub(super) fn rows(&self) -> usize {
        usize::try_from(self.group().num_rows()).unwrap_or_default()
    }

    /// Which of its rows are to be read.
    pub(super) fn access(&self) -> RowGroupAccess {
        let plan = self.file.extensions.get::<ParquetAccessPlan>();
        plan.and_then(|plan| plan.inner().get(self.index)).cloned().unwrap_or(RowGroupAccess::Scan)
    }

    /// How many of its rows are to be read.
    fn wanted(&self) -> usize {
        match self.access() {
            RowGroupAccess::Skip => 0,
            RowGroupAccess::Scan => self.rows(),
            RowGroupAccess::Selection(rows) => rows.row_count(),
        }
    }

    /// Where the pages of its columns stand, in the order of the columns, if the file tells.
    pub(super) fn pages(&self) -> Option<&[OffsetIndexMetaData]> {
        Some(self.metadata.offset_index()?.get(self.index)?)
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
        access[self.index] = self.access();
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

    /// Notes a row group of which so many rows were wanted, and so many were left by conditions.
    fn group(&self, wanted: usize, rows: usize) {
        self.groups.add_matched(1);
        self.rows.add(rows);
        self.filtered.add(wanted.saturating_sub(rows));
    }
}
