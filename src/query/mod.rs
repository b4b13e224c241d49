//! SQL over the lake: snapshots in, record batches out.
//!
//! Owns: the session (dialect, threads, memory), what may run in it, and the errors in our words.
//! Refuses: anything but reading. No statement can write, load a file from elsewhere or change the session.
//! Invariant: a session sees exactly the snapshots it was made from; what is committed later is not in it.

mod bounds;
mod cells;
mod codes;
mod counting;
pub mod dialect;
mod explain;
mod expression;
mod fault;
mod first_step;
#[cfg(test)]
mod fixture;
pub mod functions;
mod gather;
mod grouping;
mod instants;
pub mod named;
mod nearest;
mod ordered;
mod origins;
pub mod output;
mod pages;
mod picking;
mod pieces;
mod provider;
mod row_group;
mod scope;
mod seek;
mod text;
mod view;

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
use crate::network::Networks;
use crate::table::TableSnapshot;

use first_step::Replace;

pub use explain::explain;
pub use expression::Expression;
pub use ordered::ordered;
pub use provider::SnapshotTable;
pub use scope::scoped;

/// What a session may use.
#[derive(Debug, Clone)]
pub struct QueryOptions {
    /// Partitions worked on at once.
    pub threads: usize,
    /// Bytes that sorts, joins and groupings may hold; beyond it they spill to the temporary folder.
    pub memory_limit: u64,
    /// What the user's files tell of addresses.
    pub networks: Option<Arc<Networks>>,
}

impl QueryOptions {
    /// Options without files of networks.
    pub const fn new(threads: usize, memory_limit: u64) -> Self {
        Self { threads, memory_limit, networks: None }
    }
}

/// Whether a session may leave anything behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Statements read the lake, and nothing else.
    Read,
    /// `COPY … TO 'file'` may also write files. The lake's own tables stay as they are.
    Write,
}

/// Makes a session that reads, in which every snapshot is a table under its name.
///
/// # Errors
/// `Internal` where a snapshot contradicts itself, `BadInput` where its partition values are damaged.
pub fn session(snapshots: &[TableSnapshot], options: &QueryOptions) -> Result<SessionContext> {
    session_for(snapshots, options, Access::Read)
}

/// Makes a session in which every snapshot is a table under its name.
///
/// # Errors
/// As [`session`].
pub fn session_for(snapshots: &[TableSnapshot], options: &QueryOptions, access: Access) -> Result<SessionContext> {
    let mut state = SessionStateBuilder::new()
        .with_config(config(options).with_extension(Arc::new(access)))
        .with_runtime_env(runtime(snapshots, options, access)?)
        .with_expr_planners(functions::planners())
        .with_optimizer_rules(gather::rules(
            functions::named(functions::json::lookups::NAME),
            functions::named("row_field"),
        ))
        .with_physical_optimizer_rule(Arc::new(Replace::<counting::Counting>::default()))
        .with_physical_optimizer_rule(Arc::new(Replace::<grouping::Grouping>::default()))
        .with_physical_optimizer_rule(Arc::new(picking::Pick))
        .with_default_features()
        // CREATE EXTERNAL TABLE is refused, and it could not work either.
        .with_table_factories(HashMap::new())
        .build();
    functions::register(&mut state, &options.networks.clone().unwrap_or_default())?;
    let ctx = SessionContext::new_with_state(state);
    for snapshot in snapshots {
        let table = Arc::new(SnapshotTable::new(snapshot)?);
        ctx.register_table(snapshot.name.as_str(), table).map_err(|error| fault::of(&error))?;
    }
    view::register(&ctx, snapshots)?;
    Ok(ctx)
}

fn config(options: &QueryOptions) -> SessionConfig {
    let mut config = SessionConfig::new().with_target_partitions(options.threads.max(1)).with_information_schema(true);
    // In the generic dialect `->>` binds looser than `<>`, so `a ->> 'k' <> 'x'` fails.
    config.options_mut().sql_parser.dialect = Dialect::PostgreSQL;
    config
}

/// A runtime that reaches the snapshots' stores and, unless it may write, no other, not even the local disk.
fn runtime(snapshots: &[TableSnapshot], options: &QueryOptions, access: Access) -> Result<Arc<RuntimeEnv>> {
    let stores = DefaultObjectStoreRegistry::new();
    if access == Access::Read {
        let disk = Url::parse("file://").expect("a constant");
        stores.deregister_store(&disk).map_err(|error| fault::of(&error))?;
    }
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

/// Runs a query and returns its rows as they come. Text is always `Utf8`, instants are `Timestamp` with or without
/// zone, and UTC either way.
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

/// Runs a query and shows its batches one by one, texts as the engine has them: most are views.
///
/// # Errors
/// As [`execute`], whatever comes with the rows, and the visitor's first.
pub async fn each(ctx: &SessionContext, sql: &str, mut visit: impl FnMut(&RecordBatch) -> Result<()>) -> Result<()> {
    let frame = plan(ctx, sql).await?;
    let mut batches = frame.execute_stream().await.map_err(|error| fault::of(&error))?;
    while let Some(batch) = batches.try_next().await.map_err(|error| fault::of(&error))? {
        visit(&batch)?;
    }
    Ok(())
}

/// All batches of a stream.
///
/// # Errors
/// Whatever comes with the rows.
pub async fn gather(stream: SendableRecordBatchStream) -> Result<Vec<RecordBatch>> {
    stream.try_collect().await.map_err(|error| fault::of(&error))
}

/// Runs a query with values for its placeholders and tells what it read, one sentence an element.
///
/// # Errors
/// As [`execute_with`].
pub async fn explain_with(ctx: &SessionContext, sql: &str, values: impl Into<ParamValues>) -> Result<Vec<String>> {
    let frame = plan(ctx, sql).await?.with_param_values(values).map_err(|error| fault::of(&error))?;
    explain::explained(ctx, frame).await
}

async fn stream(frame: DataFrame) -> Result<SendableRecordBatchStream> {
    frame.execute_stream().await.map(text::without_views).map_err(|error| fault::of(&error))
}

async fn plan(ctx: &SessionContext, sql: &str) -> Result<DataFrame> {
    let statement = dialect::parse(sql)?;
    let plan = match ctx.state().statement_to_plan(statement).await {
        Ok(plan) => plan,
        Err(error) => return Err(fault::at(sql, &error, &names(ctx))),
    };
    let access = ctx.state().config().get_extension::<Access>().map_or(Access::Read, |access| *access);
    check(&plan, access)?;
    ctx.execute_logical_plan(plan).await.map_err(|error| fault::of(&error))
}

/// Names of the session, for who mistypes one.
fn names(ctx: &SessionContext) -> fault::Names {
    let schema = ctx.catalog("datafusion").and_then(|catalog| catalog.schema("public"));
    let tables = schema.map(|schema| schema.table_names()).unwrap_or_default();
    let functions = functions::catalogue(ctx).into_iter().map(|function| function.name).collect();
    fault::Names { tables, functions }
}

/// Refuses every plan that does more than the session may.
fn check(plan: &LogicalPlan, access: Access) -> Result<()> {
    let copies = access == Access::Write && matches!(plan, LogicalPlan::Copy(_));
    let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(copies).with_allow_statements(false);
    options.verify_plan(plan).map_err(|error| {
        let message = error.message();
        let name = message.split_once(": ").map_or(message.as_ref(), |(_, name)| name);
        Error::new(ErrorKind::Usage, format!("cannot run {name}: a query may only read"))
            .hint("use SELECT, WITH, VALUES, EXPLAIN, SHOW or DESCRIBE; COPY … TO 'file' needs --allow-write")
    })
}

#[cfg(test)]
mod tests;
