//! SQL over the lake: snapshots in, record batches out.
//!
//! Owns: the session (dialect, threads, memory), what may run in it, and the errors in our words.
//! Refuses: anything but reading. No statement can write, load a file from elsewhere or change the session.
//! Invariant: a session sees exactly the snapshots it was made from; what is committed later is not in it.

mod bounds;
mod fault;
pub mod functions;
pub mod named;
pub mod output;
mod provider;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::ParamValues;
use datafusion::common::config::Dialect;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::object_store::{DefaultObjectStoreRegistry, ObjectStoreRegistry};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::prelude::{DataFrame, SQLOptions, SessionConfig, SessionContext};
use futures::TryStreamExt;
use url::Url;

use crate::error::{Error, ErrorKind, Result};
use crate::table::TableSnapshot;

pub use provider::SnapshotTable;

/// What a session may use.
#[derive(Debug, Clone)]
pub struct QueryOptions {
    /// Partitions worked on at once.
    pub threads: usize,
    /// Bytes that sorts, joins and groupings may hold; beyond it they spill to the temporary folder.
    pub memory_limit: u64,
}

/// Makes a session in which every snapshot is a table under its name.
///
/// # Errors
/// `Internal` where a snapshot contradicts itself, `BadInput` where its partition values are damaged.
pub fn session(snapshots: &[TableSnapshot], options: &QueryOptions) -> Result<SessionContext> {
    let mut state = SessionStateBuilder::new()
        .with_config(config(options))
        .with_runtime_env(runtime(snapshots, options)?)
        .with_default_features()
        // CREATE EXTERNAL TABLE is refused, and it could not work either.
        .with_table_factories(HashMap::new())
        .build();
    functions::register(&mut state)?;
    let ctx = SessionContext::new_with_state(state);
    for snapshot in snapshots {
        let table = Arc::new(SnapshotTable::new(snapshot)?);
        ctx.register_table(snapshot.name.as_str(), table).map_err(|error| fault::of(&error))?;
    }
    Ok(ctx)
}

fn config(options: &QueryOptions) -> SessionConfig {
    let mut config = SessionConfig::new().with_target_partitions(options.threads.max(1)).with_information_schema(true);
    // In the generic dialect `->>` binds looser than `<>`, so `a ->> 'k' <> 'x'` fails.
    config.options_mut().sql_parser.dialect = Dialect::PostgreSQL;
    config
}

/// A runtime that reaches the snapshots' stores and no other, not even the local disk.
fn runtime(snapshots: &[TableSnapshot], options: &QueryOptions) -> Result<Arc<RuntimeEnv>> {
    let stores = DefaultObjectStoreRegistry::new();
    let disk = Url::parse("file://").expect("a constant");
    stores.deregister_store(&disk).map_err(|error| fault::of(&error))?;
    for snapshot in snapshots {
        stores.register_store(&snapshot.store_url, Arc::clone(&snapshot.store));
    }
    let memory = usize::try_from(options.memory_limit).unwrap_or(usize::MAX);
    RuntimeEnvBuilder::new()
        .with_object_store_registry(Arc::new(stores))
        .with_memory_pool(Arc::new(FairSpillPool::new(memory)))
        .build_arc()
        .map_err(|error| fault::of(&error))
}

/// Runs a query and returns its rows as they come.
///
/// # Errors
/// `Usage` where the SQL is wrong or is not a query, `Limit` where memory does not suffice; errors of reading the
/// lake come with the rows.
pub async fn execute(ctx: &SessionContext, sql: &str) -> Result<SendableRecordBatchStream> {
    stream(plan(ctx, sql).await?).await
}

/// Runs a query whose placeholders (`$name`) stand for values, which are never read as SQL.
///
/// # Errors
/// As [`execute`]; `Usage` where a placeholder has no value.
pub async fn execute_with(
    ctx: &SessionContext,
    sql: &str,
    values: impl Into<ParamValues>,
) -> Result<SendableRecordBatchStream> {
    let frame = plan(ctx, sql).await?.with_param_values(values).map_err(|error| fault::of(&error))?;
    stream(frame).await
}

/// Runs a query and returns all of its rows. Only for results known to be small.
///
/// # Errors
/// As [`execute`], and whatever comes with the rows.
pub async fn collect(ctx: &SessionContext, sql: &str) -> Result<Vec<RecordBatch>> {
    gather(execute(ctx, sql).await?).await
}

/// All batches of a stream.
///
/// # Errors
/// Whatever comes with the rows.
pub async fn gather(stream: SendableRecordBatchStream) -> Result<Vec<RecordBatch>> {
    stream.try_collect().await.map_err(|error| fault::of(&error))
}

async fn stream(frame: DataFrame) -> Result<SendableRecordBatchStream> {
    frame.execute_stream().await.map_err(|error| fault::of(&error))
}

async fn plan(ctx: &SessionContext, sql: &str) -> Result<DataFrame> {
    if sql.trim().is_empty() {
        return Err(Error::new(ErrorKind::Usage, "the query is empty").hint("write one, for example SHOW TABLES"));
    }
    let plan = ctx.state().create_logical_plan(sql).await.map_err(|error| fault::of(&error))?;
    only_reads(&plan)?;
    ctx.execute_logical_plan(plan).await.map_err(|error| fault::of(&error))
}

/// Refuses every plan that does more than read.
fn only_reads(plan: &LogicalPlan) -> Result<()> {
    let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    options.verify_plan(plan).map_err(|error| {
        let message = error.message();
        let name = message.split_once(": ").map_or(message.as_ref(), |(_, name)| name);
        Error::new(ErrorKind::Usage, format!("cannot run {name}: a query may only read"))
            .hint("use SELECT, WITH, VALUES, EXPLAIN, SHOW or DESCRIBE")
    })
}

#[cfg(test)]
mod tests;
