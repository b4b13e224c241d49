//! Instants that need not all be told apart.
//!
//! Owns: how coarse a look at an instant an expression takes (`date_trunc('hour', t)` is the same for all instants of an hour),
//! and instants as a few that stand for all.
//! Invariant: an expression has the same value for all instants of a grain.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, TimestampMicrosecondArray};
use arrow::datatypes::DataType;
use datafusion::physical_expr::expressions::{CastExpr, Column, Literal};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use foldhash::fast::RandomState;

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Microseconds, counted from 1970, of which an expression of one column of instants in UTC need not tell the instants apart; 1
/// where it may.
pub(super) fn grain(expr: &Arc<dyn PhysicalExpr>) -> i64 {
    if expr.is::<Column>() {
        return 1;
    }
    let of_parts = || expr.children().into_iter().map(grain).min().unwrap_or(DAY);
    truncated(expr).or_else(|| day(expr)).unwrap_or_else(of_parts)
}

/// The grain of `date_trunc(unit, column)`: weeks, months and longer begin with a day.
fn truncated(expr: &Arc<dyn PhysicalExpr>) -> Option<i64> {
    let call = expr.downcast_ref::<ScalarFunctionExpr>().filter(|call| call.name() == "date_trunc")?;
    let [unit, column] = call.args() else { return None };
    let unit = unit.downcast_ref::<Literal>()?.value().try_as_str()??.to_lowercase();
    column.is::<Column>().then_some(match unit.as_str() {
        "second" => SECOND,
        "minute" => MINUTE,
        "hour" => HOUR,
        "day" | "week" | "month" | "quarter" | "year" => DAY,
        _ => 1,
    })
}

/// The grain of a column's date.
fn day(expr: &Arc<dyn PhysicalExpr>) -> Option<i64> {
    let cast = expr.downcast_ref::<CastExpr>().filter(|cast| *cast.cast_type() == DataType::Date32)?;
    cast.expr().is::<Column>().then_some(DAY)
}

/// Instants of which one stands for all of a grain, with NULL as one more behind them, and the place of each row's.
pub(super) fn told_apart(all: &TimestampMicrosecondArray, grain: i64) -> (TimestampMicrosecondArray, Vec<u32>) {
    if grain <= 1 && all.null_count() == 0 {
        return (all.clone(), (0..all.len() as u32).collect());
    }
    let mut known: HashMap<i64, u32, RandomState> = HashMap::default();
    let mut values = Vec::new();
    // neighbours are of one hour more often than not; unsigned, one comparison tells
    let (mut start, mut length, mut last) = (0, 0, 0);
    let mut place = |instant: i64| {
        if instant.wrapping_sub(start) as u64 >= length {
            length = grain.unsigned_abs();
            start = instant.div_euclid(grain).saturating_mul(grain);
            last = *known.entry(start).or_insert_with(|| {
                values.push(Some(instant));
                values.len() as u32 - 1
            });
        }
        last
    };
    let mut codes: Vec<u32> = match all.null_count() {
        0 => all.values().iter().map(|instant| place(*instant)).collect(),
        _ => all.iter().map(|instant| instant.map_or(u32::MAX, &mut place)).collect(),
    };
    let null = values.len() as u32;
    if all.null_count() > 0 {
        codes.iter_mut().filter(|code| **code == u32::MAX).for_each(|code| *code = null);
    }
    values.push(None);
    (TimestampMicrosecondArray::from(values).with_timezone_opt(all.timezone()), codes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_stands_for_all_of_an_hour() {
        let all = [Some(-1), Some(0), Some(HOUR - 1), None, Some(HOUR), Some(1), Some(-HOUR)];
        let (values, codes) = told_apart(&TimestampMicrosecondArray::from(all.to_vec()), HOUR);
        assert_eq!(values, TimestampMicrosecondArray::from(vec![Some(-1), Some(0), Some(HOUR), None]));
        assert_eq!(codes, [0, 1, 1, 3, 2, 1, 0]);
    }

    #[test]
    fn without_a_grain_equal_instants_are_one() {
        let all = TimestampMicrosecondArray::from(vec![Some(5), None, Some(6), Some(5)]);
        let (values, codes) = told_apart(&all, 1);
        assert_eq!(values, TimestampMicrosecondArray::from(vec![Some(5), Some(6), None]));
        assert_eq!(codes, [0, 2, 1, 0]);
    }

    #[test]
    fn extreme_instants_have_a_place() {
        let all = TimestampMicrosecondArray::from(vec![i64::MIN, i64::MAX, 0]);
        let (values, codes) = told_apart(&all, DAY);
        assert_eq!((values.len(), codes), (4, vec![0, 1, 2]));
    }
}
