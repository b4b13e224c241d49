//! Several values of one JSON cell by one scan: what calls on the same cell become (`query::gather`).
//!
//! Owns: the scan. Paths are a tree, so that a cell is gone through once, up to where the last of them is found.
//! Invariant: each value is the one that the call alone would give: of members with one name the first counts.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringBuilder, StringViewBuilder, StructArray};
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::{Result, ScalarValue, plan_datafusion_err, plan_err};
use datafusion::logical_expr::ReturnFieldArgs;

use super::super::Origin;
use super::super::udf::{Call, Function, Returns};
use super::path::{self, Step};
use super::{marked, scan};

/// The function's name.
pub(in crate::query) const NAME: &str = "json_lookups";

/// So many values can be asked for at once.
pub(in crate::query) const MOST: usize = 64;

/// What is made of a value that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::query) enum Form {
    /// JSON text, marked (`json_extract`).
    Json,
    /// A string, number or boolean as text (`json_extract_scalar`).
    Scalar,
    /// A string without its quotes, anything else as JSON (`element_at`).
    Text,
    /// The same as plain `Utf8` (`->>`).
    Plain,
    /// A string, as plain `Utf8`, and nothing else (`json_get_str`).
    Str,
}

impl Form {
    const ALL: [Self; 5] = [Self::Json, Self::Scalar, Self::Text, Self::Plain, Self::Str];

    /// The word for it among the function's arguments.
    pub(in crate::query) fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Scalar => "scalar",
            Self::Text => "text",
            Self::Plain => "plain",
            Self::Str => "str",
        }
    }

    fn field(self, name: String) -> Field {
        match self {
            Self::Json => marked(Field::new(name, DataType::Utf8View, true)),
            Self::Scalar | Self::Text => Field::new(name, DataType::Utf8View, true),
            Self::Plain | Self::Str => Field::new(name, DataType::Utf8, true),
        }
    }
}

pub(super) fn functions() -> Vec<Function> {
    vec![Function::new(
        Origin::Trailhound,
        NAME,
        "json_lookups(json, 'form', path, …)",
        (3, 1 + 2 * MOST),
        Returns::By(row_type),
        lookups,
        "A row of the values at several paths, found in one scan; forms are json, scalar, text, plain and str. Calls on one \
         column become this by themselves",
    )]
}

/// Whether a path leads to one value within a cell, so that it can be looked up with others.
pub(in crate::query) fn takes(path: &[Step]) -> bool {
    !path.is_empty() && path.iter().all(|step| matches!(step, Step::Key(_) | Step::Index(0..)))
}

/// Forms and paths among the arguments behind the first.
fn asked<'a>(constants: impl Iterator<Item = Option<&'a ScalarValue>>) -> Result<Vec<(Form, Vec<Step>)>> {
    let words: Vec<&str> = constants
        .map(|value| value.and_then(|value| value.try_as_str().flatten()))
        .collect::<Option<_>>()
        .ok_or_else(|| plan_datafusion_err!("{NAME} takes constant forms and paths"))?;
    let (pairs, rest) = words.as_chunks::<2>();
    if !rest.is_empty() {
        return plan_err!("{NAME} takes a path behind each form");
    }
    pairs.iter().map(|[form, path]| Ok((self::form(form)?, super::read(path)?))).collect()
}

fn form(word: &str) -> Result<Form> {
    Form::ALL
        .into_iter()
        .find(|form| form.as_str() == word)
        .ok_or_else(|| plan_datafusion_err!("{word} is no form; take json, scalar, text, plain or str"))
}

fn row_fields(asked: &[(Form, Vec<Step>)]) -> Fields {
    asked.iter().enumerate().map(|(place, (form, _))| form.field(format!("c{place}"))).collect()
}

fn row_type(arguments: &ReturnFieldArgs) -> Result<FieldRef> {
    let asked = asked(arguments.scalar_arguments[1..].iter().copied())?;
    Ok(Arc::new(Field::new("", DataType::Struct(row_fields(&asked)), false)))
}

fn lookups(call: &Call) -> Result<ArrayRef> {
    let asked = asked((1..call.given()).map(|index| call.constant(index)))?;
    let mut wanted = Wanted::default();
    for (place, (_, path)) in asked.iter().enumerate() {
        wanted.try_add(path, place)?;
    }
    let json = call.text(0)?;
    let mut columns: Vec<Column> = asked.iter().map(|(form, _)| Column::new(*form, call.rows)).collect();
    let mut found = vec![None; asked.len()];
    for row in 0..call.rows {
        found.fill(None);
        json.get(row)
            .and_then(|json| scan::root(json, false))
            .into_iter()
            .for_each(|root| wanted.find(root, &mut found));
        columns.iter_mut().zip(&found).for_each(|(column, value)| column.append(*value));
    }
    let arrays = columns.into_iter().map(Column::finish).collect();
    Ok(Arc::new(StructArray::try_new_with_length(row_fields(&asked), arrays, None, call.rows)?))
}

/// What is wanted of a value: itself, or something in it.
#[derive(Debug, Default)]
struct Wanted {
    here: Vec<usize>,
    members: Vec<(String, Wanted)>,
    elements: Vec<(usize, Wanted)>,
}

impl Wanted {
    /// Adds a path that is not empty: for its sake all of a cell would be read, and broken text be nothing.
    fn try_add(&mut self, path: &[Step], place: usize) -> Result<()> {
        if !takes(path) {
            return plan_err!(
                "{NAME} takes no $, no [*] and no negative place: {}",
                path::write(path).unwrap_or_default()
            );
        }
        self.add(path, place);
        Ok(())
    }

    fn add(&mut self, path: &[Step], place: usize) {
        match path.split_first() {
            None => self.here.push(place),
            Some((Step::Key(key), rest)) => branch(&mut self.members, key.clone()).add(rest, place),
            Some((Step::Index(index), rest)) => {
                branch(&mut self.elements, usize::try_from(*index).unwrap_or(usize::MAX)).add(rest, place);
            }
            Some((Step::All, _)) => {}
        }
    }

    /// Puts every value that is there into its place.
    fn find<'a>(&self, value: &'a str, found: &mut [Option<&'a str>]) {
        self.here.iter().for_each(|place| found[*place] = Some(value));
        if !self.members.is_empty() {
            take(&self.members, scan::members(value), |name, key| scan::is_key(name, key), found);
        }
        if !self.elements.is_empty() {
            take(&self.elements, scan::elements(value).enumerate(), |index, wanted| index == *wanted, found);
        }
    }
}

fn branch<K: PartialEq>(branches: &mut Vec<(K, Wanted)>, key: K) -> &mut Wanted {
    let place = branches.iter().position(|(other, _)| *other == key).unwrap_or_else(|| {
        branches.push((key, Wanted::default()));
        branches.len() - 1
    });
    &mut branches[place].1
}

/// Goes through members or elements until each branch was met once.
fn take<'a, K, N: Copy>(
    branches: &[(K, Wanted)],
    items: impl Iterator<Item = (N, &'a str)>,
    is: impl Fn(N, &K) -> bool,
    found: &mut [Option<&'a str>],
) {
    // a bit for each branch that was not met yet; there are at most MOST of them
    let mut open = u64::MAX >> (64 - branches.len());
    for (name, value) in items {
        let met = branches.iter().enumerate().find(|(place, (key, _))| (open >> place) & 1 == 1 && is(name, key));
        let Some((place, (_, wanted))) = met else { continue };
        wanted.find(value, found);
        open &= !(1 << place);
        if open == 0 {
            return;
        }
    }
}

/// The values of one path.
enum Column {
    View(StringViewBuilder, Form),
    Plain(StringBuilder, Form),
}

impl Column {
    fn new(form: Form, rows: usize) -> Self {
        match form {
            Form::Plain | Form::Str => Self::Plain(StringBuilder::with_capacity(rows, 0), form),
            _ => Self::View(StringViewBuilder::with_capacity(rows), form),
        }
    }

    fn append(&mut self, value: Option<&str>) {
        match self {
            Self::View(out, Form::Json) => out.append_option(value),
            Self::View(out, Form::Scalar) => out.append_option(value.and_then(scan::scalar)),
            Self::View(out, _) => out.append_option(value.and_then(scan::text)),
            Self::Plain(out, Form::Str) => out.append_option(value.and_then(scan::string)),
            Self::Plain(out, _) => out.append_option(value.and_then(scan::text)),
        }
    }

    fn finish(self) -> ArrayRef {
        match self {
            Self::View(mut out, _) => Arc::new(out.finish()),
            Self::Plain(mut out, _) => Arc::new(out.finish()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'a>(text: &'a str, paths: &[&str]) -> Vec<Option<&'a str>> {
        let mut wanted = Wanted::default();
        for (place, path) in paths.iter().enumerate() {
            wanted.try_add(&path::parse(path).unwrap(), place).unwrap();
        }
        let mut found = vec![None; paths.len()];
        if let Some(root) = scan::root(text, false) {
            wanted.find(root, &mut found);
        }
        found
    }

    #[test]
    fn each_value_is_what_a_scan_for_it_alone_finds() {
        let paths = ["$.a", "$.a.b", "$.a.b[1]", "$.c", "$.a", "$.list[0].x", "$.list[2]", "$.none"];
        for text in [
            r#" {"a":{"b":[1,2,{"c":3}]},"c":"x","a":7,"list":[{"x":1},{"x":2}]} "#,
            r#"{"\u0061":{"b":null},"list":{"0":1},"c":[]}"#,
            r#"{"a":1,"c":2"#,
            r#"{"a" 1}"#,
            "[[1]]",
            "7",
            "",
        ] {
            let alone: Vec<_> = paths.iter().map(|path| scan::find(text, &path::parse(path).unwrap())).collect();
            assert_eq!(found(text, &paths), alone, "{text}");
        }
    }

    #[test]
    fn nothing_behind_the_last_value_is_read() {
        assert_eq!(found(r#"{"b":1,"a":{"c":2},broken"#, &["$.a.c", "$.b"]), [Some("2"), Some("1")]);
    }

    #[test]
    fn paths_of_many_values_are_refused() {
        for path in ["$", "$.a[*]", "$[-1]"] {
            assert!(Wanted::default().try_add(&path::parse(path).unwrap(), 0).is_err(), "{path}");
        }
    }
}
