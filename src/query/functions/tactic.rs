//! `api_tactic(eventsource, eventname)` and `api_stake(eventsource, eventname)`: what a call would be for, if an attacker
//! made it, and how much is at stake (1 reads, 2 changes, 3 what attackers came for). The table is the detector's.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::Result as DfResult;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use crate::detect::feature::api;
use crate::detect::tactic::{Intent, intent};
use crate::query::fault;

/// Adds the functions.
///
/// # Errors
/// `Internal` where a function cannot be registered.
pub(super) fn register(registry: &mut dyn FunctionRegistry) -> crate::error::Result<()> {
    for told in [Told::Tactic, Told::Stake] {
        let function = IntentFunction { told, signature: Signature::string(2, Volatility::Immutable) };
        registry.register_udf(Arc::new(ScalarUDF::from(function))).map_err(|error| fault::of(&error))?;
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Told {
    Tactic,
    Stake,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct IntentFunction {
    told: Told,
    signature: Signature,
}

impl ScalarUDFImpl for IntentFunction {
    fn name(&self) -> &str {
        match self.told {
            Told::Tactic => "api_tactic",
            Told::Stake => "api_stake",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> DfResult<DataType> {
        Ok(if self.told == Told::Stake { DataType::Int64 } else { DataType::Utf8 })
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let texts = arrays.iter().map(|array| cast(array, &DataType::Utf8)).collect::<Result<Vec<_>, _>>()?;
        let (sources, names) = (texts[0].as_string::<i32>(), texts[1].as_string::<i32>());
        let mut known: HashMap<(&str, &str), Intent> = HashMap::new();
        let intents = (0..sources.len()).map(|row| {
            let key = (sources.is_valid(row) && names.is_valid(row)).then(|| (sources.value(row), names.value(row)))?;
            Some(*known.entry(key).or_insert_with(|| of(key.0, key.1)))
        });
        let result: ArrayRef = match self.told {
            Told::Stake => Arc::new(intents.map(|of| Some(i64::from(of?.stake))).collect::<Int64Array>()),
            Told::Tactic => Arc::new(intents.map(|of| Some(word(of?))).collect::<StringArray>()),
        };
        Ok(ColumnarValue::Array(result))
    }
}

fn of(source: &str, name: &str) -> Intent {
    intent(&api(source, name))
}

/// `Persistence:IAMUser/AnomalousBehavior` -> `Persistence`
fn word(intent: Intent) -> &'static str {
    intent.tactic.purpose()
}
