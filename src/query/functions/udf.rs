//! How a scalar function of ours is written: a name, how many arguments, what it returns, and the code for a batch.
//!
//! Owns: what all of them share: constants are read once for a batch, a call of constants alone is computed once.
//! Refuses: knowing any function.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, StringViewArray, StringViewBuilder, TimestampMicrosecondArray,
};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type, TimestampMicrosecondType};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use datafusion_functions_json::{JsonUnionEncoder, JsonUnionValue};

use super::Origin;

/// What a function returns.
#[derive(Clone, Copy)]
pub(super) enum Returns {
    /// Always the same.
    Always(fn() -> DataType),
    /// JSON text, marked as such.
    Json,
    /// By its arguments.
    By(fn(&ReturnFieldArgs) -> Result<FieldRef>),
}

impl Returns {
    pub(super) const TEXT: Self = Self::Always(|| DataType::Utf8View);
    pub(super) const BOOL: Self = Self::Always(|| DataType::Boolean);
    pub(super) const INT: Self = Self::Always(|| DataType::Int64);
}

/// A call in simpler words.
pub(super) type Simplify = fn(Vec<Expr>, &SimplifyContext) -> Result<ExprSimplifyResult>;

/// A scalar function.
#[derive(Clone)]
pub(super) struct Function {
    pub name: &'static str,
    /// How it is called, for the documentation.
    pub syntax: &'static str,
    /// What it does, in a sentence.
    pub about: &'static str,
    pub origin: Origin,
    pub arguments: (usize, usize),
    pub returns: Returns,
    pub run: fn(&Call) -> Result<ArrayRef>,
    pub simplify: Option<Simplify>,
}

impl Function {
    /// A function that is not simplified before it runs.
    pub(super) fn new(
        origin: Origin,
        name: &'static str,
        syntax: &'static str,
        arguments: (usize, usize),
        returns: Returns,
        run: fn(&Call) -> Result<ArrayRef>,
        about: &'static str,
    ) -> Self {
        Self { name, syntax, about, origin, arguments, returns, run, simplify: None }
    }
}

/// A function of Trino's.
pub(super) fn trino(
    name: &'static str,
    syntax: &'static str,
    arguments: (usize, usize),
    returns: Returns,
    run: fn(&Call) -> Result<ArrayRef>,
    about: &'static str,
) -> Function {
    Function::new(Origin::Trino, name, syntax, arguments, returns, run, about)
}

/// The same with what DataFusion asks for.
pub(super) struct Udf {
    function: Function,
    signature: Signature,
}

impl Udf {
    pub(super) fn new(function: Function) -> Self {
        Self { function, signature: Signature::variadic_any(Volatility::Immutable) }
    }
}

impl fmt::Debug for Udf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Udf").field(&self.function.name).finish()
    }
}

impl PartialEq for Udf {
    fn eq(&self, other: &Self) -> bool {
        self.function.name == other.function.name
    }
}

impl Eq for Udf {}

impl Hash for Udf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.function.name.hash(state);
    }
}

impl ScalarUDFImpl for Udf {
    fn name(&self) -> &str {
        self.function.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        datafusion::common::internal_err!("{} is asked for its field", self.name())
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        let (least, most) = self.function.arguments;
        let given = arguments.arg_fields.len();
        if !(least..=most).contains(&given) {
            return plan_err!("{} is given {given} arguments; it is {}", self.name(), self.function.syntax);
        }
        Ok(match self.function.returns {
            Returns::Always(data_type) => Arc::new(Field::new(self.name(), data_type(), true)),
            Returns::Json => super::json::field(self.name()),
            Returns::By(returns) => Arc::new(returns(&arguments)?.as_ref().clone().with_name(self.name())),
        })
    }

    fn simplify(&self, arguments: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        match self.function.simplify {
            Some(simplify) => simplify(arguments, context),
            None => Ok(ExprSimplifyResult::Original(arguments)),
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = arguments.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { arguments.number_rows };
        let call = Call { arguments: &arguments, rows };
        let result = (self.function.run)(&call)?;
        debug_assert_eq!(result.len(), rows);
        match constant {
            true => Ok(ColumnarValue::Scalar(scalar(&result)?)),
            false => Ok(ColumnarValue::Array(result)),
        }
    }
}

/// The one value of an array, with all that its type says: what is made of a row alone loses the marks of its fields.
fn scalar(one: &ArrayRef) -> Result<ScalarValue> {
    Ok(match one.data_type() {
        DataType::List(_) => ScalarValue::List(Arc::new(one.as_list().clone())),
        DataType::Map(..) => ScalarValue::Map(Arc::new(one.as_map().clone())),
        DataType::Struct(_) => ScalarValue::Struct(Arc::new(one.as_struct().clone())),
        _ => ScalarValue::try_from_array(one, 0)?,
    })
}

/// One call: its arguments over the rows of a batch.
pub(super) struct Call<'a> {
    arguments: &'a ScalarFunctionArgs,
    /// Rows of the result.
    pub rows: usize,
}

impl Call<'_> {
    /// How many arguments there are.
    pub(super) fn given(&self) -> usize {
        self.arguments.args.len()
    }

    /// The type that the result must have.
    pub(super) fn return_type(&self) -> &DataType {
        self.arguments.return_field.data_type()
    }

    /// The argument's type.
    pub(super) fn data_type(&self, index: usize) -> DataType {
        self.arguments.args[index].data_type()
    }

    /// True where an argument is marked as JSON text.
    pub(super) fn is_json(&self, index: usize) -> bool {
        super::json::is_json(&self.arguments.arg_fields[index])
    }

    /// The argument where it is one value for all rows.
    pub(super) fn constant(&self, index: usize) -> Option<&ScalarValue> {
        match &self.arguments.args[index] {
            ColumnarValue::Scalar(value) => Some(value),
            ColumnarValue::Array(_) => None,
        }
    }

    /// The argument as an array of all rows.
    pub(super) fn array(&self, index: usize) -> Result<ArrayRef> {
        self.arguments.args[index].clone().into_array(self.rows)
    }

    /// The argument as text; a value of another type as SQL would write it, a JSON value (`->`) as JSON.
    pub(super) fn text(&self, index: usize) -> Result<Texts> {
        Ok(match &self.arguments.args[index] {
            ColumnarValue::Scalar(value) => Texts { values: texts(&value.to_array()?)?, constant: true },
            ColumnarValue::Array(array) => Texts { values: texts(array)?, constant: false },
        })
    }

    /// The argument as whole numbers; what is none is NULL.
    pub(super) fn integer(&self, index: usize) -> Result<Values<Int64Array>> {
        let (array, constant) = self.values(index)?;
        let array = cast_with_options(&array, &DataType::Int64, &LENIENT)?;
        Ok(Values { values: array.as_primitive::<Int64Type>().clone(), constant })
    }

    /// The argument as instants; text that is none is NULL.
    pub(super) fn instant(&self, index: usize) -> Result<Values<TimestampMicrosecondArray>> {
        let (array, constant) = self.values(index)?;
        let array = cast_with_options(&array, &crate::schema::timestamp(), &LENIENT)?;
        Ok(Values { values: array.as_primitive::<TimestampMicrosecondType>().clone(), constant })
    }

    fn values(&self, index: usize) -> Result<(ArrayRef, bool)> {
        Ok(match &self.arguments.args[index] {
            ColumnarValue::Scalar(value) => (value.to_array()?, true),
            ColumnarValue::Array(array) => (Arc::clone(array), false),
        })
    }
}

/// What cannot be converted is NULL.
const LENIENT: CastOptions<'static> =
    CastOptions { safe: true, format_options: arrow::util::display::FormatOptions::new() };

/// Text by row.
pub(super) struct Texts {
    values: StringViewArray,
    constant: bool,
}

impl Texts {
    /// The text of a row, `None` for NULL.
    pub(super) fn get(&self, row: usize) -> Option<&str> {
        let row = if self.constant { 0 } else { row };
        self.values.is_valid(row).then(|| self.values.value(row))
    }

    /// The text where it is the same for all rows.
    pub(super) fn constant(&self) -> Option<&str> {
        self.constant.then(|| self.get(0)).flatten()
    }
}

/// Numbers or instants by row.
pub(super) struct Values<A> {
    values: A,
    constant: bool,
}

impl<T: arrow::array::ArrowPrimitiveType> Values<arrow::array::PrimitiveArray<T>> {
    /// The value of a row, `None` for NULL.
    pub(super) fn get(&self, row: usize) -> Option<T::Native> {
        let row = if self.constant { 0 } else { row };
        self.values.is_valid(row).then(|| self.values.value(row))
    }
}

fn texts(array: &ArrayRef) -> Result<StringViewArray> {
    if let DataType::Union(..) = array.data_type() {
        return Ok(json_values(array));
    }
    Ok(cast(array, &DataType::Utf8View)?.as_string_view().clone())
}

/// JSON values, as `->` gives them, as JSON text.
fn json_values(array: &ArrayRef) -> StringViewArray {
    let mut out = StringViewBuilder::new();
    let Some(values) = JsonUnionEncoder::from_union(array.as_union().clone()) else {
        (0..array.len()).for_each(|_| out.append_null());
        return out.finish();
    };
    for row in 0..values.len() {
        match values.get_value(row) {
            JsonUnionValue::JsonNull => out.append_null(),
            JsonUnionValue::Bool(value) => out.append_value(value.to_string()),
            JsonUnionValue::Int(value) => out.append_value(value.to_string()),
            JsonUnionValue::Float(value) => out.append_value(value.to_string()),
            JsonUnionValue::Str(text) => out.append_value(serde_json::Value::from(text).to_string()),
            JsonUnionValue::Array(text) | JsonUnionValue::Object(text) => out.append_value(text),
        }
    }
    out.finish()
}
