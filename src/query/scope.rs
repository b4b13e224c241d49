//! A session in which `events` is a part of the events.
//!
//! Owns: narrowing. Named queries and any other SQL over `events` then speak of that part alone, unchanged; the whole
//! table is still there as `public.events`.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::catalog::{MemorySchemaProvider, SchemaProvider};
use datafusion::common::ParamValues;
use datafusion::datasource::{MemTable, ViewTable};
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::SessionContext;

use super::fault;
use crate::error::{Error, ErrorKind, Result};

/// Makes the session. `sql` selects the part (all columns of `events` and maybe more); its placeholders stand for values.
/// `tables` are small tables that it needs beside it.
///
/// # Errors
/// `Usage` where the SQL is wrong.
pub async fn scoped(
    ctx: &SessionContext,
    sql: &str,
    values: impl Into<ParamValues>,
    tables: &[(&str, RecordBatch)],
) -> Result<SessionContext> {
    let part = super::plan(ctx, sql).await?.with_param_values(values).map_err(|error| fault::of(&error))?;
    let (_, plan) = part.into_parts();
    let schema = Arc::new(MemorySchemaProvider::new());
    let put = |name: &str, table| schema.register_table(name.to_owned(), table).map_err(|error| fault::of(&error));
    put("events", Arc::new(ViewTable::new(plan, None)))?;
    for (name, batch) in tables {
        let table = MemTable::try_new(batch.schema(), vec![vec![batch.clone()]]).map_err(|error| fault::of(&error))?;
        put(name, Arc::new(table))?;
    }
    let state = ctx.state();
    let catalog = state.catalog_list().catalog("datafusion");
    let catalog = catalog.ok_or_else(|| Error::new(ErrorKind::Internal, "the session has no catalog"))?;
    catalog.register_schema("scope", schema).map_err(|error| fault::of(&error))?;
    let config = state.config().clone().with_default_catalog_and_schema("datafusion", "scope");
    let config = config.with_create_default_catalog_and_schema(false);
    Ok(SessionContext::new_with_state(SessionStateBuilder::new_from_existing(state).with_config(config).build()))
}
