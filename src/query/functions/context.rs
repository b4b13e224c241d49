//! `source_kind`, `source_country`, `source_asn`, `source_org`, `source_list` of an address, and `agent_family` of a user agent.
//!
//! Owns: the functions; what they know is in `network` and `agent`. NULL where nothing is known.
//! Invariant: a value is looked up once a batch, however many rows have it.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::Result as DfResult;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use foldhash::fast::RandomState;

use crate::agent;
use crate::network::{Networks, Source};
use crate::query::fault;

/// Adds the functions, which look into these networks.
///
/// # Errors
/// `Internal` where a function cannot be registered.
pub(super) fn register(registry: &mut dyn FunctionRegistry, networks: &Arc<Networks>) -> crate::error::Result<()> {
    for fact in [Fact::Kind, Fact::Country, Fact::Asn, Fact::Org, Fact::List, Fact::Agent] {
        let function = ContextFunction::new(fact, Arc::clone(networks));
        registry.register_udf(Arc::new(ScalarUDF::from(function))).map_err(|error| fault::of(&error))?;
    }
    Ok(())
}

/// What a function tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Fact {
    Kind,
    Country,
    Asn,
    Org,
    List,
    Agent,
}

/// One of the functions.
#[derive(Debug)]
struct ContextFunction {
    fact: Fact,
    networks: Arc<Networks>,
    signature: Signature,
}

impl ContextFunction {
    fn new(fact: Fact, networks: Arc<Networks>) -> Self {
        // an address, and for its kind also the VPC endpoint
        let signature = match fact {
            Fact::Kind => {
                Signature::one_of(vec![TypeSignature::String(1), TypeSignature::String(2)], Volatility::Immutable)
            }
            _ => Signature::string(1, Volatility::Immutable),
        };
        Self { fact, networks, signature }
    }

    fn text(&self, value: &str, endpoint: Option<&str>) -> Option<String> {
        if self.fact == Fact::Agent {
            return agent::family(value).map(|family| family.name.to_owned());
        }
        if self.fact == Fact::List {
            return self.networks.listed(value).map(|list| list.as_str().to_owned());
        }
        let Source { kind, country, org, .. } = self.networks.look_up(value, endpoint);
        match self.fact {
            Fact::Kind => kind.map(|kind| kind.as_str().to_owned()),
            Fact::Country => country.map(|country| country.as_str().to_owned()),
            _ => org.map(|org| org.to_string()),
        }
    }

    fn number(&self, value: &str) -> Option<i64> {
        self.networks.look_up(value, None).asn.map(i64::from)
    }
}

// Two functions are the same where they tell the same from the same files.
impl PartialEq for ContextFunction {
    fn eq(&self, other: &Self) -> bool {
        self.fact == other.fact && Arc::ptr_eq(&self.networks, &other.networks)
    }
}

impl Eq for ContextFunction {}

impl Hash for ContextFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.fact.hash(state);
        Arc::as_ptr(&self.networks).hash(state);
    }
}

impl ScalarUDFImpl for ContextFunction {
    fn name(&self) -> &str {
        match self.fact {
            Fact::Kind => "source_kind",
            Fact::Country => "source_country",
            Fact::Asn => "source_asn",
            Fact::Org => "source_org",
            Fact::List => "source_list",
            Fact::Agent => "agent_family",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> DfResult<DataType> {
        Ok(if self.fact == Fact::Asn { DataType::Int64 } else { DataType::Utf8 })
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let texts = arrays.iter().map(|array| cast(array, &DataType::Utf8View)).collect::<Result<Vec<_>, _>>()?;
        let values = texts[0].as_string_view();
        let endpoints = texts.get(1).map(|array| array.as_string_view());
        let rows = (0..values.len()).map(|row| {
            let endpoint = endpoints.and_then(|array| array.is_valid(row).then(|| array.value(row)));
            values.is_valid(row).then(|| (values.value(row), endpoint))
        });
        let result: ArrayRef = match self.fact {
            Fact::Asn => Arc::new(once_each(rows, |(value, _)| self.number(value)).collect::<Int64Array>()),
            _ => Arc::new(once_each(rows, |(value, endpoint)| self.text(value, endpoint)).collect::<StringArray>()),
        };
        Ok(ColumnarValue::Array(result))
    }
}

/// The answer for every row, asked for once per value.
fn once_each<'a, K: Copy + Eq + Hash + 'a, T: Clone + 'a>(
    rows: impl Iterator<Item = Option<K>> + 'a,
    ask: impl Fn(K) -> Option<T> + 'a,
) -> impl Iterator<Item = Option<T>> + 'a {
    let mut known: HashMap<K, Option<T>, RandomState> = HashMap::default();
    rows.map(move |row| row.and_then(|key| known.entry(key).or_insert_with(|| ask(key)).clone()))
}
