//! Lists, maps, rows and JSON alike: `element_at`, `contains`, and what `UNNEST` is rewritten with.
//!
//! Owns: the functions whose meaning depends on the type of their first argument.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, ListArray, StringViewBuilder, UInt32Array, new_null_array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{cast, kernels::cmp::not_distinct, take};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::ReturnFieldArgs;

use super::Origin;
use super::json::scan;
use super::udf::{Call, Function, Returns};

pub(super) fn functions() -> Vec<Function> {
    let entry = |name, syntax, origin, arguments, returns, run, about| Function {
        name,
        syntax,
        about,
        origin,
        arguments,
        returns,
        run,
        simplify: None,
    };
    let bool = Returns::Always(|| DataType::Boolean);
    vec![
        entry(
            "element_at",
            "element_at(json | array | map | struct, key)",
            Origin::Trino,
            (2, 2),
            Returns::By(element_field),
            element_at as fn(&Call) -> _,
            "A member of JSON as text (a string without its quotes), an element from 1 (or from the end, negative), or the value of a key; NULL where there is none",
        ),
        entry(
            "contains",
            "contains(array, value) or contains(text, part)",
            Origin::Trino,
            (2, 2),
            bool,
            contains,
            "Whether an array has an element; for text, as DataFusion has it, whether a part is in it",
        ),
        entry(
            "row_field",
            "row_field(row, n)",
            Origin::Trailhound,
            (2, 2),
            Returns::By(row_type),
            row_field,
            "The n-th field of a row, from 1: what UNNEST … AS t(a, b) becomes",
        ),
        entry(
            "unnest_rows",
            "unnest_rows(array | map)",
            Origin::Trailhound,
            (1, 1),
            Returns::By(rows_type),
            rows,
            "A map as an array of rows of key and value, an array as it is: what UNNEST takes",
        ),
        entry(
            "unnest_or_null",
            "unnest_or_null(array)",
            Origin::Trailhound,
            (1, 1),
            Returns::By(rows_type),
            rows_or_null,
            "The array, or one NULL where it is empty or NULL: what LEFT JOIN UNNEST takes",
        ),
    ]
}

fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Union(..) | DataType::Null
    )
}

fn nullable(data_type: &DataType) -> FieldRef {
    Arc::new(Field::new("", data_type.clone(), true))
}

fn element_field(arguments: &ReturnFieldArgs) -> Result<FieldRef> {
    match arguments.arg_fields[0].data_type() {
        other if is_text(other) => Ok(nullable(&DataType::Utf8View)),
        DataType::List(item) => Ok(Arc::new(item.as_ref().clone().with_nullable(true))),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => Ok(Arc::new(fields[1].as_ref().clone().with_nullable(true))),
            other => plan_err!("a map of {other}"),
        },
        DataType::Struct(_) => match member(arguments.arg_fields[0].data_type(), arguments.scalar_arguments[1]) {
            Some((_, field)) => Ok(Arc::new(field.as_ref().clone().with_nullable(true))),
            None => plan_err!("element_at takes the name of a member as a constant where it looks into a struct"),
        },
        other => plan_err!("element_at takes JSON text, an array, a map or a struct, not {other}"),
    }
}

fn element_at(call: &Call) -> Result<ArrayRef> {
    match call.data_type(0) {
        DataType::List(_) => list_element(call),
        DataType::Map(..) => map_value(call),
        DataType::Struct(_) => struct_member(call),
        _ => json_member(call),
    }
}

fn json_member(call: &Call) -> Result<ArrayRef> {
    let json = call.text(0)?;
    let mut out = StringViewBuilder::with_capacity(call.rows);
    if call.data_type(1).is_integer() {
        let index = call.integer(1)?;
        for row in 0..call.rows {
            let found = json.get(row).and_then(|json| scan::root(json, false)).zip(index.get(row));
            let from_zero = |index: i64| if index > 0 { index - 1 } else { index };
            let value =
                found.filter(|(_, index)| *index != 0).and_then(|(json, index)| scan::element(json, from_zero(index)));
            out.append_option(value.and_then(scan::text));
        }
    } else {
        let key = call.text(1)?;
        for row in 0..call.rows {
            let found = json.get(row).and_then(|json| scan::root(json, false)).zip(key.get(row));
            out.append_option(found.and_then(|(json, key)| scan::member(json, key)).and_then(scan::text));
        }
    }
    Ok(Arc::new(out.finish()))
}

/// For each row the place of a value among the flat values, `None` for none.
fn pick(values: &dyn Array, places: Vec<Option<u32>>) -> Result<ArrayRef> {
    Ok(take(values, &UInt32Array::from(places), None)?)
}

fn place(offset: i32) -> u32 {
    u32::try_from(offset).unwrap_or_default()
}

fn list_element(call: &Call) -> Result<ArrayRef> {
    let (array, index) = (call.array(0)?, call.integer(1)?);
    let list = array.as_list::<i32>();
    let places = (0..call.rows).map(|row| {
        let index = index.get(row).filter(|_| list.is_valid(row))?;
        let (start, length) = (list.value_offsets()[row], list.value_length(row));
        let from = if index > 0 { index - 1 } else { i64::from(length) + index };
        let inside = index != 0 && (0..i64::from(length)).contains(&from);
        inside.then(|| place(start + i32::try_from(from).unwrap_or_default()))
    });
    pick(list.values(), places.collect())
}

fn map_value(call: &Call) -> Result<ArrayRef> {
    let array = call.array(0)?;
    let map = array.as_map();
    let keys = cast(map.keys(), &DataType::Utf8View)?;
    let (keys, wanted) = (keys.as_string_view(), call.text(1)?);
    let places = (0..call.rows).map(|row| {
        let wanted = wanted.get(row).filter(|_| map.is_valid(row))?;
        let range = map.value_offsets()[row]..map.value_offsets()[row + 1];
        range.map(place).find(|at| keys.value(*at as usize) == wanted)
    });
    pick(map.values(), places.collect())
}

fn contains(call: &Call) -> Result<ArrayRef> {
    let array = call.array(0)?;
    let Some(list) = array.as_any().downcast_ref::<ListArray>() else {
        let (text, part) = (call.text(0)?, call.text(1)?);
        let found = (0..call.rows).map(|row| text.get(row).zip(part.get(row)).map(|(text, part)| text.contains(part)));
        return Ok(Arc::new(found.collect::<BooleanArray>()));
    };
    let wanted = cast(&call.array(1)?, list.values().data_type())?;
    let found = (0..call.rows).map(|row| {
        if list.is_null(row) || wanted.is_null(row) {
            return Ok(None);
        }
        let items = list.value(row);
        let needle =
            take(&wanted, &UInt32Array::from(vec![u32::try_from(row).unwrap_or_default(); items.len()]), None)?;
        let same = not_distinct(&items, &needle)?;
        // as in Trino: not found among values of which one is NULL is not known
        Ok(if same.true_count() > 0 { Some(true) } else { (items.null_count() == 0).then_some(false) })
    });
    Ok(Arc::new(found.collect::<Result<BooleanArray>>()?))
}

fn row_type(arguments: &ReturnFieldArgs) -> Result<FieldRef> {
    let DataType::Struct(fields) = arguments.arg_fields[0].data_type() else {
        return plan_err!(
            "UNNEST … AS t(a, b) takes apart an array of rows or a map, not of {}; give one name",
            arguments.arg_fields[0].data_type()
        );
    };
    let place = arguments.scalar_arguments[1].and_then(number).unwrap_or_default();
    match place.checked_sub(1).and_then(|place| fields.get(place)) {
        Some(field) => Ok(Arc::new(field.as_ref().clone().with_nullable(true))),
        None => plan_err!("a row has {} fields, so there is no name for field {place}", fields.len()),
    }
}

fn number(value: &ScalarValue) -> Option<usize> {
    match value {
        ScalarValue::Int64(Some(number)) => usize::try_from(*number).ok(),
        _ => None,
    }
}

/// The place and field of a struct's member, in any case.
fn member<'a>(row: &'a DataType, name: Option<&ScalarValue>) -> Option<(usize, &'a FieldRef)> {
    let DataType::Struct(fields) = row else { return None };
    let name = name?.try_as_str()??;
    fields.iter().enumerate().find(|(_, field)| field.name().eq_ignore_ascii_case(name))
}

fn struct_member(call: &Call) -> Result<ArrayRef> {
    let data_type = call.data_type(0);
    match member(&data_type, call.constant(1)) {
        Some((place, _)) => field(call, place),
        None => plan_err!("element_at finds no such member"),
    }
}

fn row_field(call: &Call) -> Result<ArrayRef> {
    field(call, call.constant(1).and_then(number).unwrap_or(1) - 1)
}

fn field(call: &Call, place: usize) -> Result<ArrayRef> {
    let array = call.array(0)?;
    let row = array.as_struct();
    let column = Arc::clone(row.column(place));
    match row.nulls() {
        Some(nulls) => Ok(arrow::compute::nullif(&column, &BooleanArray::new(!nulls.inner(), None))?),
        None => Ok(column),
    }
}

fn rows_type(arguments: &ReturnFieldArgs) -> Result<FieldRef> {
    match arguments.arg_fields[0].data_type() {
        DataType::List(item) => Ok(nullable(&DataType::List(Arc::new(item.as_ref().clone().with_nullable(true))))),
        DataType::Map(entries, _) => {
            Ok(nullable(&DataType::List(Arc::new(entries.as_ref().clone().with_name("item").with_nullable(true)))))
        }
        other if is_text(other) => plan_err!(
            "UNNEST takes an array or a map; for JSON text write UNNEST(CAST(json_extract(…) AS array(json)))"
        ),
        other => plan_err!("UNNEST takes an array or a map, not {other}"),
    }
}

fn rows(call: &Call) -> Result<ArrayRef> {
    let array = call.array(0)?;
    let DataType::List(item) = call.return_type() else {
        return plan_err!("UNNEST of {}", call.return_type());
    };
    let list = match array.data_type() {
        DataType::Map(..) => {
            let map = array.as_map();
            let entries: ArrayRef = Arc::new(map.entries().clone());
            ListArray::try_new(Arc::clone(item), map.offsets().clone(), entries, map.nulls().cloned())?
        }
        _ => {
            let list = array.as_list::<i32>();
            ListArray::try_new(
                Arc::clone(item),
                list.offsets().clone(),
                Arc::clone(list.values()),
                list.nulls().cloned(),
            )?
        }
    };
    Ok(Arc::new(list))
}

fn rows_or_null(call: &Call) -> Result<ArrayRef> {
    let list = rows(call)?;
    let list = list.as_list::<i32>();
    let (mut places, mut lengths) = (Vec::new(), Vec::with_capacity(list.len()));
    for row in 0..list.len() {
        let range = match list.is_valid(row) {
            true => list.value_offsets()[row]..list.value_offsets()[row + 1],
            false => 0..0,
        };
        let before = places.len();
        places.extend(range.map(|at| Some(place(at))));
        if places.len() == before {
            places.push(None);
        }
        lengths.push(places.len() - before);
    }
    let DataType::List(item) = call.return_type() else {
        return plan_err!("UNNEST of {}", call.return_type());
    };
    let values = if list.values().is_empty() {
        new_null_array(item.data_type(), places.len())
    } else {
        pick(list.values(), places)?
    };
    Ok(Arc::new(ListArray::try_new(Arc::clone(item), OffsetBuffer::from_lengths(lengths), values, None)?))
}
