//! The one error type of the crate, sorted by what the caller can do next.
//!
//! Owns: the kinds, and the rule that every error says what failed, where, and what to do about it.
//! Refuses: carrying a bad record or a bad object; those are data (see `event::Reject`), not errors.

use std::error::Error as StdError;
use std::fmt;

/// Result of everything in this crate that can fail.
pub type Result<T> = std::result::Result<T, Error>;

type Source = Box<dyn StdError + Send + Sync + 'static>;

/// What the caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The thing named does not exist; name another one.
    NotFound,
    /// The credentials are missing, expired or not allowed; renew or widen them.
    Denied,
    /// The service or disk could not answer now; the same call may work later.
    Unavailable,
    /// Somebody else changed the same thing first; read again and decide anew.
    Conflict,
    /// The input is broken; repair or remove it.
    BadInput,
    /// A configured limit was reached; raise it or ask for less.
    Limit,
    /// The command line, configuration or SQL is wrong; correct it (exit code 64).
    Usage,
    /// A bug of ours.
    Internal,
}

/// An error: its kind, what failed and where, what to do next, and the cause.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    what: String,
    hint: Option<String>,
    source: Option<Source>,
}

impl Error {
    /// Makes an error from its kind and a phrase that says what failed and where.
    pub fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), hint: None, source: None }
    }

    /// Adds what the user can do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn source(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// True where repeating the same call may succeed.
    pub fn is_transient(&self) -> bool {
        matches!(self.kind, ErrorKind::Unavailable)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if let Some(source) = &self.source {
            write!(f, ": {source}")?;
            let mut cause = source.source();
            while let Some(inner) = cause {
                let text = inner.to_string();
                if !source.to_string().contains(&text) {
                    write!(f, ": {text}")?;
                }
                cause = inner.source();
            }
        }
        if let Some(hint) = &self.hint {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}

/// An error of somebody else's with all of its causes, in one line.
pub fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

impl StdError for Error {
    // The chain is already part of the text; reporting it again would print every cause twice.
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_holds_what_cause_and_next_step() {
        let cause = std::io::Error::other("disk on fire");
        let error = Error::new(ErrorKind::Unavailable, "cannot read a.json.gz").source(cause).hint("run again later");
        assert_eq!(error.to_string(), "cannot read a.json.gz: disk on fire (run again later)");
        assert!(error.is_transient());
    }
}
