//! `reduce(array, start, (state, x) -> …, state -> …)`, which DataFusion lacks.
//!
//! Owns: the steps: all rows take their n-th element at once, so that the lambda runs once per place, not per element.
//! Invariant: a NULL array gives NULL; an empty one gives what the last lambda makes of the start.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use arrow::compute::{cast, concat, take, take_arrays};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, HigherOrderFunctionArgs, HigherOrderReturnFieldArgs, HigherOrderSignature, HigherOrderUDFImpl,
    LambdaParametersProgress, ValueOrLambda, Volatility,
};

/// The function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Reduce {
    signature: HigherOrderSignature,
}

impl Default for Reduce {
    fn default() -> Self {
        let value = || ValueOrLambda::Value(());
        let lambda = || ValueOrLambda::Lambda(());
        Self {
            signature: HigherOrderSignature::exact(vec![value(), value(), lambda(), lambda()], Volatility::Immutable),
        }
    }
}

fn item(list: &DataType) -> Result<FieldRef> {
    match list {
        DataType::List(item) => Ok(Arc::clone(item)),
        other => plan_err!("reduce takes an array, not {other}"),
    }
}

impl HigherOrderUDFImpl for Reduce {
    fn name(&self) -> &str {
        "reduce"
    }

    fn signature(&self) -> &HigherOrderSignature {
        &self.signature
    }

    fn coerce_value_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let list = match &types[0] {
            DataType::FixedSizeList(item, _) | DataType::LargeList(item) => DataType::List(Arc::clone(item)),
            other => other.clone(),
        };
        Ok([&[list], &types[1..]].concat())
    }

    fn lambda_parameters(
        &self,
        _step: usize,
        fields: &[ValueOrLambda<FieldRef, Option<FieldRef>>],
    ) -> Result<LambdaParametersProgress> {
        let [ValueOrLambda::Value(list), ValueOrLambda::Value(start), ValueOrLambda::Lambda(merge), _] = fields else {
            return plan_err!("reduce takes an array, a start, and two lambdas");
        };
        let item = item(list.data_type())?;
        let state = Arc::new(Field::new("state", start.data_type().clone(), true));
        Ok(match merge {
            None => LambdaParametersProgress::Partial(vec![Some(vec![state, item]), None]),
            // the state keeps the type of the start, and the lambda's values are cast to it
            Some(_) => LambdaParametersProgress::Complete(vec![vec![Arc::clone(&state), item], vec![state]]),
        })
    }

    fn return_field_from_args(&self, arguments: HigherOrderReturnFieldArgs) -> Result<FieldRef> {
        match arguments.arg_fields {
            [_, _, _, ValueOrLambda::Lambda(finish)] => Ok(Arc::new(Field::new("", finish.data_type().clone(), true))),
            _ => plan_err!("reduce takes an array, a start, and two lambdas"),
        }
    }

    fn invoke_with_args(&self, arguments: HigherOrderFunctionArgs) -> Result<ColumnarValue> {
        let [
            ValueOrLambda::Value(list),
            ValueOrLambda::Value(start),
            ValueOrLambda::Lambda(merge),
            ValueOrLambda::Lambda(finish),
        ] = arguments.args.as_slice()
        else {
            return plan_err!("reduce takes an array, a start, and two lambdas");
        };
        let rows = arguments.number_rows;
        let array = list.clone().into_array(rows)?;
        let list = array.as_list::<i32>();
        let mut state = start.clone().into_array(rows)?;
        let longest = (0..rows).map(|row| list.value_length(row)).max().unwrap_or_default();
        for place in 0..longest {
            let alive = |row: &usize| list.is_valid(*row) && list.value_length(*row) > place;
            let live: Vec<u32> = (0..rows).filter(alive).map(|row| u32::try_from(row).unwrap_or_default()).collect();
            let at =
                live.iter().map(|row| u32::try_from(list.value_offsets()[*row as usize] + place).unwrap_or_default());
            let (at, live) = (UInt32Array::from_iter_values(at), UInt32Array::from(live));
            let before = || Ok(take(&state, &live, None)?);
            let values = || Ok(take(list.values(), &at, None)?);
            let merged = merge.evaluate(&[&before, &values], |captured| Ok(take_arrays(captured, &live, None)?))?;
            let merged = cast(&merged.into_array(live.len())?, state.data_type())?;
            state = replace(&state, &live, &merged)?;
        }
        let last = || Ok(Arc::clone(&state));
        let finished = finish.evaluate(&[&last], |captured| Ok(captured.to_vec()))?.into_array(rows)?;
        let missing = arrow::compute::is_null(list)?;
        Ok(ColumnarValue::Array(arrow::compute::nullif(&finished, &missing)?))
    }
}

/// The old values with the new ones in their places.
fn replace(old: &ArrayRef, places: &UInt32Array, new: &ArrayRef) -> Result<ArrayRef> {
    let all = concat(&[old.as_ref(), new.as_ref()])?;
    let rows = u32::try_from(old.len()).unwrap_or_default();
    let mut take_from: Vec<u32> = (0..rows).collect();
    for (index, place) in places.values().iter().enumerate() {
        take_from[*place as usize] = rows + u32::try_from(index).unwrap_or_default();
    }
    Ok(take(&all, &UInt32Array::from(take_from), None)?)
}
