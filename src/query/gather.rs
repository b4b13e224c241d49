//! An optimizer's rule: lookups in one JSON column become one scan.
//!
//! `json_extract(c, '$.a')`, `element_at(c, 'b')`, `c ->> 'd'` of one plan node become fields of one
//! `json_lookups(c, …)`, which DataFusion's elimination of common expressions then computes once a row.
//!
//! Owns: which calls are lookups, and where they are gathered.
//! Refuses: filters. Each condition stands alone there, is pushed into the scan of the file alone, and what it leaves out
//! the next one need not look at.
//! Invariant: a cell that no call would have looked at is not looked at: at least one of the calls on it is surely evaluated.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, ExprSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{HigherOrderFunction, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Case, Expr, LogicalPlan, Operator, ScalarUDF, lit};
use datafusion::optimizer::optimizer::{ApplyOrder, Optimizer};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use super::functions::json::lookups::{Form, MOST, takes};
use super::functions::json::path::{self, Step};

type Rules = Vec<Arc<dyn OptimizerRule + Send + Sync>>;

/// DataFusion's rules and this one, where the elimination of common expressions follows it.
pub(super) fn rules(lookups: Arc<ScalarUDF>, field: Arc<ScalarUDF>) -> Rules {
    let mut rules = Optimizer::new().rules;
    let elimination = rules.iter().position(|rule| rule.name() == "common_sub_expression_eliminate");
    rules.insert(elimination.unwrap_or(rules.len()), Arc::new(Gather { lookups, field }));
    rules
}

#[derive(Debug)]
struct Gather {
    lookups: Arc<ScalarUDF>,
    /// `row_field`: unlike `get_field`, it stays where it is put.
    field: Arc<ScalarUDF>,
}

impl OptimizerRule for Gather {
    fn name(&self) -> &'static str {
        "gather_json_lookups"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let cells = cells(&plan)?;
        if cells.is_empty() {
            return Ok(Transformed::no(plan));
        }
        let names = NamePreserver::new(&plan);
        plan.map_expressions(|expr| {
            if is_condition(&expr) {
                return Ok(Transformed::no(expr));
            }
            let name = names.save(&expr);
            Ok(self.replace(expr, &cells)?.update_data(|expr| name.restore(expr)))
        })
    }
}

impl Gather {
    fn replace(&self, expr: Expr, cells: &[Cell]) -> Result<Transformed<Expr>> {
        expr.transform_down(|expr| {
            if matches!(expr, Expr::HigherOrderFunction(_)) {
                return Ok(Transformed::new(expr, false, TreeNodeRecursion::Jump));
            }
            let place = lookup(&expr).and_then(|(column, lookup)| {
                let cell = cells.iter().find(|cell| cell.column == *column)?;
                Some((cell, cell.lookups.iter().position(|other| *other == lookup)?))
            });
            Ok(match place {
                Some((cell, place)) => Transformed::yes(self.field(cell, place)?),
                None => Transformed::no(expr),
            })
        })
    }

    fn field(&self, cell: &Cell, place: usize) -> Result<Expr> {
        let words = cell.lookups.iter().flat_map(|lookup| [lit(lookup.form.as_str()), lit(lookup.path.as_str())]);
        let arguments = std::iter::once(Expr::Column(cell.column.clone())).chain(words).collect();
        let number = i64::try_from(place + 1).unwrap_or_default();
        Ok(self.field.call(vec![self.lookups.call(arguments), lit(number)]))
    }
}

/// One value that a call wants.
#[derive(Debug, Clone, PartialEq)]
struct Lookup {
    form: Form,
    path: String,
}

/// What calls of a plan node want of a column's cell.
#[derive(Debug)]
struct Cell {
    column: Column,
    lookups: Vec<Lookup>,
    /// One of them is evaluated whatever the others are.
    sure: bool,
}

/// The columns in which a node looks up several values.
fn cells(plan: &LogicalPlan) -> Result<Vec<Cell>> {
    use LogicalPlan::{Aggregate, Projection, Sort, Window};
    let inputs = plan.inputs();
    let (Projection(_) | Aggregate(_) | Sort(_) | Window(_), [input]) = (plan, inputs.as_slice()) else {
        return Ok(Vec::new());
    };
    let mut cells = Vec::new();
    plan.apply_expressions(|expr| {
        if !is_condition(expr) {
            collect(expr, true, &mut cells)?;
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    cells.retain(|cell| cell.sure && (2..=MOST).contains(&cell.lookups.len()) && is_text(&cell.column, input.schema()));
    Ok(cells)
}

/// Whether DataFusion has taken an expression out of a condition above, with which it is pushed down.
fn is_condition(expr: &Expr) -> bool {
    matches!(expr, Expr::Alias(alias) if alias.name.starts_with("__datafusion_extracted"))
}

fn is_text(column: &Column, schema: &DFSchema) -> bool {
    let field = schema.field_from_column(column);
    field.is_ok_and(|field| matches!(field.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View))
}

fn collect(expr: &Expr, sure: bool, cells: &mut Vec<Cell>) -> Result<()> {
    if let Some((column, lookup)) = lookup(expr) {
        add(cells, column, lookup, sure);
        return Ok(());
    }
    let (always, maybe) = operands(expr)?;
    always.into_iter().try_for_each(|operand| collect(operand, sure, cells))?;
    maybe.into_iter().try_for_each(|operand| collect(operand, false, cells))
}

fn add(cells: &mut Vec<Cell>, column: &Column, lookup: Lookup, sure: bool) {
    let place = cells.iter().position(|cell| cell.column == *column).unwrap_or_else(|| {
        cells.push(Cell { column: column.clone(), lookups: Vec::new(), sure: false });
        cells.len() - 1
    });
    let cell = &mut cells[place];
    cell.sure |= sure;
    if !cell.lookups.contains(&lookup) {
        cell.lookups.push(lookup);
    }
}

/// The operands that are evaluated with an expression, and those that may be left out: as the elimination of common
/// expressions sees them.
fn operands(expr: &Expr) -> Result<(Vec<&Expr>, Vec<&Expr>)> {
    let parted = match expr {
        Expr::ScalarFunction(ScalarFunction { func, args }) => func.conditional_arguments(args),
        // a lambda is evaluated over rows of its own
        Expr::HigherOrderFunction(HigherOrderFunction { .. }) => Some((Vec::new(), Vec::new())),
        Expr::BinaryExpr(binary) if matches!(binary.op, Operator::And | Operator::Or) => {
            Some((vec![binary.left.as_ref()], vec![binary.right.as_ref()]))
        }
        Expr::Case(case) => Some(branches(case)),
        _ => None,
    };
    match parted {
        Some(parted) => Ok(parted),
        None => all_operands(expr),
    }
}

fn branches(case: &Case) -> (Vec<&Expr>, Vec<&Expr>) {
    let mut whens = case.when_then_expr.iter().map(|(when, _)| when.as_ref());
    let always = case.expr.as_deref().into_iter().chain(whens.next()).collect();
    let thens = case.when_then_expr.iter().map(|(_, then)| then.as_ref());
    let maybe = whens.chain(thens).chain(case.else_expr.as_deref()).collect();
    (always, maybe)
}

fn all_operands(expr: &Expr) -> Result<(Vec<&Expr>, Vec<&Expr>)> {
    let mut all = Vec::new();
    expr.apply_children(|operand| {
        all.push(operand);
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok((all, Vec::new()))
}

/// The column and the value in its JSON that a call asks for, where the call asks for one at a constant path.
fn lookup(expr: &Expr) -> Option<(&Column, Lookup)> {
    let Expr::ScalarFunction(ScalarFunction { func, args }) = expr else { return None };
    let [Expr::Column(column), steps @ ..] = args.as_slice() else { return None };
    let (form, path) = match (func.name(), steps) {
        ("json_extract" | "json_query", [path]) => (Form::Json, path::parse(text(path)?).ok()?),
        ("json_extract_scalar" | "json_value", [path]) => (Form::Scalar, path::parse(text(path)?).ok()?),
        ("get_json_object", [path]) => (Form::Text, path::parse(text(path)?).ok()?),
        ("element_at", [key]) => (Form::Text, vec![from_one(key)?]),
        ("json_as_text", steps) => (Form::Plain, steps.iter().map(from_zero).collect::<Option<_>>()?),
        ("json_get_str", steps) => (Form::Str, steps.iter().map(from_zero).collect::<Option<_>>()?),
        _ => return None,
    };
    let path = takes(&path).then(|| path::write(&path))??;
    Some((column, Lookup { form, path }))
}

fn text(expr: &Expr) -> Option<&str> {
    let Expr::Literal(value, _) = expr else { return None };
    value.try_as_str().flatten()
}

/// A key, or a place counted from 0.
fn from_zero(step: &Expr) -> Option<Step> {
    match step {
        Expr::Literal(ScalarValue::Int64(Some(place)), _) => Some(Step::Index(*place)),
        other => text(other).map(|key| Step::Key(key.to_owned())),
    }
}

/// A key, or a place counted from 1; from the end (and 0, which is none) it is not looked up with others.
fn from_one(step: &Expr) -> Option<Step> {
    match from_zero(step)? {
        Step::Index(place) => Some(Step::Index(place.checked_sub(1).filter(|place| *place >= 0)?)),
        key => Some(key),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{RecordBatch, StringViewArray};
    use arrow::datatypes::{DataType, Field, Schema};
    use arrow::util::pretty::pretty_format_batches;
    use datafusion::datasource::MemTable;
    use datafusion::prelude::SessionContext;

    use crate::query::{QueryOptions, collect, session};

    /// A table `t` with JSON in `c`.
    fn table() -> SessionContext {
        let ctx = session(&[], &QueryOptions::new(2, 64 << 20)).unwrap();
        let cells: StringViewArray = [
            Some(r#"{"a":"x","b":{"c":[1,2]},"d":7,"a":"second"}"#),
            Some(r#"{"b":{"c":"t"},"a":null}"#),
            Some("broken"),
            None,
        ]
        .into_iter()
        .collect();
        let schema = Arc::new(Schema::new(vec![Field::new("c", DataType::Utf8View, true)]));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(cells)]).unwrap();
        ctx.register_table("t", Arc::new(MemTable::try_new(schema, vec![vec![batch]]).unwrap())).unwrap();
        ctx
    }

    async fn rows(ctx: &SessionContext, sql: &str) -> String {
        pretty_format_batches(&collect(ctx, sql).await.unwrap()).unwrap().to_string()
    }

    /// How often cells are scanned for several values, and for one.
    async fn scans(ctx: &SessionContext, sql: &str) -> (usize, usize) {
        let plan = rows(ctx, &format!("EXPLAIN {sql}")).await;
        let physical = plan.split_once("physical_plan").unwrap().1;
        // a column has its place behind it, unlike in the name that a result has
        let count = |names: &[&str]| names.iter().map(|name| physical.matches(&format!("{name}(c@")).count()).sum();
        let alone =
            ["json_extract", "json_extract_scalar", "element_at", "get_json_object", "json_as_text", "json_get_str"];
        (count(&["json_lookups"]), count(&alone))
    }

    #[tokio::test]
    async fn calls_on_one_column_are_one_scan_and_mean_the_same() {
        let ctx = table();
        let calls = [
            "json_extract(c, '$.b')",
            "json_extract_scalar(c, '$.b.c')",
            "element_at(c, 'a')",
            "c ->> 'd'",
            "json_get_str(c, 'd')",
            "json_get_str(c, 'b', 'c')",
            "get_json_object(c, '$.b.c[1]')",
            "CAST(json_extract(c, '$.d') AS bigint)",
        ];
        let together = format!("SELECT {} FROM t", calls.join(", "));
        assert_eq!(scans(&ctx, &together).await, (1, 0));
        let mut columns = Vec::new();
        for call in calls {
            columns.push(collect(&ctx, &format!("SELECT {call} FROM t")).await.unwrap()[0].column(0).clone());
        }
        let found = collect(&ctx, &together).await.unwrap();
        assert_eq!(found[0].columns(), columns);
    }

    #[tokio::test]
    async fn groups_and_what_is_counted_share_a_scan() {
        let ctx = table();
        let sql =
            "SELECT element_at(c, 'a') AS a, count(DISTINCT c ->> 'd'), max(c ->> 'd') FROM t GROUP BY 1 ORDER BY 1";
        assert_eq!(scans(&ctx, sql).await, (1, 0));
        let found = rows(&ctx, sql).await;
        assert!(found.contains("| x | 1 ") && found.contains("|   | 0 "), "{found}");
    }

    #[tokio::test]
    async fn what_may_be_left_out_is_not_looked_at() {
        let ctx = table();
        let lazy = "SELECT CASE WHEN length(c) > 9 THEN c ->> 'a' ELSE c ->> 'd' END FROM t";
        assert_eq!(scans(&ctx, lazy).await.0, 0);
        let sure = "SELECT coalesce(c ->> 'a', c ->> 'd', element_at(c, 'b')) FROM t";
        assert_eq!(scans(&ctx, sure).await, (1, 0));
        assert!(rows(&ctx, sure).await.contains(r#"{"c":"t"}"#));
    }

    #[tokio::test]
    async fn one_call_and_filters_stay_as_they_are() {
        let ctx = table();
        assert_eq!(scans(&ctx, "SELECT c ->> 'a' AS x, c ->> 'a' AS y FROM t").await.0, 0);
        let filter = "SELECT element_at(c, 'b') FROM t WHERE c ->> 'a' = 'x' AND c ->> 'd' = '7'";
        assert_eq!(scans(&ctx, filter).await.0, 0);
        assert!(rows(&ctx, filter).await.contains("[1,2]"));
        assert_eq!(scans(&ctx, "SELECT json_extract(c, '$'), json_extract(c, '$.a[*]') FROM t").await.0, 0);
    }
}
