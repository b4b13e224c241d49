//! An expression over the columns of a batch, planned once and asked of many.
//!
//! Owns: the step from SQL to what the engine evaluates. Refuses: tables; what it sees is one batch at a time.
//! Invariant: the value of a row depends on that row only.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::TreeNode;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::prelude::SessionContext;

use super::fault;
use crate::error::Result;

/// A planned expression.
#[derive(Debug, Clone)]
pub struct Expression(Arc<dyn PhysicalExpr>);

impl Expression {
    /// Plans an expression, with the session's functions, over columns of a schema.
    ///
    /// # Errors
    /// `Usage` where the SQL is wrong.
    pub fn new(ctx: &SessionContext, sql: &str, schema: &SchemaRef) -> Result<Self> {
        let plan = || {
            let schema = Arc::new(DFSchema::try_from(Arc::clone(schema))?);
            let state = ctx.state();
            let context = SimplifyContext::builder()
                .with_schema(Arc::clone(&schema))
                .with_config_options(Arc::clone(state.config_options()))
                .build();
            let simplifier = ExprSimplifier::new(context);
            let mut expr = simplifier.coerce(ctx.parse_sql_expr(sql, &schema)?, &schema)?;
            for rewrite in state.analyzer().function_rewrites() {
                expr = expr.transform_up(|expr| rewrite.rewrite(expr, &schema, state.config_options()))?.data;
            }
            // some functions are only there to be made into others
            state.create_physical_expr(simplifier.simplify(expr)?, &schema)
        };
        plan().map(Self).map_err(|error| fault::of(&error))
    }

    /// The value of every row.
    ///
    /// # Errors
    /// What evaluating it gives; `Internal` where the batch has other columns.
    pub fn of(&self, batch: &RecordBatch) -> Result<ArrayRef> {
        let value = self.0.evaluate(batch).and_then(|value| value.into_array(batch.num_rows()));
        value.map_err(|error| fault::of(&error))
    }
}
