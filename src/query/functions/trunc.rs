//! `date_trunc`, for instants in UTC at the speed of those without zone.
//!
//! Owns: taking the zone off and putting it back. DataFusion asks the time zone database for every row where a zone is
//! named, also where it is UTC: an hour of a million events took 250 ms of it.
//! Invariant: the result is DataFusion's own.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{DataType, FieldRef, TimeUnit, TimestampMicrosecondType};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

/// The function, with DataFusion's own inside.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct DateTrunc(Arc<ScalarUDF>);

impl Default for DateTrunc {
    fn default() -> Self {
        Self(datafusion::functions::datetime::date_trunc())
    }
}

/// An instant in UTC without its zone; `None` for any other value.
fn without_zone(value: &ColumnarValue) -> Option<ColumnarValue> {
    let DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) = value.data_type() else { return None };
    if zone.as_ref() != "UTC" {
        return None;
    }
    Some(match value {
        ColumnarValue::Array(array) => {
            let times = array.as_primitive::<TimestampMicrosecondType>().clone();
            ColumnarValue::Array(Arc::new(times.with_timezone_opt(None::<Arc<str>>)))
        }
        ColumnarValue::Scalar(ScalarValue::TimestampMicrosecond(micros, _)) => {
            ColumnarValue::Scalar(ScalarValue::TimestampMicrosecond(*micros, None))
        }
        ColumnarValue::Scalar(_) => return None,
    })
}

fn with_zone(value: ColumnarValue) -> ColumnarValue {
    match value {
        ColumnarValue::Array(array) => ColumnarValue::Array(Arc::new(
            array.as_primitive::<TimestampMicrosecondType>().clone().with_timezone("UTC"),
        )),
        ColumnarValue::Scalar(ScalarValue::TimestampMicrosecond(micros, _)) => {
            ColumnarValue::Scalar(ScalarValue::TimestampMicrosecond(micros, Some("UTC".into())))
        }
        other @ ColumnarValue::Scalar(_) => other,
    }
}

impl ScalarUDFImpl for DateTrunc {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn aliases(&self) -> &[String] {
        self.0.aliases()
    }

    fn signature(&self) -> &Signature {
        self.0.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.0.return_type(arguments)
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        self.0.return_field_from_args(arguments)
    }

    fn output_ordering(&self, input: &[ExprProperties]) -> Result<SortProperties> {
        self.0.output_ordering(input)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.0.documentation()
    }

    fn invoke_with_args(&self, mut arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(bare) = arguments.args.get(1).and_then(without_zone) else {
            return self.0.invoke_with_args(arguments);
        };
        arguments.args[1] = bare;
        let naive = DataType::Timestamp(TimeUnit::Microsecond, None);
        let field = arguments.return_field.as_ref().clone().with_data_type(naive);
        arguments.return_field = Arc::new(field);
        self.0.invoke_with_args(arguments).map(with_zone)
    }
}
