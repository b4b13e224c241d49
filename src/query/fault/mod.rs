//! DataFusion's errors in our words.
//!
//! Owns: which kind an error is of, its text without the wrapping that DataFusion puts around it, and for SQL the place
//! and the name that was probably meant.
//! Invariant: what the user wrote wrongly is `Usage`, never `Internal`.

mod place;

use arrow::error::ArrowError;
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::TokenizerError;
use parquet::errors::ParquetError;

use super::nearest::nearest;
use crate::error::{Error, ErrorKind};
use crate::table::DAMAGED_HINT;
use place::Place;

/// Turns an error of the query engine into ours.
pub(super) fn of(error: &DataFusionError) -> Error {
    match bare(error) {
        DataFusionError::SQL(error, _) => usage("cannot read the SQL", syntax(error)),
        DataFusionError::ResourcesExhausted(text) => exhausted(text),
        DataFusionError::ObjectStore(error) => store(error),
        DataFusionError::IoError(error) => Error::new(ErrorKind::Unavailable, format!("cannot run the query: {error}")),
        DataFusionError::ParquetError(error) => parquet(error),
        DataFusionError::ArrowError(error, _) => arrow(error),
        DataFusionError::Internal(text) => Error::new(ErrorKind::Internal, format!("cannot run the query: {text}"))
            .hint("this is a bug; the query in other words may work"),
        DataFusionError::ExecutionJoin(error) => {
            Error::new(ErrorKind::Internal, format!("cannot run the query: {error}"))
        }
        DataFusionError::External(error) => match error.downcast_ref::<object_store::Error>() {
            Some(error) => store(error),
            None => usage("cannot run the query", error.to_string()),
        },
        other => usage("cannot run the query", other.message().into_owned()),
    }
}

/// Names that a query could have meant.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Tables and views.
    pub tables: Vec<String>,
    /// Functions.
    pub functions: Vec<String>,
}

/// An error about a text of SQL: points at the place, and says what was probably meant.
pub(super) fn at(sql: &str, error: &DataFusionError, names: &Names) -> Error {
    match bare(error) {
        DataFusionError::SQL(error, _) => syntax_at(sql, &syntax(error)),
        DataFusionError::SchemaError(error, _) => column(sql, error),
        other => planning(sql, other, names),
    }
}

/// The same for text that has no words.
pub(super) fn syntax_error(sql: &str, error: &TokenizerError) -> Error {
    syntax_at(sql, &error.to_string())
}

fn pointed(sql: &str, what: &str, place: Option<Place>) -> Error {
    match place {
        Some(place) => Error::new(ErrorKind::Usage, format!("{what}: {}", place::shown(sql, place))),
        None => Error::new(ErrorKind::Usage, what),
    }
}

fn syntax_at(sql: &str, message: &str) -> Error {
    match place::told(message) {
        Some((what, place)) => pointed(sql, &format!("cannot read the SQL: {what}"), Some(place)),
        None => usage("cannot read the SQL", message.to_owned()),
    }
}

fn column(sql: &str, error: &SchemaError) -> Error {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let error =
                pointed(sql, &format!("no column is named {}", field.name()), place::of_name(sql, field.name()));
            match (foreign_column(field.name()), nearest(field.name(), valid_fields.iter().map(|field| field.name()))) {
                (Some(why), _) => error.hint(why),
                (None, Some(name)) => error.hint(format!("did you mean {name}?")),
                (None, None) => error.hint("`DESCRIBE events` names the columns"),
            }
        }
        SchemaError::AmbiguousReference { field } => pointed(
            sql,
            &format!("more than one table has a column {}", field.name()),
            place::of_name(sql, field.name()),
        )
        .hint("put the table's name and a dot in front of it"),
        other => usage("cannot run the query", other.to_string()),
    }
}

/// Columns of CloudTrail Lake's event data stores that the lake has not.
fn foreign_column(name: &str) -> Option<&'static str> {
    Some(match name {
        "eventjson" => {
            "the record's text is not kept as a whole: its members are the columns, and what has none is in extra"
        }
        "eventjsonchecksum" => "checksums are not kept; `trailhound verify` checks CloudTrail's own signatures",
        "annotation" => "the lake has no annotations: events are as CloudTrail delivered them to the bucket",
        "eventdata" => "the lake holds CloudTrail's events only; activity from other sources is not in it",
        _ => return None,
    })
}

fn planning(sql: &str, error: &DataFusionError, names: &Names) -> Error {
    let message = error.message();
    let message = message.as_ref();
    if let Some(name) = between(message, "Invalid function '", "'") {
        let known = names.functions.iter().map(String::as_str);
        let error = pointed(sql, &format!("no function is named {name}"), place::of_name(sql, name));
        return match nearest(name, known) {
            Some(name) => error.hint(format!("did you mean {name}?")),
            None => error.hint("queries/FUNCTIONS.md, or \\df in the shell, lists them"),
        };
    }
    if let Some(name) = between(message, "table '", "' not found") {
        let name = name.rsplit('.').next().unwrap_or(name);
        let error = pointed(sql, &format!("no table is named {name}"), place::of_name(sql, name));
        return match nearest(name, names.tables.iter().map(String::as_str)) {
            Some(name) => error.hint(format!("did you mean {name}?")),
            None => error.hint(format!("there are {}", names.tables.join(", "))),
        };
    }
    if let Some(name) = between(message, "Field ", " not found in struct") {
        let known = super::dialect::columns();
        let error = pointed(sql, &format!("no member is named {name}"), place::of_name(sql, name));
        return match nearest(name, known.iter().map(String::as_str)) {
            Some(name) => error.hint(format!("did you mean {name}?")),
            None => error.hint("`DESCRIBE events` names the members"),
        };
    }
    if let Some(name) = between(message, "Function '", "'") {
        return pointed(sql, &types(name, message), place::of_name(sql, name));
    }
    of(error)
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    text.split_once(start)?.1.split_once(end).map(|(inner, _)| inner)
}

/// A call whose arguments have the wrong types, in one line.
fn types(name: &str, message: &str) -> String {
    let given = between(message, "argument types '", "'");
    let forms = message.split_once("Candidate functions:").map_or("", |(_, forms)| forms);
    let forms: Vec<&str> = forms.lines().map(str::trim).filter(|line| line.starts_with(name)).collect();
    match (given, forms.is_empty()) {
        (Some(given), false) => format!("{given} cannot be called; there is {}", forms.join(", ")),
        (Some(given), true) => format!("{given} cannot be called: it takes other types"),
        (None, _) => format!("{name} cannot be called so: {}", message.lines().next().unwrap_or_default()),
    }
}

/// The error below the contexts, copies and positions.
fn bare(error: &DataFusionError) -> &DataFusionError {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => bare(inner),
        DataFusionError::Shared(inner) => bare(inner),
        DataFusionError::Collection(all) => all.first().map_or(error, bare),
        DataFusionError::ArrowError(inner, _) => match inner.as_ref() {
            ArrowError::ExternalError(inner) => inner.downcast_ref().map_or(error, bare),
            _ => error,
        },
        DataFusionError::External(inner) => inner.downcast_ref().map_or(error, bare),
        _ => error,
    }
}

/// Which limit it was.
fn exhausted(text: &str) -> Error {
    let first = text.lines().next().unwrap_or_default().trim_end_matches(':');
    let (limit, hint) = if text.contains("disk space") {
        ("the temporary folder may hold", "free its disk, name another one by TMPDIR, or ask for less")
    } else {
        ("--memory-limit allows", "raise --memory-limit, lower --threads, or ask for less")
    };
    Error::new(ErrorKind::Limit, format!("the query needs more than {limit}: {first}")).hint(hint)
}

fn usage(what: &str, text: String) -> Error {
    Error::new(ErrorKind::Usage, format!("{what}: {}", text.trim_end_matches('.')))
}

fn syntax(error: &ParserError) -> String {
    match error {
        ParserError::ParserError(text) | ParserError::TokenizerError(text) => text.clone(),
        ParserError::RecursionLimitExceeded => "it is nested too deeply".to_owned(),
    }
}

fn arrow(error: &ArrowError) -> Error {
    match error {
        ArrowError::ParquetError(text) => broken_file(text),
        ArrowError::IoError(text, _) => Error::new(ErrorKind::Unavailable, format!("cannot run the query: {text}")),
        other => usage("cannot run the query", other.to_string()),
    }
}

fn parquet(error: &ParquetError) -> Error {
    match error {
        ParquetError::External(inner) => match inner.downcast_ref() {
            Some(error) => store(error),
            None => broken_file(inner),
        },
        // The reader of footers keeps only the text of what the store said.
        ParquetError::General(text) if text.contains(STORE) => store_said(text.rsplit(STORE).next().unwrap_or(text)),
        other => broken_file(other),
    }
}

/// What DataFusion puts before the words of a store.
const STORE: &str = "Object Store error: ";

fn broken_file(error: &impl ToString) -> Error {
    Error::new(ErrorKind::BadInput, format!("cannot read a file of the lake: {}", error.to_string())).hint(DAMAGED_HINT)
}

/// How stores say that a file is shorter than the lake's log has it.
const BEYOND: [&str; 4] =
    ["Out of range of file", "Requested range was invalid", "InvalidRange", "416 Range Not Satisfiable"];

fn store(error: &object_store::Error) -> Error {
    store_said(&error.to_string())
}

/// Sorts a store's error by its words, which are the same whether or not the error itself has come through.
fn store_said(text: &str) -> Error {
    let (kind, hint) = if text.starts_with("Object at location") && text.contains(" not found") {
        (
            ErrorKind::Conflict,
            "the lake changed under the query: run it again; a file that stays lost: `trailhound lake repair`",
        )
    } else if BEYOND.iter().any(|words| text.contains(words)) {
        (ErrorKind::BadInput, DAMAGED_HINT)
    } else if text.contains("lacked the necessary privileges") || text.contains("lacked valid authentication") {
        (ErrorKind::Denied, "check the credentials and their right to read the lake")
    } else {
        (ErrorKind::Unavailable, "run the query again later")
    };
    Error::new(kind, format!("cannot read the lake: {text}")).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wrapping_is_taken_off() {
        let inner = DataFusionError::ResourcesExhausted("too much".into());
        let error = of(&DataFusionError::Shared(std::sync::Arc::new(inner.context("planning"))));
        assert_eq!(error.kind(), ErrorKind::Limit);
        assert!(
            error.to_string().starts_with("the query needs more than --memory-limit allows: too much ("),
            "{error}"
        );
    }

    #[test]
    fn a_store_is_understood_through_every_wrapping() {
        use object_store::Error as Store;
        type Make = fn() -> Store;
        let cases: [(Make, ErrorKind); 4] = [
            (|| Store::NotFound { path: "a".into(), source: "x".into() }, ErrorKind::Conflict),
            (|| Store::PermissionDenied { path: "a".into(), source: "x".into() }, ErrorKind::Denied),
            (|| Store::Unauthenticated { path: "a".into(), source: "x".into() }, ErrorKind::Denied),
            (|| Store::Generic { store: "S3", source: "x".into() }, ErrorKind::Unavailable),
        ];
        for (make, kind) in cases {
            let text = DataFusionError::ObjectStore(Box::new(make())).to_string();
            let wrapped = [
                DataFusionError::ObjectStore(Box::new(make())),
                DataFusionError::External(Box::new(make())),
                DataFusionError::ParquetError(Box::new(ParquetError::External(Box::new(make())))),
                DataFusionError::ParquetError(Box::new(ParquetError::General(format!("no footer of a: {text}")))),
            ];
            for error in wrapped {
                assert_eq!(of(&error).kind(), kind, "{error}");
            }
        }
    }

    #[test]
    fn a_damaged_file_is_bad_input() {
        let error = DataFusionError::ParquetError(Box::new(ParquetError::General("no magic".into())));
        assert_eq!(of(&error).kind(), ErrorKind::BadInput);
    }
}
