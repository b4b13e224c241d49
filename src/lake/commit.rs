//! Commits: files first, then one entry in Delta's log.
//!
//! Owns: staging, appends, replacements, and what is repeated when.
//! Invariant: a commit is all or nothing, and happens once, however often it is tried.

use std::collections::{HashMap, HashSet};

use arrow::array::RecordBatch;
use backon::BackoffBuilder;
use chrono::NaiveDate;
use deltalake_core::DeltaTable;
use deltalake_core::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake_core::kernel::{Action, Add};
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;

use super::fault::{delta_error, joined};
use super::file::{self, EncodedFile};
use super::{Lake, store};
use crate::error::{Error, ErrorKind, Result};
use crate::schema::Table;
use crate::table::TableSnapshot;

/// How often a commit that others overtook is tried again.
const COMMIT_ATTEMPTS: usize = 15;

/// Files put at the same time.
const PUT_CONCURRENCY: usize = 8;

/// A file that is written but not yet part of its table.
#[derive(Debug, Clone)]
pub struct StagedFile(Add);

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

    /// Replaces the rows of one day in one commit, and answers the version.
    ///
    /// # Errors
    /// As the store answers; `Conflict` where others keep changing the same table.
    pub async fn replace_partition(
        &self,
        table: &'static Table,
        date: NaiveDate,
        batches: &[RecordBatch],
    ) -> Result<i64> {
        let batches: Vec<RecordBatch> = batches.iter().filter(|batch| batch.num_rows() > 0).cloned().collect();
        let files = tokio::task::spawn_blocking(move || file::encode(table, &batches)).await.map_err(joined)??;
        let staged = self.stage(table, &files).await?;
        for _ in 0..COMMIT_ATTEMPTS {
            let current = self.existing(table).await?;
            let mut actions = self.removals(table, &current, date)?;
            actions.extend(staged.iter().map(|file| Action::Add(file.0.clone())));
            let operation = DeltaOperation::Write {
                mode: SaveMode::Overwrite,
                partition_by: table.partition.map(|name| vec![name.to_owned()]),
                predicate: table.partition.map(|name| format!("{name} = '{date}'")),
            };
            match self.write_log(table, &current, actions, operation, 0).await {
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                result => return result.map(|table| table.version().map_or(-1, |version| version as i64)),
            }
        }
        Err(Error::new(ErrorKind::Conflict, format!("{} keeps changing under a replacement of {date}", table.name))
            .hint("run again when the other writers have finished"))
    }

    fn removals(&self, table: &Table, current: &DeltaTable, date: NaiveDate) -> Result<Vec<Action>> {
        let state = current.snapshot().map_err(|error| delta_error(format!("log of {}", table.name), error))?;
        let date = date.to_string();
        let of_day = |values: &HashMap<String, Option<String>>| {
            table.partition.is_some_and(|name| values.get(name).and_then(Option::as_deref) == Some(date.as_str()))
        };
        let views = state.log_data();
        let old = views.iter().filter(|view| of_day(&view.partition_values_map()));
        Ok(old.map(|view| Action::Remove(view.remove_action(true))).collect())
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
        let mut delays = store::again().build();
        loop {
            match self.commit_once(table, staged, base).await {
                Err(error) if error.is_transient() => {
                    let Some(delay) = delays.next() else { return Err(error) };
                    tokio::time::sleep(delay).await;
                    if let Ok(Some(done)) = self.carried_out(table, staged, base).await {
                        return Ok(done);
                    }
                }
                result => return result,
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
        let root = self.inner.place.prefix.clone().join(table.name);
        let paths: HashSet<&Path> = snapshot.files.iter().map(|file| &file.path).collect();
        let below = |path: &str| path.split('/').fold(root.clone(), |path, part| path.join(part));
        let ours = staged.iter().all(|file| paths.contains(&below(&file.0.path)));
        let next = match base {
            Base::Any => true,
            Base::Version(version) => snapshot.version == version + 1,
        };
        Ok((ours && next).then_some(snapshot))
    }

    async fn commit_once(&self, table: &'static Table, staged: &[StagedFile], base: Base) -> Result<TableSnapshot> {
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

    async fn write_log(
        &self,
        table: &'static Table,
        current: &DeltaTable,
        actions: Vec<Action>,
        operation: DeltaOperation,
        retries: usize,
    ) -> Result<DeltaTable> {
        let what = || format!("cannot commit to {} in {}", table.name, self.location());
        let state = current.snapshot().map_err(|error| delta_error(what(), error))?;
        let properties = CommitProperties::default().with_max_retries(retries);
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
        let puts = files.iter().map(|file| self.put_one(table, file));
        futures::stream::iter(puts).buffered(PUT_CONCURRENCY).try_collect().await
    }

    async fn put_one(&self, table: &'static Table, file: &EncodedFile) -> Result<StagedFile> {
        let name = format!("part-{:032x}.zstd.parquet", rand::random::<u128>());
        let (path, values) = match (table.partition, file.date) {
            (Some(column), Some(date)) => {
                (format!("{column}={date}/{name}"), HashMap::from([(column.to_owned(), Some(date.to_string()))]))
            }
            _ => (name, HashMap::new()),
        };
        let root = self.inner.place.prefix.clone().join(table.name);
        let location = path.split('/').fold(root, |path, part| path.join(part));
        self.put_bytes(&location, file.bytes.clone()).await?;
        Ok(StagedFile(Add {
            path,
            partition_values: values,
            size: file.bytes.len() as i64,
            modification_time: chrono::Utc::now().timestamp_millis(),
            data_change: true,
            stats: Some(file.stats.to_string()),
            ..Add::default()
        }))
    }
}
