//! The log files that a digest lists, held against their hashes.

use chrono::NaiveDate;
use futures::StreamExt;

use super::Run;
use super::chains::TrailId;
use super::ledger::Entered;
use super::place::Place;
use super::report::{Problem, ProblemKind};
use crate::decode;
use crate::digest::hours::{Counts, is_late};
use crate::digest::{self, Digest, LogFile};
use crate::error::{Error, ErrorKind, Result};
use crate::event::RejectReason;

/// Whether log files are read again where the ledger has their hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logs {
    /// All are read: what is in the source now counts.
    Read,
    /// The hash that the ingest made of what it read is enough.
    ByLedger,
}

/// What a log file is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
enum LogState {
    Valid { by_ledger: bool },
    Missing,
    Modified(String),
    Unreadable(String),
}

/// A log file that was checked.
struct Checked {
    name: String,
    state: LogState,
    bytes: u64,
}

impl Run<'_> {
    /// Checks the log files of a digest; notes what is wrong, answers the counts and what is wrong in words.
    pub(super) async fn logs(&self, trail: &TrailId, digest: &Digest, place: &Place) -> Result<(Counts, Vec<Problem>)> {
        let entered = self.entered(&digest.log_files).await?;
        let checks = digest.log_files.iter().zip(&entered).map(|(log, entered)| self.log(log, *entered, place));
        let checks: Vec<Checked> =
            futures::stream::iter(checks).buffered(self.options.concurrency.max(1)).collect().await;
        let mut counts = Counts { expected: checks.len() as u64, ..Counts::default() };
        let mut problems = Vec::new();
        let (mut bytes, mut by_ledger) = (0, 0);
        for ((check, log), entered) in checks.into_iter().zip(&digest.log_files).zip(entered) {
            counts.late += u64::from(is_late(digest.starts, log.oldest_event));
            counts.ingested += u64::from(entered.is_some());
            bytes += check.bytes;
            let (count, kind, detail) = match check.state {
                LogState::Valid { by_ledger: saved } => {
                    counts.verified += 1;
                    by_ledger += u64::from(saved);
                    continue;
                }
                LogState::Missing => (&mut counts.missing, ProblemKind::LogMissing, "not found".to_owned()),
                LogState::Modified(why) => (&mut counts.modified, ProblemKind::LogModified, why),
                LogState::Unreadable(why) => (&mut counts.unreadable, ProblemKind::LogUnverified, why),
            };
            *count += 1;
            problems.push(Problem::of(trail, kind, detail).during(digest.starts, digest.ends).object(check.name));
        }
        let mut shared = self.shared()?;
        shared.report.bytes += bytes;
        shared.report.logs_by_ledger += by_ledger;
        shared.report.logs.add(&counts);
        problems.iter().for_each(|problem| shared.report.problem(problem.clone()));
        Ok((counts, problems))
    }

    async fn entered(&self, logs: &[LogFile]) -> Result<Vec<Option<Entered>>> {
        let Some(ledger) = &self.ledger else { return Ok(vec![None; logs.len()]) };
        let dated = |log: &LogFile| {
            (log.location.key.clone(), crate::source::date(&log.location.key).unwrap_or(NaiveDate::MIN))
        };
        ledger.entered(&logs.iter().map(dated).collect::<Vec<_>>()).await
    }

    async fn log(&self, log: &LogFile, entered: Option<Entered>, place: &Place) -> Checked {
        let known = entered.and_then(|entered| entered.hash).filter(|_| self.options.logs == Logs::ByLedger);
        let name = place.name(&log.location);
        if known.is_some_and(|hash| hex::encode(hash).eq_ignore_ascii_case(&log.hash)) {
            let name = name.unwrap_or_else(|| log.location.to_string());
            return Checked { name, state: LogState::Valid { by_ledger: true }, bytes: 0 };
        }
        let Some(name) = name else {
            let state = LogState::Unreadable("outside of the source".to_owned());
            return Checked { name: log.location.to_string(), state, bytes: 0 };
        };
        match self.hash(&name).await {
            Ok((hash, bytes)) if hash.eq_ignore_ascii_case(&log.hash) => {
                Checked { name, state: LogState::Valid { by_ledger: false }, bytes }
            }
            Ok((_, bytes)) => {
                Checked { name, state: LogState::Modified("hash value does not match".to_owned()), bytes }
            }
            Err(state) => Checked { name, state, bytes: 0 },
        }
    }

    /// The hash of a log file's text, and the text's length.
    async fn hash(&self, name: &str) -> std::result::Result<(String, u64), LogState> {
        let unreadable = |error: Error| match error.kind() {
            ErrorKind::NotFound => LogState::Missing,
            _ => LogState::Unreadable(error.to_string()),
        };
        let limit = self.options.max_object_size;
        let hashed =
            self.reader.read(name.to_owned(), move |object, text| match decode::decode(&object.bytes, limit, text) {
                Ok(()) => Ok((digest::hash(text), text.len() as u64)),
                Err(reject) if reject.reason == RejectReason::TooLarge => Err(LogState::Unreadable(reject.detail)),
                Err(reject) => Err(LogState::Modified(format!("{}: {}", reject.reason, reject.detail))),
            });
        hashed.await.map_err(unreadable)?
    }
}
