//! Maps: how they are made of flat columns, and Trino's functions that go through them or along two lists with a lambda.
//!
//! Owns: `map_filter`, `transform_values`, `transform_keys`, `zip_with`, `map_from_entries`.
//! Invariant: a map has no NULL key (its entry is left out) and no key twice (the first stays); Trino fails there.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, ListArray, MapArray, StructArray, UInt32Array, new_empty_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{cast, filter, take, take_arrays};
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use arrow::row::{RowConverter, SortField};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, HigherOrderFunctionArgs, HigherOrderReturnFieldArgs, HigherOrderSignature, HigherOrderUDF,
    HigherOrderUDFImpl, LambdaParametersProgress, ReturnFieldArgs, ValueOrLambda, Volatility,
};

use super::udf::{Call, Function, Returns, trino};

/// The type of a map. Keys are plain text where they are text: DataFusion looks them up by that.
pub(super) fn map_type(key: &DataType, value: &Field) -> DataType {
    let key = if matches!(key, DataType::Utf8View | DataType::LargeUtf8) { &DataType::Utf8 } else { key };
    let value = value.clone().with_name("value").with_nullable(true);
    let fields = Fields::from(vec![Field::new("key", key.clone(), false), value]);
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(fields), false)), false)
}

/// The fields of a map's key and value.
pub(super) fn entry_fields(map: &DataType) -> Result<(&FieldRef, &FieldRef)> {
    if let DataType::Map(entries, _) = map
        && let DataType::Struct(fields) = entries.data_type()
        && let [key, value] = fields.as_ref()
    {
        return Ok((key, value));
    }
    plan_err!("a map is needed, not {map}")
}

/// Entries of lists or maps, one after the other, and which row each is of.
pub(super) struct Flat {
    pub rows: Vec<u32>,
    pub keys: ArrayRef,
    pub values: ArrayRef,
    /// Rows that are there at all.
    pub nulls: Option<NullBuffer>,
    /// Of all rows.
    pub count: usize,
}

impl Flat {
    fn of(map: &MapArray) -> Result<Self> {
        let (mut rows, mut at) = (Vec::new(), Vec::new());
        for row in (0..map.len()).filter(|row| map.is_valid(*row)) {
            for place in map.value_offsets()[row]..map.value_offsets()[row + 1] {
                rows.push(number(row));
                at.push(u32::try_from(place).unwrap_or_default());
            }
        }
        let at = UInt32Array::from(at);
        let (keys, values) = (take(map.keys(), &at, None)?, take(map.values(), &at, None)?);
        Ok(Self { rows, keys, values, nulls: map.nulls().cloned(), count: map.len() })
    }

    /// Leaves out the entries of which one is not wanted.
    fn only(mut self, wanted: &BooleanArray) -> Result<Self> {
        self.keys = filter(&self.keys, wanted)?;
        self.values = filter(&self.values, wanted)?;
        let kept = self.rows.iter().zip(wanted.iter()).filter(|(_, wanted)| *wanted == Some(true));
        self.rows = kept.map(|(row, _)| *row).collect();
        Ok(self)
    }

    /// Leaves out NULL keys, and keys that a row has already.
    pub(super) fn distinct(self) -> Result<Self> {
        let converter = RowConverter::new(vec![SortField::new(self.keys.data_type().clone())])?;
        let keys = converter.convert_columns(std::slice::from_ref(&self.keys))?;
        let mut seen = HashSet::new();
        let first = |(at, row): (usize, &u32)| self.keys.is_valid(at) && seen.insert((*row, keys.row(at)));
        let wanted: BooleanArray = self.rows.iter().enumerate().map(first).map(Some).collect();
        self.only(&wanted)
    }

    fn offsets(&self) -> OffsetBuffer<i32> {
        let mut lengths = vec![0; self.count];
        self.rows.iter().for_each(|row| lengths[*row as usize] += 1);
        OffsetBuffer::from_lengths(lengths)
    }

    /// The maps, of a type that [`map_type`] made.
    pub(super) fn into_maps(self, data_type: &DataType) -> Result<ArrayRef> {
        let DataType::Map(field, _) = data_type else { return exec_err!("a map is needed, not {data_type}") };
        let (key, value) = entry_fields(data_type)?;
        let keys = cast(&self.keys, key.data_type())?;
        let fields = Fields::from(vec![Arc::clone(key), Arc::clone(value)]);
        let values = cast(&self.values, value.data_type())?;
        let entries = StructArray::try_new_with_length(fields, vec![keys, values], None, self.rows.len())?;
        Ok(Arc::new(MapArray::try_new(Arc::clone(field), self.offsets(), entries, self.nulls, false)?))
    }
}

fn number(row: usize) -> u32 {
    u32::try_from(row).unwrap_or(u32::MAX)
}

pub(super) fn functions() -> Vec<Function> {
    vec![trino(
        "map_from_entries",
        "map_from_entries(array)",
        (1, 1),
        Returns::By(from_entries_type),
        from_entries,
        "A map of an array of rows of key and value; of equal keys the first stays, and NULL is no key (errors in Trino)",
    )]
}

fn from_entries_type(arguments: &ReturnFieldArgs) -> Result<FieldRef> {
    if let DataType::List(item) = arguments.arg_fields[0].data_type()
        && let DataType::Struct(fields) = item.data_type()
        && let [key, value] = fields.as_ref()
    {
        return Ok(Arc::new(Field::new("", map_type(key.data_type(), value), true)));
    }
    plan_err!("map_from_entries takes an array of rows of two, not {}", arguments.arg_fields[0].data_type())
}

fn from_entries(call: &Call) -> Result<ArrayRef> {
    let array = call.array(0)?;
    let list = array.as_list::<i32>();
    let (mut rows, mut at) = (Vec::new(), Vec::new());
    for row in (0..list.len()).filter(|row| list.is_valid(*row)) {
        let places = list.value_offsets()[row]..list.value_offsets()[row + 1];
        for place in places.map(|place| usize::try_from(place).unwrap_or_default()) {
            if list.values().is_valid(place) {
                rows.push(number(row));
                at.push(number(place));
            }
        }
    }
    let pairs = take(list.values(), &UInt32Array::from(at), None)?;
    let [keys, values] = pairs.as_struct().columns() else { return exec_err!("map_from_entries takes rows of two") };
    let flat = Flat {
        rows,
        keys: Arc::clone(keys),
        values: Arc::clone(values),
        nulls: list.nulls().cloned(),
        count: list.len(),
    };
    flat.distinct()?.into_maps(call.return_type())
}

/// The functions that take a lambda of two parameters.
pub(super) fn lambdas() -> Vec<HigherOrderUDF> {
    let over = |what| HigherOrderUDF::new_from_impl(Over::new(what));
    vec![over(What::Filter), over(What::Values), over(What::Keys), HigherOrderUDF::new_from_impl(ZipWith::default())]
}

/// Name, call and meaning of each, for the documentation.
pub(super) const LAMBDAS: [(&str, &str, &str); 4] = [
    ("map_filter", "map_filter(map, (k, v) -> …)", "The entries of a map for which the lambda is true"),
    ("transform_values", "transform_values(map, (k, v) -> …)", "A map of the same keys, each value made by the lambda"),
    (
        "transform_keys",
        "transform_keys(map, (k, v) -> …)",
        "A map of the same values, each key made by the lambda; of equal keys the first stays (an error in Trino)",
    ),
    (
        "zip_with",
        "zip_with(array, array, (a, b) -> …)",
        "An array made of two, place by place; the shorter one goes on with NULL",
    ),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum What {
    Filter,
    Values,
    Keys,
}

/// A function that calls a lambda with key and value of each entry of a map.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Over {
    what: What,
    signature: HigherOrderSignature,
}

impl Over {
    fn new(what: What) -> Self {
        let arguments = vec![ValueOrLambda::Value(()), ValueOrLambda::Lambda(())];
        Self { what, signature: HigherOrderSignature::exact(arguments, Volatility::Immutable) }
    }
}

impl HigherOrderUDFImpl for Over {
    fn name(&self) -> &str {
        match self.what {
            What::Filter => "map_filter",
            What::Values => "transform_values",
            What::Keys => "transform_keys",
        }
    }

    fn signature(&self) -> &HigherOrderSignature {
        &self.signature
    }

    fn coerce_value_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(types.to_vec())
    }

    fn lambda_parameters(
        &self,
        _step: usize,
        fields: &[ValueOrLambda<FieldRef, Option<FieldRef>>],
    ) -> Result<LambdaParametersProgress> {
        let [ValueOrLambda::Value(map), _] = fields else {
            return plan_err!("{} takes a map and a lambda", self.name());
        };
        let (key, value) = entry_fields(map.data_type())?;
        Ok(LambdaParametersProgress::Complete(vec![vec![Arc::clone(key), Arc::clone(value)]]))
    }

    fn return_field_from_args(&self, arguments: HigherOrderReturnFieldArgs) -> Result<FieldRef> {
        let [ValueOrLambda::Value(map), ValueOrLambda::Lambda(made)] = arguments.arg_fields else {
            return plan_err!("{} takes a map and a lambda", self.name());
        };
        let (key, value) = entry_fields(map.data_type())?;
        let data_type = match self.what {
            What::Filter => map_type(key.data_type(), value),
            What::Values => map_type(key.data_type(), made),
            What::Keys => map_type(made.data_type(), value),
        };
        Ok(Arc::new(Field::new("", data_type, true)))
    }

    fn invoke_with_args(&self, arguments: HigherOrderFunctionArgs) -> Result<ColumnarValue> {
        let [ValueOrLambda::Value(map), ValueOrLambda::Lambda(lambda)] = arguments.args.as_slice() else {
            return plan_err!("{} takes a map and a lambda", self.name());
        };
        let array = map.clone().into_array(arguments.number_rows)?;
        let mut flat = Flat::of(array.as_map())?;
        let rows = UInt32Array::from(flat.rows.clone());
        let (keys, values) = (|| Ok(Arc::clone(&flat.keys)), || Ok(Arc::clone(&flat.values)));
        let made = lambda.evaluate(&[&keys, &values], |captured| Ok(take_arrays(captured, &rows, None)?))?;
        let made = made.into_array(rows.len())?;
        let flat = match self.what {
            What::Filter => flat.only(cast(&made, &DataType::Boolean)?.as_boolean())?,
            What::Values => {
                flat.values = made;
                flat
            }
            What::Keys => {
                flat.keys = made;
                flat.distinct()?
            }
        };
        Ok(ColumnarValue::Array(flat.into_maps(arguments.return_field.data_type())?))
    }
}

/// `zip_with(array, array, (a, b) -> …)`
#[derive(Debug, PartialEq, Eq, Hash)]
struct ZipWith {
    signature: HigherOrderSignature,
}

impl Default for ZipWith {
    fn default() -> Self {
        let arguments = vec![ValueOrLambda::Value(()), ValueOrLambda::Value(()), ValueOrLambda::Lambda(())];
        Self { signature: HigherOrderSignature::exact(arguments, Volatility::Immutable) }
    }
}

impl HigherOrderUDFImpl for ZipWith {
    fn name(&self) -> &str {
        "zip_with"
    }

    fn signature(&self) -> &HigherOrderSignature {
        &self.signature
    }

    fn coerce_value_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let as_list = |data_type: &DataType| match data_type {
            DataType::FixedSizeList(item, _) | DataType::LargeList(item) => DataType::List(Arc::clone(item)),
            other => other.clone(),
        };
        Ok(types.iter().map(as_list).collect())
    }

    fn lambda_parameters(
        &self,
        _step: usize,
        fields: &[ValueOrLambda<FieldRef, Option<FieldRef>>],
    ) -> Result<LambdaParametersProgress> {
        let item = |field: &ValueOrLambda<FieldRef, Option<FieldRef>>| match field {
            ValueOrLambda::Value(field) => match field.data_type() {
                DataType::List(item) => Ok(Arc::new(item.as_ref().clone().with_nullable(true))),
                other => plan_err!("zip_with takes two arrays, not {other}"),
            },
            ValueOrLambda::Lambda(_) => plan_err!("zip_with takes two arrays and a lambda"),
        };
        let [a, b, _] = fields else { return plan_err!("zip_with takes two arrays and a lambda") };
        Ok(LambdaParametersProgress::Complete(vec![vec![item(a)?, item(b)?]]))
    }

    fn return_field_from_args(&self, arguments: HigherOrderReturnFieldArgs) -> Result<FieldRef> {
        match arguments.arg_fields {
            [_, _, ValueOrLambda::Lambda(made)] => {
                let item = made.as_ref().clone().with_name("item").with_nullable(true);
                Ok(Arc::new(Field::new("", DataType::List(Arc::new(item)), true)))
            }
            _ => plan_err!("zip_with takes two arrays and a lambda"),
        }
    }

    fn invoke_with_args(&self, arguments: HigherOrderFunctionArgs) -> Result<ColumnarValue> {
        let [ValueOrLambda::Value(a), ValueOrLambda::Value(b), ValueOrLambda::Lambda(lambda)] =
            arguments.args.as_slice()
        else {
            return plan_err!("zip_with takes two arrays and a lambda");
        };
        let DataType::List(item) = arguments.return_field.data_type() else {
            return exec_err!("zip_with gives an array");
        };
        let (a, b) = (a.clone().into_array(arguments.number_rows)?, b.clone().into_array(arguments.number_rows)?);
        let (a, b) = (a.as_list::<i32>(), b.as_list::<i32>());
        let nulls = NullBuffer::union(a.nulls(), b.nulls());
        let (mut rows, mut lengths) = (Vec::new(), Vec::with_capacity(a.len()));
        let (mut of_a, mut of_b) = (Vec::new(), Vec::new());
        for row in 0..a.len() {
            let there = nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
            let length = if there { a.value_length(row).max(b.value_length(row)) } else { 0 };
            for place in 0..length {
                rows.push(number(row));
                of_a.push(element(a, row, place));
                of_b.push(element(b, row, place));
            }
            lengths.push(usize::try_from(length).unwrap_or_default());
        }
        let (of_a, of_b, rows) = (UInt32Array::from(of_a), UInt32Array::from(of_b), UInt32Array::from(rows));
        let (of_a, of_b) = (|| elements(a, &of_a), || elements(b, &of_b));
        let made = lambda.evaluate(&[&of_a, &of_b], |captured| Ok(take_arrays(captured, &rows, None)?))?;
        let made = made.into_array(rows.len())?;
        let list = ListArray::try_new(Arc::clone(item), OffsetBuffer::from_lengths(lengths), made, nulls)?;
        Ok(ColumnarValue::Array(Arc::new(list)))
    }
}

/// The place of a row's n-th element among all of them.
fn element(list: &ListArray, row: usize, place: i32) -> Option<u32> {
    let inside = place < list.value_length(row);
    inside.then(|| u32::try_from(list.value_offsets()[row] + place).unwrap_or_default())
}

fn elements(list: &ListArray, places: &UInt32Array) -> Result<ArrayRef> {
    if places.is_empty() {
        return Ok(new_empty_array(list.values().data_type()));
    }
    Ok(take(list.values(), places, None)?)
}
