//! What the planner asks about types that SQL's text does not tell.
//!
//! Owns: `json['key']` on a JSON text column, a boolean against `'true'`, an address in text against a number, and
//! casts of JSON to one value, which read the value and not its text.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr, RawFieldAccessExpr};
use datafusion::logical_expr::{Expr, ExprSchemable, GetFieldAccess, ScalarUDF, lit};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::json::is_json;

/// Plans what DataFusion's own planners refuse; must come before them.
#[derive(Debug)]
pub(in crate::query) struct Lenient {
    pub(super) element_at: Arc<ScalarUDF>,
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

impl ExprPlanner for Lenient {
    fn plan_field_access(
        &self,
        access: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        if !access.expr.get_type(schema).is_ok_and(|data_type| is_text(&data_type)) {
            return Ok(PlannerResult::Original(access));
        }
        let key = match access.field_access {
            GetFieldAccess::NamedStructField { name } => Expr::Literal(name, None),
            GetFieldAccess::ListIndex { key } => *key,
            other => return Ok(PlannerResult::Original(RawFieldAccessExpr { field_access: other, expr: access.expr })),
        };
        let call = ScalarFunction::new_udf(Arc::clone(&self.element_at), vec![access.expr, key]);
        Ok(PlannerResult::Planned(Expr::ScalarFunction(call)))
    }

    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        if !compares(&expr.op) {
            return Ok(PlannerResult::Original(expr));
        }
        let (Ok(left), Ok(right)) = (expr.left.get_type(schema), expr.right.get_type(schema)) else {
            return Ok(PlannerResult::Original(expr));
        };
        let RawBinaryExpr { op, left: a, right: b } = expr;
        let (a, b) = match (&left, &right) {
            (DataType::Boolean, other) if is_text(other) => (a, as_boolean(b)),
            (other, DataType::Boolean) if is_text(other) => (as_boolean(a), b),
            _ => (a, b),
        };
        Ok(PlannerResult::Original(RawBinaryExpr { op, left: a, right: b }))
    }
}

fn compares(op: &BinaryOperator) -> bool {
    use BinaryOperator::{Eq, NotEq};
    matches!(op, Eq | NotEq)
}

/// Athena keeps CloudTrail's booleans as text, CloudTrail Lake as booleans; both ways of asking are right.
fn as_boolean(expr: Expr) -> Expr {
    let text = match &expr {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        _ => None,
    };
    match text {
        Some(text) if text.eq_ignore_ascii_case("true") => lit(true),
        Some(text) if text.eq_ignore_ascii_case("false") => lit(false),
        Some(_) => Expr::Literal(ScalarValue::Boolean(None), None),
        None => Expr::TryCast(datafusion::logical_expr::TryCast::new(Box::new(expr), DataType::Boolean)),
    }
}

/// Rewrites `CAST(json AS bigint)` so that the value is read: `"a"` is the text a, `7.0` a whole number.
#[derive(Debug)]
pub(in crate::query) struct JsonCasts {
    pub(super) json_cast: Arc<ScalarUDF>,
}

impl FunctionRewrite for JsonCasts {
    fn name(&self) -> &str {
        "json_casts"
    }

    fn rewrite(&self, expr: Expr, schema: &DFSchema, _config: &ConfigOptions) -> Result<Transformed<Expr>> {
        let (inner, target) = match &expr {
            Expr::Cast(cast) => (&cast.expr, cast.field.data_type()),
            Expr::TryCast(cast) => (&cast.expr, cast.field.data_type()),
            _ => return Ok(Transformed::no(expr)),
        };
        let Some(name) = json_type(target) else { return Ok(Transformed::no(expr)) };
        if !inner.to_field(schema).is_ok_and(|(_, field)| is_json(&field)) {
            return Ok(Transformed::no(expr));
        }
        let read = ScalarFunction::new_udf(Arc::clone(&self.json_cast), vec![inner.as_ref().clone(), lit(name)]);
        let read = Expr::ScalarFunction(read);
        let target = target.clone();
        Ok(Transformed::yes(Expr::Cast(datafusion::logical_expr::Cast::new(Box::new(read), target))))
    }
}

fn json_type(target: &DataType) -> Option<&'static str> {
    Some(match target {
        other if is_text(other) => "varchar",
        other if other.is_integer() => "bigint",
        other if other.is_floating() => "double",
        DataType::Decimal128(..) => "double",
        DataType::Boolean => "boolean",
        DataType::Date32 => "date",
        DataType::Timestamp(..) => "timestamp",
        _ => return None,
    })
}
