//! Record batches -> one Parquet file, with the statistics that Delta's log keeps of it.
//!
//! Owns: compression, encodings, row groups.
//! Invariant: memory is bounded by the compressed file: a batch is encoded when it is written.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use bytes::Bytes;
use chrono::{DateTime, Duration, NaiveDate, SecondsFormat};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterVersion};
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnPath;
use serde_json::{Map, Value, json};

use crate::encode::{BLOOM_COLUMNS, EventFile, FILTER_COLUMNS, ZSTD_LEVEL};
use crate::error::{Error, ErrorKind, Result};
use crate::schema::{EVENTS, LONG_COLUMNS, Table, UNIQUE_COLUMNS};

/// Rows of a row group: the unit that a query reads or skips.
const ROW_GROUP_ROWS: usize = 128 * 1024;

/// Bytes of a data page before compression. A writer holds one for each leaf column, so this bounds memory; smaller
/// pages compress worse.
const PAGE_BYTES: usize = 256 * 1024;

/// zstd's level for files that are written once and read often: 3 hardly saves anything, 12 costs twice the time for 1 %.
const COMPACTED_ZSTD_LEVEL: i32 = 6;

/// Rows of a row group of a compacted file; see ARCHITECTURE.md for what others cost.
const COMPACTED_GROUP_ROWS: usize = 64 * 1024;

/// Columns of random ids, a third of a file's bytes. Their lengths apart from their text, and the text through zstd's
/// lowest level: 18.7 bytes each, with higher levels 19.1, as plain values 20.5; 16 are random.
const ID_COLUMNS: [&str; 2] = ["eventid", "requestid"];

/// Largest dictionary of a column of long texts, in bytes. What is beyond it is written as it is.
const LONG_DICTIONARY: usize = 8 << 20;

/// How often a bloom filter says that a row group may have a value that it has not: one byte for each row.
const FALSE_POSITIVES: f64 = 0.03;

/// What a file is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// To be there soon: an ingest waits for it.
    Fresh,
    /// To stay: written once, read often.
    Compacted,
}

/// A Parquet file under construction, in memory.
pub struct FileWriter {
    table: &'static Table,
    writer: ArrowWriter<Vec<u8>>,
    rows: u64,
}

/// A finished Parquet file.
#[derive(Debug, Clone)]
pub struct EncodedFile {
    /// The file.
    pub bytes: Bytes,
    /// Its rows.
    pub rows: u64,
    /// The day its rows belong to, where the table is partitioned.
    pub date: Option<NaiveDate>,
    /// Statistics as Delta's log has them.
    pub stats: Value,
}

impl FileWriter {
    /// Starts a file of a table. Batches have the table's columns without the partition column.
    ///
    /// # Errors
    /// `Internal` where parquet refuses the schema.
    pub fn new(table: &'static Table) -> Result<Self> {
        Self::with(table, Profile::Fresh, 0)
    }

    /// Starts a file of a table that is written for a purpose and will have about so many bytes. They are reserved at
    /// once: a buffer that grows is there twice while it does.
    ///
    /// # Errors
    /// As [`FileWriter::new`].
    pub fn with(table: &'static Table, profile: Profile, bytes: usize) -> Result<Self> {
        let (buffer, properties) = (Vec::with_capacity(bytes), writer_properties(profile));
        let writer = ArrowWriter::try_new(buffer, table.file_schema(), Some(properties))
            .map_err(|error| failed(table, error))?;
        Ok(Self { table, writer, rows: 0 })
    }

    /// Encodes a batch.
    ///
    /// # Errors
    /// `Internal` where the batch has another schema than the table's files.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        self.writer.write(batch).map_err(|error| failed(self.table, error))
    }

    /// Bytes that the file has so far, as far as that can be told before its end.
    pub fn bytes(&self) -> u64 {
        (self.writer.bytes_written() + self.writer.in_progress_size()) as u64
    }

    /// Ends the file.
    ///
    /// # Errors
    /// `Internal` where parquet cannot write the footer.
    pub fn finish(mut self, date: Option<NaiveDate>) -> Result<EncodedFile> {
        let metadata = self.writer.finish().map_err(|error| failed(self.table, error))?;
        let stats = stats(self.table, &metadata, self.rows);
        let bytes = std::mem::take(self.writer.inner_mut());
        Ok(EncodedFile { bytes: bytes.into(), rows: self.rows, date, stats })
    }
}

impl EncodedFile {
    /// Ends a file of events that was encoded row group by row group.
    ///
    /// # Errors
    /// `Internal` where parquet cannot write the footer.
    pub fn of_events(file: EventFile, date: NaiveDate) -> Result<Self> {
        let rows = file.rows();
        let (bytes, metadata) = file.finish().map_err(|error| failed(&EVENTS, error))?;
        Ok(Self { bytes, rows, date: Some(date), stats: stats(&EVENTS, &metadata, rows) })
    }
}

fn failed(table: &Table, error: parquet::errors::ParquetError) -> Error {
    Error::new(ErrorKind::Internal, format!("cannot encode a file of {}", table.name)).source(error)
}

/// How Parquet files are written for a purpose.
pub fn writer_properties(profile: Profile) -> WriterProperties {
    let (level, group_rows) = match profile {
        Profile::Fresh => (ZSTD_LEVEL, ROW_GROUP_ROWS),
        Profile::Compacted => (COMPACTED_ZSTD_LEVEL, COMPACTED_GROUP_ROWS),
    };
    let mut builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(zstd(level))
        .set_max_row_group_row_count(Some(group_rows))
        .set_data_page_size_limit(PAGE_BYTES)
        .set_statistics_enabled(EnabledStatistics::None);
    for name in UNIQUE_COLUMNS {
        let column = ColumnPath::from(name);
        builder =
            builder.set_column_dictionary_enabled(column.clone(), false).set_column_encoding(column, Encoding::PLAIN);
    }
    for name in FILTER_COLUMNS {
        let column = ColumnPath::new(name.split('.').map(str::to_owned).collect());
        builder = builder.set_column_statistics_enabled(column, EnabledStatistics::Page);
    }
    if profile == Profile::Compacted {
        builder = compacted(builder);
    }
    builder.build()
}

fn zstd(level: i32) -> Compression {
    Compression::ZSTD(ZstdLevel::try_new(level).expect("a level between 1 and 22"))
}

fn compacted(mut builder: WriterPropertiesBuilder) -> WriterPropertiesBuilder {
    for name in ID_COLUMNS {
        builder = builder
            .set_column_encoding(ColumnPath::from(name), Encoding::DELTA_LENGTH_BYTE_ARRAY)
            .set_column_compression(ColumnPath::from(name), zstd(1));
    }
    for name in LONG_COLUMNS {
        builder = builder
            .set_column_encoding(ColumnPath::from(name), Encoding::DELTA_LENGTH_BYTE_ARRAY)
            .set_column_dictionary_page_size_limit(ColumnPath::from(name), LONG_DICTIONARY);
    }
    // the rows of an actor are in the order of their time
    let time = ColumnPath::from("eventtime");
    builder = builder
        .set_column_dictionary_enabled(time.clone(), false)
        .set_column_encoding(time, Encoding::DELTA_BINARY_PACKED);
    for (name, _) in BLOOM_COLUMNS {
        let column = ColumnPath::new(name.split('.').map(str::to_owned).collect());
        builder = builder
            .set_column_bloom_filter_fpp(column.clone(), FALSE_POSITIVES)
            .set_column_bloom_filter_max_ndv(column, COMPACTED_GROUP_ROWS as u64);
    }
    builder
}

fn stats(table: &Table, metadata: &ParquetMetaData, rows: u64) -> Value {
    let schema = table.file_schema();
    let (mut min, mut max, mut nulls) = (Map::new(), Map::new(), Map::new());
    for name in table.stats {
        let Ok(field) = schema.field_with_name(name) else { continue };
        let Some(bounds) = bounds(metadata, name, field.data_type()) else { continue };
        nulls.insert((*name).to_owned(), bounds.nulls.into());
        if let (Some(low), Some(high)) = (bounds.low, bounds.high) {
            min.insert((*name).to_owned(), low);
            max.insert((*name).to_owned(), high);
        }
    }
    json!({ "numRecords": rows, "minValues": min, "maxValues": max, "nullCount": nulls })
}

/// Smallest and largest value of a column of the file (`None` where all are null), and its nulls.
struct Bounds {
    low: Option<Value>,
    high: Option<Value>,
    nulls: u64,
}

fn bounds(metadata: &ParquetMetaData, name: &str, data_type: &DataType) -> Option<Bounds> {
    let mut bounds = Bounds { low: None, high: None, nulls: 0 };
    for group in metadata.row_groups() {
        let statistics = column_statistics(group, name)?;
        bounds.nulls += statistics.null_count_opt().unwrap_or(0);
        if let Some((low, high)) = limits(statistics, data_type) {
            let (low, high) = (Some(low), Some(high));
            bounds.low = if bounds.low.is_none() || less(&low, &bounds.low) { low } else { bounds.low };
            bounds.high = if less(&bounds.high, &high) { high } else { bounds.high };
        }
    }
    Some(bounds)
}

/// Texts and numbers compare as themselves; timestamps are texts of one form, so they do as well.
fn less(a: &Option<Value>, b: &Option<Value>) -> bool {
    match (a, b) {
        (Some(Value::String(a)), Some(Value::String(b))) => a < b,
        (Some(a), Some(b)) => a.as_i64() < b.as_i64(),
        (None, Some(_)) => true,
        _ => false,
    }
}

fn column_statistics<'m>(group: &'m RowGroupMetaData, name: &str) -> Option<&'m Statistics> {
    group.columns().iter().find(|column| column.column_path().string() == name)?.statistics()
}

fn limits(statistics: &Statistics, data_type: &DataType) -> Option<(Value, Value)> {
    match (statistics, data_type) {
        (Statistics::ByteArray(values), DataType::Utf8) => {
            let low = std::str::from_utf8(values.min_opt()?.data()).ok()?;
            let high = std::str::from_utf8(values.max_opt()?.data()).ok()?;
            Some((low.into(), high.into()))
        }
        (Statistics::Int64(values), DataType::Timestamp(..)) => {
            // the log has milliseconds: round down below and up above
            let low = instant(*values.min_opt()?, Duration::zero())?;
            let high = instant(*values.max_opt()?, Duration::microseconds(999))?;
            Some((low, high))
        }
        (Statistics::Int64(values), DataType::Int64) => {
            Some(((*values.min_opt()?).into(), (*values.max_opt()?).into()))
        }
        _ => None,
    }
}

fn instant(micros: i64, round: Duration) -> Option<Value> {
    let time = DateTime::from_timestamp_micros(micros)?.checked_add_signed(round)?;
    Some(time.to_rfc3339_opts(SecondsFormat::Millis, true).into())
}

/// Encodes batches that still have the partition column: one file per day, or one file where the table has none.
///
/// # Errors
/// As [`FileWriter`]; `Internal` where a batch has not the table's columns.
pub fn encode(table: &'static Table, batches: &[RecordBatch]) -> Result<Vec<EncodedFile>> {
    let mut files: std::collections::BTreeMap<Option<i32>, FileWriter> = std::collections::BTreeMap::new();
    for batch in batches {
        for (day, part) in by_day(table, batch)? {
            let writer = match files.entry(day) {
                std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::btree_map::Entry::Vacant(entry) => entry.insert(FileWriter::new(table)?),
            };
            writer.write(&part)?;
        }
    }
    files.into_iter().map(|(day, writer)| writer.finish(day.map(crate::batch::time::date_of))).collect()
}

/// Splits a batch by the partition column, which is taken off.
fn by_day(table: &Table, batch: &RecordBatch) -> Result<Vec<(Option<i32>, RecordBatch)>> {
    let internal = |error| {
        Error::new(ErrorKind::Internal, format!("rows of {} have not the table's columns", table.name)).source(error)
    };
    let schema = table.file_schema();
    let names: Vec<usize> = schema
        .fields()
        .iter()
        .map(|field| batch.schema().index_of(field.name()))
        .collect::<std::result::Result<_, _>>()
        .map_err(internal)?;
    let columns = names.iter().map(|&index| Arc::clone(batch.column(index))).collect();
    let body = RecordBatch::try_new(schema, columns).map_err(internal)?;
    let Some(partition) = table.partition else { return Ok(vec![(None, body)]) };
    let days = batch.column_by_name(partition).and_then(|column| {
        arrow::array::AsArray::as_primitive_opt::<arrow::datatypes::Date32Type>(column.as_ref()).cloned()
    });
    let Some(days) = days else {
        return Err(Error::new(ErrorKind::Internal, format!("rows of {} have no {partition}", table.name)));
    };
    let mut distinct: Vec<i32> = days.values().to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let select = |day: i32| {
        let mask = days.iter().map(|value| Some(value == Some(day))).collect();
        arrow::compute::filter_record_batch(&body, &mask).map(|part| (Some(day), part)).map_err(internal)
    };
    distinct.into_iter().map(select).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::TABLES;

    #[test]
    fn the_log_can_have_the_statistics_that_it_wants() {
        for table in TABLES {
            for name in table.stats {
                assert!(FILTER_COLUMNS.contains(name), "{}.{name}", table.name);
            }
        }
    }
}
