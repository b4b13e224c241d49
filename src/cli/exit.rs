//! Exit codes: the contract with schedulers and scripts.

use std::process::ExitCode;

use trailhound::error::{Error, ErrorKind};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// All is well.
    Fine,
    /// There are findings at or above `--fail-on`.
    Findings,
    /// The command failed, or part of its work did.
    Failed,
    /// The command line, configuration or SQL is wrong.
    Usage,
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(match status {
            ExitStatus::Fine => 0,
            ExitStatus::Findings => 1,
            ExitStatus::Failed => 2,
            ExitStatus::Usage => 64,
        })
    }
}

impl ExitStatus {
    /// The status that an error ends the program with.
    pub fn of(error: &anyhow::Error) -> Self {
        match error.downcast_ref::<Error>().map(Error::kind) {
            Some(ErrorKind::Usage) => Self::Usage,
            _ => Self::Failed,
        }
    }
}
