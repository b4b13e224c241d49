//! Commits: files first, then one entry in Delta's log.
//!
//! Owns: staging, appends, replacements, and what is repeated when.
//! Invariant: a commit is all or nothing, and happens once, however often it is tried.

use std::collections::{HashMap, HashSet};

use arrow::array::RecordBatch;
use backon::BackoffBuilder;
use chrono::{Duration, Utc};
use deltalake_core::DeltaTable;
use deltalake_core::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake_core::kernel::{Action, Add};
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;

use super::fault::{delta_error, joined};
use super::file::{self, EncodedFile};
use super::{CHECKPOINT_INTERVAL, Lake, store};
use crate::error::{Error, ErrorKind, Result};
use crate::schema::Table;
use crate::table::TableSnapshot;

/// How often a commit that others overtook is tried again.
pub(super) const COMMIT_ATTEMPTS: usize = 15;

/// How long a file may wait for its commit: a vacuum takes what is in no log for a dead run's after a day, so a process
/// that slept through it must not commit what may be gone.
const STAGED_LIFE: Duration = Duration::hours(12);

/// Files put at the same time.
const PUT_CONCURRENCY: usize = 8;

/// A file that is written but not yet part of its table.
#[derive(Debug, Clone)]
pub struct StagedFile(pub(super) Add);

impl StagedFile {
    /// Its bytes.
    pub fn bytes(&self) -> u64 {
        self.0.size.unsigned_abs()
    }
}

/// Refuses files that were staged too long ago.
pub(super) fn check_age(staged: &[StagedFile]) -> Result<()> {
    let oldest = (Utc::now() - STAGED_LIFE).timestamp_millis();
    match staged.iter().find(|file| file.0.modification_time < oldest) {
        None => Ok(()),
        Some(file) => Err(Error::new(
            ErrorKind::Limit,
            format!("{} waited {} hours for its commit", file.0.path, STAGED_LIFE.num_hours()),
        )
        .hint("nothing of it was committed; run again")),
    }
}

/// What a table's commit is allowed to assume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// The rows are right whatever others commit in the meantime.
    Any,
    /// The rows were made knowing this version; a later one is a conflict.
    Version(i64),
}

impl Lake {
    /// Appends rows (with the partition column) in one commit, and answers the version. No rows: no commit.
    ///
    /// # Errors
    /// As the store answers.
    pub async fn append(&self, table: &'static Table, batches: &[RecordBatch]) -> Result<i64> {
        let batches: Vec<RecordBatch> = batches.iter().filter(|batch| batch.num_rows() > 0).cloned().collect();
        if batches.is_empty() {
            return Ok(self.snapshot(table).await?.version);
        }
        let files = tokio::task::spawn_blocking(move || file::encode(table, &batches)).await.map_err(joined)??;
        self.commit(table, &files).await
    }

    /// Puts files into a table in one commit, and answers the version.
    ///
    /// # Errors
    /// As the store answers.
    async fn commit(&self, table: &'static Table, files: &[EncodedFile]) -> Result<i64> {
        let staged = self.stage(table, files).await?;
        self.commit_staged(table, &staged, Base::Any).await.map(|snapshot| snapshot.version)
    }

    /// Makes staged files part of a table, in one commit, and answers the table's files as of this commit. The store
    /// does not repeat a write that must not happen twice; here it can be, as the log tells whether it has happened.
    ///
    /// # Errors
    /// As the store answers; `Conflict` where the table is not at the base version any more (the files stay, unseen,
    /// and may be committed again or left to a vacuum).
    pub async fn commit_staged(
        &self,
        table: &'static Table,
        staged: &[StagedFile],
        base: Base,
    ) -> Result<TableSnapshot> {
        let (mut delays, mut turns) = (store::again().build(), store::others_first().build());
        loop {
            let (error, delay) = match self.commit_once(table, staged, base).await {
                Err(error) if error.is_transient() => (error, delays.next()),
                // nobody's rows are in the way of these; it is only that many want to commit at once
                Err(error) if error.kind() == ErrorKind::Conflict && base == Base::Any => (error, turns.next()),
                result => return result,
            };
            let Some(delay) = delay else { return Err(error) };
            tokio::time::sleep(delay).await;
            if let Ok(Some(done)) = self.carried_out(table, staged, base).await {
                return Ok(done);
            }
        }
    }

    /// The table's files where a commit whose answer was lost had been carried out. Where others have committed since
    /// and the base matters, that is for the caller to find out.
    async fn carried_out(
        &self,
        table: &'static Table,
        staged: &[StagedFile],
        base: Base,
    ) -> Result<Option<TableSnapshot>> {
        let snapshot = self.snapshot(table).await?;
        let paths: HashSet<&Path> = snapshot.files.iter().map(|file| &file.path).collect();
        let ours = staged.iter().all(|file| paths.contains(&self.path_in(table, &file.0.path)));
        let next = match base {
            Base::Any => true,
            Base::Version(version) => snapshot.version == version + 1,
        };
        Ok((ours && next).then_some(snapshot))
    }

    async fn commit_once(&self, table: &'static Table, staged: &[StagedFile], base: Base) -> Result<TableSnapshot> {
        check_age(staged)?;
        let current = self.existing(table).await?;
        if let Base::Version(version) = base
            && current.version().map(|version| version as i64) != Some(version)
        {
            return Err(Error::new(ErrorKind::Conflict, format!("{} was changed by another writer", table.name)));
        }
        let operation = DeltaOperation::Write {
            mode: SaveMode::Append,
            partition_by: table.partition.map(|name| vec![name.to_owned()]),
            predicate: None,
        };
        let retries = if base == Base::Any { COMMIT_ATTEMPTS } else { 0 };
        let actions = staged.iter().map(|file| Action::Add(file.0.clone())).collect();
        let committed = self.write_log(table, &current, actions, operation, retries).await?;
        self.snapshot_of(table, Some(&committed))
    }

    pub(super) async fn write_log(
        &self,
        table: &'static Table,
        current: &DeltaTable,
        actions: Vec<Action>,
        operation: DeltaOperation,
        retries: usize,
    ) -> Result<DeltaTable> {
        let what = || format!("cannot commit to {} in {}", table.name, self.location());
        let state = current.snapshot().map_err(|error| delta_error(what(), error))?;
        // to look for expired entries is to list the whole log: only where a checkpoint is written, too
        let checkpoint = (state.version() as i64 + 2) % CHECKPOINT_INTERVAL == 0;
        let properties =
            CommitProperties::default().with_max_retries(retries).with_cleanup_expired_logs(Some(checkpoint));
        let commit = CommitBuilder::from(properties)
            .with_actions(actions)
            .build(Some(state), current.log_store(), operation)
            .await
            .map_err(|error| delta_error(what(), error))?;
        let mut known = current.clone();
        known.state = Some(commit.snapshot());
        self.inner.tables.lock().await.insert(table.name, known.clone());
        Ok(known)
    }

    /// Writes files into a table's folder. They belong to the table once they are committed.
    ///
    /// # Errors
    /// As the store answers.
    pub async fn stage(&self, table: &'static Table, files: &[EncodedFile]) -> Result<Vec<StagedFile>> {
        let puts = files.iter().map(|file| self.put_one(table, file, "part"));
        futures::stream::iter(puts).buffered(PUT_CONCURRENCY).try_collect().await
    }

    /// Writes one file, whose name begins with `prefix`.
    pub(super) async fn put_one(&self, table: &'static Table, file: &EncodedFile, prefix: &str) -> Result<StagedFile> {
        let name = format!("{prefix}-{:032x}.zstd.parquet", rand::random::<u128>());
        let (path, values) = match (table.partition, file.date) {
            (Some(column), Some(date)) => {
                (format!("{column}={date}/{name}"), HashMap::from([(column.to_owned(), Some(date.to_string()))]))
            }
            _ => (name, HashMap::new()),
        };
        self.put_bytes(&self.path_in(table, &path), file.bytes.clone()).await?;
        Ok(StagedFile(Add {
            path,
            partition_values: values,
            size: file.bytes.len() as i64,
            modification_time: Utc::now().timestamp_millis(),
            data_change: true,
            stats: Some(file.stats.to_string()),
            ..Add::default()
        }))
    }

    /// A path of a table's log in the store.
    pub(super) fn path_in(&self, table: &Table, path: &str) -> Path {
        path.split('/').fold(self.inner.place.prefix.clone().join(table.name), |path, part| path.join(part))
    }
}
