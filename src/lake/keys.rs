//! Which events are in the lake: the identities that its files hold.
//!
//! Owns: the exact answer that deduplication stands on, and the two ways to it: all identities of a row group, or its
//! bloom filter, which is a fifteenth of their size and only ever says "no" for certain.
//! Refuses: to decide which files have to be asked; that is `ingest`.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use bytes::Bytes;
use futures::StreamExt;
use object_store::ObjectStoreExt;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use parquet::bloom_filter::Sbbf;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::statistics::Statistics;

use super::scan::{Reader, damaged};
use crate::batch::Identified;
use crate::error::Result;
use crate::event::EventKey;
use crate::table::{DataFile, TableSnapshot};

/// Identities read at a time.
const BATCH_ROWS: usize = 8 * 1024;

/// Bytes read from a file's end in the hope that its footer is in them: saves a request.
const FOOTER_BYTES: usize = 96 * 1024;

/// A data file whose footer has been read.
#[derive(Debug, Clone)]
pub struct KeyFile {
    reader: Reader,
    metadata: Arc<ParquetMetaData>,
    groups: Vec<KeyGroup>,
    memory: u64,
}

/// A row group: the part of a file whose identities are read together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyGroup {
    /// Rows.
    pub rows: u64,
    /// Smallest and largest event time, in microseconds since 1970; all of time where the file does not say.
    pub times: (i64, i64),
    /// Where the filter of its event ids is in the file: offset and length.
    filter: Option<(u64, u64)>,
}

impl KeyGroup {
    /// Whether there is a filter that can be asked.
    pub fn has_filter(&self) -> bool {
        self.filter.is_some()
    }
}

/// A filter of event ids.
#[derive(Debug)]
pub struct IdFilter {
    filter: Sbbf,
    bytes: u64,
}

impl IdFilter {
    /// Bytes that are held.
    pub fn memory(&self) -> u64 {
        self.bytes
    }

    /// False where the group certainly has no event of that id.
    pub fn may_hold(&self, event_id: &str) -> bool {
        self.filter.check(event_id.as_bytes())
    }
}

impl KeyFile {
    /// Reads a file's footer.
    ///
    /// # Errors
    /// `Unavailable` where the file cannot be read, `BadInput` where it is damaged.
    pub async fn open(snapshot: &TableSnapshot, file: &DataFile) -> Result<Self> {
        let mut reader = Reader { store: Arc::clone(&snapshot.store), path: file.path.clone(), size: file.size };
        let footer = ParquetMetaDataReader::new().with_prefetch_hint(Some(FOOTER_BYTES));
        let metadata =
            footer.load_and_finish(&mut reader, file.size).await.map_err(|error| damaged(&file.path, error))?;
        let groups = metadata.row_groups().iter().map(group).collect();
        let memory = metadata.memory_size() as u64;
        Ok(Self { reader, metadata: Arc::new(metadata), groups, memory })
    }

    /// The row groups, in the file's order.
    pub fn groups(&self) -> &[KeyGroup] {
        &self.groups
    }

    /// Bytes that are held.
    pub fn memory(&self) -> u64 {
        self.memory
    }

    /// Identities and times of all events of a row group.
    ///
    /// # Errors
    /// As [`KeyFile::open`].
    pub async fn keys(&self, group: usize) -> Result<Vec<Identified>> {
        let failed = |error: ParquetError| damaged(&self.reader.path, error);
        let metadata = ArrowReaderMetadata::try_new(Arc::clone(&self.metadata), Default::default()).map_err(failed)?;
        let builder = ParquetRecordBatchStreamBuilder::new_with_metadata(self.reader.clone(), metadata);
        let roots =
            ["eventid", "eventhash", "eventtime"].into_iter().filter_map(|name| builder.schema().index_of(name).ok());
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
        let builder = builder.with_projection(mask).with_row_groups(vec![group]).with_batch_size(BATCH_ROWS);
        let mut batches = builder.build().map_err(failed)?;
        let mut keys = Vec::with_capacity(self.groups[group].rows as usize);
        while let Some(batch) = batches.next().await {
            collect(&batch.map_err(failed)?, &mut keys);
        }
        Ok(keys)
    }

    /// The filter of a row group's event ids; `None` where the file has none.
    ///
    /// # Errors
    /// As [`KeyFile::open`].
    pub async fn filter(&self, group: usize) -> Result<Option<IdFilter>> {
        let Some((offset, length)) = self.groups[group].filter else { return Ok(None) };
        let read = self.reader.store.get_range(&self.reader.path, offset..offset + length).await;
        let bytes: Bytes = read.map_err(|error| damaged(&self.reader.path, ParquetError::External(error.into())))?;
        let filter = Sbbf::from_bytes(&bytes).map_err(|error| damaged(&self.reader.path, error))?;
        Ok(Some(IdFilter { filter, bytes: length }))
    }
}

fn group(group: &RowGroupMetaData) -> KeyGroup {
    let column = |name: &str| group.columns().iter().find(|column| column.column_path().string() == name);
    let times = match column("eventtime").and_then(|column| column.statistics()) {
        Some(Statistics::Int64(bounds)) => bounds.min_opt().copied().zip(bounds.max_opt().copied()),
        _ => None,
    };
    let filter = column("eventid").and_then(|column| {
        let offset = u64::try_from(column.bloom_filter_offset()?).ok()?;
        Some((offset, u64::try_from(column.bloom_filter_length()?).ok()?))
    });
    KeyGroup { rows: group.num_rows() as u64, times: times.unwrap_or((i64::MIN, i64::MAX)), filter }
}

fn collect(batch: &RecordBatch, events: &mut Vec<Identified>) {
    let column = |name: &str| batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
    let (ids, hashes) = (column("eventid"), column("eventhash"));
    let hashes = hashes.filter(|hashes| hashes.null_count() < hashes.len());
    let times =
        batch.column_by_name("eventtime").and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
    let time = |row: usize| times.filter(|times| times.is_valid(row)).map_or(0, |times| times.value(row));
    let key = |row: usize| match (ids, hashes) {
        (_, Some(hashes)) if hashes.is_valid(row) => EventKey::of_event_hash(hashes.value(row)),
        (Some(ids), _) if ids.is_valid(row) => Some(EventKey::of_event_id(ids.value(row))),
        _ => None,
    };
    events.extend((0..batch.num_rows()).filter_map(|row| Some(Identified { key: key(row)?, time: time(row) })));
}
