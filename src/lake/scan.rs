//! Reading some columns of some files, without SQL.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStreamBuilder};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use super::Lake;
use super::evolve::conform;
use crate::error::{Error, ErrorKind, Result};
use crate::schema::Table;
use crate::table::{DAMAGED_HINT, DataFile, TableSnapshot};

/// Rows read at a time.
const BATCH_ROWS: usize = 16 * 1024;

impl Lake {
    /// Reads top-level columns (none of them the partition column) of some of a snapshot's files, batch by batch. Each
    /// batch has those columns in their order, NULL where the file is older than the column.
    ///
    /// # Errors
    /// `Unavailable` where a file cannot be read, `BadInput` where it is damaged.
    pub async fn scan(
        &self,
        table: &'static Table,
        snapshot: &TableSnapshot,
        files: &[&DataFile],
        columns: &[&str],
        mut visit: impl FnMut(&RecordBatch),
    ) -> Result<()> {
        let wanted = wanted(table, columns);
        for file in files {
            let failed = |error: ParquetError| damaged(&file.path, error);
            let reader = Reader { store: Arc::clone(&snapshot.store), path: file.path.clone(), size: file.size };
            let builder = ParquetRecordBatchStreamBuilder::new(reader).await.map_err(failed)?;
            let places: Vec<usize> = columns.iter().filter_map(|name| builder.schema().index_of(name).ok()).collect();
            let mask = ProjectionMask::roots(builder.parquet_schema(), places);
            let mut batches = builder.with_projection(mask).with_batch_size(BATCH_ROWS).build().map_err(failed)?;
            while let Some(batch) = batches.next().await {
                let batch = batch.map_err(failed)?;
                visit(&conform(&batch, &wanted).map_err(|error| failed(error.into()))?);
            }
        }
        Ok(())
    }
}

/// Whether the file is to blame, and not the store that it is in.
pub(super) fn is_damage(error: &ParquetError) -> bool {
    !matches!(error, ParquetError::External(inner) if inner.is::<object_store::Error>())
}

/// What parquet's error about a file means for the caller.
pub(super) fn damaged(path: &Path, error: ParquetError) -> Error {
    let what = format!("cannot read {path}");
    match is_damage(&error) {
        true => Error::new(ErrorKind::BadInput, what).source(error).hint(DAMAGED_HINT),
        false => Error::new(ErrorKind::Unavailable, what).source(error),
    }
}

/// The table's columns of those names, in the order that they are asked for.
fn wanted(table: &Table, columns: &[&str]) -> SchemaRef {
    let schema = table.file_schema();
    let fields = columns.iter().filter_map(|name| schema.fields().find(name).map(|(_, field)| Arc::clone(field)));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// A file of an object store as parquet reads it.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    pub store: Arc<dyn ObjectStore>,
    pub path: Path,
    pub size: u64,
}

fn external(error: object_store::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        async move { self.store.get_range(&self.path, range).await.map_err(external) }.boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        async move { self.store.get_ranges(&self.path, &ranges).await.map_err(external) }.boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        let size = self.size;
        async move { ParquetMetaDataReader::new().load_and_finish(self, size).await.map(Arc::new) }.boxed()
    }
}
