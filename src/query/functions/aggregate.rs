//! Aggregates that make a map of a group: `histogram`, `map_agg`, `multimap_agg`, `map_union`.
//!
//! Owns: them. NULL is no key. What is held of a group is the map that it becomes, which is also what is passed on where a
//! group is counted in parts.
//! Invariant: the same rows give the same map in whatever order they come: keys are sorted, of several values of one key the
//! smallest counts (`map_agg`, `map_union`), or all of them, sorted (`multimap_agg`).

use std::cmp::Ordering;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, MapArray, new_empty_array};
use arrow::datatypes::{DataType, Field};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};

use super::map::{Flat, entry_fields, map_type};

/// Name, call and meaning of each, for the documentation.
pub(super) const AGGREGATES: [(&str, &str, &str); 4] = [
    ("histogram", "histogram(x)", "A map of each value to how often it is there"),
    ("map_agg", "map_agg(key, value)", "A map of keys to values; of several values of one key the smallest"),
    ("multimap_agg", "multimap_agg(key, value)", "A map of keys to arrays of all their values, sorted"),
    ("map_union", "map_union(map)", "One map of many; of several values of one key the smallest"),
];

pub(super) fn functions() -> Vec<AggregateUDF> {
    let all = [What::Histogram, What::Map, What::Multimap, What::Union];
    all.map(|what| AggregateUDF::from(MapAggregate::new(what))).into()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum What {
    Histogram,
    Map,
    Multimap,
    Union,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct MapAggregate {
    what: What,
    signature: Signature,
}

impl MapAggregate {
    fn new(what: What) -> Self {
        let arguments = match what {
            What::Histogram | What::Union => 1,
            What::Map | What::Multimap => 2,
        };
        Self { what, signature: Signature::any(arguments, Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for MapAggregate {
    fn name(&self) -> &str {
        match self.what {
            What::Histogram => "histogram",
            What::Map => "map_agg",
            What::Multimap => "multimap_agg",
            What::Union => "map_union",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let value = |data_type: DataType| Field::new("value", data_type, true);
        Ok(match (self.what, types) {
            (What::Histogram, [key]) => map_type(key, &value(DataType::Int64)),
            (What::Map, [key, one]) => map_type(key, &value(one.clone())),
            (What::Multimap, [key, one]) => map_type(key, &value(DataType::new_list(one.clone(), true))),
            (What::Union, [map]) => {
                let (key, value) = entry_fields(map)?;
                map_type(key.data_type(), value)
            }
            _ => return plan_err!("{} takes other arguments", self.name()),
        })
    }

    fn accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let data_type = arguments.return_field.data_type().clone();
        Ok(Box::new(Held { what: self.what, data_type, entries: HashMap::new(), bytes: 0 }))
    }
}

/// The map of a group so far.
#[derive(Debug)]
struct Held {
    what: What,
    data_type: DataType,
    /// Of a key its values: one, except where all are wanted.
    entries: HashMap<ScalarValue, Vec<ScalarValue>>,
    /// Of keys and values, about.
    bytes: usize,
}

impl Held {
    fn add(&mut self, key: ScalarValue, value: ScalarValue) -> Result<()> {
        if key.is_null() {
            return Ok(());
        }
        match self.entries.entry(key) {
            Entry::Vacant(vacant) => {
                self.bytes += vacant.key().size() + value.size() + size_of::<Vec<ScalarValue>>();
                vacant.insert(vec![value]);
            }
            Entry::Occupied(mut held) => match self.what {
                What::Histogram => held.get_mut()[0] = held.get()[0].add(&value)?,
                What::Multimap => {
                    self.bytes += value.size();
                    held.get_mut().push(value);
                }
                What::Map | What::Union if order(&value, &held.get()[0]).is_lt() => held.get_mut()[0] = value,
                What::Map | What::Union => {}
            },
        }
        Ok(())
    }

    /// Adds the entries of maps: what another accumulator held, or what is to be united.
    fn add_maps(&mut self, maps: &MapArray) -> Result<()> {
        for row in (0..maps.len()).filter(|row| maps.is_valid(*row)) {
            let entries = maps.value(row);
            for place in 0..entries.len() {
                let key = ScalarValue::try_from_array(entries.column(0), place)?;
                if self.what == What::Multimap {
                    let values = entries.column(1).as_list::<i32>().value(place);
                    for at in 0..values.len() {
                        self.add(key.clone(), ScalarValue::try_from_array(&values, at)?)?;
                    }
                } else {
                    self.add(key, ScalarValue::try_from_array(entries.column(1), place)?)?;
                }
            }
        }
        Ok(())
    }

    /// The value of a key in the map.
    fn value(&self, mut values: Vec<ScalarValue>) -> Result<ScalarValue> {
        let (_, field) = entry_fields(&self.data_type)?;
        match field.data_type() {
            DataType::List(item) if self.what == What::Multimap => {
                values.sort_by(order);
                Ok(ScalarValue::List(ScalarValue::new_list(&values, item.data_type(), true)))
            }
            _ => Ok(values.swap_remove(0)),
        }
    }
}

/// NULL comes last.
fn order(a: &ScalarValue, b: &ScalarValue) -> Ordering {
    a.is_null().cmp(&b.is_null()).then_with(|| a.partial_cmp(b).unwrap_or(Ordering::Equal))
}

fn array(values: Vec<ScalarValue>, data_type: &DataType) -> Result<ArrayRef> {
    if values.is_empty() { Ok(new_empty_array(data_type)) } else { ScalarValue::iter_to_array(values) }
}

impl Accumulator for Held {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        if self.what == What::Union {
            return self.add_maps(values[0].as_map());
        }
        let one = ScalarValue::Int64(Some(1));
        for row in 0..values[0].len() {
            let key = ScalarValue::try_from_array(&values[0], row)?;
            let value = values.get(1).map_or_else(|| Ok(one.clone()), |all| ScalarValue::try_from_array(all, row))?;
            self.add(key, value)?;
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        if self.entries.is_empty() {
            return ScalarValue::try_from(&self.data_type);
        }
        let mut entries: Vec<_> = std::mem::take(&mut self.entries).into_iter().collect();
        entries.sort_by(|(a, _), (b, _)| order(a, b));
        let count = entries.len();
        let (keys, values): (Vec<_>, Vec<_>) = entries.into_iter().unzip();
        let values = values.into_iter().map(|values| self.value(values)).collect::<Result<Vec<_>>>()?;
        let (key, value) = entry_fields(&self.data_type)?;
        let (keys, values) = (array(keys, key.data_type())?, array(values, value.data_type())?);
        let map = Flat { rows: vec![0; count], keys, values, nulls: None, count: 1 }.into_maps(&self.data_type)?;
        ScalarValue::try_from_array(&map, 0)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.entries.capacity() * size_of::<(ScalarValue, Vec<ScalarValue>)>() + self.bytes
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        Arc::clone(&states[0]).as_map_opt().map_or(Ok(()), |maps| self.add_maps(maps))
    }
}
