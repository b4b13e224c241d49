//! A table's files at one version: what the lake hands to the query engine.
//!
//! Owns: the message between the adapters `lake` and `query`, which never see each other.
//! Invariant: a snapshot never changes; a later version is another snapshot.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use object_store::ObjectStore;
use object_store::path::Path;
use serde_json::Value;
use url::Url;

/// What helps where a file is damaged; the lake and the query engine both come upon them.
pub const DAMAGED_HINT: &str =
    "the file is damaged: `trailhound lake repair` takes it out, and the next ingest reads its events again";

/// One Parquet file of a table.
#[derive(Debug, Clone)]
pub struct DataFile {
    /// Path in the store, from the store's root.
    pub path: Path,
    /// Bytes.
    pub size: u64,
    /// Rows, where the log says.
    pub rows: Option<u64>,
    /// Value of the partition column as text (`2026-01-31`), where the table has one.
    pub partition: Option<String>,
    /// Smallest values by column, as Delta writes them.
    pub min_values: Value,
    /// Largest values by column, as Delta writes them.
    pub max_values: Value,
}

/// A table's files at one version.
#[derive(Debug, Clone)]
pub struct TableSnapshot {
    /// SQL name.
    pub name: String,
    /// Delta version; -1 where the table does not exist yet (no files then).
    pub version: i64,
    /// All columns, the partition column last.
    pub schema: SchemaRef,
    /// Partition column, if any.
    pub partition: Option<String>,
    /// The files, sorted by path.
    pub files: Vec<DataFile>,
    /// Root of the store, the key it is registered under with the query engine.
    pub store_url: Url,
    /// The store itself.
    pub store: Arc<dyn ObjectStore>,
}
