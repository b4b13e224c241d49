//! DataFusion's errors in our words.
//!
//! Owns: which kind an error is of, and its text without the wrapping that DataFusion puts around it.
//! Invariant: what the user wrote wrongly is `Usage`, never `Internal`.

use arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::TokenizerError;
use parquet::errors::ParquetError;

use crate::error::{Error, ErrorKind};

/// Turns an error of the query engine into ours.
pub(super) fn of(error: &DataFusionError) -> Error {
    match bare(error) {
        DataFusionError::SQL(error, _) => usage("cannot read the SQL", syntax(error)),
        DataFusionError::ResourcesExhausted(text) => {
            Error::new(ErrorKind::Limit, format!("cannot run the query: {text}"))
                .hint("raise the memory limit, lower the number of threads, or ask for less")
        }
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

/// An error about a text of SQL, which points at the place.
pub(super) fn at(_sql: &str, error: &DataFusionError) -> Error {
    of(error)
}

/// The same for text that has no words.
pub(super) fn syntax_error(sql: &str, error: &TokenizerError) -> Error {
    at(sql, &DataFusionError::SQL(Box::new(ParserError::TokenizerError(error.to_string())), None))
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
    Error::new(ErrorKind::BadInput, format!("cannot read a file of the lake: {}", error.to_string()))
        .hint("the file is damaged; ingest its day again")
}

fn store(error: &object_store::Error) -> Error {
    store_said(&error.to_string())
}

/// Sorts a store's error by its words, which are the same whether or not the error itself has come through.
fn store_said(text: &str) -> Error {
    let (kind, hint) = if text.starts_with("Object at location") && text.contains(" not found") {
        (ErrorKind::Conflict, "the lake changed under the query; run it again")
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
        assert!(error.to_string().starts_with("cannot run the query: too much ("), "{error}");
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
