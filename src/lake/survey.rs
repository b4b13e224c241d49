//! What lies in a table's folder, held against its log.
//!
//! Owns: which files no reader and no writer can need any more.
//! Invariant: a file is garbage only where the log proves it (it gave way longer ago than the retention), or where no
//! log names it and it is too old to be on its way into one. What is not a data file of ours is left alone.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Duration, Utc};
use deltalake_core::table::config::TablePropertiesExt;
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectMeta;
use object_store::path::Path;
use serde::Serialize;

use super::fault::delta_error;
use super::store::store_error;
use super::{Lake, debris};
use crate::error::{Error, ErrorKind, Result};
use crate::schema::Table;
use crate::table::DataFile;

/// How long a file that no log names may still be on its way into one, whatever the retention.
pub const ORPHAN_AGE: Duration = Duration::days(1);

/// Why a file can go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// No version within the retention has it.
    Expired,
    /// No log names it: a writer died before its commit.
    Orphan,
    /// A write to the local disk that was cut off.
    Debris,
}

/// A file that can go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Garbage {
    /// Path in the store.
    #[serde(serialize_with = "as_text")]
    pub path: Path,
    /// Bytes.
    pub bytes: u64,
    /// Why.
    pub reason: Reason,
}

fn as_text<S: serde::Serializer>(path: &Path, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(path.as_ref())
}

/// A table's log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LogState {
    /// Files in it.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Newest version that has a checkpoint.
    pub checkpoint: Option<i64>,
    /// When it was written.
    pub checkpoint_at: Option<DateTime<Utc>>,
}

/// A table's folder.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    /// The version it is held against; -1 where the table does not exist.
    pub version: i64,
    /// The files of that version.
    pub live: Vec<DataFile>,
    /// Bytes that older versions within the retention need.
    pub history_bytes: u64,
    /// Bytes that no log names, too young to be garbage.
    pub young_bytes: u64,
    /// What can go, sorted by path.
    pub garbage: Vec<Garbage>,
    /// The log.
    pub log: LogState,
}

impl LogState {
    fn note(&mut self, meta: &ObjectMeta) {
        self.files += 1;
        self.bytes += meta.size;
        let name = meta.location.filename().unwrap_or_default();
        let version = name.split_once(".checkpoint").and_then(|(version, _)| version.parse().ok());
        if version > self.checkpoint {
            (self.checkpoint, self.checkpoint_at) = (version, Some(meta.last_modified));
        }
    }
}

impl Survey {
    /// Bytes of what can go.
    pub fn garbage_bytes(&self) -> u64 {
        self.garbage.iter().map(|file| file.bytes).sum()
    }

    /// Commits that a reader has to read one by one.
    pub fn commits_since_checkpoint(&self) -> u64 {
        u64::try_from(self.version - self.log.checkpoint.unwrap_or(-1)).unwrap_or(0)
    }
}

impl Lake {
    /// Lists a table's folder and holds it against the log.
    ///
    /// # Errors
    /// `Usage` where the retention is longer than the table's log remembers; as the store answers.
    pub async fn survey(&self, table: &'static Table, retention: Duration, now: DateTime<Utc>) -> Result<Survey> {
        // listed before the log is read: what is committed in between is in the log then
        let listed = self.list_table(table).await?;
        let snapshot = self.snapshot(table).await?;
        let mut survey = Survey { version: snapshot.version, live: snapshot.files, ..Survey::default() };
        let gone = self.gone(table, retention, now).await?;
        let live: HashSet<&Path> = survey.live.iter().map(|file| &file.path).collect();
        let orphans_until = now - retention.max(ORPHAN_AGE);
        let log = self.path_in(table, "_delta_log");
        for meta in listed {
            if meta.location.prefix_matches(&log) {
                survey.log.note(&meta);
                continue;
            }
            if live.contains(&meta.location) || meta.location.extension() != Some("parquet") {
                continue;
            }
            let (path, bytes) = (meta.location, meta.size);
            match gone.get(&path) {
                Some(true) => survey.garbage.push(Garbage { path, bytes, reason: Reason::Expired }),
                Some(false) => survey.history_bytes += bytes,
                None if meta.last_modified < orphans_until => {
                    survey.garbage.push(Garbage { path, bytes, reason: Reason::Orphan });
                }
                None => survey.young_bytes += bytes,
            }
        }
        if let Some(folder) = self.local_folder(table) {
            survey.garbage.extend(debris::find(&folder, now - ORPHAN_AGE)?);
        }
        survey.garbage.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(survey)
    }

    async fn list_table(&self, table: &Table) -> Result<Vec<ObjectMeta>> {
        let place = &self.inner.place;
        let root = place.prefix.clone().join(table.name);
        let listed: object_store::Result<Vec<ObjectMeta>> = place.store.list(Some(&root)).try_collect().await;
        match listed {
            Err(object_store::Error::NotFound { .. }) => Ok(Vec::new()),
            result => result.map_err(|error| store_error(format!("cannot list {root}"), error)),
        }
    }

    /// Files that gave way: true for those that did so longer ago than the retention.
    async fn gone(
        &self,
        table: &'static Table,
        retention: Duration,
        now: DateTime<Utc>,
    ) -> Result<HashMap<Path, bool>> {
        let Some(current) = self.table(table).await? else { return Ok(HashMap::new()) };
        let fail = |error| delta_error(format!("cannot read the log of {} in {}", table.name, self.location()), error);
        let state = current.snapshot().map_err(fail)?;
        let remembered = state.table_config().deleted_file_retention_duration();
        if retention.to_std().is_ok_and(|retention| retention > remembered) {
            let days = remembered.as_secs() / 86_400;
            return Err(Error::new(
                ErrorKind::Usage,
                format!("the log of {} remembers {days} days, a retention cannot be longer", table.name),
            )
            .hint("the table's property delta.deletedFileRetentionDuration decides"));
        }
        let log = current.log_store();
        let mut tombstones = state.all_tombstones(log.as_ref());
        let mut gone = HashMap::new();
        while let Some(tombstone) = tombstones.next().await {
            let tombstone = tombstone.map_err(fail)?;
            let since = tombstone.deletion_timestamp().and_then(DateTime::from_timestamp_millis);
            let expired = since.is_some_and(|since| since < now - retention);
            gone.insert(self.path_in(table, &tombstone.path()), expired);
        }
        Ok(gone)
    }
}
