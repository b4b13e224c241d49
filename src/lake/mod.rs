//! The lake: Delta tables and a few small files in a folder or on S3.
//!
//! Owns: creation, commits, snapshots, and the data files' encoding.
//! Refuses: SQL (that is `query`), and knowing what its rows mean.
//! Invariant: a commit is all or nothing, and a reader sees whole commits only.

mod beside;
mod check;
mod commit;
mod debris;
mod evolve;
mod fault;
mod file;
mod keys;
mod lock;
mod retention;
mod scan;
mod snapshot;
mod store;
mod survey;
mod swap;
mod vacuum;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use backon::Retryable;
use deltalake_core::logstore::{StorageConfig, default_logstore};
use deltalake_core::protocol::SaveMode;
use deltalake_core::{DeltaTable, DeltaTableError};
use futures::StreamExt;
use object_store::ObjectStore;
use object_store::path::Path;
use tokio::sync::Mutex;
use url::Url;

pub use check::Depth;
pub use commit::{Base, StagedFile};
pub use file::{EncodedFile, FileWriter, Profile, writer_properties};
pub use keys::{IdFilter, KeyFile, KeyGroup};
pub use lock::RunLock;
pub use survey::{Garbage, LogState, ORPHAN_AGE, Reason, Survey};
pub use swap::{Swapped, day_of, rewrite_of};
pub use vacuum::LogTended;

use crate::aws::AwsOptions;
use crate::error::{Error, ErrorKind, Result};
use crate::schema::{EVENTS, TABLES, Table};
use fault::delta_error;
use store::{Place, store_error};

/// Commits between two checkpoints of a table's log. Loading a log costs a request per commit since the last one.
const CHECKPOINT_INTERVAL: i64 = 50;

/// How long the log remembers files that gave way, hence the longest retention that a vacuum can keep to: as long as it
/// remembers its own entries (Delta's default).
const REMEMBERED: &str = "interval 30 days";

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
        Self::at(options).await?.or_created().await
    }

    /// Opens a lake, or makes one, in a folder (`prefix`) of any object store, whose root `root` names: for stores that
    /// [`LakeOptions`] cannot tell of, e.g. one in memory.
    ///
    /// # Errors
    /// As [`Lake::open_or_create`].
    pub async fn on(store: Arc<dyn ObjectStore>, root: &Url, prefix: &Path) -> Result<Self> {
        let place = Place::of(store, root, prefix)?;
        Self::in_place(place.url.to_string(), place).or_created().await
    }

    async fn at(options: &LakeOptions) -> Result<Self> {
        let place = Place::resolve(&options.location, &options.aws).await?;
        Ok(Self::in_place(options.location.clone(), place))
    }

    fn in_place(location: String, place: Place) -> Self {
        Self { inner: Arc::new(Inner { location, place, tables: Mutex::default() }) }
    }

    async fn or_created(self) -> Result<Self> {
        if self.table(&EVENTS).await?.is_none() {
            self.check_empty().await?;
            self.create(&EVENTS).await?;
        }
        Ok(self)
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

    /// Several that make a lake at the same time get in each other's way: all but one then find the table made.
    async fn create(&self, table: &'static Table) -> Result<DeltaTable> {
        let passes = |error: &Error| error.is_transient() || error.kind() == ErrorKind::Conflict;
        let made = || async move {
            match self.create_once(table).await {
                Err(error) if error.kind() == ErrorKind::Conflict => self.table(table).await?.ok_or(error),
                result => result,
            }
        };
        made.retry(store::again()).when(passes).await
    }

    async fn create_once(&self, table: &'static Table) -> Result<DeltaTable> {
        let what = format!("cannot create {} in {}", table.name, self.location());
        if self.inner.place.store_url.scheme() == "file" {
            make_folder(&self.inner.place, table).map_err(|error| {
                Error::new(ErrorKind::Denied, what.clone()).source(error).hint("check the folder's owner and mode")
            })?;
        }
        let schema = evolve::columns(table)?;
        let configuration = [
            ("delta.dataSkippingStatsColumns", table.stats.join(",")),
            ("delta.checkpointInterval", CHECKPOINT_INTERVAL.to_string()),
            ("delta.deletedFileRetentionDuration", REMEMBERED.to_owned()),
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

    /// The table as it can be written to.
    async fn existing(&self, table: &'static Table) -> Result<DeltaTable> {
        match self.table(table).await? {
            Some(current) => self.with_all_columns(table, current).await,
            None => self.create(table).await,
        }
    }
}

impl Lake {
    /// A table's folder, where the lake is in one.
    fn local_folder(&self, table: &Table) -> Option<PathBuf> {
        let place = &self.inner.place;
        let local = place.store_url.scheme() == "file";
        local.then(|| place.url.join(table.name).ok()?.to_file_path().ok()).flatten()
    }
}

/// LocalFileSystem makes folders as it writes, but Delta's own check wants the table's folder to be there.
fn make_folder(place: &Place, table: &Table) -> std::io::Result<()> {
    let url = place.url.join(&format!("{}/_delta_log", table.name)).map_err(std::io::Error::other)?;
    let path = url.to_file_path().map_err(|()| std::io::Error::other("not a path"))?;
    std::fs::create_dir_all(path)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray};
    use object_store::memory::InMemory;

    use super::*;
    use crate::schema::DELIVERIES;

    #[tokio::test]
    async fn a_lake_can_be_on_any_store() {
        let (store, root) = (Arc::new(InMemory::new()), Url::parse("memory:///").unwrap());
        let lake = Lake::on(Arc::clone(&store) as Arc<dyn ObjectStore>, &root, &Path::from("a/lake")).await.unwrap();
        let columns: Vec<ArrayRef> = DELIVERIES
            .schema()
            .fields()
            .iter()
            .map(|field| -> ArrayRef {
                match field.data_type() {
                    arrow::datatypes::DataType::Utf8 => Arc::new(StringArray::from(vec!["x"])),
                    _ => Arc::new(TimestampMicrosecondArray::from(vec![1]).with_timezone("UTC")),
                }
            })
            .collect();
        let rows = RecordBatch::try_new(DELIVERIES.schema(), columns).unwrap();
        assert_eq!(lake.append(&DELIVERIES, &[rows]).await.unwrap(), 1);
        let again = Lake::on(store, &root, &Path::from("a/lake")).await.unwrap();
        let snapshot = again.snapshot(&DELIVERIES).await.unwrap();
        assert_eq!((snapshot.version, snapshot.files.len()), (1, 1));
        assert!(snapshot.files[0].path.as_ref().starts_with("a/lake/deliveries/part-"), "{:?}", snapshot.files);
    }
}
