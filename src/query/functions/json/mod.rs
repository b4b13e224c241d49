//! JSON in text columns: Trino's functions, the helpers of GuardDuty's rules, and JSON into columns and back.
//!
//! Owns: what counts as JSON (a mark on the field, set by every function that returns JSON), and the functions.
//! Invariant: a cell that is not JSON, or not of the asked shape, gives NULL (or nothing to count), never an error.
//! Only a path that cannot be read is one: it is part of the query, not of the data.

mod cast;
pub(in crate::query) mod lookups;
pub(in crate::query) mod path;
mod policy;
pub(in crate::query) mod scan;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, ListBuilder, StringViewBuilder};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, exec_datafusion_err};

use super::Origin;
use super::udf::{Call, Function, Returns, Texts, trino};
use path::Step;

pub(in crate::query) use cast::sql_type;

/// The mark of a field whose text is JSON.
const MARK: (&str, &str) = ("trailhound.text", "json");

/// A nullable field of JSON text.
pub(super) fn field(name: &str) -> FieldRef {
    Arc::new(marked(Field::new(name, DataType::Utf8View, true)))
}

fn marked(field: Field) -> Field {
    field.with_metadata(HashMap::from([(MARK.0.to_owned(), MARK.1.to_owned())]))
}

/// True for a field of JSON text.
pub(in crate::query) fn is_json(field: &Field) -> bool {
    field.metadata().get(MARK.0).is_some_and(|value| value == MARK.1)
}

fn text_list() -> DataType {
    DataType::new_list(DataType::Utf8View, true)
}

/// All functions on JSON.
pub(super) fn functions() -> Vec<Function> {
    [at_paths(), of_values(), cast::functions(), lookups::functions(), guardduty()].concat()
}

/// What is at the end of a path.
fn at_paths() -> Vec<Function> {
    vec![
        trino(
            "json_extract",
            "json_extract(json, path)",
            (2, 2),
            Returns::Json,
            extract,
            "The JSON value at a path; all of them, as an array, for a path with [*]",
        ),
        trino(
            "json_query",
            "json_query(json, path)",
            (2, 2),
            Returns::Json,
            extract,
            "json_extract under its name in the SQL standard",
        ),
        trino(
            "json_extract_scalar",
            "json_extract_scalar(json, path)",
            (2, 2),
            Returns::TEXT,
            extract_scalar,
            "The string, number or boolean at a path as text; NULL for an object, an array or null",
        ),
        trino(
            "json_value",
            "json_value(json, path)",
            (2, 2),
            Returns::TEXT,
            extract_scalar,
            "json_extract_scalar under its name in the SQL standard",
        ),
        trino(
            "json_exists",
            "json_exists(json, path)",
            (2, 2),
            Returns::BOOL,
            exists,
            "Whether there is a value at a path",
        ),
        trino(
            "json_size",
            "json_size(json, path)",
            (2, 2),
            Returns::INT,
            size,
            "Members of the object, or elements of the array, at a path; 0 for a scalar",
        ),
    ]
}

/// What a value is or holds.
fn of_values() -> Vec<Function> {
    vec![
        trino(
            "json_parse",
            "json_parse(text)",
            (1, 1),
            Returns::Json,
            parse,
            "Text as JSON; NULL where it is none (an error in Trino)",
        ),
        trino("json_format", "json_format(json)", (1, 1), Returns::TEXT, format, "JSON as its text"),
        trino(
            "json_array_get",
            "json_array_get(json, index)",
            (2, 2),
            Returns::Json,
            array_get,
            "The element of a JSON array, counted from 0, or from its end where negative",
        ),
        trino(
            "json_array_length",
            "json_array_length(json)",
            (1, 1),
            Returns::INT,
            array_length,
            "Elements of a JSON array; NULL for anything else",
        ),
        trino(
            "json_array_contains",
            "json_array_contains(json, value)",
            (2, 2),
            Returns::BOOL,
            array_contains,
            "Whether a JSON array has a string, number or boolean as an element",
        ),
        trino(
            "is_json_scalar",
            "is_json_scalar(json)",
            (1, 1),
            Returns::BOOL,
            is_scalar,
            "Whether JSON is a string, number, boolean or null",
        ),
    ]
}

/// The helpers of GuardDuty's custom detection rules. AWS documents names and arguments; what is not said there is as
/// Hive has it (`get_json_object`) or as the name says.
fn guardduty() -> Vec<Function> {
    let entry = |name, syntax, arguments, returns, run, about| {
        Function::new(Origin::GuardDuty, name, syntax, arguments, returns, run, about)
    };
    vec![
        entry(
            "get_json_object",
            "get_json_object(json, path)",
            (2, 2),
            Returns::TEXT,
            object as fn(&Call) -> _,
            "The value at a path as text: a string without its quotes, an object or array as JSON",
        ),
        entry(
            "json_collect_values",
            "json_collect_values(json, path, field)",
            (3, 3),
            Returns::Always(text_list),
            collect,
            "The texts of a field of every object in the array (or the one object) at a path",
        ),
        entry(
            "get_aws_principal",
            "get_aws_principal(policy, effect)",
            (2, 2),
            Returns::Always(text_list),
            policy::principals,
            "The AWS principals of a policy's statements with that effect, in their order, each once",
        ),
        entry(
            "policy_has_public_principal",
            "policy_has_public_principal(policy, effect)",
            (2, 2),
            Returns::BOOL,
            policy::is_public,
            "Whether a policy's statement with that effect has everybody (*) as its principal",
        ),
    ]
}

/// Paths by row, read once where they are constant.
struct Paths {
    constant: Option<Vec<Step>>,
    texts: Texts,
}

impl Paths {
    fn new(call: &Call, index: usize) -> Result<Self> {
        let texts = call.text(index)?;
        let constant = texts.constant().map(read).transpose()?;
        Ok(Self { constant, texts })
    }

    fn get(&self, row: usize) -> Result<Option<Cow<'_, [Step]>>> {
        match (&self.constant, self.texts.get(row)) {
            (Some(path), _) => Ok(Some(Cow::Borrowed(path))),
            (None, Some(text)) => read(text).map(|path| Some(Cow::Owned(path))),
            (None, None) => Ok(None),
        }
    }
}

fn read(text: &str) -> Result<Vec<Step>> {
    path::parse(text).map_err(|what| exec_datafusion_err!("{what}"))
}

/// Calls back with JSON and path of each row that has both.
fn each<T>(call: &Call, mut visit: impl FnMut(Option<(&str, &[Step])>) -> T) -> Result<Vec<T>> {
    let (json, paths) = (call.text(0)?, Paths::new(call, 1)?);
    (0..call.rows)
        .map(|row| {
            let path = paths.get(row)?;
            Ok(visit(json.get(row).zip(path.as_deref())))
        })
        .collect()
}

fn has_all(path: &[Step]) -> bool {
    path.contains(&Step::All)
}

fn extract(call: &Call) -> Result<ArrayRef> {
    let mut out = StringViewBuilder::with_capacity(call.rows);
    each(call, |row| match row {
        Some((json, path)) if has_all(path) => {
            out.append_value(format!("[{}]", scan::find_all(json, path).join(",")));
        }
        Some((json, path)) => out.append_option(scan::find(json, path)),
        None => out.append_null(),
    })?;
    Ok(Arc::new(out.finish()))
}

fn extract_scalar(call: &Call) -> Result<ArrayRef> {
    let mut out = StringViewBuilder::with_capacity(call.rows);
    each(call, |row| {
        let value = row.and_then(|(json, path)| scan::find(json, path)).and_then(scan::scalar);
        out.append_option(value);
    })?;
    Ok(Arc::new(out.finish()))
}

fn object(call: &Call) -> Result<ArrayRef> {
    let mut out = StringViewBuilder::with_capacity(call.rows);
    each(call, |row| match row {
        Some((json, path)) if has_all(path) => match scan::find_all(json, path).as_slice() {
            [] => out.append_null(),
            values => out.append_value(format!("[{}]", values.join(","))),
        },
        row => out.append_option(row.and_then(|(json, path)| scan::find(json, path)).and_then(scan::text)),
    })?;
    Ok(Arc::new(out.finish()))
}

fn exists(call: &Call) -> Result<ArrayRef> {
    let found = each(call, |row| row.map(|(json, path)| !scan::find_all(json, path).is_empty()))?;
    Ok(Arc::new(BooleanArray::from(found)))
}

fn size(call: &Call) -> Result<ArrayRef> {
    let sizes = each(call, |row| row.and_then(|(json, path)| scan::find(json, path)).map(count))?;
    Ok(Arc::new(Int64Array::from(sizes)))
}

fn count(value: &str) -> i64 {
    let count = match value.as_bytes().first() {
        Some(b'{') => scan::members(value).count(),
        Some(b'[') => scan::elements(value).count(),
        _ => 0,
    };
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn parse(call: &Call) -> Result<ArrayRef> {
    let json = call.text(0)?;
    let mut out = StringViewBuilder::with_capacity(call.rows);
    (0..call.rows).for_each(|row| out.append_option(json.get(row).filter(|text| is_valid(text))));
    Ok(Arc::new(out.finish()))
}

fn is_valid(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

fn format(call: &Call) -> Result<ArrayRef> {
    let json = call.text(0)?;
    let mut out = StringViewBuilder::with_capacity(call.rows);
    (0..call.rows).for_each(|row| out.append_option(json.get(row)));
    Ok(Arc::new(out.finish()))
}

fn array_get(call: &Call) -> Result<ArrayRef> {
    let (json, index) = (call.text(0)?, call.integer(1)?);
    let mut out = StringViewBuilder::with_capacity(call.rows);
    for row in 0..call.rows {
        let value = json.get(row).and_then(scan::whole).zip(index.get(row));
        out.append_option(value.and_then(|(json, index)| scan::element(json, index)));
    }
    Ok(Arc::new(out.finish()))
}

fn array(text: Option<&str>) -> Option<&str> {
    text.and_then(scan::whole).filter(|value| value.starts_with('['))
}

fn array_length(call: &Call) -> Result<ArrayRef> {
    let json = call.text(0)?;
    Ok(Arc::new((0..call.rows).map(|row| array(json.get(row)).map(count)).collect::<Int64Array>()))
}

fn array_contains(call: &Call) -> Result<ArrayRef> {
    let (json, wanted) = (call.text(0)?, call.text(1)?);
    let is_text = matches!(call.data_type(1), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let contains = |row| {
        let (json, wanted) = array(json.get(row)).zip(wanted.get(row))?;
        let same = |value: &str| match is_text {
            true => scan::string(value).is_some_and(|text| text == wanted),
            false => value == wanted || value.parse::<f64>().ok().is_some_and(|a| wanted.parse() == Ok(a)),
        };
        Some(scan::elements(json).any(same))
    };
    Ok(Arc::new((0..call.rows).map(contains).collect::<BooleanArray>()))
}

fn is_scalar(call: &Call) -> Result<ArrayRef> {
    let json = call.text(0)?;
    let scalar = |row| json.get(row).and_then(scan::whole).map(|value| !value.starts_with(['{', '[']));
    Ok(Arc::new((0..call.rows).map(scalar).collect::<BooleanArray>()))
}

fn collect(call: &Call) -> Result<ArrayRef> {
    let fields = call.text(2)?;
    let mut out = ListBuilder::new(StringViewBuilder::new());
    let mut row = 0;
    each(call, |found| {
        match found.zip(fields.get(row)) {
            Some(((json, path), field)) => {
                for value in scan::find_all(json, path) {
                    let objects = if value.starts_with('[') { scan::elements(value).collect() } else { vec![value] };
                    let texts =
                        objects.into_iter().filter_map(|object| scan::member(object, field)).filter_map(scan::text);
                    texts.for_each(|text| out.values().append_value(text));
                }
                out.append(true);
            }
            None => out.append(false),
        }
        row += 1;
    })?;
    Ok(Arc::new(out.finish()))
}
