//! DataFusion's errors in our words.
//!
//! Owns: which kind an error is of, and its text without the wrapping that DataFusion puts around it.
//! Invariant: what the user wrote wrongly is `Usage`, never `Internal`.

use arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;

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
        DataFusionError::ParquetError(error) => broken_file(error),
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

fn broken_file(error: &impl ToString) -> Error {
    Error::new(ErrorKind::BadInput, format!("cannot read a file of the lake: {}", error.to_string()))
        .hint("the file is damaged; ingest its day again")
}

fn store(error: &object_store::Error) -> Error {
    use object_store::Error as Store;
    let (kind, hint) = match error {
        Store::NotFound { .. } => (ErrorKind::Conflict, "the lake changed under the query; run it again"),
        Store::PermissionDenied { .. } | Store::Unauthenticated { .. } => {
            (ErrorKind::Denied, "check the credentials and their right to read the lake")
        }
        _ => (ErrorKind::Unavailable, "run the query again later"),
    };
    Error::new(kind, format!("cannot read the lake: {error}")).hint(hint)
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
    fn a_file_that_is_gone_is_a_conflict() {
        let gone = object_store::Error::NotFound { path: "a.parquet".into(), source: "gone".into() };
        assert_eq!(of(&DataFusionError::ObjectStore(Box::new(gone))).kind(), ErrorKind::Conflict);
    }
}
