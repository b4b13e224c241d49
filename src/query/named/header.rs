//! The header of a named query: SQL comments at the top of its file.
//!
//! ```sql
//! -- title: What was denied most
//! -- question: Who was refused which call, and how often?
//! -- param actor text: the identity
//! -- param field text: what is counted
//! -- values field: eventName awsRegion requestParameters.*
//! -- param days integer = 7: length of the window
//! -- param until timestamp = newest: end of the window
//! -- param since timestamp = until - days: start of the window
//! -- attack: T1110 Brute Force
//! SELECT …
//! ```
//!
//! Owns: its grammar. A line that is not of it is an error: a misspelt word must not silently mean nothing.

use super::bind::value;
use super::{Fallback, Kind, NamedQuery, Parameter};
use crate::error::{Error, ErrorKind, Result};

/// Reads a query from the text of its file.
///
/// # Errors
/// `Usage` where the header is not as above.
pub fn parse(name: &str, text: &str) -> Result<NamedQuery> {
    let mut query = NamedQuery {
        name: name.to_owned(),
        title: String::new(),
        question: String::new(),
        parameters: Vec::new(),
        technique: None,
        sql: text.to_owned(),
    };
    for (index, line) in text.lines().enumerate() {
        let Some(line) = line.strip_prefix("-- ") else { break };
        field(&mut query, line).map_err(|what| broken(name, &format!("line {}: {what}", index + 1)))?;
    }
    match (query.title.as_str(), query.question.as_str()) {
        ("", _) => Err(broken(name, "it has no title")),
        (_, "") => Err(broken(name, "it has no question")),
        _ => Ok(query),
    }
}

fn broken(name: &str, what: &str) -> Error {
    Error::new(ErrorKind::Usage, format!("cannot read the header of query {name}: {what}"))
        .hint("start it with `-- title: …`, `-- question: …`, `-- param NAME TYPE = DEFAULT: …`, `-- values NAME: …`, `-- attack: …`")
}

fn field(query: &mut NamedQuery, line: &str) -> std::result::Result<(), String> {
    let (key, text) = line.split_once(": ").ok_or_else(|| format!("no `: ` in {line:?}"))?;
    let text = text.trim().to_owned();
    match key.split_once(' ') {
        None if key == "title" => query.title = text,
        None if key == "question" => query.question = text,
        None if key == "attack" => query.technique = Some(text),
        Some(("param", rest)) => {
            let parameter = parameter(rest, text)?;
            has_window(query, &parameter)?;
            query.parameters.push(parameter);
        }
        Some(("values", name)) => parameter_of(query, name)?.values = text.split(' ').map(str::to_owned).collect(),
        _ => return Err(format!("unknown word {key:?}")),
    }
    Ok(())
}

fn parameter_of<'q>(query: &'q mut NamedQuery, name: &str) -> std::result::Result<&'q mut Parameter, String> {
    let parameter =
        query.parameters.iter_mut().find(|parameter| parameter.name == name && parameter.kind == Kind::Text);
    parameter.ok_or_else(|| format!("no `param {name} text` above"))
}

fn parameter(text: &str, help: String) -> std::result::Result<Parameter, String> {
    let (declaration, default) = match text.split_once(" = ") {
        Some((declaration, default)) => (declaration, Some(default)),
        None => (text, None),
    };
    let (name, kind) = declaration.split_once(' ').ok_or_else(|| format!("no type in {declaration:?}"))?;
    let kind = match kind {
        "text" => Kind::Text,
        "integer" => Kind::Integer,
        "timestamp" => Kind::Timestamp,
        "date" => Kind::Date,
        other => return Err(format!("unknown type {other:?}")),
    };
    let default = match (kind, default) {
        (_, None) => Fallback::Required,
        (Kind::Timestamp, Some("newest")) => Fallback::Newest,
        (Kind::Timestamp, Some("until - days")) => Fallback::DaysBefore,
        (_, Some(text)) => {
            Fallback::Value(value(kind, text).ok_or_else(|| format!("{text:?} is no {}", kind.as_str()))?)
        }
    };
    Ok(Parameter { name: name.to_owned(), kind, default, help, values: Vec::new() })
}

/// A window needs its end and its length first.
fn has_window(query: &NamedQuery, parameter: &Parameter) -> std::result::Result<(), String> {
    let has = |name, kind| query.parameters.iter().any(|other| other.name == name && other.kind == kind);
    match parameter.default {
        Fallback::DaysBefore if !has("until", Kind::Timestamp) => Err("no `until timestamp` above".to_owned()),
        Fallback::DaysBefore if !has("days", Kind::Integer) => Err("no `days integer` above".to_owned()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use datafusion::common::ScalarValue;

    use super::*;

    #[test]
    fn a_header_is_read() {
        let text = "-- title: A\n-- question: B: why?\n-- param n integer = 7: how many\n-- param who text: a name\n\
                    -- attack: T1110 Brute Force\nSELECT $n -- not: a header\n";
        let query = parse("a", text).unwrap();
        assert_eq!((query.title.as_str(), query.question.as_str()), ("A", "B: why?"));
        assert_eq!(query.technique.as_deref(), Some("T1110 Brute Force"));
        assert_eq!(query.parameters[0].default, Fallback::Value(ScalarValue::Int64(Some(7))));
        assert_eq!(query.parameters[1].default, Fallback::Required);
        assert_eq!(query.sql, text);
    }

    #[test]
    fn a_misspelt_header_is_an_error() {
        for (text, what) in [
            ("-- titel: A\n", "line 1: unknown word \"titel\""),
            ("-- title: A\n-- param n number = 7: x\n", "line 2: unknown type \"number\""),
            ("-- title: A\n-- param n integer = many: x\n", "line 2: \"many\" is no integer"),
            ("-- param since timestamp = until - days: x\n", "line 1: no `until timestamp` above"),
            ("-- title: A\nSELECT 1", "it has no question"),
            ("-- values n: a b\n", "line 1: no `param n text` above"),
            ("SELECT 1", "it has no title"),
        ] {
            let error = parse("a", text).unwrap_err();
            assert!(error.to_string().contains(what), "{error}");
        }
    }
}
