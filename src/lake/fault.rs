//! Delta's errors in our words.

use deltalake_core::DeltaTableError;
use deltalake_core::kernel::transaction::TransactionError;

use super::store::{answered, is_full, store_error};
use crate::error::{Error, ErrorKind};

pub(super) fn joined(error: tokio::task::JoinError) -> Error {
    Error::new(ErrorKind::Internal, "a worker ended in a panic").source(error)
}

pub(super) fn delta_error(what: String, error: DeltaTableError) -> Error {
    match error {
        DeltaTableError::ObjectStore { source } => store_error(what, source),
        DeltaTableError::Transaction { source } => match source {
            TransactionError::VersionAlreadyExists(_)
            | TransactionError::CommitConflict(_)
            | TransactionError::MaxCommitAttempts(_) => Error::new(ErrorKind::Conflict, what).source(source),
            TransactionError::ObjectStore { source } => store_error(what, source),
            other => Error::new(ErrorKind::Unavailable, what).source(other),
        },
        DeltaTableError::NotATable(_) => Error::new(ErrorKind::NotFound, what),
        other => kernel_error(what, other),
    }
}

/// The kernel hides the store's error inside its own; its text is all there is to tell them apart.
fn kernel_error(what: String, error: DeltaTableError) -> Error {
    let text = error.to_string();
    if let Some(error) = answered(&what, &text) {
        return error;
    }
    if is_full(&text) {
        let hint = "the disk is full: make room and run again; what was committed stays";
        return Error::new(ErrorKind::Limit, what).source(error).hint(hint);
    }
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let kind = if has(&["No files in log segment", "not found", "NotFound", "NoSuchKey"]) && !has(&["NoSuchBucket"]) {
        ErrorKind::NotFound
    } else if has(&["credentials", "AccessDenied", "403", "Forbidden", "Unauthenticated", "ExpiredToken"]) {
        ErrorKind::Denied
    } else {
        ErrorKind::Unavailable
    };
    Error::new(kind, what).source(error)
}
