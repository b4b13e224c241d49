//! Row groups of `events` -> a Parquet file.
//!
//! Owns: how the columns of events are encoded and compressed. The columns come with their dictionaries made, so values
//! are neither hashed nor compared again; a general writer, which is handed values, must do both.
//! Refuses: what a column means, and the tables beside `events` (their few rows go through the general writer).
//! Invariant: every column of a row group is cut into pages at the same rows, those of ids at further ones, too.

mod bounds;
mod chunk;
mod hybrid;
mod lengths;
mod page;

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use parquet::arrow::{ArrowSchemaConverter, add_encoded_arrow_schema_to_metadata};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::{WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::SchemaDescriptor;

use crate::batch::RowGroup;
use crate::schema::EVENTS;
use chunk::{ChunkEncoder, Traits};

/// Rows of a row group: the unit that a query reads or skips, and what a worker holds before it is encoded (some 25 MB).
pub const ROW_GROUP_ROWS: usize = 64 * 1024;

/// Rows of a page.
const PAGE_ROWS: usize = 16 * 1024;

/// Rows of a page of texts that hardly repeat (ids): whoever asks for few rows pays for a whole page of random letters.
const TEXT_PAGE_ROWS: usize = 2 * 1024;

/// zstd's level for data files: higher ones cost more time than they save bytes on CloudTrail (see benches/README.md).
pub const ZSTD_LEVEL: i32 = 1;

/// Columns whose minimum and maximum, by row group and page, let a query skip: those that are filtered by. To keep them
/// for all of the leaf columns would take a fifth of the time that writing takes.
pub const FILTER_COLUMNS: [&str; 23] = [
    "eventtime",
    "eventsource",
    "eventname",
    "awsregion",
    "sourceipaddress",
    "errorcode",
    "eventtype",
    "readonly",
    "managementevent",
    "recipientaccountid",
    "actor",
    "outcome",
    "useridentity.type",
    "useridentity.arn",
    "useridentity.accountid",
    "useridentity.accesskeyid",
    "useridentity.username",
    // the other tables'
    "key",
    "feature",
    "last_seen",
    "delivered_at",
    "id",
    "hour",
];

/// Columns with a bloom filter, and its bytes for a thousand rows: an event's id is asked for once (is it in the lake?), an access
/// key stands in many rows.
pub const BLOOM_COLUMNS: [(&str, usize); 2] = [("eventid", 1024), ("useridentity.accesskeyid", 128)];

struct Format {
    schema: SchemaDescriptor,
    properties: WriterPropertiesPtr,
    traits: Vec<(Traits, Option<usize>)>,
}

static FORMAT: LazyLock<Format> = LazyLock::new(|| {
    let arrow = EVENTS.file_schema();
    let schema = ArrowSchemaConverter::new().convert(&arrow).expect("the schema of events has a Parquet form");
    let mut properties = WriterProperties::builder().build();
    add_encoded_arrow_schema_to_metadata(&arrow, &mut properties);
    let traits = schema.columns().iter().map(|column| {
        let name = column.path().string();
        let bloom = BLOOM_COLUMNS.iter().find(|(bloom, _)| *bloom == name).map(|(_, bytes)| *bytes);
        (Traits { bounds: FILTER_COLUMNS.contains(&name.as_str()), bloom_bytes: None }, bloom)
    });
    let traits = traits.collect();
    Format { schema, properties: Arc::new(properties), traits }
});

/// A Parquet file of `events` under construction, in memory.
pub struct EventFile {
    file: SerializedFileWriter<Vec<u8>>,
    rows: u64,
}

impl EventFile {
    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Ends the file.
    ///
    /// # Errors
    /// Where the footer cannot be written.
    pub fn finish(mut self) -> Result<(Bytes, ParquetMetaData)> {
        let metadata = self.file.finish()?;
        Ok((std::mem::take(self.file.inner_mut()).into(), metadata))
    }
}

/// What row group after row group is encoded with, whatever file it belongs to.
pub struct EventEncoder(ChunkEncoder);

impl EventEncoder {
    /// Makes an encoder.
    ///
    /// # Errors
    /// Where zstd has no memory.
    pub fn new() -> Result<Self> {
        ChunkEncoder::new().map(Self)
    }

    /// Starts a file that is expected to have `size` bytes: room that is asked for at once costs nothing until it is used, and a
    /// file that outgrows its room is copied.
    ///
    /// # Errors
    /// Never, in memory.
    pub fn start(&self, size: usize) -> Result<EventFile> {
        let schema = FORMAT.schema.root_schema_ptr();
        let file = SerializedFileWriter::new(Vec::with_capacity(size), schema, Arc::clone(&FORMAT.properties))?;
        Ok(EventFile { file, rows: 0 })
    }

    /// Encodes the rows as a row group of a file, and forgets them. No rows: no row group.
    ///
    /// # Errors
    /// Where zstd has no memory, or there are too many row groups.
    pub fn write(&mut self, file: &mut EventFile, group: &mut RowGroup) -> Result<()> {
        let rows = group.rows();
        if rows == 0 {
            return Ok(());
        }
        group.arrange();
        let mut writer = file.file.next_row_group()?;
        let mut leaves = FORMAT.schema.columns().iter().zip(&FORMAT.traits);
        group.visit(&mut |leaf| {
            let Some((column, &(traits, bloom))) = leaves.next() else { return Err(too_many()) };
            let bloom_bytes = bloom.map(|bytes| (rows * bytes).div_ceil(1000));
            let chunk = self.0.encode(column, &leaf, rows, Traits { bloom_bytes, ..traits })?;
            writer.append_column(&chunk.bytes, chunk.close)
        })?;
        writer.close()?;
        file.rows += rows as u64;
        group.clear();
        Ok(())
    }
}

fn too_many() -> ParquetError {
    ParquetError::General("more columns than the schema of events has".into())
}

#[cfg(test)]
mod tests;
