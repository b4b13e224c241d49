//! Small results as text.
//!
//! Invariant: every query of an investigation has a limit of its own, so what is held is small.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use chrono::{DateTime, Utc};
use datafusion::common::ScalarValue;
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;

use crate::error::{Error, ErrorKind, Result};
use crate::query::output::cells;
use crate::query::{execute_with, gather};

/// An answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rows {
    /// Names of the columns, and whether they hold numbers.
    pub columns: Vec<(String, bool)>,
    /// Cells by row.
    pub rows: Vec<Vec<Option<String>>>,
}

impl Rows {
    /// The text of a cell.
    pub(crate) fn text(&self, row: usize, column: usize) -> Option<&str> {
        self.rows.get(row)?.get(column)?.as_deref()
    }

    /// The number in a cell; 0 where there is none.
    pub(crate) fn number(&self, row: usize, column: usize) -> i64 {
        self.text(row, column).and_then(|text| text.parse().ok()).unwrap_or_default()
    }

    /// The instant in a cell.
    pub(crate) fn time(&self, row: usize, column: usize) -> Option<DateTime<Utc>> {
        DateTime::parse_from_rfc3339(self.text(row, column)?).ok().map(|time| time.to_utc())
    }

    /// All texts of a column.
    pub(crate) fn column(&self, column: usize) -> Vec<String> {
        (0..self.rows.len()).filter_map(|row| self.text(row, column)).map(str::to_owned).collect()
    }
}

/// All rows of an answer in one batch.
pub(super) async fn batch(ctx: &SessionContext, sql: &str, values: Vec<(String, ScalarValue)>) -> Result<RecordBatch> {
    let stream = execute_with(ctx, sql, values).await?;
    let schema = stream.schema();
    concat_batches(&schema, &gather(stream).await?)
        .map_err(|error| Error::new(ErrorKind::Internal, "cannot join the rows of an answer").source(error))
}

/// Makes a batch a table of the session.
pub(super) fn register(ctx: &SessionContext, name: &str, batch: RecordBatch) -> Result<()> {
    let table = MemTable::try_new(batch.schema(), vec![vec![batch]])
        .and_then(|table| ctx.register_table(name, Arc::new(table)));
    table.map(drop).map_err(|error| Error::new(ErrorKind::Internal, format!("cannot keep {name}")).source(error))
}

/// All rows of an answer as text.
pub(crate) async fn ask(ctx: &SessionContext, sql: &str, values: Vec<(String, ScalarValue)>) -> Result<Rows> {
    of(&batch(ctx, sql, values).await?)
}

/// The rows of a batch as text.
pub(super) fn of(batch: &RecordBatch) -> Result<Rows> {
    let schema = batch.schema();
    let fields = schema.fields().iter();
    let columns = fields.map(|field| (field.name().clone(), field.data_type().is_numeric())).collect();
    Ok(Rows { columns, rows: cells(batch)? })
}
