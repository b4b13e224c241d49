//! Tables in memory, for the tests of what stands in the place of DataFusion's own.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::util::pretty::pretty_format_batches;
use datafusion::execution::SessionStateBuilder;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::prelude::{SessionConfig, SessionContext};
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use url::Url;

use super::provider::SnapshotTable;
use crate::table::{DataFile, TableSnapshot};

const STORE: &str = "memory://lake/";

/// Writes a file of one batch.
pub(super) async fn file(store: &InMemory, name: &str, batch: &RecordBatch, properties: WriterProperties) -> DataFile {
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    let (path, size) = (Path::from(name), bytes.len() as u64);
    store.put(&path, bytes.into()).await.unwrap();
    let (min_values, max_values) = (serde_json::Value::Null, serde_json::Value::Null);
    DataFile { path, size, rows: Some(batch.num_rows() as u64), partition: None, min_values, max_values }
}

/// The table `t` of some files.
pub(super) fn snapshot(schema: SchemaRef, files: Vec<DataFile>, store: InMemory) -> TableSnapshot {
    let (store_url, store) = (Url::parse(STORE).unwrap(), Arc::new(store));
    TableSnapshot { name: "t".into(), version: 0, schema, partition: None, files, store_url, store }
}

/// DataFusion's answer, as text, with one more rule or without, and its plan.
pub(super) async fn asked(
    sql: &str,
    table: &TableSnapshot,
    rule: Option<Arc<dyn PhysicalOptimizerRule + Send + Sync>>,
) -> (String, String) {
    let state =
        SessionStateBuilder::new().with_config(SessionConfig::new().with_target_partitions(2)).with_default_features();
    let state = match rule {
        Some(rule) => state.with_physical_optimizer_rule(rule),
        None => state,
    };
    let ctx = SessionContext::new_with_state(state.build());
    ctx.runtime_env().register_object_store(&table.store_url, Arc::clone(&table.store));
    ctx.register_table("t", Arc::new(SnapshotTable::new(table).unwrap())).unwrap();
    let plan = ctx.sql(&format!("EXPLAIN {sql}")).await.unwrap().collect().await.unwrap();
    let answer = ctx.sql(sql).await.unwrap().collect().await.unwrap();
    (pretty_format_batches(&answer).unwrap().to_string(), pretty_format_batches(&plan).unwrap().to_string())
}
