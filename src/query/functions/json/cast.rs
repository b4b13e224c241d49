//! JSON into columns (`CAST(json AS map(varchar, varchar))`) and columns into JSON (`CAST(x AS json)`).
//!
//! Owns: Trino's names of nested types, and how JSON becomes values of them.
//! Invariant: what does not fit is NULL. Where Trino would fail because an object or array stands where text is
//! wanted, its JSON text is the value.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ListArray, MapArray, StringArray, StringViewBuilder, StructArray, new_null_array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use arrow::json::writer::{EncoderOptions, make_encoder};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, plan_datafusion_err};
use datafusion::logical_expr::ReturnFieldArgs;

use super::super::Origin;
use super::super::udf::{Call, Function, Returns};
use super::{marked, scan};
use crate::query::text::with_text_keys;

/// A type of Trino's that JSON can be cast to.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::query) enum SqlType {
    /// `json`
    Json,
    /// A type of one value.
    Scalar(DataType),
    /// `array(T)`
    Array(Box<SqlType>),
    /// `map(K, V)`; keys are text.
    Map(Box<SqlType>),
    /// `row(name T, …)`
    Row(Vec<(String, SqlType)>),
}

impl SqlType {
    fn field(&self, name: &str) -> Field {
        match self {
            Self::Json => marked(Field::new(name, DataType::Utf8View, true)),
            other => Field::new(name, other.data_type(), true),
        }
    }

    fn data_type(&self) -> DataType {
        match self {
            Self::Json => DataType::Utf8View,
            Self::Scalar(data_type) => data_type.clone(),
            Self::Array(item) => DataType::List(Arc::new(item.field("item"))),
            Self::Map(value) => DataType::Map(entries(value), false),
            Self::Row(fields) => DataType::Struct(fields.iter().map(|(name, kind)| kind.field(name)).collect()),
        }
    }
}

fn entries(value: &SqlType) -> FieldRef {
    let fields = Fields::from(vec![Field::new("key", DataType::Utf8, false), value.field("value")]);
    Arc::new(Field::new("entries", DataType::Struct(fields), false))
}

/// Reads a type as Trino writes it, `array(json)`, or as Athena's DDL does, `array<string>`.
pub(in crate::query) fn sql_type(text: &str) -> Option<SqlType> {
    let text = text.trim();
    let (name, inner) = match text.find(['(', '<']) {
        Some(at) => (text[..at].trim(), Some(text[at + 1..].strip_suffix([')', '>'])?)),
        None => (text, None),
    };
    Some(match (name.to_ascii_lowercase().as_str(), inner) {
        ("array", Some(inner)) => SqlType::Array(Box::new(sql_type(inner)?)),
        ("map", Some(inner)) => match parts(inner).as_slice() {
            [_, value] => SqlType::Map(Box::new(sql_type(value)?)),
            _ => return None,
        },
        ("row" | "struct", Some(inner)) => SqlType::Row(parts(inner).into_iter().map(member).collect::<Option<_>>()?),
        ("json", None) => SqlType::Json,
        ("varchar" | "char" | "string" | "text", _) => SqlType::Scalar(DataType::Utf8View),
        ("bigint", None) => SqlType::Scalar(DataType::Int64),
        ("integer" | "int", None) => SqlType::Scalar(DataType::Int32),
        ("smallint", None) => SqlType::Scalar(DataType::Int16),
        ("tinyint", None) => SqlType::Scalar(DataType::Int8),
        ("double" | "decimal", _) => SqlType::Scalar(DataType::Float64),
        ("real" | "float", None) => SqlType::Scalar(DataType::Float32),
        ("boolean", None) => SqlType::Scalar(DataType::Boolean),
        ("date", None) => SqlType::Scalar(DataType::Date32),
        ("timestamp", _) => SqlType::Scalar(crate::schema::timestamp()),
        _ => return None,
    })
}

/// `name type`; the name of a row's field folds to lower case, as columns do.
fn member(text: &str) -> Option<(String, SqlType)> {
    let (name, kind) = text.trim().split_once([' ', ':'])?;
    Some((name.trim_matches('"').to_lowercase(), sql_type(kind)?))
}

/// The parts between the commas outside of brackets.
fn parts(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut out) = (0, 0, Vec::new());
    for (at, c) in text.char_indices() {
        match c {
            '(' | '<' => depth += 1,
            ')' | '>' => depth -= 1,
            ',' if depth == 0 => {
                out.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    out.push(&text[start..]);
    out
}

pub(super) fn functions() -> Vec<Function> {
    let entry = |name, syntax, arguments, returns, run, about| {
        Function::new(Origin::Trino, name, syntax, arguments, returns, run, about)
    };
    vec![
        entry(
            "json_cast",
            "json_cast(json, 'type')",
            (2, 2),
            Returns::By(cast_field),
            from_json as fn(&Call) -> _,
            "What CAST(json AS type) becomes, also for array(T), map(varchar, T), row(a T, …); what does not fit is NULL",
        ),
        entry(
            "to_json",
            "to_json(value)",
            (1, 1),
            Returns::Json,
            to_json,
            "What CAST(value AS json) becomes; text that is JSON already stays",
        ),
    ]
}

fn type_argument(value: Option<&ScalarValue>) -> Result<SqlType> {
    let text = value.and_then(|value| value.try_as_str().flatten());
    text.and_then(sql_type).ok_or_else(|| {
        plan_datafusion_err!(
            "JSON cannot be cast to {}; it can to varchar, bigint, double, boolean, date, timestamp, json, array(T), \
             map(varchar, T) and row(name T, …)",
            text.unwrap_or("a type that is no constant")
        )
    })
}

fn cast_field(arguments: &ReturnFieldArgs) -> Result<FieldRef> {
    Ok(Arc::new(type_argument(arguments.scalar_arguments[1])?.field("")))
}

fn from_json(call: &Call) -> Result<ArrayRef> {
    let target = type_argument(call.constant(1))?;
    let source = call.data_type(0);
    if source.is_nested() && !matches!(source, DataType::Union(..)) {
        let options = CastOptions { safe: true, ..CastOptions::default() };
        return Ok(cast_with_options(&call.array(0)?, &target.data_type(), &options)?);
    }
    let json = call.text(0)?;
    let values: Vec<Option<&str>> = (0..call.rows).map(|row| json.get(row).and_then(scan::whole)).collect();
    build(&values, &target)
}

/// A column of JSON values as a column of a type.
fn build(values: &[Option<&str>], target: &SqlType) -> Result<ArrayRef> {
    match target {
        SqlType::Json => {
            let mut out = StringViewBuilder::with_capacity(values.len());
            values.iter().for_each(|value| out.append_option(*value));
            Ok(Arc::new(out.finish()))
        }
        SqlType::Scalar(data_type) => build_scalar(values, data_type),
        SqlType::Array(item) => build_list(values, item),
        SqlType::Map(value) => build_map(values, value),
        SqlType::Row(fields) => build_row(values, fields),
    }
}

fn build_scalar(values: &[Option<&str>], data_type: &DataType) -> Result<ArrayRef> {
    let mut out = StringViewBuilder::with_capacity(values.len());
    values.iter().for_each(|value| out.append_option(value.and_then(scan::text)));
    let texts: ArrayRef = Arc::new(out.finish());
    if data_type == &DataType::Utf8View {
        return Ok(texts);
    }
    let safe = CastOptions { safe: true, ..CastOptions::default() };
    // 1e3 and 7.0 are whole numbers too, which a cast from text does not see
    if data_type.is_integer() {
        let exact = cast_with_options(&texts, data_type, &safe)?;
        let rounded = cast_with_options(&cast_with_options(&texts, &DataType::Float64, &safe)?, data_type, &safe)?;
        let missing = arrow::compute::is_null(&exact)?;
        return Ok(arrow::compute::kernels::zip::zip(&missing, &rounded, &exact)?);
    }
    Ok(cast_with_options(&texts, data_type, &safe)?)
}

/// Offsets and NULLs of a column whose values are taken apart.
struct Nesting<'a> {
    lengths: Vec<usize>,
    valid: Vec<bool>,
    keys: Vec<&'a str>,
    children: Vec<Option<&'a str>>,
}

impl<'a> Nesting<'a> {
    fn new() -> Self {
        Self { lengths: Vec::new(), valid: Vec::new(), keys: Vec::new(), children: Vec::new() }
    }

    fn close(&mut self, before: usize, valid: bool) {
        self.lengths.push(self.children.len() - before);
        self.valid.push(valid);
    }

    fn offsets(&self) -> OffsetBuffer<i32> {
        OffsetBuffer::from_lengths(self.lengths.iter().copied())
    }
}

fn present(value: Option<&str>) -> Option<&str> {
    value.filter(|value| *value != "null")
}

fn build_list(values: &[Option<&str>], item: &SqlType) -> Result<ArrayRef> {
    let mut nesting = Nesting::new();
    for value in values {
        let before = nesting.children.len();
        let array = value.filter(|value| value.starts_with('['));
        nesting.children.extend(array.into_iter().flat_map(scan::elements).map(|value| child(value, item)));
        nesting.close(before, array.is_some());
    }
    let children = build(&nesting.children, item)?;
    let (offsets, nulls) = (nesting.offsets(), NullBuffer::from(nesting.valid));
    Ok(Arc::new(ListArray::try_new(Arc::new(item.field("item")), offsets, children, Some(nulls))?))
}

/// JSON's null is a value as JSON, and NULL as anything else.
fn child<'a>(value: &'a str, target: &SqlType) -> Option<&'a str> {
    if *target == SqlType::Json { Some(value) } else { present(Some(value)) }
}

fn build_map(values: &[Option<&str>], target: &SqlType) -> Result<ArrayRef> {
    let mut nesting = Nesting::new();
    for value in values {
        let before = nesting.children.len();
        let object = value.filter(|value| value.starts_with('{'));
        for (key, value) in object.into_iter().flat_map(scan::members) {
            nesting.keys.push(key);
            nesting.children.push(child(value, target));
        }
        nesting.close(before, object.is_some());
    }
    // not as views: DataFusion looks keys up by plain text
    let keys: StringArray =
        nesting.keys.iter().map(|key| scan::string(key)).map(Option::unwrap_or_default).map(Some).collect();
    let children = build(&nesting.children, target)?;
    let field = entries(target);
    let DataType::Struct(fields) = field.data_type().clone() else { unreachable!("entries are a struct") };
    let pairs = StructArray::try_new(fields, vec![Arc::new(keys), children], None)?;
    let (offsets, nulls) = (nesting.offsets(), NullBuffer::from(nesting.valid));
    Ok(Arc::new(MapArray::try_new(field, offsets, pairs, Some(nulls), false)?))
}

fn build_row(values: &[Option<&str>], fields: &[(String, SqlType)]) -> Result<ArrayRef> {
    let mut columns: Vec<Vec<Option<&str>>> = vec![Vec::with_capacity(values.len()); fields.len()];
    for value in values {
        let by_name: HashMap<String, &str> = value
            .iter()
            .flat_map(|value| scan::members(value))
            .filter_map(|(key, value)| Some((scan::string(key)?.to_lowercase(), value)))
            .collect();
        let by_place: Vec<&str> = value.iter().flat_map(|value| scan::elements(value)).collect();
        for (place, (name, _)) in fields.iter().enumerate() {
            let found = by_name.get(name).or_else(|| by_place.get(place)).copied();
            columns[place].push(present(found));
        }
    }
    let arrays =
        columns.iter().zip(fields).map(|(column, (_, kind))| build(column, kind)).collect::<Result<Vec<_>>>()?;
    let valid = values.iter().map(|value| value.is_some_and(|value| value.starts_with(['{', '['])));
    let names = fields.iter().map(|(name, kind)| kind.field(name)).collect();
    Ok(Arc::new(StructArray::try_new(names, arrays, Some(NullBuffer::from_iter(valid)))?))
}

fn to_json(call: &Call) -> Result<ArrayRef> {
    let data_type = call.data_type(0);
    let array = call.array(0)?;
    match data_type {
        DataType::Null => Ok(new_null_array(&DataType::Utf8View, call.rows)),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View if call.is_json(0) => {
            Ok(arrow::compute::cast(&array, &DataType::Utf8View)?)
        }
        DataType::Union(..) => {
            let texts = call.text(0)?;
            let mut out = StringViewBuilder::with_capacity(call.rows);
            (0..call.rows).for_each(|row| out.append_option(texts.get(row)));
            Ok(Arc::new(out.finish()))
        }
        _ => encode(&array),
    }
}

fn encode(array: &ArrayRef) -> Result<ArrayRef> {
    let array = &arrow::compute::cast(array, &with_text_keys(array.data_type()))?;
    let field: FieldRef = Arc::new(Field::new("", array.data_type().clone(), true));
    let options = EncoderOptions::default().with_explicit_nulls(true);
    let mut encoder = make_encoder(&field, array.as_ref(), &options)
        .map_err(|error| exec_datafusion_err!("a value cannot be cast to JSON: {error}"))?;
    let mut out = StringViewBuilder::with_capacity(array.len());
    let mut bytes = Vec::new();
    for row in 0..array.len() {
        if array.is_null(row) {
            out.append_null();
            continue;
        }
        bytes.clear();
        encoder.encode(row, &mut bytes);
        out.append_value(String::from_utf8_lossy(&bytes));
    }
    Ok(Arc::new(out.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_in_both_spellings() {
        let text = SqlType::Scalar(DataType::Utf8View);
        assert_eq!(sql_type("array(varchar)"), Some(SqlType::Array(Box::new(text.clone()))));
        assert_eq!(sql_type("ARRAY<string>"), Some(SqlType::Array(Box::new(text.clone()))));
        let nested = SqlType::Map(Box::new(SqlType::Array(Box::new(SqlType::Json))));
        assert_eq!(sql_type("map(varchar(10), array(json))"), Some(nested));
        let row = vec![("a".to_owned(), text), ("b".to_owned(), SqlType::Scalar(DataType::Int64))];
        assert_eq!(sql_type("row(A varchar, b bigint)"), Some(SqlType::Row(row)));
        assert_eq!((sql_type("hyperloglog"), sql_type("map(varchar)"), sql_type("array(")), (None, None, None));
    }
}
