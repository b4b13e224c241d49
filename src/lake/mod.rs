//! The lake: Delta tables and a few small files in a folder or on S3.
//!
//! Owns: creation, commits, snapshots, and the data files' encoding.
//! Refuses: SQL (that is `query`), and knowing what its rows mean.
//! Invariant: a commit is all or nothing, and a reader sees whole commits only.

mod file;
mod keys;
mod lock;
mod scan;
mod store;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use backon::{BackoffBuilder, Retryable};
use bytes::Bytes;
use chrono::NaiveDate;
use deltalake_core::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake_core::kernel::transaction::{CommitBuilder, CommitProperties, TransactionError};
use deltalake_core::kernel::{Action, Add, LogicalFileView, StructType};
use deltalake_core::logstore::{StorageConfig, default_logstore};
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use deltalake_core::{DeltaTable, DeltaTableError};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use serde_json::Value;
use tokio::sync::Mutex;

pub use file::{EncodedFile, FileWriter};
pub use keys::{HourKeys, hour_of};
pub use lock::RunLock;

use crate::aws::AwsOptions;
use crate::error::{Error, ErrorKind, Result};
use crate::schema::{EVENTS, TABLES, Table};
use crate::table::{DataFile, TableSnapshot};
use store::{Place, answered, store_error};

/// Commits between two checkpoints of a table's log. Loading a log costs a request per commit since the last one.
const CHECKPOINT_INTERVAL: &str = "50";

/// How often a commit that others overtook is tried again.
const COMMIT_ATTEMPTS: usize = 15;

/// Files put at the same time.
const PUT_CONCURRENCY: usize = 8;

/// Where a lake is and who reads it.
#[derive(Debug, Clone, Default)]
pub struct LakeOptions {
    /// A folder, or `s3://bucket/prefix`.
    pub location: String,
    /// For a lake on S3.
    pub aws: AwsOptions,
}

/// A lake; clones share its state.
#[derive(Debug, Clone)]
pub struct Lake {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    location: String,
    place: Place,
    /// Tables whose log has been read, by name: reading on is cheaper than reading anew.
    tables: Mutex<HashMap<&'static str, DeltaTable>>,
}

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
    /// Opens a lake.
    ///
    /// # Errors
    /// `NotFound` where there is none.
    pub async fn open(options: &LakeOptions) -> Result<Self> {
        let lake = Self::at(options).await?;
        if lake.table(&EVENTS).await?.is_none() {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("no lake at {}: it has no table events", options.location),
            )
            .hint("make one with `trailhound ingest SOURCE --lake LAKE`"));
        }
        Ok(lake)
    }

    /// Opens a lake, or makes one in a folder or prefix that is empty.
    ///
    /// # Errors
    /// `Usage` where something else is there.
    pub async fn open_or_create(options: &LakeOptions) -> Result<Self> {
        let lake = Self::at(options).await?;
        if lake.table(&EVENTS).await?.is_none() {
            lake.check_empty().await?;
            lake.create(&EVENTS).await?;
        }
        Ok(lake)
    }

    async fn at(options: &LakeOptions) -> Result<Self> {
        let place = Place::resolve(&options.location, &options.aws).await?;
        let inner = Inner { location: options.location.clone(), place, tables: Mutex::default() };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// A lake is made in an empty place only: a typing mistake must not scatter tables among other files. What an
    /// interrupted creation left (our own tables' folders) is not in the way.
    async fn check_empty(&self) -> Result<()> {
        let place = &self.inner.place;
        let mut objects = place.store.list(Some(&place.prefix));
        while let Some(object) = objects.next().await {
            let object = match object {
                Ok(object) => object,
                Err(object_store::Error::NotFound { .. }) => return Ok(()),
                Err(error) => return Err(store_error(format!("cannot list the lake {}", self.location()), error)),
            };
            let first = object.location.prefix_match(&place.prefix).and_then(|mut parts| parts.next());
            let ours = |name: &str| name == "run.lock" || TABLES.iter().any(|table| table.name == name);
            if !first.is_some_and(|part| ours(part.as_ref())) {
                return Err(Error::new(
                    ErrorKind::Usage,
                    format!("{} is not a lake and not empty: it holds {}", self.location(), object.location),
                )
                .hint("name a new or an empty folder, or an existing lake"));
            }
        }
        Ok(())
    }

    /// The location as the user wrote it.
    pub fn location(&self) -> &str {
        &self.inner.location
    }

    /// The table's current state, read on from what is known; `None` where it does not exist.
    async fn table(&self, table: &'static Table) -> Result<Option<DeltaTable>> {
        let mut tables = self.inner.tables.lock().await;
        let mut current = match tables.remove(table.name) {
            Some(current) => current,
            None if self.has_log(table).await? => self.unloaded(table)?,
            None => return Ok(None),
        };
        let what = || format!("cannot read the log of {} in {}", table.name, self.location());
        current.update_state().await.map_err(|error| delta_error(what(), error))?;
        tables.insert(table.name, current.clone());
        Ok(Some(current))
    }

    /// Whether there is anything in a table's log.
    async fn has_log(&self, table: &Table) -> Result<bool> {
        let log = self.inner.place.prefix.clone().join(table.name).join("_delta_log");
        match self.inner.place.store.list(Some(&log)).next().await {
            Some(Ok(_)) => Ok(true),
            None | Some(Err(object_store::Error::NotFound { .. })) => Ok(false),
            Some(Err(error)) => Err(store_error(format!("cannot list the lake {}", self.location()), error)),
        }
    }

    fn unloaded(&self, table: &'static Table) -> Result<DeltaTable> {
        let place = &self.inner.place;
        let fail =
            |error: DeltaTableError| delta_error(format!("cannot open {} in {}", table.name, self.location()), error);
        let url = place
            .url
            .join(&format!("{}/", table.name))
            .map_err(|error| Error::new(ErrorKind::Usage, format!("lake {}", self.location())).source(error))?;
        // not through Delta's builder: its registry of log stores knows folders only
        let config = StorageConfig::default();
        let below = config.decorate_store(Arc::clone(&place.store), &url).map_err(fail)?;
        Ok(DeltaTable::new(default_logstore(Arc::new(below), Arc::clone(&place.store), &url, &config)))
    }

    async fn create(&self, table: &'static Table) -> Result<DeltaTable> {
        (|| self.create_once(table)).retry(store::again()).when(Error::is_transient).await
    }

    async fn create_once(&self, table: &'static Table) -> Result<DeltaTable> {
        let what = format!("cannot create {} in {}", table.name, self.location());
        if self.inner.place.store_url.scheme() == "file" {
            make_folder(&self.inner.place, table).map_err(|error| {
                Error::new(ErrorKind::Denied, what.clone()).source(error).hint("check the folder's owner and mode")
            })?;
        }
        let schema: StructType = table
            .schema()
            .as_ref()
            .try_into_kernel()
            .map_err(|error| Error::new(ErrorKind::Internal, format!("schema of {}", table.name)).source(error))?;
        let configuration = [
            ("delta.dataSkippingStatsColumns", table.stats.join(",")),
            ("delta.checkpointInterval", CHECKPOINT_INTERVAL.to_owned()),
        ];
        let created = self
            .unloaded(table)?
            .create()
            .with_columns(schema.fields().cloned())
            .with_partition_columns(table.partition)
            .with_save_mode(SaveMode::Ignore)
            .with_configuration(configuration.map(|(key, value)| (key.to_owned(), Some(value))))
            .await
            .map_err(|error| delta_error(what, error))?;
        self.inner.tables.lock().await.insert(table.name, created.clone());
        Ok(created)
    }

    /// A table's files; none, at version -1, where it does not exist.
    ///
    /// # Errors
    /// As the store answers.
    pub async fn snapshot(&self, table: &'static Table) -> Result<TableSnapshot> {
        let current = self.table(table).await?;
        self.snapshot_of(table, current.as_ref())
    }

    fn snapshot_of(&self, table: &'static Table, current: Option<&DeltaTable>) -> Result<TableSnapshot> {
        let place = &self.inner.place;
        let root = place.prefix.clone().join(table.name);
        let (version, files) = match current {
            Some(current) => self.files(table, current, &root)?,
            None => (-1, Vec::new()),
        };
        Ok(TableSnapshot {
            name: table.name.to_owned(),
            version,
            schema: table.schema(),
            partition: table.partition.map(str::to_owned),
            files,
            store_url: place.store_url.clone(),
            store: Arc::clone(&place.store),
        })
    }

    fn files(&self, table: &Table, current: &DeltaTable, root: &Path) -> Result<(i64, Vec<DataFile>)> {
        let what = || format!("cannot read the log of {} in {}", table.name, self.location());
        let state = current.snapshot().map_err(|error| delta_error(what(), error))?;
        let mut files = Vec::new();
        for view in state.log_data().iter() {
            if view.deletion_vector_descriptor().is_some() {
                return Err(Error::new(ErrorKind::BadInput, format!("{} has deletion vectors", table.name))
                    .hint("another program rewrote the table; purge its deletion vectors first"));
            }
            files.push(data_file(&view, table, root));
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok((state.version() as i64, files))
    }

    /// Files of every table.
    ///
    /// # Errors
    /// As [`Lake::snapshot`].
    pub async fn snapshots(&self) -> Result<Vec<TableSnapshot>> {
        let mut snapshots = Vec::with_capacity(TABLES.len());
        for table in TABLES {
            snapshots.push(self.snapshot(table).await?);
        }
        Ok(snapshots)
    }

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

    async fn existing(&self, table: &'static Table) -> Result<DeltaTable> {
        match self.table(table).await? {
            Some(current) => Ok(current),
            None => self.create(table).await,
        }
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

    async fn put_bytes(&self, location: &Path, bytes: Bytes) -> Result<()> {
        let put = self.inner.place.store.put(location, PutPayload::from_bytes(bytes)).await;
        put.map(drop).map_err(|error| store_error(format!("cannot write {location}"), error))
    }

    fn file_path(&self, path: &str) -> Path {
        path.split('/').fold(self.inner.place.prefix.clone(), |path, part| path.join(part))
    }

    /// A small file of the lake beside its tables, e.g. `models/v1/model.json`; `None` where there is none.
    ///
    /// # Errors
    /// As the store answers.
    pub async fn read_file(&self, path: &str) -> Result<Option<Bytes>> {
        let location = self.file_path(path);
        let fail = |error| store_error(format!("cannot read {location}"), error);
        match self.inner.place.store.get(&location).await {
            Ok(found) => found.bytes().await.map(Some).map_err(fail),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(fail(error)),
        }
    }

    /// Writes a small file beside the tables; readers see the old one or the new one.
    ///
    /// # Errors
    /// As the store answers.
    pub async fn write_file(&self, path: &str, bytes: Bytes) -> Result<()> {
        self.put_bytes(&self.file_path(path), bytes).await
    }

    /// Names of the small files under a prefix, sorted.
    ///
    /// # Errors
    /// As the store answers.
    pub async fn list_files(&self, prefix: &str) -> Result<Vec<String>> {
        let place = &self.inner.place;
        let folder = self.file_path(prefix);
        let fail = |error| store_error(format!("cannot list {folder}"), error);
        let mut names: Vec<String> = Vec::new();
        let mut objects = place.store.list(Some(&folder));
        while let Some(object) = objects.next().await {
            match object {
                Ok(object) => {
                    let parts = object.location.prefix_match(&place.prefix).into_iter().flatten();
                    names.push(parts.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/"));
                }
                Err(object_store::Error::NotFound { .. }) => break,
                Err(error) => return Err(fail(error)),
            }
        }
        names.sort();
        Ok(names)
    }
}

/// LocalFileSystem makes folders as it writes, but Delta's own check wants the table's folder to be there.
fn make_folder(place: &Place, table: &Table) -> std::io::Result<()> {
    let url = place.url.join(&format!("{}/_delta_log", table.name)).map_err(std::io::Error::other)?;
    let path = url.to_file_path().map_err(|()| std::io::Error::other("not a path"))?;
    std::fs::create_dir_all(path)
}

fn data_file(view: &LogicalFileView, table: &Table, root: &Path) -> DataFile {
    let stats: Value = view.stats().and_then(|stats| serde_json::from_str(&stats).ok()).unwrap_or_default();
    let partition = |name: &str| view.partition_values_map().remove(name).flatten();
    DataFile {
        path: view.object_store_path().parts().fold(root.clone(), |path, part| path.join(part)),
        size: view.size() as u64,
        rows: stats["numRecords"].as_u64(),
        partition: table.partition.and_then(partition),
        min_values: stats["minValues"].clone(),
        max_values: stats["maxValues"].clone(),
    }
}

fn joined(error: tokio::task::JoinError) -> Error {
    Error::new(ErrorKind::Internal, "a worker ended in a panic").source(error)
}

fn delta_error(what: String, error: DeltaTableError) -> Error {
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

/// The Arrow schema of a table's columns of those names, in their order.
fn project(schema: &Schema, names: &[&str]) -> Vec<usize> {
    names.iter().filter_map(|name| schema.index_of(name).ok()).collect()
}
